package brokertest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/zurau/zurau/broker"
)

// Node is one broker of a cluster; it may be down.
type Node struct {
	cluster *Cluster
	id      int
	dir     string
	port    int   // where it listens
	zk      *link // its way to ZooKeeper; nil to an ensemble of several servers
	connect string
	way     *link // the way to it; nil without Links
	process *process
	life    life // nil while it is down
	silent  bool // paused, or cut off from its clients
}

// life is one run of a broker, from its start to its end.
type life interface {
	// addr is where it listens.
	addr() string
	// stop ends it in order, and returns when it is gone.
	stop() error
	// end ends it at once, without handing anything over.
	end()
}

// freePort is one that nobody listens on. It lies below those which the kernel gives to connections: one of them could
// take it while its broker is down.
func freePort() int {
	for {
		port := 10000 + rand.IntN(20000)
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			_ = l.Close()
			return port
		}
	}
}

func newNode(c *Cluster, id int, dir string) *Node {
	c.t.Helper()
	n := &Node{cluster: c, id: id, dir: dir, port: freePort()}
	n.zk, n.connect = c.zk.link(c, end(id))
	if c.o.links {
		n.way = newLink(c.t, c.network, clientEnd, end(id))
		n.way.from = callerOf
	}
	if c.o.processes {
		n.process = newProcess(c.t, c.o.watchdogs)
	}
	return n
}

// properties are the broker's server.properties.
func (n *Node) properties() map[string]string {
	all := map[string]string{
		"broker.id":                            strconv.Itoa(n.id),
		"listeners":                            fmt.Sprintf("PLAINTEXT://127.0.0.1:%d", n.port),
		"log.dirs":                             n.dir,
		"zookeeper.connect":                    n.connect,
		"zookeeper.session.timeout.ms":         "6000",
		"offsets.topic.num.partitions":         "5",
		"offsets.topic.replication.factor":     "1",
		"controlled.shutdown.retry.backoff.ms": "200",
	}
	if n.way != nil {
		all["advertised.listeners"] = "PLAINTEXT://" + n.way.addr()
	}
	maps.Copy(all, n.cluster.o.of(n.id))
	return all
}

// ID is broker.id.
func (n *Node) ID() int { return n.id }

// Addr is where clients reach the broker.
func (n *Node) Addr() string {
	if n.way != nil {
		return n.way.addr()
	}
	return n.local()
}

// local is where the broker listens.
func (n *Node) local() string { return "127.0.0.1:" + strconv.Itoa(n.port) }

// Dir is the broker's log directory.
func (n *Node) Dir() string { return n.dir }

// Broker is the broker that runs in this process, nil when it is down or in a process of its own.
func (n *Node) Broker() *broker.Broker {
	if here, ok := n.life.(*hereLife); ok {
		return here.broker
	}
	return nil
}

// Set changes a key of server.properties from the next start on.
func (n *Node) Set(key, value string) { NodeProperty(n.id, key, value)(&n.cluster.o) }

// Start brings the broker up, at the address it had before, and waits until it serves clients.
func (n *Node) Start() {
	n.cluster.t.Helper()
	if err := n.TryStart(); err != nil {
		n.cluster.t.Fatal(err)
	}
}

// TryStart is Start for a broker that may refuse to run. In a process of its own the refusal is an *exec.ExitError,
// and Log has what it said.
func (n *Node) TryStart() (err error) {
	if n.life != nil {
		return fmt.Errorf("broker %d runs already", n.id)
	}
	if n.way != nil {
		n.way.lead(n.local())
	}
	var started life
	if n.process != nil {
		started, err = n.process.start(n.properties())
	} else {
		started, err = startHere(n.properties(), n.cluster.o.logger)
	}
	if err != nil {
		return fmt.Errorf("broker %d: %w", n.id, err)
	}
	n.life, n.silent = started, false
	_, port, err := net.SplitHostPort(started.addr())
	if err == nil {
		n.port, err = strconv.Atoi(port)
	}
	return err
}

// awaitPeers waits until the broker knows all that are up.
func (n *Node) awaitPeers() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for up := len(n.cluster.Bootstrap()); ; {
		m, err := metadataFrom(ctx, n.Addr())
		if err == nil && len(m.Brokers) >= up {
			return nil
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("broker %d does not know its peers: %v", n.id, err)
		}
	}
}

// Stop ends the broker cleanly: it hands its leaderships over first. A broker that is down stays so.
func (n *Node) Stop() {
	n.cluster.t.Helper()
	if n.life == nil {
		return
	}
	if err := n.leave().stop(); err != nil {
		n.cluster.t.Errorf("the stop of broker %d: %v", n.id, err)
	}
}

// Kill ends the broker at once. A process gets SIGKILL. A broker in this process is taken apart behind cut ways: it
// hands nothing over, its ZooKeeper session runs out by itself, and its logs are not marked clean.
func (n *Node) Kill() {
	n.cluster.t.Helper()
	if n.life == nil {
		return
	}
	if n.process != nil {
		n.leave().end()
		return
	}
	n.cluster.needLinks()
	server := n.zk.lead("")
	n.zk.sever()
	here := n.leave()
	if n.way != nil {
		n.way.sever()
	}
	here.end()
	n.zk.lead(server)
	if err := os.Remove(filepath.Join(n.dir, ".kafka_cleanshutdown")); err != nil && !errors.Is(err, os.ErrNotExist) {
		n.cluster.t.Error(err)
	}
}

// leave makes the node one that is down, and gives the life that is to be ended.
func (n *Node) leave() life {
	ended := n.life
	n.life, n.silent = nil, false
	if n.way != nil {
		n.way.lead("")
	}
	return ended
}

// Restart stops the broker cleanly and starts it again.
func (n *Node) Restart() {
	n.cluster.t.Helper()
	n.Stop()
	n.Start()
}

// Pause stops the broker's process with SIGSTOP: its connections stay open and it is silent. Needs Processes.
func (n *Node) Pause() {
	n.cluster.t.Helper()
	n.signal(syscall.SIGSTOP)
	n.silent = true
}

// Resume ends Pause.
func (n *Node) Resume() {
	n.cluster.t.Helper()
	n.signal(syscall.SIGCONT)
	n.silent = false
}

func (n *Node) signal(s syscall.Signal) {
	n.cluster.t.Helper()
	if n.process == nil || n.life == nil {
		n.cluster.t.Fatalf("broker %d has no running process of its own", n.id)
	}
	if err := n.process.cmd.Process.Signal(s); err != nil {
		n.cluster.t.Fatal(err)
	}
}

// Cut makes the ways of the broker silent on these sides, on all for none. Connections stay open, and what is sent
// arrives when Heal opens the way again, as with a network that was gone for a while. Peers and Clients need Links.
func (n *Node) Cut(sides ...Side) {
	n.cluster.t.Helper()
	all := sidesOf(sides)
	if all&(Peers|Clients) != 0 && n.way == nil {
		n.cluster.t.Fatal("a cluster whose brokers are to be cut from peers or clients needs brokertest.Links()")
	}
	if all&ToZooKeeper != 0 {
		n.cluster.needLinks()
	}
	n.cluster.network.change(end(n.id), all, 0)
	n.silent = n.silent || all&Clients != 0
}

// Heal ends Cut on these sides, on all for none.
func (n *Node) Heal(sides ...Side) {
	all := sidesOf(sides)
	n.cluster.network.change(end(n.id), 0, all)
	n.silent = n.silent && all&Clients == 0
}

func sidesOf(sides []Side) (all Side) {
	for _, s := range sides {
		all |= s
	}
	if all == 0 {
		return everySide
	}
	return all
}

// Wait waits until the broker's process has ended by itself; a status other than 0 is an *exec.ExitError. Needs
// Processes.
func (n *Node) Wait(limit time.Duration) error {
	return n.leave().(*processLife).wait(limit)
}

// PID is the id of the broker's process.
func (n *Node) PID() int { return n.process.cmd.Process.Pid }

// Log is what the broker's process has logged so far, over all its lives.
func (n *Node) Log() string { return n.process.said() }
