package zkmeta

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
)

// Each write here reaches the server and its answer is lost with the connection. The call must find out by itself that
// it was done, and do it once.
func TestAWriteWhoseAnswerIsLostIsDoneOnce(t *testing.T) {
	t.Parallel()
	zk := startServer(t)
	p := startProxy(t, zk.addr)
	s := session(t, connect(t, zk.at(p.addr())))
	other := session(t, connect(t, zk.String()))
	ctx := t.Context()
	must(t, s.EnsurePaths(ctx))
	lost := func(t *testing.T, op int32) {
		t.Helper()
		p.loseAnswer(op)
		t.Cleanup(func() {
			if !p.answerLost() {
				t.Error("no answer was lost: the test tested nothing")
			}
			if s.ctx.Err() != nil {
				t.Error("the session did not survive")
			}
		})
	}

	var epoch Epoch
	t.Run("registration of a broker", func(t *testing.T) {
		lost(t, opMulti)
		brokerEpoch, err := s.RegisterBroker(ctx, BrokerInfo{ID: 1})
		must(t, err)
		if b, err := other.Broker(ctx, 1); err != nil || b.Epoch != brokerEpoch || b.Owner != s.ID() {
			t.Errorf("epoch %d is answered, and registered is %+v, %v", brokerEpoch, b, err)
		}
	})
	t.Run("election", func(t *testing.T) {
		lost(t, opMulti)
		var err error
		epoch, err = s.Elect(ctx, 1, 1)
		must(t, err)
		if epoch != (Epoch{1, 1}) {
			t.Errorf("won %+v", epoch)
		}
	})
	t.Run("creation of a topic", func(t *testing.T) {
		must(t, s.WriteConfig(ctx, TopicEntity("t"), nil)) // so that the topic itself is the create
		lost(t, opCreate)
		must(t, s.CreateTopic(ctx, "t", nil, TopicAssignment{ID: topic.NewID(), Partitions: map[int32][]int32{0: {1}}}))
		err := other.CreateTopic(ctx, "t", nil, TopicAssignment{ID: topic.NewID(), Partitions: map[int32][]int32{0: {1}}})
		if !errors.Is(err, kerr.TopicAlreadyExists) {
			t.Errorf("the topic a second time: %v", err)
		}
	})
	t0 := topic.Partition{Topic: "t"}
	t.Run("creation of a state", func(t *testing.T) {
		s.CreateStates(ctx, epoch, map[topic.Partition]PartitionState{{Topic: "u"}: {}}) // fails, for want of u
		must(t, s.createNew(ctx, PartitionsPath("t"), nil))
		must(t, s.createNew(ctx, PartitionPath(t0), nil))
		lost(t, opMulti)
		r := s.CreateStates(ctx, epoch, map[topic.Partition]PartitionState{t0: {Leader: 1, ISR: []int32{1}}})[t0]
		if r != (StateResult{}) {
			t.Errorf("%+v", r)
		}
	})
	t.Run("update of a state", func(t *testing.T) {
		lost(t, opMulti)
		state := PartitionState{Leader: 1, LeaderEpoch: 1, ISR: []int32{1}}
		if r := s.UpdateStates(ctx, epoch, map[topic.Partition]PartitionState{t0: state})[t0]; r.Err != nil || r.ZkVersion != 1 {
			t.Errorf("%+v", r)
		}
		// The same again with the old version is another's write as far as anybody can tell, and content decides.
		state.LeaderEpoch = 2
		if r := s.UpdateStates(ctx, epoch, map[topic.Partition]PartitionState{t0: state})[t0]; !errors.Is(r.Err, ErrBadVersion) {
			t.Errorf("an update at an old version: %+v", r)
		}
	})
	t.Run("more partitions", func(t *testing.T) {
		a, err := s.ReadTopic(ctx, "t")
		must(t, err)
		a.Partitions[1] = []int32{1}
		lost(t, opSetData)
		must(t, s.AddPartitions(ctx, "t", a))
	})
	t.Run("block of producer ids", func(t *testing.T) {
		lost(t, opSetData)
		for i := range int64(2) {
			b, err := s.NextProducerIDBlock(ctx, 1)
			if want := (ProducerIDBlock{1, i * 1000, i*1000 + 999}); err != nil || b != want {
				t.Errorf("%+v, %v; want %+v", b, err, want)
			}
		}
	})
	t.Run("ephemeral znode of a consumer", func(t *testing.T) {
		must(t, s.ensurePath(ctx, GroupOwnersPath("g", "t")))
		lost(t, opCreate)
		must(t, s.OwnPartition(ctx, "g", t0, "c-0"))
		if err := other.OwnPartition(ctx, "g", t0, "c-0"); !errors.Is(err, ErrNodeExists) {
			t.Errorf("two owners: %v", err)
		}
	})
	t.Run("deletion", func(t *testing.T) {
		lost(t, opMulti)
		must(t, s.Resign(ctx, epoch))
		if _, err := other.ReadController(ctx); !errors.Is(err, ErrNoNode) {
			t.Errorf("after the resignation: %v", err)
		}
	})
}

func TestAnElectionThatWasWonMeanwhileIsLost(t *testing.T) {
	zk := startServer(t)
	p := startProxy(t, zk.addr)
	s := session(t, connect(t, zk.at(p.addr())))
	other := session(t, connect(t, zk.String()))
	_, err := other.Elect(t.Context(), 2, 1)
	must(t, err)
	var lost *LostError
	if _, err := s.Elect(t.Context(), 1, 1); !errors.As(err, &lost) || lost.ActiveID != 2 || !errors.Is(err, ErrControllerMoved) {
		t.Errorf("%v", err)
	}
}

func TestAWriteThatNobodyAnswersEndsUnknownAtItsDeadline(t *testing.T) {
	t.Parallel()
	zk := startServer(t)
	p := startProxy(t, zk.addr)
	s := session(t, connect(t, zk.at(p.addr()), func(o *Options) { o.SessionTimeout = 30 * time.Second; o.CallTimeout = 300 * time.Millisecond }))
	p.freeze()
	for name, call := range map[string]func() error{
		"create":       func() error { _, err := s.Create(t.Context(), "/x", nil, Persistent); return err },
		"typed create": func() error { return s.MarkTopicDeleted(t.Context(), "t") },
		"read":         func() error { _, _, err := s.Get(t.Context(), "/"); return err },
		"proof":        func() error { return s.Prove(t.Context()) },
	} {
		begun := time.Now()
		err := call()
		if took := time.Since(begun); !errors.Is(err, ErrUnknown) || took > instant {
			t.Errorf("%s: after %v: %v", name, took, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Create(ctx, "/x", nil, Persistent); !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrNotSent) {
		t.Errorf("with an ended context: %v", err)
	}
}

func TestCallsBeyondTheSlotsAreNotSent(t *testing.T) {
	t.Parallel()
	zk := startServer(t)
	p := startProxy(t, zk.addr)
	s := session(t, connect(t, zk.at(p.addr()), func(o *Options) {
		o.SessionTimeout, o.CallTimeout, o.MaxInFlight = 30*time.Second, 200*time.Millisecond, 2
	}))
	p.freeze()
	var sent, notSent int
	for i := range 4 {
		switch _, err := s.Create(t.Context(), fmt.Sprint("/", i), nil, Persistent); {
		case errors.Is(err, ErrNotSent):
			notSent++
		case errors.Is(err, ErrUnknown):
			sent++
		}
	}
	if sent == 0 || sent > 2 || sent+notSent != 4 { // the lease's proof may hold a slot too
		t.Errorf("of 4 requests and 2 slots %d were sent and %d were not", sent, notSent)
	}
}

func TestTooLargeRequestsAreRefusedBeforeTheyCutTheConnection(t *testing.T) {
	s := session(t, connect(t, startServer(t).String()))
	big := make([]byte, 1100<<10)
	if _, err := s.Create(t.Context(), "/big", big, Persistent); !errors.Is(err, ErrTooLarge) {
		t.Errorf("create: %v", err)
	}
	if _, err := s.Set(t.Context(), "/big", big, AnyVersion); !errors.Is(err, ErrTooLarge) {
		t.Errorf("setData: %v", err)
	}
	if _, err := s.multi(t.Context(), createOp("/a", big[:500<<10], Persistent), createOp("/b", big[:500<<10], Persistent)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("multi: %v", err)
	}
	if _, err := s.Create(t.Context(), "/fits", big[:880<<10], Persistent); err != nil {
		t.Errorf("880 KB: %v", err)
	}
	if err := s.Prove(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// A repeatable write that may have been applied is not called refused because its repetition was never sent.
func TestAnOpenOutcomeStaysOpen(t *testing.T) {
	s := session(t, connect(t, startServer(t).String()))
	outcomes := []error{unknown(errors.New("lost")), fmt.Errorf("%w: no slot", ErrNotSent)}
	write := func() error { err := outcomes[0]; outcomes = outcomes[1:]; return err }
	if err := s.settle(t.Context(), write, nil); !errors.Is(err, ErrUnknown) {
		t.Errorf("%v", err)
	}
	outcomes = []error{unknown(errors.New("lost")), fmt.Errorf("%w: no slot", ErrNotSent)}
	if err := s.settle(t.Context(), write, func() (bool, error) { return false, nil }); !errors.Is(err, ErrNotSent) {
		t.Errorf("after a look that found nothing: %v", err)
	}
}

// A list of children above a megabyte, which is what many topics make, comes whole and costs no connection.
func TestVeryLargeParentsAreRead(t *testing.T) {
	s := session(t, connect(t, startServer(t).String()))
	ctx := t.Context()
	must(t, s.EnsurePaths(ctx))
	const topics = 6000
	for i := 0; i < topics; i += 100 {
		var ops []op
		for j := range 100 {
			ops = append(ops, createOp(TopicPath(fmt.Sprintf("%s-%05d", strings.Repeat("x", 200), i+j)), nil, Persistent))
		}
		_, err := s.multi(ctx, ops...)
		must(t, err)
	}
	var b bell
	s.WatchChildren(TopicsPath, b.ring)
	await(t, "the watch", func() bool { return b.rung() == 1 })
	if names, err := s.Topics(ctx); err != nil || len(names) != topics {
		t.Errorf("%d topics, %v", len(names), err)
	}
	must(t, s.remove(ctx, TopicPath(strings.Repeat("x", 200)+"-00000")))
	await(t, "a change", func() bool { return b.rung() > 1 })
}
