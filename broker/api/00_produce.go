package api

import (
	"context"
	"errors"
	"slices"
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

// produce (key 0, versions 0-11) appends record batches to partitions this broker leads.
//
//	v0-2  message sets, stored as one batch of magic 2
//	v3    transactional id, exactly one batch of magic 2 for each partition
//	v7    zstd
//	v8    errors of single records (KIP-467)
//	v10   the new leader beside NOT_LEADER_OR_FOLLOWER (KIP-951)
//	v11   TRANSACTION_ABORTABLE is understood (KIP-890)
//
// acks 0 is never answered; an error closes the connection instead, so that the client looks for a new leader.
// acks 1 is answered after the append, unless the broker may have slept through the end of its session meanwhile. acks -1 is answered when the high watermark has passed the records; until
// then the reply is pending and the connection goes on with its next produce.
func (h *Handler) produce(_ context.Context, r *wire.Request) wire.Reply {
	var req kmsg.ProduceRequest
	if err := r.Decode(&req); err != nil {
		return wire.Close("malformed Produce request: " + err.Error())
	}
	token := h.token()
	w := producing{h: h, resp: kmsg.ProduceResponse{Version: req.Version}, listener: r.Conn.Listener()}
	if verdict := h.refuseWhole(&req); verdict != nil {
		w.refuse(&req, verdict)
	} else {
		w.append(&req)
	}
	switch {
	case req.Acks == 0 && w.failed:
		return wire.Close("a produce with acks=0 failed: closing so that the producer refreshes its metadata")
	case req.Acks == 0:
		return wire.NoReply()
	case req.Acks == 1:
		return h.guarded(token, wire.Respond(&w.resp))
	case len(w.waits) == 0:
		return wire.Respond(&w.resp)
	}
	r.ReleaseBody()
	return wire.Later(w.await(time.Duration(req.TimeoutMillis) * time.Millisecond))
}

// refuseWhole finds what is wrong with the request as a whole; the error then answers each partition.
func (h *Handler) refuseWhole(req *kmsg.ProduceRequest) error {
	if req.Acks < -1 || req.Acks > 1 {
		return kerr.InvalidRequiredAcks
	}
	var producerID int64
	transactional := false
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			b := record.Batch(req.Topics[i].Partitions[j].Records)
			if len(b) < record.HeaderBytes || b.Magic() != 2 || !b.IsTransactional() {
				continue
			}
			if transactional && b.ProducerID() != producerID {
				return kerr.InvalidProducerIDMapping
			}
			transactional, producerID = true, b.ProducerID()
		}
	}
	switch {
	case !transactional:
		return nil
	case req.TransactionID == nil:
		return kerr.TransactionalIDAuthorizationFailed
	case h.Metadata.Load().Topic(topic.TransactionState) == nil:
		return kerr.NotEnoughReplicas // nobody can say whether the transaction is open; Kafka's retriable answer
	}
	return nil
}

// producing is one produce request on its way.
type producing struct {
	h        *Handler
	resp     kmsg.ProduceResponse
	listener string // by which the producer came in
	failed   bool
	waits    []replica.Replication
	waiting  [][2]int // waits[i] answers resp.Topics[waiting[i][0]].Partitions[waiting[i][1]]
}

func (w *producing) refuse(req *kmsg.ProduceRequest, verdict error) {
	w.failed = true
	for i := range req.Topics {
		t := kmsg.ProduceResponseTopic{Topic: strings.Clone(req.Topics[i].Topic)}
		for j := range req.Topics[i].Partitions {
			p := newProduceAnswer(req.Topics[i].Partitions[j].Partition)
			p.ErrorCode = kerr.CodeOf(verdict)
			t.Partitions = append(t.Partitions, p)
		}
		w.resp.Topics = append(w.resp.Topics, t)
	}
}

// append walks the partitions in order. Strings of req point into the request's buffer, those of resp must not.
func (w *producing) append(req *kmsg.ProduceRequest) {
	twice := namedTwice(req)
	w.resp.Topics = make([]kmsg.ProduceResponseTopic, len(req.Topics))
	for i := range req.Topics {
		in, out := &req.Topics[i], &w.resp.Topics[i]
		out.Partitions = make([]kmsg.ProduceResponseTopicPartition, len(in.Partitions))
		for j := range in.Partitions {
			tp := topic.Partition{Topic: in.Topic, ID: in.Partitions[j].Partition}
			answer := &out.Partitions[j]
			*answer = newProduceAnswer(tp.ID)
			p, err := w.h.leading(tp)
			if p != nil {
				out.Topic = p.Topic()
			}
			if err == nil && twice[tp] {
				err = kerr.New(kerr.InvalidRecord, "Partition %s is in the request more than once.", tp)
			}
			var done replica.Appended
			if err == nil {
				done, err = p.AppendAsLeader(in.Partitions[j].Records, req.Acks, storage.AppendOptions{
					Origin: storage.Client, ProduceVersion: req.Version,
					TransactionVerified: true}) // as with a coordinator that cannot verify (KIP-890)
			}
			if err != nil {
				w.fail(answer, tp, err)
				if p != nil && tellsLogStart(err) && len(in.Partitions[j].Records) > 0 {
					answer.LogStartOffset = p.Log().View().LogStartOffset
				}
				continue
			}
			if done.LastOffset < done.FirstOffset { // an empty message set, which versions below 3 may send
				continue
			}
			answer.BaseOffset, answer.LogAppendTime = done.FirstOffset, done.LogAppendTime
			answer.LogStartOffset = done.LogStartOffset
			if req.Acks == -1 && !done.Replicated {
				w.waits = append(w.waits, replica.Replication{Partition: p, End: done.LastOffset + 1, LeaderEpoch: done.LeaderEpoch})
				w.waiting = append(w.waiting, [2]int{i, j})
			}
		}
		if out.Topic == "" {
			out.Topic = strings.Clone(in.Topic)
		}
	}
}

// namedTwice finds partitions that stand in the request more than once: Kafka appends one of the two and answers
// once, which loses records. The map is nil in every sane request.
func namedTwice(req *kmsg.ProduceRequest) map[topic.Partition]bool {
	n := 0
	for i := range req.Topics {
		n += len(req.Topics[i].Partitions)
	}
	if n == 1 {
		return nil
	}
	all := make([]topic.Partition, 0, n)
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			all = append(all, topic.Partition{Topic: req.Topics[i].Topic, ID: req.Topics[i].Partitions[j].Partition})
		}
	}
	slices.SortFunc(all, topic.Partition.Compare)
	var twice map[topic.Partition]bool
	for i := 1; i < len(all); i++ {
		if all[i] == all[i-1] {
			if twice == nil {
				twice = make(map[topic.Partition]bool)
			}
			twice[all[i]] = true
		}
	}
	return twice
}

// fail writes an error in the form its version has.
func (w *producing) fail(answer *kmsg.ProduceResponseTopicPartition, tp topic.Partition, err error) {
	w.failed = true
	answer.ErrorCode = codeFor(w.resp.Version, err)
	var records *storage.RecordErrors
	if errors.As(err, &records) {
		for _, e := range records.Records {
			answer.ErrorRecords = append(answer.ErrorRecords, kmsg.ProduceResponseTopicPartitionErrorRecord{
				RelativeOffset: e.Index, ErrorMessage: &e.Message})
		}
		answer.ErrorMessage = kmsg.StringPtr(kerr.MessageOf(err))
	}
	switch {
	case errors.Is(err, kerr.NotLeaderOrFollower) && w.resp.Version >= 10:
		w.nameLeader(answer, tp)
	case answer.ErrorCode == kerr.UnknownServerError.Code:
		w.h.Logger.Error("Error processing append operation on partition", zap.Stringer("partition", tp), zap.Error(err))
	}
}

// codeFor is the code of err in a version of Produce: producers of version 3 and below do not know
// KAFKA_STORAGE_ERROR and would give up, where another leader may be had (KIP-112).
func codeFor(version int16, err error) int16 {
	if errors.Is(err, kerr.KafkaStorageError) && version <= 3 {
		return kerr.NotLeaderOrFollower.Code
	}
	return kerr.CodeOf(err)
}

// tellsLogStart names the errors whose answers have the log start: those found when the log had been looked at.
func tellsLogStart(err error) bool {
	return errors.Is(err, kerr.InvalidRecord) || errors.Is(err, kerr.InvalidTimestamp) || errors.Is(err, kerr.NotEnoughReplicas)
}

// nameLeader tells the producer whom to ask instead (KIP-951).
func (w *producing) nameLeader(answer *kmsg.ProduceResponseTopicPartition, tp topic.Partition) {
	leader, epoch, node := w.h.currentLeader(w.listener, tp)
	answer.CurrentLeader.LeaderID, answer.CurrentLeader.LeaderEpoch = leader, epoch
	if node == nil || slices.ContainsFunc(w.resp.Brokers, func(b kmsg.ProduceResponseBroker) bool { return b.NodeID == leader }) {
		return
	}
	w.resp.Brokers = append(w.resp.Brokers,
		kmsg.ProduceResponseBroker{NodeID: leader, Host: node.Host, Port: node.Port, Rack: node.Rack})
}

// await parks the answer until each partition is replicated or has failed.
func (w *producing) await(timeout time.Duration) *wire.Pending {
	pending := wire.NewPending()
	replica.AwaitReplication(timeout, w.waits, func(errs []error) {
		for i, err := range errs {
			if err != nil {
				t := &w.resp.Topics[w.waiting[i][0]]
				answer := &t.Partitions[w.waiting[i][1]]
				w.fail(answer, topic.Partition{Topic: t.Topic, ID: answer.Partition}, err)
			}
		}
		pending.Complete(wire.Respond(&w.resp))
	})
	return pending
}

func newProduceAnswer(partition int32) kmsg.ProduceResponseTopicPartition {
	p := kmsg.ProduceResponseTopicPartition{Partition: partition, BaseOffset: -1, LogAppendTime: -1, LogStartOffset: -1}
	p.CurrentLeader.Default()
	return p
}
