package brokertest_test

import (
	"testing"

	"github.com/IBM/sarama"

	"github.com/zurau/zurau/broker/brokertest"
)

// The test of the README.
func TestMyService(t *testing.T) {
	cluster := brokertest.Start(t)
	producer, err := sarama.NewSyncProducer(cluster.Bootstrap(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	if _, offset, err := producer.SendMessage(&sarama.ProducerMessage{Topic: "first", Value: sarama.StringEncoder("from Go")}); err != nil || offset != 0 {
		t.Fatalf("offset %d, %v", offset, err)
	}
}

// A leader is killed, another is cut off from its peers, and at the end everything that was acknowledged must be there.
func ExampleStart() {
	var t *testing.T // the test's own; its package has func TestMain(m *testing.M) { brokertest.Main(m) }

	cluster := brokertest.Start(t, brokertest.Brokers(3), brokertest.Processes(), brokertest.Links())
	cluster.CreateTopic("orders", 3, 3, "min.insync.replicas=2")
	load := cluster.StartLoad("orders", 3)

	leader := cluster.Leader("orders", 0)
	leader.Kill()
	load.AwaitAcks(1)
	leader.Start()
	cluster.AwaitISR("orders", 3)

	lonely := cluster.Leader("orders", 0)
	lonely.Cut(brokertest.Peers, brokertest.ToZooKeeper)
	load.AwaitAcks(1)
	lonely.Heal()

	load.Check(3)
}
