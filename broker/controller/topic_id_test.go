package controller

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap/zaptest"

	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// A tool of before 2.8 rewrites a topic's znode while there is no controller. Kafka's next controller gives the topic
// a new id, and replicas refuse everything that is said about it from then on.
func TestAnIDThatAnOldToolDroppedIsFoundAgain(t *testing.T) {
	the, other := topic.NewID(), topic.NewID()
	knows := func(id topic.ID) answersAs { return answersAs{id: id} }
	ignorant := answersAs{unknown: true}
	const kept, fresh, none, waits = "the old one", "a new one", "none", "still looked for"
	for _, test := range []struct {
		name    string
		own     topic.ID            // as the controller's broker remembers it
		brokers map[int32]answersAs // 3 is away, unless it is named
		want    string
	}{
		{"the controller's own broker knows it", the, map[int32]answersAs{1: ignorant, 2: ignorant}, kept},
		{"another broker knows it", topic.ID{}, map[int32]answersAs{1: ignorant, 2: knows(the)}, kept},
		{"the first that knows one is right", topic.ID{}, map[int32]answersAs{1: knows(the), 2: knows(other)}, kept},
		{"all replicas know the topic, by no id: it never had one", topic.ID{}, map[int32]answersAs{1: knows(topic.ID{}), 2: knows(topic.ID{}), 3: knows(topic.ID{})}, fresh},
		{"a replica that may know it is away", topic.ID{}, map[int32]answersAs{1: ignorant, 2: ignorant}, waits},
		{"nobody knows it, but a log has it", topic.ID{}, map[int32]answersAs{1: ignorant, 2: {unknown: true, log: the}, 3: ignorant}, none},
		{"nobody knows it, and no log does", topic.ID{}, map[int32]answersAs{1: ignorant, 2: ignorant, 3: ignorant}, fresh},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newNameless(t, the, slices.Sorted(maps.Keys(test.brokers)))
			s.c.opt.TopicID = func(string) topic.ID { return test.own }
			s.await(firstHints...)
			s.exchange(test.brokers)
			a, err := s.tool.Session().ReadTopic(context.Background(), "t")
			s.must(err)
			switch _, waiting := s.c.term.idLost["t"]; {
			case waiting != (test.want == waits):
				t.Errorf("the id is looked for: %v", waiting)
			case a.ID != s.c.term.topicID("t"):
				t.Errorf("the znode has %s, the controller %s", a.ID, s.c.term.topicID("t"))
			case test.want == kept && a.ID != the, test.want == fresh && (a.ID == the || a.ID.IsZero()),
				(test.want == none || test.want == waits) && !a.ID.IsZero():
				t.Errorf("the id is %s, want %s", a.ID, test.want)
			}
			if len(s.refused) > 0 && test.want != none {
				t.Errorf("brokers refused %v", s.refused)
			}
			if last := s.said[2]; test.want == kept && last != the || test.want == none && !last.IsZero() {
				t.Errorf("the last LeaderAndIsr to broker 2 says %s", last)
			}
		})
	}
}

func TestABrokerThatComesBackIsAskedForALostID(t *testing.T) {
	the := topic.NewID()
	s := newNameless(t, the, []int32{1, 2})
	s.await(firstHints...)
	s.exchange(map[int32]answersAs{1: {unknown: true}, 2: {unknown: true}})
	s.register(3, "", "PLAINTEXT")
	s.await("BrokerChange")
	s.exchange(map[int32]answersAs{1: {unknown: true}, 2: {unknown: true}, 3: {id: the}})
	if id := s.c.term.topicID("t"); id != the || len(s.c.term.idLost) > 0 {
		t.Errorf("the id is %s, want %s", id, the)
	}
}

func TestALostIDThatAnOperatorWritesIsTaken(t *testing.T) {
	the := topic.NewID()
	s := newNameless(t, the, []int32{1, 2})
	s.await(firstHints...)
	s.exchange(map[int32]answersAs{1: {unknown: true}, 2: {unknown: true}})
	_, err := s.tool.Session().Set(context.Background(), zkmeta.TopicPath("t"),
		[]byte(`{"version":3,"topic_id":"`+the.String()+`","partitions":{"0":[1,2,3]}}`), zkmeta.AnyVersion)
	s.must(err)
	s.await("PartitionModifications")
	s.exchange(map[int32]answersAs{1: {}, 2: {}})
	if id := s.c.term.topicID("t"); id != the || s.said[2] != the {
		t.Errorf("the id is %s, broker 2 was told %s, want %s", id, s.said[2], the)
	}
	if st := s.c.term.cluster.find(topic.Partition{Topic: "t"}).leadership; st == nil || st.LeaderEpoch == 0 {
		t.Errorf("nobody takes the id for news: %+v", st)
	}
}

// nameless is a cluster whose next controller finds a topic that has lost its id.
type nameless struct {
	*stage
	said    map[int32]topic.ID // the id in the last LeaderAndIsr to each broker
	refused []int32            // brokers that answered INCONSISTENT_TOPIC_ID
}

// answersAs is how a broker answers.
type answersAs struct {
	id      topic.ID // to Metadata
	unknown bool     // to Metadata: UNKNOWN_TOPIC_OR_PARTITION
	log     topic.ID // its log's, which a LeaderAndIsr must not contradict
}

func newNameless(t *testing.T, id topic.ID, brokers []int32) *nameless {
	s := &nameless{said: make(map[int32]topic.ID), stage: &stage{t: t, level: ibp.Latest, deleteTopics: true,
		registered: make(map[int32]*zkmeta.Client), log: zaptest.NewLogger(t)}}
	s.open()
	for _, broker := range brokers {
		s.register(broker, "", "PLAINTEXT")
	}
	ctx := context.Background()
	s.stand(1)
	s.await(firstHints...)
	s.must(s.tool.Session().CreateTopic(ctx, "t", nil, zkmeta.TopicAssignment{ID: id, Partitions: map[int32][]int32{0: {1, 2, 3}}}))
	s.await("TopicChange")
	s.retire()
	_, err := s.tool.Session().Set(ctx, zkmeta.TopicPath("t"), []byte(`{"version":1,"partitions":{"0":[1,2,3]}}`), zkmeta.AnyVersion)
	s.must(err)
	s.must(s.tool.Session().Delete(ctx, zkmeta.ControllerPath, zkmeta.AnyVersion))
	s.stand(1)
	return s
}

// exchange has the brokers answer until nothing more is asked of them.
func (s *nameless) exchange(brokers map[int32]answersAs) {
	for len(s.out.waiting) > 0 {
		for _, id := range slices.Sorted(maps.Keys(brokers)) {
			for _, p := range s.out.take(id) {
				p.answered(s.reply(id, brokers[id], p.req))
			}
		}
		for e, ok := s.c.mailbox.take(); ok; e, ok = s.c.mailbox.take() {
			s.c.handle(e)
		}
	}
}

func (s *nameless) reply(broker int32, as answersAs, req kmsg.Request) kmsg.Response {
	resp := req.ResponseKind()
	switch req := req.(type) {
	case *kmsg.MetadataRequest:
		for _, rt := range req.Topics {
			at := kmsg.MetadataResponseTopic{Topic: rt.Topic, TopicID: as.id}
			if as.unknown {
				at.ErrorCode = kerr.UnknownTopicOrPartition.Code
			}
			resp.(*kmsg.MetadataResponse).Topics = append(resp.(*kmsg.MetadataResponse).Topics, at)
		}
	case *kmsg.LeaderAndISRRequest:
		id := topic.ID(req.TopicStates[0].TopicID)
		s.said[broker] = id
		at := kmsg.LeaderAndISRResponseTopic{TopicID: id, Partitions: []kmsg.LeaderAndISRResponseTopicPartition{{}}}
		if !as.log.IsZero() && !id.IsZero() && id != as.log {
			at.Partitions[0].ErrorCode = kerr.InconsistentTopicID.Code
			s.refused = append(s.refused, broker)
		}
		resp.(*kmsg.LeaderAndISRResponse).Topics = []kmsg.LeaderAndISRResponseTopic{at}
	}
	return resp
}
