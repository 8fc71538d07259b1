package record

import (
	"testing"
	"testing/synctest"
)

func TestLargeDecodingsShareTheirBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(10)
		b.acquire(6)
		b.acquire(4)
		running := make(chan int, 2)
		for _, n := range []int{5, 100} {
			go func() {
				b.acquire(n)
				running <- n
			}()
		}
		synctest.Wait()
		if len(running) != 0 {
			t.Fatal("more than the budget was given away")
		}
		b.release(4)
		synctest.Wait()
		if len(running) != 0 {
			t.Fatal("5 do not fit beside 6 of 10")
		}
		b.release(6)
		first := <-running
		synctest.Wait()
		if len(running) != 0 {
			t.Fatal("one that is above the budget has it for itself")
		}
		b.release(first)
		b.release(<-running)
	})
}

func TestAStreamGivesItsMemoryBack(t *testing.T) {
	b := build(t, LZ4, 1, make([]byte, 6<<20))
	for range 20 {
		it := b.Records(wide)
		if !it.Next() {
			t.Fatal(it.Err())
		}
		it.Close()
	}
	wantNothingHeld(t)
}

func TestAConversionGivesItsMemoryBackHoweverItEnds(t *testing.T) {
	whole := build(t, Gzip, 2, sample(1<<20))
	broken := changed(whole[:len(whole)-100], func(b Batch) { b.putInt32(sizeAt, int32(len(b)-PrefixBytes)) })
	old := set(t, 1, Gzip, 2, 0, 1, 2)
	for _, to := range []Compression{{None, 0}, {Zstd, DefaultLevel}, {Codec(7), 0}} {
		for _, maxBytes := range []int{3 << 20, 1000} {
			Transcode(whole, to, wide, maxBytes)
			Transcode(broken, to, wide, maxBytes)
			Rebuild(whole, to, wide, maxBytes)
			Rebuild(broken, to, wide, maxBytes)
			UpConvert(old, to, wide, maxBytes)
			UpConvert(old, to, Limits{}, maxBytes)
		}
	}
	DownConvert(whole, 1, 0)
	DownConvert(broken, 1, 0)
	wantNothingHeld(t)
}

func wantNothingHeld(t *testing.T) {
	t.Helper()
	for name, b := range map[string]*budget{"decoding": decodeBudget, "conversion": convertBudget} {
		b.mu.Lock()
		if b.mu.used != 0 {
			t.Errorf("%d bytes are still held for %s", b.mu.used, name)
		}
		b.mu.Unlock()
	}
}
