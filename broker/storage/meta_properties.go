package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/magiconair/properties"
)

const metaFileName = "meta.properties"

// Meta is the identity a log directory was given by its first broker (meta.properties). Version 0 is that of
// ZooKeeper mode.
type Meta struct {
	BrokerID  int32  // -1 when there is none yet
	ClusterID string // empty in directories of 1.1
	Version   int32
	Other     map[string]string // keys that are not ours; they are kept
}

// NoMeta is the identity of a directory that has none.
var NoMeta = Meta{BrokerID: -1}

// ReadMeta reads the identity of a log directory; one without a file has NoMeta.
func ReadMeta(dir string) (Meta, error) { return readMeta(osFS{}, dir) }

func readMeta(disk fileSystem, dir string) (Meta, error) {
	path := filepath.Join(dir, metaFileName)
	content, err := readFile(disk, path)
	if errors.Is(err, fs.ErrNotExist) {
		return NoMeta, nil
	}
	if err != nil {
		return NoMeta, err
	}
	m, err := parseMeta(content)
	if err != nil {
		return NoMeta, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// parseMeta decodes a properties file as Java does: ISO 8859-1, no ${} in it.
func parseMeta(content []byte) (Meta, error) {
	loader := properties.Loader{Encoding: properties.ISO_8859_1, DisableExpansion: true}
	p, err := loader.LoadBytes(content)
	if err != nil {
		return NoMeta, err
	}
	m := Meta{BrokerID: -1, Other: make(map[string]string)}
	for key, value := range p.Map() {
		switch key {
		case "version":
			m.Version, err = parseInt32(key, value)
		case "broker.id":
			m.BrokerID, err = parseInt32(key, value)
		case "cluster.id":
			m.ClusterID = value
		default:
			m.Other[key] = value
		}
		if err != nil {
			return NoMeta, err
		}
	}
	return m, nil
}

func parseInt32(key, value string) (int32, error) {
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%s: %q is no number", key, value)
	}
	return int32(n), nil
}

// format encodes the file as java.util.Properties would store it.
func (m Meta) format(now time.Time) []byte {
	all := maps.Clone(m.Other)
	if all == nil {
		all = make(map[string]string)
	}
	all["version"] = strconv.Itoa(int(m.Version))
	all["broker.id"] = strconv.Itoa(int(m.BrokerID))
	if m.ClusterID != "" {
		all["cluster.id"] = m.ClusterID
	}
	var b strings.Builder
	b.WriteString("#\n#" + now.UTC().Format("Mon Jan 02 15:04:05 MST 2006") + "\n")
	for _, key := range slices.Sorted(maps.Keys(all)) {
		b.WriteString(escapeProperty(key, true) + "=" + escapeProperty(all[key], false) + "\n")
	}
	return []byte(b.String())
}

// escapeProperty writes what java.util.Properties reads back as s.
func escapeProperty(s string, key bool) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == ' ' && (key || i == 0), r == '\\', r == '=', r == ':', r == '#', r == '!':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r > '~':
			for _, unit := range utf16.AppendRune(nil, r) {
				fmt.Fprintf(&b, `\u%04X`, unit)
			}
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// WriteMeta makes an identity durable in a log directory.
func WriteMeta(dir string, m Meta) error { return writeMeta(osFS{}, dir, m) }

func writeMeta(disk fileSystem, dir string, m Meta) error {
	return writeFileSynced(disk, filepath.Join(dir, metaFileName), m.format(time.Now()))
}

// CheckMeta says whether directories with these identities (by path) may be used together by the broker that is
// configured: clusterID is ZooKeeper's, empty when not known yet, brokerID the configured one, -1 for none. It
// returns the broker id all agree on, -1 when there is none. The words are Kafka's
// (MetaPropertiesEnsemble.verify).
func CheckMeta(metas map[string]Meta, clusterID string, brokerID int32) (int32, error) {
	for _, dir := range slices.Sorted(maps.Keys(metas)) {
		m, path := metas[dir], filepath.Join(dir, metaFileName)
		switch {
		case m.Version != 0:
			return -1, fmt.Errorf("Found unexpected version in %s. ZK-based brokers that are not migrating only support "+
				"version 0 (which is implicit when the `version` field is missing).", path)
		case m.ClusterID == "":
		case clusterID == "":
			clusterID = m.ClusterID
		case m.ClusterID != clusterID:
			return -1, fmt.Errorf("Invalid cluster.id in: %s. Expected %s, but read %s", path, clusterID, m.ClusterID)
		}
		switch {
		case m.BrokerID < 0:
		case brokerID < 0:
			brokerID = m.BrokerID
		case m.BrokerID != brokerID:
			return -1, fmt.Errorf("Stored node id %d doesn't match previous node id %d in %s. If you moved your data, make "+
				"sure your configured node id matches. If you intend to create a new node, you should remove all data in "+
				"your data directories.", m.BrokerID, brokerID, path)
		}
	}
	return brokerID, nil
}
