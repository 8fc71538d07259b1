package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/wire"
)

// listPartitionReassignments (key 46, version 0) tells which reassignments run, of the partitions named or, where
// topics is null, of all (KIP-455). Only the controller's broker takes it.
func (h *Handler) listPartitionReassignments(
	ctx context.Context, _ *wire.Request, req *kmsg.ListPartitionReassignmentsRequest) wire.Reply {
	return wire.Respond(h.Controller.ListPartitionReassignments(ctx, req))
}
