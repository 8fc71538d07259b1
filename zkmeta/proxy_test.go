package zkmeta

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
)

// A proxy stands between client and server and has the faults of networks: it can go silent, in one way or both, cut, and lose the
// answer to the next request of a kind. It also remembers which requests went by.
type proxy struct {
	listener net.Listener
	target   string
	wg       sync.WaitGroup
	mu       struct {
		sync.Mutex
		thaw     chan struct{} // not nil: nothing passes until it is closed
		mute     bool          // answers are thrown away
		conns    map[net.Conn]bool
		lose     int32 // the operation whose answer is lost, with the connection; 0 = none
		requests []request
	}
}

// A request that was seen: its operation and, but for a few, its path.
type request struct {
	op   int32
	path string
	sub  []request // of a multi
}

const (
	opCreate  = 1
	opDelete  = 2
	opSetData = 5
	opCheck   = 13
	opMulti   = 14
)

func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveProxy(t, listener, target)
}

func serveProxy(t *testing.T, listener net.Listener, target string) *proxy {
	p := &proxy{listener: listener, target: target}
	p.mu.conns = map[net.Conn]bool{}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		listener.Close()
		p.thaw()
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.mu.conns[client], p.mu.conns[server] = true, true
		p.mu.Unlock()
		l := &proxied{proxy: p, client: client, server: server}
		p.wg.Go(l.requests)
		p.wg.Go(l.answers)
	}
}

// freeze lets connections be made and nothing pass, as a stopped process does.
func (p *proxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.thaw = make(chan struct{})
}

func (p *proxy) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.thaw != nil {
		close(p.mu.thaw)
		p.mu.thaw = nil
	}
}

func (p *proxy) awaitThaw() {
	p.mu.Lock()
	thaw := p.mu.thaw
	p.mu.Unlock()
	if thaw != nil {
		<-thaw
	}
}

// cut breaks all connections there are.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.mu.conns {
		conn.Close()
	}
	clear(p.mu.conns)
}

// mute lets requests reach the server, which so keeps the session, and throws all answers away. At the end of it the
// connections are cut.
func (p *proxy) mute(yes bool) {
	p.mu.Lock()
	p.mu.mute = yes
	p.mu.Unlock()
	if !yes {
		p.cut()
	}
}

func (p *proxy) muted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.mute
}

// loseAnswer has the next request of a kind reach the server and its answer lost.
func (p *proxy) loseAnswer(op int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.lose = op
}

func (p *proxy) answerLost() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.lose == 0
}

// writes gives and forgets the writing requests seen so far.
func (p *proxy) writes() []request {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.mu.requests
	p.mu.requests = nil
	return seen
}

type proxied struct {
	proxy          *proxy
	client, server net.Conn
	mu             struct {
		sync.Mutex
		doomed int32 // the xid whose answer is lost
	}
}

func (l *proxied) close() { l.client.Close(); l.server.Close() }

func (l *proxied) requests() {
	defer l.close()
	for first := true; ; first = false {
		frame, err := readFrame(l.client, 16<<20)
		if err != nil {
			return
		}
		l.proxy.awaitThaw()
		if !first {
			l.look(frame)
		}
		if writeFrame(l.server, frame) != nil {
			return
		}
	}
}

func (l *proxied) look(frame []byte) {
	xid, op := int32(binary.BigEndian.Uint32(frame)), int32(binary.BigEndian.Uint32(frame[4:]))
	p := l.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.lose == op {
		p.mu.lose = 0
		l.mu.Lock()
		l.mu.doomed = xid
		l.mu.Unlock()
	}
	switch op {
	case opCreate, opDelete, opSetData, opMulti:
		p.mu.requests = append(p.mu.requests, parseRequest(op, frame[8:]))
	}
}

func (l *proxied) answers() {
	defer l.close()
	for first := true; ; first = false {
		frame, err := readFrame(l.server, 64<<20)
		if err != nil {
			return
		}
		l.proxy.awaitThaw()
		l.mu.Lock()
		doomed := l.mu.doomed
		l.mu.Unlock()
		if xid := int32(binary.BigEndian.Uint32(frame)); !first && doomed != 0 && xid == doomed {
			return
		}
		if l.proxy.muted() {
			continue
		}
		if writeFrame(l.client, frame) != nil {
			return
		}
	}
}

func writeFrame(w io.Writer, frame []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...))
	return err
}

// parseRequest reads the body of create (path, data, acl, flags), delete (path, version), setData (path, data, version),
// and multi (headers of type, done and error between its operations).
func parseRequest(op int32, b []byte) request {
	r, _ := parseOp(op, b)
	return r
}

func parseOp(op int32, b []byte) (request, []byte) {
	i32 := func() int32 { v := int32(binary.BigEndian.Uint32(b)); b = b[4:]; return v }
	bytes := func() []byte {
		n := i32()
		if n < 0 {
			return nil
		}
		v := b[:n]
		b = b[n:]
		return v
	}
	r := request{op: op}
	if op == opMulti {
		for {
			kind := i32()
			done := b[0] != 0
			b = b[5:]
			if done {
				return r, b
			}
			var sub request
			sub, b = parseOp(kind, b)
			r.sub = append(r.sub, sub)
		}
	}
	r.path = string(bytes())
	switch op {
	case opCreate:
		bytes()
		for range i32() {
			i32()
			bytes()
			bytes()
		}
	case opSetData:
		bytes()
	}
	i32()
	return r, b
}
