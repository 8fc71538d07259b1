package api

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/replica"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/broker/wire"
)

// listOffsets (key 2, versions 0-9) finds offsets by timestamp.
//
//	v0  segment starts, newest first
//	v1  one offset, with its timestamp
//	v2  isolation level
//	v4  leader epochs both ways (KIP-320)
//	v7  -3, the offset of the largest timestamp (KIP-734)
//	v8  -4, the earliest local offset (KIP-405)
//	v9  -5, the end of the tiered part (KIP-1005)
func (h *Handler) listOffsets(_ context.Context, _ *wire.Request, req *kmsg.ListOffsetsRequest) wire.Reply {
	resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
	twice := map[topic.Partition]int{}
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			twice[topic.Partition{Topic: req.Topics[i].Topic, ID: req.Topics[i].Partitions[j].Partition}]++
		}
	}
	reader := replica.Reader{ReplicaID: req.ReplicaID, Committed: req.Version >= 2 && req.IsolationLevel == 1}
	for i := range req.Topics {
		out := kmsg.ListOffsetsResponseTopic{Topic: req.Topics[i].Topic}
		for j := range req.Topics[i].Partitions {
			q := &req.Topics[i].Partitions[j]
			tp := topic.Partition{Topic: req.Topics[i].Topic, ID: q.Partition}
			var answer kmsg.ListOffsetsResponseTopicPartition
			if twice[tp] > 1 {
				answer = offsetError(q.Partition, kerr.InvalidRequest)
			} else {
				answer = h.offsetFor(tp, q, req.Version, reader)
			}
			out.Partitions = append(out.Partitions, answer)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return wire.Respond(resp)
}

func (h *Handler) offsetFor(tp topic.Partition, q *kmsg.ListOffsetsRequestTopicPartition, version int16,
	reader replica.Reader) kmsg.ListOffsetsResponseTopicPartition {
	p := h.Replicas.Partition(tp)
	if p == nil {
		return offsetError(q.Partition, h.missing(tp))
	}
	if q.Timestamp < lowestTimestamp(version) {
		return offsetError(q.Partition, kerr.UnsupportedVersion)
	}
	answer := kmsg.NewListOffsetsResponseTopicPartition()
	answer.Partition = q.Partition
	if version == 0 {
		offsets, err := p.SegmentOffsets(q.Timestamp, int(q.MaxNumOffsets), reader)
		if err != nil {
			return offsetError(q.Partition, err)
		}
		answer.OldStyleOffsets = offsets
		return answer
	}
	epoch := int32(-1)
	if version >= 4 {
		epoch = q.CurrentLeaderEpoch
	}
	found, err := p.OffsetFor(q.Timestamp, reader, epoch)
	if errors.Is(err, kerr.OffsetNotAvailable) && version < 5 {
		err = kerr.LeaderNotAvailable
	}
	if err != nil {
		return offsetError(q.Partition, err)
	}
	answer.Timestamp, answer.Offset, answer.LeaderEpoch = found.Timestamp, found.Offset, found.LeaderEpoch
	return answer
}

// lowestTimestamp is the last special timestamp a version knows.
func lowestTimestamp(version int16) int64 {
	switch {
	case version >= 9:
		return replica.LatestTiered
	case version >= 8:
		return replica.EarliestLocal
	case version >= 7:
		return replica.MaxTimestamp
	}
	return replica.Earliest
}

func offsetError(partition int32, err error) kmsg.ListOffsetsResponseTopicPartition {
	answer := kmsg.NewListOffsetsResponseTopicPartition()
	answer.Partition, answer.ErrorCode = partition, kerr.CodeOf(err)
	answer.Timestamp, answer.Offset, answer.LeaderEpoch = -1, -1, -1
	return answer
}
