package brokertest

import (
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// everybodyInSync waits until the ISR of every partition of a topic has n members.
func everybodyInSync(t *testing.T, client sarama.Client, topic string, n int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if err := client.RefreshMetadata(topic); err != nil {
			t.Fatal(err)
		}
		partitions, err := client.Partitions(topic)
		if err != nil {
			t.Fatal(err)
		}
		short := 0
		for _, p := range partitions {
			if isr, err := client.InSyncReplicas(topic, p); err != nil || len(isr) != n {
				short++
			}
		}
		if short == 0 && len(partitions) > 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d partitions of %s have not %d members in their ISR", short, topic, n)
		}
	}
}

func TestRecordsAreReplicatedAndSurviveTheLeader(t *testing.T) {
	c := Start(t, Brokers(3), Property("min.insync.replicas", "2"), Property("default.replication.factor", "3"))
	conf := sarama.NewConfig()
	conf.Version = sarama.V2_8_0_0
	conf.Producer.RequiredAcks = sarama.WaitForAll
	conf.Producer.Return.Successes = true
	conf.Metadata.Retry.Max, conf.Producer.Retry.Max = 100, 100
	client, err := sarama.NewClient(c.Bootstrap(), conf)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.CreateTopic("t", &sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 3}, false); err != nil {
		t.Fatal(err)
	}
	producer, err := sarama.NewSyncProducerFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	sent := 0
	send := func(n int) {
		t.Helper()
		for range n {
			began := time.Now()
			if _, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: "t", Value: sarama.StringEncoder(fmt.Sprint(sent))}); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 100*time.Millisecond {
				t.Logf("record %d took %v", sent, took)
			}
			sent++
		}
	}
	send(100)
	for id := range 3 {
		c.Node(id).Stop()
		send(100)
		c.Node(id).Start()
		everybodyInSync(t, client, "t", 3)
		send(100)
	}
	seen := make(map[string]bool)
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	for p := range int32(3) {
		end, err := client.GetOffset("t", p, sarama.OffsetNewest)
		if err != nil {
			t.Fatal(err)
		}
		if end == 0 {
			continue
		}
		pc, err := consumer.ConsumePartition("t", p, sarama.OffsetOldest)
		if err != nil {
			t.Fatal(err)
		}
		for m := range pc.Messages() {
			seen[string(m.Value)] = true
			if m.Offset == end-1 {
				break
			}
		}
		_ = pc.Close()
	}
	if len(seen) != sent {
		t.Fatalf("%d of %d acknowledged records are there", len(seen), sent)
	}
}
