package broker

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/zurau/zurau/zkmeta"
)

// lives follows the ZooKeeper sessions of the broker, one goroutine at a time. When a session ends the controller
// forgets its office at once; in the next one the broker registers again under a new broker epoch, reads its
// configuration anew, and stands for election (zookeeper.md 3.5).
type lives struct {
	b      *Broker
	next   chan *zkmeta.Session // capacity 1, the newest only
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// startLives begins with the session the broker has registered in.
func startLives(b *Broker, registered *zkmeta.Session) *lives {
	ctx, cancel := context.WithCancel(context.Background())
	l := &lives{b: b, next: make(chan *zkmeta.Session, 1), cancel: cancel}
	b.zk.OnSession(func(s *zkmeta.Session) {
		if s == nil {
			b.controller.Expire()
			return
		}
		select {
		case <-l.next: // a life nobody has begun is not worth beginning
		default:
		}
		l.next <- s
	})
	l.done.Go(func() { l.run(ctx, registered) })
	return l
}

func (l *lives) stop() {
	l.cancel()
	l.done.Wait()
}

func (l *lives) run(ctx context.Context, registered *zkmeta.Session) {
	for s := registered; ; {
		if s != nil && (s == registered || l.begin(ctx, s)) {
			l.b.controller.Registered(s)
			l.b.configs.run(ctx, s)
		}
		select {
		case <-ctx.Done():
			return
		case s = <-l.next:
			if s == registered {
				s = nil // told once more by OnSession
			}
		}
	}
}

// begin registers in a new session. It tries until it succeeds or the session or the broker ends.
func (l *lives) begin(ctx context.Context, s *zkmeta.Session) bool {
	for {
		err := l.register(ctx, s)
		if err == nil {
			err = l.b.configs.load(ctx, s)
		}
		if err == nil {
			return true
		}
		l.b.logger.Error("Registering again failed, will retry", zap.Error(err))
		select {
		case <-ctx.Done():
			return false
		case <-s.Context().Done():
			return false
		case <-time.After(registerRetry):
		}
	}
}

// register makes the broker known again. What it leads behind a freeze is in doubt before the controller can know the new
// registration: its LeaderAndIsr is what ends the doubt.
func (l *lives) register(ctx context.Context, s *zkmeta.Session) error {
	if l.b.freeze.lostSession(s) {
		l.b.replicas.Doubt(l.b.registrar.epoch.Load())
	}
	if err := l.b.registrar.register(ctx, s); err != nil {
		return err
	}
	l.b.freeze.registered(s)
	return nil
}

const registerRetry = 500 * time.Millisecond
