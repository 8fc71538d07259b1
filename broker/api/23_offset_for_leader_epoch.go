package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/broker/wire"
)

// offsetForLeaderEpoch (key 23, versions 0-4) tells where a leader epoch ended, so that a follower or a consumer can
// find the point at which its log went another way (KIP-101, KIP-320).
//
//	v1  the answer names the epoch it is about (KIP-279)
//	v2  the asker's leader epoch is checked
func (h *Handler) offsetForLeaderEpoch(_ context.Context, _ *wire.Request, req *kmsg.OffsetForLeaderEpochRequest) wire.Reply {
	resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
	for i := range req.Topics {
		out := kmsg.OffsetForLeaderEpochResponseTopic{Topic: req.Topics[i].Topic}
		for j := range req.Topics[i].Partitions {
			q := &req.Topics[i].Partitions[j]
			current := int32(-1)
			if req.Version >= 2 {
				current = q.CurrentLeaderEpoch
			}
			epoch, end, err := h.endOfEpoch(topic.Partition{Topic: req.Topics[i].Topic, ID: q.Partition}, current, q.LeaderEpoch)
			out.Partitions = append(out.Partitions, kmsg.OffsetForLeaderEpochResponseTopicPartition{
				Partition: q.Partition, ErrorCode: kerr.CodeOf(err), LeaderEpoch: epoch, EndOffset: end})
		}
		resp.Topics = append(resp.Topics, out)
	}
	return wire.Respond(resp)
}

func (h *Handler) endOfEpoch(tp topic.Partition, current, asked int32) (epoch int32, end int64, err error) {
	p := h.Replicas.Partition(tp)
	if p == nil {
		return -1, -1, h.missing(tp)
	}
	return p.EndOffsetForEpoch(current, asked)
}
