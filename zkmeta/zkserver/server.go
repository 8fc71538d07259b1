package zkserver

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Options say how a server runs. The zero value of a field takes the default named beside it.
type Options struct {
	// Dir holds transaction log and snapshots; "" keeps everything in memory and forgets it at Close.
	Dir string
	// Addr is the host and port to listen on; ":0" takes a free port.
	Addr string // ":2181"
	// TickTime is the grain of session timeouts.
	TickTime time.Duration // 2 s
	// MinSessionTimeout and MaxSessionTimeout bound what clients may ask for.
	MinSessionTimeout, MaxSessionTimeout time.Duration // 2 and 20 ticks
	// MaxClientCnxns is how many connections one address may have; 0 is no limit.
	MaxClientCnxns int
	// JuteMaxBuffer is the largest request in bytes.
	JuteMaxBuffer int // 1048575
	// ContainerCheckInterval is how often empty containers and outlived TTL nodes are looked for.
	ContainerCheckInterval time.Duration // 1 min
	// Logger is told of sessions and troubles; nil is silent.
	Logger *zap.Logger
}

// withDefaults fills in what was left open and checks the rest.
func (o Options) withDefaults() (Options, error) {
	orElse := func(d *time.Duration, other time.Duration) {
		if *d == 0 {
			*d = other
		}
	}
	if o.Addr == "" {
		o.Addr = ":2181"
	}
	orElse(&o.TickTime, 2*time.Second)
	orElse(&o.MinSessionTimeout, 2*o.TickTime)
	orElse(&o.MaxSessionTimeout, 20*o.TickTime)
	orElse(&o.ContainerCheckInterval, time.Minute)
	if o.JuteMaxBuffer == 0 {
		o.JuteMaxBuffer = 1<<20 - 1
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	switch {
	case o.TickTime < time.Millisecond:
		return o, fmt.Errorf("tickTime %v is less than a millisecond", o.TickTime)
	case o.MinSessionTimeout < 0 || o.MinSessionTimeout > o.MaxSessionTimeout:
		return o, errors.New("minSessionTimeout must not be larger than maxSessionTimeout")
	case o.MaxClientCnxns < 0:
		return o, fmt.Errorf("maxClientCnxns %d is negative", o.MaxClientCnxns)
	case o.JuteMaxBuffer < 0:
		return o, fmt.Errorf("jute.maxbuffer %d is negative", o.JuteMaxBuffer)
	}
	return o, nil
}

// Server is a ZooKeeper of one node. See the package for its parts.
type Server struct {
	opts     Options
	log      *zap.Logger
	stats    stats
	loop     *loop
	listener net.Listener

	running sync.WaitGroup // every goroutine of the server
	closing sync.Once

	// mu guards the connections that live.
	mu struct {
		sync.Mutex
		conns  map[*conn]struct{}
		byIP   map[string]int
		closed bool
	}
}

// NewServer checks the options; nothing is opened before Start.
func NewServer(opts Options) (*Server, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("zkserver: %w", err)
	}
	s := &Server{opts: opts, log: opts.Logger}
	s.mu.conns, s.mu.byIP = map[*conn]struct{}{}, map[string]int{}
	return s, nil
}

// Start loads what Dir holds, listens and serves. It returns when clients can connect.
func (s *Server) Start() error {
	s.loop = newLoop(s.opts, &s.stats, s.log)
	listener, err := net.Listen("tcp", s.opts.Addr)
	if err != nil {
		return fmt.Errorf("zkserver: %w", err)
	}
	s.listener = listener
	s.running.Go(s.loop.run)
	s.running.Go(s.commit)
	s.running.Go(s.accept)
	return nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Close ends the server; every transaction that was answered is on the disk. Sessions go on at the next Start with
// the same Dir. It may be called twice, and before Start.
func (s *Server) Close() error {
	s.shut()
	return nil
}

// Kill ends the server as a power failure would: what was not synced is lost.
func (s *Server) Kill() { s.shut() }

func (s *Server) shut() {
	if s.listener == nil {
		return
	}
	s.closing.Do(func() {
		s.listener.Close()
		close(s.loop.stop)
		<-s.loop.done
		s.mu.Lock()
		s.mu.closed = true
		for c := range s.mu.conns {
			c.abort()
		}
		s.mu.Unlock()
	})
	s.running.Wait()
}

// accept serves connections until the listener is closed.
func (s *Server) accept() {
	for {
		nc, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of file descriptors, most likely: others will be given back
			s.log.Warn("accept failed", zap.Error(err))
			time.Sleep(10 * time.Millisecond)
			continue
		}
		c := newConn(nc, s.opts.JuteMaxBuffer, s.loop.post, s.log)
		if !s.enter(c) {
			nc.Close()
			continue
		}
		s.running.Go(func() {
			defer s.leave(c)
			c.serve()
		})
	}
}

// enter counts a connection in, unless its address has too many or the server is closing.
func (s *Server) enter(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return false
	}
	if s.opts.MaxClientCnxns > 0 && s.mu.byIP[c.ip] >= s.opts.MaxClientCnxns {
		s.log.Warn("Too many connections from address", zap.String("client", c.ip),
			zap.Int("maxClientCnxns", s.opts.MaxClientCnxns))
		return false
	}
	s.mu.conns[c] = struct{}{}
	s.mu.byIP[c.ip]++
	return true
}

func (s *Server) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.conns, c)
	if s.mu.byIP[c.ip]--; s.mu.byIP[c.ip] == 0 {
		delete(s.mu.byIP, c.ip)
	}
}

// commit takes batches from the loop until there are no more.
func (s *Server) commit() {
	for b := range s.loop.commits {
		now := time.Now()
		for _, d := range b.deliveries {
			d.conn.push(d.frame, d.done, d.last)
			if !d.received.IsZero() {
				s.stats.answered(now.Sub(d.received))
			}
		}
	}
}
