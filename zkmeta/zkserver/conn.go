package zkserver

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const (
	// handshakeTimeout is how long a connection may take to say what it wants.
	handshakeTimeout = 10 * time.Second
	// farewellTimeout is how long a connection may take to accept its last frames, lingerTimeout how long it may then
	// take to close its side.
	farewellTimeout = 10 * time.Second
	lingerTimeout   = time.Second
	// pendingLimit is how many requests of a connection may wait for their answers before its reading stops; a client
	// of Kafka's has ten under way.
	pendingLimit = 32
	// loadLimit stops the reading, too: bytes of requests in work and of replies not yet taken.
	loadLimit = 1 << 20
	// backlogLimit is how many bytes may wait for a client that takes nothing; then it is cut off. The limits above
	// keep replies from getting there, so it is for watch events and enormous lists of children.
	backlogLimit = 128 << 20
	// readChunk is how much is allocated on the word of a length before bytes came.
	readChunk = 64 << 10
)

// conn is one connection: a goroutine that reads and a goroutine that writes; what requests mean is the loop's.
type conn struct {
	nc    net.Conn
	ip    string
	log   *zap.Logger
	limit int // jute.maxbuffer
	post  func(message) bool
	since time.Time

	received, sent atomic.Int64 // packets
	stats          stats
	written        chan struct{} // closed when the writer has ended

	// The loop's.
	session *session // nil before the handshake and when the session is gone
	ids     []identity
	last    lastRequest

	// out is what waits for the writer.
	out struct {
		sync.Mutex
		*sync.Cond
		frames  net.Buffers
		bytes   int  // in frames and in the write under way
		load    int  // bytes of requests in work
		pending int  // requests in work
		closing bool // no frame comes any more: write what there is, say good-bye
		broken  bool // stop at once
	}
}

// lastRequest is what `cons` shows of a connection's latest request.
type lastRequest struct {
	op   opCode
	xid  int32
	zxid int64
	at   time.Time
}

// message is what a connection's reader posts to the loop: exactly one of the fields below received is set.
type message struct {
	conn     *conn
	received time.Time
	connect  *connectRequest
	request  *request
	word     string
	gone     bool // the last message of a connection
}

func newConn(nc net.Conn, juteMaxBuffer int, post func(message) bool, log *zap.Logger) *conn {
	ip, _, _ := net.SplitHostPort(nc.RemoteAddr().String())
	c := &conn{
		nc: nc, ip: ip, limit: juteMaxBuffer, post: post, since: time.Now(),
		log: log.With(zap.String("client", nc.RemoteAddr().String())),
		ids: []identity{{"ip", ip}}, written: make(chan struct{}),
	}
	c.out.Cond = sync.NewCond(&c.out.Mutex)
	return c
}

// serve owns the connection until both its goroutines have ended.
func (c *conn) serve() {
	go c.write()
	if err := c.read(); err != nil {
		c.log.Debug("connection refused or lost", zap.Error(err))
	}
	c.post(message{conn: c, gone: true})
	c.abort()
	<-c.written
}

// read posts what the client sends until it ends, errs, or is not wanted any more.
func (c *conn) read() error {
	c.nc.SetReadDeadline(time.Now().Add(handshakeTimeout))
	in := bufio.NewReader(c.nc)
	if first, err := in.Peek(4); err != nil {
		return err
	} else if isWord(string(first)) {
		c.count()
		c.post(message{conn: c, received: time.Now(), word: string(first)})
		return c.drain()
	}
	frame, err := c.readFrame(in)
	if err != nil {
		return err
	}
	connect, err := decodeConnect(frame)
	if err != nil {
		return fmt.Errorf("connect request: %w", err)
	}
	c.nc.SetReadDeadline(time.Time{})
	if !c.post(message{conn: c, received: time.Now(), connect: connect}) {
		return c.drain()
	}
	for {
		frame, err := c.readFrame(in)
		if err != nil {
			return err
		}
		r, err := decodeRequest(frame)
		if err != nil {
			return fmt.Errorf("request header: %w", err)
		}
		if !c.admit(r.size) || !c.post(message{conn: c, received: time.Now(), request: r}) {
			return c.drain()
		}
	}
}

func (c *conn) count() { c.received.Add(1) }

// readFrame reads a length and as many bytes. Memory follows the bytes that come, not the length that is claimed.
func (c *conn) readFrame(in *bufio.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, err
	}
	n := int(int32(binary.BigEndian.Uint32(head[:])))
	if n < 0 || n > c.limit {
		return nil, fmt.Errorf("frame of %d bytes is malformed or larger than jute.maxbuffer=%d", n, c.limit)
	}
	frame := make([]byte, 0, min(n, readChunk))
	for len(frame) < n {
		if len(frame) == cap(frame) {
			frame = append(make([]byte, 0, min(n, 2*cap(frame))), frame...)
		}
		part := frame[len(frame):min(n, cap(frame))]
		if _, err := io.ReadFull(in, part); err != nil {
			return nil, err
		}
		frame = frame[:len(frame)+len(part)]
	}
	c.count()
	return frame, nil
}

// drain waits for the writer's last frame and reads on without looking until the client closes, too, or the linger
// time is over: closing a socket with unread bytes would take that frame away from the client.
func (c *conn) drain() error {
	<-c.written
	_, err := io.Copy(io.Discard, c.nc)
	return err
}

// admit waits until the connection has room for a request of n bytes, and tells whether it is still wanted.
func (c *conn) admit(n int) bool {
	c.out.Lock()
	defer c.out.Unlock()
	full := func() bool { return c.out.load+c.out.bytes > loadLimit || c.out.pending >= pendingLimit }
	for full() && !c.out.closing && !c.out.broken {
		c.out.Wait()
	}
	c.out.load += n
	c.out.pending++
	return !c.out.closing && !c.out.broken
}

// push gives the writer a frame, or none; done is the size of the request it answers, 0 for an event. With last the
// connection ends behind it. It never waits.
func (c *conn) push(frame []byte, done int, last bool) {
	c.out.Lock()
	defer c.out.Unlock()
	if c.out.closing || c.out.broken {
		return
	}
	if done > 0 {
		c.out.load -= done
		c.out.pending--
	}
	if frame != nil {
		c.out.frames = append(c.out.frames, frame)
		c.out.bytes += len(frame)
	}
	if last {
		c.out.closing = true
		c.nc.SetWriteDeadline(time.Now().Add(farewellTimeout))
	}
	if c.out.bytes > backlogLimit {
		c.log.Warn("client does not read, connection closed", zap.Int("waiting_bytes", c.out.bytes))
		c.breakLocked()
	}
	c.out.Broadcast()
}

// abort ends the connection at once.
func (c *conn) abort() {
	c.out.Lock()
	defer c.out.Unlock()
	c.breakLocked()
}

func (c *conn) breakLocked() {
	c.out.broken = true
	c.out.frames = nil
	c.out.Broadcast()
	c.nc.Close()
}

// write sends what is pushed, as much as there is at a time.
func (c *conn) write() {
	defer close(c.written)
	for {
		frames, last := c.nextFrames()
		size, count := 0, int64(len(frames))
		for _, f := range frames {
			size += len(f)
		}
		if _, err := frames.WriteTo(c.nc); err != nil {
			if !errors.Is(err, net.ErrClosed) {
				c.log.Debug("write failed", zap.Error(err))
			}
			c.abort()
			return
		}
		c.sent.Add(count)
		c.out.Lock()
		c.out.bytes -= size
		c.out.Broadcast()
		c.out.Unlock()
		if last {
			c.nc.SetReadDeadline(time.Now().Add(lingerTimeout))
			if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
				half.CloseWrite()
			}
			return
		}
	}
}

// nextFrames waits for something to write; last is told with the frames behind which nothing comes.
func (c *conn) nextFrames() (frames net.Buffers, last bool) {
	c.out.Lock()
	defer c.out.Unlock()
	for len(c.out.frames) == 0 && !c.out.closing && !c.out.broken {
		c.out.Wait()
	}
	frames, c.out.frames = c.out.frames, nil
	return frames, c.out.closing || c.out.broken
}
