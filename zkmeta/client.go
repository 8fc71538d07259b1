package zkmeta

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/ibp"
)

// Options say which ensemble to talk to and how.
type Options struct {
	ConnectString     string        // zookeeper.connect: "h1:2181,h2:2181/chroot"
	SessionTimeout    time.Duration // what is asked for; the server grants 2 to 20 of its ticks. Default 18 s
	ConnectionTimeout time.Duration // how long Connect waits for the first session. Default SessionTimeout
	CallTimeout       time.Duration // the deadline of a call, settling included. Default SessionTimeout
	MaxInFlight       int           // unanswered requests at a time. Default 128
	CreateChroot      bool          // brokers make the chroot when it is missing, clients do not
	Auth              []Auth
	SecureACLs        bool // zookeeper.set.acl
	TLS               *tls.Config
	Level             ibp.Level // which form of the znodes to write, until SetLevel
	Logger            *zap.Logger
}

// Auth is one identity a session takes on, for scheme "digest" with Data "user:password".
type Auth struct {
	Scheme string
	Data   []byte
}

// A Client owns the connection to ZooKeeper: one session at a time, a new one as soon as one has expired.
type Client struct {
	opt     Options
	servers []string // host:port
	chroot  string   // "" or "/a/b"
	log     *zap.Logger

	ctx    context.Context // ends at Close
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup // owner loop, notifier, clearing away of dead sessions

	mu struct {
		sync.Mutex
		session   *Session      // nil between lives
		changed   chan struct{} // closed when session changes
		onSession []func(*Session)
		onLease   []func(*Session, bool)
		registrar int64            // session that last registered a broker id
		reported  map[string]int64 // bad znode -> mzxid it was reported at
	}
	notes notes

	level     atomic.Int64 // ibp.Level
	confirmed atomic.Bool  // a server has confirmed the end of the last session
}

var (
	errClosed  = errors.New("the ZooKeeper client was closed")
	errExpired = errors.New("the session expired")
)

// A StartError is a reason why no session can ever come about with these options.
type StartError struct{ Err error }

func (e *StartError) Error() string { return e.Err.Error() }
func (e *StartError) Unwrap() error { return e.Err }

// A ConnectTimeoutError says that no session came about within ConnectionTimeout. The words are those of Kafka's
// ZooKeeperClientTimeoutException.
type ConnectTimeoutError struct{ ConnectString string }

func (e *ConnectTimeoutError) Error() string {
	return "Timed out waiting for connection while in state: CONNECTING"
}

// Connect starts the owner of the session and waits for the first one, at most ConnectionTimeout.
func Connect(ctx context.Context, opt Options) (*Client, error) {
	if opt.SessionTimeout <= 0 {
		opt.SessionTimeout = 18 * time.Second
	}
	if opt.ConnectionTimeout <= 0 {
		opt.ConnectionTimeout = opt.SessionTimeout
	}
	if opt.CallTimeout <= 0 {
		opt.CallTimeout = opt.SessionTimeout
	}
	if opt.MaxInFlight <= 0 {
		opt.MaxInFlight = 128
	}
	if opt.Logger == nil {
		opt.Logger = zap.NewNop()
	}
	servers, chroot, err := ParseConnectString(opt.ConnectString)
	if err != nil {
		return nil, err
	}
	c := &Client{opt: opt, servers: servers, chroot: chroot, log: opt.Logger}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.SetLevel(opt.Level)
	c.mu.changed = make(chan struct{})
	c.mu.reported = map[string]int64{}
	c.notes.wake = make(chan struct{}, 1)

	failed := make(chan error, 1)
	c.wg.Go(func() { c.own(failed) })
	c.wg.Go(func() { c.notes.deliver(c.ctx) })

	ctx, cancel := context.WithTimeoutCause(ctx, opt.ConnectionTimeout,
		&ConnectTimeoutError{opt.ConnectString})
	defer cancel()
	for {
		session, changed := c.current()
		if session != nil {
			return c, nil
		}
		select {
		case <-changed:
			continue
		case err = <-failed:
		case <-ctx.Done():
			err = cause(ctx)
		}
		c.Close()
		return nil, err
	}
}

// SetLevel says which form of the znodes to write from now on: a broker may learn its level from ZooKeeper.
func (c *Client) SetLevel(l ibp.Level) { c.level.Store(int64(l)) }

func (c *Client) currentLevel() ibp.Level { return ibp.Level(c.level.Load()) }

// ParseConnectString splits zookeeper.connect into host:port pairs and the chroot, which is "" or begins with a slash.
func ParseConnectString(s string) (servers []string, chroot string, err error) {
	hosts, path, found := strings.Cut(s, "/")
	if found && path != "" {
		chroot = "/" + path
		if strings.HasSuffix(chroot, "/") || strings.Contains(chroot, "//") || strings.ContainsAny(chroot, "\x00,") {
			return nil, "", fmt.Errorf("zookeeper.connect %q: %q is not a path", s, chroot)
		}
	}
	for _, host := range strings.Split(hosts, ",") {
		host = strings.TrimSpace(host)
		if host == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), "2181")
		}
		name, port, err := net.SplitHostPort(host)
		if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 || name == "" {
			return nil, "", fmt.Errorf("zookeeper.connect %q: %q is not host:port", s, host)
		}
		servers = append(servers, host)
	}
	if len(servers) == 0 {
		return nil, "", fmt.Errorf("zookeeper.connect %q names no server", s)
	}
	return servers, chroot, nil
}

// own is the loop that owns the session: open one, hand it out, wait for its end, clear away, again. A *StartError goes
// to failed, which nobody reads any more once there has been a session.
func (c *Client) own(failed chan<- error) {
	pause := shortestPause
	for c.ctx.Err() == nil {
		s, err := c.open()
		if err == nil {
			pause = shortestPause
			c.live(s)
			continue
		}
		if c.ctx.Err() != nil {
			return
		}
		c.log.Warn("no ZooKeeper session yet", zap.Error(err))
		if start := (*StartError)(nil); errors.As(err, &start) {
			select {
			case failed <- err:
			default:
			}
		}
		select {
		case <-time.After(pause + rand.N(pause)):
		case <-c.ctx.Done():
		}
		pause = min(2*pause, longestPause)
	}
}

// The pause between two attempts to open a session is doubled from one to the other, with as much again at random.
const shortestPause, longestPause = 100 * time.Millisecond, 2 * time.Second

// live is one life of a session, from its publication to its end.
func (c *Client) live(s *Session) {
	c.publish(s)
	<-s.ctx.Done()
	c.publish(nil)
	if c.ctx.Err() != nil {
		s.farewell()
		return
	}
	c.log.Warn("ZooKeeper session lost", zap.String("session", sessionText(s.id)), zap.Error(cause(s.ctx)))
	c.wg.Go(s.abandon)
}

func sessionText(id int64) string { return "0x" + strconv.FormatUint(uint64(id), 16) }

func (c *Client) publish(s *Session) {
	c.mu.Lock()
	c.mu.session = s
	close(c.mu.changed)
	c.mu.changed = make(chan struct{})
	subscribers := c.mu.onSession
	c.mu.Unlock()
	for _, fn := range subscribers {
		c.notes.post(func() { fn(s) })
	}
}

func (c *Client) current() (*Session, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.session, c.mu.changed
}

// Session is the present session: nil between two lives, and perhaps already dead when it is used.
func (c *Client) Session() *Session {
	s, _ := c.current()
	return s
}

// AwaitSession gives the present session, or waits for the next one.
func (c *Client) AwaitSession(ctx context.Context) (*Session, error) {
	for {
		s, changed := c.current()
		if s != nil && s.ctx.Err() == nil {
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("no ZooKeeper session: %w", cause(ctx))
		case <-c.ctx.Done():
			return nil, errClosed
		}
	}
}

// OnSession has fn called with the present session, if there is one, and from then on with each new one and with nil
// at each loss, in order, from one goroutine. fn must not block.
func (c *Client) OnSession(fn func(*Session)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.onSession = append(c.mu.onSession[:len(c.mu.onSession):len(c.mu.onSession)], fn)
	if s := c.mu.session; s != nil {
		c.notes.post(func() { fn(s) })
	}
}

// OnLease has fn called when a session's lease runs out (false) and when it is proven again (true), from the goroutine
// of OnSession. fn must not block.
func (c *Client) OnLease(fn func(s *Session, valid bool)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.onLease = append(c.mu.onLease[:len(c.mu.onLease):len(c.mu.onLease)], fn)
}

func (c *Client) leaseChanged(s *Session, valid bool) {
	c.mu.Lock()
	subscribers := c.mu.onLease
	c.mu.Unlock()
	for _, fn := range subscribers {
		c.notes.post(func() { fn(s, valid) })
	}
}

// Close ends the session at the server, so that its ephemeral znodes go at once, and returns when all goroutines of
// the client have ended.
func (c *Client) Close() {
	c.cancel(errClosed)
	c.wg.Wait()
}

// SessionClosed tells, after Close, whether a server has confirmed the end of the session. If not, it goes on until its
// timeout.
func (c *Client) SessionClosed() bool { return c.confirmed.Load() }

// badZnode reports a znode that cannot be used, once for every change of it.
func (c *Client) badZnode(path string, stat *Stat, err error) {
	c.mu.Lock()
	at, known := c.mu.reported[path]
	if known && at == stat.Mzxid {
		c.mu.Unlock()
		return
	}
	if len(c.mu.reported) > 10_000 {
		clear(c.mu.reported)
	}
	c.mu.reported[path] = stat.Mzxid
	c.mu.Unlock()
	c.log.Error("a znode cannot be read and is left out", zap.String("path", path), zap.Error(err))
}

// notes are calls to subscribers, made one after the other by one goroutine and never by the goroutine that saw the
// event. The queue is unbounded, as an event must neither be lost nor block its source; events are a few per session.
type notes struct {
	wake chan struct{}
	mu   struct {
		sync.Mutex
		queue []func()
	}
}

func (n *notes) post(fn func()) {
	n.mu.Lock()
	n.mu.queue = append(n.mu.queue, fn)
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *notes) deliver(ctx context.Context) {
	for {
		n.mu.Lock()
		queue := n.mu.queue
		n.mu.queue = nil
		n.mu.Unlock()
		for _, fn := range queue {
			fn()
		}
		select {
		case <-n.wake:
		case <-ctx.Done():
			return
		}
	}
}
