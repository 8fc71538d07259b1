package storage

import (
	"fmt"
	"testing"
	"time"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/record"
)

// fromLeader is what a leader sends: so many batches of n records of 1 KB, one after the other from offset 0.
func fromLeader(t testing.TB, batches, n int) []byte {
	t.Helper()
	var all []byte
	for i := range batches {
		build := record.NewBuilder(record.Compression{}, 1<<30)
		for range n {
			if err := build.Append(1700000000000, nil, make([]byte, 1000), nil); err != nil {
				t.Fatal(err)
			}
		}
		b, err := build.Finish(nil)
		if err != nil {
			t.Fatal(err)
		}
		b.SetBaseOffset(int64(i * n))
		b.SetLeaderEpoch(1)
		all = append(all, b...)
	}
	return all
}

// moveTo numbers the batches from offset on and returns where they end. Offsets are outside the checksums.
func moveTo(t testing.TB, batches []byte, offset int64) int64 {
	t.Helper()
	for len(batches) > 0 {
		b, rest, err := record.Next(batches)
		if b == nil || err != nil {
			t.Fatalf("%d bytes are no batch: %v", len(batches), err)
		}
		b.SetBaseOffset(offset)
		offset, batches = b.NextOffset(), rest
	}
	return offset
}

func BenchmarkAppendAsFollower(b *testing.B) {
	for _, c := range []struct{ batches, records int }{{1, 1}, {1, 16}, {1, 128}, {64, 1}, {8, 128}} {
		b.Run(fmt.Sprintf("%dx%dK", c.batches, c.records), func(b *testing.B) {
			// Segments are small and retention keeps few of them, so that the benchmark runs on warm pages.
			conf := plain(func(c *config.Topic) { c.SegmentBytes, c.RetentionBytes, c.FileDeleteDelayMS = 64<<20, 0, 0 })
			l := createLog(b, openManager(b, conf, b.TempDir()))
			batches := fromLeader(b, c.batches, c.records)
			b.SetBytes(int64(len(batches)))
			b.ReportAllocs()
			next, written := int64(0), 0
			for b.Loop() {
				next = moveTo(b, batches, next)
				if _, err := l.AppendAsFollower(batches); err != nil {
					b.Fatal(err)
				}
				if written += len(batches); written > 512<<20 {
					written = 0
					b.StopTimer()
					if err := l.TruncateFullyAndStartAt(next); err != nil {
						b.Fatal(err)
					}
					l.home.sweep(time.Now().Add(time.Hour))
					b.StartTimer()
				}
			}
		})
	}
}
