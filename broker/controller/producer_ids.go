package controller

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
)

// AllocateProducerIDs gives a broker a block of producer ids that no broker ever had (KIP-730; 67).
func (c *Controller) AllocateProducerIDs(ctx context.Context, req *kmsg.AllocateProducerIDsRequest) *kmsg.AllocateProducerIDsResponse {
	refused := req.ResponseKind().(*kmsg.AllocateProducerIDsResponse)
	refused.ErrorCode = kerr.NotController.Code
	return call(ctx, c, "AllocateProducerIds", refused, func(t *term) *kmsg.AllocateProducerIDsResponse {
		resp := req.ResponseKind().(*kmsg.AllocateProducerIDsResponse)
		switch b, ok := t.cluster.brokers[req.BrokerID]; {
		case !ok:
			resp.ErrorCode = kerr.BrokerIDNotRegistered.Code
			return resp
		case b.Epoch != req.BrokerEpoch:
			resp.ErrorCode = kerr.StaleBrokerEpoch.Code
			return resp
		}
		var block producerIDBlock
		err := t.ask(func(ctx context.Context) (err error) {
			block, err = t.zk.NextProducerIDBlock(ctx, req.BrokerID)
			return err
		})
		if err != nil {
			return refused
		}
		resp.ProducerIDStart, resp.ProducerIDLen = block.Start, int32(block.End-block.Start+1)
		return resp
	})
}
