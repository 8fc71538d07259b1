//go:build !race

package record

import (
	"bytes"
	"fmt"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"

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
	small, err := zstd.NewWriter(nil, zstd.WithWindowSize(freeBytes))
	if err != nil {
		t.Fatal(err)
	}
	payloads["zstd with a window that needs no permission"] = small.EncodeAll(zeros, nil)
	small.Close()
	for name, payload := range payloads {
		t.Run(name, func(t *testing.T) {
			bomb := Batch(append(beginBatch(nil), payload...))
			codec, _ := ParseCodec(strings.Fields(name)[0])
			bomb.setAttributes(int16(codec))
			bomb.putInt32(countAt, 1)
			bomb = seal(bomb, 0)
			hundredAtOnce(t, 64<<20, func() error {
				_, err := bomb.Survey(limit)
				if kerr.CodeOf(err) == kerr.MessageTooLarge.Code {
					return nil
				}
				return fmt.Errorf("the survey of a bomb: %w", err)
			})
		})
	}
}

// TestManyConversionsAtOnceStaySmall has a hundred producers at once send what their topic stores in another codec.
func TestManyConversionsAtOnceStaySmall(t *testing.T) {
	const size, maxBytes = 6 << 20, 1 << 20
	limits := Limits{Bytes: 64 << 20, RecordBytes: 8 << 20}
	bomb := build(t, Gzip, 6, make([]byte, size/6))
	var inner []byte
	for i := range int64(6) {
		inner = AppendMessage(inner, 1, i, None, CreateTime, 0, nil, make([]byte, size/6))
	}
	packed, err := Compress(nil, Compression{Gzip, DefaultLevel}, 1, inner)
	if err != nil {
		t.Fatal(err)
	}
	old := AppendMessage(nil, 1, 5, Gzip, CreateTime, 0, nil, packed)
	for _, to := range []Compression{{None, 0}, {Gzip, 1}, {Snappy, 0}, {LZ4, 17}, {Zstd, DefaultLevel}, {Zstd, 6}, {Zstd, 22}} {
		for name, convert := range map[string]func() (Batch, error){
			"transcoding":   func() (Batch, error) { return Transcode(bomb, to, limits, maxBytes) },
			"rebuilding":    func() (Batch, error) { return Rebuild(bomb, to, limits, maxBytes) },
			"up-conversion": func() (Batch, error) { b, _, err := UpConvert(old, to, limits, maxBytes); return b, err },
		} {
			if name != "transcoding" && to.Codec != None && to.Level != DefaultLevel {
				continue // one way tells of all
			}
			t.Run(fmt.Sprintf("%s to %s %d", name, to.Codec, to.Level), func(t *testing.T) {
				bound := int64(64 << 20)
				if int64(to.memory()) > bound/2 { // the collector waits until as much again is in use
					bound = 3 * int64(to.memory())
				}
				hundredAtOnce(t, bound, func() error {
					b, err := convert()
					if to.Codec == None && kerr.CodeOf(err) == kerr.MessageTooLarge.Code {
						return nil
					}
					if err == nil && b.Codec() != to.Codec {
						err = fmt.Errorf("a batch in %s", b.Codec())
					}
					return err
				})
			})
		}
	}
	t.Run("down-conversion", func(t *testing.T) {
		hundredAtOnce(t, 64<<20, func() error {
			_, err := DownConvert(bomb, 1, 0)
			return err
		})
	})
}

// hundredAtOnce runs work a hundred times side by side, which may cost no more than bound bytes. A collector that gets
// no processor, because other tests have them, leaves more lying about: the least of three tries counts.
func hundredAtOnce(t *testing.T, bound int64, work func() error) {
	t.Helper()
	grown := int64(math.MaxInt64)
	for try := 0; try < 3 && grown > bound; try++ {
		grown = min(grown, growthOf(t, work))
	}
	if grown > bound {
		t.Errorf("memory grew by %d MiB", grown>>20)
	} else {
		t.Logf("memory grew by %d MiB", grown>>20)
	}
}

// growthOf is how much more memory is in use while work runs a hundred times side by side.
func growthOf(t *testing.T, work func() error) int64 {
	t.Helper()
	debug.FreeOSMemory()
	before := memoryInUse()
	highest, ended := before, make(chan struct{})
	var watch, all sync.WaitGroup
	watch.Go(func() {
		for tick := time.Tick(time.Millisecond); ; {
			highest = max(highest, memoryInUse())
			select {
			case <-ended:
				return
			case <-tick:
			}
		}
	})
	for range 100 {
		all.Go(func() {
			if err := work(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	close(ended)
	watch.Wait()
	return highest - before
}

// memoryInUse is what this process has of the system, less what it gave back: RssAnon, or a little more.
func memoryInUse() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
}
