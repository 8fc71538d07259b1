package api

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/wire"
)

// initProducerID (key 22, versions 0-5) gives an idempotent producer its id, with epoch 0. With a transactional id
// it is a question for the transaction coordinator, which zurau does not have yet.
//
//	v3  the producer may name the id and epoch it has; without a transactional id they mean nothing
func (h *Handler) initProducerID(ctx context.Context, _ *wire.Request, req *kmsg.InitProducerIDRequest) wire.Reply {
	resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	id, err := h.newProducerID(ctx, req)
	if err != nil {
		resp.ErrorCode = kerr.CodeOf(err)
	} else {
		resp.ProducerID, resp.ProducerEpoch = id, 0
	}
	return wire.Respond(resp)
}

// producerIDWait is how long an InitProducerId waits for a block of ids before it tells the producer to retry: the
// first block takes a few milliseconds, a controller that is moving a few hundred.
const producerIDWait = time.Second

func (h *Handler) newProducerID(ctx context.Context, req *kmsg.InitProducerIDRequest) (int64, error) {
	if req.TransactionalID != nil {
		if *req.TransactionalID == "" {
			return -1, kerr.InvalidRequest
		}
		timeout := req.TransactionTimeoutMillis
		if timeout <= 0 || time.Duration(timeout)*time.Millisecond > h.Config.Broker().TransactionMaxTimeout {
			return -1, kerr.InvalidTransactionTimeout
		}
		return -1, kerr.CoordinatorNotAvailable
	}
	ctx, cancel := context.WithTimeout(ctx, producerIDWait)
	defer cancel()
	return h.ProducerIDs.Next(ctx)
}
