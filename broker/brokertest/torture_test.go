package brokertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// torture tells whether the tests run their full lengths (make torture); without it they are samples of them.
func torture() bool { return os.Getenv("ZURAU_TORTURE") == "1" }

// times is how often a test does what it does: a sample, or all of it.
func times(sample, all int) int {
	if torture() {
		return all
	}
	return sample
}

// atMost is how long a recovery may take: what is promised where the machine has time for it, and much more where the
// tests of everything else run beside it.
func atMost(promised time.Duration) time.Duration {
	if torture() {
		return promised
	}
	return promised + 30*time.Second
}

// underLoad is a cluster of three with a topic of three replicas that is being written to.
type underLoad struct {
	*Cluster
	load    *Load
	leaders *leaderWatch
	session time.Duration
}

const torturedTopic, torturedPartitions = "t", 3

// startUnderLoad has a session of 2 s, that samples do not take long, or 6 s for the full lengths.
func startUnderLoad(t *testing.T, opts ...Option) *underLoad {
	t.Helper()
	u := &underLoad{session: 2 * time.Second}
	if torture() {
		u.session = 6 * time.Second
	}
	u.Cluster = Start(t, append([]Option{Brokers(3), Property("zookeeper.session.timeout.ms", fmt.Sprint(u.session.Milliseconds())),
		Property("min.insync.replicas", "2"), Property("auto.leader.rebalance.enable", "false"),
		Property("log.segment.bytes", "262144")}, opts...)...)
	u.CreateTopic(torturedTopic, torturedPartitions, 3)
	u.load = u.StartLoad(torturedTopic, torturedPartitions)
	u.leaders = u.watchLeaders(torturedTopic)
	u.load.AwaitAcks(100)
	return u
}

// survives wants acknowledgements of every partition within the limit of a fault (failures.md I20).
func (u *underLoad) survives(t *testing.T, what string, limit time.Duration) {
	t.Helper()
	took := u.load.AwaitAcks(1)
	t.Logf("%s: acknowledged again after %v", what, took.Round(time.Millisecond))
	if took > atMost(limit) {
		t.Errorf("%s: acknowledged again only after %v, want at most %v", what, took, limit)
	}
}

// heal brings back who is down, and waits until all replicas are in sync and have been for some records.
func (u *underLoad) heal(t *testing.T) {
	t.Helper()
	if err := u.startAll(); err != nil {
		t.Fatal(err)
	}
	u.AwaitISR(torturedTopic, 3)
	u.load.AwaitAcks(20)
}

func (u *underLoad) check(t *testing.T) {
	t.Helper()
	u.load.Check(3)
	u.leaders.check()
	if n := u.load.history.Unknown(); n > 0 {
		t.Errorf("%d sends failed", n)
	}
}

// After a hard kill writes go on within the session and 3 s, after a clean stop within 1 s; the slack is for machines
// that do other things as well.
func (u *underLoad) killLimit() time.Duration { return u.session + 3*time.Second }

const stopLimit = 3 * time.Second

func TestEveryBrokerInTurnUnderLoad(t *testing.T) {
	for _, where := range []struct {
		name  string
		kills int // brokers that are killed, besides the controller
		opts  []Option
	}{{"processes", 3, []Option{Processes()}}, {"in this process", times(0, 3), []Option{Links()}}} {
		t.Run(where.name, func(t *testing.T) {
			t.Parallel()
			u := startUnderLoad(t, where.opts...)
			for range times(1, 5) {
				for _, n := range u.Nodes() {
					n.Stop()
					u.survives(t, fmt.Sprintf("broker %d stopped", n.ID()), stopLimit)
					u.heal(t)
				}
				for _, n := range u.Nodes()[:where.kills] {
					n.Kill()
					u.survives(t, fmt.Sprintf("broker %d killed", n.ID()), u.killLimit())
					u.heal(t)
				}
				c := u.Controller()
				c.Kill()
				u.survives(t, fmt.Sprintf("broker %d killed, the controller", c.ID()), u.killLimit())
				u.heal(t)
			}
			u.check(t)
		})
	}
}

// failures.md A1.
func TestTheLeaderIsChasedWithKills(t *testing.T) {
	t.Parallel()
	u := startUnderLoad(t, Processes())
	for range times(2, 5) {
		leader := u.Leader(torturedTopic, 0)
		leader.Kill()
		u.survives(t, fmt.Sprintf("leader %d killed", leader.ID()), u.killLimit())
		u.heal(t)
	}
	u.check(t)
}

// failures.md A2: nobody lives who could know better than the logs.
func TestAllAreKilledAtOnce(t *testing.T) {
	t.Parallel()
	u := startUnderLoad(t, Processes())
	for range times(2, 10) {
		for _, n := range u.Nodes() {
			n.Kill()
		}
		order := rand.Perm(3)
		for _, id := range order {
			u.Node(id).Start()
		}
		u.survives(t, fmt.Sprintf("all killed and started in the order %v", order), u.killLimit())
		u.heal(t)
	}
	u.check(t)
}

// failures.md A4: leaders that follow each other with hardly a record in between. The session of a leader is closed
// from outside, which is as fast as it can be taken from it, or it is killed.
func TestTwoFailoversAtOnce(t *testing.T) {
	t.Parallel()
	u := startUnderLoad(t, Processes())
	for round := range times(4, 50) {
		var fallen []string
		var leader *Node
		for range 2 {
			leader = u.leaderAfter(leader)
			if len(u.Bootstrap()) == 3 && round%2 == 0 {
				leader.Kill()
				fallen = append(fallen, fmt.Sprintf("%d killed", leader.ID()))
				continue
			}
			u.ExpireSession(leader.ID())
			fallen = append(fallen, fmt.Sprintf("%d lost its session", leader.ID()))
		}
		u.survives(t, strings.Join(fallen, ", "), u.killLimit()+u.session)
		u.heal(t)
	}
	u.check(t)
}

// leaderAfter gives another leader than the last, or the last if it leads on: a controller that was elected because the
// last one lost its session may find the broker registered again.
func (u *underLoad) leaderAfter(last *Node) (leader *Node) {
	deadline := time.Now().Add(time.Second)
	u.await("there is a leader", func(context.Context) error {
		if leader = u.Leader(torturedTopic, 0); leader == last && time.Now().Before(deadline) {
			return fmt.Errorf("it is still %d", leader.ID())
		}
		return nil
	})
	return leader
}

// A leader that is cut off is replaced when its session has run out; what it took meanwhile is acknowledged by it only
// if its followers had it (failures.md A6 to A8).
func TestALeaderIsCutOffUnderLoad(t *testing.T) {
	for _, c := range []struct {
		name  string
		sides []Side
		limit time.Duration // beyond the session
	}{
		{"from ZooKeeper", []Side{ToZooKeeper}, 3 * time.Second},
		{"from peers and ZooKeeper", []Side{Peers, ToZooKeeper}, 20 * time.Second}, // clients believe in it until they have timed out
		{"from everybody", nil, 20 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			u := startUnderLoad(t, Processes(), Links())
			for range times(1, 5) {
				leader := u.Leader(torturedTopic, 0)
				leader.Cut(c.sides...)
				u.await("ZooKeeper has given it up", func(ctx context.Context) error { return u.knows(ctx, leader, false) })
				u.survives(t, fmt.Sprintf("leader %d cut off", leader.ID()), c.limit)
				leader.Heal()
				u.await("it is back", func(ctx context.Context) error { return u.knows(ctx, leader, true) })
				u.heal(t)
			}
			u.check(t)
		})
	}
}

// knows wants the cluster to have a broker among its members, or not.
func (u *underLoad) knows(ctx context.Context, n *Node, want bool) error {
	for _, other := range u.Nodes() {
		if other == n {
			continue
		}
		m, err := metadataFrom(ctx, other.Addr())
		if err != nil {
			return err
		}
		if got := slices.ContainsFunc(m.Brokers, func(b kmsg.MetadataResponseBroker) bool { return int(b.NodeID) == n.ID() }); got != want {
			return fmt.Errorf("broker %d knows of it: %t", other.ID(), got)
		}
	}
	return nil
}

// A leader that is stopped hands over: no send fails, and partitions are hardly noticed to have moved.
func TestTheGapOfAStop(t *testing.T) {
	const partitions = 6
	c := Start(t, Brokers(3), Processes(), Property("auto.leader.rebalance.enable", "false"))
	c.CreateTopic("t", partitions, 3, "min.insync.replicas=2")
	load := c.StartLoad("t", partitions)
	load.AwaitAcks(20)
	quietest := stopLimit
	for range times(1, 10) {
		for _, n := range c.Nodes() {
			began := time.Now()
			n.Stop()
			stopped := time.Since(began)
			load.AwaitAcks(10)
			gaps := gapsOf(load, began)
			t.Logf("broker %d stopped in %v; the longest gaps of %d partitions: %v", n.ID(), stopped.Round(time.Millisecond), partitions, gaps)
			if worst := gaps[len(gaps)-1]; worst > stopLimit {
				t.Errorf("a partition was not acknowledged for %v", worst)
			}
			quietest = min(quietest, gaps[len(gaps)-1])
			n.Start()
			c.AwaitISR("t", 3)
		}
	}
	// A busy machine makes gaps of its own; but where something waits for a clock of half a second, it does so each time.
	if quietest > gapAim {
		t.Errorf("no stop had gaps below %v, the aim is %v", quietest, gapAim)
	}
	load.Check(3)
	if n := load.history.Unknown(); n > 0 {
		t.Errorf("%d sends failed", n)
	}
}

// gapAim is how long a partition may go without acknowledgements when its leader stops.
const gapAim = 200 * time.Millisecond

// gapsOf are the longest gaps of all partitions since a moment, the shortest first.
func gapsOf(l *Load, since time.Time) []time.Duration {
	var gaps []time.Duration
	for _, gap := range l.history.LongestGap(since) {
		gaps = append(gaps, gap.Round(time.Millisecond))
	}
	slices.Sort(gaps)
	return gaps
}

// A leader that is killed costs its session, of 6 s as Kafka's default was for long, and not much more; with a watchdog
// it costs less than 2 s.
func TestTheGapOfAKill(t *testing.T) {
	for _, c := range []struct {
		name  string
		opts  []Option
		limit time.Duration
	}{
		{"with a session of 6 s", nil, 8 * time.Second},
		{"with a watchdog", []Option{Watchdogs()}, 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			gapOfAKill(t, c.limit, c.opts...)
		})
	}
}

func gapOfAKill(t *testing.T, limit time.Duration, opts ...Option) {
	c := Start(t, append(opts, Brokers(3), Processes(), Property("zookeeper.session.timeout.ms", "6000"))...)
	c.CreateTopic("t", 3, 3, "min.insync.replicas=2")
	load := c.StartLoad("t", 3)
	load.AwaitAcks(50)
	for range times(1, 5) {
		leader := c.Leader("t", 0)
		began := time.Now()
		leader.Kill()
		load.AwaitAcks(1)
		gaps := gapsOf(load, began)
		t.Logf("leader %d killed: the gaps of its cluster's partitions are %v", leader.ID(), gaps)
		if worst := gaps[len(gaps)-1]; worst > atMost(limit) {
			t.Errorf("a partition was not acknowledged for %v, want at most %v", worst, limit)
		}
		leader.Start()
		c.AwaitISR("t", 3)
	}
	load.Check(3)
}
