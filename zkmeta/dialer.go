package zkmeta

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxYoungDeaths is how many connections in a row may die within a second before reconnecting is slowed down.
	maxYoungDeaths = 3
	// maxFrame bounds what a server may send in one answer: child lists of very large parents stay far below.
	maxFrame = 64 << 20
	// leastHandshake is how long a server may take to answer the first frame of a connection at the first try.
	leastHandshake = time.Second
)

var errLifeEnded = errors.New("the session has ended")

// A handshake is what a server granted: go-zookeeper keeps the password to itself, so it is read off the wire.
type handshake struct {
	sessionID int64
	password  []byte
	timeout   time.Duration
	asked     time.Time // when the connection was dialed: the server cannot have granted anything earlier
}

// A dialer makes the connections of one life and no other: after end it refuses, so that go-zookeeper, which would
// make a new session by itself after an expiry, cannot carry requests of the old life into it.
//
// A frozen server accepts TCP and is then silent, which go-zookeeper would endure for several session timeouts. So the
// connection clamps every read deadline until the handshake's answer has been read whole.
type dialer struct {
	ctx     context.Context // the life
	tls     *tls.Config     // nil: plain TCP
	session time.Duration   // the session timeout that is asked for
	servers int

	// rearms tells whether the library has watches to set again on a new connection, see awaitWatches. nil: it has none.
	rearms func() bool

	failures atomic.Int32  // attempts since the last whole handshake: a slow ensemble is given more time
	sent     chan struct{} // holds a token once a request of ours is being written, see turnstile

	mu struct {
		sync.Mutex
		ended   bool
		granted handshake
		conn    *guardedConn // the newest; go-zookeeper forgets to close it when the server says expired
	}
}

func newDialer(ctx context.Context, tlsConfig *tls.Config, session time.Duration, servers int) *dialer {
	return &dialer{ctx: ctx, tls: tlsConfig, session: session, servers: servers, sent: make(chan struct{}, 1)}
}

// handshakeTimeout doubles with every round of all servers that failed, up to a third of the session.
func (d *dialer) handshakeTimeout() time.Duration {
	rounds := int(d.failures.Load()) / d.servers
	return max(leastHandshake, min(leastHandshake<<min(rounds, 6), d.session/3))
}

// dial is the zk.Dialer. Names are resolved at every try, and the addresses of a name tried in random order, so that
// neither a changed DNS entry nor one frozen member behind a shared name needs a restart.
func (d *dialer) dial(network, address string, timeout time.Duration) (net.Conn, error) {
	handshakeTimeout := d.handshakeTimeout()
	d.failures.Add(1)
	ctx, cancel := context.WithTimeout(d.ctx, max(timeout, handshakeTimeout))
	defer cancel()
	conn, err := d.connect(ctx, network, address)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	guarded := &guardedConn{Conn: conn, dialer: d, dialed: now, handshakeBy: now.Add(handshakeTimeout),
		watchesSent: make(chan struct{})}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.ended {
		conn.Close()
		return nil, errLifeEnded
	}
	d.mu.conn = guarded
	return guarded, nil
}

func (d *dialer) connect(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return nil, err
	}
	ip := ips[rand.IntN(len(ips))]
	conn, err := new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(ip, port))
	if err != nil || d.tls == nil {
		return conn, err
	}
	config := d.tls.Clone()
	if config.ServerName == "" {
		config.ServerName = host
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

// end refuses all further connections and closes the one there is.
func (d *dialer) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.ended = true
	if d.mu.conn != nil {
		d.mu.conn.Close()
	}
}

// refuse forbids new connections and leaves the present one open, for a last farewell on it.
func (d *dialer) refuse() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.ended = true
}

// granted is the newest answer to a handshake.
func (d *dialer) granted() handshake {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.granted
}

// farewellAnswered tells whether the server confirmed the closing of the session on the newest connection.
func (d *dialer) farewellAnswered() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.conn != nil && d.mu.conn.farewellAnswered.Load()
}

// Codes of ZooKeeper's protocol that the connection looks for in passing frames.
const (
	opPing         = 11
	opSetAuth      = 100
	opSetWatches   = 101
	opCloseSession = -11
)

// A guardedConn is the TCP connection as go-zookeeper sees it: it clamps the handshake, reads the granted session off
// it, refuses frames no server sends (the library would crash on them), and tells when a request has left.
type guardedConn struct {
	net.Conn
	dialer      *dialer
	dialed      time.Time
	handshakeBy time.Time

	handshakeDone atomic.Bool
	farewell      atomic.Int64 // 1 + the xid of closeSession; 0 while none was sent
	// farewellAnswered is set by the reader once the answer to closeSession began to arrive.
	farewellAnswered atomic.Bool

	// Owned by the reader.
	in struct {
		size  [4]byte
		nSize int    // bytes of size read
		left  int    // bytes of the present frame still to come
		head  []byte // the frame's first bytes: all of the handshake, or the xid
	}
	answersRead bool // owned by the reader: the answers behind the handshake may come

	// Owned by the writer.
	helloSent   bool
	watchesSent chan struct{} // closed with the first setWatches
	rearmed     bool          // watchesSent is closed
}

func (c *guardedConn) SetReadDeadline(t time.Time) error {
	if !c.handshakeDone.Load() && (t.IsZero() || t.After(c.handshakeBy)) {
		t = c.handshakeBy
	}
	return c.Conn.SetReadDeadline(t)
}

func (c *guardedConn) Read(p []byte) (int, error) {
	if !c.answersRead && c.handshakeDone.Load() {
		c.answersRead = true
		c.awaitWatches()
	}
	n, err := c.Conn.Read(p)
	if bad := c.follow(p[:n]); bad != nil {
		return 0, bad
	}
	return n, err
}

// awaitWatches holds the first answers back until the library has sent its setWatches. It takes the zxid the watches
// are relative to from its latest answer, without a lock: an answer that came first would count what had happened to
// the watched znodes since as seen, and no event would ever tell it.
func (c *guardedConn) awaitWatches() {
	if c.dialer.rearms == nil || !c.dialer.rearms() {
		return
	}
	late := time.NewTimer(time.Second) // a change that is missed then shows at the next comparison, see watch.go
	defer late.Stop()
	select {
	case <-c.watchesSent:
	case <-late.C:
	case <-c.dialer.ctx.Done():
	}
}

// follow walks over the frames as they come in, in pieces of any size.
func (c *guardedConn) follow(b []byte) error {
	in := &c.in
	for len(b) > 0 {
		if in.left == 0 {
			n := copy(in.size[in.nSize:], b)
			b, in.nSize = b[n:], in.nSize+n
			if in.nSize < len(in.size) {
				return nil
			}
			in.left, in.nSize, in.head = int(binary.BigEndian.Uint32(in.size[:])), 0, in.head[:0]
			// An answer has a header of 16 bytes, and a handshake 36 or 37 in all; the library checks neither.
			if least, most := 16, maxFrame; in.left < least || in.left > most || !c.handshakeDone.Load() && in.left > 1024 {
				return fmt.Errorf("the server announced a frame of %d bytes", in.left)
			}
			continue
		}
		n := min(len(b), in.left)
		piece := b[:n]
		b, in.left = b[n:], in.left-n
		if c.handshakeDone.Load() {
			in.head = append(in.head, piece[:min(n, 4-len(in.head))]...)
			if len(in.head) == 4 && c.farewell.Load() == 1+int64(binary.BigEndian.Uint32(in.head)) {
				c.farewellAnswered.Store(true)
			}
			continue
		}
		in.head = append(in.head, piece...)
		if in.left == 0 {
			granted, err := parseConnectResponse(in.head)
			if err != nil {
				return err
			}
			granted.asked = c.dialed
			c.dialer.mu.Lock()
			c.dialer.mu.granted = granted
			c.dialer.mu.Unlock()
			c.dialer.failures.Store(0)
			c.handshakeDone.Store(true)
		}
	}
	return nil
}

// Write gets one whole frame at a time, in the order in which the library has taken them up. The token is given before
// the frame is written, or its answer could come first.
func (c *guardedConn) Write(p []byte) (int, error) {
	if !c.helloSent {
		c.helloSent = true
		return c.Conn.Write(p)
	}
	if len(p) >= 12 {
		switch xid, op := binary.BigEndian.Uint32(p[4:]), int32(binary.BigEndian.Uint32(p[8:])); op {
		case opPing, opSetAuth:
		case opSetWatches:
			if !c.rearmed {
				c.rearmed = true
				close(c.watchesSent)
			}
		case opCloseSession:
			c.farewell.Store(1 + int64(xid))
		default:
			select {
			case c.dialer.sent <- struct{}{}:
			default:
			}
		}
	}
	return c.Conn.Write(p)
}

// hosts is the zk.HostProvider of one life: the servers in a random order, round after round. Reconnecting after a
// loss starts at once with the next server; only a whole failed round, or the third connection in a row that died
// within a second, brings the library's pause of a second.
type hosts struct {
	ctx     context.Context
	servers []string

	mu struct {
		sync.Mutex
		next        int
		tried       int // since the last connection
		connectedAt time.Time
		diedYoung   int // connections in a row
	}
}

func newHosts(ctx context.Context, servers []string) *hosts {
	h := &hosts{ctx: ctx, servers: append([]string(nil), servers...)}
	rand.Shuffle(len(h.servers), func(i, j int) { h.servers[i], h.servers[j] = h.servers[j], h.servers[i] })
	return h
}

func (h *hosts) Init([]string) error { return nil }
func (h *hosts) Len() int            { return len(h.servers) }

// Next gives the next server and whether to pause first. In an ended life it always asks for the pause, which is where
// the library looks whether it was closed.
func (h *hosts) Next() (server string, pause bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	server = h.servers[h.mu.next%len(h.servers)]
	h.mu.next++
	if h.mu.tried == 0 {
		if h.mu.diedYoung++; time.Since(h.mu.connectedAt) > time.Second {
			h.mu.diedYoung = 0
		}
	}
	roundFailed := h.mu.tried > 0 && h.mu.tried%len(h.servers) == 0
	pause = h.ctx.Err() != nil || h.mu.tried == 0 && h.mu.diedYoung >= maxYoungDeaths || roundFailed
	h.mu.tried++
	return server, pause
}

func (h *hosts) Connected() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.tried, h.mu.connectedAt = 0, time.Now()
}
