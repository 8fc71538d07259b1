package brokertest

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zurau/zurau/zkmeta"
	"github.com/zurau/zurau/zkmeta/zkserver"
)

// ensemble is the ZooKeeper of a cluster: an embedded server, or one that runs elsewhere.
type ensemble struct {
	connect  string           // zookeeper.connect, past all links
	byName   bool             // ZURAU_TEST_ZOOKEEPER names it
	dir      string           // of the embedded server
	embedded *zkserver.Server // nil: not ours, or stopped
}

// openEnsemble takes what was given, or what ZURAU_TEST_ZOOKEEPER names, or starts an embedded server, which ends with
// the test.
func openEnsemble(t testing.TB, given string) *ensemble {
	t.Helper()
	if given != "" {
		return &ensemble{connect: given}
	}
	if variable := os.Getenv("ZURAU_TEST_ZOOKEEPER"); variable != "" {
		chroot := fmt.Sprintf("/test-%d-%d", os.Getpid(), time.Now().UnixNano())
		return &ensemble{connect: variable + chroot, byName: true}
	}
	return embed(t)
}

// embed starts an embedded server, which ends with the test.
func embed(t testing.TB) *ensemble {
	t.Helper()
	e := &ensemble{connect: "127.0.0.1:0", dir: tempDir(t)}
	if err := e.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.stop)
	return e
}

// link makes a way for one broker to the server, and gives the broker's zookeeper.connect. There is none to an
// ensemble of several servers.
func (e *ensemble) link(c *Cluster, from end) (way *link, connect string) {
	servers, chroot, err := zkmeta.ParseConnectString(e.connect)
	if err != nil || len(servers) != 1 {
		return nil, e.connect
	}
	way = newLink(c.t, c.network, from, zooKeeperEnd)
	way.lead(servers[0])
	return way, way.addr() + chroot
}

func (e *ensemble) start() error {
	zk, err := zkserver.NewServer(zkserver.Options{Addr: e.connect, Dir: e.dir, TickTime: 500 * time.Millisecond})
	if err != nil {
		return err
	}
	if err := zk.Start(); err != nil {
		return err
	}
	e.embedded, e.connect = zk, zk.Addr().String()
	return nil
}

func (e *ensemble) stop() {
	if e.embedded != nil {
		e.embedded.Close()
		e.embedded = nil
	}
}

// ZooKeeperConnect is where a test reaches the ZooKeeper of the cluster, whatever is cut: a value of
// zookeeper.connect.
func (c *Cluster) ZooKeeperConnect() string { return c.zk.connect }

// FreezeZooKeeper lets ZooKeeper go silent to all brokers, with its connections open; it lives on meanwhile and ends
// their sessions in time. The test's own sessions go on.
func (c *Cluster) FreezeZooKeeper() {
	c.t.Helper()
	c.needLinks()
	c.network.change(zooKeeperEnd, ToZooKeeper, 0)
}

// ThawZooKeeper ends FreezeZooKeeper.
func (c *Cluster) ThawZooKeeper() { c.network.change(zooKeeperEnd, 0, ToZooKeeper) }

// StopZooKeeper ends ZooKeeper; connections break and are refused. Sessions outlive it, as on disk.
func (c *Cluster) StopZooKeeper() {
	c.t.Helper()
	c.needOurZooKeeper()
	c.zk.stop()
}

// StartZooKeeper brings back what StopZooKeeper has ended, at the same address and with all it knew.
func (c *Cluster) StartZooKeeper() {
	c.t.Helper()
	c.needOurZooKeeper()
	if err := c.zk.start(); err != nil {
		c.t.Fatal(err)
	}
}

// needLinks ends a test that cuts brokers off from an ensemble to which there are no links.
func (c *Cluster) needLinks() {
	c.t.Helper()
	c.need(c.brokers[0].zk != nil, "this cluster's ZooKeeper are several, and cannot be cut off")
}

func (c *Cluster) needOurZooKeeper() {
	c.t.Helper()
	c.need(c.zk.dir != "", "this cluster's ZooKeeper runs elsewhere, and cannot be stopped")
}

// need ends a test that the ZooKeeper it was given is not fit for, and leaves it out when the environment gave it.
func (c *Cluster) need(fit bool, otherwise string) {
	c.t.Helper()
	switch {
	case fit:
	case c.zk.byName:
		c.t.Skip(otherwise)
	default:
		c.t.Fatal(otherwise)
	}
}

// ExpireSession closes the ZooKeeper session of a broker behind its back, as whoever knows id and password can.
func (c *Cluster) ExpireSession(id int) {
	c.t.Helper()
	text, err := os.ReadFile(filepath.Join(c.brokers[id].dir, ".zookeeper-session"))
	if err != nil {
		c.t.Fatal(err)
	}
	name, secret, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	session, err := strconv.ParseUint(name, 16, 64)
	if err != nil {
		c.t.Fatal(err)
	}
	password, err := hex.DecodeString(secret)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := zkmeta.CloseSession(ctx, c.zk.connect, int64(session), password); err != nil {
		c.t.Fatal(err)
	}
}
