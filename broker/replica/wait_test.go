package replica

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/storage"
	"github.com/zurau/zurau/broker/topic"
)

// woken tells whether the waiter has been called.
func (w *waiter) woken() bool {
	select {
	case <-w.C:
		return true
	default:
		return false
	}
}

func TestAWaiterCountsWhatItsLookHasNotSeen(t *testing.T) {
	for _, c := range []struct {
		name           string
		before, during int // bytes appended before and during the look, which sees the first
		sees           int
		again          bool
		after          int
		woken          bool
	}{
		{"nothing is there, and too little comes", 0, 0, 0, false, 99, false},
		{"nothing is there, and enough comes", 0, 0, 0, false, 100, true},
		{"what is there counts", 60, 0, 60, false, 40, true},
		{"what is there counts once", 60, 0, 60, false, 39, false},
		{"what comes during the look counts, seen or not", 60, 20, 60, false, 20, true},
		{"enough came during the look", 60, 40, 60, true, 0, false},
		{"counted twice wakes too early, not too late", 30, 30, 60, false, 10, true},
	} {
		var ws waiters
		w := newWaiter()
		ws.add(&stand{w: w})
		ws.wake(c.before) // before the look: whatever it leaves behind does not matter
		w.woken()
		w.look(100)
		ws.wake(c.during)
		if again := w.found(c.sees); again != c.again {
			t.Errorf("%s: another look %v", c.name, again)
		}
		w.woken()
		ws.wake(c.after)
		if woken := w.woken(); c.after > 0 && woken != c.woken {
			t.Errorf("%s: woken %v", c.name, woken)
		}
	}
}

// awaitReader returns when a fetch waits at the partition.
func awaitReader(t *testing.T, p *Partition) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); p.consumers.n.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nobody waits at the partition")
		}
	}
}

func produceAll(t *testing.T, p *Partition, timeout time.Duration) <-chan error {
	t.Helper()
	a, err := p.AppendAsLeader(batch(t, "a"), -1, storage.AppendOptions{Origin: storage.Client, ProduceVersion: 9})
	if err != nil || a.Replicated {
		t.Fatalf("append: %+v, %v", a, err)
	}
	done := make(chan error, 1)
	AwaitReplication(timeout, []Replication{{p, a.LastOffset + 1, a.LeaderEpoch}}, func(errs []error) { done <- errs[0] })
	return done
}

// follow is a fetch of replica 2, which has everything below offset.
func follow(t *testing.T, p *Partition, offset int64) {
	out := make([]Fetched, 1)
	p.m.Fetch(t.Context(), Reader{ReplicaID: 2, MaxBytes: 1 << 20}, []Position{{Partition: p, Offset: offset,
		MaxBytes: 1 << 20, LeaderEpoch: -1, LastFetchedEpoch: -1}}, out)
	release(out)
}

// A follower that stops cleanly brings its leaders a new leader epoch: no reason to tell producers that they failed.
func TestADelayedProduceOutlivesANewEpochOfTheSameLeader(t *testing.T) {
	m := newManager(t, nil)
	p := mustLead(t, m, state{self, 0, []int32{self, 2}, []int32{self, 2}, topic.NewID()})
	kept := produceAll(t, p, time.Minute)
	mustLead(t, m, state{self, 1, []int32{self, 2}, []int32{self, 2}, topic.ID{}})
	follow(t, p, p.log.View().LogEndOffset)
	if err := <-kept; err != nil {
		t.Errorf("the same leader, and told %v", err)
	}
	lost := produceAll(t, p, time.Minute)
	mustLead(t, m, state{2, 2, []int32{self, 2}, []int32{self, 2}, topic.ID{}})
	mustLead(t, m, state{self, 3, []int32{self}, []int32{self, 2}, topic.ID{}})
	if err := <-lost; !errors.Is(err, kerr.NotLeaderOrFollower) {
		t.Errorf("the lead was lost and came back, and told %v", err)
	}
	late := make(chan error, 1) // stands in the row only after the lead was lost and came back
	AwaitReplication(time.Minute, []Replication{{p, 1, 1}}, func(errs []error) { late <- errs[0] })
	if err := <-late; !errors.Is(err, kerr.NotLeaderOrFollower) {
		t.Errorf("the lead was lost before it was asked, and told %v", err)
	}
}

func TestAnExpiredProduceLeavesNothingBehind(t *testing.T) {
	m := newManager(t, nil)
	p := mustLead(t, m, state{self, 0, []int32{self, 2}, []int32{self, 2}, topic.NewID()})
	for _, timeout := range []time.Duration{-1, 0, time.Millisecond} {
		if err := <-produceAll(t, p, timeout); !errors.Is(err, kerr.RequestTimedOut) {
			t.Errorf("after %v: %v", timeout, err)
		}
	}
	if n := p.delayed.n.Load(); n != 0 {
		t.Errorf("%d produces that are answered still stand in the row", n)
	}
}

func TestStoppingAPartitionAnswersItsReaders(t *testing.T) {
	m := newManager(t, nil)
	p := mustLead(t, m, state{self, 0, []int32{self}, []int32{self}, topic.NewID()})
	answered := make(chan error, 1)
	go func() {
		out := make([]Fetched, 1)
		m.Fetch(t.Context(), Reader{ReplicaID: Consumer, AnyReplica: true, MinBytes: 1, MaxBytes: 1 << 20, MaxWait: time.Minute},
			[]Position{{Partition: p, MaxBytes: 1 << 20, LeaderEpoch: -1, LastFetchedEpoch: -1}}, out)
		answered <- out[0].Err
	}()
	awaitReader(t, p)
	m.Stop()
	select {
	case err := <-answered:
		if !errors.Is(err, kerr.NotLeaderOrFollower) {
			t.Errorf("told %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("a reader waits at a partition that is served no more")
	}
}

// An acks=all produce counts the replicas that are in sync now: one that was computed with the members of an earlier
// role must not move the high watermark past a new member.
func TestAnAppendUnderAnOldRoleDoesNotMoveTheHighWatermarkOfANewOne(t *testing.T) {
	m := newManager(t, nil)
	id := topic.NewID()
	mustLead(t, m, state{self, 0, []int32{self}, []int32{self, 2}, id})
	p := m.Partition(t0)
	for i := range int32(300) {
		alone, both := 2*i+1, 2*i+2
		mustLead(t, m, state{self, alone, []int32{self}, []int32{self, 2}, id})
		stop := make(chan struct{})
		var running sync.WaitGroup
		running.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_, _ = p.AppendAsLeader(batch(t, "a"), 1, storage.AppendOptions{Origin: storage.Client, ProduceVersion: 9})
				}
			}
		})
		for range i % 50 {
			p.Leader()
		}
		mustLead(t, m, state{self, both, []int32{self, 2}, []int32{self, 2}, id})
		before := p.log.View().HighWatermark
		for range 5 {
			_, _ = p.AppendAsLeader(batch(t, "a"), 1, storage.AppendOptions{Origin: storage.Client, ProduceVersion: 9})
		}
		close(stop)
		running.Wait()
		if after := p.log.View().HighWatermark; after != before {
			t.Fatalf("round %d: the high watermark went from %d to %d though a member of the ISR has fetched nothing", i, before, after)
		}
	}
}
