package zkmeta

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
	"go.uber.org/zap"
)

// A Session is one life at ZooKeeper, and the zk.Conn that lives exactly as long. All calls are methods of it.
type Session struct {
	client *Client
	conn   *zk.Conn
	dialer *dialer

	ctx    context.Context // the life
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup // lease and watch loops

	opened       chan struct{} // closed when the fields below are set
	id           int64
	password     []byte
	timeout      time.Duration // as granted
	libraryEnded chan struct{}

	link     link
	slots    chan struct{} // one token for each request that is not answered yet
	turn     turnstile
	lease    lease
	watching watching
}

// link tells whether the library has a connection with this session on it.
type link struct {
	mu struct {
		sync.Mutex
		up      bool
		changed chan struct{} // closed at each change
	}
}

func (l *link) set(up bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.up == up {
		return
	}
	l.mu.up = up
	close(l.mu.changed)
	l.mu.changed = make(chan struct{})
}

func (l *link) state() (up bool, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.up, l.mu.changed
}

// open makes a new session and prepares it: credentials first, then the chroot, and only then anybody else's requests.
func (c *Client) open() (*Session, error) {
	s := &Session{client: c, opened: make(chan struct{}), libraryEnded: make(chan struct{}),
		slots: make(chan struct{}, c.opt.MaxInFlight)}
	s.ctx, s.cancel = context.WithCancelCause(c.ctx)
	s.dialer = newDialer(s.ctx, c.opt.TLS, c.opt.SessionTimeout, len(c.servers))
	if len(c.opt.Auth) == 0 { // credentials go first, and their answers must be read
		s.dialer.rearms = s.watching.anyArmed
	}
	s.link.mu.changed = make(chan struct{})
	s.turn.init(s.dialer.sent)
	s.watching.init()

	conn, events, err := zk.Connect(c.servers, c.opt.SessionTimeout,
		zk.WithDialer(s.dialer.dial),
		zk.WithHostProvider(newHosts(s.ctx, c.servers)),
		zk.WithEventCallback(s.onEvent),
		zk.WithMaxBufferSize(maxFrame),
		zk.WithLogInfo(false),
		zk.WithLogger(libraryLog{c.log}))
	if err != nil {
		return nil, &StartError{err}
	}
	s.conn = conn
	go func() {
		for range events { // closed when the library's loop has ended; the events themselves come by onEvent
		}
		close(s.libraryEnded)
	}()
	if err := s.prepare(); err != nil {
		s.cancel(err)
		s.abandon()
		return nil, err
	}
	s.wg.Go(s.keepLease)
	s.wg.Go(s.keepWatches)
	c.log.Info("ZooKeeper session established", zap.String("session", sessionText(s.id)), zap.String("server", conn.Server()),
		zap.Duration("timeout", s.timeout))
	return s, nil
}

func (s *Session) prepare() error {
	select {
	case <-s.opened:
	case <-s.ctx.Done():
		return cause(s.ctx)
	}
	ctx, cancel := s.deadline(s.ctx)
	defer cancel()
	for _, auth := range s.client.opt.Auth {
		err := start(s, ctx, func(conn *zk.Conn) (struct{}, error) {
			return struct{}{}, conn.AddAuth(auth.Scheme, auth.Data)
		}).wait(ctx)
		if err != nil {
			return fmt.Errorf("ZooKeeper authentication by %s: %w", auth.Scheme, err)
		}
	}
	if s.client.chroot == "" {
		return nil
	}
	if s.client.opt.CreateChroot {
		return s.createChroot(ctx)
	}
	if _, err := s.Exists(ctx, "/"); errors.Is(err, ErrNoNode) {
		return &StartError{fmt.Errorf("the chroot %s of zookeeper.connect does not exist", s.client.chroot)}
	} else if err != nil {
		return err
	}
	return nil
}

// onEvent is called by goroutines of the library and must not block them.
func (s *Session) onEvent(event zk.Event) {
	if event.Type != zk.EventSession {
		if event.Type != zk.EventNotWatching {
			s.watching.fired(event.Type, event.Path)
		}
		return
	}
	switch event.State {
	case zk.StateHasSession:
		granted := s.dialer.granted()
		select {
		case <-s.opened:
			if granted.sessionID != s.id {
				s.expire()
				return
			}
			s.watching.reconnected()
		default:
			s.id, s.password, s.timeout = granted.sessionID, granted.password, granted.timeout
			s.lease.init(s.timeout, granted.asked)
			close(s.opened)
		}
		s.link.set(true)
	case zk.StateExpired:
		s.expire()
	case zk.StateDisconnected, zk.StateConnecting, zk.StateConnected:
		s.link.set(false)
	}
}

// expire ends this life. The dialer is told first: the library is about to connect again and to ask for a new session.
func (s *Session) expire() {
	s.dialer.end()
	s.link.set(false)
	s.cancel(errExpired)
}

// abandon clears away a dead session without a word to the server.
func (s *Session) abandon() {
	s.dialer.end()
	s.conn.Close() // takes a second, as nobody answers
	s.drain()
}

// farewell closes the session at the server and waits until it is confirmed, for three seconds at most. go-zookeeper
// itself gives up after one second and without a connection; then the session is closed by id and password.
func (s *Session) farewell() {
	s.dialer.refuse()
	s.conn.Close()
	confirmed := s.dialer.farewellAnswered()
	s.dialer.end()
	s.drain()
	if confirmed {
		s.client.confirmed.Store(true)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := closeSession(ctx, s.dialer, s.client.servers, s.id, s.password)
	s.client.confirmed.Store(err == nil)
	if err != nil {
		s.client.log.Warn("the ZooKeeper session could not be closed and ends by its timeout",
			zap.String("session", sessionText(s.id)), zap.Error(err))
	}
}

// drain returns when the library's loop, the session's own loops and all calls have ended.
func (s *Session) drain() {
	<-s.libraryEnded
	s.wg.Wait()
	for range cap(s.slots) {
		s.slots <- struct{}{} // never given back: no call starts again
	}
}

// Context ends when the session's life does.
func (s *Session) Context() context.Context { return s.ctx }

// ID is the session id, as in ephemeralOwner.
func (s *Session) ID() int64 { return s.id }

// Password is the secret that, with the id, lets any connection take or close the session. Keep it private.
func (s *Session) Password() []byte { return append([]byte(nil), s.password...) }

// Timeout is the session timeout the server granted.
func (s *Session) Timeout() time.Duration { return s.timeout }

// libraryLog takes go-zookeeper's few words: all of them are about connections that fail or end.
type libraryLog struct{ log *zap.Logger }

func (l libraryLog) Printf(format string, args ...any) {
	l.log.Debug("go-zookeeper", zap.String("text", fmt.Sprintf(format, args...)))
}
