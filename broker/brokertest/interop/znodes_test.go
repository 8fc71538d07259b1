//go:build interop

package interop

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/brokertest"
	"github.com/zurau/zurau/broker/brokertest/zklog"
	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/zkmeta"
	"github.com/zurau/zurau/zkmeta/zkserver"
)

// TestZnodesOfToolsAreKafkas takes the captured steps of 2.8.2 that were taken with --zookeeper, with our tools, on our
// ZooKeeper and on a real ensemble. All other captured steps are those of the broker's own test (brokertest), which
// TestTheSuitesRunOnARealEnsemble takes to the ensemble.
func TestZnodesOfToolsAreKafkas(t *testing.T) {
	servers := map[string]func(*testing.T) string{
		"zkserver": func(t *testing.T) string {
			o := zkserver.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0", TickTime: 500 * time.Millisecond}
			return startOurZooKeeper(t, o).Addr().String()
		},
		"real ensemble": func(t *testing.T) string { return startEnsemble(t, 3) },
	}
	for name, start := range servers {
		t.Run(name, func(t *testing.T) { znodesOfTools(t, start(t)+"/znodes") })
	}
}

func znodesOfTools(t *testing.T, connect string) {
	c := brokertest.Start(t, brokertest.ZooKeeper(connect), brokertest.Property("inter.broker.protocol.version", "2.8"))
	z := zkSession(t, connect)
	ours, kafkas := zklog.Identities{}, zklog.Identities{}
	z.same(t, "01", ours, kafkas)
	do := func(name string, args ...string) {
		t.Helper()
		if out, err := ourTool(t, "", name, append([]string{"--zookeeper", connect}, args...)...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	admin := adminOf(t, c.Bootstrap()[0])
	create(t, admin, "t", 3, nil)
	do("kafka-topics", "--create", "--topic", "tz", "--partitions", "3", "--replication-factor", "1", "--config", "retention.ms=1000000")
	z.same(t, "02", ours, kafkas)
	alterTopicT(t, admin)
	do("kafka-topics", "--alter", "--topic", "tz", "--partitions", "4")
	do("kafka-configs", "--alter", "--entity-type", "topics", "--entity-name", "tz", "--add-config", "segment.ms=777777")
	z.same(t, "03", ours, kafkas)
}

// alterTopicT does what the captured cluster did to topic t: two partitions more, and two settings at once.
func alterTopicT(t *testing.T, admin *kadm.Client) {
	t.Helper()
	if answers, err := admin.UpdatePartitions(t.Context(), 5, "t"); err != nil || answers.Error() != nil {
		t.Fatal(err, answers.Error())
	}
	answers, err := admin.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "max.message.bytes", Value: kadm.StringPtr("500000")},
		{Name: "retention.ms", Value: kadm.StringPtr("123456000")}}, "t")
	if err != nil || answers[0].Err != nil {
		t.Fatal(err, answers)
	}
}

func adminOf(t *testing.T, bootstrap string) *kadm.Client {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return kadm.NewClient(c)
}

func create(t *testing.T, admin *kadm.Client, topic string, partitions int32, configs map[string]string) {
	t.Helper()
	settings := map[string]*string{}
	for k, v := range configs {
		settings[k] = kadm.StringPtr(v)
	}
	if _, err := admin.CreateTopic(t.Context(), partitions, 1, settings, topic); err != nil {
		t.Fatal(err)
	}
}

func setConfig(t *testing.T, admin *kadm.Client, topic, key, value string) {
	t.Helper()
	answers, err := admin.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: key, Value: &value}}, topic)
	if err != nil || answers[0].Err != nil {
		t.Fatal(err, answers)
	}
}

func deleteTopic(t *testing.T, admin *kadm.Client, topic string) {
	t.Helper()
	if _, err := admin.DeleteTopics(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
}

func initProducerID(t *testing.T, bootstrap string) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	req := kmsg.NewPtrInitProducerIDRequest()
	await(t, 10*time.Second, "a producer id", func() bool {
		answer, err := req.RequestWith(t.Context(), c)
		return err == nil && answer.ErrorCode == 0
	})
}

type znodes struct{ *zkmeta.Session }

func zkSession(t *testing.T, connect string) znodes {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), javaStart)
	defer cancel()
	c, err := zkmeta.Connect(ctx, zkmeta.Options{ConnectString: connect, SessionTimeout: 6 * time.Second, Level: ibp.Latest})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	s, err := c.AwaitSession(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return znodes{s}
}

// same waits until all znodes are those of a captured step of 2.8.2; the controller works on after the answer to a request.
func (z znodes) same(t *testing.T, step string, ours, kafkas zklog.Identities) {
	t.Helper()
	files, err := filepath.Glob("../testdata/znodes/2.8.2/" + step + "-*.txt")
	if err != nil || len(files) != 1 {
		t.Fatalf("step %s: %v, %v", step, files, err)
	}
	want, err := zklog.ReadDump(files[0], kafkas)
	if err != nil {
		t.Fatal(err)
	}
	var diff string
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		got, err := zklog.Dump(t.Context(), z.Session, ours)
		if err != nil {
			t.Fatal(err)
		}
		diff = cmp.Diff(want, got)
		if diff == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("step %s, Kafka (-) and we (+):\n%s", step, diff)
			return
		}
	}
}
