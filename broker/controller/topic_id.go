package controller

import (
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/topic"
)

// The id of a topic (KIP-516) stands in its znode, in the metadata of every broker and in partition.metadata beside each
// log. Tools of before 2.8 rewrite the znode without it. While we are in office it is put back from memory
// (topicModified); Kafka's controller makes up a new one, which replicas refuse with INCONSISTENT_TOPIC_ID.
//
// A term that begins finds the id where it still is: with its own broker, else it asks the others. Until it is known
// the topic is led without one, which all brokers take: requests to them then name no id, and logs keep the one
// they have. Only when every replica's broker has answered that it knows none is the id a new one: so
// it is after an upgrade from before 2.8. And if a replica refuses that after all, because a broker that had just
// started knew only on disk, it is taken back.

// metadataVersion is the first version of Metadata that tells topic ids by name and that may forbid creation; every
// broker of the supported levels takes it.
const metadataVersion = 10

// giveTopicIDs gives new topics that have none an id: kafka-topics --zookeeper makes such.
func (t *term) giveTopicIDs(names []string) {
	for _, name := range names {
		if s := t.cluster.topics[name]; s != nil && s.id.IsZero() {
			t.nameTopic(s, topic.NewID(), "a new one")
		}
	}
}

// findTopicIDs finds the ids of the topics that have none at the start of a term.
func (t *term) findTopicIDs() {
	for _, name := range slices.Sorted(maps.Keys(t.cluster.topics)) {
		s := t.cluster.topics[name]
		if !s.id.IsZero() {
			continue
		}
		known := topic.ID{}
		if t.opt.TopicID != nil {
			known = t.opt.TopicID(name)
		}
		switch {
		case !known.IsZero():
			t.nameTopic(s, known, "this broker's")
		case !slices.ContainsFunc(s.sorted(), hasLeadership):
			t.nameTopic(s, topic.NewID(), "a new one")
		default:
			t.log.Warn("A topic has lost its id, the brokers are asked for it", zap.String("topic", name))
			t.idLost[name] = make(map[int32]bool)
		}
	}
}

// nameTopic gives a topic an id that nobody was told yet.
func (t *term) nameTopic(s *topicState, id topic.ID, source string) {
	t.log.Info("Gave a topic its id", zap.String("topic", s.name), zap.Stringer("id", id), zap.String("source", source))
	t.setTopicID(s, id)
}

func (t *term) setTopicID(s *topicState, id topic.ID) {
	delete(t.cluster.topicNames, s.id)
	if s.id = id; !id.IsZero() {
		t.cluster.topicNames[id] = s.name
	}
	t.writeTopic(s)
}

// askTopicIDs asks brokers for lost ids. They must have been told of each other in this term: a broker that starts
// answers nobody before. And they must not have heard of the topics from us, as of topics without an id.
func (t *term) askTopicIDs(brokers ...int32) {
	if len(t.idLost) == 0 {
		return
	}
	for _, id := range brokers {
		req := &kmsg.MetadataRequest{Version: metadataVersion}
		for _, name := range slices.Sorted(maps.Keys(t.idLost)) {
			req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &name})
		}
		t.send(id, req, func(resp kmsg.Response) { t.onTopicIDs(id, resp.(*kmsg.MetadataResponse)) })
	}
}

// onTopicIDs takes what a broker knows of lost ids.
func (t *term) onTopicIDs(broker int32, resp *kmsg.MetadataResponse) {
	for _, rt := range resp.Topics {
		if rt.Topic == nil {
			continue
		}
		s, ignorant := t.cluster.topics[*rt.Topic], t.idLost[*rt.Topic]
		if s == nil || ignorant == nil || !s.id.IsZero() {
			continue
		}
		ignorant[broker] = true
		switch id := topic.ID(rt.TopicID); {
		case !id.IsZero() && t.cluster.topicNames[id] == "":
			t.nameTopic(s, id, "a broker's")
		case !slices.ContainsFunc(s.replicas(), func(r replica) bool { return !ignorant[r.broker] }):
			t.idMadeUp[s.name] = true
			t.nameTopic(s, topic.NewID(), "a new one, for no broker knows another")
		default:
			continue
		}
		delete(t.idLost, s.name)
		t.announceTopicID(s)
	}
}

// topicIDRefused takes an id back that we made up and a replica's log contradicts.
func (t *term) topicIDRefused(broker int32, name string) {
	s := t.cluster.topics[name]
	if s == nil || !t.idMadeUp[name] {
		return
	}
	delete(t.idMadeUp, name)
	t.log.Error("A log has another id than its topic was given for want of it; the topic goes on without, until somebody "+
		"writes the id of partition.metadata into the topic's znode", zap.String("topic", name), zap.Int32("broker", broker))
	t.setTopicID(s, topic.ID{})
	t.announceTopicID(s)
}

// announceTopicID tells the brokers of a topic's id. The leader epochs grow, so that replicas take the message for news
// and leaders ask again for ISRs that we refused under the id we did not know.
func (t *term) announceTopicID(s *topicState) {
	failed := make(failures)
	led := keepPartitions(s.sorted(), hasLeadership)
	for _, p := range t.bumpLeaderEpochs(led, failed) {
		t.batch.leaderAndISR(t.cluster, p, p.replicas, false)
	}
	for tp, err := range failed {
		t.changes.Error("Partition state change failed", t.about(tp, zap.Error(err))...)
	}
	t.flush()
}
