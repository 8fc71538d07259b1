package broker

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"
)

func TestTicksTellAFreeze(t *testing.T) {
	const limit = 100 * time.Millisecond
	type step struct {
		at    time.Duration // a tick
		proof *proof        // that comes with it
		doubt bool          // afterwards
	}
	failed := errors.New("no answer")
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"ticks in time", []step{{at: 50e6}, {at: 150e6}, {at: 250e6}}},
		{"a gap", []step{{at: 50e6}, {at: 151e6, doubt: true}, {at: 160e6, doubt: true}}},
		{"a gap, and a proof begun behind it", []step{{at: 200e6, doubt: true}, {at: 210e6, proof: &proof{gaps: 1}}, {at: 220e6}}},
		{"a gap, and a proof begun before it", []step{{at: 200e6, doubt: true}, {at: 210e6, proof: &proof{gaps: 0}, doubt: true}}},
		{"a second gap while the first is being proven", []step{{at: 200e6, doubt: true}, {at: 400e6, proof: &proof{gaps: 1}, doubt: true},
			{at: 410e6, proof: &proof{gaps: 2}}}},
		{"ZooKeeper does not answer", []step{{at: 200e6, doubt: true}, {at: 210e6, proof: &proof{1, failed}, doubt: true}}},
	} {
		var state ticks
		for _, s := range c.steps {
			state.at(s.at, limit)
			if s.proof != nil {
				state.proven(*s.proof)
			}
			if state.doubt != s.doubt {
				t.Errorf("%s: at %v doubt is %t", c.name, s.at, state.doubt)
			}
		}
	}
}

// shutGate is a guard whose process has just woken: its last tick is long ago, and its loop has not run yet.
func shutGate(t *testing.T, r *registry) *freezeGuard {
	t.Helper()
	client, session := r.session()
	g := newFreezeGuard(client, session, zap.NewNop())
	g.openUntil.Store(-1)
	return g
}

func TestTheGateOpensWhenTheSessionIsProven(t *testing.T) {
	g := shutGate(t, newRegistry(t))
	g.begun = time.Now().Add(-time.Minute)
	token := g.Token()
	passed := make(chan bool)
	go func() { passed <- g.Pass(token, nil) }()
	select {
	case <-passed:
		t.Fatal("passed a shut gate")
	case <-time.After(20 * time.Millisecond):
	}
	g.start()
	defer g.stop()
	if !<-passed || !g.Pass(token, nil) {
		t.Error("the session lives, and nothing passes")
	}
	if err := g.awaitLease(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestALostSessionShutsOutWhatBeganBefore(t *testing.T) {
	r := newRegistry(t)
	g := shutGate(t, r)
	token := g.Token()
	passed := make(chan bool)
	go func() { passed <- g.Pass(token, nil) }()
	_, next := r.session()
	if !g.lostSession(next) {
		t.Fatal("the session was lost behind a freeze")
	}
	if <-passed {
		t.Error("what waited at the gate has passed")
	}
	g.registered(next)
	if g.lostSession(next) {
		t.Error("a registration that is tried again is no loss")
	}
	g.start()
	defer g.stop()
	if !g.Pass(g.Token(), nil) {
		t.Error("what began in the new session does not pass")
	}
	if g.Pass(token, nil) {
		t.Error("what began in the old session passes")
	}
}

func TestAGateThatStaysShutIsNotWaitedForForEver(t *testing.T) {
	g := shutGate(t, newRegistry(t))
	g.patience = 10 * time.Millisecond
	if g.Pass(g.Token(), nil) {
		t.Error("passed a shut gate")
	}
	done := make(chan struct{})
	close(done)
	g.patience = time.Hour
	if g.Pass(g.Token(), done) {
		t.Error("passed a shut gate, as the connection ended")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.awaitLease(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Losing a session without a freeze in between is no reason to be silent: leaders go on without ZooKeeper.
func TestALossWithoutAFreezeIsNone(t *testing.T) {
	r := newRegistry(t)
	client, session := r.session()
	g := newFreezeGuard(client, session, zap.NewNop())
	g.start()
	defer g.stop()
	_, next := r.session()
	token := g.Token()
	if g.lostSession(next) || !g.Pass(token, nil) {
		t.Error("the gate is shut")
	}
}
