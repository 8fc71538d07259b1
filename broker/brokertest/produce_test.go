package brokertest

import (
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// The whole slice in one breath: a topic made by asking for it, records with every kind of acks, read back as they were.
func TestWhatIsProducedIsReadBack(t *testing.T) {
	c := Start(t)
	for _, acks := range []sarama.RequiredAcks{sarama.WaitForAll, sarama.WaitForLocal, sarama.NoResponse} {
		t.Run(fmt.Sprint("acks=", acks), func(t *testing.T) {
			topic := fmt.Sprint("acks", int(acks)+1)
			cfg := sarama.NewConfig()
			cfg.Producer.RequiredAcks = acks
			cfg.Producer.Return.Successes = true
			p, err := sarama.NewSyncProducer(c.Bootstrap(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			const n = 100
			for i := range n {
				if _, _, err := p.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(fmt.Sprint(i))}); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			for i, v := range readAll(t, c, topic, n) {
				if v != fmt.Sprint(i) {
					t.Fatalf("offset %d holds %q", i, v)
				}
			}
		})
	}
}

func readAll(t *testing.T, c *Cluster, topic string, n int) []string {
	t.Helper()
	consumer, err := sarama.NewConsumer(c.Bootstrap(), sarama.NewConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	p, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var values []string
	deadline := time.After(20 * time.Second)
	for len(values) < n {
		select {
		case m := <-p.Messages():
			values = append(values, string(m.Value))
		case <-deadline:
			t.Fatalf("%d of %d records came", len(values), n)
		}
	}
	return values
}
