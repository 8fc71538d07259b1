package broker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/zurau/zurau/zkmeta"
)

// freezeGuard keeps a process that was stopped for a while (SIGSTOP, a paused machine, a scheduler with no time for it)
// from speaking as if no time had passed. Meanwhile its session may have expired and others may lead its partitions; a
// Java broker learns of that about two seconds after it woke, and acknowledges until then what is cut off later
// (inter-broker.md 14 j).
//
// A loop notes its own ticks. After a gap between two of them that is longer than a third of the session timeout the gate
// is shut, and it opens again by one round trip to ZooKeeper, begun after the gap, which shows that the session lives:
// then nobody can have been given what this broker had. Without a gap the gate stays open whether or not ZooKeeper
// answers: leaders go on without it. What also needs a session that is certainly alive, the controller's requests, changes
// of ISRs and new leadership, waits for the lease too (zkmeta/lease.go).
//
// It asks at the last moment, before the bytes go to the socket, and still cannot promise everything. A process that
// is stopped between that look and the system call sends what it decided before. So does one whose kernel stopped together
// with its monotonic clock, as in a suspended machine or under a hypervisor that hides the pause from its guest. Only the
// epochs, which the receivers check, hold then; clients, who check none in a produce's answer, are without that help.
type freezeGuard struct {
	limit    time.Duration // the longest gap between two ticks that is no freeze: a third of the session timeout
	patience time.Duration // how long a reply waits at a shut gate
	begun    time.Time     // times below are counted from here, on the monotonic clock
	log      *zap.Logger

	openUntil atomic.Int64  // ns: no tick, no passage
	losses    atomic.Uint64 // sessions that ended while the gate was shut

	opened chan *zkmeta.Session // capacity 1: the session the broker has registered in, for the loop
	cancel context.CancelFunc
	ended  sync.WaitGroup

	mu struct {
		sync.Mutex
		session *zkmeta.Session // the one this broker is registered in, or registers in for the first time
		changed chan struct{}   // closed when the gate opens, when a session is lost, and when a lease changes
	}
}

// newFreezeGuard begins with an open gate; start must follow within a third of the session timeout.
func newFreezeGuard(zk *zkmeta.Client, session *zkmeta.Session, log *zap.Logger) *freezeGuard {
	g := &freezeGuard{limit: session.Timeout() / 3, patience: session.Timeout(), begun: time.Now(), log: log,
		opened: make(chan *zkmeta.Session, 1)}
	g.mu.session, g.mu.changed = session, make(chan struct{})
	g.openUntil.Store(int64(g.limit))
	zk.OnLease(func(*zkmeta.Session, bool) { g.announce() })
	return g
}

func (g *freezeGuard) start() {
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel = cancel
	g.ended.Go(func() { g.run(ctx) })
}

func (g *freezeGuard) stop() {
	g.cancel()
	g.ended.Wait()
}

// ticks is what the loop knows of its own time. Pure.
type ticks struct {
	last  time.Duration
	gaps  uint64 // gaps longer than the limit so far
	doubt bool   // there was one, and nothing has shown yet that the session lived on
}

// at notes a tick, and the length of the gap before it if that was too long.
func (t *ticks) at(now, limit time.Duration) (gap time.Duration) {
	if gap = now - t.last; gap > limit {
		t.gaps++
		t.doubt = true
	} else {
		gap = 0
	}
	t.last = now
	return gap
}

// proof is the outcome of one round trip to ZooKeeper, begun when there had been so many gaps.
type proof struct {
	gaps uint64
	err  error
}

// proven takes an outcome in. One begun before the last gap shows nothing.
func (t *ticks) proven(p proof) {
	if p.err == nil && p.gaps == t.gaps {
		t.doubt = false
	}
}

func (g *freezeGuard) run(ctx context.Context) {
	tick := time.NewTicker(max(g.limit/8, time.Millisecond))
	defer tick.Stop()
	proofs, proving := make(chan proof, 1), false
	t := ticks{last: g.now()}
	session, _ := g.state()
	for {
		var p *proof
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case session = <-g.opened:
		case got := <-proofs:
			p, proving = &got, false
		}
		now := g.now()
		if gap := t.at(now, g.limit); gap > 0 {
			g.log.Warn("This process was stopped for so long that its ZooKeeper session may have expired; acknowledgements wait "+
				"until the session is proven", zap.Duration("stopped_for", gap), zap.Duration("session_timeout", 3*g.limit))
		}
		if p != nil {
			t.proven(*p)
		}
		if !t.doubt {
			g.open(now)
		} else if !proving && session.Context().Err() == nil {
			proving = true
			g.ended.Go(func() { proofs <- g.prove(ctx, session, t.gaps) })
		}
	}
}

// prove makes one round trip in a session. A failed one is repeated by the loop.
func (g *freezeGuard) prove(ctx context.Context, s *zkmeta.Session, gaps uint64) proof {
	limited, cancel := context.WithTimeout(ctx, g.limit)
	defer cancel()
	p := proof{gaps, s.Prove(limited)}
	if p.err != nil {
		select { // not at once again
		case <-time.After(proofPause):
		case <-limited.Done():
		}
	}
	return p
}

const proofPause = 20 * time.Millisecond

func (g *freezeGuard) now() time.Duration { return time.Since(g.begun) }

// open lets pass until the next tick is overdue.
func (g *freezeGuard) open(now time.Duration) {
	if until := g.openUntil.Swap(int64(now + g.limit)); until <= int64(now) {
		g.announce()
	}
}

func (g *freezeGuard) isOpen() bool { return int64(g.now()) < g.openUntil.Load() }

func (g *freezeGuard) state() (session *zkmeta.Session, changed <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.session, g.mu.changed
}

func (g *freezeGuard) announce() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.mu.changed)
	g.mu.changed = make(chan struct{})
}

// lostSession says that the session has ended, before the broker registers in the next one. It tells whether that was
// behind a freeze: then others may have been given what this broker leads, and it has acknowledged nothing since.
func (g *freezeGuard) lostSession(next *zkmeta.Session) (frozen bool) {
	if registered, _ := g.state(); registered == next {
		return false // a registration that is tried once more
	}
	if frozen = !g.isOpen(); frozen {
		g.losses.Add(1)
		g.announce()
	}
	return frozen
}

// registered says that the broker has registered in a new session, which the next proofs are about.
func (g *freezeGuard) registered(s *zkmeta.Session) {
	g.mu.Lock()
	g.mu.session = s
	g.mu.Unlock()
	g.announce()
	select {
	case <-g.opened: // of a life that has ended again
	default:
	}
	g.opened <- s
}

// Token is taken before the work for a reply begins; see Pass.
func (g *freezeGuard) Token() uint64 { return g.losses.Load() }

// Pass implements wire.Guard: false for a reply whose work began before a session was lost behind a freeze, and when the
// gate does not open for the length of a session.
func (g *freezeGuard) Pass(token uint64, done <-chan struct{}) bool {
	if g.isOpen() {
		return g.losses.Load() == token // read after the gate: it opens only behind the count
	}
	patience := time.NewTimer(g.patience)
	defer patience.Stop()
	for {
		_, changed := g.state()
		switch {
		case g.losses.Load() != token:
			return false
		case g.isOpen():
			return g.losses.Load() == token
		}
		select {
		case <-changed:
		case <-done:
			return false
		case <-patience.C:
			return false
		}
	}
}

// awaitLease waits until the gate is open and the session this broker is registered in is certainly alive.
func (g *freezeGuard) awaitLease(ctx context.Context) error {
	return g.await(ctx, func(registered *zkmeta.Session) bool { return registered.LeaseValid() })
}

// awaitOffice waits until the gate is open and s, in which this broker was elected controller, is certainly alive.
func (g *freezeGuard) awaitOffice(ctx context.Context, s *zkmeta.Session) error {
	return g.await(ctx, func(*zkmeta.Session) bool { return s.LeaseValid() })
}

func (g *freezeGuard) await(ctx context.Context, alive func(registered *zkmeta.Session) bool) error {
	for {
		session, changed := g.state()
		if g.isOpen() && alive(session) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
