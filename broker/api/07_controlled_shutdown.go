package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/wire"
)

// controlledShutdown (key 7, versions 0-3) comes from a broker that is about to stop: the controller moves its
// leaderships away and answers which ones remain.
//
//	v0  a request header without client id
//	v2  the broker epoch is checked (KIP-380)
func (h *Handler) controlledShutdown(ctx context.Context, _ *wire.Request, req *kmsg.ControlledShutdownRequest) wire.Reply {
	token := h.token()
	return h.guarded(token, wire.Respond(h.Controller.ControlledShutdown(ctx, req)))
}
