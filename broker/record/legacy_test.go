package record

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zurau/zurau/broker/kerr"
)

// set makes a message set of magic 0 or 1 with the given offsets, wrapped unless codec is None.
func set(t testing.TB, magic int8, codec Codec, wrapperOffset int64, offsets ...int64) []byte {
	t.Helper()
	var b []byte
	for i, o := range offsets {
		b = AppendMessage(b, magic, o, None, CreateTime, int64(100+i), fmt.Appendf(nil, "k%d", i), fmt.Appendf(nil, "v%d", i))
	}
	if codec == None {
		return b
	}
	packed, err := Compress(nil, Compression{codec, DefaultLevel}, magic, b)
	if err != nil {
		t.Fatal(err)
	}
	return AppendMessage(nil, magic, wrapperOffset, codec, CreateTime, int64(99+len(offsets)), nil, packed)
}

// told prints the records of batches of any magic: "offset@timestamp key=value".
func told(t testing.TB, batches []byte) string {
	t.Helper()
	var out []string
	for {
		b, rest, err := Next(batches)
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return strings.Join(out, ", ")
		}
		batches = rest
		if err := b.CheckCRC(); err != nil {
			t.Fatal(err)
		}
		it := b.Records(wide)
		for it.Next() {
			r := it.Record()
			out = append(out, fmt.Sprintf("%d@%d %s=%s", r.Offset, r.Timestamp, r.Key, r.Value))
		}
		if it.Err() != nil {
			t.Fatal(it.Err())
		}
		it.Close()
	}
}

func TestOffsetsOfAWrapperAreThoseOfItsLastMessageBackwards(t *testing.T) {
	for _, c := range []struct {
		name string
		set  []byte
		want string
	}{
		{"magic 0 has absolute offsets", set(t, 0, Gzip, 12, 10, 11, 12), "10@-1 k0=v0, 11@-1 k1=v1, 12@-1 k2=v2"},
		{"magic 1 counts from the first", set(t, 1, Snappy, 12, 0, 1, 2), "10@100 k0=v0, 11@101 k1=v1, 12@102 k2=v2"},
		{"magic 1 may have gaps", set(t, 1, LZ4, 12, 0, 5), "7@100 k0=v0, 12@101 k1=v1"},
		{"a wrapper at offset 0 counts from 0", set(t, 1, Gzip, 0, 0, 1), "0@100 k0=v0, 1@101 k1=v1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := told(t, c.set); got != c.want {
				t.Errorf("read %s", got)
			}
			first, err := Batch(c.set).FirstOffset(wide)
			if err != nil || !strings.HasPrefix(c.want, fmt.Sprintf("%d@", first)) {
				t.Errorf("first offset %d, %v", first, err)
			}
		})
	}
}

func TestWrappersThatCannotBeAreInvalid(t *testing.T) {
	wrap := func(magic int8, offset int64, inner []byte) []byte {
		packed, err := Compress(nil, Compression{Gzip, DefaultLevel}, magic, inner)
		if err != nil {
			t.Fatal(err)
		}
		return AppendMessage(nil, magic, offset, Gzip, CreateTime, 0, nil, packed)
	}
	cut := set(t, 1, None, 0, 0, 1)
	broken := slices.Clone(cut)
	broken[len(broken)-1] ^= 1
	for _, c := range []struct {
		name string
		set  []byte
		code *kerr.Error
	}{
		{"an offset below the last inner one", set(t, 1, Gzip, 1, 0, 5), kerr.InvalidRecord},
		{"a wrapper in a wrapper", wrap(1, 1, set(t, 1, Gzip, 1, 0, 1)), kerr.InvalidRecord},
		{"nothing inside", wrap(1, 3, nil), kerr.InvalidRecord},
		{"a cut inner message", wrap(1, 1, cut[:len(cut)-3]), kerr.InvalidRecord},
		{"a cut inner header", wrap(1, 1, cut[:len(cut)/2+5]), kerr.InvalidRecord},
		{"a batch of magic 2 inside", wrap(1, 1, build(t, None, 1, nil)), kerr.InvalidRecord},
		{"a broken inner CRC", wrap(1, 1, broken), kerr.CorruptMessage},
		{"a codec of later days", AppendMessage(nil, 1, 1, Zstd, CreateTime, 0, nil, []byte("x")), kerr.InvalidRecord},
		{"a null value", AppendMessage(nil, 1, 1, Gzip, CreateTime, 0, nil, nil), kerr.InvalidRecord},
	} {
		t.Run(c.name, func(t *testing.T) {
			it := Batch(c.set).Records(wide)
			defer it.Close()
			for it.Next() {
			}
			if c.name != "nothing inside" || it.Err() != nil {
				wantCode(t, it.Err(), c.code)
			}
			_, _, err := UpConvert(c.set, Compression{Codec: None}, wide, 1<<20)
			if c.name != "an offset below the last inner one" { // a producer's offsets do not matter
				wantCode(t, err, c.code)
			}
		})
	}
}

func TestAMessageMustFillItsFrame(t *testing.T) {
	whole := AppendMessage(nil, 1, 0, None, CreateTime, 5, []byte("k"), []byte("v"))
	const keyLengthAt = legacyTimestampAt + 8
	for name, change := range map[string]func(b []byte) []byte{
		"a byte behind the value": func(b []byte) []byte { return append(b, 9) },
		"a value that is cut":     func(b []byte) []byte { return b[:len(b)-1] },
		"a key length of -2":      func(b []byte) []byte { copy(b[keyLengthAt:], "\xff\xff\xff\xfe"); return b },
		"a key beyond the frame":  func(b []byte) []byte { b[keyLengthAt] = 1; return b },
	} {
		b := Batch(change(slices.Clone(whole)))
		b.putInt32(sizeAt, int32(len(b)-PrefixBytes))
		b.putInt32(legacyCRCAt, int32(b.ComputeCRC()))
		it := b.Records(wide)
		if it.Next() {
			t.Errorf("%s: a record", name)
		}
		wantCode(t, it.Err(), kerr.InvalidRecord)
		_, _, err := UpConvert(b, Compression{Codec: None}, wide, 1000)
		wantCode(t, err, kerr.InvalidRecord)
	}
}

func TestOldMessagesAreMeasuredToTheByte(t *testing.T) {
	plain := AppendMessage(nil, 1, 0, None, CreateTime, 0, nil, make([]byte, 2000))
	packed, err := Compress(nil, Compression{Gzip, DefaultLevel}, 1, plain)
	if err != nil {
		t.Fatal(err)
	}
	wrapped := AppendMessage(nil, 1, 0, Gzip, CreateTime, 0, nil, packed)
	to := Compression{Gzip, DefaultLevel}
	for _, c := range []struct {
		spare int
		code  *kerr.Error
	}{{0, nil}, {-1, kerr.MessageTooLarge}} {
		_, _, err := UpConvert(plain, to, wide, len(plain)+c.spare)
		wantCode(t, err, c.code)
		_, _, err = UpConvert(wrapped, to, Limits{Bytes: 1 << 20, RecordBytes: len(plain) + c.spare}, 1<<20)
		wantCode(t, err, c.code)
	}
}

func TestASetOfOldMessagesBecomesOneBatch(t *testing.T) {
	const stamped, bare = "0@100 k0=v0, 1@101 k1=v1, 2@102 k2=v2", "0@-1 k0=v0, 1@-1 k1=v1, 2@-1 k2=v2"
	whole := set(t, 1, None, 0, 0, 1, 2)
	for _, c := range []struct {
		name string
		set  []byte
		want string
		code *kerr.Error
	}{
		{"plain messages of magic 0", set(t, 0, None, 0, 0, 0, 0), bare, nil},
		{"plain messages of magic 1", whole, stamped, nil},
		{"a gzip wrapper of magic 0", set(t, 0, Gzip, 2, 0, 1, 2), bare, nil},
		{"an lz4 wrapper of magic 0", set(t, 0, LZ4, 2, 0, 1, 2), bare, nil},
		{"a snappy wrapper of magic 1", set(t, 1, Snappy, 2, 0, 1, 2), stamped, nil},
		{"odd inner offsets", set(t, 1, Snappy, 2, 7, 7, 3), stamped, nil},
		{"an incomplete message behind", whole[:len(whole)-1], "0@100 k0=v0, 1@101 k1=v1", nil},
		{"two wrappers", slices.Concat(set(t, 1, Gzip, 0, 0), set(t, 1, Gzip, 0, 0)), "", kerr.InvalidRecord},
		{"a message and a wrapper", slices.Concat(set(t, 1, None, 0, 0), set(t, 1, Gzip, 0, 0)), "", kerr.InvalidRecord},
		{"a wrapper and a message", slices.Concat(set(t, 1, Gzip, 0, 0), set(t, 1, None, 0, 0)), "", kerr.InvalidRecord},
		{"two magics", slices.Concat(set(t, 1, None, 0, 0), set(t, 0, None, 0, 0)), "", kerr.InvalidRecord},
		{"rubbish behind", append(slices.Clone(whole), bytes.Repeat([]byte{9}, 20)...), "", kerr.CorruptMessage},
	} {
		for _, to := range codecs {
			t.Run(c.name+" to "+to.String(), func(t *testing.T) {
				b, survey, err := UpConvert(c.set, Compression{to, DefaultLevel}, wide, 1<<20)
				wantCode(t, err, c.code)
				if err != nil {
					return
				}
				if got := told(t, b); got != c.want {
					t.Errorf("became %s", got)
				}
				if again, err := b.Survey(1 << 20); err != nil || again != survey || b.Codec() != to || !survey.Dense {
					t.Errorf("%+v, %+v, %v", survey, again, err)
				}
			})
		}
	}
}

func TestConversionsStopAtTheAllowedSize(t *testing.T) {
	zeros := build(t, Zstd, 4, make([]byte, 1<<20))
	_, err := Transcode(zeros, Compression{Codec: None}, wide, 1<<20)
	wantCode(t, err, kerr.MessageTooLarge)
	_, err = Rebuild(zeros, Compression{Codec: None}, wide, 1<<20)
	wantCode(t, err, kerr.MessageTooLarge)
	old := AppendMessage(nil, 1, 0, None, CreateTime, 0, nil, make([]byte, 2000))
	_, _, err = UpConvert(old, Compression{Codec: None}, wide, 1000)
	wantCode(t, err, kerr.MessageTooLarge)
	for _, to := range codecs[1:] {
		_, err = Transcode(build(t, None, 4, sample(100<<10)), Compression{to, DefaultLevel}, wide, 10<<10)
		wantCode(t, err, kerr.MessageTooLarge)
	}
}

func TestTranscodingKeepsEveryFieldAndByte(t *testing.T) {
	for _, from := range codecs {
		for _, to := range codecs {
			b := changed(build(t, from, 50, sample(3000)), func(b Batch) {
				b.putInt64(producerIDAt, 7)
				b.putInt32(baseSequenceAt, 9)
				b.setAttributes(b.Attributes() | transactionalBit)
			})
			got, err := Transcode(b, Compression{to, DefaultLevel}, wide, 1<<20)
			if err != nil {
				t.Fatal(from, to, err)
			}
			if got.Codec() != to || !got.IsTransactional() || got.ProducerID() != 7 || got.BaseSequence() != 9 || got.Count() != 50 {
				t.Errorf("%s to %s: %x", from, to, []byte(got[:HeaderBytes]))
			}
			if diff := cmp.Diff(told(t, b), told(t, got)); diff != "" {
				t.Errorf("%s to %s: %s", from, to, diff)
			}
		}
	}
}

func TestRebuildingMendsOffsetDeltasOnly(t *testing.T) {
	var records []byte
	for i, delta := range []int32{0, 0, 7} {
		records = appendRecord(records, int64(5*i), delta, []byte("k"), []byte{'a' + byte(i)}, []Header{{"h", []byte("x")}})
	}
	b := changed(raw(t, Gzip, 3, records), func(b Batch) { b.putInt64(producerIDAt, 7) })
	got, err := Rebuild(b, Compression{LZ4, DefaultLevel}, wide, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if want := "0@1000 k=a, 1@1005 k=b, 2@1010 k=c"; told(t, got) != want || got.ProducerID() != 7 || got.Codec() != LZ4 {
		t.Errorf("became %s", told(t, got))
	}
	if s, err := got.Survey(1 << 20); err != nil || !s.Dense {
		t.Errorf("%+v, %v", s, err)
	}
}

// stored makes a batch of magic 2 at base.
func stored(t testing.TB, codec Codec, base int64, n int) Batch {
	b := build(t, codec, n, []byte("ten bytes!"))
	b.SetBaseOffset(base)
	return b
}

func TestOldConsumersGetOldMessages(t *testing.T) {
	marker := EndTxnMarker{ProducerID: 1, Type: Commit}.Append(nil)
	for _, magic := range []int8{0, 1} {
		stamp := func(i int) int {
			if magic == 0 {
				return -1
			}
			return 1000 + i
		}
		lines := func(base, from, n int) string {
			var out []string
			for i := from; i < n; i++ {
				out = append(out, fmt.Sprintf("%d@%d key-\x00\x00\x00%c=ten bytes!", base+i, stamp(i), i))
			}
			return strings.Join(out, ", ")
		}
		for _, codec := range codecs[:4] {
			t.Run(fmt.Sprintf("magic %d/%s", magic, codec), func(t *testing.T) {
				in := slices.Concat(stored(t, codec, 40, 3), marker, stored(t, codec, 44, 2), stored(t, codec, 46, 2)[:70])
				got, err := DownConvert(in, magic, 40)
				if err != nil {
					t.Fatal(err)
				}
				if len(got) != len(in) {
					t.Errorf("%d bytes of %d", len(got), len(in))
				}
				if want := lines(40, 0, 3) + ", " + lines(44, 0, 2); told(t, got) != want {
					t.Errorf("got  %q\nwant %q", told(t, got), want)
				}
				first, _, _ := Next(got)
				if first.Magic() != magic || first.Codec() != codec {
					t.Errorf("magic %d, codec %s", first.Magic(), first.Codec())
				}
				if codec == None {
					got, err := DownConvert(in, magic, 42)
					if want := lines(40, 2, 3) + ", " + lines(44, 0, 2); err != nil || told(t, got) != want {
						t.Errorf("from 42: %q, %v", told(t, got), err)
					}
				}
			})
		}
	}
}

func TestDownConversionKeepsThePromisedSize(t *testing.T) {
	batch := stored(t, None, 0, 3)
	one, err := appendDown(nil, batch, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		in   []byte
		size int
	}{
		{"a range that shrinks is filled", slices.Concat(batch, batch), 2 * len(batch)},
		{"control batches alone are filled", EndTxnMarker{}.Append(nil), endTxnMarkerBytes},
		{"a first batch that grows is whole", tiny(t, 30), -1},
		{"old messages stay as they are", one, len(one)},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := DownConvert(c.in, 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			if c.size < 0 {
				first, _ := appendDown(nil, Batch(c.in), 1, 0)
				c.size = len(first)
			}
			if len(got) != c.size {
				t.Errorf("%d bytes, promised %d", len(got), c.size)
			}
			_, rest := whole(t, got)
			if len(rest) >= PrefixBytes {
				if size, err := SizeOf(rest); err != nil || size != 0 && size <= len(rest) || Batch(rest).BaseOffset() != -1 {
					t.Errorf("the filling is %x, %v", rest, err)
				}
			}
		})
	}
}

// tiny is a batch of n records so small that their old form is larger.
func tiny(t testing.TB, n int) Batch {
	b := NewBuilder(Compression{Codec: None}, 1<<20)
	for range n {
		if err := b.Append(5, nil, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	out, err := b.Finish(nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// whole splits what a consumer reads from what it takes for a message cut off.
func whole(t testing.TB, b []byte) (batches int, rest []byte) {
	for rest = b; ; batches++ {
		m, tail, err := Next(rest)
		if err != nil {
			t.Fatal(err)
		}
		if m == nil {
			return batches, rest
		}
		rest = tail
	}
}

func TestAFillingOfAnySizeLooksCutOff(t *testing.T) {
	for gap := range 200 {
		b := padTo([]byte("0123456789"), 10+gap)
		if len(b) != 10+gap {
			t.Fatalf("gap %d: %d bytes", gap, len(b))
		}
		if n, rest := whole(t, b[10:]); n != 0 || len(rest) != gap {
			t.Errorf("gap %d reads as %d messages", gap, n)
		}
	}
}

func TestARangeWithoutAWholeBatchStaysAsItIs(t *testing.T) {
	in := stored(t, None, 0, 3)[:40]
	got, err := DownConvert(in, 1, 0)
	if err != nil || !bytes.Equal(got, in) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestZstdCannotBeConvertedDown(t *testing.T) {
	_, err := DownConvert(stored(t, Zstd, 0, 3), 1, 0)
	wantCode(t, err, kerr.UnsupportedCompressionType)
}

func TestAppendTimeSurvivesTheConversionDown(t *testing.T) {
	for _, codec := range codecs[:4] {
		b := stored(t, codec, 3, 2)
		b.SetMaxTimestamp(LogAppendTime, 5555)
		got, err := DownConvert(b, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		if first, _, _ := Next(got); first.TimestampType() != LogAppendTime || first.MaxTimestamp() != 5555 {
			t.Errorf("%s: %s %d", codec, first.TimestampType(), first.MaxTimestamp())
		}
		if s := told(t, got); strings.Count(s, "@5555 ") != 2 {
			t.Errorf("%s: %q", codec, s)
		}
	}
}

func TestVarintsGoBothWays(t *testing.T) {
	for _, v := range []int64{0, -1, 1, -64, 63, 64, -65, 1 << 20, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64} {
		b := appendVarlong(nil, v)
		if got, n := varlong(b, 0); got != v || n != len(b) || n != varlongBytes(v) {
			t.Errorf("%d is read as %d from %x", v, got, b)
		}
		if w := int32(v); int64(w) == v {
			b := appendVarint(nil, w)
			if got, n := varint(b, 0); got != w || n != len(b) || n != varintBytes(w) {
				t.Errorf("%d is read as %d from %x", w, got, b)
			}
		}
	}
}
