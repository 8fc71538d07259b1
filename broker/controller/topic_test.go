package controller

import (
	"context"
	"maps"
	"testing"

	"github.com/cockroachdb/datadriven"
	"go.uber.org/zap/zaptest"

	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// A tool adds partitions between the controller's reading and its rewriting of a topic, as when it puts a lost id back.
// Kafka's controller undoes what was acknowledged to the tool; ours looks again.
func TestARewriteOfATopicUndoesNobodysPartitions(t *testing.T) {
	ctx := context.Background()
	s := &stage{t: t, level: ibp.Latest, registered: make(map[int32]*zkmeta.Client), log: zaptest.NewLogger(t)}
	s.open()
	for _, line := range []string{"broker 1", "controller 1", "create-topic t 0=1"} {
		s.command(line)
	}
	tool := s.tool.Session()
	a, err := tool.ReadTopic(ctx, "t")
	s.must(err)
	maps.Copy(a.Partitions, map[int32][]int32{1: {1}, 2: {1}})
	s.must(tool.AddPartitions(ctx, "t", a))
	s.c.handle(event{name: "rewrite", run: func() { s.c.term.writeTopic(s.c.term.cluster.topics["t"]) }})
	s.await("PartitionModifications")
	after, err := tool.ReadTopic(ctx, "t")
	s.must(err)
	if len(after.Partitions) != 3 || after.ID != a.ID || s.c.term == nil || len(s.c.term.cluster.topics["t"].partitions) != 3 {
		t.Fatalf("%+v is left of three partitions", after)
	}
}

// command runs one line of a script.
func (s *stage) command(line string) string {
	cmd, args, err := datadriven.ParseLine(line)
	s.must(err)
	return s.run(s.t.(*testing.T), &datadriven.TestData{Cmd: cmd, CmdArgs: args})
}

func TestLostKeys(t *testing.T) {
	id := topic.NewID()
	mine := zkmeta.TopicAssignment{ID: id, Partitions: map[int32][]int32{0: {3, 1, 2}, 1: {1, 2}},
		Adding: map[int32][]int32{0: {3}}, Removing: map[int32][]int32{0: {2}}}
	s := newCluster().addTopic("t", mine)
	for _, test := range []struct {
		name  string
		wrote func(*zkmeta.TopicAssignment)
		want  bool
	}{
		{"as we wrote it", func(*zkmeta.TopicAssignment) {}, false},
		{"more partitions", func(a *zkmeta.TopicAssignment) { a.Partitions[2] = []int32{1, 2} }, false},
		{"no id", func(a *zkmeta.TopicAssignment) { a.ID = topic.ID{} }, true},
		{"no reassignment", func(a *zkmeta.TopicAssignment) { a.Adding, a.Removing = nil, nil }, true},
		{"what stood there before the reassignment began", func(a *zkmeta.TopicAssignment) {
			a.Partitions[0], a.Adding, a.Removing = []int32{1, 2}, nil, nil
		}, true},
	} {
		a := mine.Clone()
		if test.wrote(&a); s.lostKeys(a) != test.want {
			t.Errorf("%s: want %v", test.name, test.want)
		}
	}
}
