package wire

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Handler answers one request. It runs on the goroutine of the connection, may block there (a fetch waits for
// data), and must come back soon after ctx ends, which it does with the connection or the server.
type Handler func(ctx context.Context, r *Request) Reply

// Request is a frame whose header has been read. It belongs to the handler until that returns.
type Request struct {
	Key           int16
	Version       int16
	CorrelationID int32
	ClientID      *string // nil when the client sent null
	Body          []byte  // what follows the header; valid until the handler returns or calls ReleaseBody
	Conn          *Conn
	Received      time.Time // when the last byte of the frame had been read

	buf     *[]byte // the pooled buffer under Body, nil once given back
	charged int     // bytes taken from the budget for it
}

// Decode reads Body into req, which must be of the request's Key. Bytes fields, and in Produce and Fetch requests the
// strings as well, point into Body and share its life; the Body of a request that has neither is given back here.
// An error means a malformed request: Kafka hangs up on those.
func (r *Request) Decode(req kmsg.Request) error {
	if req.Key() != r.Key {
		panic(fmt.Sprintf("BUG: request of key %d decoded as %T", r.Key, req))
	}
	req.SetVersion(r.Version)
	if err := decodeBody(req, r.Body); err != nil {
		return err
	}
	if !aliasing[r.Key] {
		r.ReleaseBody()
	}
	return nil
}

// ReleaseBody gives the buffer of the request back before the handler returns, which it should do before it
// waits (a produce that waits for its replicas holds a hundred bytes, not a megabyte). Body, and what of the
// decoded request points into it, must not be touched afterwards. Calling it twice is harmless.
func (r *Request) ReleaseBody() {
	if r.buf != nil {
		putBuffer(r.buf)
		r.Conn.server.memory.release(r.charged)
		r.buf, r.Body = nil, nil
	}
}

// ClientIDString is the client id, or "" for none.
func (r *Request) ClientIDString() string {
	if r.ClientID == nil {
		return ""
	}
	return *r.ClientID
}
