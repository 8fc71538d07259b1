package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/topic"
)

// filledIndex makes an offset index with n entries, each 100 offsets and 4096 bytes behind the one before.
func filledIndex(t testing.TB, dir string, n int, sealed bool) *offsetIndex {
	t.Helper()
	x := newOffsetIndex(osFS{}, dir, 0, 10<<20)
	if err := x.create(); err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= n; i++ {
		if err := x.append(int64(i)*100, int64(i)*4096); err != nil {
			t.Fatal(err)
		}
	}
	if sealed {
		if err := x.seal(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { x.close() })
	return &x
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []struct {
		name    string
		records int // of 1 KB
	}{{"1K", 1}, {"16K", 16}, {"64K", 64}, {"1M", 1000}} {
		b.Run(size.name, func(b *testing.B) {
			// Segments are small and retention keeps few of them, so that the benchmark runs on warm pages.
			c := plain(func(c *config.Topic) { c.SegmentBytes, c.RetentionBytes, c.FileDeleteDelayMS = 64<<20, 0, 0 })
			l := createLog(b, openManager(b, c, b.TempDir()))
			build := record.NewBuilder(record.Compression{}, 1<<30)
			value := make([]byte, 1000)
			for range size.records {
				build.Append(1700000000000, nil, value, nil)
			}
			batch, err := build.Finish(nil)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(batch)))
			b.ReportAllocs()
			written := 0
			for b.Loop() {
				batch.SetBaseOffset(0)
				if _, err := l.AppendAsLeader(batch, AppendOptions{ProduceVersion: 9}); err != nil {
					b.Fatal(err)
				}
				if written += len(batch); written > 512<<20 {
					written = 0
					b.StopTimer()
					l.TruncateFullyAndStartAt(l.View().LogEndOffset)
					l.home.sweep(time.Now().Add(time.Hour))
					b.StartTimer()
				}
			}
		})
	}
}

func BenchmarkIndexLookup(b *testing.B) {
	for _, sealed := range []bool{false, true} {
		b.Run(map[bool]string{false: "resident", true: "sealed"}[sealed], func(b *testing.B) {
			x := filledIndex(b, b.TempDir(), 100000, sealed)
			i := int64(0)
			for b.Loop() {
				i = (i*6364136223846793005 + 1442695040888963407) & (1<<62 - 1)
				if _, err := x.lookup(i % 10000000); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkReadPlan(b *testing.B) {
	l := createLog(b, openManager(b, plain(), b.TempDir()))
	for range 20000 {
		leaderAppend(b, l, batchOf(10, 1700000000000))
	}
	end := l.View().LogEndOffset
	for _, c := range []struct {
		name         string
		offset, upTo int64
	}{{"tail", end - 10, end}, {"middle", end / 2, end}, {"belowHighWatermark", end - 1000, end - 500}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r, err := l.Read(c.offset, 1<<20, c.upTo, true)
				if err != nil {
					b.Fatal(err)
				}
				r.Region.Release.Release()
			}
		})
	}
}

// BenchmarkOpen opens a directory of so many partitions after a clean stop, each with a few batches.
func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := b.TempDir()
			o := managerOptions(b, plain(), dir)
			o.RecoveryThreads = runtime.NumCPU()
			m, err := Open(o)
			if err != nil {
				b.Fatal(err)
			}
			for i := range n {
				l, err := m.Create(topic.Partition{Topic: "t", ID: int32(i)}, topic.NewID())
				if err != nil {
					b.Fatal(err)
				}
				leaderAppend(b, l, batchOf(10, 1700000000000))
			}
			if err := m.Close(); err != nil {
				b.Fatal(err)
			}
			m = nil
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				if m, err = Open(o); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				runtime.GC()
				runtime.ReadMemStats(&after)
				for _, d := range m.dirs {
					if err := d.writeCleanMarker(); err != nil {
						b.Fatal(err)
					}
					d.loaded = false // leave the files alone when closing
				}
				m.unlock()
				b.StartTimer()
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "heapB/partition")
			fds, _ := os.ReadDir("/proc/self/fd")
			b.ReportMetric(float64(len(fds)), "fds")
			os.RemoveAll(filepath.Join(dir))
		})
	}
}
