package api

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/replica"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/broker/wire"
)

// deleteRecords (key 21, versions 0-2) raises the log start of partitions this broker leads; -1 stands for the high
// watermark. The answer is the low watermark, below which no live replica has anything any more; it comes when the
// followers have followed, or after the request's timeout.
func (h *Handler) deleteRecords(ctx context.Context, _ *wire.Request, req *kmsg.DeleteRecordsRequest) wire.Reply {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(max(req.TimeoutMillis, 0))*time.Millisecond)
	defer cancel()
	var begun []deletion
	for i := range req.Topics {
		for _, q := range req.Topics[i].Partitions {
			begun = append(begun, h.beginDeletion(topic.Partition{Topic: req.Topics[i].Topic, ID: q.Partition}, q.Offset))
		}
	}
	resp := req.ResponseKind().(*kmsg.DeleteRecordsResponse)
	for i := range req.Topics {
		out := kmsg.DeleteRecordsResponseTopic{Topic: req.Topics[i].Topic}
		for _, q := range req.Topics[i].Partitions {
			d := begun[0]
			begun = begun[1:]
			low, err := int64(-1), d.err
			if err == nil {
				low, err = d.p.AwaitLowWatermark(ctx, d.offset)
			}
			out.Partitions = append(out.Partitions, kmsg.DeleteRecordsResponseTopicPartition{
				Partition: q.Partition, LowWatermark: low, ErrorCode: kerr.CodeOf(err)})
		}
		resp.Topics = append(resp.Topics, out)
	}
	return wire.Respond(resp)
}

// deletion is one partition's, carried out here; its followers may still have to follow.
type deletion struct {
	p      *replica.Partition
	offset int64
	err    error
}

func (h *Handler) beginDeletion(tp topic.Partition, offset int64) deletion {
	p, err := h.leading(tp)
	if err != nil {
		return deletion{err: err}
	}
	offset, err = p.DeleteRecords(offset)
	return deletion{p, offset, err}
}
