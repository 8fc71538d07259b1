//go:build !race

package record

import (
	"fmt"
	"testing"
)

func TestWalksAllocateNothing(t *testing.T) {
	value := sample(1000)
	for _, codec := range codecs {
		b := build(t, codec, 60, value)
		walk := func() {
			if _, err := b.Survey(1 << 20); err != nil {
				t.Fatal(err)
			}
		}
		iterate := func() {
			it := b.Records(wide)
			for it.Next() {
			}
			if it.Err() != nil {
				t.Fatal(it.Err())
			}
			it.Close()
		}
		walk()
		for name, f := range map[string]func(){"survey": walk, "iterator": iterate} {
			if n := testing.AllocsPerRun(200, f); n >= 1 {
				t.Errorf("%s of %s: %v allocations", name, codec, n)
			}
		}
	}
}

func BenchmarkSurvey(b *testing.B) {
	for _, codec := range codecs {
		for _, size := range []int{100, 1000} {
			batch := build(b, codec, 64<<10/size, sample(size))
			b.Run(fmt.Sprintf("%s/%dB", codec, size), func(b *testing.B) {
				b.SetBytes(64 << 10)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := batch.Survey(1 << 30); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
