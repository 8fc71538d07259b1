package brokertest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/zkmeta"
)

// What a broker may do that was stopped for longer than its session, or whose session ended (failures.md A5-A7, B1, B2).

// queuedProducer sends produce requests one after the other without waiting, and reads the answers in another goroutine:
// what it sends to a stopped broker lies in the sockets until that wakes.
type queuedProducer struct {
	name      string // of its values: name-0, name-1 ...
	acks      int16
	partition int32
	history   *History
	conn      net.Conn
	sent      int
	reading   sync.WaitGroup
	mu        struct {
		sync.Mutex
		answered map[int]int16 // error codes by sequence
	}
}

// dialProducer opens a connection that reads answers until the broker closes it, or the test ends.
func dialProducer(t *testing.T, name, addr string, partition int32, acks int16, h *History) *queuedProducer {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	q := &queuedProducer{name: name, acks: acks, partition: partition, history: h, conn: conn}
	q.mu.answered = map[int]int16{}
	q.reading.Go(q.read)
	t.Cleanup(q.close)
	return q
}

func (q *queuedProducer) close() {
	q.conn.Close()
	q.reading.Wait()
}

func (q *queuedProducer) value(sequence int) string { return fmt.Sprintf("%s-%d", q.name, sequence) }

// send writes one request with one record; the outcome is unknown until it is answered. It tells whether the connection
// took it.
func (q *queuedProducer) send() bool {
	value := q.value(q.sent)
	q.history.doubt(value)
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = q.partition, newBatch(1, rawRecord(0, []byte(value))).bytes()
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 8, q.acks, 20_000
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: torturedTopic, Partitions: []kmsg.ProduceRequestTopicPartition{p}}}
	frame := kmsg.NewRequestFormatter().AppendRequest(nil, req, int32(q.sent))
	q.sent++
	_, err := q.conn.Write(frame)
	return err == nil
}

// read notes the answers until the connection ends.
func (q *queuedProducer) read() {
	for {
		var size [4]byte
		if _, err := io.ReadFull(q.conn, size[:]); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(q.conn, body); err != nil {
			return
		}
		resp := kmsg.NewPtrProduceResponse()
		resp.Version = 8
		if err := resp.ReadFrom(body[4:]); err != nil {
			return
		}
		sequence, a := int(binary.BigEndian.Uint32(body)), resp.Topics[0].Partitions[0]
		if a.ErrorCode == 0 {
			q.history.acknowledge(Ack{Partition: q.partition, Offset: a.BaseOffset, Value: q.value(sequence), At: time.Now()})
		}
		q.mu.Lock()
		q.mu.answered[sequence] = a.ErrorCode
		q.mu.Unlock()
	}
}

// count tells how many answers there are, and how many of them say that the record was written.
func (q *queuedProducer) count() (answers, acks int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, code := range q.mu.answered {
		if code == 0 {
			acks++
		}
	}
	return len(q.mu.answered), acks
}

// awaitAcks sends records until n are acknowledged.
func (q *queuedProducer) awaitAcks(t *testing.T, n int) {
	t.Helper()
	eventually(t, q.name+" is acknowledged", func() error {
		if _, acks := q.count(); acks >= n {
			return nil
		}
		if !q.send() {
			return errors.New("the connection is closed")
		}
		return errors.New("not often enough")
	})
}

// ledBy is a partition that a broker leads.
func (c *Cluster) ledBy(n *Node) (partition int32) {
	c.t.Helper()
	c.await(fmt.Sprintf("broker %d leads a partition", n.id), func(ctx context.Context) error {
		m, err := metadataFrom(ctx, n.Addr(), torturedTopic)
		if err != nil {
			return err
		}
		for _, p := range m.Topics[0].Partitions {
			if p.Leader == int32(n.id) {
				partition = p.Partition
				return nil
			}
		}
		return errors.New("none")
	})
	return partition
}

// pauseWhole stops a broker and waits until all its threads stand still: on a busy machine that takes a while.
func pauseWhole(t *testing.T, n *Node) {
	t.Helper()
	n.Pause()
	eventually(t, "all threads stand still", func() error {
		states, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", n.PID()))
		if err != nil {
			return err
		}
		for _, file := range states {
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			if _, state, _ := strings.Cut(string(text), ") "); !strings.HasPrefix(state, "T") {
				return fmt.Errorf("%s: %.1s", file, state)
			}
		}
		return nil
	})
}

// awaitPast waits until a moment has passed.
func awaitPast(t *testing.T, moment time.Time) {
	t.Helper()
	ctx, cancel := context.WithDeadline(t.Context(), moment)
	defer cancel()
	<-ctx.Done()
}

// pauseOf is for how long a broker is stopped: longer than a session in any case.
func (u *underLoad) pauseOf() time.Duration {
	if torture() {
		return 12 * time.Second
	}
	return 2 * u.session
}

func TestAStoppedBrokerAcknowledgesNothingThatIsLost(t *testing.T) {
	for _, c := range []struct {
		name   string
		victim func(u *underLoad, controller *Node) *Node
	}{
		{"a leader", func(u *underLoad, controller *Node) *Node { return u.Node((controller.id + 1) % 3) }},
		{"a leader that is the controller too", func(_ *underLoad, controller *Node) *Node { return controller }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			u := startUnderLoad(t, Processes(), Property("min.insync.replicas", "1"))
			victim := c.victim(u, u.Controller())
			partition := u.ledBy(victim)
			alone := dialProducer(t, "100", victim.Addr(), partition, 1, u.load.history)
			all := dialProducer(t, "101", victim.Addr(), partition, -1, u.load.history)
			alone.awaitAcks(t, 10)
			all.awaitAcks(t, 10)
			aloneSent, allSent := alone.sent, all.sent

			pauseWhole(t, victim)
			wake := time.Now().Add(u.pauseOf())
			late := dialProducer(t, "102", victim.Addr(), partition, 1, u.load.history) // the kernel takes it in
			for range 50 {
				alone.send()
				all.send()
				late.send()
			}
			next := victim
			eventually(t, "somebody else leads", func() error {
				if next = u.Leader(torturedTopic, int(partition)); next == victim {
					return errors.New("not yet")
				}
				return nil
			})
			other := dialProducer(t, "104", next.Addr(), partition, -1, u.load.history)
			other.awaitAcks(t, 5) // what the victim takes for the end of the log is no more
			awaitPast(t, wake)
			victim.Resume()
			began := time.Now()

			fresh := dialProducer(t, "103", victim.Addr(), partition, 1, u.load.history)
			for until := time.Now().Add(u.session); time.Now().Before(until) && fresh.send(); {
				awaitPast(t, time.Now().Add(10*time.Millisecond))
			}
			u.AwaitISR(torturedTopic, 3)
			t.Logf("everybody was in sync again %v after the wake", time.Since(began).Round(time.Millisecond))
			for _, q := range []*queuedProducer{alone, all, late, fresh} {
				answers, acks := q.count()
				t.Logf("producer %s, acks %d: %d sent, %d answered, %d acknowledged", q.name, q.acks, q.sent, answers, acks)
				q.close()
			}
			if _, acks := alone.count(); acks > aloneSent {
				t.Errorf("%d of the records that lay in the socket were acknowledged by a broker that had lost the lead", acks-aloneSent)
			}
			if _, acks := all.count(); acks > allSent {
				t.Errorf("%d records with acks=all were acknowledged by a broker that had lost the lead", acks-allSent)
			}
			u.load.Check(3)
			u.leaders.check()
		})
	}
}

// A controller that was stopped past its session finds another in office: what lay in its sockets it does not answer
// as a controller would, and the others go on without it.
func TestAStoppedControllerDoesNotGoOnInOffice(t *testing.T) {
	u := startUnderLoad(t, Processes())
	old := u.Controller()
	leaving := u.Node((old.id + 1) % 3)
	registration, err := u.Cluster.session().Broker(t.Context(), int32(leaving.id))
	if err != nil {
		t.Fatal(err)
	}
	pauseWhole(t, old)
	wake := time.Now().Add(u.pauseOf())
	shutdown := kmsg.NewPtrControlledShutdownRequest()
	shutdown.Version, shutdown.BrokerID, shutdown.BrokerEpoch = 3, int32(leaving.id), registration.Epoch
	answer := make(chan int16, 1)
	go func() {
		r, err := tryAsk[*kmsg.ControlledShutdownResponse](old.Addr(), shutdown)
		if err != nil {
			answer <- -1
			return
		}
		answer <- r.ErrorCode
	}()
	eventually(t, "another broker is controller", func() error {
		if u.Controller() == old {
			return errors.New("not yet")
		}
		return nil
	})
	awaitPast(t, wake)
	old.Resume()
	select {
	case code := <-answer:
		if code == 0 {
			t.Error("the old controller let a broker go")
		}
		t.Logf("ControlledShutdown that lay in the old controller's socket: error %d", code)
	case <-time.After(30 * time.Second):
		t.Error("ControlledShutdown that lay in the old controller's socket was never answered")
	}
	u.AwaitISR(torturedTopic, 3)
	if u.Controller() == old {
		t.Error("the old controller is in office again")
	}
	u.load.Check(3)
	u.leaders.check()
}

// Without ZooKeeper, for a minute or a sample of it, the leaders go on, nobody exits, and when it is back everybody is
// registered once (done-line g).
func TestThreeGoOnWithoutZooKeeper(t *testing.T) {
	for _, c := range []struct {
		name       string
		away, back func(u *underLoad)
		expires    bool // the sessions end meanwhile
	}{
		{"gone", func(u *underLoad) { u.StopZooKeeper() }, func(u *underLoad) { u.StartZooKeeper() }, false},
		{"frozen, and ending the sessions", func(u *underLoad) { u.FreezeZooKeeper() }, func(u *underLoad) { u.ThawZooKeeper() }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			u := startUnderLoad(t, Processes())
			before := u.leadersOf(t)
			c.away(u)
			away := 8 * time.Second
			if torture() {
				away = time.Minute
			}
			longest := time.Duration(0)
			for end := time.Now().Add(away); time.Now().Before(end); {
				longest = max(longest, u.load.AwaitAcks(1))
			}
			t.Logf("the longest wait for an acknowledgement without ZooKeeper: %v", longest.Round(time.Millisecond))
			if now := u.leadersOf(t); !slices.Equal(now, before) {
				t.Errorf("leaders %v without ZooKeeper, before %v", now, before)
			}
			c.back(u)
			u.AwaitISR(torturedTopic, 3)
			u.CreateTopic("later", 1, 3)
			u.load.Check(3)
			u.leaders.check()
			u.registeredWell(t)
		})
	}
}

// A session that ends behind its broker's back, as by a foreign close, is followed by another: no registration is left
// that nobody holds.
func TestAnEndedSessionIsFollowedByAnother(t *testing.T) {
	u := startUnderLoad(t)
	session := u.Cluster.session()
	for round := range times(1, 5) {
		for id := range 3 {
			before, err := session.Broker(t.Context(), int32(id))
			if err != nil {
				t.Fatal(err)
			}
			u.ExpireSession(id)
			eventually(t, fmt.Sprintf("round %d: broker %d is registered anew", round, id), func() error {
				now, err := session.Broker(t.Context(), int32(id))
				if err == nil && now.Epoch <= before.Epoch {
					err = errors.New("not yet")
				}
				return err
			})
			u.AwaitISR(torturedTopic, 3)
			u.load.AwaitAcks(5)
		}
	}
	u.load.Check(3)
	u.leaders.check()
	u.registeredWell(t)
}

// leadersOf are the leaders of the partitions, as the first broker tells.
func (u *underLoad) leadersOf(t *testing.T) []int32 {
	t.Helper()
	leaders := make([]int32, torturedPartitions)
	for _, p := range metadataOf(t, u.Node(0).Addr(), torturedTopic, false).Partitions {
		leaders[p.Partition] = p.Leader
	}
	return leaders
}

// registeredWell wants every broker registered in the session it lives in.
func (u *underLoad) registeredWell(t *testing.T) {
	t.Helper()
	session := u.Cluster.session()
	for _, n := range u.Nodes() {
		saved, err := os.ReadFile(filepath.Join(n.Dir(), ".zookeeper-session"))
		if err != nil {
			t.Fatal(err)
		}
		_, stat, err := session.Get(t.Context(), zkmeta.BrokerIDPath(int32(n.ID())))
		if err != nil {
			t.Fatal(err)
		}
		if owner := fmt.Sprintf("%016x", uint64(stat.EphemeralOwner)); !strings.HasPrefix(string(saved), owner+" ") {
			t.Errorf("broker %d is registered by session %s, and lives in %.16s", n.ID(), owner, saved)
		}
	}
}

// A change of the ISR is on its way to the controller while the follower it is about dies, loses its disk and is back: it
// must not be taken for the one that had caught up (failures.md A9, KIP-903). Below Fetch 15 the leader reads the follower's
// epoch itself.
func TestAnEmptiedFollowerDoesNotEnterTheISRByAnOldRequest(t *testing.T) {
	for _, level := range []string{"2.8", "3.9"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			c := Start(t, Processes(), Links(), Brokers(3), Property("zookeeper.session.timeout.ms", "6000"),
				Property("inter.broker.protocol.version", level), Property("auto.leader.rebalance.enable", "false"))
			c.CreateTopic(torturedTopic, 3, 3)
			controller := c.Controller()
			leader, follower := c.Node((controller.id+1)%3), c.Node((controller.id+2)%3)
			partition := c.ledBy(leader)
			h := newHistory()
			producer := dialProducer(t, "1", leader.Addr(), partition, 1, h)
			follower.Stop()
			producer.awaitAcks(t, 10)
			said := strings.Count(leader.Log(), "Expanding ISR")
			role := fmt.Sprintf("Leadership changed\t{\"partition\": \"%s-%d\"", torturedTopic, partition)
			heard := strings.Count(follower.Log(), role)
			leader.Pause() // no longer than its session bears
			follower.Start()
			eventually(t, "the follower has heard whom to follow", func() error {
				if strings.Count(follower.Log(), role) == heard {
					return errors.New("not yet")
				}
				return nil
			})
			controller.Cut(Peers)
			leader.Resume()
			eventually(t, "the leader asks for the follower", func() error {
				if strings.Count(leader.Log(), "Expanding ISR") == said {
					return errors.New("not yet")
				}
				return nil
			})
			before, err := c.session().Broker(t.Context(), int32(follower.id))
			if err != nil {
				t.Fatal(err)
			}
			follower.Kill()
			if err := os.RemoveAll(follower.Dir()); err != nil {
				t.Fatal(err)
			}
			back := make(chan error, 1)
			go func() { back <- follower.TryStart() }()
			eventually(t, "the emptied follower is registered", func() error {
				now, err := c.session().Broker(t.Context(), int32(follower.id))
				if err == nil && now.Epoch == before.Epoch {
					err = errors.New("only its former life")
				}
				return err
			})
			controller.Heal(Peers)
			if err := <-back; err != nil {
				t.Fatal(err)
			}
			c.AwaitISR(torturedTopic, 3)
			if log := leader.Log(); !strings.Contains(log, "The controller refused the ISR") {
				t.Error("the controller took the emptied follower for the one that had caught up")
			}
		})
	}
}
