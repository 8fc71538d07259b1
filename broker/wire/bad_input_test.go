package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// badInput is one thing a broken or hostile client sends.
type badInput struct {
	name   string
	prefix []byte // sent first
	repeat []byte // then this over and over
	times  int
	waits  bool // the server cannot know yet and waits; all others are closed without an answer
}

// announced puts the size of a frame, true or not, before its first bytes.
func announced(size uint32, b ...byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, size), b...)
}

// headerOf is a request header with a null client id.
func headerOf(key, version int16, flexible bool) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = append(b, 0, 0, 0, 1, 0xff, 0xff)
	if flexible {
		b = append(b, 0)
	}
	return b
}

// framed puts the true size before the parts of a frame.
func framed(parts ...[]byte) []byte {
	b := bytes.Join(parts, nil)
	return announced(uint32(len(b)), b...)
}

func badInputs() []badInput {
	const million = 1000000
	tags := binary.AppendUvarint(nil, 20*million)
	oneTag := []byte{5, 0} // tag 5, no bytes; the same again and again is two bytes each
	header := headerOf(3, 9, true)
	return []badInput{
		{name: "size -1", prefix: announced(math.MaxUint32)},
		{name: "size -2^31", prefix: announced(1 << 31)},
		{name: "size 2^31-1", prefix: announced(math.MaxInt32)},
		{name: "size 100 MiB + 1", prefix: announced(100<<20 + 1)},
		{name: "size 0", prefix: announced(0)},
		{name: "size 1", prefix: announced(1, 0)},
		{name: "size 4", prefix: announced(4, 0, 3, 0, 1)},
		{name: "size 7", prefix: announced(7, 0, 3, 0, 1, 0, 0, 0)},
		{name: "100 MiB announced, 20 bytes sent",
			prefix: announced(100<<20, append(headerOf(0, 9, true), make([]byte, 9)...)...), waits: true},
		{name: "100 bytes announced, 20 sent", prefix: announced(100, append(header, make([]byte, 9)...)...), waits: true},
		{name: "HTTP", prefix: []byte("GET / HTTP/1.0\r\n\r\n")},
		{name: "unknown key 99", prefix: framed(headerOf(99, 0, false))},
		{name: "key -1", prefix: framed(headerOf(-1, 0, false))},
		{name: "a version nobody has", prefix: framed(headerOf(3, 99, true), make([]byte, 10))},
		{name: "version -1", prefix: framed(headerOf(0, -1, false), make([]byte, 10))},
		{name: "a client id beyond the frame", prefix: framed([]byte{0, 3, 0, 1, 0, 0, 0, 1, 0x7f, 0xff, 'a'})},
		{name: "an array of 2^31-1", prefix: framed(headerOf(3, 1, false), announced(math.MaxInt32))},
		{name: "an array of 2^31-1 in a large frame",
			prefix: announced(90<<20, append(headerOf(3, 1, false), announced(math.MaxInt32)...)...),
			repeat: make([]byte, 64<<10), times: 1440},
		{name: "a compact array of 2^31-1", prefix: framed(header, binary.AppendUvarint(nil, 1<<31))},
		{name: "an array of a million and no bytes", prefix: framed(headerOf(3, 1, false), announced(million))},
		{name: "null where null is not allowed", prefix: framed(headerOf(19, 0, false), announced(math.MaxUint32))},
		{name: "20 million tags in the header",
			prefix: append(announced(uint32(10+len(tags)+40*million), header[:10]...), tags...),
			repeat: bytes.Repeat(oneTag, 10000), times: 2000},
		{name: "20 million tags in the body",
			prefix: append(announced(uint32(11+4+len(tags)+40*million), append(header, 1, 1, 0, 0)...), tags...),
			repeat: bytes.Repeat(oneTag, 10000), times: 2000},
		{name: "millions of empty topics",
			prefix: append(announced(uint32(11+4+24*million), header...), binary.AppendUvarint(nil, 12*million)...),
			repeat: bytes.Repeat([]byte{1, 0}, 10000), times: 1200},
	}
}

// play sends one bad input and checks that the server hangs up without an answer, or waits.
func (in badInput) play(t *testing.T, addr string) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Errorf("%s: %v", in.name, err)
		return
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
	_, _ = nc.Write(in.prefix)
	for range in.times {
		if _, err := nc.Write(in.repeat); err != nil {
			break // refused before the end, as it should
		}
	}
	if in.waits {
		_ = nc.SetDeadline(time.Now().Add(100 * time.Millisecond))
	}
	n, err := nc.Read(make([]byte, 1))
	timeout, _ := err.(net.Error)
	waited := timeout != nil && timeout.Timeout()
	if n != 0 || waited != in.waits {
		t.Errorf("%s: %d bytes answered, error %v, want it to wait: %v", in.name, n, err, in.waits)
	}
}

// decodeAll is a handler that does what the broker's does at its edge: refuse unknown versions, decode, answer.
func decodeAll(_ context.Context, r *Request) Reply {
	req := kmsg.RequestForKey(r.Key)
	if r.Version < 0 || r.Version > req.MaxVersion() {
		return Close(fmt.Sprintf("version %d", r.Version))
	}
	if err := r.Decode(req); err != nil {
		return Close(err.Error())
	}
	return respondTo(r)
}

// rssAnon is the anonymous memory of this process in bytes, 0 where the system does not tell.
func rssAnon() int {
	status, _ := os.ReadFile("/proc/self/status")
	_, after, _ := strings.Cut(string(status), "RssAnon:")
	kb, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	n, _ := strconv.Atoi(kb)
	return n << 10
}

// Each bad input on 100 connections at once: no answer, no crash, no hang, and less than 64 MiB more memory.
// The memory of the test's own sending side counts as well.
func TestBadInputIsRefusedInBoundedMemory(t *testing.T) {
	const connections, bound = 100, 64 << 20
	// A full backlog would cost each of those in it a second.
	s := startServer(t, decodeAll, func(o *ServerOptions) { o.Backlog = 2 * connections })
	addr := s.Addr("PLAINTEXT").String()
	runtime.GC()
	before, highest := rssAnon(), 0
	for _, in := range badInputs() {
		stop := make(chan struct{})
		var sampler sync.WaitGroup
		sampler.Go(func() {
			for {
				highest = max(highest, rssAnon())
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
				}
			}
		})
		var wg sync.WaitGroup
		for range connections {
			wg.Go(func() { in.play(t, addr) })
		}
		wg.Wait()
		close(stop)
		sampler.Wait()
	}
	t.Logf("RssAnon %d KiB before, at most %d KiB", before>>10, highest>>10)
	if grown := highest - before; grown > bound && !raceEnabled {
		t.Errorf("RssAnon grew by %d MiB, want at most %d", grown>>20, bound>>20)
	}
	c := dial(t, s)
	c.request(metadataRequest(1), 1) // and it still works
	c.receive()
}
