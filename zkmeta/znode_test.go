package zkmeta

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/zurau/zurau/broker/ibp"
)

// reencode decodes a znode of any kind and encodes it again as a broker of the level does. Of plain text nothing is
// left to encode; sequential znodes are found by their parent.
func reencode(level ibp.Level, znode string, data []byte) ([]byte, error) {
	stat := &Stat{Czxid: 1, EphemeralOwner: 1}
	dir, name := path.Split(znode)
	switch {
	case znode == ControllerPath:
		c, err := decodeController(data, stat)
		return encodeController(level.ControllerZnodeVersion(), c.BrokerID, c.Timestamp), err
	case znode == ControllerEpochPath:
		n, err := parseInt32(data)
		return fmt.Append(nil, n), err
	case znode == ClusterIDPath:
		id, err := decodeClusterID(data)
		return encodeClusterID(id), err
	case znode == FeaturePath:
		f, err := decodeFeatures(data, stat)
		return encodeFeatures(f), err
	case znode == ProducerIDBlockPath:
		b, err := decodeProducerIDBlock(data)
		return encodeProducerIDBlock(b), err
	case znode == ReassignPath:
		list, err := decodeReassignments(data)
		return encodeReassignments(list), err
	case znode == PreferredElectionPath:
		list, err := decodePartitions(data)
		return encodePartitions(list), err
	case dir == BrokerIDsPath+"/":
		b, err := decodeBroker(0, data, stat)
		return encodeBroker(b), err
	case dir == TopicsPath+"/":
		a, err := decodeTopic(data, stat)
		return encodeTopic(a), err
	case strings.HasPrefix(dir, TopicsPath) && name == "state":
		p, err := decodeState(data, stat)
		return encodeState(p, level.LeaderRecoveryState()), err
	case dir == ConfigChangesPath+"/":
		e, err := decodeConfigChange(data)
		return encodeConfigChange(e), err
	case strings.HasPrefix(dir, ConfigPath):
		c, err := decodeConfig(data)
		return encodeConfig(c), err
	case dir == aclChangesPath+"/", dir == extendedACLChangesPath+"/":
		r, err := decodeACLChange(data, dir == extendedACLChangesPath+"/")
		return encodeACLChange(r), err
	case strings.HasPrefix(dir, "/kafka-acl"):
		rules, err := decodeAccessRules(data)
		return encodeAccessRules(rules, level), err
	case dir == tokensPath+"/":
		t, err := decodeToken(data)
		return encodeToken(t, tokenVersion(level)), err
	case strings.HasPrefix(znode, ConsumersPath) && strings.Contains(dir, "/ids/"):
		m, err := decodeMember(name, data)
		return encodeMember(m), err
	case dir == TokenChangesPath+"/", strings.HasPrefix(znode, ConsumersPath):
		return data, nil
	}
	return nil, fmt.Errorf("no codec for %s", znode)
}

type captured struct{ version, path, data string }

func capturedZnodes(t testing.TB) []captured {
	file, err := os.ReadFile("testdata/znodes.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var list []captured
	for line := range strings.Lines(string(file)) {
		if f := strings.Split(strings.TrimSuffix(line, "\n"), "\t"); len(f) == 3 {
			list = append(list, captured{f[0], f[1], f[2]})
		}
	}
	if len(list) < 300 {
		t.Fatalf("only %d captured znodes", len(list))
	}
	return list
}

// Everything that Apache Kafka 2.8.2 and 3.9.1 wrote comes out of our encoders byte for byte; everything older is read,
// and read the same again after a rewrite.
func TestCapturedZnodesGoBothWays(t *testing.T) {
	levels := map[string]ibp.Level{"2.8.2": ibp.V2_8_IV1, "3.9.1-ibp-2.8": ibp.V2_8_IV1, "3.9.1": ibp.V3_9_IV0}
	for _, c := range capturedZnodes(t) {
		level, same := levels[c.version]
		if !same {
			level = ibp.Latest
		}
		out, err := reencode(level, c.path, []byte(c.data))
		if c.data == `"t"` { // 0.8 wrote the name of a topic, which readers since 0.9 ignore
			if err == nil {
				t.Errorf("%s %s: %s was taken for a notification", c.version, c.path, c.data)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %s: %v\n%s", c.version, c.path, err, c.data)
			continue
		}
		// Software of 3.4 and above writes the newer /controller at every level; we write that of the level.
		ofSoftware := c.version == "3.9.1-ibp-2.8" && c.path == ControllerPath
		if same && !ofSoftware && string(out) != c.data {
			t.Errorf("%s %s:\n we write %s\nKafka wrote %s", c.version, c.path, out, c.data)
		}
		again, err := reencode(level, c.path, out)
		if err != nil || !bytes.Equal(again, out) {
			t.Errorf("%s %s: we write %s and read it back as %s, %v", c.version, c.path, out, again, err)
		}
	}
}

// FuzzZnodes reads anything as every kind of znode: no panic, and what is understood survives a rewrite unchanged.
func FuzzZnodes(f *testing.F) {
	paths := map[string]byte{}
	var kinds []string
	for _, c := range capturedZnodes(f) {
		kind := c.path
		if dir, name := path.Split(c.path); len(name) > 0 && strings.ContainsAny(name[len(name)-1:], "0123456789") {
			kind = dir + "0"
		}
		if _, ok := paths[kind]; !ok {
			paths[kind] = byte(len(kinds))
			kinds = append(kinds, kind)
		}
		f.Add(paths[kind], []byte(c.data))
	}
	f.Fuzz(func(t *testing.T, kind byte, data []byte) {
		znode := kinds[int(kind)%len(kinds)]
		for _, level := range []ibp.Level{ibp.Min, ibp.Latest} {
			out, err := reencode(level, znode, data)
			if err != nil {
				continue
			}
			again, err := reencode(level, znode, out)
			if err != nil || !bytes.Equal(again, out) {
				t.Fatalf("%s: %q is written as %q and read back as %q, %v", znode, data, out, again, err)
			}
		}
		decodeMigration(data)
		decodeLogDirEvent(data)
	})
}
