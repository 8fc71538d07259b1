package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/wire"
)

// alterPartition (key 56, versions 0-3) comes from a partition's leader: the controller checks and writes its new ISR
// (KIP-497).
//
//	v1  leader recovery state (KIP-704)
//	v2  topic ids
//	v3  the ISR with the broker epoch of each member (KIP-903)
func (h *Handler) alterPartition(ctx context.Context, _ *wire.Request, req *kmsg.AlterPartitionRequest) wire.Reply {
	token := h.token()
	return h.guarded(token, wire.Respond(h.Controller.AlterPartition(ctx, req)))
}
