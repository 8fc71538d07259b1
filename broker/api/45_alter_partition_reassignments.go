package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/wire"
)

// alterPartitionReassignments (key 45, version 0) begins, replaces or cancels reassignments (KIP-455). Only the
// controller's broker takes it; the answer tells which have begun, not that they are over. timeout_ms means nothing, as
// in Kafka.
func (h *Handler) alterPartitionReassignments(
	ctx context.Context, _ *wire.Request, req *kmsg.AlterPartitionAssignmentsRequest) wire.Reply {
	return wire.Respond(h.Controller.AlterPartitionReassignments(ctx, req))
}
