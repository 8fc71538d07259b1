package zkmeta

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"
	"go.uber.org/zap"
)

// monotonic is where lease times are counted from; time.Since keeps to the monotonic clock.
var monotonic = time.Now()

// A lease is how long this process may believe that its session lives, without hearing from ZooKeeper. go-zookeeper
// never declares its session dead: cut off, it keeps trying, and learns of the expiry only when it is back.
//
// The proof of life is an answer that passed the ensemble's leader, which alone expires sessions: sync, and every
// write; a follower answers other reads also while it is cut off. (A leader that is cut off itself steps down within
// syncLimit, and its successor counts every session from anew.) A proof counts from when the request was sent, and is
// good for two thirds of the session timeout, as the server waits all of it; the last third is for what the holder
// still has under way.
type lease struct {
	valid  time.Duration
	proven atomic.Int64 // when the newest proof was sent, in ns since monotonic
}

func (l *lease) init(session time.Duration, asked time.Time) {
	l.valid = session * 2 / 3
	l.proven.Store(int64(asked.Sub(monotonic)))
}

func (l *lease) prove(sent time.Time) {
	at := int64(sent.Sub(monotonic))
	for {
		old := l.proven.Load()
		if at <= old || l.proven.CompareAndSwap(old, at) {
			return
		}
	}
}

func (l *lease) deadline() time.Time {
	return monotonic.Add(time.Duration(l.proven.Load()) + l.valid)
}

// LeaseValid tells whether the session is certainly still alive. While it is not, its owner must not act as controller,
// accept leadership or confirm an ISR: another broker may have been given all of it. It can become valid again.
func (s *Session) LeaseValid() bool {
	return s.ctx.Err() == nil && time.Now().Before(s.lease.deadline())
}

// LeaseDeadline is when the lease ends if nothing is heard from ZooKeeper until then.
func (s *Session) LeaseDeadline() time.Time { return s.lease.deadline() }

// Prove makes one round trip to the ensemble's leader, begun now: nil means that the session lived at some moment after
// the call. It is what a process asks that finds it has been stopped for a while.
func (s *Session) Prove(ctx context.Context) error {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	return s.prove(ctx)
}

func (s *Session) prove(ctx context.Context) error {
	sent := time.Now()
	_, err := do(s, ctx, func(conn *zk.Conn) (string, error) { return conn.Sync("/") })
	if err != nil {
		return &CallError{"sync", "/", err}
	}
	s.lease.prove(sent)
	return nil
}

// keepLease proves the lease every sixth of the session, one proof at a time, and tells when it is lost and found.
func (s *Session) keepLease() {
	tick := time.NewTicker(max(s.timeout/12, 10*time.Millisecond))
	defer tick.Stop()
	proof := make(chan error, 1)
	var begun time.Time
	valid, proving := true, false
	for {
		if !proving && time.Since(begun) >= s.timeout/6 {
			proving, begun = true, time.Now()
			s.wg.Go(func() {
				// Long enough for the library to notice a dead server; a proof that comes later would be worth little.
				ctx, cancel := context.WithTimeout(s.ctx, s.timeout*2/3)
				defer cancel()
				proof <- s.prove(ctx)
			})
		}
		select {
		case <-proof: // what failed shows in the lease
			proving = false
		case <-tick.C:
		case <-s.ctx.Done():
			return
		}
		if now := s.LeaseValid(); now != valid && s.ctx.Err() == nil {
			valid = now
			if valid {
				s.client.log.Info("the ZooKeeper session is proven alive again", zap.String("session", sessionText(s.id)))
			} else {
				s.client.log.Warn("no news from ZooKeeper: the session may have expired", zap.String("session", sessionText(s.id)),
					zap.String("server", s.conn.Server()), zap.Duration("timeout", s.timeout))
			}
			s.client.leaseChanged(s, valid)
		}
	}
}
