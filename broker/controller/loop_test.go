package controller

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap/zaptest"

	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/broker/metrics"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/broker/wire"
	"github.com/zurau/zurau/zkmeta"
	"github.com/zurau/zurau/zkmeta/zkserver"
)

// peer is a broker that is nothing but a session, a registration, a listener and a controller, all of them
// real.
type peer struct {
	*receiver
	id int32
	zk *zkmeta.Client
	c  *Controller

	registering sync.WaitGroup
	ending      sync.Once
}

func newPeer(t *testing.T, zookeeper string, id int32, callTimeout time.Duration) *peer {
	t.Helper()
	zk, err := zkmeta.Connect(context.Background(), zkmeta.Options{ConnectString: zookeeper, SessionTimeout: 3 * time.Second,
		CallTimeout: callTimeout, Level: ibp.Latest})
	if err != nil {
		t.Fatal(err)
	}
	if err := zk.Session().EnsurePaths(context.Background()); err != nil {
		t.Fatal(err)
	}
	p := &peer{receiver: newReceiver(t), id: id, zk: zk}
	p.c = New(Options{
		BrokerID: id, ZK: zk, Level: ibp.Latest, Listener: "PLAINTEXT", Client: wire.ClientOptions{Timeout: 5 * time.Second},
		DeleteTopicEnable: true, UncleanLeaderElectionEnable: func() bool { return false },
		Metrics: metrics.New(), Log: zaptest.NewLogger(t).Named(strconv.Itoa(int(id))),
	})
	p.c.Start()
	zk.OnSession(func(s *zkmeta.Session) { // told of the present one too
		if s == nil {
			p.c.Expire()
		} else {
			p.registering.Go(func() { p.register(s) })
		}
	})
	t.Cleanup(p.end)
	return p
}

// end ends all but the listener.
func (p *peer) end() {
	p.ending.Do(func() {
		p.c.Stop()
		p.c.Stop() // twice is harmless
		p.zk.Close()
		p.registering.Wait()
	})
}

// register registers the broker in a session, as long as that lives.
func (p *peer) register(s *zkmeta.Session) {
	b := zkmeta.BrokerInfo{ID: p.id, JMXPort: -1, Endpoints: []zkmeta.Endpoint{p.endpoint()}}
	for s.Context().Err() == nil {
		if _, err := s.RegisterBroker(s.Context(), b); err == nil {
			p.c.Registered(s)
			return
		}
	}
}

// knows tells whether the broker was told of n brokers.
func (p *peer) knows(n int64) bool { return p.receiver.brokers.Load() == n }

func startZooKeeper(t *testing.T, o zkserver.Options) *zkserver.Server {
	t.Helper()
	server, err := zkserver.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	return server
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(deadline)
	for !ok() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("never: %s", what)
		}
	}
}

func TestAControllerThatLosesItsSessionLosesItsOffice(t *testing.T) {
	server := startZooKeeper(t, zkserver.Options{Addr: "127.0.0.1:0", TickTime: 250 * time.Millisecond})
	t.Cleanup(func() { server.Close() })
	zookeeper := server.Addr().String()
	one := newPeer(t, zookeeper, 1, 3*time.Second)
	until(t, "1 is the controller", func() bool { return one.c.IsActive() })
	two := newPeer(t, zookeeper, 2, 3*time.Second)
	until(t, "2 knows the controller", func() bool { return two.c.ActiveID() == 1 })

	ctx := context.Background()
	a := zkmeta.TopicAssignment{ID: topic.NewID(), Partitions: map[int32][]int32{0: {2, 1}}}
	if err := two.zk.Session().CreateTopic(ctx, "t", nil, a); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*peer{one, two} {
		lisr := next[*kmsg.LeaderAndISRRequest](t, p.receiver)
		if lisr.ControllerID != 1 || lisr.TopicStates[0].TopicID != a.ID || !lisr.TopicStates[0].PartitionStates[0].IsNew {
			t.Errorf("broker %d was told %+v", p.id, lisr)
		}
	}
	if resp := two.c.AlterPartition(ctx, &kmsg.AlterPartitionRequest{Version: 3, BrokerID: 2}); resp.ErrorCode != 41 {
		t.Errorf("a broker that is not the controller answers %d", resp.ErrorCode)
	}

	s := one.zk.Session()
	if err := zkmeta.CloseSession(ctx, zookeeper, s.ID(), s.Password()); err != nil {
		t.Fatal(err)
	}
	until(t, "there is another controller, or the same one in a new life, and both know it", func() bool {
		return max(one.c.Epoch(), two.c.Epoch()) >= 2 && min(one.c.Epoch(), two.c.Epoch()) == 0 &&
			one.c.ActiveID() == two.c.ActiveID()
	})
	for {
		lisr := next[*kmsg.LeaderAndISRRequest](t, two.receiver)
		if p := lisr.TopicStates[0].PartitionStates[0]; lisr.ControllerEpoch >= 2 && p.Leader == 2 {
			break
		}
	}

	if err := two.zk.Session().MarkTopicDeleted(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	until(t, "the topic is deleted", func() bool {
		marks, err := two.zk.Session().DeleteQueue(ctx)
		return err == nil && len(marks) == 0
	})
	if _, err := two.zk.Session().ReadTopic(ctx, "t"); !errors.Is(err, zkmeta.ErrNoNode) {
		t.Errorf("the topic is still there: %v", err)
	}
}

// A controller that cannot reach ZooKeeper any more gives up its office before anybody else can have it, and
// stands again when ZooKeeper is back.
func TestWithoutZooKeeperThereIsNoController(t *testing.T) {
	o := zkserver.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0", TickTime: 250 * time.Millisecond}
	server := startZooKeeper(t, o)
	o.Addr = server.Addr().String()
	one := newPeer(t, o.Addr, 1, 3*time.Second)
	until(t, "1 is the controller", func() bool { return one.c.IsActive() })
	server.Kill()
	until(t, "1 has resigned", func() bool { return !one.c.IsActive() })

	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if resp := one.c.AllocateProducerIDs(ctx, &kmsg.AllocateProducerIDsRequest{BrokerID: 1}); resp.ErrorCode != 41 {
		t.Errorf("answer %d", resp.ErrorCode)
	}
	server = startZooKeeper(t, o)
	t.Cleanup(func() { server.Close() })
	until(t, "1 is the controller again", func() bool { return one.c.IsActive() && one.c.Epoch() >= 2 })
}

func TestAnElectionWithUnknownOutcomeGivesNoOffice(t *testing.T) {
	server := startZooKeeper(t, zkserver.Options{Addr: "127.0.0.1:0", TickTime: 250 * time.Millisecond})
	t.Cleanup(func() { server.Close() })
	cut := newCutter(t, server.Addr().String())
	zk, err := zkmeta.Connect(context.Background(), zkmeta.Options{ConnectString: cut.addr(), SessionTimeout: 3 * time.Second,
		CallTimeout: 200 * time.Millisecond, Level: ibp.Latest})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(zk.Close)
	if _, err := zk.Session().Create(context.Background(), zkmeta.ControllerEpochPath, []byte("0"), zkmeta.Persistent); err != nil {
		t.Fatal(err)
	}
	cut.after(0) // the election itself is the next write
	c := New(Options{BrokerID: 1, ZK: zk, Level: ibp.Latest})
	c.Registered(zk.Session())
	e, _ := c.mailbox.take()
	c.handle(e)
	if !cut.happened() {
		t.Error("the controller did not stand for election")
	}
	if c.IsActive() || c.ActiveID() != -1 || c.term != nil {
		t.Error("the controller took an office it may not have")
	}
	c.leaveSession()
	c.mailbox.close()
}

func TestAStoppedControllerAnswersAtOnce(t *testing.T) {
	c := New(Options{BrokerID: 1})
	c.Stop() // before Start
	c.mailbox.close()
	if resp := c.ControlledShutdown(context.Background(), &kmsg.ControlledShutdownRequest{Version: 3}); resp.ErrorCode != 11 {
		t.Errorf("answer %d", resp.ErrorCode)
	}
	if c.IsActive() || c.ActiveID() != -1 {
		t.Error("an idle controller is active")
	}
}

// The calls of a controller have more patience than its lease: without ZooKeeper it resigns when the lease ends, in the
// middle of an event, and a stop does not wait for the event either.
func TestACallThatWaitsForZooKeeperHoldsUpNeitherResignationNorStop(t *testing.T) {
	for _, test := range []struct {
		name    string
		session time.Duration
		end     func(t *testing.T, c *Controller)
	}{
		{"the lease ends", 2 * time.Second, func(t *testing.T, c *Controller) {
			until(t, "the controller has resigned", func() bool { return !c.IsActive() })
		}},
		{"the broker stops", time.Minute, func(*testing.T, *Controller) {}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := startZooKeeper(t, zkserver.Options{Addr: "127.0.0.1:0", MinSessionTimeout: time.Second, MaxSessionTimeout: time.Minute})
			defer server.Close()
			cut := newCutter(t, server.Addr().String())
			zk, err := zkmeta.Connect(context.Background(), zkmeta.Options{ConnectString: cut.addr(), SessionTimeout: test.session,
				CallTimeout: time.Minute, Level: ibp.Latest})
			if err != nil {
				t.Fatal(err)
			}
			defer zk.Close()
			if err := zk.Session().EnsurePaths(context.Background()); err != nil {
				t.Fatal(err)
			}
			c := New(Options{BrokerID: 1, ZK: zk, Level: ibp.Latest, Log: zaptest.NewLogger(t)})
			c.Start()
			c.Registered(zk.Session())
			until(t, "the controller is ready", func() bool { return c.IsActive() && c.mailbox.size() == 0 })
			cut.kill()
			begun := make(chan struct{})
			c.mailbox.post(event{name: "test", run: func() {
				close(begun)
				c.term.readTopicNames()
			}})
			<-begun
			test.end(t, c)
			stopping := time.Now()
			c.Stop()
			if took := time.Since(stopping); took > 10*time.Second {
				t.Errorf("the stop took %v", took)
			}
		})
	}
}
