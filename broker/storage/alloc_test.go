//go:build !race

package storage

import (
	"testing"

	"github.com/zurau/zurau/broker/record"
)

func TestAnAppendAllocatesNothing(t *testing.T) {
	l := createLog(t, openManager(t, plain(), t.TempDir()))
	batch := record.Batch(batchOf(1, 1700000000000))
	opt := AppendOptions{ProduceVersion: 9}
	n := testing.AllocsPerRun(2000, func() {
		batch.SetBaseOffset(0)
		if _, err := l.AppendAsLeader(batch, opt); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for an append", n)
	}
}

func TestAnIdempotentAppendAllocatesNothing(t *testing.T) {
	l := createLog(t, openManager(t, plain(), t.TempDir()))
	batches := make([][]byte, 2002)
	for i := range batches {
		batches[i] = producerBatch(1, 1700000000000, &record.Producer{ID: 5, BaseSequence: int32(i)})
	}
	i := 0
	n := testing.AllocsPerRun(2000, func() {
		if _, err := l.AppendAsLeader(batches[i], AppendOptions{ProduceVersion: 9}); err != nil {
			t.Fatal(err)
		}
		i++
	})
	if n != 0 {
		t.Errorf("%v allocations for an append", n)
	}
}

func TestAReplicatedAppendAllocatesNothing(t *testing.T) {
	l := createLog(t, openManager(t, plain(), t.TempDir()))
	batch := record.Batch(batchOf(1, 1700000000000))
	batch.SetLeaderEpoch(0)
	n := testing.AllocsPerRun(2000, func() {
		batch.SetBaseOffset(l.View().LogEndOffset)
		if _, err := l.AppendAsFollower(batch); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for an append", n)
	}
}

func TestAReadPlanAllocatesNothing(t *testing.T) {
	l := createLog(t, openManager(t, plain(), t.TempDir()))
	for range 3000 {
		leaderAppend(t, l, batchOf(1, 1700000000000))
	}
	end := l.View().LogEndOffset
	for _, c := range []struct {
		name         string
		offset, upTo int64
	}{
		{"at the beginning", 0, end},
		{"in the middle, up to a high watermark below the end", 1500, end - 100},
		{"at the end", end - 1, end},
		{"of nothing", end, end},
	} {
		n := testing.AllocsPerRun(1000, func() {
			r, err := l.Read(c.offset, 1<<20, c.upTo, true)
			if err != nil {
				t.Fatal(err)
			}
			if r.Region.N > 0 {
				r.Region.Release.Release()
			}
		})
		if n != 0 {
			t.Errorf("%v allocations for the plan of a read %s", n, c.name)
		}
	}
}

func TestAnIndexLookupAllocatesNothing(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		x := filledIndex(t, t.TempDir(), 8192, sealed)
		n := testing.AllocsPerRun(1000, func() {
			if _, err := x.lookup(777 * 100); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%v allocations for a lookup, sealed %v", n, sealed)
		}
	}
}
