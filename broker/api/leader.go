package api

import (
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/replica"
	"github.com/zurau/zurau/broker/topic"
)

// leading finds the partition a client wants to write to. UNKNOWN_TOPIC_OR_PARTITION for what the cluster does not
// have, INVALID_TOPIC_EXCEPTION for what belongs to the brokers, NOT_LEADER_OR_FOLLOWER for what lives elsewhere.
func (h *Handler) leading(tp topic.Partition) (*replica.Partition, error) {
	p := h.Replicas.Partition(tp)
	if p == nil {
		return nil, h.missing(tp)
	}
	if topic.IsInternal(tp.Topic) {
		return p, kerr.InvalidTopicException
	}
	return p, nil
}

// missing says why this broker does not host a partition.
func (h *Handler) missing(tp topic.Partition) error {
	if h.Metadata.Load().Partition(tp) == nil {
		return kerr.UnknownTopicOrPartition
	}
	return kerr.NotLeaderOrFollower
}

// node is where a broker answers the clients of one listener.
type node struct {
	Host string
	Port int32
	Rack *string
}

// currentLeader names a partition's leader and where clients of a listener reach it; the node is nil when the leader is
// unknown or gone. A replica hosted here learns of a new leader before the metadata does, and knows it best.
func (h *Handler) currentLeader(listener string, tp topic.Partition) (id, epoch int32, n *node) {
	snapshot := h.Metadata.Load()
	id, epoch = -1, -1
	if hosted := h.Replicas.Partition(tp); hosted != nil {
		id, epoch = hosted.Leader()
	}
	if p := snapshot.Partition(tp); p != nil && p.LeaderEpoch > epoch {
		id, epoch = p.Leader, p.LeaderEpoch
	}
	if e, ok := snapshot.Endpoint(id, listener); ok {
		n = &node{Host: e.Host, Port: e.Port, Rack: snapshot.Broker(id).Rack}
	}
	return id, epoch, n
}
