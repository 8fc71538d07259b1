package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/broker/wire"
)

// deleteRecords (key 21, versions 0-2) raises the log start of partitions this broker leads; -1 stands for the high
// watermark. The answer is the low watermark, below which no replica has anything any more.
func (h *Handler) deleteRecords(_ context.Context, _ *wire.Request, req *kmsg.DeleteRecordsRequest) wire.Reply {
	resp := req.ResponseKind().(*kmsg.DeleteRecordsResponse)
	for i := range req.Topics {
		out := kmsg.DeleteRecordsResponseTopic{Topic: req.Topics[i].Topic}
		for _, q := range req.Topics[i].Partitions {
			low, err := h.deleteRecordsOf(topic.Partition{Topic: req.Topics[i].Topic, ID: q.Partition}, q.Offset)
			if err != nil {
				low = -1
			}
			out.Partitions = append(out.Partitions, kmsg.DeleteRecordsResponseTopicPartition{
				Partition: q.Partition, LowWatermark: low, ErrorCode: kerr.CodeOf(err)})
		}
		resp.Topics = append(resp.Topics, out)
	}
	return wire.Respond(resp)
}

func (h *Handler) deleteRecordsOf(tp topic.Partition, offset int64) (int64, error) {
	p, err := h.leading(tp)
	if err != nil {
		return -1, err
	}
	return p.DeleteRecords(offset)
}
