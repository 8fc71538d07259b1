//go:build interop

package interop

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/zurau/zurau/zkmeta/zkserver"
)

// The suites that talk to ZooKeeper run once more, on a real ensemble of three and below a chroot.
func TestTheSuitesRunOnARealEnsemble(t *testing.T) {
	ensemble := startEnsemble(t, 3)
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-timeout=20m",
		"github.com/zurau/zurau/broker/brokertest", "github.com/zurau/zurau/zkmeta")
	cmd.Env = append(os.Environ(), "ZURAU_TEST_ZOOKEEPER="+ensemble)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// Apache Kafka's brokers start on our ZooKeeper server, work, and survive its kill -9 and restart.
func TestKafkaBrokersLiveOnOurZooKeeper(t *testing.T) {
	for _, version := range []string{kafkaOld, kafkaNew} {
		t.Run(version, func(t *testing.T) {
			options := zkserver.Options{Dir: t.TempDir(), Addr: fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0]), TickTime: 500 * time.Millisecond}
			start := func() *zkserver.Server {
				zk, err := zkserver.NewServer(options)
				if err != nil {
					t.Fatal(err)
				}
				if err := zk.Start(); err != nil {
					t.Fatal(err)
				}
				return zk
			}
			zk := start()
			b := startKafka(t, version, 3, options.Addr+"/kafka")
			roundTrip(t, b.addr, "before")
			zk.Kill()
			roundTrip(t, b.addr, "before") // no topic is made, so no ZooKeeper is needed
			zk = start()
			t.Cleanup(func() { zk.Close() })
			roundTrip(t, b.addr, "after")
			b.stop()
		})
	}
}

// roundTrip produces to a topic, which is made if it is not there, and reads the record back.
func roundTrip(t *testing.T, bootstrap, topic string) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(-1))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	value := fmt.Sprint(time.Now().UnixNano())
	if err := c.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	c.AddConsumeTopics(topic)
	for {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		for _, r := range fetches.Records() {
			if string(r.Value) == value {
				return
			}
		}
	}
}
