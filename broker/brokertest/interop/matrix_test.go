//go:build interop

package interop

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/zurau/zurau/broker/brokertest"
)

var codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// Every client family writes with every codec, and every reader sees count, order, offsets, keys, values, headers and
// timestamps as they were written.
func TestEveryReaderSeesWhatEveryWriterWrote(t *testing.T) {
	bootstrap := bootstrap(t)
	writers := []writer{javaWriter(kafkaNew), javaWriter(clientNewest), pythonWriter("librdkafka"), pythonWriter("python"),
		saramaWriter(), franzWriter(), nodeWriter()}
	readers := []reader{javaReader(kafkaNew), javaReader(clientNewest), kcatReader(), pythonReader("python"), pythonReader("librdkafka"),
		saramaReader(), franzReader()}
	for _, codec := range codecs {
		t.Run(codec, func(t *testing.T) {
			topic := createTopic(t, bootstrap, "matrix-"+codec, nil)
			var want []rec
			for _, w := range writers {
				records := sample(w.name, codec)
				offsets := w.write(t, bootstrap, topic, codec, records)
				if len(offsets) != len(records) {
					t.Fatalf("%s was told %d offsets for %d records", w.name, len(offsets), len(records))
				}
				for i := range records {
					records[i].Offset = offsets[i]
					if offsets[i] != int64(len(want)+i) {
						t.Fatalf("%s: record %d got offset %d, want %d", w.name, i, offsets[i], len(want)+i)
					}
				}
				want = append(want, records...)
			}
			for _, r := range readers {
				t.Run(r.name, func(t *testing.T) {
					got := r.read(t, bootstrap, topic, len(want))
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("written (-) and read (+) differ:\n%s", diff)
					}
				})
			}
		})
	}
}

// sample are records with what clients find hard: no key, empty key, a tombstone, text beyond ASCII, headers that
// repeat no name, a value that compresses well and one that is longer than a buffer of most libraries.
func sample(writer, codec string) []rec {
	at := time.Now().UnixMilli()
	value := func(i int) []byte { return []byte(fmt.Sprintf("%s/%s/%d zürau \u2603", writer, codec, i)) }
	records := []rec{
		{Key: nil, Value: value(0), Timestamp: at},
		{Key: []byte("k1"), Value: value(1), Timestamp: at + 1, Headers: []header{{"a", []byte("1")}, {"b", []byte("zwei")}}},
		{Key: []byte("gone"), Value: nil, Timestamp: at - 5000},
		{Key: []byte("long"), Value: []byte(strings.Repeat(writer+codec, 9000)), Timestamp: at + 2},
	}
	for i := len(records); i < 40; i++ {
		records = append(records, rec{Key: []byte(fmt.Sprintf("key-%d", i%7)), Value: value(i), Timestamp: at + int64(i)})
	}
	return records
}

// createTopic makes a topic of one partition, with a name of its own.
func createTopic(t *testing.T, bootstrap, prefix string, configs map[string]*string) string {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	admin := kadm.NewClient(c)
	topic := fmt.Sprintf("%s-%d", prefix, time.Now().UnixNano())
	if _, err := admin.CreateTopic(t.Context(), 1, 1, configs, topic); err != nil {
		t.Fatal(err)
	}
	return topic
}

// bootstrap starts a broker of ours, or names the one to test in its place.
func bootstrap(t *testing.T) string {
	if given := os.Getenv("ZURAU_INTEROP_BOOTSTRAP"); given != "" {
		return given
	}
	return brokertest.Start(t).Bootstrap()[0]
}
