package wire

import (
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Releaser is what a Region borrowed from: a reference counted log segment, say.
type Releaser interface {
	// Release is called exactly once, when the bytes of the region have been sent or never will be.
	Release()
}

// Region is a run of bytes in a file that is sent as it lies. Whoever fills it in promises that the bytes
// [Offset, Offset+N) stay what they are and that File stays open until Release is called.
type Region struct {
	File    *os.File
	Offset  int64 // in bytes from the start of File
	N       int   // in bytes
	Release Releaser
}

// release gives the region back to its owner, once.
func (r *Region) release() {
	if r.Release != nil {
		r.Release.Release()
		r.Release = nil
	}
}

// Part is one piece of a response body: either bytes or a region of a file.
type Part struct {
	Bytes  []byte
	Region *Region
}

// size is the number of bytes the part takes on the wire.
func (p Part) size() int {
	if p.Region != nil {
		return p.Region.N
	}
	return len(p.Bytes)
}

type replyKind uint8

const (
	replyNone  replyKind = iota // acks=0: no bytes at all
	replyKmsg                   // resp, encoded by kmsg
	replyParts                  // head and parts, encoded by the handler
	replyLater                  // pending will say
	replyClose                  // hang up
)

// Reply is what a Handler answers with. Only the connection writes it to the socket; the response header and
// the size in front are the connection's business as well. The zero Reply is NoReply.
type Reply struct {
	kind     replyKind
	resp     kmsg.Response
	head     []byte
	parts    []Part
	pending  *Pending
	reason   string
	throttle time.Duration
	guard    guarded // of replyKmsg only: see Guarded
}

// Respond answers with resp, whose version must already be set (kmsg's ResponseKind of a decoded request does so).
func Respond(resp kmsg.Response) Reply { return Reply{kind: replyKmsg, resp: resp} }

// RespondParts answers with a body laid out by the handler: head are the first bytes behind the response header,
// parts follow in order. The connection owns all of it from here on and releases every Region, sent or not.
func RespondParts(head []byte, parts ...Part) Reply {
	return Reply{kind: replyParts, head: head, parts: parts}
}

// NoReply answers nothing, which is what a produce with acks=0 gets.
func NoReply() Reply { return Reply{} }

// Close hangs up without an answer, after the replies still owed have been sent. The reason is logged.
func Close(reason string) Reply { return Reply{kind: replyClose, reason: reason} }

// Later promises that p will be completed with the reply. Only Produce may answer so, because the
// connection reads the next produce meanwhile.
func Later(p *Pending) Reply { return Reply{kind: replyLater, pending: p} }

// WithThrottle mutes the connection for d after the reply has been sent (KIP-219): the client is told the time
// in the response, and until it is over no further request of this connection is read.
func (r Reply) WithThrottle(d time.Duration) Reply {
	r.throttle = d
	return r
}

// abandon gives up a reply that nobody will receive: what it borrowed goes back, now or when its promise is kept.
func (r *Reply) abandon() {
	if r.pending != nil {
		r.pending.abandon()
	}
	r.release()
}

// release gives back the regions of the reply, sent or not.
func (r *Reply) release() {
	for i := range r.parts {
		if r.parts[i].Region != nil {
			r.parts[i].Region.release()
		}
	}
}

// Pending is a reply that is not known yet.
type Pending struct {
	mu struct {
		sync.Mutex
		done      bool
		reply     Reply
		wake      func() // set while a connection waits for this reply
		abandoned bool   // nobody will ask for the reply
	}
}

// NewPending makes a promise to be handed to the connection with Later and kept with Complete.
func NewPending() *Pending { return new(Pending) }

// Complete keeps the promise with r, which must not be Later again. Any goroutine may call it, before or after the
// Pending reached the connection; it never blocks on the network. The first call wins and returns true, so
// that a deadline may race with a high watermark.
func (p *Pending) Complete(r Reply) bool {
	if r.kind == replyLater {
		panic("BUG: a pending reply completed with another pending reply")
	}
	p.mu.Lock()
	if p.mu.done {
		p.mu.Unlock()
		r.release()
		return false
	}
	p.mu.done, p.mu.reply = true, r
	wake, abandoned := p.mu.wake, p.mu.abandoned
	p.mu.wake = nil
	p.mu.Unlock()
	if abandoned {
		r.release()
	}
	if wake != nil {
		wake()
	}
	return true
}

// result returns the reply if it is there. If not, wake (nil for nobody) is called once when it comes.
func (p *Pending) result(wake func()) (Reply, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.mu.done {
		p.mu.wake = wake
		return Reply{}, false
	}
	return p.mu.reply, true
}

// abandon says that nobody will ask for the reply.
func (p *Pending) abandon() {
	p.mu.Lock()
	done := p.mu.done
	p.mu.abandoned, p.mu.wake = true, nil
	p.mu.Unlock()
	if done {
		p.mu.reply.release()
	}
}
