package zkmeta

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// maxRequest is the most bytes a request may carry. ZooKeeper's jute.maxbuffer is 1 MB by default and a larger request
// makes the server drop the connection of everybody without an answer (which would look like a reason to try again).
const maxRequest = 900 << 10

// A call is one request on its way. go-zookeeper's calls block without a deadline, so each runs in a goroutine of its
// own, which ends with the answer, with the loss of the connection, or with the session.
type call[T any] struct {
	session *Session
	ended   chan struct{} // closed after value and err are set
	value   T
	err     error
}

// start sends one request and returns at once, unless there is no connection or MaxInFlight requests are unanswered.
// Requests leave in the order of the calls of start, and ZooKeeper carries out and answers those of a session in that
// order.
func start[T any](s *Session, ctx context.Context, request func(*zk.Conn) (T, error)) *call[T] {
	c := &call[T]{session: s, ended: make(chan struct{})}
	refuse := func(ctx context.Context) *call[T] {
		c.err = fmt.Errorf("%w: %w", ErrNotSent, cause(ctx))
		close(c.ended)
		return c
	}
	if ended := s.awaitUp(ctx); ended != nil {
		return refuse(ended)
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return refuse(ctx)
	case <-s.ctx.Done():
		return refuse(s.ctx)
	}
	if s.ctx.Err() != nil {
		<-s.slots
		return refuse(s.ctx)
	}
	up, linkChanged := s.link.state()
	s.turn.pass(up, linkChanged, c.ended, func() {
		go func() {
			value, err := request(s.conn)
			c.value, c.err = value, outcomeOf(err)
			<-s.slots
			close(c.ended)
		}()
	})
	return c
}

// wait gives the outcome. When ctx or the session ends first it is unknown, and the value must not be read.
func (c *call[T]) wait(ctx context.Context) error {
	var why context.Context
	select {
	case <-c.ended:
		return c.err
	case <-ctx.Done():
		why = ctx
	case <-c.session.ctx.Done():
		why = c.session.ctx
	}
	select {
	case <-c.ended: // at the same moment
		return c.err
	default:
		return unknown(cause(why))
	}
}

// deadline gives ctx the deadline of a call. Nested calls share the first one's, for it is the earlier.
func (s *Session) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	timeout := s.client.opt.CallTimeout
	return context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer from ZooKeeper within %v", timeout))
}

// do makes one attempt at one request.
func do[T any](s *Session, ctx context.Context, request func(*zk.Conn) (T, error)) (T, error) {
	c := start(s, ctx, request)
	if err := c.wait(ctx); err != nil {
		var zero T
		return zero, err
	}
	return c.value, nil
}

// read makes attempts at a request that changes nothing, until one is answered.
func read[T any](s *Session, ctx context.Context, request func(*zk.Conn) (T, error)) (T, error) {
	for {
		value, err := do(s, ctx, request)
		if !isUnknown(err) || !s.awaitLink(ctx) {
			return value, err
		}
	}
}

// settle makes a write come to a known outcome. applied is asked after each unknown attempt, over a connection that is
// up, and tells by reading whether the write took place; when it did not, the write is tried again. It may also refuse.
// A write that may be repeated has no applied: the outcome is that of the last attempt.
func (s *Session) settle(ctx context.Context, write func() error, applied func() (bool, error)) error {
	var open error // an earlier attempt whose outcome stays unknown
	for {
		err := write()
		if errors.Is(err, ErrNotSent) && open != nil {
			return open
		}
		if !isUnknown(err) || !s.awaitLink(ctx) {
			return err
		}
		if applied == nil {
			open = err
			continue
		}
		done, readErr := applied()
		switch {
		case isUnknown(readErr), errors.Is(readErr, ErrNotSent):
			return err
		case readErr != nil:
			return readErr
		case done:
			return nil
		}
	}
}

// awaitLink waits, after an answer was lost, until the session has a connection. It tells whether trying again makes
// sense: false when ctx or the session has ended.
func (s *Session) awaitLink(ctx context.Context) bool {
	// The library reports the loss to the call before it reports the state; give it time to turn round.
	pause := time.NewTimer(20 * time.Millisecond)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
		return false
	case <-s.ctx.Done():
		return false
	}
	return s.awaitUp(ctx) == nil
}

// awaitUp waits until there is a connection. It gives the context that ended before, ctx or the session's.
func (s *Session) awaitUp(ctx context.Context) context.Context {
	for {
		up, changed := s.link.state()
		switch {
		case s.ctx.Err() != nil:
			return s.ctx
		case ctx.Err() != nil:
			return ctx
		case up:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		case <-s.ctx.Done():
		}
	}
}

// A turnstile lets requests into go-zookeeper one after the other, each when the one before is being written to the
// socket, so that they leave in the order in which they were asked. It waits for that, and for no answer.
type turnstile struct {
	mu struct {
		sync.Mutex
		timer *time.Timer
	}
	sent <-chan struct{} // a token for each request as it is written
}

// turnstileWait bounds how long order is kept while the socket takes nothing.
const turnstileWait = time.Second

func (t *turnstile) init(sent <-chan struct{}) {
	t.sent = sent
	t.mu.timer = time.NewTimer(time.Hour)
	t.mu.timer.Stop()
}

// pass lets one request in. When the connection is lost nothing is written and there is nothing to wait for: the
// request waits in the library.
func (t *turnstile) pass(linkUp bool, linkChanged, ended <-chan struct{}, enter func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.sent: // of a request whose wait was given up
	default:
	}
	enter()
	if !linkUp {
		return
	}
	t.mu.timer.Reset(turnstileWait)
	defer t.mu.timer.Stop()
	select {
	case <-t.sent:
	case <-ended:
	case <-linkChanged:
	case <-t.mu.timer.C:
	}
}
