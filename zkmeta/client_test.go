package zkmeta

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestConnectStrings(t *testing.T) {
	for text, want := range map[string]string{
		"h":                             "h:2181",
		"h:1,i:2/a/b":                   "h:1 i:2 /a/b",
		" h:1 , i:2 /":                  "h:1 i:2",
		"[::1]:2182/k":                  "[::1]:2182 /k",
		"127.0.0.1:2181,127.0.0.1:2182": "127.0.0.1:2181 127.0.0.1:2182",
	} {
		servers, chroot, err := ParseConnectString(text)
		if chroot != "" {
			servers = append(servers, chroot)
		}
		if got := strings.Join(servers, " "); err != nil || got != want {
			t.Errorf("%q is read as %q, %v; want %q", text, got, err, want)
		}
	}
	for _, bad := range []string{"", ",", "/a", "h:0", "h:x", "h:70000", "h:1/a/", "h:1/a//b", ":2181"} {
		if servers, chroot, err := ParseConnectString(bad); err == nil {
			t.Errorf("%q is read as %q and %q", bad, servers, chroot)
		}
	}
}

func TestTheChrootIsMadeByBrokersAndMissedByClients(t *testing.T) {
	zk := startServer(t)
	_, err := Connect(context.Background(), Options{ConnectString: zk.String() + "/a/b"})
	var start *StartError
	if !errors.As(err, &start) {
		t.Fatalf("a client without a chroot got %v", err)
	}
	s := session(t, connect(t, zk.String()+"/a/b"))
	must(t, s.EnsurePaths(t.Context()))
	root := session(t, connect(t, zk.String()))
	if _, err := root.Exists(t.Context(), "/a/b/brokers/ids"); err != nil {
		t.Error(err)
	}
}

func TestConnectGivesUpWithoutAServer(t *testing.T) {
	t.Parallel()
	p := startProxy(t, "127.0.0.1:1")
	p.freeze()
	begun := time.Now()
	_, err := Connect(t.Context(), Options{ConnectString: p.addr(), SessionTimeout: 6 * time.Second, ConnectionTimeout: time.Second})
	if took := time.Since(begun); err == nil || !strings.Contains(err.Error(), "Timed out waiting for connection") || took > instant {
		t.Errorf("after %v: %v", took, err)
	}
}

// closeForGood closes a session. A member of an ensemble hangs up on who brings a session that another one is just
// taking over; then it is tried again.
func closeForGood(t *testing.T, addr string, s *Session) {
	t.Helper()
	var err error
	for range 5 {
		if err = CloseSession(t.Context(), addr, s.ID(), s.Password()); err == nil {
			return
		}
	}
	t.Fatal(err)
}

func TestASessionThatIsClosedByItsPasswordIsFollowedByANewOne(t *testing.T) {
	zk := startServer(t)
	c := connect(t, zk.String())
	var lives []*Session
	turns := make(chan *Session, 64)
	c.OnSession(func(s *Session) { turns <- s })
	next := func() *Session {
		select {
		case s := <-turns:
			lives = append(lives, s)
			return s
		case <-time.After(patience):
			t.Fatal("no news of the session")
			return nil
		}
	}
	first := next()
	must(t, first.EnsurePaths(t.Context()))
	if _, err := first.RegisterBroker(t.Context(), BrokerInfo{ID: 1}); err != nil {
		t.Fatal(err)
	}
	before := first
	for range 20 { // go-zookeeper's own channel drops events from the seventh on
		closeForGood(t, zk.addr, before)
		if s := next(); s != nil {
			t.Fatalf("the loss was not told, but session %x", s.ID())
		}
		after := next()
		if after == nil || after.ID() == before.ID() {
			t.Fatalf("no new session came, but %v", after)
		}
		if before.Context().Err() == nil || before.LeaseValid() {
			t.Error("the old session thinks it lives")
		}
		if _, err := before.Create(t.Context(), "/of-the-old-life", nil, Persistent); !errors.Is(err, ErrNotSent) {
			t.Errorf("a call on the old session: %v", err)
		}
		before = after
	}
	if _, err := before.Broker(t.Context(), 1); !errors.Is(err, ErrNoNode) {
		t.Errorf("the ephemeral znode of the first life: %v", err)
	}
	if slices.Contains(lives[1:], first) {
		t.Error("an old life came back")
	}
}

func TestCloseTakesTheEphemeralsWithItEvenWithoutAConnection(t *testing.T) {
	zk := startServer(t)
	watcher := session(t, connect(t, zk.String()))
	must(t, watcher.EnsurePaths(t.Context()))
	for name, spoil := range map[string]func(*proxy){
		"connected": func(*proxy) {},
		"cut":       func(p *proxy) { p.cut() },
	} {
		t.Run(name, func(t *testing.T) {
			p := startProxy(t, zk.addr)
			c := connect(t, zk.at(p.addr()), func(o *Options) { o.SessionTimeout = 30 * time.Second })
			if _, err := session(t, c).RegisterBroker(t.Context(), BrokerInfo{ID: 7}); err != nil {
				t.Fatal(err)
			}
			spoil(p)
			c.Close()
			must(t, watcher.Sync(t.Context(), "/")) // another member of an ensemble may lag behind
			if _, err := watcher.Broker(t.Context(), 7); !errors.Is(err, ErrNoNode) {
				t.Errorf("after Close the registration is still there: %v", err)
			}
		})
	}
}

func TestClosingASessionThatIsGoneOrNotOursIsNoError(t *testing.T) {
	zk := startServer(t)
	s := session(t, connect(t, zk.String()))
	wrong := make([]byte, passwordSize)
	must(t, CloseSession(t.Context(), zk.addr, s.ID(), wrong))
	must(t, CloseSession(t.Context(), zk.addr, 0x1234, wrong))
	if err := s.Prove(t.Context()); err != nil {
		t.Errorf("the session did not survive a wrong password: %v", err)
	}
	if err := CloseSession(t.Context(), "127.0.0.1:1", 1, wrong); err == nil {
		t.Error("nobody answered and it was no error")
	}
}

// What a broker does that starts after kill -9: its old session holds its id and its controllership.
func TestABrokerThatWasKilledComesBackAtOnce(t *testing.T) {
	zk := startServer(t)
	ctx := t.Context()
	killed := session(t, connect(t, zk.String(), func(o *Options) { o.SessionTimeout = 18 * time.Second }))
	must(t, killed.EnsurePaths(ctx))
	before, err := killed.RegisterBroker(ctx, plaintext(1, 9092))
	must(t, err)
	_, err = killed.Elect(ctx, 1, 1)
	must(t, err)
	id, password := killed.ID(), killed.Password()
	killed.dialer.end() // nothing more is heard of it

	begun := time.Now()
	must(t, CloseSession(ctx, zk.String(), id, password))
	s := session(t, connect(t, zk.String()))
	if epoch, err := s.RegisterBroker(ctx, plaintext(1, 9092)); err != nil || epoch <= before {
		t.Errorf("registered with %d after %d, %v", epoch, before, err)
	}
	if epoch, err := s.Elect(ctx, 1, 1); err != nil || epoch.Epoch != 2 {
		t.Errorf("elected with %+v, %v", epoch, err)
	}
	t.Logf("back after %v", time.Since(begun))
	if took := time.Since(begun); took > instant {
		t.Errorf("back after %v", took)
	}
}

// A znode that the server has not taken away with the session of the last life is recognised by its owner and replaced.
func TestAZombieOfTheLastLifeIsReplaced(t *testing.T) {
	zk := startServer(t)
	ctx := t.Context()
	last := session(t, connect(t, zk.String()))
	must(t, last.EnsurePaths(ctx))
	before, err := last.RegisterBroker(ctx, plaintext(1, 9092))
	must(t, err)
	c := connect(t, zk.String())
	c.mu.Lock()
	c.mu.registrar = last.ID()
	c.mu.Unlock()
	if epoch, err := session(t, c).RegisterBroker(ctx, plaintext(1, 9092)); err != nil || epoch <= before {
		t.Errorf("registered with %d after %d, %v", epoch, before, err)
	}
}
