package record

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/zurau/zurau/broker/kerr"
)

// build makes a batch of n records "key-i" with timestamps 1000+i.
func build(t testing.TB, c Codec, n int, value []byte) Batch {
	t.Helper()
	b := NewBuilder(Compression{Codec: c, Level: DefaultLevel}, math.MaxInt32)
	defer b.Discard()
	for i := range n {
		key := binary.BigEndian.AppendUint32([]byte("key-"), uint32(i))
		if err := b.Append(int64(1000+i), key, value, []Header{{"h", []byte("x")}, {"null", nil}}); err != nil {
			t.Fatal(err)
		}
	}
	batch, err := b.Finish(nil)
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

// changed gives a copy of b after change, CRC in place.
func changed(b Batch, change func(Batch)) Batch {
	b = slices.Clone(b)
	change(b)
	b.UpdateCRC()
	return b
}

func TestNextSplitsABatchOff(t *testing.T) {
	whole := build(t, None, 2, []byte("v"))
	with := func(at int, v ...byte) []byte {
		b := slices.Clone(whole)
		copy(b[at:], v)
		return b
	}
	old := AppendMessage(nil, 1, 0, None, CreateTime, 5, nil, []byte("v"))
	for _, c := range []struct {
		name  string
		in    []byte
		batch int // bytes
		code  *kerr.Error
	}{
		{"nothing is the end", nil, 0, nil},
		{"eleven bytes are an incomplete tail", whole[:11], 0, nil},
		{"a header without magic is an incomplete tail", whole[:16], 0, nil},
		{"a batch cut by one byte is an incomplete tail", whole[:len(whole)-1], 0, nil},
		{"a whole batch is given", whole, len(whole), nil},
		{"a batch before rubbish is given", append(slices.Clone(whole), 1, 2, 3), len(whole), nil},
		{"a message of magic 1 is given", old, len(old), nil},
		{"size 10 is below any message", with(sizeAt, 0, 0, 0, 10), 0, kerr.CorruptMessage},
		{"size 13 is below any message, even when cut", with(sizeAt, 0, 0, 0, 13)[:12], 0, kerr.CorruptMessage},
		{"size -5 is corrupt even when cut", with(sizeAt, 0xff, 0xff, 0xff, 0xfb)[:12], 0, kerr.CorruptMessage},
		{"magic 3 is unknown", with(magicAt, 3), 0, kerr.CorruptMessage},
		{"magic -1 is unknown", with(magicAt, 0xff), 0, kerr.CorruptMessage},
		{"magic 2 needs 61 bytes", with(sizeAt, 0, 0, 0, 48), 0, kerr.CorruptMessage},
		{"magic 1 needs its timestamp", with(sizeAt, 0, 0, 0, 21, 0, 0, 0, 0, 1), 0, kerr.CorruptMessage},
		{"the largest size is an incomplete tail", with(sizeAt, 0x7f, 0xff, 0xff, 0xff), 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, rest, err := Next(c.in)
			if len(b) != c.batch || len(rest) != len(c.in)-c.batch {
				t.Errorf("batch %d bytes, rest %d", len(b), len(rest))
			}
			wantCode(t, err, c.code)
		})
	}
}

// wantCode checks the Kafka code of err; nil wants no error.
func wantCode(t *testing.T, err error, want *kerr.Error) {
	t.Helper()
	code := int16(0)
	if want != nil {
		code = want.Code
	}
	if got := kerr.CodeOf(err); got != code {
		t.Errorf("code %d (%v), want %d", got, err, code)
	}
}

func TestAChangedByteBreaksTheCRC(t *testing.T) {
	for _, b := range []Batch{build(t, None, 3, []byte("v")), AppendMessage(nil, 0, 9, None, CreateTime, 0, []byte("k"), nil)} {
		if err := b.CheckCRC(); err != nil {
			t.Fatal(err)
		}
		b[len(b)-1] ^= 1
		wantCode(t, b.CheckCRC(), kerr.CorruptMessage)
	}
}

func TestOffsetAndEpochAreOutsideTheCRC(t *testing.T) {
	b := build(t, LZ4, 3, []byte("v"))
	b.SetBaseOffset(1 << 40)
	b.SetLeaderEpoch(77)
	if err := b.CheckCRC(); err != nil {
		t.Error(err)
	}
	if b.LastOffset() != 1<<40+2 || b.NextOffset() != 1<<40+3 || b.LeaderEpoch() != 77 {
		t.Errorf("last %d, next %d, epoch %d", b.LastOffset(), b.NextOffset(), b.LeaderEpoch())
	}
}

func TestSetMaxTimestampKeepsTheCRCTrue(t *testing.T) {
	b := build(t, None, 3, []byte("v"))
	b.SetMaxTimestamp(LogAppendTime, 123456)
	if err := b.CheckCRC(); err != nil {
		t.Error(err)
	}
	if b.TimestampType() != LogAppendTime || b.MaxTimestamp() != 123456 || b.Count() != 3 {
		t.Errorf("%v %d", b.TimestampType(), b.MaxTimestamp())
	}
	again := changed(b, func(Batch) {})
	again.SetMaxTimestamp(CreateTime, 123456)
	if again.TimestampType() != CreateTime || again.CheckCRC() != nil {
		t.Errorf("the same timestamp of another kind: %v, %v", again.TimestampType(), again.CheckCRC())
	}
	it := b.Records(wide)
	for it.Next() {
		if r := it.Record(); r.Timestamp != 123456 || r.Stamp < 1000 || r.Stamp > 1002 {
			t.Errorf("record at %d stamped %d", r.Timestamp, r.Stamp)
		}
	}
}

func TestSequencesWrapToZero(t *testing.T) {
	for _, c := range []struct{ first, n, want int32 }{
		{0, 0, 0}, {5, 4, 9}, {math.MaxInt32, 0, math.MaxInt32}, {math.MaxInt32, 1, 0}, {math.MaxInt32 - 1, 4, 2},
	} {
		if got := SequenceAfter(c.first, c.n); got != c.want {
			t.Errorf("%d after %d is %d, want %d", c.n, c.first, got, c.want)
		}
	}
}

func TestABatchOfAProducerTellsItsFields(t *testing.T) {
	n := NewBuilder(Compression{Codec: None}, 1000)
	for range 3 {
		if err := n.Append(-1, []byte("k"), nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	b, err := n.Finish(&Producer{ID: 0, Epoch: 3, BaseSequence: math.MaxInt32 - 1, Transactional: true})
	if err != nil {
		t.Fatal(err)
	}
	if !b.HasProducer() || b.ProducerID() != 0 || b.ProducerEpoch() != 3 || b.LastSequence() != 0 || !b.IsTransactional() ||
		b.IsControl() || b.MaxTimestamp() != NoTimestamp || b.BaseTimestamp() != NoTimestamp {
		t.Errorf("%x", []byte(b))
	}
	wantCode(t, b.CheckCRC(), nil)
}

func TestLegacyMessagesAnswerTheQuestionsOfABatch(t *testing.T) {
	v0 := Batch(AppendMessage(nil, 0, 7, None, CreateTime, 99, []byte("k"), nil))
	v0[legacyAttributesAt] |= appendTimeBit // which means nothing there
	v1 := Batch(AppendMessage(nil, 1, 8, None, LogAppendTime, 99, nil, []byte("v")))
	if v0.MaxTimestamp() != NoTimestamp || v0.TimestampType() != CreateTime || v0.LastOffset() != 7 {
		t.Errorf("v0: %d %v %d", v0.MaxTimestamp(), v0.TimestampType(), v0.LastOffset())
	}
	if v1.MaxTimestamp() != 99 || v1.TimestampType() != LogAppendTime || v1.NextOffset() != 9 {
		t.Errorf("v1: %d %v %d", v1.MaxTimestamp(), v1.TimestampType(), v1.NextOffset())
	}
	for _, b := range []Batch{v0, v1} {
		if b.HasProducer() || b.IsControl() || b.IsTransactional() || b.LeaderEpoch() != NoLeaderEpoch || b.Count() != -1 ||
			b.LastSequence() != NoSequence || b.ProducerEpoch() != -1 || b.HasDeleteHorizon() {
			t.Errorf("%x", []byte(b))
		}
	}
}
