package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/wire"
)

// leaderAndIsr (key 4, versions 0-7) comes from the controller: who leads the partitions this broker hosts.
//
//	v2  partitions grouped by topic, the broker epoch is checked (KIP-380)
//	v3  adding and removing replicas (KIP-455)
//	v5  topic ids (KIP-516)
//	v6  leader recovery state (KIP-704)
//	v7  a KRaft controller says so (KIP-866); none may lead us
//
// A request that gives this broker the lead of something waits while its session may have expired: another broker may
// be about to get what the request speaks of. Once the session is proven, or the broker has registered anew, the epochs
// tell whether the request still holds.
func (h *Handler) leaderAndIsr(ctx context.Context, _ *wire.Request, req *kmsg.LeaderAndISRRequest) wire.Reply {
	if h.AwaitLease != nil && h.Replicas.BringsLead(req) {
		if err := h.AwaitLease(ctx); err != nil {
			return wire.Close("new leadership waits for a living ZooKeeper session, and the connection ended before: " + err.Error())
		}
	}
	if err := h.fromController(req, req.ControllerID, req.IsKRaftController, req.BrokerEpoch); err != nil {
		resp := req.ResponseKind().(*kmsg.LeaderAndISRResponse)
		resp.ErrorCode = kerr.CodeOf(err)
		return wire.Respond(resp)
	}
	return wire.Respond(h.Replicas.LeaderAndIsr(req))
}

// fromController refuses a request meant for an earlier life of this broker (KIP-380), or sent by a KRaft
// controller: zurau takes no part in a migration away from ZooKeeper. The epoch may be larger than ours, when the
// controller saw our registration before we did, or -1, from a version or a sender without it.
func (h *Handler) fromController(req kmsg.Request, controller int32, kraft bool, brokerEpoch int64) error {
	h.peers.heard(controller, req)
	if kraft {
		h.Logger.Error("Refusing a KRaft controller: this broker takes no part in a migration away from ZooKeeper")
		return kerr.StaleControllerEpoch
	}
	if brokerEpoch != -1 && brokerEpoch < h.BrokerEpoch() {
		return kerr.StaleBrokerEpoch
	}
	return nil
}
