package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ClientOptions configure a Client.
type ClientOptions struct {
	// Dial opens the connection; nil means plain TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// ClientID is what brokers send: their own id as text.
	ClientID string
	// Timeout bounds connecting and each request, unless ctx ends before; <= 0 for no bound.
	Timeout time.Duration
	// MaxResponseSize is the largest response taken, in bytes; 0 means 100 MiB.
	MaxResponseSize int
	// ReuseBuffer makes a response share memory with the client, until the next Do: for large answers in a row.
	ReuseBuffer bool
}

// Client sends requests to one broker, one at a time, as brokers do among each other. After any error but the
// broker's own words the connection is closed, and Connect opens the next.
type Client struct {
	options ClientOptions
	mu      struct {
		sync.Mutex // held during Do: one request in flight
		nc         net.Conn
		correlated int32 // the last correlation id
		room       bodyRoom
	}
	// open is nc for Close, which must not wait for a Do.
	open struct {
		sync.Mutex
		nc     net.Conn
		closed bool
	}
}

// ErrNotConnected is what Do returns without a connection.
var ErrNotConnected = errors.New("not connected")

// NewClient makes a client that is not connected yet.
func NewClient(o ClientOptions) *Client {
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.MaxResponseSize == 0 {
		o.MaxResponseSize = 100 << 20
	}
	return &Client{options: o}
}

// Connect opens a connection to addr (host:port) in place of the one there may be.
func (c *Client) Connect(ctx context.Context, addr string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hangUpLocked()
	if c.options.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.options.Timeout)
		defer cancel()
	}
	nc, err := c.options.Dial(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	c.open.Lock()
	defer c.open.Unlock()
	if c.open.closed {
		_ = nc.Close()
		return net.ErrClosed
	}
	c.mu.nc, c.open.nc = nc, nc
	return nil
}

// Do sends req in the version that is set on it and returns the response, which shares no memory with the
// client unless ReuseBuffer is set. Concurrent calls wait for each other.
func (c *Client) Do(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.nc == nil {
		return nil, ErrNotConnected
	}
	resp, err := c.exchangeLocked(ctx, req)
	if err != nil {
		c.hangUpLocked() // the next response could be the one to this request
		return nil, fmt.Errorf("%s: %w", kmsg.NameForKey(req.Key()), err)
	}
	return resp, nil
}

// exchangeLocked writes the request and reads its response, until the timeout or the end of ctx.
func (c *Client) exchangeLocked(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	nc := c.mu.nc
	var deadline time.Time
	if c.options.Timeout > 0 {
		deadline = time.Now().Add(c.options.Timeout)
	}
	if err := nc.SetDeadline(deadline); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() {
			c.hangUpLocked() // the deadline may still strike, and would hit the next request
		}
	}()

	buf := getBuffer(1 << minClassBits)
	defer putBuffer(buf)
	c.mu.correlated++
	*buf = appendRequest((*buf)[:0], req, c.mu.correlated, c.options.ClientID)
	body, err := c.roundTripLocked(nc, *buf, flexibleResponse(req.Key(), req.GetVersion()))
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	if err := resp.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("decode the response: %w", err)
	}
	return resp, nil
}

// roundTripLocked writes a frame and returns the body of the frame that answers it.
func (c *Client) roundTripLocked(nc net.Conn, frame []byte, flexible bool) ([]byte, error) {
	if _, err := nc.Write(frame); err != nil {
		return nil, err
	}
	var head [8]byte
	if _, err := io.ReadFull(nc, head[:]); err != nil {
		return nil, err
	}
	size, correlated := int(int32(binary.BigEndian.Uint32(head[:]))), int32(binary.BigEndian.Uint32(head[4:]))
	switch {
	case size < 4 || size > c.options.MaxResponseSize:
		return nil, fmt.Errorf("response of %d bytes", size)
	case correlated != c.mu.correlated:
		return nil, fmt.Errorf("response %d to request %d", correlated, c.mu.correlated)
	}
	var body []byte
	if c.options.ReuseBuffer {
		body = c.mu.room.take(size - 4)
	} else {
		body = make([]byte, size-4)
	}
	if _, err := io.ReadFull(nc, body); err != nil {
		return nil, err
	}
	if flexible {
		return skipTags(body)
	}
	return body, nil
}

// bodyRoom is the memory of responses, one after the other.
type bodyRoom struct {
	room  []byte
	small int // responses in a row that needed less than a quarter of it
}

// idleResponses is how many small responses let go of a large room.
const idleResponses = 64

// take returns n bytes with unknown content. The room grows in powers of two, and goes when it has long been too large.
func (b *bodyRoom) take(n int) []byte {
	if b.small++; n > cap(b.room)/4 || cap(b.room) <= maxPooled/2 {
		b.small = 0
	}
	if n > cap(b.room) || b.small > idleResponses {
		b.room, b.small = make([]byte, 1<<bits.Len(uint(max(n, 1)-1))), 0
	}
	return b.room[:n]
}

// appendRequest appends the whole frame of a request.
func appendRequest(b []byte, req kmsg.Request, correlationID int32, clientID string) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b = appendRequestHeader(b, req, correlationID, clientID)
	body := len(b)
	b = req.AppendTo(b)
	toKafka(req.Key(), req.GetVersion(), b[body:])
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-4))
	return b
}

// hangUpLocked closes the connection, if there is one.
func (c *Client) hangUpLocked() {
	if c.mu.nc != nil {
		_ = c.mu.nc.Close()
		c.mu.nc = nil
	}
}

// Close hangs up, at once even while a request is in flight, and for good. It may be called twice.
func (c *Client) Close() {
	c.open.Lock()
	defer c.open.Unlock()
	c.open.closed = true
	if c.open.nc != nil {
		_ = c.open.nc.Close()
	}
}
