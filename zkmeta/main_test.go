package zkmeta

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/zkmeta/zkserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 20 * time.Second // of a test for what must happen
	instant  = 5 * time.Second  // of a test for what a lost connection does not hold up
)

// An ensemble is where a test finds ZooKeeper, and the chroot that it has for itself.
type ensemble struct {
	addr    string // of one member
	members []string
	chroot  string
}

// at is the connect string by way of an address, as that of a proxy.
func (e ensemble) at(addr string) string { return addr + e.chroot }
func (e ensemble) String() string        { return e.at(strings.Join(e.members, ",")) }

// realZooKeeper is set by the interop build to the addresses of a real ensemble; all tests then run against that.
var realZooKeeper string

// startServer gives a ZooKeeper: our own in memory, with short ticks, so that sessions may last a second.
func startServer(t testing.TB) ensemble {
	t.Helper()
	if realZooKeeper != "" {
		members := strings.Split(realZooKeeper, ",")
		return ensemble{members[0], members, "/" + newClusterID()}
	}
	server, err := zkserver.NewServer(zkserver.Options{Addr: "127.0.0.1:0", TickTime: 100 * time.Millisecond,
		MinSessionTimeout: 500 * time.Millisecond, MaxSessionTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	addr := server.Addr().String()
	return ensemble{addr: addr, members: []string{addr}}
}

// connect gives a client that is closed with the test. Its options are those of a broker unless change says otherwise.
func connect(t testing.TB, servers string, change ...func(*Options)) *Client {
	t.Helper()
	opt := Options{ConnectString: servers, SessionTimeout: 6 * time.Second, CreateChroot: true, Level: ibp.Latest}
	for _, fn := range change {
		fn(&opt)
	}
	c, err := Connect(context.Background(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func session(t testing.TB, c *Client) *Session {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := c.AwaitSession(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// await fails the test when the condition does not come true.
func await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func observed() (*zap.Logger, *observer.ObservedLogs) {
	core, logs := observer.New(zap.DebugLevel)
	return zap.New(core), logs
}

// A bell counts hints.
type bell struct {
	mu struct {
		sync.Mutex
		rung int
	}
}

func (b *bell) ring() { b.mu.Lock(); b.mu.rung++; b.mu.Unlock() }
func (b *bell) rung() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.rung
}
