package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
	"github.com/zurau/zurau/zkmeta/zkserver"
)

// torture tells whether the tests run their full lengths.
func torture() bool { return os.Getenv("ZURAU_TORTURE") == "1" }

// operation is something that takes the controller several writes into ZooKeeper.
type operation struct {
	name   string
	before func(*office) // done under a healthy controller
	// do asks for it, and tells whether it was acknowledged: the znode that asks for it stands, or the controller
	// said so.
	do func(*office) bool
	// outcome tells whether it has happened, wholly or not at all; an error where it is neither, as yet.
	outcome func(*office) (bool, error)
}

// TestAControllerMayDieBetweenAnyTwoWrites kills the controller of three brokers after each number of ZooKeeper writes
// of each operation that takes several. Whoever is elected next finishes what the first one began: what was
// acknowledged is true then, and what was not is wholly true or wholly false (invariant I16, scenario B3).
func TestAControllerMayDieBetweenAnyTwoWrites(t *testing.T) {
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			needed := op.dieAfter(t, -1, false)
			if needed < 1 {
				t.Fatalf("the operation took %d writes", needed)
			}
			slots := make(chan struct{}, 6) // most of the time is spent waiting for the dead
			var running sync.WaitGroup
			for i := range 2 * needed {
				writes, lost := i/2, i%2 == 1
				if !torture() && i%3 != 0 {
					continue
				}
				name := fmt.Sprintf("after %d of %d writes", writes, needed)
				if lost {
					name += " and one without an answer"
				}
				slots <- struct{}{}
				running.Go(func() {
					defer func() { <-slots }()
					t.Run(name, func(t *testing.T) { op.dieAfter(t, writes, lost) })
				})
			}
			running.Wait()
		})
	}
}

var operations = []operation{
	{"create", nil, func(o *office) bool { return o.create(topic.NewID()) }, allLed(3)},
	{"create by an old tool", nil, func(o *office) bool { return o.create(topic.ID{}) }, allLed(3)},
	{"add partitions", created, func(o *office) bool {
		a, err := o.zk.ReadTopic(context.Background(), "t")
		o.must(err)
		a.Partitions[3], a.Partitions[4] = []int32{1, 2}, []int32{3, 1}
		o.must(o.zk.AddPartitions(context.Background(), "t", a))
		return true
	}, allLed(5)},
	{"delete", created, func(o *office) bool {
		o.must(o.zk.MarkTopicDeleted(context.Background(), "t"))
		return true
	}, func(o *office) (bool, error) {
		for _, path := range []string{zkmeta.TopicPath("t"), "/config/topics/t", zkmeta.DeleteTopicPath("t")} {
			if _, err := o.zk.Exists(context.Background(), path); !errors.Is(err, zkmeta.ErrNoNode) {
				return false, fmt.Errorf("%s is still there: %v", path, err)
			}
		}
		return true, nil
	}},
	{"reassign", moveable, func(o *office) bool {
		req := &kmsg.AlterPartitionAssignmentsRequest{Topics: []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: "t"}}}
		for _, r := range targets {
			req.Topics[0].Partitions = append(req.Topics[0].Partitions, kmsg.AlterPartitionAssignmentsRequestTopicPartition{
				Partition: r.Partition.ID, Replicas: r.Replicas})
		}
		resp := o.one.c.AlterPartitionReassignments(o.patience(), req)
		return resp.ErrorCode == 0 && !slices.ContainsFunc(resp.Topics[0].Partitions,
			func(p kmsg.AlterPartitionAssignmentsResponseTopicPartition) bool { return p.ErrorCode != 0 })
	}, moved},
	{"reassign by znode", moveable, func(o *office) bool {
		o.must(o.zk.RequestReassignments(context.Background(), targets))
		return true
	}, func(o *office) (bool, error) {
		if list, err := o.zk.ReadReassignments(context.Background()); err != nil || list != nil {
			o.catchUp()
			return false, fmt.Errorf("it is still asked for: %v, %v", list, err)
		}
		return moved(o)
	}},
	{"elect", misled, func(o *office) bool {
		results, ok := o.one.c.ElectLeaders(o.patience(), partitionsOf("t", 3), false)
		for _, e := range results {
			ok = ok && e.Err == nil
		}
		return ok
	}, elected},
	{"elect by znode", misled, func(o *office) bool {
		o.must(o.zk.RequestPreferredElection(context.Background(), partitionsOf("t", 3)))
		return true
	}, func(o *office) (bool, error) {
		if asked, err := o.zk.ReadPreferredElection(context.Background()); err != nil || len(asked) > 0 {
			return false, fmt.Errorf("it is still asked for: %v, %v", asked, err)
		}
		return elected(o)
	}},
	{"alter", moveable, func(o *office) bool {
		b, err := o.zk.Broker(context.Background(), 2)
		o.must(err)
		req := &kmsg.AlterPartitionRequest{Version: 0, BrokerID: 2, BrokerEpoch: b.Epoch, Topics: []kmsg.AlterPartitionRequestTopic{{Topic: "t"}}}
		for id := range int32(3) {
			req.Topics[0].Partitions = append(req.Topics[0].Partitions,
				kmsg.AlterPartitionRequestTopicPartition{Partition: id, NewISR: []int32{2}})
		}
		resp := o.one.c.AlterPartition(o.patience(), req)
		return resp.ErrorCode == 0 && !slices.ContainsFunc(resp.Topics[0].Partitions,
			func(p kmsg.AlterPartitionResponseTopicPartition) bool { return p.ErrorCode != 0 })
	}, func(o *office) (bool, error) {
		return o.either(zkmeta.PartitionState{Leader: 2, ISR: []int32{2, 3}}, zkmeta.PartitionState{Leader: 2, ISR: []int32{2}, ZkVersion: 1})
	}},
}

// office is a cluster of three, the first of which is the controller and may be cut off from ZooKeeper.
type office struct {
	*testing.T
	zk    *zkmeta.Session // of broker 2
	one   *peer
	peers []*peer
}

func (o *office) must(err error) {
	o.Helper()
	if err != nil {
		o.Fatal(err)
	}
}

// patience is that of a broker that asks the controller something.
func (o *office) patience() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	o.Cleanup(cancel)
	return ctx
}

// create asks for topic t.
func (o *office) create(id topic.ID) bool {
	o.must(o.zk.CreateTopic(context.Background(), "t", nil, zkmeta.TopicAssignment{ID: id,
		Partitions: map[int32][]int32{0: {1, 2, 3}, 1: {2, 3}, 2: {3, 1}}}))
	return true
}

func created(o *office) {
	o.create(topic.NewID())
	o.ends(allLed(3))
}

// moveable makes topic t of three partitions that 2 leads and 3 follows.
func moveable(o *office) {
	both := []int32{2, 3}
	o.must(o.zk.CreateTopic(context.Background(), "t", nil, zkmeta.TopicAssignment{ID: topic.NewID(),
		Partitions: map[int32][]int32{0: both, 1: both, 2: both}}))
	o.ends(allLed(3))
}

// misled makes topic t of partitions that 3 leads, though it should be 2.
func misled(o *office) {
	moveable(o)
	for _, tp := range partitionsOf("t", 3) {
		_, err := o.zk.Set(context.Background(), zkmeta.StatePath(tp),
			[]byte(`{"controller_epoch":1,"leader":3,"version":1,"leader_epoch":1,"isr":[2,3]}`), 0)
		o.must(err)
	}
	path := zkmeta.IsrChangePath + "/isr_change_0000000000"
	_, err := o.zk.Create(context.Background(), path,
		[]byte(`{"version":1,"partitions":[{"topic":"t","partition":0},{"topic":"t","partition":1},{"topic":"t","partition":2}]}`), zkmeta.Persistent)
	o.must(err)
	o.ends(func(o *office) (bool, error) { // the controller has looked
		_, err := o.zk.Exists(context.Background(), path)
		return errors.Is(err, zkmeta.ErrNoNode), nil
	})
}

func elected(o *office) (bool, error) {
	return o.either(zkmeta.PartitionState{Leader: 3, LeaderEpoch: 1, ISR: []int32{2, 3}, ZkVersion: 1},
		zkmeta.PartitionState{Leader: 2, LeaderEpoch: 2, ISR: []int32{2, 3}, ZkVersion: 2})
}

func partitionsOf(name string, n int32) (all []topic.Partition) {
	for id := range n {
		all = append(all, topic.Partition{Topic: name, ID: id})
	}
	return all
}

// either tells whether all partitions of t are as in the second state; each must be as in one of the two.
func (o *office) either(old, after zkmeta.PartitionState) (bool, error) {
	found, err := o.zk.ReadStates(context.Background(), partitionsOf("t", 3))
	if err != nil {
		return false, err
	}
	happened := len(found) == 3
	for tp, st := range found {
		st.ControllerEpoch = 0
		switch {
		case st.ZkVersion == after.ZkVersion && st.Equal(after):
		case st.ZkVersion == old.ZkVersion && st.Equal(old):
			happened = false
		default:
			return false, fmt.Errorf("%s is %+v", tp, st)
		}
	}
	return happened, nil
}

// targets are where the partitions of moveable shall go.
var targets = []zkmeta.Reassignment{
	{Partition: topic.Partition{Topic: "t", ID: 0}, Replicas: []int32{3, 2}},
	{Partition: topic.Partition{Topic: "t", ID: 1}, Replicas: []int32{3}},
	{Partition: topic.Partition{Topic: "t", ID: 2}, Replicas: []int32{1, 3}},
}

// moved tells whether the partitions of moveable are where they shall be, all or none.
func moved(o *office) (bool, error) {
	o.catchUp()
	a, err := o.zk.ReadTopic(context.Background(), "t")
	if err != nil || len(a.Adding)+len(a.Removing) > 0 {
		return false, fmt.Errorf("the topic is %+v, %v", a, err)
	}
	there := 0
	for _, r := range targets {
		if slices.Equal(a.Partitions[r.Partition.ID], r.Replicas) {
			there++
		}
	}
	if there > 0 && there < len(targets) {
		return false, fmt.Errorf("%d are moved: %+v", there, a)
	}
	_, err = allLed(3)(o)
	return there > 0, err
}

// catchUp has followers that are missing from ISRs caught up at once: their leaders ask the controller for them.
func (o *office) catchUp() {
	ctx := context.Background()
	a, err := o.zk.ReadTopic(ctx, "t")
	if err != nil {
		return
	}
	found, err := o.zk.ReadStates(ctx, partitionsOf("t", int32(len(a.Partitions))))
	if err != nil {
		return
	}
	for tp, st := range found {
		isr := slices.Clone(st.ISR)
		for _, id := range a.Partitions[tp.ID] {
			if !slices.Contains(isr, id) {
				isr = append(isr, id)
			}
		}
		leader, err := o.zk.Broker(ctx, st.Leader)
		if len(isr) == len(st.ISR) || err != nil {
			continue
		}
		for _, p := range o.peers {
			if p.c.IsActive() {
				p.c.AlterPartition(o.patience(), growth(tp, st, leader, isr))
			}
		}
	}
}

// growth is the request of a partition's leader for another ISR.
func growth(tp topic.Partition, st zkmeta.PartitionState, leader zkmeta.BrokerInfo, isr []int32) *kmsg.AlterPartitionRequest {
	return &kmsg.AlterPartitionRequest{Version: 0, BrokerID: leader.ID, BrokerEpoch: leader.Epoch,
		Topics: []kmsg.AlterPartitionRequestTopic{{Topic: tp.Topic, Partitions: []kmsg.AlterPartitionRequestTopicPartition{
			{Partition: tp.ID, LeaderEpoch: st.LeaderEpoch, PartitionEpoch: st.ZkVersion, NewISR: isr}}}}}
}

// allLed tells whether topic t has an id and so many partitions, each with a leader that is in its ISR.
func allLed(partitions int) func(*office) (bool, error) {
	return func(o *office) (bool, error) {
		a, err := o.zk.ReadTopic(context.Background(), "t")
		if err != nil {
			return false, err
		}
		if a.ID.IsZero() || len(a.Partitions) != partitions {
			return false, fmt.Errorf("the topic is %+v", a)
		}
		found, err := o.zk.ReadStates(context.Background(), partitionsOf("t", int32(partitions)))
		if err != nil {
			return false, err
		}
		for id := range maps.Keys(a.Partitions) {
			if st, ok := found[topic.Partition{Topic: "t", ID: id}]; !ok || !slices.Contains(st.ISR, st.Leader) {
				return false, fmt.Errorf("t-%d is %+v, %v", id, st, ok)
			}
		}
		return true, nil
	}
}

// ends waits until an operation has happened.
func (o *office) ends(outcome func(*office) (bool, error)) {
	o.Helper()
	var last error
	timeout := time.Now().Add(deadline - time.Second)
	until(o.T, "the operation ends", func() bool {
		happened, err := outcome(o)
		if last = err; time.Now().After(timeout) {
			o.Fatalf("never: %v", last)
		}
		return happened && err == nil
	})
}

// ready waits until some controller has begun its term.
func (o *office) ready() {
	o.Helper()
	until(o.T, "somebody is in office", func() bool {
		return slices.ContainsFunc(o.peers, func(p *peer) bool {
			return p.c.IsActive() && call(o.patience(), p.c, "test", false, func(*term) bool { return true })
		})
	})
}

// dieAfter runs the operation under a controller that is cut off after some writes, starts its broker anew and
// looks what has become of it; lost says that one more write is carried out, whose answer nobody hears. With less than
// 0 writes nobody dies, and it returns how many the controller needed.
func (op operation) dieAfter(t *testing.T, writes int, lost bool) int {
	server := startZooKeeper(t, zkserver.Options{Addr: "127.0.0.1:0", TickTime: 250 * time.Millisecond})
	t.Cleanup(func() { server.Close() })
	cut := newCutter(t, server.Addr().String())
	one := newPeer(t, cut.addr(), 1, 2*time.Second) // how long the dead one may take to notice
	until(t, "1 is the controller", func() bool { return one.c.IsActive() })
	two, three := newPeer(t, server.Addr().String(), 2, 3*time.Second), newPeer(t, server.Addr().String(), 3, 3*time.Second)
	o := &office{T: t, zk: two.zk.Session(), one: one, peers: []*peer{one, two, three}}
	dead := one.zk.Session()
	until(t, "the brokers know each other", func() bool { return one.knows(3) && two.knows(3) && three.knows(3) })
	if op.before != nil {
		op.before(o)
	}
	o.ready()
	if lost {
		cut.afterLosing(writes)
	} else {
		cut.after(writes)
	}
	acknowledged := op.do(o)
	until(t, "the operation is done or cut", func() bool {
		happened, err := op.outcome(o)
		return cut.happened() || happened && err == nil
	})
	if !cut.happened() { // asked for, or the first run had to repeat a write
		return cut.passed()
	}
	// The process is gone. The next one of this broker closes its session, as register.go does.
	o.must(zkmeta.CloseSession(context.Background(), server.Addr().String(), dead.ID(), dead.Password()))
	o.peers[0] = newPeer(t, server.Addr().String(), 1, 3*time.Second)
	if acknowledged {
		o.ends(op.outcome)
		return writes
	}
	o.ready()
	var last error
	timeout := time.Now().Add(deadline - time.Second)
	until(t, "it is wholly true or wholly false", func() bool {
		if _, last = op.outcome(o); last != nil && time.Now().After(timeout) {
			t.Fatal(last)
		}
		return last == nil
	})
	return writes
}
