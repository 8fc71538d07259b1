package wire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// readBuffer is the size of the buffer in front of the socket. It saves the read of a frame's size; whatever is
// larger goes past it into the request's own buffer.
const readBuffer = 4 << 10

// ClientSoftware is what a client told about itself in ApiVersions (KIP-511).
type ClientSoftware struct{ Name, Version string }

// Conn is one client's connection. Its exported methods may be called from any goroutine; everything else belongs
// to the goroutine that runs serve, except where noted.
type Conn struct {
	server   *Server
	listener *listener
	nc       net.Conn
	serial   uint64 // of all connections of the server
	local    bool   // both ends are on this machine
	ip       netip.Addr

	frames   frameReader
	prefix   [4]byte
	clientID *string     // of the last request
	single   [1]owed     // the reply being sent, so that it needs no memory of its own
	queue    *replyQueue // nil until a reply is delayed for the first time

	software   atomic.Pointer[ClientSoftware]
	lastActive atomic.Int64 // Unix milliseconds of the last request
	mutedUntil atomic.Int64 // Unix nanoseconds; set by whoever sends a throttled reply

	readArmed  time.Time // when the read deadline was last set
	writeArmed time.Time // the same for writing; belongs to whoever sends: serve, or the queue's writer

	once   sync.Once
	gone   chan struct{}      // closed by close
	ctx    context.Context    // of the handlers: ends with close, and when the server begins to stop
	cancel context.CancelFunc // of ctx
}

func newConn(s *Server, l *listener, nc net.Conn, ip netip.Addr, serial uint64) *Conn {
	c := &Conn{server: s, listener: l, nc: nc, ip: ip, serial: serial, gone: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	c.frames = frameReader{in: bufio.NewReaderSize(nc, readBuffer), maxSize: s.options.MaxRequestSize}
	c.local = ip.IsLoopback() || ip == addrOf(nc.LocalAddr())
	c.touch(time.Now())
	return c
}

// Listener returns the name of the listener the client came in by, such as "PLAINTEXT".
func (c *Conn) Listener() string { return c.listener.Name }

// SecurityProtocol returns the protocol of that listener: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.
func (c *Conn) SecurityProtocol() string { return c.listener.SecurityProtocol }

// LocalAddr is our end of the connection.
func (c *Conn) LocalAddr() net.Addr { return c.nc.LocalAddr() }

// RemoteAddr is the client's end of the connection.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// ID names the connection as Kafka does: our host:port, the client's host:port and a number, joined by '-'.
func (c *Conn) ID() string {
	return fmt.Sprintf("%s-%s-%d", c.nc.LocalAddr(), c.nc.RemoteAddr(), c.serial)
}

// SetClientSoftware keeps what the client says it is.
func (c *Conn) SetClientSoftware(s ClientSoftware) { c.software.Store(&s) }

// ClientSoftware is what the client said it is, "unknown" as long as it has not.
func (c *Conn) ClientSoftware() ClientSoftware {
	if s := c.software.Load(); s != nil {
		return *s
	}
	return ClientSoftware{Name: "unknown", Version: "unknown"}
}

// errDone ends a connection that has come to a good end.
var errDone = errors.New("done")

// serve runs the connection until it ends. Requests are read, handled and answered right here, one after the other.
func (c *Conn) serve() {
	err := c.loop(c.ctx)
	if err == errDone && c.queue != nil {
		err = c.settle()
	}
	c.close()
	if c.queue != nil {
		c.queue.writers.Wait()
	}
	c.report(err)
}

// settle sends the replies still owed to a client that sends no more. It may have gone, and a produce may wait for
// weeks: nobody waits for it longer than a connection may be idle.
func (c *Conn) settle() error {
	if idle := c.server.options.IdleTimeout; idle > 0 {
		defer time.AfterFunc(idle, c.close).Stop()
	}
	return c.queue.awaitEmpty()
}

// loop reads and answers requests until the connection is to end, and returns why.
func (c *Conn) loop(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.server.metrics.panics.Add(1)
			err = &panicError{value: p, stack: debug.Stack()}
		}
	}()
	for {
		if err := c.unmute(ctx); err != nil {
			return err
		}
		if !c.armRead() {
			return errDone
		}
		size, err := c.frames.readSize(&c.prefix)
		if err != nil {
			return c.ending(err)
		}
		if err := c.request(ctx, size); err != nil {
			return err
		}
	}
}

// request reads the frame whose size is known, and answers it.
func (c *Conn) request(ctx context.Context, size int) error {
	memory := &c.server.memory
	if err := memory.acquire(ctx, size); err != nil {
		return errDone // the server stops
	}
	buf, err := c.frames.read(size)
	if err != nil {
		memory.release(size)
		return c.ending(err)
	}
	req := &Request{Conn: c, Received: time.Now(), buf: buf, charged: size}
	defer req.ReleaseBody()
	c.touch(req.Received)
	c.listener.metrics.request(size + 4)

	h, body, err := parseHeader(*buf)
	if err != nil {
		return &frameError{"request header: " + err.Error()}
	}
	if h.key != keyProduce && c.queue != nil {
		if err := c.queue.awaitEmpty(); err != nil {
			return err
		}
	}
	req.Key, req.Version, req.CorrelationID, req.Body = h.key, h.version, h.correlationID, body
	req.ClientID = c.keepClientID(h.clientID)
	reply := c.server.handler(ctx, req)
	return c.answer(owed{replyHeader{h.correlationID, flexibleResponse(h.key, h.version)}, reply})
}

// keepClientID makes a string of a client id, or gives back the last one if it is the same, as it nearly always is.
func (c *Conn) keepClientID(id []byte) *string {
	switch {
	case id == nil:
		return nil
	case c.clientID == nil || *c.clientID != string(id):
		s := string(id)
		c.clientID = &s
	}
	return c.clientID
}

// answer sends a reply, or puts it in the queue if it is not known yet or others are before it.
func (c *Conn) answer(o owed) error {
	if o.reply.kind == replyLater {
		if r, ok := o.reply.pending.result(nil); ok {
			o.reply = r
		} else if c.queue == nil {
			c.queue = newReplyQueue(c.sendQueued, c.gone)
		}
	}
	if o.reply.kind != replyLater && (c.queue == nil || c.queue.empty()) {
		c.single[0] = o
		err := c.send(c.single[:])
		c.single[0] = owed{}
		return err
	}
	if err := c.queue.push(o); err != nil {
		return err
	}
	if o.reply.kind == replyClose {
		return c.queue.awaitEmpty()
	}
	return nil
}

// unmute waits until a throttled connection may go on (KIP-219).
func (c *Conn) unmute(ctx context.Context) error {
	until := c.mutedUntil.Load()
	if until == 0 {
		return nil
	}
	c.mutedUntil.CompareAndSwap(until, 0)
	t := time.NewTimer(time.Until(time.Unix(0, until)))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return errDone
	}
}

// armRead sees to it that reading fails when nothing has come for connections.max.idle.ms. The deadline is
// moved only when it is an eighth out of date, so that a busy connection does not pay for it with every
// request. It returns false when the server is stopping.
func (c *Conn) armRead() bool {
	if c.server.options.IdleTimeout > 0 {
		if now := time.Now(); now.Sub(c.readArmed) > c.server.options.IdleTimeout/8 {
			c.readArmed = now
			_ = c.nc.SetReadDeadline(now.Add(c.server.options.IdleTimeout * 9 / 8))
		}
	}
	return !c.server.stopping.Load() // read after the deadline is set: Stop sets them the other way round
}

// armWrite does the same for a client that does not read what it asked for.
func (c *Conn) armWrite() {
	if c.server.options.IdleTimeout > 0 {
		if now := time.Now(); now.Sub(c.writeArmed) > c.server.options.IdleTimeout/8 {
			c.writeArmed = now
			_ = c.nc.SetWriteDeadline(now.Add(c.server.options.IdleTimeout * 9 / 8))
		}
	}
}

// ending tells a good end from a bad one: the client hung up between two requests, was idle for too long, or the
// server is stopping.
func (c *Conn) ending(err error) error {
	var timeout net.Error
	switch {
	case err == io.EOF, errors.Is(err, net.ErrClosed), errors.As(err, &timeout) && timeout.Timeout():
		return errDone
	}
	return err
}

func (c *Conn) touch(now time.Time) { c.lastActive.Store(now.UnixMilli()) }

// close hangs up, and ends the context of a handler that waits; any goroutine may call it.
func (c *Conn) close() {
	c.once.Do(func() {
		close(c.gone)
		c.cancel()
		_ = c.nc.Close()
	})
}

// report logs why a connection ended, if anyone should know.
func (c *Conn) report(err error) {
	var bug *panicError
	var bad *frameError
	var asked closeError
	log := c.server.log
	switch {
	case errors.As(err, &bug):
		log.Error("A request handler failed; closing its connection", zap.String("connection", c.ID()),
			zap.Any("panic", bug.value), zap.ByteString("stack", bug.stack))
	case errors.As(err, &bad), errors.As(err, &asked):
		c.listener.metrics.refused.Add(1)
		if c.server.complaints.allow() {
			log.Warn("Closing a connection", zap.String("connection", c.ID()), zap.String("reason", err.Error()))
		}
	default:
		log.Debug("Connection closed", zap.String("connection", c.ID()), zap.Error(err))
	}
}

// panicError carries a handler's panic out of the loop.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// closeError is the reason of a Close reply.
type closeError string

func (e closeError) Error() string { return string(e) }
