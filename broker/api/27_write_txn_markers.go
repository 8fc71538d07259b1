package api

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/replica"
	"github.com/zurau/zurau/broker/storage"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/broker/wire"
)

// writeTxnMarkers (key 27, versions 0-1) ends transactions in the partitions this broker leads: a transaction
// coordinator, of Kafka's kind or of ours, has decided them and sends a marker for each producer (KIP-98). A marker is a
// control batch that all in-sync replicas must have before it is answered, for the coordinator forgets the transaction
// then.
//
//	v1  flexible
//
// Every partition asked for is answered, once, under its producer id: a Java coordinator takes a missing one for a
// broken law, and its sender ends at a code it does not expect. So only those of markerCode are told.
func (h *Handler) writeTxnMarkers(ctx context.Context, r *wire.Request, req *kmsg.WriteTxnMarkersRequest) wire.Reply {
	w := marking{h: h, answers: make(map[markerKey]*markerAnswer)}
	for i := range req.Markers {
		w.append(&req.Markers[i])
	}
	r.ReleaseBody()
	if len(w.waits) > 0 && !w.await(ctx, h.Config.Broker().RequestTimeout) {
		return wire.Close("the broker stops before the markers are replicated")
	}
	resp := req.ResponseKind().(*kmsg.WriteTxnMarkersResponse)
	resp.Markers = w.response()
	return wire.Respond(resp)
}

// marking is one request's markers on their way.
type marking struct {
	h       *Handler
	order   []*markerAnswer
	answers map[markerKey]*markerAnswer
	waits   []replica.Replication
	waiting []*markerAnswer // waits[i] decides about waiting[i]
}

// markerKey names what is answered once, also when a request names it twice.
type markerKey struct {
	producerID int64
	tp         topic.Partition
}

type markerAnswer struct {
	markerKey
	err error
}

// append writes one producer's markers. Strings of the request point into its buffer; those kept do not.
func (w *marking) append(m *kmsg.WriteTxnMarkersRequestMarker) {
	marker := record.EndTxnMarker{ProducerID: m.ProducerID, ProducerEpoch: m.ProducerEpoch, Type: record.Abort,
		CoordinatorEpoch: m.CoordinatorEpoch, Timestamp: time.Now().UnixMilli()}
	if m.Committed {
		marker.Type = record.Commit
	}
	for i := range m.Topics {
		name := strings.Clone(m.Topics[i].Topic)
		for _, id := range m.Topics[i].Partitions {
			key := markerKey{m.ProducerID, topic.Partition{Topic: name, ID: id}}
			a := w.answers[key]
			if a == nil {
				a = &markerAnswer{markerKey: key}
				w.answers[key], w.order = a, append(w.order, a)
			}
			if a.err != nil {
				continue // the transaction is not over here: what follows it must not come first
			}
			wait, err := w.h.appendMarker(key.tp, marker)
			if a.err = err; wait.Partition != nil {
				w.waits, w.waiting = append(w.waits, wait), append(w.waiting, a)
			}
		}
	}
}

// appendMarker writes a marker to a partition led here, of whatever topic. What is returned has no Partition when
// there is nothing to wait for.
func (h *Handler) appendMarker(tp topic.Partition, marker record.EndTxnMarker) (replica.Replication, error) {
	p := h.Replicas.Partition(tp)
	if p == nil {
		return replica.Replication{}, h.missing(tp)
	}
	done, err := p.AppendAsLeader(marker.Append(nil), -1, storage.AppendOptions{Origin: storage.Coordinator})
	if err != nil || done.Replicated {
		return replica.Replication{}, err
	}
	return replica.Replication{Partition: p, End: done.LastOffset + 1, LeaderEpoch: done.LeaderEpoch}, nil
}

// await waits until every marker is replicated or has failed; false at the end of ctx.
func (w *marking) await(ctx context.Context, timeout time.Duration) bool {
	settled := make(chan []error, 1)
	replica.AwaitReplication(timeout, w.waits, func(errs []error) { settled <- errs })
	select {
	case errs := <-settled:
		for i, a := range w.waiting {
			if a.err == nil {
				a.err = errs[i]
			}
		}
		return true
	case <-ctx.Done():
		return false
	}
}

// response lists the answers by producer and topic, in the order of the request.
func (w *marking) response() []kmsg.WriteTxnMarkersResponseMarker {
	var producers []kmsg.WriteTxnMarkersResponseMarker
	place := make(map[int64]int) // in producers
	for _, a := range w.order {
		i, known := place[a.producerID]
		if !known {
			i = len(producers)
			place[a.producerID] = i
			producers = append(producers, kmsg.WriteTxnMarkersResponseMarker{ProducerID: a.producerID})
		}
		m := &producers[i]
		if n := len(m.Topics); n == 0 || m.Topics[n-1].Topic != a.tp.Topic {
			m.Topics = append(m.Topics, kmsg.WriteTxnMarkersResponseMarkerTopic{Topic: a.tp.Topic})
		}
		t := &m.Topics[len(m.Topics)-1]
		t.Partitions = append(t.Partitions, kmsg.WriteTxnMarkersResponseMarkerTopicPartition{
			Partition: a.tp.ID, ErrorCode: w.h.markerCode(a)})
	}
	return producers
}

// markerErrors are those a Java coordinator knows what to do about (TransactionMarkerRequestCompletionHandler): it tries
// again after the first six, and gives its transaction up after the last two.
var markerErrors = []*kerr.Error{kerr.UnknownTopicOrPartition, kerr.NotLeaderOrFollower, kerr.NotEnoughReplicas,
	kerr.NotEnoughReplicasAfterAppend, kerr.RequestTimedOut, kerr.KafkaStorageError, kerr.InvalidProducerEpoch,
	kerr.TransactionCoordinatorFenced}

// markerCode is the code of an answer. Whatever else goes wrong is told as KAFKA_STORAGE_ERROR, after which the
// coordinator tries again: the transaction has been decided, and must end in this partition too.
func (h *Handler) markerCode(a *markerAnswer) int16 {
	if a.err == nil {
		return 0
	}
	for _, e := range markerErrors {
		if errors.Is(a.err, e) {
			return e.Code
		}
	}
	h.Logger.Error("A transaction marker was not written", zap.Stringer("partition", a.tp),
		zap.Int64("producer_id", a.producerID), zap.Error(a.err))
	return kerr.KafkaStorageError.Code
}
