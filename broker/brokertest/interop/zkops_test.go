//go:build interop

package interop

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zurau/zurau/broker/brokertest"
	"github.com/zurau/zurau/zkmeta"
	"github.com/zurau/zurau/zkmeta/zkserver"
)

// TestTheOrderOfZooKeeperWritesIsKafkas compares what a broker of ours writes in the life of a topic, in order, with
// captures of Apache Kafka's transactions (testdata/zkops). Ours are read from our server's transaction log by
// ZooKeeper's own tool, which so proves that it can. The captured brokers were three: compared are kinds of writes, in
// which repetition counts once; the controller's own tests compare a life of three brokers in every field.
func TestTheOrderOfZooKeeperWritesIsKafkas(t *testing.T) {
	for version, level := range map[string]string{kafkaOld: "2.8", kafkaNew: "3.9"} {
		t.Run(version, func(t *testing.T) {
			dir := t.TempDir()
			zk := startOurZooKeeper(t, zkserver.Options{Dir: dir, Addr: "127.0.0.1:0", TickTime: 500 * time.Millisecond})
			connect := zk.Addr().String()
			c := brokertest.Start(t, brokertest.ZooKeeper(connect), brokertest.Property("inter.broker.protocol.version", level))
			z, admin := zkSession(t, connect), adminOf(t, c.Bootstrap()[0])
			// The captured tools came after the controller had done what follows a request; so do we.
			await(t, 15*time.Second, "the last write of the start", func() bool { return z.has(t, zkmeta.FeaturePath) })
			create(t, admin, "t", 3, nil)
			await(t, 15*time.Second, "the partitions", func() bool { return z.has(t, "/brokers/topics/t/partitions/2/state") })
			setConfig(t, admin, "t", "retention.ms", "1000000")
			await(t, 15*time.Second, "the notification", func() bool { return z.has(t, "/config/changes/config_change_0000000000") })
			if answers, err := admin.UpdatePartitions(t.Context(), 4, "t"); err != nil || answers.Error() != nil {
				t.Fatal(err, answers.Error())
			}
			await(t, 15*time.Second, "one partition more", func() bool { return z.has(t, "/brokers/topics/t/partitions/3/state") })
			deleteTopic(t, admin, "t")
			await(t, 15*time.Second, "the deletion", func() bool {
				return !z.has(t, "/brokers/topics/t") && !z.has(t, "/admin/delete_topics/t")
			})

			var want []string
			for _, phase := range []string{"01", "04", "05", "06", "16"} {
				want = append(want, capturedWrites(t, version, phase)...)
			}
			got := loggedWrites(t, filepath.Join(dir, "version-2"))
			if diff := cmp.Diff(writeKinds(want), writeKinds(got)); diff != "" {
				t.Errorf("Kafka (-) and we (+):\n%s", diff)
			}
		})
	}
}

// has tells whether a znode exists.
func (z znodes) has(t *testing.T, path string) bool {
	stat, err := z.Exists(t.Context(), path)
	return err == nil && stat != nil
}

// capturedWrites reads a capture: columns group, by, multi, op, path, detail, data. A group is a transaction; one that
// failed is left out, for Kafka tries many a write to see whether it is needed.
func capturedWrites(t *testing.T, version, phase string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata/zkops", version, phase+"-*.tsv"))
	if err != nil || len(files) != 1 {
		t.Fatalf("phase %s: %v, %v", phase, files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var all, ops []string
	group := ""
	for _, line := range append(strings.Split(strings.TrimSpace(string(text)), "\n")[1:], "\t\t\t\t") {
		f := strings.Split(line, "\t")
		if f[0] != group {
			all, ops, group = append(all, transaction(ops)...), nil, f[0]
		}
		ops = append(ops, f[3]+" "+f[4])
	}
	return all
}

var (
	loggedHead = regexp.MustCompile(`(?m)^\d+/\d+/\d+, .* zxid 0x[0-9a-f]+ (\w+) ?`)
	loggedPart = regexp.MustCompile(`(create|setData|delete|check|error):[^/]*(/[\w./-]+)`)
	loggedPath = regexp.MustCompile(`^/[\w./-]+`)
)

// loggedWrites has Java read our transaction logs.
func loggedWrites(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "log.*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("logs in %s: %v, %v", dir, files, err)
	}
	var all []string
	for _, file := range files {
		out, err := execute(t, "", "java", append(jvmFlags[:len(jvmFlags):len(jvmFlags)], "-cp", jars(t, kafkaNew),
			"org.apache.zookeeper.server.persistence.TxnLogToolkit", "-d", file)...)
		if err != nil {
			t.Fatal(err)
		}
		// What follows a head may have line ends of its own.
		heads := loggedHead.FindAllStringSubmatchIndex(out, -1)
		for i, at := range heads {
			end := len(out)
			if i+1 < len(heads) {
				end = heads[i+1][0]
			}
			verb, rest := out[at[2]:at[3]], out[at[1]:end]
			ops := []string{verb + " " + loggedPath.FindString(rest)}
			if verb == "multi" {
				ops = nil
				for _, part := range loggedPart.FindAllStringSubmatch(rest, -1) {
					ops = append(ops, part[1]+" "+part[2])
				}
			}
			all = append(all, transaction(ops)...)
		}
	}
	return all
}

// transaction gives the writes of one transaction, those checked against the controller's epoch marked so.
func transaction(ops []string) []string {
	prefix := ""
	var writes []string
	for _, op := range ops {
		verb, path, _ := strings.Cut(op, " ")
		switch {
		case verb == "error":
			return nil
		case op == "check "+zkmeta.ControllerEpochPath:
			prefix = "checked "
		case path == zkmeta.ProducerIDBlockPath && verb == "setData":
			// A broker below level 3.0 takes a block at its start, beside what the controller does.
		case verb == "create" || verb == "setData" || verb == "delete":
			writes = append(writes, prefix+op)
		}
	}
	return writes
}

var partitionNumber = regexp.MustCompile(`/partitions/\d+(/state)?`)

// writeKinds puts one letter for all partitions, takes the two deletions of a partition as one, and leaves repeats out.
func writeKinds(writes []string) []string {
	var kinds []string
	for _, w := range writes {
		kind := partitionNumber.ReplaceAllString(w, "/partitions/N$1")
		if strings.Contains(kind, "delete ") {
			kind = strings.TrimSuffix(kind, "/state")
		}
		if len(kinds) == 0 || kinds[len(kinds)-1] != kind {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}
