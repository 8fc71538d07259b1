package api

import (
	"context"
	"math"
	"unicode/utf16"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/broker/wire"
)

// What a key of FindCoordinator names.
const (
	groupCoordinator       = 0
	transactionCoordinator = 1
)

// findCoordinator (key 10, versions 0-6) tells which broker coordinates a group or a transactional id: the leader of the
// partition of __consumer_offsets or __transaction_state that its name falls on.
//
//	v1  transactional ids too, and the error in words (KIP-98)
//	v4  many keys in one request (KIP-699)
//	v6  share groups (KIP-932), which there are none of
//
// Coordinators of ours do not exist yet. In a cluster with brokers of Kafka theirs do, so a client that asks us is sent
// there. Where the name of a transaction falls on us its client is told so, and does not ask for ever. A group's is told
// that there is none now: librdkafka asks also for readers that need none, and would end them.
func (h *Handler) findCoordinator(ctx context.Context, r *wire.Request, req *kmsg.FindCoordinatorRequest) wire.Reply {
	resp := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
	keys := req.CoordinatorKeys
	if req.Version < 4 {
		keys = []string{req.CoordinatorKey}
	}
	for _, key := range keys {
		id, at, err := h.coordinator(ctx, r.Conn.Listener(), req.CoordinatorType, key)
		c := kmsg.FindCoordinatorResponseCoordinator{Key: key, NodeID: id, Host: at.Host, Port: at.Port, ErrorCode: kerr.CodeOf(err)}
		if err != nil {
			text := kerr.MessageOf(err)
			c.ErrorMessage = &text
		}
		if req.Version < 4 {
			resp.ErrorCode, resp.ErrorMessage, resp.NodeID, resp.Host, resp.Port = c.ErrorCode, c.ErrorMessage, c.NodeID, c.Host, c.Port
		} else {
			resp.Coordinators = append(resp.Coordinators, c)
		}
	}
	return wire.Respond(resp)
}

// coordinator finds the coordinator of one key. COORDINATOR_NOT_AVAILABLE says to ask again later: its topic is only
// being made, or has no leader now. UNSUPPORTED_VERSION, which no client repeats: it would be us.
func (h *Handler) coordinator(ctx context.Context, listener string, kind int8, key string) (int32, node, error) {
	nobody := node{Port: -1}
	var of string
	switch kind {
	case groupCoordinator:
		of = topic.ConsumerOffsets
	case transactionCoordinator:
		of = topic.TransactionState
	default:
		return -1, nobody, kerr.InvalidRequest
	}
	snapshot := h.Metadata.Load()
	t := snapshot.Topic(of)
	if t == nil {
		if kind == transactionCoordinator {
			_ = h.autoCreate(ctx, snapshot, of) // whatever came of it, the client asks again
		}
		return -1, nobody, kerr.CoordinatorNotAvailable
	}
	id, _, at := h.currentLeader(listener, topic.Partition{Topic: of, ID: fallsOn(key, len(t.Partitions))})
	switch {
	case at == nil || id == h.BrokerID && kind == groupCoordinator:
		return -1, nobody, kerr.CoordinatorNotAvailable
	case id == h.BrokerID:
		return -1, nobody, kerr.New(kerr.UnsupportedVersion, "Broker %d leads the partition of %s that '%s' falls on, and does not "+
			"coordinate transactions yet", id, of, key)
	}
	return id, *at, nil
}

// fallsOn is the partition of an internal topic that keeps what belongs to a name.
func fallsOn(key string, partitions int) int32 {
	hash := javaHash(key)
	switch {
	case hash == math.MinInt32: // has no absolute value
		hash = 0
	case hash < 0:
		hash = -hash
	}
	return hash % int32(partitions)
}

// javaHash is java.lang.String.hashCode.
func javaHash(s string) (hash int32) {
	for _, unit := range utf16.Encode([]rune(s)) {
		hash = 31*hash + int32(unit)
	}
	return hash
}
