package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/wire"
)

// allocateProducerIDs (key 67, version 0) comes from a broker that needs a block of producer ids (KIP-730); only the
// controller answers.
func (h *Handler) allocateProducerIDs(ctx context.Context, _ *wire.Request, req *kmsg.AllocateProducerIDsRequest) wire.Reply {
	token := h.token()
	return h.guarded(token, wire.Respond(h.Controller.AllocateProducerIDs(ctx, req)))
}
