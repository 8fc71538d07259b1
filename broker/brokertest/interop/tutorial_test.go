//go:build interop

package interop

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/zurau/zurau/broker/brokertest"
)

// tutorialRecords is how many records each tutorial's loop sends.
const tutorialRecords = 200

// The producer loops of tutorials run as they are printed everywhere: plain settings, a topic that nobody has created.
// Each prints "partition TAB offset TAB key TAB value" for what was acknowledged, and exactly that is read back.
func TestProducerLoopsOfTutorials(t *testing.T) {
	bootstrap := os.Getenv("ZURAU_INTEROP_BOOTSTRAP")
	if bootstrap == "" {
		bootstrap = brokertest.Start(t, brokertest.Property("num.partitions", "3")).Bootstrap()[0]
	}
	java := func(version, program string) func(*testing.T, string) string {
		return func(t *testing.T, topic string) string {
			return output(t, nil, "java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", clientJars(t, version),
				"testdata/tutorial/"+program+".java", bootstrap, topic, strconv.Itoa(tutorialRecords))
		}
	}
	py := func(program string) func(*testing.T, string) string {
		return func(t *testing.T, topic string) string {
			return output(t, nil, python(t), "testdata/tutorial/"+program+".py", bootstrap, topic, strconv.Itoa(tutorialRecords))
		}
	}
	for _, tutorial := range []struct {
		name string
		run  func(t *testing.T, topic string) string
	}{
		{"java-sync-" + kafkaNew, java(kafkaNew, "SyncProducer")},
		{"java-sync-" + clientNewest, java(clientNewest, "SyncProducer")},
		{"java-callback-" + kafkaNew, java(kafkaNew, "CallbackProducer")},
		{"java-callback-" + clientNewest, java(clientNewest, "CallbackProducer")},
		{"kafka-python", py("kafka_python")},
		{"confluent-kafka", py("confluent")},
		{"kafkajs", func(t *testing.T, topic string) string {
			t.Setenv("NODE_PATH", filepath.Join(node(t), "node_modules"))
			return output(t, nil, "node", "testdata/tutorial/kafkajs.js", bootstrap, topic, strconv.Itoa(tutorialRecords))
		}},
		{"sarama-sync", func(t *testing.T, topic string) string { return saramaSyncLoop(t, bootstrap, topic) }},
		{"sarama-async", func(t *testing.T, topic string) string { return saramaAsyncLoop(t, bootstrap, topic) }},
	} {
		t.Run(tutorial.name, func(t *testing.T) {
			topic := fmt.Sprintf("tutorial-%s-%d", tutorial.name, os.Getpid())
			acknowledged := strings.Split(strings.TrimSpace(tutorial.run(t, topic)), "\n")
			if len(acknowledged) != tutorialRecords {
				t.Fatalf("%d of %d records were acknowledged", len(acknowledged), tutorialRecords)
			}
			slices.Sort(acknowledged)
			if diff := cmp.Diff(acknowledged, readLines(t, bootstrap, topic)); diff != "" {
				t.Errorf("acknowledged (-) and read (+) differ:\n%s", diff)
			}
		})
	}
}

// readLines reads a topic from its start to its end, as sorted lines of partition, offset, key and value.
func readLines(t *testing.T, bootstrap, topic string) []string {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ConsumeTopics(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
	defer cancel()
	var lines []string
	for len(lines) < tutorialRecords {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(fmt.Errorf("%d of %d records came: %w", len(lines), tutorialRecords, err))
		}
		fetches.EachRecord(func(r *kgo.Record) {
			lines = append(lines, fmt.Sprintf("%d\t%d\t%s\t%s", r.Partition, r.Offset, r.Key, r.Value))
		})
	}
	slices.Sort(lines)
	return lines
}

func saramaSyncLoop(t *testing.T, bootstrap, topic string) string {
	config := sarama.NewConfig()
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Retry.Max = 5
	config.Producer.Return.Successes = true
	producer, err := sarama.NewSyncProducer([]string{bootstrap}, config)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	var out strings.Builder
	for i := range tutorialRecords {
		key, value := fmt.Sprintf("key-%d", i%10), fmt.Sprintf("message %d", i)
		partition, offset, err := producer.SendMessage(&sarama.ProducerMessage{
			Topic: topic, Key: sarama.StringEncoder(key), Value: sarama.StringEncoder(value)})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%d\t%d\t%s\t%s\n", partition, offset, key, value)
	}
	return out.String()
}

func saramaAsyncLoop(t *testing.T, bootstrap, topic string) string {
	config := sarama.NewConfig()
	config.Producer.Return.Successes = true
	producer, err := sarama.NewAsyncProducer([]string{bootstrap}, config)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for i := range tutorialRecords {
			producer.Input() <- &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(fmt.Sprintf("key-%d", i%10)),
				Value: sarama.StringEncoder(fmt.Sprintf("message %d", i))}
		}
		producer.AsyncClose()
	}()
	var out strings.Builder
	errors := producer.Errors()
	for m := range producer.Successes() {
		key, _ := m.Key.Encode()
		value, _ := m.Value.Encode()
		fmt.Fprintf(&out, "%d\t%d\t%s\t%s\n", m.Partition, m.Offset, key, value)
	}
	for err := range errors {
		t.Error(err)
	}
	return out.String()
}
