package zkmeta

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/zurau/zurau/broker/topic"
)

// A frozen server takes connections and is silent. The library alone would wait 40 s at a session of 6.
func TestAFrozenServerCostsOneSecondAtTheStart(t *testing.T) {
	t.Parallel()
	zk := startServer(t)
	frozen := startProxy(t, zk.addr)
	frozen.freeze()
	for range 4 { // the order of servers is random
		begun := time.Now()
		c := connect(t, zk.at(frozen.addr()+","+zk.addr), func(o *Options) { o.ConnectionTimeout = instant })
		if took := time.Since(begun); took > 4*time.Second {
			t.Errorf("connected after %v", took)
		}
		c.Close()
	}
}

// One member freezes; later another freezes and the one in use drops its connections, so that the next try may hit the
// frozen one. The session lives through it all.
func TestASessionMovesAwayFromAMemberThatFreezes(t *testing.T) {
	t.Parallel()
	zk := startServer(t)
	proxies := map[string]*proxy{}
	var addrs []string
	for i := range 3 {
		p := startProxy(t, zk.members[i%len(zk.members)])
		proxies[p.addr()], addrs = p, append(addrs, p.addr())
	}
	s := session(t, connect(t, zk.at(strings.Join(addrs, ",")), func(o *Options) { o.SessionTimeout = 6 * time.Second }))
	must(t, s.EnsurePaths(t.Context()))
	writes := func(what string) {
		t.Helper()
		begun := time.Now()
		must(t, s.setLast(t.Context(), ConsumersPath, []byte(what)))
		t.Logf("%s: a write took %v", what, time.Since(begun))
		if s.Context().Err() != nil {
			t.Fatalf("%s: the session was lost", what)
		}
	}
	inUse := s.conn.Server()
	proxies[inUse].freeze()
	writes("the member in use froze")
	if s.conn.Server() == inUse {
		t.Errorf("still with %s", inUse)
	}
	proxies[inUse].thaw()
	for addr, p := range proxies {
		if addr != s.conn.Server() {
			p.freeze()
			break
		}
	}
	proxies[s.conn.Server()].cut()
	writes("one is frozen, the one in use dropped us")
}

// A pause of the only server that is shorter than the session costs no session.
func TestASessionOutlivesAPauseOfItsServer(t *testing.T) {
	t.Parallel()
	zk := startServer(t)
	p := startProxy(t, zk.addr)
	s := session(t, connect(t, zk.at(p.addr()), func(o *Options) { o.SessionTimeout = 3 * time.Second }))
	p.freeze()
	time.AfterFunc(1200*time.Millisecond, p.thaw)
	must(t, s.setLast(t.Context(), "/", []byte("x")))
	if s.Context().Err() != nil || !s.LeaseValid() {
		t.Error("the session was lost to a pause shorter than itself")
	}
}

// The lease ends by the clock of this process while the library still believes in its session, and comes back with
// the server if the session lives on.
func TestTheLeaseEndsWithoutNewsAndIsFoundAgain(t *testing.T) {
	t.Parallel()
	zk := startServer(t)
	p := startProxy(t, zk.addr)
	c := connect(t, zk.at(p.addr()), func(o *Options) { o.SessionTimeout = 3 * time.Second })
	s := session(t, c)
	news := make(chan bool, 16)
	c.OnLease(func(of *Session, valid bool) {
		if of == s {
			news <- valid
		}
	})
	if !s.LeaseValid() {
		t.Fatal("a new session has no lease")
	}
	await(t, "a lease that is proven again and again", func() bool {
		return time.Until(s.LeaseDeadline()) > s.lease.valid-time.Second && len(s.slots) == 0
	})
	p.mute(true)
	muted := time.Now()
	expect := func(valid bool) {
		t.Helper()
		select {
		case got := <-news:
			if got != valid || s.LeaseValid() != valid {
				t.Errorf("the lease's state is told as %v", got)
			}
		case <-s.Context().Done():
			t.Fatalf("the session ended before the lease turned to %v", valid)
		case <-time.After(patience):
			t.Fatalf("the lease's turn to %v is not told", valid)
		}
	}
	expect(false)
	if lasted := time.Since(muted); lasted >= s.Timeout() || lasted < time.Second {
		t.Errorf("the lease lasted %v without news, of a session of %v", lasted, s.Timeout())
	}
	p.mute(false)
	expect(true)
}

func TestAPasswordAndTimeoutAreReadOffTheWire(t *testing.T) {
	s := session(t, connect(t, startServer(t).String(), func(o *Options) { o.SessionTimeout = 10 * time.Minute }))
	if len(s.Password()) != passwordSize || bytes.Equal(s.Password(), make([]byte, passwordSize)) {
		t.Errorf("the password is %x", s.Password())
	}
	if s.Timeout() != time.Minute {
		t.Errorf("asked for 10 minutes and granted 1, the session believes in %v", s.Timeout())
	}
}

// guarded gives a guardedConn and the server's end of it.
func guarded(t *testing.T) (*guardedConn, net.Conn) {
	client, server := net.Pipe()
	t.Cleanup(func() { client.Close(); server.Close() })
	d := newDialer(t.Context(), nil, 6*time.Second, 1)
	now := time.Now()
	return &guardedConn{Conn: client, dialer: d, dialed: now, handshakeBy: now.Add(200 * time.Millisecond)}, server
}

func frame(body ...byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

func greeting() []byte {
	b := binary.BigEndian.AppendUint32(nil, 0)
	b = binary.BigEndian.AppendUint32(b, 6000)
	b = binary.BigEndian.AppendUint64(b, 0x1234)
	b = binary.BigEndian.AppendUint32(b, passwordSize)
	return append(append(b, bytes.Repeat([]byte{7}, passwordSize)...), 0)
}

func TestAHandshakeHasADeadlineWhateverTheLibrarySets(t *testing.T) {
	t.Parallel()
	for _, sent := range [][]byte{nil, frame(greeting()...)[:3], frame(greeting()...)[:4], frame(greeting()...)[:30]} {
		conn, server := guarded(t)
		go server.Write(sent)
		conn.SetReadDeadline(time.Now().Add(time.Hour))
		conn.SetReadDeadline(time.Time{})
		begun := time.Now()
		var err error
		for buf := make([]byte, 64); err == nil; {
			_, err = conn.Read(buf)
		}
		var timeout net.Error
		if took := time.Since(begun); !errors.As(err, &timeout) || !timeout.Timeout() || took > instant {
			t.Errorf("after %d bytes: %v after %v", len(sent), err, took)
		}
	}
}

func TestAfterTheHandshakeDeadlinesPassThrough(t *testing.T) {
	conn, server := guarded(t)
	go func() {
		for _, b := range frame(greeting()...) { // in the smallest pieces
			server.Write([]byte{b})
		}
	}()
	buf := make([]byte, 64)
	for range 4 + 37 {
		if _, err := conn.Read(buf); err != nil {
			t.Fatal(err)
		}
	}
	g := conn.dialer.granted()
	if g.sessionID != 0x1234 || g.timeout != 6*time.Second || !bytes.Equal(g.password, bytes.Repeat([]byte{7}, passwordSize)) {
		t.Errorf("granted %+v", g)
	}
	conn.SetReadDeadline(time.Time{})
	time.AfterFunc(300*time.Millisecond, func() { server.Write(frame(make([]byte, 16)...)) }) // later than handshakeBy
	if _, err := conn.Read(buf); err != nil {
		t.Error(err)
	}
}

func TestFramesNoServerSendsBreakTheConnection(t *testing.T) {
	for name, sent := range map[string][]byte{
		"handshake too short":      frame(1, 2, 3),
		"handshake too long":       {0, 1, 0, 0},
		"handshake of 2 GB":        {0x7f, 0xff, 0xff, 0xff},
		"handshake of minus one":   {0xff, 0xff, 0xff, 0xff},
		"password beyond the end":  frame(append(greeting()[:19], 99)...),
		"answer shorter than 16":   append(frame(greeting()...), 0, 0, 0, 4),
		"answer of minus one byte": append(frame(greeting()...), 0xff, 0xff, 0xff, 0xff),
		"answer of 1 GB":           append(frame(greeting()...), 0x40, 0, 0, 0),
	} {
		conn, server := guarded(t)
		go server.Write(sent)
		buf := make([]byte, 128)
		var err error
		for err == nil {
			conn.SetReadDeadline(time.Now().Add(instant))
			_, err = conn.Read(buf)
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("%s: nothing happened", name)
		}
	}
}

// Requests leave in the order in which they were asked for, although each has a goroutine of its own.
func TestPipelinedRequestsKeepTheirOrder(t *testing.T) {
	zk := startServer(t)
	p := startProxy(t, zk.addr)
	s := session(t, connect(t, zk.at(p.addr())))
	ctx := t.Context()
	must(t, s.EnsurePaths(ctx))
	must(t, s.createNew(ctx, TopicPath("t"), nil))
	epoch, err := s.Elect(ctx, 1, 1)
	must(t, err)
	p.writes()
	states := map[topic.Partition]PartitionState{}
	for id := range int32(2000) {
		states[topic.Partition{Topic: "t", ID: id}] = PartitionState{Leader: 1, ControllerEpoch: 1, ISR: []int32{1}}
	}
	begun := time.Now()
	for p, r := range s.CreateStates(ctx, epoch, states) {
		if r.Err != nil {
			t.Fatalf("%v: %v", p, r.Err)
		}
	}
	t.Logf("%d states created in %v", len(states), time.Since(begun))
	want := []string{PartitionsPath("t")}
	for id := range int32(2000) {
		want = append(want, PartitionPath(topic.Partition{Topic: "t", ID: id}))
	}
	for id := range int32(2000) {
		want = append(want, StatePath(topic.Partition{Topic: "t", ID: id}))
	}
	seen := p.writes()
	if len(seen) != len(want) {
		t.Fatalf("%d writes for %d", len(seen), len(want))
	}
	for i, r := range seen {
		if got := r.sub[1].path; got != zk.chroot+want[i] {
			t.Fatalf("write %d is %s and should be %s", i, got, want[i])
		}
	}
	begun = time.Now()
	var partitions []topic.Partition
	for p := range states {
		partitions = append(partitions, p)
	}
	read, err := s.ReadStates(ctx, partitions)
	must(t, err)
	t.Logf("%d states read in %v", len(read), time.Since(begun))
	if len(read) != len(states) {
		t.Errorf("%d of %d states were read", len(read), len(states))
	}
	for p := range states {
		state := states[p]
		state.LeaderEpoch++
		states[p] = state
	}
	begun = time.Now()
	for p, r := range s.UpdateStates(ctx, epoch, states) {
		if r.Err != nil || r.ZkVersion != 1 {
			t.Fatalf("%v: %+v", p, r)
		}
	}
	t.Logf("%d states updated in %v", len(states), time.Since(begun))
}

func TestTLS(t *testing.T) {
	zk := startServer(t)
	authority := httptest.NewTLSServer(nil) // for its certificate
	defer authority.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := serveProxy(t, tls.NewListener(listener, &tls.Config{Certificates: authority.TLS.Certificates}), zk.addr)
	roots := x509.NewCertPool()
	roots.AddCert(authority.Certificate())
	s := session(t, connect(t, zk.at(p.addr()), func(o *Options) { o.TLS = &tls.Config{RootCAs: roots} }))
	must(t, s.Prove(t.Context()))
	_, err = Connect(t.Context(), Options{ConnectString: zk.at(p.addr()), ConnectionTimeout: 100 * time.Millisecond, TLS: &tls.Config{}})
	if err == nil {
		t.Error("a server of an unknown authority was believed")
	}
}

// FuzzFrames lets any bytes come in from a server, in pieces: no panic, and no more memory than came in.
func FuzzFrames(f *testing.F) {
	f.Add(frame(greeting()...), uint8(1))
	f.Add(append(frame(greeting()...), frame(make([]byte, 16)...)...), uint8(5))
	f.Add(frame(greeting()[:20]...), uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, piece uint8) {
		c := &guardedConn{dialer: newDialer(t.Context(), nil, time.Second, 1)}
		for len(b) > 0 {
			n := min(len(b), int(piece)+1)
			if c.follow(b[:n]) != nil {
				return
			}
			b = b[n:]
			if c.in.left < 0 || c.in.left > maxFrame || cap(c.in.head) > 4096 {
				t.Fatalf("%d bytes to come, %d kept", c.in.left, cap(c.in.head))
			}
		}
	})
}
