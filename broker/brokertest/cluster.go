// Package brokertest runs a real cluster inside `go test`: sockets, disks and ZooKeeper, as httptest does for HTTP.
//
//	c := brokertest.Start(t, brokertest.Brokers(3))
//	client, err := sarama.NewClient(c.Bootstrap(), sarama.NewConfig())
//
// Everything ends with the test. Brokers run in the process of the test, or each in one of its own (Processes); they
// can be stopped, killed, paused, cut off and brought back, and so can their ZooKeeper.
package brokertest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
)

// Cluster is a running cluster. Its methods and those of its nodes are for the goroutine of the test.
type Cluster struct {
	t       testing.TB
	o       options
	zk      *ensemble
	network *network
	brokers []*Node
}

// startTimeout bounds the start of a broker.
const startTimeout = 30 * time.Second

// Start runs a cluster and waits until every broker serves clients and knows all others.
func Start(t testing.TB, opts ...Option) *Cluster {
	t.Helper()
	c := New(t, opts...)
	if err := c.startAll(); err != nil {
		t.Fatal(err)
	}
	return c
}

// New prepares a cluster: its ZooKeeper runs, its brokers are down and wait for Node.Start.
func New(t testing.TB, opts ...Option) *Cluster {
	t.Helper()
	c := &Cluster{t: t, network: newNetwork(), o: options{
		brokers: 1, properties: map[string]string{}, own: map[int]map[string]string{}, logger: zap.NewNop(),
	}}
	for _, opt := range opts {
		opt(&c.o)
	}
	if c.o.processes && !mainCalled.Load() {
		t.Fatal("brokertest.Processes needs in this package: func TestMain(m *testing.M) { brokertest.Main(m) }")
	}
	c.zk = openEnsemble(t, c.o.ensemble)
	dir := tempDir(t)
	for id := range c.o.brokers {
		c.brokers = append(c.brokers, newNode(c, id, filepath.Join(dir, fmt.Sprintf("broker-%d", id))))
	}
	t.Cleanup(c.stopAll)
	return c
}

// startAll brings up every broker that is down, all at once.
func (c *Cluster) startAll() error {
	began := make(map[*Node]bool)
	errs := make([]error, len(c.brokers))
	var all sync.WaitGroup
	for i, n := range c.brokers {
		if n.life == nil {
			began[n] = true
			all.Go(func() { errs[i] = n.TryStart() })
		}
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, n := range c.brokers {
		if err := n.awaitPeers(); began[n] && err != nil {
			return err
		}
	}
	return nil
}

// stopAll ends what still runs. Nobody is handed anything over: there is nobody left who would serve it.
func (c *Cluster) stopAll() {
	var all sync.WaitGroup
	for _, n := range c.brokers {
		if n.life != nil {
			all.Go(n.leave().end)
		}
	}
	all.Wait()
}

// Bootstrap are the addresses of the brokers that are up.
func (c *Cluster) Bootstrap() []string {
	var all []string
	for _, n := range c.brokers {
		if n.life != nil {
			all = append(all, n.Addr())
		}
	}
	return all
}

// Node is the broker with an id: 0, 1, 2 ...
func (c *Cluster) Node(id int) *Node { return c.brokers[id] }

// Nodes are all brokers, up or down.
func (c *Cluster) Nodes() []*Node { return c.brokers }

// tempDir is a temporary directory whose name can stand in log.dirs, which is a list: t.TempDir takes the commas of the
// test's name along.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "brokertest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
