package record

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/zurau/zurau/broker/kerr"
)

var codecs = []Codec{None, Gzip, Snappy, LZ4, Zstd}

func TestASurveyTellsTimestampsAndKeys(t *testing.T) {
	for _, codec := range codecs {
		t.Run(codec.String(), func(t *testing.T) {
			n := NewBuilder(Compression{Codec: codec, Level: DefaultLevel}, 1<<20)
			for _, r := range []struct {
				ms  int64
				key []byte
			}{{50, []byte("a")}, {-1, nil}, {70, []byte{}}, {40, nil}, {70, []byte("b")}} {
				if err := n.Append(r.ms, r.key, []byte("value"), nil); err != nil {
					t.Fatal(err)
				}
			}
			b, err := n.Finish(nil)
			if err != nil {
				t.Fatal(err)
			}
			want := Survey{Count: 5, NullKeys: 2, Dense: true, MinTimestamp: 40, MaxTimestamp: 70}
			if got, err := b.Survey(1 << 20); err != nil || got != want {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// appendRecord encodes a record as a client might, with any deltas.
func appendRecord(dst []byte, timestampDelta int64, offsetDelta int32, key, value []byte, headers []Header) []byte {
	f := fields{timestampDelta: timestampDelta, offsetDelta: offsetDelta, key: key, value: value,
		headerCount: int32(len(headers)), headers: appendHeaders(nil, headers)}
	return f.append(dst)
}

// raw puts records, as they are, into a batch that counts count of them.
func raw(t *testing.T, codec Codec, count int32, records []byte) Batch {
	t.Helper()
	payload, err := Compress(nil, Compression{Codec: codec, Level: DefaultLevel}, 2, records)
	if err != nil {
		t.Fatal(err)
	}
	b := Batch(append(beginBatch(nil), payload...))
	b.setAttributes(int16(codec))
	b.putInt32(countAt, count)
	b.putInt32(lastOffsetDeltaAt, count-1)
	b.putInt64(baseTimestampAt, 1000)
	return seal(b, 0)
}

func TestMalformedRecordsAreInvalid(t *testing.T) {
	good := appendRecord(nil, 0, 0, []byte("k"), []byte("v"), []Header{{"h", nil}})
	body := func(b ...byte) []byte { return append(appendVarint(nil, int32(len(b))), b...) }
	long := func(change func([]byte)) []byte { // one record larger than the window
		b := appendRecord(nil, 0, 0, []byte("k"), make([]byte, 3*windowBytes), nil)
		change(b)
		return b
	}
	for _, c := range []struct {
		name    string
		count   int32
		records []byte
	}{
		{"fewer records than counted", 2, good},
		{"more records than counted", 1, append(slices.Clone(good), good...)},
		{"a count far beyond the bytes", math.MaxInt32, good},
		{"a byte behind the last record", 1, append(slices.Clone(good), 0)},
		{"a record length of zero", 1, []byte{0, 0, 0, 0, 0, 0, 0}},
		{"a record length below zero", 1, append([]byte{1}, good[1:]...)},
		{"a record length beyond the batch", 1, append([]byte{100}, good[1:]...)},
		{"a varint of six bytes", 1, body(0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 1, 1, 0)},
		{"a varlong of eleven bytes", 1, body(0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0, 1, 1, 0)},
		{"a key length of -2", 1, body(0, 0, 0, 3, 1, 0)},
		{"a key beyond the record", 1, body(0, 0, 0, 40, 1, 0)},
		{"a value length of -2", 1, body(0, 0, 0, 1, 3, 0)},
		{"a value beyond the record", 1, body(0, 0, 0, 1, 40, 0)},
		{"a header count below zero", 1, body(0, 0, 0, 1, 1, 1)},
		{"a header count beyond the bytes", 1, append(body(0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f), 0)},
		{"a null header key", 1, body(0, 0, 0, 1, 1, 2, 1, 1)},
		{"a null header key that ends the record", 1, body(0, 0, 0, 1, 1, 2, 1)},
		{"a header value beyond the record", 1, body(0, 0, 0, 1, 1, 2, 0, 60)},
		{"a record with bytes in place of headers", 1, body(0, 0, 0, 1, 1, 0, 9)},
		{"a record with bytes behind its headers", 1, body(0, 0, 0, 1, 1, 2, 0, 1, 9)},
		{"a long record with a key length of -2", 1, long(func(b []byte) { b[6] = 3 })},
		{"a long record with a value beyond it", 1, long(func(b []byte) { b[10]++ })},
		{"a long record with a value that ends early", 1, long(func(b []byte) { b[8] -= 2 })},
	} {
		for _, codec := range codecs {
			t.Run(c.name+"/"+codec.String(), func(t *testing.T) {
				b := raw(t, codec, c.count, c.records)
				_, err := b.Survey(1 << 30)
				wantCode(t, err, kerr.InvalidRecord)
				it := b.Records(wide)
				defer it.Close()
				for it.Next() {
				}
				wantCode(t, it.Err(), kerr.InvalidRecord)
			})
		}
	}
}

func TestANegativeCountIsInvalid(t *testing.T) {
	b := raw(t, None, -1, nil)
	_, err := b.Survey(1)
	wantCode(t, err, kerr.InvalidRecord)
	it := b.Records(wide)
	if it.Next() {
		t.Error("a record of a batch of -1")
	}
	wantCode(t, it.Err(), kerr.InvalidRecord)
}

func TestWrongDeltasAreNotDense(t *testing.T) {
	for _, codec := range codecs {
		var records []byte
		for _, delta := range []int32{0, 2, 1} {
			records = appendRecord(records, 0, delta, nil, []byte("v"), nil)
		}
		if s, err := raw(t, codec, 3, records).Survey(1 << 20); err != nil || s.Dense {
			t.Errorf("%s: %+v, %v", codec, s, err)
		}
	}
	gap := changed(build(t, None, 3, nil), func(b Batch) { b.putInt32(lastOffsetDeltaAt, 5) })
	if s, err := gap.Survey(0); err != nil || s.Dense {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestRecordsLargerThanTheWindowAreRead(t *testing.T) {
	value := bytes.Repeat([]byte("0123456789abcdef"), 20*windowBytes/16)
	for _, codec := range codecs {
		t.Run(codec.String(), func(t *testing.T) {
			b := build(t, codec, 3, value)
			if s, err := b.Survey(1 << 30); err != nil || s.Count != 3 || !s.Dense || s.MaxTimestamp != 1002 || s.NullKeys != 0 {
				t.Errorf("%+v, %v", s, err)
			}
			it := b.Records(wide)
			defer it.Close()
			n := 0
			for ; it.Next(); n++ {
				if !bytes.Equal(it.Record().Value, value) || len(it.Record().AppendHeaders(nil)) != 2 {
					t.Fatal("a record changed")
				}
			}
			if it.Err() != nil || n != 3 {
				t.Errorf("%d records, %v", n, it.Err())
			}
		})
	}
}

func TestABatchThatUnpacksBeyondTheLimitIsTooLarge(t *testing.T) {
	for _, codec := range codecs[1:] {
		t.Run(codec.String(), func(t *testing.T) {
			b := build(t, codec, 8, make([]byte, 1<<20))
			if _, err := b.Survey(9 << 20); err != nil {
				t.Error(err)
			}
			_, err := b.Survey(5 << 20)
			wantCode(t, err, kerr.MessageTooLarge)
			for _, limits := range []Limits{{Bytes: 5 << 20, RecordBytes: 2 << 20}, {Bytes: 9 << 20, RecordBytes: 1 << 20}} {
				it := b.Records(limits)
				for it.Next() {
				}
				wantCode(t, it.Err(), kerr.MessageTooLarge)
				it.Close()
			}
		})
	}
}
