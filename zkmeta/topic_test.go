package zkmeta

import (
	"errors"
	"testing"

	"github.com/zurau/zurau/broker/kerr"
)

// More partitions than fit into a znode are refused before anything is written, the configuration neither.
func TestATopicThatNoZnodeCanHoldIsRefused(t *testing.T) {
	s := session(t, connect(t, startServer(t).String()))
	ctx := t.Context()
	must(t, s.EnsurePaths(ctx))
	_, err := s.Elect(ctx, 1, 1)
	must(t, err)
	a := TopicAssignment{Partitions: map[int32][]int32{}}
	for p := range int32(100_000) {
		a.Partitions[p] = []int32{1}
	}
	if err := s.CreateTopic(ctx, "t", nil, a); kerr.CodeOf(err) != kerr.InvalidPartitions.Code {
		t.Errorf("100,000 partitions: %v", err)
	}
	if _, err := s.Exists(ctx, TopicEntity("t").path()); !errors.Is(err, ErrNoNode) {
		t.Errorf("its configuration: %v", err)
	}
	must(t, s.CreateTopic(ctx, "t", nil, TopicAssignment{Partitions: map[int32][]int32{0: {1}}}))
	if err := s.AddPartitions(ctx, "t", a); kerr.CodeOf(err) != kerr.InvalidPartitions.Code {
		t.Errorf("100,000 partitions more: %v", err)
	}
}

func TestTopicsKeepWhatOthersPutIntoThem(t *testing.T) {
	s := session(t, connect(t, startServer(t).String()))
	ctx := t.Context()
	must(t, s.EnsurePaths(ctx))
	const theirs = `{"version":3,"partitions":{"0":[1]},"topic_id":"2LDO9XTFTHmHfs3eG4Csvw","adding_replicas":{"0":[1]},` +
		`"removing_replicas":{},"vendor":{"a":[1,"x"]}}`
	must(t, s.createNew(ctx, TopicPath("t"), []byte(theirs)))
	a, err := s.ReadTopic(ctx, "t")
	must(t, err)
	b := a.Clone()
	b.Partitions[1] = []int32{2}
	if len(a.Partitions) != 1 {
		t.Error("a clone shares its maps")
	}
	must(t, s.AddPartitions(ctx, "t", b))
	data, _, err := s.Get(ctx, TopicPath("t"))
	must(t, err)
	const want = `{"partitions":{"0":[1],"1":[2]},"topic_id":"2LDO9XTFTHmHfs3eG4Csvw","adding_replicas":{"0":[1]},` +
		`"removing_replicas":{},"version":3,"vendor":{"a":[1,"x"]}}`
	if string(data) != want {
		t.Errorf("%s", data)
	}
	if err := s.AddPartitions(ctx, "t", b); !errors.Is(err, ErrBadVersion) {
		t.Errorf("a second time from the old version: %v", err)
	}
}

func TestATopicGoesWithWhatOthersKeepInIt(t *testing.T) {
	s := session(t, connect(t, startServer(t).String()))
	ctx := t.Context()
	must(t, s.EnsurePaths(ctx))
	epoch, err := s.Elect(ctx, 1, 1)
	must(t, err)
	must(t, s.CreateTopic(ctx, "t", nil, TopicAssignment{Partitions: map[int32][]int32{0: {1}}}))
	must(t, s.createNew(ctx, TopicPath("t")+"/partitions/0/state/theirs", nil))
	must(t, s.createNew(ctx, TopicPath("t")+"/theirs/too", nil))
	must(t, s.MarkTopicDeleted(ctx, "t"))
	for range 2 { // the second time there is nothing left to do
		must(t, s.RemoveTopic(ctx, epoch, "t"))
	}
	if topics, err := s.Topics(ctx); err != nil || len(topics) != 0 {
		t.Errorf("%v, %v", topics, err)
	}
	if queue, err := s.DeleteQueue(ctx); err != nil || len(queue) != 0 {
		t.Errorf("%v, %v", queue, err)
	}
}
