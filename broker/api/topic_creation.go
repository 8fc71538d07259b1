package api

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// In ZooKeeper mode a topic is made by whoever writes its znodes; the controller finds it by its watch. CreateTopics
// and the automatic creation of Metadata both come here.

// newTopic is a topic somebody wants.
type newTopic struct {
	name       string
	partitions int32
	factor     int
	assignment map[int32][]int32 // in place of partitions and factor; nil to spread the replicas ourselves
	configs    map[string]string
}

// plan checks a topic and assigns its replicas. The errors carry Kafka's code and words: an illegal name or one that
// collides (17), one that exists (36), bad counts (37, 38), a bad assignment (39), a bad configuration (40).
func (h *Handler) plan(ctx context.Context, s *zkmeta.Session, n newTopic) (zkmeta.TopicAssignment, error) {
	var none zkmeta.TopicAssignment
	if err := topic.ValidateName(n.name); err != nil {
		return none, err
	}
	existing, err := s.Topics(ctx)
	if err != nil {
		return none, err
	}
	if slices.Contains(existing, n.name) {
		return none, kerr.New(kerr.TopicAlreadyExists, "Topic '%s' already exists.", n.name)
	}
	if topic.CollisionKey(n.name) != n.name || strings.Contains(n.name, "_") {
		colliding := slices.DeleteFunc(existing, func(t string) bool { return !topic.Collides(t, n.name) })
		if len(colliding) > 0 {
			return none, kerr.New(kerr.InvalidTopicException, "Topic '%s' collides with existing topics: %s",
				n.name, strings.Join(colliding, ", "))
		}
	}
	if _, err := h.Config.Broker().Topic(n.configs); err != nil {
		return none, err
	}
	assignment := n.assignment
	if assignment == nil {
		brokers := h.assignable()
		assignment, err = topic.AssignReplicas(brokers, 0, n.partitions, n.factor, rand.IntN(max(len(brokers), 1)),
			rand.IntN(max(len(brokers), 1)))
		if err != nil {
			return none, err
		}
	}
	return zkmeta.TopicAssignment{ID: topic.NewID(), Partitions: assignment}, nil
}

// assignable are the live brokers, with their racks.
func (h *Handler) assignable() []topic.BrokerRack {
	var brokers []topic.BrokerRack
	for _, b := range h.Metadata.Load().Brokers() {
		r := topic.BrokerRack{ID: b.ID}
		if b.Rack != nil {
			r.Rack = *b.Rack
		}
		brokers = append(brokers, r)
	}
	return brokers
}

// autoCreate makes a topic that a client asked for by name, with the broker's defaults, or those of the brokers' own
// topics. The answer is the error for the client: LEADER_NOT_AVAILABLE when the topic is on its way.
func (h *Handler) autoCreate(ctx context.Context, name string) error {
	if err := topic.ValidateName(name); err != nil {
		return err
	}
	c := h.Config.Broker()
	n := newTopic{name: strings.Clone(name), partitions: c.NumPartitions, factor: int(c.DefaultReplicationFactor)}
	switch name {
	case topic.ConsumerOffsets:
		n.partitions, n.factor = c.OffsetsTopicNumPartitions, int(c.OffsetsTopicReplicationFactor)
		n.configs = map[string]string{"cleanup.policy": "compact", "compression.type": "producer",
			"segment.bytes": strconv.Itoa(int(c.OffsetsTopicSegmentBytes))}
	case topic.TransactionState:
		n.partitions, n.factor = c.TransactionLogNumPartitions, int(c.TransactionLogReplicationFactor)
		n.configs = map[string]string{"cleanup.policy": "compact", "compression.type": "uncompressed",
			"segment.bytes": strconv.Itoa(int(c.TransactionLogSegmentBytes)), "unclean.leader.election.enable": "false",
			"min.insync.replicas": strconv.Itoa(int(c.TransactionLogMinISR))}
	}
	s, err := h.ZK.AwaitSession(ctx)
	if err != nil {
		return kerr.LeaderNotAvailable
	}
	a, err := h.plan(ctx, s, n)
	if err == nil {
		err = s.CreateTopic(ctx, n.name, n.configs, a)
	}
	switch kerr.CodeOf(err) {
	case 0, kerr.TopicAlreadyExists.Code: // somebody was faster: the client will see it in a moment
		return kerr.LeaderNotAvailable
	case kerr.UnknownServerError.Code:
		return kerr.LeaderNotAvailable // ZooKeeper did not take it: the client asks again
	}
	return err
}
