package zkmeta

import (
	"errors"
	"sync"
	"testing"

	"github.com/zurau/zurau/broker/topic"
)

func TestOneOfManyIsElectedAndTheDeposedWritesNothing(t *testing.T) {
	zk := startServer(t)
	ctx := t.Context()
	var wg sync.WaitGroup
	sessions := make([]*Session, 5)
	epochs := make([]Epoch, 5)
	errs := make([]error, 5)
	for i := range sessions {
		sessions[i] = session(t, connect(t, zk.String()))
	}
	for i, s := range sessions {
		wg.Go(func() { epochs[i], errs[i] = s.Elect(ctx, int32(i), 1) })
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		var lost *LostError
		switch {
		case err == nil && winner < 0:
			winner = i
		case err == nil:
			t.Errorf("%d and %d were elected", winner, i)
		case !errors.As(err, &lost):
			t.Errorf("%d: %v", i, err)
		}
	}
	if winner < 0 {
		t.Fatal("nobody was elected")
	}
	old, epoch := sessions[winner], epochs[winner]
	if epoch != (Epoch{1, 1}) {
		t.Errorf("the first epoch is %+v", epoch)
	}
	must(t, old.EnsurePaths(ctx))
	p := topic.Partition{Topic: "t"}
	must(t, old.CreateTopic(ctx, "t", nil, TopicAssignment{Partitions: map[int32][]int32{0: {1}}}))
	must(t, old.CreateStates(ctx, epoch, map[topic.Partition]PartitionState{p: {Leader: 1, ISR: []int32{1}}})[p].Err)

	next := sessions[(winner+1)%5]
	must(t, next.remove(ctx, ControllerPath))
	newer, err := next.Elect(ctx, 9, 1)
	must(t, err)
	if newer != (Epoch{2, 2}) {
		t.Errorf("the second epoch is %+v", newer)
	}
	_, topicErr := old.SetTopic(ctx, epoch, "t", TopicAssignment{})
	for name, err := range map[string]error{
		"state":       old.UpdateStates(ctx, epoch, map[topic.Partition]PartitionState{p: {Leader: 2, ISR: []int32{2}}})[p].Err,
		"new state":   old.CreateStates(ctx, epoch, map[topic.Partition]PartitionState{{Topic: "t", ID: 1}: {}})[topic.Partition{Topic: "t", ID: 1}].Err,
		"topic":       topicErr,
		"removal":     old.RemoveTopic(ctx, epoch, "t"),
		"resignation": old.Resign(ctx, epoch),
	} {
		if !errors.Is(err, ErrControllerMoved) {
			t.Errorf("%s by the deposed controller: %v", name, err)
		}
	}
	// The two reasons for a bad version are told apart.
	if r := next.UpdateStates(ctx, newer, map[topic.Partition]PartitionState{p: {ZkVersion: 5}})[p]; !errors.Is(r.Err, ErrBadVersion) {
		t.Errorf("an old version of the state: %v", r.Err)
	}
	if _, err := next.SetTopic(ctx, newer, "t", TopicAssignment{ZkVersion: 5}); !errors.Is(err, ErrBadVersion) {
		t.Errorf("an old version of the topic: %v", err)
	}
	if _, err := next.ReadController(ctx); err != nil {
		t.Errorf("after the old one's resignation: %v", err)
	}
}

func TestAKRaftControllerIsSeen(t *testing.T) {
	s := session(t, connect(t, startServer(t).String()))
	ctx := t.Context()
	must(t, s.createNew(ctx, ControllerPath, []byte(`{"version":2,"brokerid":3000,"timestamp":"1","kraftControllerEpoch":4}`)))
	var lost *LostError
	if _, err := s.Elect(ctx, 1, 1); !errors.As(err, &lost) || !lost.KRaft || lost.ActiveID != 3000 {
		t.Errorf("%v", err)
	}
	if err := s.WriteConfig(ctx, TopicEntity("t"), nil); !errors.As(err, &lost) {
		t.Errorf("a configuration is written into a cluster of KRaft: %v", err)
	}
}
