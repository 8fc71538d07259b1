package wire

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"time"
)

const (
	// copyLimit is up to which size a reply is put together in one buffer and sent by one write, in bytes.
	// sendfile costs more than it saves there.
	copyLimit = 32 << 10
	// copyChunk is the buffer through which regions are copied when sendfile is not to be used, in bytes. On
	// loopback sendfile leaves the reader 4 KiB fragments that cost it more than the copy costs us.
	copyChunk = 256 << 10
)

// replyHeader is what precedes the body of a response, beside its size.
//
//	v0  correlation id int32
//	v1  v0, tags           (flexible versions)
type replyHeader struct {
	correlationID int32
	flexible      bool
}

func (h replyHeader) size() int {
	if h.flexible {
		return 5
	}
	return 4
}

func (h replyHeader) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(h.correlationID))
	if h.flexible {
		b = append(b, 0) // no tags
	}
	return b
}

// send writes replies that are all known, in order and with as few writes as possible. An error ends the
// connection.
func (c *Conn) send(replies []owed) error {
	buf := getBuffer(sizeHint(replies))
	defer putBuffer(buf)
	out, first := (*buf)[:0], 0 // out holds replies from first on
	for i := range replies {
		o := &replies[i]
		var err error
		switch o.reply.kind {
		case replyNone:
		case replyKmsg:
			c.listener.metrics.responses.Add(1)
			out = appendResponse(out, o)
		case replyParts:
			c.listener.metrics.responses.Add(1)
			if err = c.pass(replies[first:i]); err == nil {
				out, err = c.sendParts(out, o)
			}
		case replyClose:
			err = closeError(o.reply.reason)
			if werr := c.writeGuarded(out, replies[first:i]); werr != nil {
				err = werr
			}
		default:
			panic("BUG: a reply that is not known cannot be sent")
		}
		if err != nil {
			return err
		}
		if o.reply.throttle > 0 {
			c.mutedUntil.Store(time.Now().Add(o.reply.throttle).UnixNano())
		}
		if len(out) > copyLimit {
			if err := c.writeGuarded(out, replies[first:i+1]); err != nil {
				return err
			}
			out, first = out[:0], i+1
		}
	}
	*buf = out // append may have moved it
	return c.writeGuarded(out, replies[first:])
}

// sendQueued is send for the goroutine of the queue, where a panic must not take the broker down. A reply that its guard
// refuses ends the connection from here, for its own goroutine waits for the next request.
func (c *Conn) sendQueued(replies []owed) (err error) {
	defer func() {
		if err == refusedByGuard {
			c.report(err)
			c.close()
		}
	}()
	defer func() {
		if p := recover(); p != nil {
			c.server.metrics.panics.Add(1)
			err = &panicError{value: p, stack: debug.Stack()}
		}
	}()
	return c.send(replies)
}

// sizeHint guesses how large a buffer the replies need: what is known before they are encoded, up to copyLimit.
func sizeHint(replies []owed) int {
	n := 0
	for i := range replies {
		r := &replies[i].reply
		n += 4 + 5 + len(r.head)
		for _, p := range r.parts {
			n += p.size()
		}
	}
	return min(n, copyLimit)
}

// appendResponse appends the whole frame of a response that kmsg encodes.
func appendResponse(b []byte, o *owed) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b = o.append(b)
	b = o.reply.resp.AppendTo(b)
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-4))
	return b
}

// sendParts sends a response of parts behind what is already in out, and gives its regions back. Small responses
// are only added to out.
func (c *Conn) sendParts(out []byte, o *owed) ([]byte, error) {
	defer o.reply.release()
	size := o.size() + len(o.reply.head)
	regions := false
	for _, p := range o.reply.parts {
		size += p.size()
		regions = regions || p.Region != nil
	}
	out = binary.BigEndian.AppendUint32(out, uint32(size))
	out = o.append(out)
	out = append(out, o.reply.head...)
	switch {
	case len(out)+size <= copyLimit:
		for _, p := range o.reply.parts {
			var err error
			if out, err = appendPart(out, p); err != nil {
				return nil, err
			}
		}
		return out, nil
	case !regions:
		return out[:0], c.sendBytes(out, o.reply.parts)
	case c.local || !canSendfile(c.nc):
		return out[:0], c.copyParts(out, o.reply.parts)
	default:
		return out[:0], c.sendfileParts(out, o.reply.parts)
	}
}

// appendPart appends the bytes of a part, read from its file if it is a region.
func appendPart(b []byte, p Part) ([]byte, error) {
	if p.Region == nil {
		return append(b, p.Bytes...), nil
	}
	n := len(b)
	b = append(b, make([]byte, p.Region.N)...)
	return b, readRegion(b[n:], p.Region, 0)
}

// readRegion fills b from a region, beginning at its byte from.
func readRegion(b []byte, r *Region, from int) error {
	if _, err := r.File.ReadAt(b, r.Offset+int64(from)); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read %d bytes at %d of a region: %w", len(b), r.Offset+int64(from), err)
	}
	return nil
}

// sendBytes sends out and parts that are all bytes by one vectored write.
func (c *Conn) sendBytes(out []byte, parts []Part) error {
	bufs := make(net.Buffers, 0, len(parts)+1)
	bufs = append(bufs, out)
	for _, p := range parts {
		if len(p.Bytes) > 0 {
			bufs = append(bufs, p.Bytes)
		}
	}
	c.armWrite()
	n, err := bufs.WriteTo(c.nc)
	c.listener.metrics.bytesOut.Add(n)
	return err
}

// copyParts sends out and parts through one pooled buffer.
func (c *Conn) copyParts(out []byte, parts []Part) error {
	chunk := getBuffer(copyChunk)
	defer putBuffer(chunk)
	if len(out) > copyLimit { // a long head
		if err := c.write(out); err != nil {
			return err
		}
		out = nil
	}
	b := append((*chunk)[:0], out...)
	for _, p := range parts {
		for done := 0; done < p.size(); {
			n := min(p.size()-done, copyChunk-len(b))
			if p.Region == nil {
				b = append(b, p.Bytes[done:done+n]...)
			} else {
				b = b[:len(b)+n]
				if err := readRegion(b[len(b)-n:], p.Region, done); err != nil {
					return err
				}
			}
			if done += n; len(b) == copyChunk {
				if err := c.write(b); err != nil {
					return err
				}
				b = b[:0]
			}
		}
	}
	return c.write(b)
}

// sendfileParts sends the large regions from file to socket inside the kernel, and everything between them by
// writes.
func (c *Conn) sendfileParts(out []byte, parts []Part) error {
	for _, p := range parts {
		if p.Region == nil || p.Region.N <= copyLimit {
			var err error
			if out, err = appendPart(out, p); err != nil {
				return err
			}
			if len(out) <= copyLimit {
				continue
			}
		}
		if err := c.write(out); err != nil {
			return err
		}
		out = nil // p.Bytes may be large: do not hold on to it
		if p.Region == nil || p.Region.N <= copyLimit {
			continue
		}
		n, err := sendfile(c.nc, p.Region.File, p.Region.Offset, p.Region.N, c.armWrite)
		c.listener.metrics.bytesOut.Add(int64(n))
		if err != nil {
			return err
		}
	}
	return c.write(out)
}

// write writes b to the socket.
func (c *Conn) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	c.armWrite()
	n, err := c.nc.Write(b)
	c.listener.metrics.bytesOut.Add(int64(n))
	return err
}
