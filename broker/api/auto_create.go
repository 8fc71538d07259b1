package api

import (
	"context"
	"strconv"
	"strings"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/metadata"
	"github.com/zurau/zurau/broker/topic"
)

// autoCreate makes a topic that a client asked for by name, with the broker's defaults, or those of the brokers' own
// topics. The error is for the client: LEADER_NOT_AVAILABLE when the topic is on its way, or when ZooKeeper did
// not take it and the client should ask again.
func (h *Handler) autoCreate(ctx context.Context, snapshot *metadata.Snapshot, name string) error {
	s, err := h.session(ctx)
	if err != nil {
		return kerr.LeaderNotAvailable
	}
	t, err := h.planTopic(ctx, s, snapshot, wishFor(strings.Clone(name), h.Config.Broker()))
	if err == nil {
		_, err = h.makeTopic(ctx, s, t)
	}
	switch kerr.CodeOf(err) {
	case 0, kerr.TopicAlreadyExists.Code, kerr.UnknownServerError.Code:
		return kerr.LeaderNotAvailable
	}
	return err
}

// wishFor is what a topic is like that nobody described.
func wishFor(name string, c *config.Broker) topicWish {
	w := topicWish{name: name, partitions: c.NumPartitions, factor: int16(c.DefaultReplicationFactor)}
	switch name {
	case topic.ConsumerOffsets:
		w.partitions, w.factor = c.OffsetsTopicNumPartitions, c.OffsetsTopicReplicationFactor
		w.configs = map[string]string{"cleanup.policy": "compact", "compression.type": "producer",
			"segment.bytes": strconv.Itoa(int(c.OffsetsTopicSegmentBytes))}
	case topic.TransactionState:
		w.partitions, w.factor = c.TransactionLogNumPartitions, c.TransactionLogReplicationFactor
		w.configs = map[string]string{"cleanup.policy": "compact", "compression.type": "uncompressed",
			"segment.bytes": strconv.Itoa(int(c.TransactionLogSegmentBytes)), "unclean.leader.election.enable": "false",
			"min.insync.replicas": strconv.Itoa(int(c.TransactionLogMinISR))}
	}
	return w
}
