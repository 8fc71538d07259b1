package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/wire"
)

// stopReplica (key 5, versions 0-4) comes from the controller: stop serving these partitions, or delete them.
//
//	v1  the broker epoch is checked (KIP-380)
//	v3  leader epoch and deletion for each partition (KIP-570)
//	v4  a KRaft controller says so (KIP-866)
func (h *Handler) stopReplica(_ context.Context, _ *wire.Request, req *kmsg.StopReplicaRequest) wire.Reply {
	if err := h.fromController(req, req.ControllerID, req.IsKRaftController, req.BrokerEpoch); err != nil {
		resp := req.ResponseKind().(*kmsg.StopReplicaResponse)
		resp.ErrorCode = kerr.CodeOf(err)
		return wire.Respond(resp)
	}
	return wire.Respond(h.Replicas.StopReplica(req))
}
