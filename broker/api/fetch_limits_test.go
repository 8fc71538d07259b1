package api

import (
	"testing"

	"github.com/zurau/zurau/broker/replica"
	"github.com/zurau/zurau/broker/wire"
)

// borrowed counts how often its bytes are given back.
type borrowed struct{ released int }

func (b *borrowed) Release() { b.released++ }

// A version below 4 is converted in memory, and asks for two gigabytes if it likes.
func TestAnOldReaderTakesABoundedPartOfTheMemory(t *testing.T) {
	const each = 1 << 20
	firsts := make(map[int]bool)
	for range 100 {
		f := fetching{got: make([]replica.Fetched, 50)}
		owners := make([]borrowed, len(f.got))
		for i := range f.got {
			if i%2 == 0 { // the others have nothing to read
				f.got[i].Region = wire.Region{N: each, Release: &owners[i]}
			}
		}
		f.limitConversion()
		kept := 0
		for i := range f.got {
			switch r := f.got[i].Region; {
			case r.N > 0 && owners[i].released == 0:
				kept += r.N
				firsts[i] = true
			case r.N > 0 || i%2 == 0 && owners[i].released != 1:
				t.Fatalf("partition %d: %d bytes, given back %d times", i, r.N, owners[i].released)
			}
		}
		if kept != convertedBytes {
			t.Fatalf("%d bytes are converted at once, want %d", kept, convertedBytes)
		}
	}
	if len(firsts) < 20 {
		t.Errorf("only %d of 25 partitions were ever read: the others starve", len(firsts))
	}
}
