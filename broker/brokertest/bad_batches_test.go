package brokertest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/record"
)

// batch is a record batch of magic 2 with any field wrong; newBatch gives one that is right.
type batch struct {
	base, firstTimestamp, maxTimestamp int64
	magic                              int8
	attributes                         int16
	lastDelta, count                   int32
	payload                            []byte // the records, compressed or not
	length                             *int32 // nil: as it is
	crc                                func(uint32) uint32
}

func newBatch(count int32, payload []byte) batch {
	return batch{magic: 2, count: count, lastDelta: count - 1, payload: payload, crc: func(c uint32) uint32 { return c }}
}

func (b batch) bytes() []byte {
	tail := join(i16(b.attributes), i32(b.lastDelta), i64(b.firstTimestamp), i64(b.maxTimestamp),
		i64(-1), i16(-1), i32(-1), i32(b.count), b.payload)
	crc := b.crc(crc32.Checksum(tail, crc32.MakeTable(crc32.Castagnoli)))
	rest := join(i32(0), []byte{byte(b.magic)}, i32(int32(crc)), tail) // leader epoch first
	length := int32(len(rest))
	if b.length != nil {
		length = *b.length
	}
	return join(i64(b.base), i32(length), rest)
}

func i64(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func varint(n int64) []byte { return binary.AppendVarint(nil, n) }

// rawRecord is a record without key and headers.
func rawRecord(offsetDelta int64, value []byte) []byte {
	body := join([]byte{0}, varint(0), varint(offsetDelta), varint(-1), varint(int64(len(value))), value, varint(0))
	return join(varint(int64(len(body))), body)
}

func records(n int) []byte {
	var b []byte
	for i := range n {
		b = append(b, rawRecord(int64(i), []byte("value"))...)
	}
	return b
}

// badBatch is what a producer sends for one partition.
type badBatch struct {
	name    string
	records []byte
	version int16 // of Produce; 0 stands for 8
	want    *kerr.Error
}

// edited is a good batch of one record, with one thing done to it.
func edited(edit func(*batch)) []byte {
	b := newBatch(1, records(1))
	edit(&b)
	return b.bytes()
}

func badBatches() []badBatch {
	good := newBatch(1, records(1)).bytes()
	length := func(n int32) func(*batch) { return func(b *batch) { b.length = &n } }
	long := rawRecord(0, []byte("value"))
	long[0] += 20 // zigzag: ten bytes longer than it is
	oldSet := join(i64(0), i32(14+5), i32(int32(crc32.ChecksumIEEE(join([]byte{0, 0}, i32(-1), i32(5), []byte("value"))))),
		[]byte{0, 0}, i32(-1), i32(5), []byte("value"))
	return []badBatch{
		{name: "a bad checksum", records: edited(func(b *batch) { b.crc = func(c uint32) uint32 { return c + 1 } }), want: kerr.CorruptMessage},
		{name: "magic 3", records: edited(func(b *batch) { b.magic = 3 }), want: kerr.CorruptMessage},
		{name: "magic 127", records: edited(func(b *batch) { b.magic = 127 }), want: kerr.CorruptMessage},
		{name: "magic -1", records: edited(func(b *batch) { b.magic = -1 }), want: kerr.CorruptMessage},
		{name: "a length of 10", records: edited(length(10)), want: kerr.CorruptMessage},
		{name: "a length of -5", records: edited(length(-5)), want: kerr.CorruptMessage},
		{name: "a length of 2^31-1", records: edited(length(math.MaxInt32)), want: kerr.InvalidRecord},
		{name: "a count of 5 for one record", records: edited(func(b *batch) { b.count = 5 }), want: kerr.InvalidRecord},
		{name: "a count of 0 for one record", records: edited(func(b *batch) { b.count = 0 }), want: kerr.InvalidRecord},
		{name: "a count of -1", records: edited(func(b *batch) { b.count = -1 }), want: kerr.InvalidRecord},
		{name: "a count and delta of five for one record", records: edited(func(b *batch) { b.count, b.lastDelta = 5, 4 }), want: kerr.InvalidRecord},
		{name: "a count of 2^31-1", records: edited(func(b *batch) { b.count, b.lastDelta = math.MaxInt32, math.MaxInt32-1 }), want: kerr.InvalidRecord},
		{name: "one record counted, two there", records: edited(func(b *batch) { b.payload = records(2) }), want: kerr.InvalidRecord},
		{name: "a last offset delta of 3", records: edited(func(b *batch) { b.lastDelta = 3 }), want: kerr.InvalidRecord},
		{name: "a last offset delta of -1", records: edited(func(b *batch) { b.lastDelta = -1 }), want: kerr.InvalidRecord},
		{name: "a base offset of 100", records: edited(func(b *batch) { b.base = 100 }), want: kerr.InvalidRecord},
		// Kafka stores this one as it is, and no reader can make sense of it.
		{name: "an offset delta of 3 in the only record", records: edited(func(b *batch) { b.payload = rawRecord(3, []byte("v")) }), want: kerr.InvalidRecord},
		{name: "a record longer than the batch", records: edited(func(b *batch) { b.payload = long }), want: kerr.InvalidRecord},
		{name: "two batches", records: join(good, good), want: kerr.InvalidRecord},
		{name: "no batch", records: []byte{}, want: kerr.InvalidRecord},
		{name: "null", records: nil, want: kerr.InvalidRecord}, // Kafka never answers this one
		{name: "half a batch", records: good[:len(good)/2], want: kerr.InvalidRecord},
		{name: "all but the last byte", records: good[:len(good)-1], want: kerr.InvalidRecord},
		{name: "5 bytes of rubbish", records: []byte("abcde"), want: kerr.InvalidRecord},
		{name: "a message set of version 0", records: oldSet, want: kerr.InvalidRecord},
		{name: "the control bit", records: edited(func(b *batch) { b.attributes = 1 << 5 }), want: kerr.InvalidRecord},
		{name: "the transactional bit and no transactional id", records: edited(func(b *batch) { b.attributes = 1 << 4 }), want: kerr.TransactionalIDAuthorizationFailed},
		// Kafka answers these with -1, an error of its own.
		{name: "codec 5", records: edited(func(b *batch) { b.attributes = 5 }), want: kerr.InvalidRecord},
		{name: "codec 7", records: edited(func(b *batch) { b.attributes = 7 }), want: kerr.InvalidRecord},
		{name: "gzip that is none", records: edited(func(b *batch) { b.attributes = 1 }), want: kerr.InvalidRecord},
		{name: "snappy that is none", records: edited(func(b *batch) { b.attributes = 2 }), want: kerr.InvalidRecord},
		{name: "lz4 that is none", records: edited(func(b *batch) { b.attributes = 3 }), want: kerr.InvalidRecord},
		{name: "zstd that is none", records: edited(func(b *batch) { b.attributes = 4 }), want: kerr.InvalidRecord},
		{name: "zstd before its time", version: 6, records: newBatch(1, records(1)).in(record.Zstd), want: kerr.UnsupportedCompressionType},
		{name: "more than max.message.bytes", records: newBatch(1, rawRecord(0, make([]byte, 2<<20))).bytes(), want: kerr.MessageTooLarge},
	}
}

// in compresses the records.
func (b batch) in(codec record.Codec) []byte {
	b.payload = pack(codec, bytes.NewReader(b.payload))
	b.attributes |= int16(codec)
	return b.bytes()
}

func pack(codec record.Codec, src io.Reader) []byte {
	var out bytes.Buffer
	var w io.WriteCloser
	switch codec {
	case record.Gzip:
		w, _ = gzip.NewWriterLevel(&out, gzip.BestSpeed)
	case record.Snappy: // as librdkafka: one block
		all, err := io.ReadAll(src)
		if err != nil {
			panic(err)
		}
		return snappy.Encode(nil, all)
	case record.LZ4:
		z := lz4.NewWriter(&out)
		if err := z.Apply(lz4.BlockChecksumOption(false), lz4.ChecksumOption(false)); err != nil {
			panic(err)
		}
		w = z
	case record.Zstd:
		w, _ = zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
	}
	if _, err := io.Copy(struct{ io.Writer }{w}, src); err != nil { // lz4's ReadFrom does not get along with its Close
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// zeros is a reader of n bytes of nothing.
func zeros(n int64) io.Reader { return io.LimitReader(nothing{}, n) }

type nothing struct{}

func (nothing) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// bomb is a small batch that unpacks to much.
func bomb(codec record.Codec, megabytes int64, want *kerr.Error) badBatch {
	size := megabytes << 20
	head := join([]byte{0}, varint(0), varint(0), varint(-1), varint(size)) // of one record with a value of that size
	b := newBatch(1, pack(codec, io.MultiReader(
		bytes.NewReader(varint(int64(len(head))+size+1)), bytes.NewReader(head), zeros(size+1))))
	b.attributes = int16(codec)
	return badBatch{name: fmt.Sprintf("one record of %d MiB in %v", megabytes, codec), records: b.bytes(), want: want}
}

// rubbishBomb unpacks to zeros, of which already the first is no record.
func rubbishBomb(codec record.Codec, megabytes int64) badBatch {
	b := newBatch(1, pack(codec, zeros(megabytes<<20)))
	b.attributes = int16(codec)
	return badBatch{name: fmt.Sprintf("%d MiB of zeros in %v", megabytes, codec), records: b.bytes(), want: kerr.InvalidRecord}
}

// largeBombs fill the megabyte that a batch may have.
func largeBombs() []badBatch {
	// Ten million records of seven bytes: every one of them right, and more than anybody means.
	tiny := newBatch(10_000_000, pack(record.Gzip, bytes.NewReader(bytes.Repeat(rawRecord(0, nil), 10_000_000))))
	tiny.attributes = int16(record.Gzip)
	return []badBatch{
		bomb(record.Gzip, 900, kerr.MessageTooLarge),
		bomb(record.Zstd, 1024, kerr.MessageTooLarge),
		bomb(record.LZ4, 240, kerr.MessageTooLarge),
		bomb(record.Snappy, 18, nil), // no more than an honest producer may send
		rubbishBomb(record.Gzip, 900), rubbishBomb(record.Zstd, 1024), rubbishBomb(record.LZ4, 240), rubbishBomb(record.Snappy, 18),
		{name: "ten million records in gzip", records: tiny.bytes(), want: kerr.MessageTooLarge},
	}
}

// smallBombs take some 50 kB each, so that a hundred at once are no burden by themselves.
func smallBombs() []badBatch {
	lies := newBatch(1, join(uvarint(math.MaxUint32), []byte("rubbish")))
	lies.attributes = int16(record.Snappy)
	return []badBatch{
		bomb(record.Gzip, 70, kerr.MessageTooLarge),
		bomb(record.Zstd, 500, kerr.MessageTooLarge),
		rubbishBomb(record.Gzip, 50), rubbishBomb(record.Zstd, 500), rubbishBomb(record.LZ4, 12), rubbishBomb(record.Snappy, 1),
		{name: "a snappy block that says it unpacks to 4 GiB", records: lies.bytes(), want: kerr.InvalidRecord},
	}
}

// produce sends records to partition 0 and returns the answer for it.
func produce(addr, topic string, version int16, recs []byte) (kmsg.ProduceResponseTopicPartition, error) {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = version, -1, 10000
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = recs
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{p}}}
	resp, err := tryAsk[*kmsg.ProduceResponse](addr, req)
	if err != nil {
		return kmsg.ProduceResponseTopicPartition{}, err
	}
	return resp.Topics[0].Partitions[0], nil
}

// refused sends a bad batch and compares the answer.
func (b badBatch) refused(addr, topic string) error {
	version := b.version
	if version == 0 {
		version = 8
	}
	got, err := produce(addr, topic, version, b.records)
	if err != nil {
		return fmt.Errorf("%s: %w", b.name, err)
	}
	if want := kerr.CodeOf(errorOrNil(b.want)); got.ErrorCode != want || want != 0 && got.BaseOffset != -1 {
		return fmt.Errorf("%s: answered %d at offset %d, want %d", b.name, got.ErrorCode, got.BaseOffset, want)
	}
	return nil
}

func errorOrNil(e *kerr.Error) error {
	if e == nil {
		return nil
	}
	return e
}

func TestABadBatchIsRefusedAndNothingOfItIsStored(t *testing.T) {
	c := startChild(t, nil)
	createTopic(t, c.addr, "t", nil)
	good := newBatch(3, records(3)).bytes()
	for i, bad := range badBatches() {
		if err := bad.refused(c.addr, "t"); err != nil {
			t.Error(err)
		}
		if got, err := produce(c.addr, "t", 8, good); err != nil || got.ErrorCode != 0 || got.BaseOffset != int64(3*i) {
			t.Fatalf("a good batch behind %s: %+v, %v; want it at offset %d", bad.name, got, err, 3*i)
		}
	}
}

func TestDecompressionBombsCostNoMemory(t *testing.T) {
	for _, c := range []struct {
		name        string
		connections int
		config      map[string]string
		bombs       []badBatch
	}{
		{"a hundred small ones at once", 100, map[string]string{"max.message.bytes": "131072"}, smallBombs()},
		{"a hundred of which the good ones are compressed anew", 100,
			map[string]string{"max.message.bytes": "131072", "compression.type": "lz4"}, smallBombs()},
		{"large ones, as many as one client has in flight", 5, map[string]string{"max.message.bytes": "1048588"}, largeBombs()},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := startChild(t, nil)
			createTopic(t, b.addr, "t", c.config)
			normal := startPulse(t, b.addr)
			m := watchMemory(t, b.Node)
			stored := int64(0)
			if raceEnabled {
				c.connections = 2 // gigabytes under its eyes take minutes
			}
			for _, bomb := range c.bombs {
				var clients sync.WaitGroup
				for range c.connections {
					clients.Go(func() {
						if err := bomb.refused(b.addr, "t"); err != nil {
							t.Error(err)
						}
					})
				}
				clients.Wait()
				normal.await(1)
				if bomb.want == nil {
					stored += int64(c.connections)
				}
				if end, err := endOf(b.addr, "t", 0); err != nil || end != stored {
					t.Errorf("%s: the log ends at %d, %v; want %d", bomb.name, end, err, stored)
				}
				t.Logf("%s: %d kB, RssAnon %d MiB", bomb.name, len(bomb.records)>>10, rssAnon(b.PID())>>20)
			}
			m.check(t, memoryBound)
		})
	}
}
