//go:build !race

package storage

import (
	"fmt"
	"slices"
	"testing"

	"github.com/zurau/zurau/broker/record"
)

// A batch that stays in its codec is judged and numbered where it lies.
func TestValidatingInPlaceAllocatesNothing(t *testing.T) {
	o := validOptions(nil)
	for codec := record.None; codec <= record.Zstd; codec++ {
		b := produced(t, codec, 60, 1000)
		run := func() {
			b.SetBaseOffset(0)
			v, err := Validate(b, o)
			if err != nil {
				t.Fatal(err)
			}
			v.AssignOffsets(1<<40, 7, validationTime)
		}
		run()
		if n := testing.AllocsPerRun(200, run); n >= 1 {
			t.Errorf("%s: %v allocations", codec, n)
		}
	}
}

func BenchmarkValidate(b *testing.B) {
	o := validOptions(nil)
	for codec := record.None; codec <= record.Zstd; codec++ {
		for _, size := range []int{100, 1000} {
			batch := slices.Clone(produced(b, codec, 64<<10/size, size))
			b.Run(fmt.Sprintf("%s/%s", codec, map[int]string{100: "100B", 1000: "1K"}[size]), func(b *testing.B) {
				b.SetBytes(64 << 10)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := Validate(batch, o); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
