//go:build interop

package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/zurau/zurau/broker/brokertest"
)

// quickstart is what every tutorial does first: a topic, a few lines in, the same lines out, by partition and offset.
func quickstart(t *testing.T, bootstrap string, tools tool) {
	do := func(stdin, name string, args ...string) string {
		t.Helper()
		out, err := tools(t, stdin, name, args...)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return out
	}
	want := func(out, part string) {
		t.Helper()
		if !strings.Contains(out, part) {
			t.Fatalf("%q is missing in\n%s", part, out)
		}
	}
	to := []string{"--bootstrap-server", bootstrap}
	want(do("", "kafka-topics", append(to, "--create", "--topic", "quickstart-events", "--partitions", "2")...), "Created topic quickstart-events.")
	want(do("", "kafka-topics", append(to, "--list")...), "quickstart-events\n")
	want(do("", "kafka-topics", append(to, "--describe", "--topic", "quickstart-events")...), "PartitionCount: 2")
	lines := "This is my first event\nThis is my second event\nzürau \u2603\n"
	do(lines, "kafka-console-producer", append(to, "--topic", "quickstart-events", "--request-required-acks", "all")...)
	got := ""
	for p := range 2 {
		out, err := tools(t, "", "kafka-console-consumer", append(to, "--topic", "quickstart-events", "--partition", fmt.Sprint(p),
			"--offset", "earliest", "--timeout-ms", "5000")...)
		if err != nil {
			t.Logf("consumer ended with %v", err) // Java's tool calls its own time-out an error
		}
		got += out
	}
	if got != lines {
		t.Fatalf("produced %q, consumed %q", lines, got)
	}
	want(do("", "kafka-configs", append(to, "--alter", "--entity-type", "topics", "--entity-name", "quickstart-events",
		"--add-config", "retention.ms=1000000")...), "Completed updating config for topic quickstart-events.")
	want(do("", "kafka-configs", append(to, "--describe", "--entity-type", "topics", "--entity-name", "quickstart-events")...), "retention.ms=1000000")
	do("", "kafka-topics", append(to, "--alter", "--topic", "quickstart-events", "--partitions", "3")...)
	want(do("", "kafka-topics", append(to, "--describe", "--topic", "quickstart-events")...), "PartitionCount: 3")
	want(do("", "kafka-log-dirs", append(to, "--describe", "--topic-list", "quickstart-events")...), "quickstart-events-2")
	file := filepath.Join(t.TempDir(), "delete.json")
	writeFile(t, file, `{"version":1,"partitions":[{"topic":"quickstart-events","partition":0,"offset":-1}]}`)
	want(do("", "kafka-delete-records", append(to, "--offset-json-file", file)...), "low_watermark: ")
	want(do("", "kafka-broker-api-versions", to...), "Produce(0): 0 to 11 [usable")
	do("", "kafka-topics", append(to, "--delete", "--topic", "quickstart-events")...)
	await(t, javaStart, "the topic to go", func() bool {
		return !strings.Contains(do("", "kafka-topics", append(to, "--list")...), "quickstart-events")
	})
}

func TestJavaToolsDoTheQuickstartOnOurBroker(t *testing.T) {
	for _, version := range []string{kafkaOld, kafkaNew} {
		t.Run(version, func(t *testing.T) { quickstart(t, brokertest.Start(t).Bootstrap()[0], javaTool(version)) })
	}
}

func TestOurToolsDoTheQuickstart(t *testing.T) {
	t.Run("on our broker", func(t *testing.T) { quickstart(t, brokertest.Start(t).Bootstrap()[0], ourTool) })
	t.Run("on Apache Kafka "+kafkaNew, func(t *testing.T) {
		quickstart(t, startKafka(t, kafkaNew, 0, startEnsemble(t, 1)).addr, ourTool)
	})
}

// Tools up to 2.8 write znodes and leave the rest to the controller.
func quickstartByZnodes(t *testing.T, bootstrap, zookeeper string, tools tool) {
	do := func(name string, args ...string) {
		t.Helper()
		if out, err := tools(t, "", name, append([]string{"--zookeeper", zookeeper}, args...)...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	admin := adminOf(t, bootstrap)
	partitions := func() int {
		m, err := admin.Metadata(t.Context(), "by-znode")
		if err != nil || m.Topics["by-znode"].Err != nil {
			return 0
		}
		return len(m.Topics["by-znode"].Partitions)
	}
	do("kafka-topics", "--create", "--topic", "by-znode", "--partitions", "2", "--replication-factor", "1")
	await(t, javaStart, "the topic", func() bool { return partitions() == 2 })
	roundTrip(t, bootstrap, "by-znode")
	do("kafka-topics", "--alter", "--topic", "by-znode", "--partitions", "3")
	await(t, javaStart, "a third partition", func() bool { return partitions() == 3 })
	do("kafka-configs", "--alter", "--entity-type", "topics", "--entity-name", "by-znode", "--add-config", "max.message.bytes=1234")
	await(t, javaStart, "the setting", func() bool {
		all, err := admin.DescribeTopicConfigs(t.Context(), "by-znode")
		return err == nil && len(all) == 1 && slices.ContainsFunc(all[0].Configs, func(c kadm.Config) bool {
			return c.Key == "max.message.bytes" && c.MaybeValue() == "1234"
		})
	})
	do("kafka-topics", "--delete", "--topic", "by-znode")
	await(t, javaStart, "the topic to go", func() bool { return partitions() == 0 })
}

func TestZooKeeperToolsAreServed(t *testing.T) {
	t.Run("Java's of "+kafkaOld+" by us", func(t *testing.T) {
		c := brokertest.Start(t)
		quickstartByZnodes(t, c.Bootstrap()[0], c.ZooKeeperConnect(), javaTool(kafkaOld))
	})
	t.Run("ours by Apache Kafka "+kafkaOld, func(t *testing.T) {
		zookeeper := startEnsemble(t, 1) + "/kafka"
		quickstartByZnodes(t, startKafka(t, kafkaOld, 0, zookeeper).addr, zookeeper, ourTool)
	})
}

// Java's dump tool finds nothing wrong with logs that have everything in them: transactions, gaps, truncations,
// deletions, nothing at all.
func TestJavaReadsEveryKindOfLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	t.Setenv("ZURAU_LOGS_FOR_JAVA", dir)
	if err := run("../../storage", "go", "test", "-count=1", "-run", "^TestLogsForJava$", "."); err != nil {
		t.Fatal(err)
	}
	var logs, others []string
	for _, kind := range []string{"log", "index", "timeindex", "snapshot", "txnindex"} {
		found, err := filepath.Glob(filepath.Join(dir, "*", "*."+kind))
		if err != nil || len(found) == 0 {
			t.Fatalf("no file of kind %s, %v", kind, err)
		}
		if kind == "log" {
			logs = found
		} else {
			others = append(others, found...)
		}
	}
	complaint := regexp.MustCompile(`Exception|isvalid: false|[mM]ismatch|Found|not-found|Non-consecutive|corrupt|out of order|Error|failed`)
	for _, version := range []string{kafkaOld, kafkaNew} {
		for _, args := range [][]string{
			{"--deep-iteration", "--print-data-log", "--files", strings.Join(logs, ",")},
			{"--files", strings.Join(others, ",")},
			{"--index-sanity-check", "--files", strings.Join(others, ",")},
			{"--verify-index-only", "--files", strings.Join(others, ",")},
		} {
			out, err := javaTool(version)(t, "", "kafka-dump-log", args...)
			if err != nil {
				t.Fatal(err)
			}
			if at := complaint.FindStringIndex(out); at != nil {
				t.Errorf("%s %s complains: ...%s", version, args[0], out[max(0, at[0]-300):min(len(out), at[0]+500)])
			}
		}
	}
}

// Java's own reader of log directories, indexes and producer snapshots finds nothing wrong with what we wrote.
func TestJavaReadsOurLogDirectory(t *testing.T) {
	c := brokertest.Start(t, brokertest.Property("log.segment.bytes", "200000"), brokertest.Property("log.index.interval.bytes", "512"))
	for _, codec := range codecs {
		topic := createTopic(t, c.Bootstrap()[0], "dump", nil)
		for range 20 {
			franzWriter().write(t, c.Bootstrap()[0], topic, codec, sample("franz-go", codec))
		}
	}
	dir := c.Node(0).Dir()
	c.Node(0).Stop()
	for _, version := range []string{kafkaOld, kafkaNew} {
		logs, err := filepath.Glob(filepath.Join(dir, "dump-*", "*.log"))
		if err != nil || len(logs) < 10 {
			t.Fatalf("%d segments, %v", len(logs), err)
		}
		dump := func(args ...string) string {
			t.Helper()
			out, err := javaTool(version)(t, "", "kafka-dump-log", args...)
			if err != nil {
				t.Fatal(err)
			}
			for _, complaint := range []string{"invalid", "mismatch", "Found", "rror", "isvalid: false"} {
				if strings.Contains(out, complaint) {
					t.Errorf("Java %s complains:\n%s", version, out)
				}
			}
			return out
		}
		dump("--deep-iteration", "--files", strings.Join(logs, ","))
		indexes, _ := filepath.Glob(filepath.Join(dir, "dump-*", "*index"))
		dump("--index-sanity-check", "--files", strings.Join(indexes, ","))
		snapshots, _ := filepath.Glob(filepath.Join(dir, "dump-*", "*.snapshot"))
		dump("--files", strings.Join(snapshots, ","))
		if _, err := os.Stat(filepath.Join(dir, ".kafka_cleanshutdown")); err != nil {
			t.Error(err)
		}
	}
}
