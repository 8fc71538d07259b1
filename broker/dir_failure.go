package broker

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// dirFailures follows the log directories that fail (Kafka: ReplicaManager.handleLogDirFailure): whoever waits for
// something in them is answered, and the controller is told, so that it moves the leads that were there. A broker that
// has lost the last directory has nothing to serve and says so by Failed.
type dirFailures struct {
	b      *Broker
	hint   chan struct{} // capacity 1: there is something to do
	ended  chan error    // capacity 1
	logger *zap.Logger   // "kafka.server.ReplicaManager"
	cancel context.CancelFunc
	done   sync.WaitGroup
	mu     struct {
		sync.Mutex
		failed int
	}
}

func newDirFailures(b *Broker) *dirFailures {
	return &dirFailures{b: b, hint: make(chan struct{}, 1), ended: make(chan error, 1), logger: b.root.Named("kafka.server.ReplicaManager")}
}

// note takes one failure in. Storage calls it, once for each directory, and at any time from its own opening on.
func (f *dirFailures) note(dir string, _ error) {
	f.logger.Warn(fmt.Sprintf("Stopping serving replicas in dir %s because the log directory has failed.", dir))
	f.mu.Lock()
	f.mu.failed++
	all := f.mu.failed == len(f.b.static.LogDirs)
	f.mu.Unlock()
	if all {
		err := fmt.Errorf("Shutdown broker because all log dirs in %s have failed", strings.Join(f.b.static.LogDirs, ", "))
		f.b.root.Named("kafka.log.LogManager").Error(err.Error())
		f.ended <- err
	}
	select {
	case f.hint <- struct{}{}:
	default:
	}
}

// all says whether no directory is left.
func (f *dirFailures) all() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.failed == len(f.b.static.LogDirs)
}

// start begins to act on failures, those of the loading included; the broker is registered.
func (f *dirFailures) start() {
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	f.done.Go(func() { f.run(ctx) })
}

func (f *dirFailures) stop() {
	f.cancel()
	f.done.Wait()
}

func (f *dirFailures) run(ctx context.Context) {
	var again <-chan time.Time // not nil: the controller does not know yet
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.hint:
			f.b.replicas.LogsFailed()
		case <-again:
		}
		again = nil
		if err := f.tellController(ctx); err != nil {
			f.logger.Warn("The controller was not told of a failed log directory, will retry", zap.Error(err))
			again = time.After(registerRetry)
		}
	}
}

// tellController leaves the note that makes the controller ask for the state of every replica here. Between two
// sessions there is nothing to leave: a broker that registers anew is asked anyway.
func (f *dirFailures) tellController(ctx context.Context) error {
	s := f.b.zk.Session()
	if s == nil {
		return nil
	}
	return s.NotifyLogDirFailure(ctx, f.b.registrar.id)
}
