package record

import (
	"bytes"
	"io"
	"math"
	"testing"

	"github.com/zurau/zurau/broker/kerr"
)

// small bounds what a fuzzed stream may unpack to.
var small = Limits{Bytes: 1 << 20, RecordBytes: 1 << 18}

// hasCode fails on an error that would reach a client as UNKNOWN_SERVER_ERROR.
func hasCode(t *testing.T, err error) {
	t.Helper()
	if kerr.CodeOf(err) == kerr.UnknownServerError.Code {
		t.Fatalf("an error without a code: %v", err)
	}
}

// FuzzBatch takes bytes as a log: what can be read can be built again, and nothing panics.
func FuzzBatch(f *testing.F) {
	for _, c := range codecs {
		f.Add([]byte(build(f, c, 3, []byte("v"))))
		f.Add([]byte(tiny(f, 3)))
	}
	f.Add(EndTxnMarker{ProducerID: 4, Type: Abort}.Append(nil))
	f.Fuzz(func(t *testing.T, in []byte) {
		for rest := in; ; {
			b, next, err := Next(rest)
			hasCode(t, err)
			if b == nil {
				return
			}
			if len(b) != b.SizeBytes() || len(b)+len(next) != len(rest) {
				t.Fatalf("%d bytes split into %d and %d", len(rest), len(b), len(next))
			}
			hasCode(t, b.CheckCRC())
			if b.IsControl() {
				_, _, err := ParseEndTxnMarker(b)
				hasCode(t, err)
			}
			if b.Magic() == 2 {
				readBatch(t, b)
			}
			_, err = DownConvert(b, 1, 0)
			hasCode(t, err)
			rest = next
		}
	})
}

// readBatch walks b in both ways, which must agree, and rebuilds what it holds.
func readBatch(t *testing.T, b Batch) {
	survey, err := b.Survey(small.Bytes)
	hasCode(t, err)
	again := newSurvey()
	n := NewBuilder(Compression{Codec: None}, math.MaxInt32)
	defer n.Discard()
	it := b.Records(small)
	defer it.Close()
	for it.Next() {
		r := it.Record()
		again.add(r.Stamp, int32(r.Offset-b.BaseOffset()), r.Key == nil)
		if err := n.Append(r.Stamp, r.Key, r.Value, r.AppendHeaders(nil)); err != nil {
			t.Fatal(err)
		}
	}
	hasCode(t, it.Err())
	if (it.Err() == nil) != (err == nil) && kerr.CodeOf(it.Err()) != kerr.MessageTooLarge.Code {
		t.Fatalf("survey %v, iterator %v", err, it.Err())
	}
	if it.Err() != nil {
		return
	}
	again.Dense = survey.Dense
	if again != survey {
		t.Fatalf("survey %+v, iterator %+v", survey, again)
	}
	built, err := n.Finish(nil)
	if err != nil {
		t.Fatal(err)
	}
	rebuilt, err := Rebuild(b, Compression{Codec: None}, small, math.MaxInt32)
	if err != nil || !bytes.Equal(built.payload(), rebuilt.payload()) {
		t.Fatalf("built %x, rebuilt %x, %v", built, rebuilt, err)
	}
	s, err := built.Survey(0)
	if err != nil || !s.Dense || s.Count != survey.Count || s.MaxTimestamp != survey.MaxTimestamp || s.NullKeys != survey.NullKeys {
		t.Fatalf("read %+v, built %+v, %v", survey, s, err)
	}
}

// FuzzLegacy takes bytes as a message set of magic 0 or 1.
func FuzzLegacy(f *testing.F) {
	for _, magic := range []int8{0, 1} {
		for _, c := range codecs[:4] {
			f.Add(set(f, magic, c, 2, 0, 1, 2))
		}
	}
	f.Add(AppendMessage(nil, 1, 1, Gzip, CreateTime, 0, nil, nil))
	f.Fuzz(func(t *testing.T, in []byte) {
		up, survey, err := UpConvert(in, Compression{Codec: None}, small, 1<<20)
		hasCode(t, err)
		if err == nil {
			if s, err := up.Survey(0); err != nil || s != survey || !s.Dense {
				t.Fatalf("%+v became %+v, %v", survey, s, err)
			}
			down, err := DownConvert(up, 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			if survey.Count > 0 {
				back, s, err := UpConvert(down, Compression{Codec: None}, small, math.MaxInt32)
				if err != nil || s != survey || !bytes.Equal(back.payload(), up.payload()) {
					t.Fatalf("%+v came back as %+v, %v", survey, s, err)
				}
			}
		}
		for rest := in; ; {
			b, next, err := Next(rest)
			if err != nil || b == nil {
				return
			}
			if b.Magic() < 2 {
				it := b.Records(small)
				for it.Next() {
				}
				hasCode(t, it.Err())
				it.Close()
				_, err := b.FirstOffset(small)
				hasCode(t, err)
			}
			_, err = DownConvert(b, 0, 0)
			hasCode(t, err)
			rest = next
		}
	})
}

// FuzzDecompress takes bytes as a compressed stream, and as a text that must survive.
func FuzzDecompress(f *testing.F) {
	for _, c := range codecs[1:] {
		for _, text := range []string{"", "a", "some text some text some text"} {
			packed, err := Compress(nil, Compression{c, DefaultLevel}, 2, []byte(text))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(int8(c), packed)
		}
	}
	f.Fuzz(func(t *testing.T, c int8, in []byte) {
		codec := Codec(c & codecMask)
		out, err := Decompress(nil, codec, 2, in, 1<<20)
		hasCode(t, err)
		if len(out) > 1<<20 {
			t.Fatalf("%d bytes came out", len(out))
		}
		if s, err := openStream(codec, 2, in, 1<<20); err == nil { // in pieces it is the same
			var pieces []byte
			for s.fill(1) == nil {
				pieces = append(pieces, s.take(1)...)
			}
			s.close()
			if !bytes.HasPrefix(out, pieces[:min(len(pieces), len(out))]) {
				t.Fatal("pieces differ")
			}
		}
		if codec == None || !codec.Known() {
			return
		}
		packed, err := Compress(nil, Compression{codec, DefaultLevel}, 2, in)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decompress(nil, codec, 2, packed, len(in))
		if err != nil && err != io.EOF || !bytes.Equal(back, in) {
			t.Fatalf("%d bytes came back as %d, %v", len(in), len(back), err)
		}
	})
}
