package api

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/metadata"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/broker/wire"
)

// metadata (key 3, versions 0-12) describes the cluster as seen from the listener the client came in by: brokers,
// topics, and who leads each partition.
//
//	v0   an empty list means all topics, and dead replicas are left out
//	v1   null means all topics, an empty list none
//	v4   the client may forbid that a topic it names is created
//	v5   offline replicas
//	v7   leader epochs (KIP-320)
//	v8   authorized operations (KIP-430); there is no authorizer yet, so all are allowed
//	v10  topic ids in the answer; asking by id is refused until v12 (KIP-516)
func (h *Handler) metadata(ctx context.Context, r *wire.Request, req *kmsg.MetadataRequest) wire.Reply {
	q := describing{h: h, req: req, listener: r.Conn.Listener(), snapshot: h.Metadata.Load()}
	if err := q.refuseWhole(); err != nil {
		return wire.Respond(q.refused(err))
	}
	if req.Topics == nil || req.Version == 0 && len(req.Topics) == 0 {
		return wire.Respond(q.all())
	}
	resp := q.header()
	seen := make(map[string]bool, len(req.Topics))
	var unknown []kmsg.MetadataResponseTopic // behind the known ones, as in Kafka's answers
	for i := range req.Topics {
		t := q.asked(ctx, &req.Topics[i], seen)
		switch {
		case t == nil:
		case t.ErrorCode == 0:
			resp.Topics = append(resp.Topics, *t)
		default:
			unknown = append(unknown, *t)
		}
	}
	h.tellIDsOnDisk(r, q.snapshot.ControllerID(), unknown)
	resp.Topics = append(resp.Topics, unknown...)
	return wire.Respond(resp)
}

// describing is one Metadata request on its way.
type describing struct {
	h        *Handler
	req      *kmsg.MetadataRequest
	listener string
	snapshot *metadata.Snapshot
}

// all describes every topic.
func (q *describing) all() *kmsg.MetadataResponse {
	resp := q.header()
	resp.Topics = make([]kmsg.MetadataResponseTopic, 0, q.snapshot.TopicCount())
	for t := range q.snapshot.Topics() {
		resp.Topics = append(resp.Topics, q.topic(t))
	}
	return resp
}

// refuseWhole finds what spoils the request as a whole: ids before version 12 knows them, and neither name nor id.
func (q *describing) refuseWhole() error {
	for i := range q.req.Topics {
		t := &q.req.Topics[i]
		switch {
		case q.req.Version < 12 && q.req.Version >= 10 && (t.Topic == nil || t.TopicID != [16]byte{}):
			return kerr.InvalidRequest
		case t.Topic == nil && t.TopicID == [16]byte{}:
			return kerr.UnknownServerError
		}
	}
	return nil
}

func (q *describing) refused(err error) *kmsg.MetadataResponse {
	resp := q.req.ResponseKind().(*kmsg.MetadataResponse)
	resp.ControllerID, resp.AuthorizedOperations = -1, notAsked
	for i := range q.req.Topics {
		t := q.bare(kerr.CodeOf(err), q.req.Topics[i].Topic)
		t.TopicID = q.req.Topics[i].TopicID
		if t.Topic == nil {
			t.Topic = new(string)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

func (q *describing) header() *kmsg.MetadataResponse {
	resp := q.req.ResponseKind().(*kmsg.MetadataResponse)
	resp.ClusterID, resp.ControllerID = &q.h.ClusterID, q.snapshot.ControllerID()
	resp.AuthorizedOperations = operationsIf(q.req.IncludeClusterAuthorizedOperations, clusterOperations)
	for _, b := range q.snapshot.Brokers() {
		if e, ok := b.Endpoints[q.listener]; ok {
			resp.Brokers = append(resp.Brokers, kmsg.MetadataResponseBroker{NodeID: b.ID, Host: e.Host, Port: e.Port, Rack: b.Rack})
		}
	}
	return resp
}

// bare is a topic without partitions.
func (q *describing) bare(code int16, name *string) kmsg.MetadataResponseTopic {
	return kmsg.MetadataResponseTopic{ErrorCode: code, Topic: name, AuthorizedOperations: notAsked,
		IsInternal: name != nil && topic.IsInternal(*name)}
}

// asked describes one topic of the request, nil for one that was asked for before, by name or by id.
func (q *describing) asked(ctx context.Context, t *kmsg.MetadataRequestTopic, seen map[string]bool) *kmsg.MetadataResponseTopic {
	var name string
	if t.Topic != nil {
		name = *t.Topic
	} else {
		known := q.snapshot.TopicByID(t.TopicID)
		if known == nil {
			missing := q.bare(kerr.UnknownTopicID.Code, nil)
			missing.TopicID = t.TopicID
			return &missing
		}
		name = known.Name
	}
	if seen[name] {
		return nil
	}
	seen[name] = true
	out := q.byName(ctx, name)
	return &out
}

func (q *describing) byName(ctx context.Context, name string) kmsg.MetadataResponseTopic {
	if t := q.snapshot.Topic(name); t != nil {
		return q.topic(t)
	}
	err := topic.ValidateName(name)
	if err == nil {
		err = kerr.UnknownTopicOrPartition
		if q.h.Config.Broker().AutoCreateTopicsEnable && (q.req.Version < 4 || q.req.AllowAutoTopicCreation) {
			ctx, cancel := context.WithTimeout(ctx, q.h.Config.Broker().RequestTimeout)
			err = q.h.autoCreate(ctx, q.snapshot, name)
			cancel()
		}
	}
	return q.bare(kerr.CodeOf(err), &name)
}

func (q *describing) topic(t *metadata.Topic) kmsg.MetadataResponseTopic {
	out := kmsg.MetadataResponseTopic{Topic: &t.Name, TopicID: t.ID, IsInternal: topic.IsInternal(t.Name),
		AuthorizedOperations: operationsIf(q.req.IncludeTopicAuthorizedOperations, topicOperations),
		Partitions:           make([]kmsg.MetadataResponseTopicPartition, 0, len(t.Partitions))}
	for i := range t.Partitions {
		out.Partitions = append(out.Partitions, q.partition(&t.Partitions[i]))
	}
	return out
}

// partition describes one partition. A leader the client cannot reach by its listener is none to it.
func (q *describing) partition(p *metadata.Partition) kmsg.MetadataResponseTopicPartition {
	out := kmsg.MetadataResponseTopicPartition{Partition: p.ID, Leader: p.Leader, LeaderEpoch: p.LeaderEpoch,
		Replicas: p.Replicas, ISR: p.ISR, OfflineReplicas: q.offline(p)}
	if _, reachable := q.snapshot.Endpoint(p.Leader, q.listener); !reachable {
		out.Leader = metadata.NoLeader
		out.ErrorCode = kerr.LeaderNotAvailable.Code
		if q.req.Version >= 6 && q.snapshot.Broker(p.Leader) != nil {
			out.ErrorCode = kerr.ListenerNotFound.Code
		}
	}
	if q.req.Version == 0 {
		replicas, isr := q.alive(p.Replicas), q.alive(p.ISR)
		if out.ErrorCode == 0 && (len(replicas) < len(p.Replicas) || len(isr) < len(p.ISR)) {
			out.ErrorCode = kerr.ReplicaNotAvailable.Code
		}
		out.Replicas, out.ISR = replicas, isr
	}
	return out
}

// alive are the brokers the client can reach.
func (q *describing) alive(ids []int32) []int32 {
	return slices.DeleteFunc(slices.Clone(ids), func(id int32) bool {
		_, reachable := q.snapshot.Endpoint(id, q.listener)
		return !reachable
	})
}

// offline are the replicas on brokers that are away, or on disks that are.
func (q *describing) offline(p *metadata.Partition) []int32 {
	var away []int32
	for _, id := range p.Replicas {
		if q.snapshot.Broker(id) == nil || slices.Contains(p.Offline, id) {
			away = append(away, id)
		}
	}
	return away
}
