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
	decodeBudget.mu.Lock()
	defer decodeBudget.mu.Unlock()
	if decodeBudget.mu.used != 0 {
		t.Errorf("%d bytes are still held", decodeBudget.mu.used)
	}
}
