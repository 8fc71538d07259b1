package zkserver

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Options say how a server runs. The zero value of a field takes the default named beside it.
type Options struct {
	// Dir holds transaction log and snapshots; "" keeps everything in memory and forgets it at Close.
	Dir string
	// LogDir holds the transaction log when it shall lie elsewhere than the snapshots.
	LogDir string // Dir
	// SnapCount is how many transactions the log grows by between snapshots.
	SnapCount int // 100000
	// SnapRetainCount is how many snapshots are kept, with the log since the oldest of them; less than 0 keeps all.
	SnapRetainCount int // 3
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
	// Words are the four letter words that are answered, "*" for all.
	Words []string // those of words.go but wchc and wchp
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
	if o.LogDir == "" {
		o.LogDir = o.Dir
	}
	if o.SnapCount == 0 {
		o.SnapCount = 100_000
	}
	if o.SnapRetainCount == 0 {
		o.SnapRetainCount = 3
	}
	if o.JuteMaxBuffer == 0 {
		o.JuteMaxBuffer = 1<<20 - 1
	}
	if o.Words == nil {
		o.Words = defaultWords
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
	case o.SnapCount < 2:
		return o, fmt.Errorf("snapCount %d is less than 2", o.SnapCount)
	case o.JuteMaxBuffer < 0:
		return o, fmt.Errorf("jute.maxbuffer %d is negative", o.JuteMaxBuffer)
	}
	return o, nil
}

// Server is a ZooKeeper of one node. See the package for its parts.
type Server struct {
	opts      Options
	log       *zap.Logger
	stats     stats
	loop      *loop
	committer *committer
	listener  net.Listener

	running sync.WaitGroup // every goroutine of the server
	closing sync.Once
	done    chan struct{} // closed when the server begins to end, whoever asked for it

	// mu guards the connections that live and why the server ended.
	mu struct {
		sync.Mutex
		conns  map[*conn]struct{}
		byIP   map[string]int
		closed bool
		err    error
	}
}

// NewServer checks the options; nothing is opened before Start.
func NewServer(opts Options) (*Server, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("zkserver: %w", err)
	}
	s := &Server{opts: opts, log: opts.Logger, done: make(chan struct{})}
	s.mu.conns, s.mu.byIP = map[*conn]struct{}{}, map[string]int{}
	return s, nil
}

// Start loads what Dir holds, listens and serves. It returns when clients can connect.
func (s *Server) Start() error {
	s.loop = newLoop(s.opts, &s.stats, s.log)
	s.committer = &committer{
		batches: s.loop.commits, saving: &s.loop.saving, keep: s.opts.SnapRetainCount, stats: &s.stats, log: s.log,
		failed: s.fail, done: make(chan struct{}),
	}
	if s.opts.Dir != "" {
		begin := time.Now()
		store, st, err := openStore(s.opts.Dir, s.opts.LogDir, s.log)
		if err != nil {
			return fmt.Errorf("zkserver: %w", err)
		}
		s.committer.store = store
		s.loop.load(st)
		s.log.Info("database loaded", zap.String("dir", s.opts.Dir), zap.String("zxid", hex(st.tree.zxid)),
			zap.Int("nodes", len(st.tree.nodes)), zap.Int("sessions", len(st.sessions)),
			zap.Int("transactions", st.replayed), zap.Duration("took", time.Since(begin)))
	}
	listener, err := net.Listen("tcp", s.opts.Addr)
	if err != nil {
		if s.committer.store != nil {
			s.committer.store.close()
		}
		return fmt.Errorf("zkserver: %w", err)
	}
	s.listener = listener
	s.loop.port, s.loop.connections = listener.Addr().(*net.TCPAddr).Port, s.connections
	s.stats.begin = time.Now()
	s.running.Go(s.loop.run)
	s.running.Go(s.committer.run)
	s.running.Go(s.accept)
	s.log.Info("binding to port", zap.Stringer("address", listener.Addr()))
	return nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Done is closed when the server ends, also when it has to because the disk fails; then Err says why.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err is why the server ended by itself, nil otherwise.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.err
}

// Close ends the server; every transaction that was answered is on the disk. Sessions go on at the next Start with
// the same Dir. It may be called twice, and before Start.
func (s *Server) Close() error {
	if s.listener == nil {
		return nil
	}
	s.end()
	s.running.Wait()
	return s.Err()
}

// Kill ends the server as a loss of power would: what was not synced is gone.
func (s *Server) Kill() {
	if s.listener == nil {
		return
	}
	s.committer.dead.Store(true)
	s.end()
	s.running.Wait()
}

// fail ends the server because of err; it does not wait.
func (s *Server) fail(err error) {
	s.log.Error("the server ends because its disk fails", zap.Error(err))
	s.mu.Lock()
	s.mu.err = fmt.Errorf("zkserver: %w", err)
	s.mu.Unlock()
	s.running.Go(s.end)
}

// end makes every goroutine end: the sources of work first, the connections when the last answers are out.
func (s *Server) end() {
	s.closing.Do(func() {
		close(s.done)
		s.listener.Close()
		close(s.loop.stop)
		<-s.committer.done
		s.mu.Lock()
		defer s.mu.Unlock()
		s.mu.closed = true
		for c := range s.mu.conns {
			c.abort()
		}
	})
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
	s.stats.received.Add(c.received.Load())
	s.stats.sent.Add(c.sent.Load())
	delete(s.mu.conns, c)
	if s.mu.byIP[c.ip]--; s.mu.byIP[c.ip] == 0 {
		delete(s.mu.byIP, c.ip)
	}
}

// connections lists those that live, the eldest first.
func (s *Server) connections() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Keys(s.mu.conns), func(a, b *conn) int { return a.since.Compare(b.since) })
}
