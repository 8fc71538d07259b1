//go:build interop

package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"
)

// clientTimeout bounds every client program.
const clientTimeout = 90 * time.Second

// writer produces records to partition 0 and returns the offsets it was told.
type writer struct {
	name  string
	write func(t *testing.T, bootstrap, topic, codec string, records []rec) []int64
}

// reader reads count records from the start of partition 0.
type reader struct {
	name string
	read func(t *testing.T, bootstrap, topic string, count int) []rec
}

func javaWriter(version string) writer {
	return writer{"java-" + version, func(t *testing.T, bootstrap, topic, codec string, records []rec) []int64 {
		return produceWith(t, records, "java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", javaClient(t, version), "Client", "produce", bootstrap, topic, codec)
	}}
}

func javaReader(version string) reader {
	return reader{"java-" + version, func(t *testing.T, bootstrap, topic string, count int) []rec {
		return consumeWith(t, "java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", javaClient(t, version), "Client", "consume", bootstrap, topic, strconv.Itoa(count))
	}}
}

func pythonWriter(family string) writer {
	return writer{family, func(t *testing.T, bootstrap, topic, codec string, records []rec) []int64 {
		return produceWith(t, records, python(t), "testdata/client.py", "produce", family, bootstrap, topic, codec)
	}}
}

func pythonReader(family string) reader {
	return reader{family, func(t *testing.T, bootstrap, topic string, count int) []rec {
		return consumeWith(t, python(t), "testdata/client.py", "consume", family, bootstrap, topic, strconv.Itoa(count))
	}}
}

func nodeWriter() writer {
	return writer{"kafkajs", func(t *testing.T, bootstrap, topic, codec string, records []rec) []int64 {
		program, err := filepath.Abs("testdata/client.js")
		if err != nil {
			t.Fatal(err)
		}
		// require() looks beside the program first; NODE_PATH leads it to where the packages are.
		t.Setenv("NODE_PATH", filepath.Join(node(t), "node_modules"))
		return produceWith(t, records, "node", program, bootstrap, topic, codec)
	}}
}

func produceWith(t *testing.T, records []rec, name string, args ...string) []int64 {
	var in bytes.Buffer
	for _, r := range records {
		in.WriteString(r.inLine())
	}
	var offsets []int64
	for line := range strings.Lines(output(t, &in, name, args...)) {
		offset, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
		if err != nil {
			t.Fatalf("%s printed %q where an offset was due", name, line)
		}
		offsets = append(offsets, offset)
	}
	return offsets
}

func consumeWith(t *testing.T, name string, args ...string) []rec {
	var records []rec
	for line := range strings.Lines(output(t, nil, name, args...)) {
		r, err := parseLine(strings.TrimSuffix(line, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	return records
}

// output runs a client program to its end and returns what it printed.
func output(t *testing.T, in *bytes.Buffer, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	dieWithUs(cmd)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.Env = os.Environ()
	if in != nil {
		cmd.Stdin = in
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s%s", name, args, err, out, stderr.Bytes())
	}
	return string(out)
}

// kcatReader prints JSON; kcat has no way to tell an empty value from none in it, so a null is read as its size says.
func kcatReader() reader {
	return reader{"kcat", func(t *testing.T, bootstrap, topic string, count int) []rec {
		format := `%o\t%K\t%S\t%T\n` // sizes of key and value: -1 is null
		sizes := strings.Split(strings.TrimSpace(output(t, nil, kcat(t), "-C", "-q", "-b", bootstrap, "-t", topic, "-p", "0",
			"-o", "beginning", "-e", "-f", format)), "\n")
		lines := strings.Split(strings.TrimSpace(output(t, nil, kcat(t), "-C", "-q", "-b", bootstrap, "-t", topic, "-p", "0",
			"-o", "beginning", "-c", strconv.Itoa(count), "-J")), "\n")
		if len(sizes) != len(lines) {
			t.Fatalf("kcat read %d records, then %d", len(sizes), len(lines))
		}
		var records []rec
		for i, line := range lines {
			var m struct {
				Offset, TS   int64
				Key, Payload *string
				Headers      []*string
			}
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatalf("kcat printed %q: %v", line, err)
			}
			f := strings.Split(sizes[i], "\t")
			r := rec{Offset: m.Offset, Timestamp: m.TS, Key: sized(m.Key, f[1]), Value: sized(m.Payload, f[2])}
			for j := 0; j+1 < len(m.Headers); j += 2 {
				h := header{Name: *m.Headers[j]}
				if m.Headers[j+1] != nil {
					h.Value = []byte(*m.Headers[j+1])
				}
				r.Headers = append(r.Headers, h)
			}
			records = append(records, r)
		}
		return records
	}}
}

func sized(s *string, size string) []byte {
	switch {
	case size == "-1":
		return nil
	case s == nil:
		return []byte{}
	}
	return []byte(*s)
}

var saramaCodecs = map[string]sarama.CompressionCodec{"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD}

func saramaWriter() writer {
	return writer{"sarama", func(t *testing.T, bootstrap, topic, codec string, records []rec) []int64 {
		c := sarama.NewConfig()
		c.Producer.Return.Successes = true
		c.Producer.RequiredAcks = sarama.WaitForAll
		c.Producer.Partitioner = sarama.NewManualPartitioner
		c.Producer.Compression = saramaCodecs[codec]
		p, err := sarama.NewSyncProducer([]string{bootstrap}, c)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		messages := make([]*sarama.ProducerMessage, len(records))
		for i, r := range records {
			m := &sarama.ProducerMessage{Topic: topic, Timestamp: time.UnixMilli(r.Timestamp)}
			if r.Key != nil {
				m.Key = sarama.ByteEncoder(r.Key)
			}
			if r.Value != nil {
				m.Value = sarama.ByteEncoder(r.Value)
			}
			for _, h := range r.Headers {
				m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(h.Name), Value: h.Value})
			}
			messages[i] = m
		}
		if err := p.SendMessages(messages); err != nil {
			t.Fatal(err)
		}
		offsets := make([]int64, len(messages))
		for i, m := range messages {
			offsets[i] = m.Offset
		}
		return offsets
	}}
}

func saramaReader() reader {
	return reader{"sarama", func(t *testing.T, bootstrap, topic string, count int) []rec {
		c, err := sarama.NewConsumer([]string{bootstrap}, sarama.NewConfig())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		p, err := c.ConsumePartition(topic, 0, sarama.OffsetOldest)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		var records []rec
		deadline := time.After(clientTimeout)
		for len(records) < count {
			select {
			case m := <-p.Messages():
				r := rec{Offset: m.Offset, Key: m.Key, Value: m.Value, Timestamp: m.Timestamp.UnixMilli()}
				for _, h := range m.Headers {
					r.Headers = append(r.Headers, header{string(h.Key), h.Value})
				}
				records = append(records, r)
			case <-deadline:
				t.Fatalf("%d of %d records came", len(records), count)
			}
		}
		return records
	}}
}

func franzWriter() writer {
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	return writer{"franz-go", func(t *testing.T, bootstrap, topic, codec string, records []rec) []int64 {
		c, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ProducerBatchCompression(codecs[codec]),
			kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		out := make([]*kgo.Record, len(records))
		for i, r := range records {
			k := &kgo.Record{Topic: topic, Key: r.Key, Value: r.Value, Timestamp: time.UnixMilli(r.Timestamp)}
			for _, h := range r.Headers {
				k.Headers = append(k.Headers, kgo.RecordHeader{Key: h.Name, Value: h.Value})
			}
			out[i] = k
		}
		if err := c.ProduceSync(t.Context(), out...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		offsets := make([]int64, len(out))
		for i, k := range out {
			offsets[i] = k.Offset
		}
		return offsets
	}}
}

func franzReader() reader {
	return reader{"franz-go", func(t *testing.T, bootstrap, topic string, count int) []rec {
		c, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ConsumePartitions(
			map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
		defer cancel()
		var records []rec
		for len(records) < count {
			fetches := c.PollFetches(ctx)
			if err := fetches.Err(); err != nil {
				t.Fatal(fmt.Errorf("%d of %d records came: %w", len(records), count, err))
			}
			fetches.EachRecord(func(k *kgo.Record) {
				r := rec{Offset: k.Offset, Key: k.Key, Value: k.Value, Timestamp: k.Timestamp.UnixMilli()}
				for _, h := range k.Headers {
					r.Headers = append(r.Headers, header{h.Key, h.Value})
				}
				records = append(records, r)
			})
		}
		return records
	}}
}
