package replica

import (
	"testing"
	"time"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
)

func TestWhoLeavesFollowsOnlyWhereItIsWaitedFor(t *testing.T) {
	for _, c := range []struct {
		name   string
		leaves bool
		isr    []int32
		loops  int
	}{
		{"a broker that stays follows to join the ISR", false, []int32{2}, 1},
		{"one that leaves does not join it", true, []int32{2}, 0},
		{"as long as it is a member it follows", true, []int32{2, self}, 1},
	} {
		m := newManager(t, nil)
		if c.leaves {
			m.Leave()
		}
		mustLead(t, m, state{2, 1, c.isr, []int32{self, 2}, topic.NewID()})
		m.fetchers.mu.Lock()
		if n := len(m.fetchers.mu.loops); n != c.loops {
			t.Errorf("%s: %d loops, want %d", c.name, n, c.loops)
		}
		m.fetchers.mu.Unlock()
	}
}

// The follower may be about to stop: then it fetches no more, and the controller that could say so may be the one that
// stops.
func TestAFollowerThatIsRefusedHoldsNoHighWatermark(t *testing.T) {
	m := newManager(t, nil)
	controller := newControllerScript(m)
	m.Start()
	p := mustLead(t, m, state{self, 0, []int32{self}, []int32{self, 2}, topic.NewID()})
	controller.says(kerr.IneligibleReplica.Code)
	follow(t, p, 0)
	controller.next(t)
	eventually(t, "the proposal is dropped", func() bool { return p.role.Load().proposed == nil })
	appendOne(t, p)
	if hw := p.log.View().HighWatermark; hw != 1 {
		t.Errorf("it waits for the refused follower at %d", hw)
	}
	for end := time.Now().Add(10 * time.Second); len(controller.asked) == 0; time.Sleep(time.Millisecond) {
		if follow(t, p, 1); time.Now().After(end) {
			t.Fatal("the follower is not proposed again")
		}
	}
}
