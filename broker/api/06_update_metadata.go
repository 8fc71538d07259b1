package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/wire"
)

// updateMetadata (key 6, versions 0-8) comes from the controller: the brokers alive, and what has changed about
// partitions. The first one that names this broker makes it serve clients.
//
//	v5  partitions grouped by topic, the broker epoch is checked (KIP-380)
//	v7  topic ids (KIP-516)
//	v8  a KRaft controller says so (KIP-866)
func (h *Handler) updateMetadata(_ context.Context, _ *wire.Request, req *kmsg.UpdateMetadataRequest) wire.Reply {
	resp := req.ResponseKind().(*kmsg.UpdateMetadataResponse)
	err := h.fromController(req.IsKRaftController, req.BrokerEpoch)
	if err == nil {
		err = h.Replicas.AcceptController(req.ControllerEpoch)
	}
	if err != nil {
		resp.ErrorCode = kerr.CodeOf(err)
		return wire.Respond(resp)
	}
	h.Metadata.Update(req)
	if h.Metadata.Load().Broker(h.BrokerID) != nil {
		h.ready.open()
	}
	return wire.Respond(resp)
}
