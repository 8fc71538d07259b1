package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/topic"
)

const validationTime = 1_700_000_000_000

// validOptions are those of a Produce v9 to a topic with Kafka's defaults, changed by change.
func validOptions(change func(*ValidateOptions, *config.Topic)) ValidateOptions {
	c := &config.Topic{
		CleanupDelete: true, CompressionType: "producer", CompressionGzipLevel: -1, CompressionLZ4Level: 9,
		CompressionZstdLevel: 3, MaxMessageBytes: 1 << 20, SegmentBytes: 1 << 30, MessageTimestampType: "CreateTime",
		MessageTimestampBeforeMaxMS: math.MaxInt64, MessageTimestampAfterMaxMS: math.MaxInt64,
	}
	o := ValidateOptions{Config: c, Partition: topic.Partition{Topic: "cmp"}, ProduceVersion: 9, NowMS: validationTime}
	if change != nil {
		change(&o, c)
	}
	return o
}

// produced is a batch of n records with keys, stamped from validationTime on.
func produced(t testing.TB, codec record.Codec, n int, valueBytes int) record.Batch {
	t.Helper()
	b := record.NewBuilder(record.Compression{Codec: codec, Level: record.DefaultLevel}, math.MaxInt32)
	value := make([]byte, valueBytes)
	for i := range n {
		for j := range value {
			value[j] = 'a' + byte(i*7+j*j%13)%16
		}
		if err := b.Append(validationTime+int64(i), fmt.Appendf(nil, "k%d", i), value, nil); err != nil {
			t.Fatal(err)
		}
	}
	batch, err := b.Finish(nil)
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

// keyed is a batch with these keys, "" for null, all stamped ms.
func keyed(t testing.TB, ms int64, keys ...string) record.Batch {
	t.Helper()
	b := record.NewBuilder(record.Compression{Codec: record.None}, math.MaxInt32)
	for _, k := range keys {
		var key []byte
		if k != "" {
			key = []byte(k)
		}
		if err := b.Append(ms, key, []byte("v"), nil); err != nil {
			t.Fatal(err)
		}
	}
	batch, err := b.Finish(nil)
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

// patched gives a copy with bytes at a place of the header replaced and the CRC put right.
func patched(b record.Batch, at int, v ...byte) record.Batch {
	b = slices.Clone(b)
	copy(b[at:], v)
	b.UpdateCRC()
	return b
}

func oldSet(magic int8, keys ...string) []byte {
	var set []byte
	for i, k := range keys {
		set = record.AppendMessage(set, magic, int64(i), record.None, record.CreateTime, validationTime, []byte(k), []byte("v"))
	}
	return set
}

func packedSet(t testing.TB, codec record.Codec, inner []byte) []byte {
	t.Helper()
	value, err := record.Compress(nil, record.Compression{Codec: codec, Level: record.DefaultLevel}, 1, inner)
	if err != nil {
		t.Fatal(err)
	}
	return record.AppendMessage(nil, 1, 1, codec, record.CreateTime, validationTime, nil, value)
}

func TestValidateRefuses(t *testing.T) {
	good := produced(t, record.None, 3, 10)
	gzip := produced(t, record.Gzip, 3, 10)
	badCRC := slices.Clone(good)
	badCRC[len(badCRC)-1] ^= 1
	delta3 := slices.Clone(keyed(t, validationTime, "k"))
	delta3[64] = 6 // offset delta 3 in the only record
	delta3.UpdateCRC()
	wrongDelta, wrongKey := delta3, slices.Clone(keyed(t, validationTime, "k"))
	wrongKey[65] = 3 // key length -2
	wrongKey.UpdateCRC()
	version := func(v int16) func(*ValidateOptions, *config.Topic) {
		return func(o *ValidateOptions, _ *config.Topic) { o.ProduceVersion = v }
	}
	for _, c := range []struct {
		name   string
		in     []byte
		change func(*ValidateOptions, *config.Topic)
		want   *kerr.Error
	}{
		{"null records", nil, nil, kerr.InvalidRecord},
		{"null records of an old producer", nil, version(2), kerr.InvalidRecord},
		{"no batch", []byte{}, nil, kerr.InvalidRecord},
		{"five bytes of rubbish", []byte("dirty"), nil, kerr.InvalidRecord},
		{"a truncated batch", good[:len(good)-1], nil, kerr.InvalidRecord},
		{"two batches", slices.Concat(good, good), nil, kerr.InvalidRecord},
		{"two batches of an old producer", slices.Concat(good, good), version(2), kerr.InvalidRecord},
		{"a message set from Produce 3 on", oldSet(1, "a"), version(3), kerr.InvalidRecord},
		{"a wrong CRC", badCRC, nil, kerr.CorruptMessage},
		{"magic 3", patched(good, 16, 3), nil, kerr.CorruptMessage},
		{"a batch length of 10", patched(good, 8, 0, 0, 0, 10), nil, kerr.CorruptMessage},
		{"rubbish of batch size behind a batch", append(slices.Clone(good), make([]byte, 80)...), nil, kerr.CorruptMessage},
		{"a base offset of 100", patched(good, 7, 100), nil, kerr.InvalidRecord},
		{"a count above the records", patched(good, 57, 0, 0, 0, 5), nil, kerr.InvalidRecord},
		{"count and last delta above the records", patched(patched(good, 57, 0, 0, 0, 5), 23, 0, 0, 0, 4), nil, kerr.InvalidRecord},
		{"a count of 0", patched(good, 57, 0, 0, 0, 0), nil, kerr.InvalidRecord},
		{"a count of -1", patched(good, 57, 0xff, 0xff, 0xff, 0xff), nil, kerr.InvalidRecord},
		{"a last offset delta above the count", patched(good, 23, 0, 0, 0, 7), nil, kerr.InvalidRecord},
		{"a last offset delta at the end of numbers", patched(patched(good, 23, 0x7f, 0xff, 0xff, 0xff), 57, 0x80, 0, 0, 0), nil, kerr.InvalidRecord},
		{"an offset delta of 3 for the first record", wrongDelta, nil, kerr.InvalidRecord},
		{"a key length of -2", wrongKey, nil, kerr.InvalidRecord},
		{"a control batch", patched(good, 21, 0, 0x20), nil, kerr.InvalidRecord},
		{"a producer without sequence", patched(good, 43, 0, 0, 0, 0, 0, 0, 0, 9), nil, kerr.InvalidRecord},
		{"codec 5", patched(good, 21, 0, 5), nil, kerr.InvalidRecord},
		{"codec 7", patched(good, 21, 0, 7), nil, kerr.InvalidRecord},
		{"a gzip bit on plain records", patched(good, 21, 0, 1), nil, kerr.InvalidRecord},
		{"a zstd bit on plain records", patched(good, 21, 0, 4), nil, kerr.InvalidRecord},
		{"no codec bit on gzip records", patched(gzip, 21, 0, 0), nil, kerr.InvalidRecord},
		{"zstd before Produce 7", produced(t, record.Zstd, 1, 1), version(6), kerr.UnsupportedCompressionType},
		{"a batch above max.message.bytes", produced(t, record.None, 1, 1000),
			func(_ *ValidateOptions, c *config.Topic) { c.MaxMessageBytes = 1000 }, kerr.MessageTooLarge},
		{"a batch above max.message.bytes once it is unpacked", produced(t, record.Gzip, 9, 1000),
			func(_ *ValidateOptions, c *config.Topic) { c.MaxMessageBytes, c.CompressionType = 5000, "uncompressed" }, kerr.MessageTooLarge},
		{"a batch above segment.bytes", good,
			func(_ *ValidateOptions, c *config.Topic) { c.SegmentBytes = 80 }, kerr.RecordListTooLarge},
		{"a batch that claims LogAppendTime where the broker stamps", patched(good, 21, 0, 8),
			func(_ *ValidateOptions, c *config.Topic) { c.MessageTimestampType = "LogAppendTime" }, kerr.InvalidTimestamp},
		{"a batch that claims LogAppendTime without a time", patched(patched(good, 21, 0, 8), 35, 255, 255, 255, 255, 255, 255, 255, 255),
			nil, kerr.InvalidTimestamp},
		{"an old wrapper in a wrapper", packedSet(t, record.Gzip, packedSet(t, record.Gzip, oldSet(1, "a", "b"))), version(2), kerr.InvalidRecord},
		{"two old wrappers", slices.Concat(packedSet(t, record.Gzip, oldSet(1, "a", "b")), packedSet(t, record.Gzip, oldSet(1, "a", "b"))),
			version(2), kerr.InvalidRecord},
		{"an old message above max.message.bytes", record.AppendMessage(nil, 1, 0, record.None, record.CreateTime, 0, nil, make([]byte, 2000)),
			func(o *ValidateOptions, c *config.Topic) {
				o.ProduceVersion, c.MaxMessageBytes, c.CompressionType = 2, 1000, "gzip"
			}, kerr.MessageTooLarge},
		{"old messages that are too much together", bytes.Repeat(oldSet(1, "a"), 200),
			func(o *ValidateOptions, c *config.Topic) { o.ProduceVersion, c.MaxMessageBytes = 2, 1000 }, kerr.MessageTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := Validate(slices.Clone(c.in), validOptions(c.change))
			if kerr.CodeOf(err) != c.want.Code {
				t.Errorf("%v (%d), want %s; %d records", err, kerr.CodeOf(err), c.want.Name, v.Count)
			}
		})
	}
}

func TestValidateAccepts(t *testing.T) {
	good := produced(t, record.None, 3, 10)
	old := func(o *ValidateOptions, _ *config.Topic) { o.ProduceVersion = 0 }
	for _, c := range []struct {
		name    string
		in      []byte
		change  func(*ValidateOptions, *config.Topic)
		count   int32
		inPlace bool
	}{
		{"a plain batch, in place", good, nil, 3, true},
		{"a batch with five bytes behind it", append(slices.Clone(good), "dirty"...), nil, 3, true},
		{"any leader epoch", patched(good, 12, 0, 0, 0, 55), nil, 3, true},
		{"unused attribute bits", patched(good, 21, 0x40, 0), nil, 3, true},
		{"a claim of LogAppendTime where the producer stamps", patched(good, 21, 0, 8), nil, 3, true},
		{"records without timestamp", keyed(t, -1, "a"), nil, 1, true},
		{"timestamps below zero", keyed(t, -5, "a"), nil, 1, true},
		{"an epoch without producer", patched(good, 51, 0, 5, 0, 0, 0, 1), nil, 3, true},
		{"a marker from the coordinator", record.EndTxnMarker{ProducerID: 1}.Append(nil),
			func(o *ValidateOptions, c *config.Topic) { o.Origin, c.CompressionType = Coordinator, "gzip" }, 1, true},
		{"an empty set of an old producer", []byte{}, old, 0, false},
		{"magic 2 of an old producer", good, old, 3, true},
		{"magic 0", oldSet(0, "a", "b"), old, 2, false},
		{"magic 1", oldSet(1, "a", "b"), old, 2, false},
		{"magic 1 with a cut message", oldSet(1, "a", "b")[:60], old, 1, false},
		{"a wrapper", packedSet(t, record.Snappy, oldSet(1, "a", "b")), old, 2, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := Validate(slices.Clone(c.in), validOptions(c.change))
			if err != nil || v.Count != c.count || v.InPlace != c.inPlace {
				t.Fatalf("%+v, %v", v, err)
			}
			v.AssignOffsets(70, 5, validationTime)
			if v.Count == 0 {
				return
			}
			if err := v.Batch.CheckCRC(); err != nil || v.Batch.BaseOffset() != 70 || v.Batch.LastOffset() != 69+int64(c.count) ||
				v.Batch.LeaderEpoch() != 5 || v.LogAppendTime != -1 || v.Batch.TimestampType() != record.CreateTime {
				t.Errorf("%x, %v", []byte(v.Batch), err)
			}
		})
	}
}

func TestTheMaximumTimestampIsPutRight(t *testing.T) {
	in := patched(keyed(t, 1234, "a", "b"), 35, 0, 0, 0, 0, 0, 0, 0, 1)
	v, err := Validate(in, validOptions(nil))
	if err != nil || v.MaxTimestamp != 1234 || v.Batch.MaxTimestamp() != 1234 || v.Batch.CheckCRC() != nil {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestLogAppendTimeIsStampedWithTheOffsets(t *testing.T) {
	for _, codec := range []record.Codec{record.None, record.LZ4} {
		v, err := Validate(produced(t, codec, 3, 10), validOptions(func(_ *ValidateOptions, c *config.Topic) {
			c.MessageTimestampType, c.MessageTimestampBeforeMaxMS, c.MessageTimestampAfterMaxMS = "LogAppendTime", 0, 0
		}))
		if err != nil {
			t.Fatal(err)
		}
		v.AssignOffsets(7, 1, validationTime+999)
		b := v.Batch
		if b.TimestampType() != record.LogAppendTime || b.MaxTimestamp() != validationTime+999 || v.MaxTimestamp != validationTime+999 ||
			v.LogAppendTime != validationTime+999 || b.BaseTimestamp() != validationTime || b.CheckCRC() != nil {
			t.Errorf("%s: %+v", codec, v)
		}
	}
}

func TestTheTopicsCompressionIsApplied(t *testing.T) {
	types := map[string]record.Codec{"uncompressed": record.None, "gzip": record.Gzip, "snappy": record.Snappy, "lz4": record.LZ4, "zstd": record.Zstd}
	for name, want := range types {
		for source := record.None; source <= record.Zstd; source++ {
			in := produced(t, source, 40, 100)
			v, err := Validate(in, validOptions(func(_ *ValidateOptions, c *config.Topic) { c.CompressionType = name }))
			if err != nil {
				t.Fatal(err)
			}
			if v.Batch.Codec() != want || v.InPlace != (source == want) || v.Batch.CheckCRC() != nil {
				t.Errorf("%s in a topic of %s: %s, in place %t", source, name, v.Batch.Codec(), v.InPlace)
			}
			if s, err := v.Batch.Survey(1 << 20); err != nil || s.Count != 40 || !s.Dense || s.MaxTimestamp != validationTime+39 {
				t.Errorf("%s in a topic of %s: %+v, %v", source, name, s, err)
			}
		}
	}
}

func TestWrongDeltasOfACompressedBatchAreMended(t *testing.T) {
	plain := produced(t, record.None, 3, 10)
	records := slices.Clone(plain[record.HeaderBytes:])
	records[3] = 8 // offset delta 4 in the first record
	packed, err := record.Compress(nil, record.Compression{Codec: record.Gzip, Level: record.DefaultLevel}, 2, records)
	if err != nil {
		t.Fatal(err)
	}
	in := append(slices.Clone(plain[:record.HeaderBytes]), packed...)
	binary.BigEndian.PutUint32(in[8:], uint32(len(in)-12))
	v, err := Validate(patched(in, 21, 0, 1), validOptions(nil))
	if err != nil || v.InPlace || v.Batch.Codec() != record.Gzip {
		t.Fatalf("%+v, %v", v, err)
	}
	if s, err := v.Batch.Survey(1 << 20); err != nil || !s.Dense || s.Count != 3 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestACompactedTopicNamesTheRecordsWithoutKey(t *testing.T) {
	const text = "Compacted topic cannot accept message without key in topic partition cmp-0"
	compact := func(_ *ValidateOptions, c *config.Topic) { c.CleanupCompact = true }
	_, err := Validate(keyed(t, validationTime, "a", "", "b"), validOptions(compact))
	var bad *RecordErrors
	if !errors.As(err, &bad) || kerr.CodeOf(err) != kerr.InvalidRecord.Code {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]RecordError{{1, text}}, bad.Records); diff != "" {
		t.Error(diff)
	}
	want := "One or more records have been rejected due to 1 record errors in total, and only showing the first three errors at " +
		"most: [RecordError(batchIndex=1, message='" + text + "')]"
	if kerr.MessageOf(err) != want {
		t.Errorf("message %q", kerr.MessageOf(err))
	}
	_, err = Validate(keyed(t, validationTime, make([]string, 5000)...), validOptions(compact))
	if !errors.As(err, &bad) || len(bad.Records) != listedRecordErrors || !strings.Contains(bad.Error(), "due to 5000 record errors") ||
		strings.Count(bad.Error(), "batchIndex") != 3 {
		t.Error(err)
	}
}

func TestTimestampsOutOfBoundsAreNamed(t *testing.T) {
	for _, c := range []struct {
		name          string
		ms            int64
		before, after int64
		ok            bool
	}{
		{"now", validationTime, 0, 0, true},
		{"no timestamp", -1, 0, 0, true},
		{"just early enough", validationTime - 10, 10, 0, true},
		{"too early", validationTime - 11, 10, 0, false},
		{"just late enough", validationTime + 10, 0, 10, true},
		{"too late", validationTime + 11, math.MaxInt64, 10, false},
		{"the end of time without bounds", math.MaxInt64, math.MaxInt64, math.MaxInt64, true},
		{"long before the epoch", -1 << 62, math.MaxInt64, 10, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Validate(keyed(t, c.ms, "a"), validOptions(func(_ *ValidateOptions, conf *config.Topic) {
				conf.MessageTimestampBeforeMaxMS, conf.MessageTimestampAfterMaxMS = c.before, c.after
			}))
			if c.ok {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var bad *RecordErrors
			if !errors.As(err, &bad) || kerr.CodeOf(err) != kerr.InvalidTimestamp.Code || len(bad.Records) != 1 {
				t.Fatal(err)
			}
			want := fmt.Sprintf("Timestamp %d of message with offset 0 is out of range. The timestamp should be within [%d, %d]",
				c.ms, validationTime-c.before, validationTime+c.after)
			if got := bad.Records[0].Message; got != want {
				t.Errorf("message %q, want %q", got, want)
			}
			if got := kerr.MessageOf(err); got != "One or more records have been rejected due to invalid timestamp" {
				t.Errorf("message %q", got)
			}
		})
	}
}

func TestEveryRecordWithTheStampOfABrokerIsNamed(t *testing.T) {
	stamped := patched(keyed(t, validationTime, "a", "b", "c"), 21, 0, 8)
	_, err := Validate(stamped, validOptions(func(_ *ValidateOptions, c *config.Topic) {
		c.MessageTimestampType = "LogAppendTime"
	}))
	var bad *RecordErrors
	if !errors.As(err, &bad) || kerr.CodeOf(err) != kerr.InvalidTimestamp.Code {
		t.Fatal(err)
	}
	const text = "Invalid timestamp type in message. Producer should not set timestamp type to LogAppendTime."
	if diff := cmp.Diff([]RecordError{{0, text}, {1, text}, {2, text}}, bad.Records); diff != "" {
		t.Error(diff)
	}
}

func TestABombIsRefused(t *testing.T) {
	for codec := record.Gzip; codec <= record.Zstd; codec++ {
		b := record.NewBuilder(record.Compression{Codec: codec, Level: record.DefaultLevel}, math.MaxInt32)
		if err := b.Append(validationTime, nil, make([]byte, 80<<20), nil); err != nil {
			t.Fatal(err)
		}
		bomb, err := b.Finish(nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Validate(bomb, validOptions(func(_ *ValidateOptions, c *config.Topic) { c.MaxMessageBytes = 8 << 10 }))
		if kerr.CodeOf(err) != kerr.MessageTooLarge.Code {
			t.Errorf("%s: %v", codec, err)
		}
	}
}

// FuzzValidate takes bytes as what a producer sent: what is accepted is a sound batch, what is not has a code.
func FuzzValidate(f *testing.F) {
	for codec := record.None; codec <= record.Zstd; codec++ {
		f.Add([]byte(produced(f, codec, 3, 10)), int16(9), true)
	}
	f.Add(oldSet(0, "a", "b"), int16(0), false)
	f.Add(packedSet(f, record.LZ4, oldSet(1, "a", "b")), int16(2), false)
	f.Fuzz(func(t *testing.T, in []byte, version int16, compact bool) {
		if b, _, err := record.Next(in); err == nil && b != nil && b.Magic() == 2 {
			b.UpdateCRC() // else the fuzzer would hardly ever come further
		}
		o := validOptions(func(o *ValidateOptions, c *config.Topic) {
			o.ProduceVersion, c.CleanupCompact = version, compact
			c.MaxMessageBytes, c.MessageTimestampBeforeMaxMS = 64<<10, 1<<40
			if version&1 == 1 {
				c.CompressionType = "lz4"
			}
			if version&2 == 2 {
				c.MessageTimestampType = "LogAppendTime"
			}
		})
		v, err := Validate(in, o)
		if err != nil {
			if kerr.CodeOf(err) == kerr.UnknownServerError.Code {
				t.Fatal(err)
			}
			return
		}
		if v.Count == 0 {
			return
		}
		v.AssignOffsets(1000, 3, validationTime)
		b, rest, err := record.Next(v.Batch)
		if err != nil || len(rest) != 0 || b.CheckCRC() != nil || b.BaseOffset() != 1000 || b.LastOffset() != 999+int64(v.Count) {
			t.Fatalf("%x, %v", b, err)
		}
		s, err := b.Survey(1 << 30)
		if err != nil || !s.Dense || s.Count != v.Count || compact && s.NullKeys > 0 {
			t.Fatalf("%+v, %v", s, err)
		}
	})
}
