package api

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/wire"
)

// updateMetadata (key 6, versions 0-8) comes from the controller: the brokers alive, and what has changed about
// partitions. The first one that names this broker and its partitions makes it serve clients.
//
//	v5  partitions grouped by topic, the broker epoch is checked (KIP-380)
//	v7  topic ids (KIP-516)
//	v8  a KRaft controller says so (KIP-866)
func (h *Handler) updateMetadata(_ context.Context, _ *wire.Request, req *kmsg.UpdateMetadataRequest) wire.Reply {
	resp := req.ResponseKind().(*kmsg.UpdateMetadataResponse)
	err := h.fromController(req, req.ControllerID, req.IsKRaftController, req.BrokerEpoch)
	if err == nil {
		err = h.Replicas.FromController(req.ControllerEpoch, func() {
			h.Metadata.Update(req)
			h.introduced()
		})
	}
	resp.ErrorCode = kerr.CodeOf(err)
	return wire.Respond(resp)
}

// introductionGrace is how long a broker with logs waits for the partitions behind its introduction.
const introductionGrace = 2 * time.Second

// introduced opens the door to clients once the controller has named this broker. A controller's very first request
// names brokers only; a broker that has logs waits for the partitions too, or clients would be told
// for a moment that their topics do not exist. If the logs are all of topics long gone, the grace ends the wait.
func (h *Handler) introduced() {
	snapshot := h.Metadata.Load()
	switch {
	case h.ready.isOpen() || snapshot.Broker(h.BrokerID) == nil:
	case snapshot.PartitionCount() > 0 || len(h.Storage.Logs()) == 0:
		h.ready.open()
	default:
		time.AfterFunc(introductionGrace, h.ready.open)
	}
}
