package brokertest

import (
	"net"
	"sync"
	"testing"
)

// link is a way to a server that can go silent with its connections open, as a stopped process or a lost network
// does, and can be cut.
type link struct {
	listener net.Listener
	target   string
	running  sync.WaitGroup
	mu       struct {
		sync.Mutex
		thaw  chan struct{} // not nil: nothing passes until it is closed
		conns map[net.Conn]bool
	}
}

func newLink(t *testing.T, target string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{listener: listener, target: target}
	l.mu.conns = map[net.Conn]bool{}
	l.running.Go(l.accept)
	t.Cleanup(func() {
		listener.Close()
		l.thaw()
		l.cut()
		l.running.Wait()
	})
	return l
}

func (l *link) addr() string { return l.listener.Addr().String() }

func (l *link) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", l.target)
		if err != nil {
			near.Close()
			continue
		}
		l.mu.Lock()
		l.mu.conns[near], l.mu.conns[far] = true, true
		l.mu.Unlock()
		l.running.Go(func() { l.carry(far, near) })
		l.running.Go(func() { l.carry(near, far) })
	}
}

// carry copies one direction until either end closes.
func (l *link) carry(to, from net.Conn) {
	defer func() {
		to.Close()
		from.Close()
		l.mu.Lock()
		delete(l.mu.conns, to)
		delete(l.mu.conns, from)
		l.mu.Unlock()
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		l.mu.Lock()
		thaw := l.mu.thaw
		l.mu.Unlock()
		if thaw != nil {
			<-thaw
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// freeze lets connections be made and nothing pass.
func (l *link) freeze() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.thaw == nil {
		l.mu.thaw = make(chan struct{})
	}
}

func (l *link) thaw() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.thaw != nil {
		close(l.mu.thaw)
		l.mu.thaw = nil
	}
}

// cut breaks the connections there are.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.mu.conns {
		c.Close()
	}
}
