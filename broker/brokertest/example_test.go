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
