package controller

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/zkmeta"
)

// AllocateProducerIDs gives a broker a block of producer ids that no broker ever had (KIP-730; 67).
func (c *Controller) AllocateProducerIDs(
	ctx context.Context, req *kmsg.AllocateProducerIDsRequest,
) *kmsg.AllocateProducerIDsResponse {
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
		var block zkmeta.ProducerIDBlock
		err := t.write("producer id block", func(ctx context.Context) (err error) {
			block, err = t.zk.NextProducerIDBlock(ctx, req.BrokerID)
			return err
		})
		switch {
		case !t.alive():
			return refused
		case err != nil:
			resp.ErrorCode = kerr.UnknownServerError.Code
		default:
			resp.ProducerIDStart, resp.ProducerIDLen = block.First, int32(block.Last-block.First+1)
		}
		return resp
	})
}
