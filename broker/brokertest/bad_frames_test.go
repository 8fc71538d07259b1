package brokertest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// memoryBound is what all bad input together may cost a broker, on a hundred connections at once.
const memoryBound = 64 << 20

// reaction is what a broker does about a frame.
type reaction int

const (
	closes  reaction = iota // hangs up without a byte
	waits                   // cannot know yet
	answers                 // with a response that begins with the bytes given, behind size and correlation id
	either                  // closes or answers, and at once
)

// badFrame is one thing a broken or hostile client sends, and what Kafka does about it (golden/errors.md).
type badFrame struct {
	name   string
	prefix []byte // sent first
	repeat []byte // then this, over and over
	times  int
	want   reaction
	begin  []byte // of the answer
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func i16(n int16) []byte { return binary.BigEndian.AppendUint16(nil, uint16(n)) }

func i32(n int32) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

func uvarint(n uint64) []byte { return binary.AppendUvarint(nil, n) }

// headerOf is a request header with correlation id 7 and no client id.
func headerOf(key, version int16, flexible bool) []byte {
	b := join(i16(key), i16(version), i32(7), i16(-1))
	if flexible {
		b = append(b, 0)
	}
	return b
}

// framed puts its size before a frame.
func framed(parts ...[]byte) []byte {
	b := join(parts...)
	return join(i32(int32(len(b))), b)
}

func badFrames() []badFrame {
	const million = 1000000
	flexible := headerOf(3, 9, true)
	tags := uvarint(20 * million)
	oneTag := []byte{5, 0} // tag 5 of no bytes, the same for ever
	tooNew := join(i16(35), i32(1), i16(18), i16(0), i16(4))
	frames := []badFrame{
		{name: "size -1", prefix: i32(-1)},
		{name: "size -2^31", prefix: i32(math.MinInt32)},
		{name: "size 0", prefix: i32(0)},
		{name: "size 1", prefix: framed([]byte{0})},
		{name: "size 7", prefix: framed(make([]byte, 7))},
		{name: "size 2^31-1", prefix: i32(math.MaxInt32)},
		{name: "size 100 MiB + 1", prefix: i32(100<<20 + 1)},
		{name: "100 bytes announced, 20 sent", prefix: join(i32(100), flexible, make([]byte, 9)), want: waits},
		{name: "100 MiB announced, 20 bytes sent", prefix: join(i32(100<<20), headerOf(0, 9, true), make([]byte, 9)), want: waits},
		{name: "half a size", prefix: []byte{0, 0}, want: waits},
		{name: "a header cut short", prefix: framed(i16(3), i16(1), i32(7), i16(9), []byte("abc"))},
		{name: "a client id of 32767 bytes that are not there", prefix: framed(i16(3), i16(1), i32(7), i16(math.MaxInt16), []byte("a"))},
		{name: "a client id of -5 bytes", prefix: framed(i16(3), i16(1), i32(7), i16(-5), i32(0)), want: answers, begin: i32(1)},
		{name: "HTTP", prefix: []byte("GET / HTTP/1.0\r\n\r\n")},
		{name: "unknown key 99", prefix: framed(headerOf(99, 0, false))},
		{name: "key -1", prefix: framed(headerOf(-1, 0, false))},
		{name: "a key of KRaft", prefix: framed(headerOf(52, 0, true))},
		{name: "Envelope", prefix: framed(headerOf(58, 0, true))},
		{name: "Metadata 99", prefix: framed(headerOf(3, 99, true), make([]byte, 10))},
		{name: "Produce -1", prefix: framed(headerOf(0, -1, false), make([]byte, 10))},
		{name: "ApiVersions 5", prefix: framed(headerOf(18, 5, true)), want: answers, begin: tooNew},
		{name: "ApiVersions 99", prefix: framed(headerOf(18, 99, true)), want: answers, begin: tooNew},
		{name: "ApiVersions -1", prefix: framed(headerOf(18, -1, false)), want: answers, begin: tooNew},
		{name: "ApiVersions 3 of a nameless client", prefix: framed(headerOf(18, 3, true), []byte{1, 1, 0}), want: answers, begin: i16(42)},
		{name: "bytes behind ApiVersions 0", prefix: framed(headerOf(18, 0, false), make([]byte, 99)), want: answers, begin: i16(0)},
		{name: "an array of 2^31-1", prefix: framed(headerOf(3, 1, false), i32(math.MaxInt32))},
		{name: "an array of a million and no bytes", prefix: framed(headerOf(3, 1, false), i32(million))},
		{name: "a compact array of 2^31-1", prefix: framed(flexible, uvarint(1<<31))},
		{name: "an array of -2 where null may be", prefix: framed(headerOf(3, 1, false), i32(-2)), want: answers, begin: i32(1)},
		{name: "null where it may not be", prefix: framed(headerOf(19, 0, false), i32(-1))},
		{name: "an array of 2^31-1 in a large frame", prefix: join(i32(90<<20), headerOf(3, 1, false), i32(math.MaxInt32)),
			repeat: make([]byte, 64<<10), times: 1440},
		{name: "20 million tags in the header", prefix: join(i32(int32(10+len(tags)+40*million)), flexible[:10], tags),
			repeat: bytes.Repeat(oneTag, 10000), times: 2000},
		{name: "20 million tags in the body", prefix: join(i32(int32(11+4+len(tags)+40*million)), flexible, []byte{1, 1, 0, 0}, tags),
			repeat: bytes.Repeat(oneTag, 10000), times: 2000},
		{name: "millions of topics without a name", prefix: join(i32(11+4+24*million), flexible, uvarint(12*million)),
			repeat: bytes.Repeat([]byte{1, 0}, 10000), times: 1200},
	}
	return append(frames, everyLengthTooLong()...)
}

// everyLengthTooLong sends each request in each version with nothing but lengths of 2^31-1 for a body.
func everyLengthTooLong() []badFrame {
	var frames []badFrame
	for key := int16(0); key <= 67; key++ {
		req := kmsg.RequestForKey(key)
		if req == nil {
			continue
		}
		for version := range req.MaxVersion() + 1 {
			req.SetVersion(version)
			header := headerOf(key, version, req.IsFlexible())
			if key == 7 && version == 0 { // its header has no client id
				header = header[:8]
			}
			for what, body := range map[string][]byte{
				"lengths of 2^31-1": bytes.Repeat(i32(math.MaxInt32), 16),
				"varints of 2^32-1": bytes.Repeat(uvarint(math.MaxUint32), 16),
			} {
				frames = append(frames, badFrame{name: fmt.Sprintf("%s %d of %s", kmsg.NameForKey(key), version, what),
					prefix: framed(header, body), want: either})
			}
		}
	}
	return frames
}

// play sends the frame on a connection of its own and compares what happens.
func (f badFrame) play(addr string) error {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
	_, _ = nc.Write(f.prefix)
	for range f.times {
		if _, err := nc.Write(f.repeat); err != nil {
			break // refused before its end, as it should
		}
	}
	if f.want == waits {
		_ = nc.SetDeadline(time.Now().Add(100 * time.Millisecond))
	}
	got := make([]byte, 8+len(f.begin))
	n, err := io.ReadFull(nc, got)
	closed := n == 0 && (err == io.EOF || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE))
	ok := false
	switch f.want {
	case closes:
		ok = closed
	case waits:
		ok = n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
	case answers:
		ok = err == nil && bytes.Equal(got[4:], join(i32(7), f.begin))
	case either:
		ok = closed || err == nil
	}
	if !ok {
		return fmt.Errorf("%d bytes came, % x, %v", n, got[:n], err)
	}
	return nil
}

// A hundred connections at once play the whole list while a well-behaved client goes on.
func TestABadFrameCostsItsConnectionAndNothingElse(t *testing.T) {
	const connections = 100
	c := startChild(t, nil)
	normal := startPulse(t, c.addr)
	frames := badFrames()
	// Warm: buffers and code paths that any client makes the broker have are no cost of bad input.
	for _, f := range frames[:20] {
		_ = f.play(c.addr)
	}
	m := watchMemory(t, c.Node)
	var clients sync.WaitGroup
	for i := range connections {
		clients.Go(func() {
			for j := range frames {
				f := frames[(i+j)%len(frames)] // at any time the hundred are spread over the list
				if f.want == either && j%10 != i%10 {
					continue // a tenth of these each: ten times over is enough
				}
				if err := f.play(c.addr); err != nil {
					t.Errorf("%s: %v", f.name, err)
					return
				}
			}
		})
	}
	clients.Wait()
	normal.await(10)
	m.check(t, memoryBound)
}
