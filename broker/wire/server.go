package wire

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/metrics"
)

// Listener is one address the server listens on.
type Listener struct {
	Name             string // as in the key listeners: "PLAINTEXT", "INTERNAL"
	SecurityProtocol string // PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL
	Host             string // "" means all interfaces
	Port             int    // 0 lets the kernel choose
	MaxConnections   int    // of this listener; 0 for no limit of its own
	CreationRate     int    // connections a second on this listener; 0 for no limit of its own
}

// ServerOptions are the values of the broker's configuration that matter here. DefaultServerOptions has Kafka's.
type ServerOptions struct {
	Listeners           []Listener
	InterBrokerListener string        // let in even when the broker is full
	MaxRequestSize      int           // socket.request.max.bytes
	MaxQueuedBytes      int64         // queued.max.request.bytes; <= 0 for no limit
	SendBuffer          int           // socket.send.buffer.bytes; <= 0 leaves it to the kernel
	ReceiveBuffer       int           // socket.receive.buffer.bytes if configured; <= 0 leaves it to the kernel
	Backlog             int           // socket.listen.backlog.size
	IdleTimeout         time.Duration // connections.max.idle.ms; <= 0 for never
	Limits
}

// Limits say who may connect. SetLimits changes them in a running server.
type Limits struct {
	MaxConnections               int            // max.connections
	MaxConnectionsPerIP          int            // max.connections.per.ip
	MaxConnectionsPerIPOverrides map[string]int // max.connections.per.ip.overrides: address or host name -> limit
	MaxCreationRate              int            // max.connection.creation.rate, connections a second; 0 for no limit
}

// DefaultServerOptions are Kafka's defaults, with no listener yet.
func DefaultServerOptions() ServerOptions {
	return ServerOptions{
		MaxRequestSize: 100 << 20,
		MaxQueuedBytes: -1,
		SendBuffer:     100 << 10,
		Backlog:        50,
		IdleTimeout:    10 * time.Minute,
		Limits:         Limits{MaxConnections: math.MaxInt32, MaxConnectionsPerIP: math.MaxInt32},
	}
}

// Server listens, accepts and runs the connections.
type Server struct {
	options   ServerOptions
	handler   Handler
	log       *zap.Logger
	registry  *metrics.Registry
	listeners []*listener // set by Listen
	admission *admission
	memory    budget
	metrics   serverMetrics

	complaints rateLimit
	stopping   atomic.Bool
	serials    atomic.Uint64
	ctx        context.Context // of all handlers; ends when Stop begins
	cancel     context.CancelFunc
	running    sync.WaitGroup // acceptors and connections

	mu struct {
		sync.Mutex
		conns map[*Conn]struct{}
	}
}

// listener is a bound Listener.
type listener struct {
	Listener
	tcp       *net.TCPListener
	protected bool // brokers have this one to themselves, and are let in when the server is full
	admitted  int  // connections; guarded by admission.mu
	pace      pace
	metrics   listenerMetrics
}

func (l *listener) limit() int {
	if l.MaxConnections > 0 {
		return l.MaxConnections
	}
	return math.MaxInt
}

// NewServer makes a server that is neither bound nor serving yet.
func NewServer(o ServerOptions, h Handler, log *zap.Logger, r *metrics.Registry) *Server {
	s := &Server{options: o, handler: h, log: log, registry: r, admission: newAdmission(o.Limits)}
	s.memory.limit = o.MaxQueuedBytes
	s.mu.conns = make(map[*Conn]struct{})
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.metrics.register(r)
	return s
}

// Listen binds all listeners. Clients may connect from here on and wait until Serve. If one address cannot be
// bound, none stays bound.
func (s *Server) Listen() error {
	for _, l := range s.options.Listeners {
		tcp, err := listen(l, s.options.Backlog)
		if err != nil {
			for _, bound := range s.listeners {
				_ = bound.tcp.Close()
			}
			s.listeners = nil
			return err
		}
		b := &listener{Listener: l, tcp: tcp}
		b.pace.limit(l.CreationRate)
		b.protected = l.Name == s.options.InterBrokerListener && len(s.options.Listeners) > 1
		b.metrics.register(s.registry.With("listener", l.Name))
		s.listeners = append(s.listeners, b)
	}
	return nil
}

// listen binds one address.
func listen(l Listener, backlog int) (*net.TCPListener, error) {
	ln, err := net.Listen("tcp", net.JoinHostPort(l.Host, strconv.Itoa(l.Port)))
	if err == nil && backlog > 0 {
		err = setBacklog(ln.(*net.TCPListener), backlog)
	}
	if err != nil {
		return nil, &bindError{l, err}
	}
	return ln.(*net.TCPListener), nil
}

// bindError says in Kafka's words which address could not be bound.
type bindError struct {
	listener Listener
	cause    error
}

func (e *bindError) Error() string {
	host, why := e.listener.Host, e.cause.Error()
	if host == "" {
		host = "0.0.0.0"
	}
	if errors.Is(e.cause, syscall.EADDRINUSE) {
		why = "Address already in use."
	}
	return fmt.Sprintf("Socket server failed to bind to %s:%d: %s", host, e.listener.Port, why)
}

func (e *bindError) Unwrap() error { return e.cause }

// Addr is where the named listener is bound, with the port the kernel chose; nil before Listen or for no such
// listener.
func (s *Server) Addr(name string) *net.TCPAddr {
	for _, l := range s.listeners {
		if l.Name == name {
			return l.tcp.Addr().(*net.TCPAddr)
		}
	}
	return nil
}

// Serve starts to accept and handle connections, and returns.
func (s *Server) Serve() {
	for _, l := range s.listeners {
		s.running.Go(func() { s.accept(l) })
	}
}

// accept takes connections in until the listener is closed.
func (s *Server) accept(l *listener) {
	const minPause, maxPause = 5 * time.Millisecond, time.Second
	pause := minPause
	for {
		nc, err := l.tcp.AcceptTCP()
		switch {
		case err == nil:
			pause = minPause
			s.admit(l, nc)
			continue
		case errors.Is(err, net.ErrClosed):
			return
		}
		// Out of file descriptors, most likely: those who are connected go on, and someone will leave.
		s.log.Error("Cannot accept a connection", zap.String("listener", l.Name), zap.Error(err))
		select {
		case <-time.After(pause):
			pause = min(2*pause, maxPause)
		case <-s.ctx.Done():
			return
		}
	}
}

// admit lets a connection in and starts its goroutine, or closes it.
func (s *Server) admit(l *listener, nc *net.TCPConn) {
	ip := addrOf(nc.RemoteAddr())
	if err := s.admission.enter(s.ctx, l, ip, s.evict); err != nil {
		_ = nc.Close()
		if err == errTooManyFromIP {
			l.metrics.rejected.Add(1)
			if s.complaints.allow() {
				s.log.Info("Rejected a connection: the address has all it may have", zap.Stringer("ip", ip))
			}
		}
		return
	}
	if s.options.SendBuffer > 0 {
		_ = nc.SetWriteBuffer(s.options.SendBuffer)
	}
	if s.options.ReceiveBuffer > 0 {
		_ = nc.SetReadBuffer(s.options.ReceiveBuffer)
	}
	c := newConn(s, l, nc, ip, s.serials.Add(1)-1)
	s.mu.Lock()
	s.mu.conns[c] = struct{}{}
	s.mu.Unlock()
	l.metrics.accepted.Add(1)
	l.metrics.connections.Add(1)
	s.running.Go(func() {
		defer func() {
			s.mu.Lock()
			delete(s.mu.conns, c)
			s.mu.Unlock()
			l.metrics.connections.Add(-1)
			s.admission.leave(l, ip)
		}()
		c.serve()
	})
}

// evict closes the client connection that has been quiet for longest.
func (s *Server) evict() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var quiet *Conn
	for c := range s.mu.conns {
		if !c.listener.protected && c.ctx.Err() == nil && (quiet == nil || c.lastActive.Load() < quiet.lastActive.Load()) {
			quiet = c
		}
	}
	if quiet != nil {
		quiet.close()
	}
}

// SetLimits changes who may connect from now on. Who is connected stays.
func (s *Server) SetLimits(l Limits) { s.admission.set(l) }

// ConnectionCount is the number of open connections.
func (s *Server) ConnectionCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.conns)
}

// Stop ends the server: no new connection, no further request; the handlers' context ends, and requests in work are
// answered. What is not answered when ctx ends is cut off, and ctx's error returned. Stop may be called twice, and
// before Serve.
func (s *Server) Stop(ctx context.Context) error {
	s.stopping.Store(true)
	s.cancel()
	for _, l := range s.listeners {
		_ = l.tcp.Close()
	}
	s.each(func(c *Conn) { _ = c.nc.SetReadDeadline(time.Unix(1, 0)) }) // wakes those who wait for a request
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.each((*Conn).close)
		<-done
		return ctx.Err()
	}
}

// each calls fn for every open connection.
func (s *Server) each(fn func(*Conn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.mu.conns {
		fn(c)
	}
}

// rateLimit lets ten through each second: a flood of bad clients must not become a flood of log lines.
type rateLimit struct {
	second atomic.Int64
	count  atomic.Int64
}

func (r *rateLimit) allow() bool {
	now := time.Now().Unix()
	if r.second.Swap(now) != now {
		r.count.Store(0)
	}
	return r.count.Add(1) <= 10
}
