package record

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"go.uber.org/goleak"

	"github.com/zurau/zurau/broker/kerr"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick")) // sarama's, one a process
}

// sample is n bytes of words that compress about three to one, with some stretches that do not.
func sample(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, 0, n+12)
	for len(b) < n {
		if r.IntN(100) == 0 {
			b = binary.BigEndian.AppendUint64(b, r.Uint64())
		}
		b = fmt.Appendf(b, "word%d ", r.IntN(50))
	}
	return b[:n]
}

func TestWhatIsCompressedUnpacksToItself(t *testing.T) {
	levels := map[Codec][]int{
		None: {DefaultLevel}, Snappy: {DefaultLevel}, Gzip: {DefaultLevel, -1, 1, 9}, LZ4: {DefaultLevel, 1, 9, 17},
		Zstd: {DefaultLevel, -131072, 1, 3, 22},
	}
	for _, codec := range codecs {
		for _, level := range levels[codec] {
			for _, n := range []int{0, 1, 100, 32 << 10, 64<<10 + 1, 1 << 20} {
				for _, magic := range []int8{0, 1, 2} {
					if codec == Zstd && magic < 2 || codec == Snappy && n == 0 {
						continue
					}
					src := sample(n)
					packed, err := Compress([]byte("before"), Compression{codec, level}, magic, src)
					if err != nil {
						t.Fatal(codec, level, n, err)
					}
					got, err := Decompress([]byte("start"), codec, magic, packed[len("before"):], n)
					if err != nil || !bytes.Equal(got, append([]byte("start"), src...)) {
						t.Errorf("%s level %d magic %d: %d bytes became %d, %v", codec, level, magic, n, len(got), err)
					}
				}
			}
		}
	}
}

func TestAHigherLevelPacksSmaller(t *testing.T) {
	text := sample(256 << 10)
	for codec, levels := range map[Codec][]int{Gzip: {1, 6, 9}, LZ4: {1, 3, 17}, Zstd: {1, 3, 22}} {
		last := len(text)
		for _, level := range levels {
			packed, err := Compress(nil, Compression{codec, level}, 2, text)
			if err != nil || len(packed) >= last {
				t.Errorf("%s level %d: %d bytes, %d at the level below, %v", codec, level, len(packed), last, err)
			}
			last = len(packed)
		}
	}
}

func TestUnpackingStopsAtTheAllowedSize(t *testing.T) {
	text := sample(100 << 10)
	for _, codec := range codecs {
		packed, err := Compress(nil, Compression{codec, DefaultLevel}, 2, text)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Decompress(nil, codec, 2, packed, len(text))
		wantCode(t, err, nil)
		_, err = Decompress(nil, codec, 2, packed, len(text)-1)
		wantCode(t, err, kerr.MessageTooLarge)
	}
}

func TestZstdHasNoOldForm(t *testing.T) {
	_, err := Compress(nil, Compression{Codec: Zstd}, 1, []byte("x"))
	wantCode(t, err, kerr.UnsupportedCompressionType)
	packed, err := Compress(nil, Compression{Zstd, DefaultLevel}, 2, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Decompress(nil, Zstd, 1, packed, 10)
	wantCode(t, err, kerr.InvalidRecord)
}

func TestRubbishDoesNotUnpack(t *testing.T) {
	for _, codec := range codecs[1:] {
		packed, err := Compress(nil, Compression{codec, DefaultLevel}, 2, sample(300<<10))
		if err != nil {
			t.Fatal(err)
		}
		for name, b := range map[string][]byte{
			"nothing": {}, "null": nil, "rubbish": []byte("this is not compressed at all"), "a cut stream": packed[:len(packed)-9],
			"half a stream": packed[:len(packed)/2], "a cut header": packed[:3],
		} {
			if codec == Snappy && name == "a cut header" { // it is a bare block of 130 bytes then, cut as well
				b = packed[:20]
			}
			_, err := Decompress(nil, codec, 2, b, 1<<20)
			if kerr.CodeOf(err) != kerr.InvalidRecord.Code {
				t.Errorf("%s of %s: %v", name, codec, err)
			}
		}
	}
}

// oddSnappy frames blocks as xerial does, each of any size.
func oddSnappy(blocks ...[]byte) []byte {
	b := []byte(xerialHeader)
	for _, p := range blocks {
		packed := snappy.Encode(nil, p)
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(packed))), packed...)
	}
	return b
}

func TestSnappyOfOtherWritersIsRead(t *testing.T) {
	text := sample(200 << 10)
	for _, c := range []struct {
		name string
		in   []byte
		want []byte
	}{
		{"one bare block", snappy.Encode(nil, text), text},
		{"a bare block shorter than a header", snappy.Encode(nil, []byte("hi")), []byte("hi")},
		{"chunks larger than Java's", oddSnappy(text[:150<<10], text[150<<10:]), text},
		{"a stream without chunks", oddSnappy(), nil},
		{"an empty chunk", oddSnappy(nil, []byte("x")), []byte("x")},
		{"two streams one after the other", append(oddSnappy([]byte("a")), oddSnappy([]byte("b"))...), []byte("ab")},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Decompress(nil, Snappy, 2, c.in, 1<<20)
			if err != nil || !bytes.Equal(got, c.want) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

func TestASnappyLengthThatCannotBeIsRefusedBeforeItIsAllocated(t *testing.T) {
	lie := append(binary.AppendUvarint(nil, 1<<31), 0, 0, 0)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Decompress(nil, Snappy, 2, lie, 1<<31)
	runtime.ReadMemStats(&after)
	wantCode(t, err, kerr.InvalidRecord)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
}

func TestLZ4FramesOfOtherWritersAreRead(t *testing.T) {
	text := sample(5 << 20)
	for _, size := range []lz4.BlockSize{lz4.Block64Kb, lz4.Block256Kb, lz4.Block1Mb, lz4.Block4Mb} {
		for _, sum := range []bool{false, true} {
			var out bytes.Buffer
			w := lz4.NewWriter(&out)
			err := w.Apply(lz4.BlockSizeOption(size), lz4.ChecksumOption(sum), lz4.BlockChecksumOption(sum), lz4.ConcurrencyOption(1),
				lz4.SizeOption(uint64(len(text))))
			if err != nil {
				t.Fatal(err)
			}
			w.Write(text)
			w.Close()
			got, err := Decompress(nil, LZ4, 2, out.Bytes(), len(text))
			if err != nil || !bytes.Equal(got, text) {
				t.Errorf("blocks %v, checksums %v: %v", size, sum, err)
			}
			if sum { // a block checksum is looked at, the content checksum is not
				b := out.Bytes()
				b[len(b)-1] ^= 1
				if _, err := Decompress(nil, LZ4, 2, b, len(text)); err != nil {
					t.Error(err)
				}
				b[1000] ^= 1
				_, err := Decompress(nil, LZ4, 2, b, len(text))
				wantCode(t, err, kerr.InvalidRecord)
			}
		}
	}
}

func TestOurLZ4IsReadByTheLibrary(t *testing.T) {
	for _, text := range [][]byte{sample(200 << 10), {}, []byte("x")} {
		packed, err := Compress(nil, Compression{LZ4, DefaultLevel}, 2, text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(lz4.NewReader(bytes.NewReader(packed)))
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
}

func TestLZ4HeaderRules(t *testing.T) {
	packed, err := Compress(nil, Compression{LZ4, DefaultLevel}, 2, []byte("some text"))
	if err != nil {
		t.Fatal(err)
	}
	with := func(at int, v byte, sum bool) []byte {
		b := slices.Clone(packed)
		b[at] = v
		if sum {
			b[6] = byte(xxh32(b[4:6]) >> 8)
		}
		return b
	}
	for _, c := range []struct {
		name  string
		in    []byte
		magic int8
		ok    bool
	}{
		{"Java's frame is read", packed, 2, true},
		{"a wrong header checksum is refused in magic 2", with(6, 0x1a, false), 2, false},
		{"a wrong header checksum is refused in magic 1", with(6, 0x1a, false), 1, false},
		{"any header checksum is read in magic 0", with(6, 0x55, false), 0, true},
		{"dependent blocks are refused", with(4, 0x40, true), 2, false},
		{"version 2 is refused", with(4, 0xa0, true), 2, false},
		{"a dictionary is refused", with(4, 0x61, true), 2, false},
		{"block size code 3 is refused", with(5, 0x30, true), 2, false},
		{"a reserved bit is refused", with(5, 0x41, true), 2, false},
		{"another frame magic is refused", with(0, 0x02, false), 2, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Decompress(nil, LZ4, c.magic, c.in, 100); (err == nil) != c.ok {
				t.Error(err)
			}
		})
	}
	old, err := Compress(nil, Compression{LZ4, DefaultLevel}, 0, []byte("some text"))
	if err != nil || old[6] != 0x1a || packed[6] != 0x82 {
		t.Errorf("header checksums %#x in magic 0, %#x in magic 2, %v", old[6], packed[6], err)
	}
}

func TestZstdWindowsOfTheHighestLevelsAreRead(t *testing.T) {
	text := sample(12 << 20)
	for name, option := range map[string]zstd.EOption{
		"a window of 32 MiB": zstd.WithWindowSize(32 << 20), "one segment of 12 MiB": zstd.WithSingleSegment(true),
	} {
		w, err := zstd.NewWriter(nil, option, zstd.WithEncoderLevel(zstd.SpeedFastest))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decompress(nil, Zstd, 2, w.EncodeAll(text, nil), len(text))
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		w.Close()
	}
}

func TestZstdFramesOneAfterTheOtherAreRead(t *testing.T) {
	a, _ := Compress(nil, Compression{Zstd, DefaultLevel}, 2, []byte("one "))
	b, _ := Compress(a, Compression{Zstd, DefaultLevel}, 2, []byte("two"))
	if got, err := Decompress(nil, Zstd, 2, b, 100); err != nil || string(got) != "one two" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestXXH32OfKnownTexts(t *testing.T) {
	for text, want := range map[string]uint32{
		"": 0x02cc5d05, "a": 0x550d7456, "abc": 0x32d153ff, "Nobody inspects the spammish repetition": 0xe2293b2f,
	} {
		if got := xxh32([]byte(text)); got != want {
			t.Errorf("xxh32(%q) = %#x, want %#x", text, got, want)
		}
	}
}

func TestCodecNames(t *testing.T) {
	for _, c := range codecs {
		if got, ok := ParseCodec(c.String()); !ok || got != c {
			t.Errorf("%s is read as %s", c, got)
		}
	}
	if _, ok := ParseCodec("producer"); ok {
		t.Error("producer is no codec")
	}
	if fmt.Sprint(Codec(6)) != "unknown(6)" || Codec(6).Known() {
		t.Error(Codec(6))
	}
}
