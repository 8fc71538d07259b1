// Package brokertest runs a real cluster inside `go test`: sockets, disks and ZooKeeper, as httptest does for HTTP.
//
//	c := brokertest.Start(t, brokertest.Brokers(1))
//	client, err := sarama.NewClient(c.Bootstrap(), sarama.NewConfig())
//
// Everything ends with the test.
package brokertest

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker"
	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/wire"
	"github.com/zurau/zurau/zkmeta/zkserver"
)

// Cluster is a running cluster.
type Cluster struct {
	t       testing.TB
	o       options
	zk      *zkserver.Server // nil when an ensemble was given
	connect string
	brokers []*Node
}

// Node is one broker of a cluster; it may be down.
type Node struct {
	cluster *Cluster
	id      int
	dir     string
	port    int // 0 until the first start; kept over restarts
	broker  *broker.Broker
}

type options struct {
	brokers    int
	properties map[string]string
	ensemble   string
	logger     *zap.Logger
}

// Option changes what Start builds.
type Option func(*options)

// Brokers sets how many brokers there are; the default is 1.
func Brokers(n int) Option { return func(o *options) { o.brokers = n } }

// Property sets a key of server.properties on every broker.
func Property(key, value string) Option { return func(o *options) { o.properties[key] = value } }

// ZooKeeper uses a running ensemble, "host:port,.../chroot", in place of an embedded server. Without it the
// variable ZURAU_TEST_ZOOKEEPER names one, and each cluster gets a chroot of its own below it.
func ZooKeeper(connect string) Option { return func(o *options) { o.ensemble = connect } }

// Logger sends the brokers' logs somewhere; the default is nowhere.
func Logger(l *zap.Logger) Option { return func(o *options) { o.logger = l } }

// startTimeout bounds the start of a broker.
const startTimeout = 30 * time.Second

// Start runs a cluster and waits until every broker serves clients.
func Start(t testing.TB, opts ...Option) *Cluster {
	t.Helper()
	c := &Cluster{t: t, o: options{brokers: 1, properties: map[string]string{}, logger: zap.NewNop()}}
	for _, opt := range opts {
		opt(&c.o)
	}
	c.startZooKeeper()
	for id := range c.o.brokers {
		n := &Node{cluster: c, id: id, dir: filepath.Join(logDir(t), fmt.Sprintf("broker-%d", id))}
		c.brokers = append(c.brokers, n)
		n.Start()
		t.Cleanup(n.Stop)
	}
	for _, n := range c.brokers {
		n.awaitPeers()
	}
	return c
}

// awaitPeers waits until the broker knows all that are up.
func (n *Node) awaitPeers() {
	t := n.cluster.t
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	client := wire.NewClient(wire.ClientOptions{})
	defer client.Close()
	if err := client.Connect(ctx, n.Addr()); err != nil {
		t.Fatal(err)
	}
	for up := len(n.cluster.Bootstrap()); ; {
		req := kmsg.NewPtrMetadataRequest()
		req.Version, req.Topics = 9, []kmsg.MetadataRequestTopic{}
		resp, err := client.Do(ctx, req)
		if err != nil {
			t.Fatalf("broker %d does not know its peers: %v", n.id, err)
		}
		if len(resp.(*kmsg.MetadataResponse).Brokers) >= up {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// logDir is a temporary directory whose name can stand in log.dirs, which is a list: t.TempDir takes the commas of the
// test's name along.
func logDir(t testing.TB) string {
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

func (c *Cluster) startZooKeeper() {
	c.t.Helper()
	if c.o.ensemble != "" {
		c.connect = c.o.ensemble
		return
	}
	c.connect, c.zk = openZooKeeper(c.t)
}

// openZooKeeper gives a test its own ZooKeeper: a chroot on the ensemble that ZURAU_TEST_ZOOKEEPER names, or else an
// embedded server, which ends with the test.
func openZooKeeper(t testing.TB) (connect string, embedded *zkserver.Server) {
	t.Helper()
	if given := os.Getenv("ZURAU_TEST_ZOOKEEPER"); given != "" {
		return fmt.Sprintf("%s/test-%d-%d", given, os.Getpid(), time.Now().UnixNano()), nil
	}
	zk := startZooKeeper(t)
	return zk.Addr().String(), zk
}

// startZooKeeper runs an embedded server, which ends with the test.
func startZooKeeper(t testing.TB) *zkserver.Server {
	t.Helper()
	zk, err := zkserver.NewServer(zkserver.Options{Addr: "127.0.0.1:0", TickTime: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := zk.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { zk.Close() })
	return zk
}

// Bootstrap are the addresses of the brokers that are up.
func (c *Cluster) Bootstrap() []string {
	var all []string
	for _, n := range c.brokers {
		if n.broker != nil {
			all = append(all, n.Addr())
		}
	}
	return all
}

// ZooKeeperConnect is zookeeper.connect of the cluster.
func (c *Cluster) ZooKeeperConnect() string { return c.connect }

// Node is the broker with an id.
func (c *Cluster) Node(id int) *Node { return c.brokers[id] }

// Addr is where the broker listens.
func (n *Node) Addr() string { return "127.0.0.1:" + strconv.Itoa(n.port) }

// Dir is the broker's log directory.
func (n *Node) Dir() string { return n.dir }

// Broker is the running broker, nil when it is down.
func (n *Node) Broker() *broker.Broker { return n.broker }

// Start brings the broker up, on the port it had before, and waits until it serves clients.
func (n *Node) Start() {
	t := n.cluster.t
	t.Helper()
	values := map[string]string{
		"broker.id":                        strconv.Itoa(n.id),
		"listeners":                        fmt.Sprintf("PLAINTEXT://127.0.0.1:%d", n.port),
		"log.dirs":                         n.dir,
		"zookeeper.connect":                n.cluster.connect,
		"zookeeper.session.timeout.ms":     "6000",
		"offsets.topic.num.partitions":     "5",
		"offsets.topic.replication.factor": "1",
	}
	maps.Copy(values, n.cluster.o.properties)
	cfg, _, err := config.New(values)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	b := broker.New(cfg, n.cluster.o.logger)
	if err := b.Start(ctx); err != nil {
		t.Fatalf("broker %d: %v", n.id, err)
	}
	select {
	case <-b.Ready():
	case <-ctx.Done():
		b.Stop(ctx)
		t.Fatalf("broker %d was not introduced by the controller", n.id)
	}
	n.broker = b
	if n.port == 0 {
		n.port = portOf(b.Addr("PLAINTEXT"))
	}
}

// Stop ends the broker cleanly; a broker that is down stays so.
func (n *Node) Stop() {
	if n.broker == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	n.broker.Stop(ctx)
	n.broker = nil
}

// Restart stops the broker cleanly and starts it again.
func (n *Node) Restart() {
	n.cluster.t.Helper()
	n.Stop()
	n.Start()
}

func portOf(a net.Addr) int { return a.(*net.TCPAddr).Port }
