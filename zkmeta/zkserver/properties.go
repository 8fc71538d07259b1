package zkserver

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/magiconair/properties"
)

// LoadProperties reads a zookeeper.properties file. The warnings are one line each, about keys that have no meaning
// here; a value that does not parse or cannot be is an error. Keys are those of ZooKeeper 3.8 (QuorumPeerConfig).
func LoadProperties(path string) (Options, []string, error) {
	loader := properties.Loader{Encoding: properties.ISO_8859_1, DisableExpansion: true}
	p, err := loader.LoadFile(path)
	if err != nil {
		return Options{}, nil, err
	}
	o, warnings, err := parseProperties(p.Map())
	if err != nil {
		return Options{}, nil, fmt.Errorf("%s: %w", path, err)
	}
	return o, warnings, nil
}

// property is what a key of the file does to the options.
type property struct {
	key   string
	parse func(o *file, value string) error
}

// file is the options with the parts of an address that stand under several keys.
type file struct {
	Options
	address, port string
	purgeInterval int64
}

// fileProperties are the keys with a meaning here.
var fileProperties = []property{
	{"dataDir", func(f *file, v string) error { f.Dir = v; return nonEmpty(v) }},
	{"dataLogDir", func(f *file, v string) error { f.LogDir = v; return nonEmpty(v) }},
	{"clientPort", func(f *file, v string) error { f.port = v; return intIn(v, 0, math.MaxUint16, nil) }},
	{"clientPortAddress", func(f *file, v string) error { f.address = v; return nonEmpty(v) }},
	{"tickTime", func(f *file, v string) error { return millisIn(v, 1, &f.TickTime) }},
	{"minSessionTimeout", func(f *file, v string) error { return millisIn(v, -1, &f.MinSessionTimeout) }},
	{"maxSessionTimeout", func(f *file, v string) error { return millisIn(v, -1, &f.MaxSessionTimeout) }},
	{"maxClientCnxns", func(f *file, v string) error { return countIn(v, 0, &f.MaxClientCnxns) }},
	{"snapCount", func(f *file, v string) error { return countIn(v, 2, &f.SnapCount) }},
	{"autopurge.snapRetainCount", func(f *file, v string) error { return countIn(v, 0, &f.SnapRetainCount) }},
	{"autopurge.purgeInterval", func(f *file, v string) error { return intIn(v, 0, math.MaxInt32, &f.purgeInterval) }},
	{"jute.maxbuffer", func(f *file, v string) error { return countIn(v, 1, &f.JuteMaxBuffer) }},
	{"znode.container.checkIntervalMs", func(f *file, v string) error {
		return millisIn(v, 1, &f.ContainerCheckInterval)
	}},
	{"4lw.commands.whitelist", func(f *file, v string) error {
		f.Words = []string{"srvr"} // scripts rely on it, so it cannot be taken away
		for word := range strings.SplitSeq(v, ",") {
			f.Words = append(f.Words, strings.TrimSpace(word))
		}
		return nil
	}},
}

// silentProperties steer parts of ZooKeeper that a server on one node lacks; files of Kafka and of distributions
// carry them, so they deserve no warning.
var silentProperties = []string{
	"initLimit", "syncLimit", "electionAlg", "standaloneEnabled", "reconfigEnabled", "admin.enableServer",
	"admin.serverPort", "admin.serverAddress", "extendedTypesEnabled", "znode.container.maxPerMinute",
	"clientPortListenBacklog", "preAllocSize",
}

// parseProperties turns keys into options. The values below are ZooKeeper's defaults where they differ from those of
// Options: 60 connections an address.
func parseProperties(values map[string]string) (Options, []string, error) {
	f := file{Options: Options{MaxClientCnxns: 60}, purgeInterval: -1}
	var warnings []string
	var err error
	members := 0
	for _, key := range slices.Sorted(maps.Keys(values)) {
		value := strings.TrimSpace(values[key])
		i := slices.IndexFunc(fileProperties, func(p property) bool { return p.key == strings.TrimPrefix(key, "zookeeper.") })
		switch {
		case i >= 0:
			if bad := fileProperties[i].parse(&f, value); bad != nil {
				err = errors.Join(err, fmt.Errorf("%s=%s: %w", key, value, bad))
			}
		case strings.HasPrefix(key, "server."):
			members++
		case strings.HasPrefix(key, "secureClientPort"), strings.HasPrefix(key, "ssl."):
			err = errors.Join(err, fmt.Errorf("%s: this server does not speak TLS", key))
		case !slices.Contains(silentProperties, key):
			warnings = append(warnings, fmt.Sprintf("property %s is not known and ignored", key))
		}
	}
	switch {
	case members > 1:
		err = errors.Join(err, fmt.Errorf("%d server.N members: this server is one node and cannot join others", members))
	case f.Dir == "" && values["dataDir"] == "":
		err = errors.Join(err, errors.New("dataDir is not set"))
	case f.port == "" || f.port == "0":
		err = errors.Join(err, errors.New("clientPort is not set"))
	}
	f.Addr = net.JoinHostPort(f.address, f.port)
	if f.purgeInterval == 0 { // ZooKeeper's word for: keep everything
		f.SnapRetainCount = -1
	} else if f.SnapRetainCount < minRetain && values["autopurge.snapRetainCount"] != "" {
		warnings = append(warnings, fmt.Sprintf("autopurge.snapRetainCount is raised to %d", minRetain))
		f.SnapRetainCount = minRetain
	}
	if f.MinSessionTimeout < 0 {
		f.MinSessionTimeout = 0
	}
	if f.MaxSessionTimeout < 0 {
		f.MaxSessionTimeout = 0
	}
	if err == nil {
		_, err = f.withDefaults()
	}
	return f.Options, warnings, err
}

// minRetain is the least number of snapshots autopurge keeps.
const minRetain = 3

func nonEmpty(v string) error {
	if v == "" {
		return errors.New("must not be empty")
	}
	return nil
}

// intIn parses a whole number between low and high into *to, which may be nil.
func intIn(v string, low, high int64, to *int64) error {
	digits, base := v, 10
	if hex, found := strings.CutPrefix(v, "0x"); found { // jute.maxbuffer is often written so
		digits, base = hex, 16
	}
	n, err := strconv.ParseInt(digits, base, 64)
	if err != nil {
		return errors.New("not a whole number")
	}
	if n < low || n > high {
		return fmt.Errorf("must lie between %d and %d", low, high)
	}
	if to != nil {
		*to = n
	}
	return nil
}

func countIn(v string, low int64, to *int) error {
	var n int64
	err := intIn(v, low, math.MaxInt32, &n)
	*to = int(n)
	return err
}

func millisIn(v string, low int64, to *time.Duration) error {
	var n int64
	err := intIn(v, low, math.MaxInt32, &n)
	*to = time.Duration(n) * time.Millisecond
	return err
}
