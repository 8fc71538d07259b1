//go:build !race

package record

import (
	"bytes"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/zurau/zurau/broker/kerr"
)

// Not under the race detector, which makes sync.Pool forget at random.

// TestManyBombsAtOnceStaySmall unpacks, to look at it, what a hundred hostile producers send at once.
func TestManyBombsAtOnceStaySmall(t *testing.T) {
	const size, limit = 12 << 20, 8 << 20
	zeros := appendRecord(nil, 0, 0, nil, make([]byte, size), nil)
	payloads := map[string][]byte{}
	for _, codec := range codecs[1:] {
		payload, err := Compress(nil, Compression{codec, DefaultLevel}, 2, zeros)
		if err != nil {
			t.Fatal(err)
		}
		payloads[codec.String()] = payload
	}
	payloads["snappy in one block"] = snappy.Encode(nil, zeros)
	var out bytes.Buffer
	w := lz4.NewWriter(&out)
	if err := w.Apply(lz4.BlockSizeOption(lz4.Block4Mb), lz4.ConcurrencyOption(1)); err != nil {
		t.Fatal(err)
	}
	w.Write(zeros)
	w.Close()
	payloads["lz4 in blocks of 4 MiB"] = out.Bytes()
	z, err := zstd.NewWriter(nil, zstd.WithWindowSize(32<<20), zstd.WithSingleSegment(true))
	if err != nil {
		t.Fatal(err)
	}
	payloads["zstd with a window of 12 MiB"] = z.EncodeAll(zeros, nil)
	z.Close()
	for name, payload := range payloads {
		t.Run(name, func(t *testing.T) {
			bomb := Batch(append(beginBatch(nil), payload...))
			codec, _ := ParseCodec(strings.Fields(name)[0])
			bomb.setAttributes(int16(codec))
			bomb.putInt32(countAt, 1)
			bomb = seal(bomb, 0)
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() {
					_, err := bomb.Survey(limit)
					if kerr.CodeOf(err) != kerr.MessageTooLarge.Code {
						t.Error(err)
					}
				})
			}
			all.Wait()
			runtime.ReadMemStats(&after)
			if grown := int64(after.Sys) - int64(before.Sys); grown > 64<<20 {
				t.Errorf("memory grew by %d MiB", grown>>20)
			}
		})
	}
}
