package record

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// capture is a broker of one partition that keeps the batches produced to it: what other libraries really write.
type capture struct {
	t    *testing.T
	l    net.Listener
	done sync.WaitGroup
	mu   struct {
		sync.Mutex
		batches [][]byte
	}
}

func newCapture(t *testing.T) *capture {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &capture{t: t, l: l}
	c.done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.done.Go(func() { c.serve(conn) })
		}
	})
	return c
}

// stop waits for the clients to hang up.
func (c *capture) stop() [][]byte {
	c.l.Close()
	c.done.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.batches
}

func (c *capture) serve(conn net.Conn) {
	defer conn.Close()
	for {
		var size [4]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		frame := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(conn, frame); err != nil {
			return
		}
		key, version := int16(binary.BigEndian.Uint16(frame)), int16(binary.BigEndian.Uint16(frame[2:]))
		body := frame[10:]
		if n := int16(binary.BigEndian.Uint16(frame[8:])); n > 0 { // client id
			body = body[n:]
		}
		res := c.answer(key, version, body)
		out := res.AppendTo(append([]byte{0, 0, 0, 0}, frame[4:8]...))
		binary.BigEndian.PutUint32(out, uint32(len(out)-4))
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

func (c *capture) answer(key, version int16, body []byte) kmsg.Response {
	switch key {
	case 0:
		req := kmsg.NewPtrProduceRequest()
		req.SetVersion(version)
		if err := req.ReadFrom(body); err != nil {
			c.t.Error(err)
		}
		c.mu.Lock()
		c.mu.batches = append(c.mu.batches, bytes.Clone(req.Topics[0].Partitions[0].Records))
		c.mu.Unlock()
		res := req.ResponseKind().(*kmsg.ProduceResponse)
		p := kmsg.NewProduceResponseTopicPartition()
		t := kmsg.NewProduceResponseTopic()
		t.Topic, t.Partitions = req.Topics[0].Topic, append(t.Partitions, p)
		res.Topics = append(res.Topics, t)
		return res
	case 3:
		res := kmsg.NewPtrMetadataResponse()
		res.SetVersion(version)
		host, port, _ := net.SplitHostPort(c.l.Addr().String())
		n, _ := strconv.Atoi(port)
		b := kmsg.NewMetadataResponseBroker()
		b.NodeID, b.Host, b.Port = 1, host, int32(n)
		p := kmsg.NewMetadataResponseTopicPartition()
		p.Leader, p.Replicas, p.ISR = 1, []int32{1}, []int32{1}
		t := kmsg.NewMetadataResponseTopic()
		t.Topic, t.Partitions = kmsg.StringPtr("t"), append(t.Partitions, p)
		res.Brokers, res.ControllerID, res.Topics = append(res.Brokers, b), 1, append(res.Topics, t)
		return res
	case 18:
		res := kmsg.NewPtrApiVersionsResponse()
		if version > 0 {
			res.ErrorCode = 35
		}
		for _, r := range [][3]int16{{0, 3, 7}, {3, 1, 4}, {18, 0, 0}} {
			k := kmsg.NewApiVersionsResponseApiKey()
			k.ApiKey, k.MinVersion, k.MaxVersion = r[0], r[1], r[2]
			res.ApiKeys = append(res.ApiKeys, k)
		}
		return res
	}
	c.t.Errorf("request %d was not announced", key)
	return kmsg.NewPtrApiVersionsResponse()
}

// sent is what each library is told to produce.
func sent(i int) (key, value []byte, at time.Time) {
	return fmt.Appendf(nil, "key %d", i), sample(1000 + i), time.UnixMilli(1_700_000_000_000 + int64(i))
}

const sentRecords = 200

// checkSent reads captured batches and compares.
func checkSent(t *testing.T, codec Codec, batches [][]byte) {
	t.Helper()
	n := 0
	for _, raw := range batches {
		b, rest, err := Next(raw)
		if err != nil || len(rest) > 0 || b.Codec() != codec {
			t.Fatalf("%d bytes behind a batch of %s, %v", len(rest), b.Codec(), err)
		}
		if err := b.CheckCRC(); err != nil {
			t.Fatal(err)
		}
		s, err := b.Survey(1 << 30)
		if err != nil || !s.Dense || s.Count != b.Count() || s.MaxTimestamp != b.MaxTimestamp() {
			t.Fatalf("%+v, header maximum %d, %v", s, b.MaxTimestamp(), err)
		}
		it := b.Records(wide)
		for ; it.Next(); n++ {
			key, value, at := sent(n)
			r := it.Record()
			h := r.AppendHeaders(nil)
			if !bytes.Equal(r.Key, key) || !bytes.Equal(r.Value, value) || r.Timestamp != at.UnixMilli() || len(h) != 1 ||
				h[0].Key != "h" || string(h[0].Value) != "x" {
				t.Fatalf("record %d is %q at %d with %v", n, r.Key, r.Timestamp, h)
			}
		}
		if it.Err() != nil {
			t.Fatal(it.Err())
		}
	}
	if n != sentRecords {
		t.Errorf("%d records", n)
	}
}

func TestBatchesOfFranzGoAreRead(t *testing.T) {
	compression := []kgo.CompressionCodec{None: kgo.NoCompression(), Gzip: kgo.GzipCompression(), Snappy: kgo.SnappyCompression(),
		LZ4: kgo.Lz4Compression(), Zstd: kgo.ZstdCompression()}
	for _, codec := range codecs {
		t.Run(codec.String(), func(t *testing.T) {
			c := newCapture(t)
			client, err := kgo.NewClient(kgo.SeedBrokers(c.l.Addr().String()), kgo.DefaultProduceTopic("t"), kgo.DisableIdempotentWrite(),
				kgo.ProducerBatchCompression(compression[codec]), kgo.ProducerLinger(50*time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			var records []*kgo.Record
			for i := range sentRecords {
				key, value, at := sent(i)
				records = append(records, &kgo.Record{Key: key, Value: value, Timestamp: at, Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("x")}}})
			}
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			err = client.ProduceSync(ctx, records...).FirstErr()
			client.Close()
			batches := c.stop()
			if err != nil {
				t.Fatal(err)
			}
			checkSent(t, codec, batches)
		})
	}
}

func TestBatchesOfSaramaAreRead(t *testing.T) {
	for _, codec := range codecs {
		t.Run(codec.String(), func(t *testing.T) {
			c := newCapture(t)
			conf := sarama.NewConfig()
			conf.Version = sarama.V2_1_0_0
			conf.Producer.Compression = sarama.CompressionCodec(codec)
			conf.Producer.Return.Successes = true
			conf.Metadata.AllowAutoTopicCreation = false
			p, err := sarama.NewSyncProducer([]string{c.l.Addr().String()}, conf)
			if err != nil {
				t.Fatal(err)
			}
			var messages []*sarama.ProducerMessage
			for i := range sentRecords {
				key, value, at := sent(i)
				messages = append(messages, &sarama.ProducerMessage{Topic: "t", Key: sarama.ByteEncoder(key), Value: sarama.ByteEncoder(value),
					Timestamp: at, Headers: []sarama.RecordHeader{{Key: []byte("h"), Value: []byte("x")}}})
			}
			err = p.SendMessages(messages)
			p.Close()
			batches := c.stop()
			if err != nil {
				t.Fatal(err)
			}
			checkSent(t, codec, batches)
		})
	}
}
