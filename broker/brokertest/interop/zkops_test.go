//go:build interop

package interop

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zurau/zurau/broker/brokertest"
	"github.com/zurau/zurau/broker/brokertest/zklog"
	"github.com/zurau/zurau/zkmeta"
	"github.com/zurau/zurau/zkmeta/zkserver"
)

// TestTheZooKeeperWritesOfABrokerAreKafkas leads a broker of Apache Kafka and one of ours through the same life, each on
// a ZooKeeper server of ours, and compares what the two wrote, from the transaction logs: every transaction, every
// field, in order. The captured life of three brokers (golden/zkops) is compared by the controller's own tests.
func TestTheZooKeeperWritesOfABrokerAreKafkas(t *testing.T) {
	for version, level := range map[string]string{kafkaOld: "2.8", kafkaNew: "3.9"} {
		t.Run(version, func(t *testing.T) {
			dir := t.TempDir()
			want, _ := writesOfALife(t, func(connect string) (string, func()) {
				b := startKafka(t, version, 0, connect, "log.dirs="+dir)
				return b.addr, b.stop
			})
			dir = t.TempDir()
			got, logs := writesOfALife(t, func(connect string) (string, func()) {
				c := brokertest.Start(t, brokertest.ZooKeeper(connect), brokertest.Property("inter.broker.protocol.version", level),
					brokertest.Property("log.dirs", dir))
				return c.Bootstrap()[0], c.Node(0).Stop
			})
			// Blocks of producer ids are taken beside what the controller does.
			wantBlocks, want := blocksApart(want)
			gotBlocks, got := blocksApart(got)
			if diff := cmp.Diff(wantBlocks, gotBlocks); diff != "" {
				t.Errorf("blocks of producer ids, Kafka (-) and we (+):\n%s", diff)
			}
			if diff := cmp.Diff(zklog.InOurOrder(want, got), got); diff != "" {
				t.Errorf("Kafka (-) and we (+):\n%s", diff)
			}
			t.Logf("%d writes are compared", len(got)+len(gotBlocks))
			javaReads(t, logs)
		})
	}
}

// writesOfALife starts a broker on a ZooKeeper server of its own, has topics made, altered and deleted, stops and
// starts it again, and gives what it wrote, and the folder of the logs.
func writesOfALife(t *testing.T, start func(connect string) (bootstrap string, stop func())) ([]zklog.Write, string) {
	t.Helper()
	dir := t.TempDir()
	zk := startOurZooKeeper(t, zkserver.Options{Dir: dir, Addr: "127.0.0.1:0", TickTime: 500 * time.Millisecond})
	connect := zk.Addr().String()
	bootstrap, stop := start(connect)
	z, admin := zkSession(t, connect), adminOf(t, bootstrap)
	// Each step waits for the last write of the one before.
	until := func(path string, there bool) {
		t.Helper()
		await(t, 15*time.Second, path, func() bool { return z.has(t, path) == there })
	}
	until(zkmeta.FeaturePath, true)
	create(t, admin, "t", 3, nil)
	until("/brokers/topics/t/partitions/2/state", true)
	setConfig(t, admin, "t", "retention.ms", "1000000")
	until("/config/changes/config_change_0000000000", true)
	if answers, err := admin.UpdatePartitions(t.Context(), 4, "t"); err != nil || answers.Error() != nil {
		t.Fatal(err, answers.Error())
	}
	until("/brokers/topics/t/partitions/3/state", true)
	initProducerID(t, bootstrap)
	create(t, admin, "stays", 2, map[string]string{"retention.ms": "2000000"})
	until("/brokers/topics/stays/partitions/1/state", true)
	deleteTopic(t, admin, "t")
	until("/admin/delete_topics/t", false)
	until("/brokers/topics/t", false)
	stop()
	bootstrap, stop = start(connect)
	until(zkmeta.ControllerPath, true)
	admin = adminOf(t, bootstrap)
	await(t, 15*time.Second, "the broker to be told of its topic", func() bool {
		topics, err := admin.ListTopics(t.Context(), "stays")
		return err == nil && topics["stays"].Err == nil
	})
	setConfig(t, admin, "stays", "retention.ms", "3000000") // comes last
	until("/config/changes/config_change_0000000001", true)
	stop()

	transactions, err := zklog.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := map[int64]string{}
	for _, transaction := range transactions {
		for _, op := range transaction.Ops {
			if op.Verb == "create" && op.Path == "/brokers/ids/0" {
				names[transaction.Session] = "broker-0"
			}
		}
	}
	writes := zklog.Writes(transactions, names, zklog.Identities{})
	return slices.DeleteFunc(writes, func(w zklog.Write) bool { return w.By == "tool" }), filepath.Join(dir, "version-2")
}

// has tells whether a znode exists.
func (z znodes) has(t *testing.T, path string) bool {
	stat, err := z.Exists(t.Context(), path)
	return err == nil && stat != nil
}

func blocksApart(writes []zklog.Write) (blocks, others []zklog.Write) {
	for _, w := range writes {
		if w.Op == "setData" && w.Path == zkmeta.ProducerIDBlockPath {
			blocks = append(blocks, w)
		} else {
			others = append(others, w)
		}
	}
	return blocks, others
}

// javaReads has ZooKeeper's own tool read our transaction logs to their ends.
func javaReads(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "log.*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("logs in %s: %v, %v", dir, files, err)
	}
	for _, file := range files {
		out, err := execute(t, "", "java", append(jvmFlags[:len(jvmFlags):len(jvmFlags)], "-cp", jars(t, kafkaNew),
			"org.apache.zookeeper.server.persistence.TxnLogToolkit", "-d", file)...)
		if err != nil {
			t.Fatal(err)
		}
		for _, end := range []string{"create /consumers,", "EOF reached after", fmt.Sprintf("closeSession v{%s", "'/brokers/ids/0")} {
			if !strings.Contains(out, end) {
				t.Errorf("Java does not say %q of %s", end, file)
			}
		}
	}
}
