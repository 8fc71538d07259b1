package brokertest

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"regexp"
	"strconv"
	"sync"
	"testing"
)

// Side is a direction in which a broker can be cut off.
type Side uint8

// The sides of a broker.
const (
	Peers       Side = 1 << iota // the other brokers, both ways
	Clients                      // whoever else connects to it
	ToZooKeeper                  // its ZooKeeper

	everySide = Peers | Clients | ToZooKeeper
)

// end is one end of a connection: a broker by its id, or one of these.
type end int

const (
	zooKeeperEnd end = -1
	clientEnd    end = -2
)

// network knows which ways of a cluster are cut. A cut way is silent, as a cable that was pulled: connections stay open
// and can even be made, but nothing passes until it heals; then what was under way arrives.
type network struct {
	mu struct {
		sync.Mutex
		cut     map[end]Side
		changed chan struct{} // closed and replaced at each change
		closed  bool
	}
}

func newNetwork() *network {
	w := &network{}
	w.mu.cut, w.mu.changed = map[end]Side{}, make(chan struct{})
	return w
}

// change cuts an end off on some sides, or heals it there.
func (w *network) change(e end, cut, heal Side) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.cut[e] = w.mu.cut[e]&^heal | cut
	w.wakeLocked()
}

// close lets everything end that waits for a way to heal.
func (w *network) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.closed = true
	w.wakeLocked()
}

func (w *network) wakeLocked() {
	close(w.mu.changed)
	w.mu.changed = make(chan struct{})
}

// blocked tells whether the way between two ends is cut, and when to ask again.
func (w *network) blocked(a, b end) (bool, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	both := w.mu.cut[a] | w.mu.cut[b]
	side := Peers
	switch {
	case a == b:
		return false, nil // a broker's way to itself is inside the machine
	case a == zooKeeperEnd || b == zooKeeperEnd:
		side = ToZooKeeper
	case a == clientEnd || b == clientEnd:
		side = Clients
	}
	return both&side != 0 && !w.mu.closed, w.mu.changed
}

// pass waits until the way between two ends is open.
func (w *network) pass(a, b end) {
	for {
		blocked, changed := w.blocked(a, b)
		if !blocked {
			return
		}
		<-changed
	}
}

// link is the way to one server: a listener that hands connections on. It ends with the test.
type link struct {
	network  *network
	to       end
	from     func(first []byte) end // who calls, by the first frame; nil: whom caller names
	caller   end
	listener net.Listener
	running  sync.WaitGroup
	mu       struct {
		sync.Mutex
		target string // "" while there is no server: connections are refused
		conns  map[net.Conn]bool
	}
}

func newLink(t testing.TB, w *network, from, to end) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{network: w, to: to, caller: from, listener: listener}
	l.mu.conns = map[net.Conn]bool{}
	l.running.Go(l.accept)
	t.Cleanup(func() {
		listener.Close()
		w.close()
		l.sever()
		l.running.Wait()
	})
	return l
}

func (l *link) addr() string { return l.listener.Addr().String() }

// lead sends new connections to another server and gives the old one; "" refuses them.
func (l *link) lead(target string) (before string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, l.mu.target = l.mu.target, target
	return before
}

// sever breaks the connections there are.
func (l *link) sever() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.mu.conns {
		c.Close()
	}
}

func (l *link) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.running.Go(func() { l.serve(near) })
	}
}

func (l *link) keep(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.conns[c] = true
}

func (l *link) drop(c net.Conn) {
	c.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.mu.conns, c)
}

// serve carries one connection. Nobody is called before the caller has said who it is.
func (l *link) serve(near net.Conn) {
	l.keep(near)
	defer l.drop(near)
	in, caller := io.Reader(near), l.caller
	if l.from != nil {
		buffered := bufio.NewReaderSize(near, firstFrame)
		first, err := peekFrame(buffered)
		if err != nil {
			return
		}
		in, caller = buffered, l.from(first)
	}
	l.network.pass(caller, l.to)
	l.mu.Lock()
	target := l.mu.target
	l.mu.Unlock()
	if target == "" {
		return
	}
	far, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	l.keep(far)
	defer l.drop(far)
	var back sync.WaitGroup
	back.Go(func() {
		l.carry(near, far, caller)
		near.Close()
	})
	l.carry(far, in, caller)
	far.Close()
	near.Close()
	back.Wait()
}

// carry copies one direction until either end closes.
func (l *link) carry(to io.Writer, from io.Reader, caller end) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		l.network.pass(caller, l.to)
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

// firstFrame is how many bytes of a connection are looked at: size, api key, version, correlation id, client id.
const firstFrame = 4 + 2 + 2 + 4 + 2 + 256

// peekFrame gives the bytes of the first request that name its client.
func peekFrame(r *bufio.Reader) ([]byte, error) {
	size, err := r.Peek(4)
	if err != nil {
		return nil, err
	}
	return r.Peek(min(firstFrame, 4+int(binary.BigEndian.Uint32(size)&0x7fffffff)))
}

// brokerClient are the client ids of brokers: the bare id on connections to the controller and from it, and the
// fetchers', marker senders' and transaction verifiers' (inter-broker.md 4).
var brokerClient = regexp.MustCompile(`^(?:(\d+)|broker-(\d+)-(?:fetcher-\d+|txn-marker-sender)|AddPartitionsManager-client-(\d+))$`)

// callerOf reads who sends a request: a broker, or any client.
func callerOf(first []byte) end {
	const at = 4 + 2 + 2 + 4
	if len(first) < at+2 {
		return clientEnd
	}
	n := int(int16(binary.BigEndian.Uint16(first[at:])))
	if n < 0 || at+2+n > len(first) {
		return clientEnd
	}
	for _, id := range brokerClient.FindStringSubmatch(string(first[at+2 : at+2+n])) {
		if broker, err := strconv.Atoi(id); err == nil {
			return end(broker)
		}
	}
	return clientEnd
}
