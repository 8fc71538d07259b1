//go:build !race

package replica

import (
	"testing"
	"time"

	"github.com/zurau/zurau/broker/topic"
)

func TestWaitingAllocatesLittle(t *testing.T) {
	m := newManager(t, nil)
	p := mustLead(t, m, state{self, 0, []int32{self}, []int32{self}, topic.NewID()})
	w := newWaiter()
	other := newWaiter()
	here, beside := stand{w: w}, stand{w: other}
	p.consumers.add(&beside)
	other.look(everything)
	defer p.consumers.remove(&beside)
	if n := testing.AllocsPerRun(100, func() {
		w.look(100)
		p.consumers.add(&here)
		p.consumers.wake(100)
		<-w.C
		p.consumers.remove(&here)
		other.look(everything)
	}); n != 0 {
		t.Errorf("a fetch that waits and is woken: %v allocations, want none", n)
	}
	follower := mustLead(t, m, state{self, 1, []int32{self, 2}, []int32{self, 2}, topic.ID{}})
	waits := []Replication{{follower, 1, 1}}
	done := func([]error) {}
	if n := testing.AllocsPerRun(100, func() {
		AwaitReplication(time.Minute, waits, done)
		m.Partition(t0).delayed.remove(m.Partition(t0).delayed.mu.row[0].produce)
	}); n > 5 {
		t.Errorf("a produce that waits: %v allocations, want at most 5", n)
	}
}

func BenchmarkWaiters(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(map[int]string{1: "1", 100: "100", 1000: "1000"}[n], func(b *testing.B) {
			var ws waiters
			all := make([]*waiter, n)
			for i := range all {
				all[i] = newWaiter()
				ws.add(&stand{w: all[i]})
			}
			b.ReportAllocs()
			for b.Loop() {
				for _, w := range all {
					w.look(1)
				}
				ws.wake(1)
				for _, w := range all {
					<-w.C
				}
			}
		})
	}
}
