package api

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/metadata"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/broker/wire"
)

// createTopics (key 19, versions 0-7) makes topics. Only the controller's broker takes it; the topic comes to
// life by way of ZooKeeper, and the answer waits until this broker has been told of its leaders, or timeout_ms
// is over. A timeout of 0 starts the creation and answers REQUEST_TIMED_OUT at once.
//
//	v1  messages beside the codes, and validate_only
//	v4  partitions and replication factor -1 stand for the broker's defaults (KIP-464); we take them at any version
//	v5  the answer tells the configuration (KIP-525)
//	v7  and the topic's id (KIP-516)
func (h *Handler) createTopics(ctx context.Context, _ *wire.Request, req *kmsg.CreateTopicsRequest) wire.Reply {
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	made := make([]*newTopic, len(req.Topics))
	twice := repeated(req.Topics, func(t *kmsg.CreateTopicsRequestTopic) string { return t.Topic })
	for i := range req.Topics {
		t, id, err := h.createTopic(ctx, &req.Topics[i], twice, req.ValidateOnly)
		a := createdTopic(req.Topics[i].Topic)
		a.ErrorCode, a.ErrorMessage = h.outcome("creating topic "+a.Topic, err)
		if err == nil {
			made[i] = &t
			a.TopicID, a.Configs = id, h.createdConfigs(t)
			a.NumPartitions, a.ReplicationFactor = int32(len(t.assignment)), int16(len(t.assignment[0]))
		}
		resp.Topics = append(resp.Topics, a)
	}
	if req.ValidateOnly {
		return wire.Respond(resp)
	}
	ready := func(s *metadata.Snapshot) bool {
		return !slices.ContainsFunc(made, func(t *newTopic) bool { return t != nil && !led(s, t.name, t.assignment) })
	}
	s := h.Metadata.Load()
	if req.TimeoutMillis > 0 {
		s = h.awaitPicture(ctx, req.TimeoutMillis, ready)
	}
	for i, t := range made {
		if t != nil && (req.TimeoutMillis <= 0 || !led(s, t.name, t.assignment)) {
			late := createdTopic(t.name)
			late.TopicID, late.ErrorCode = resp.Topics[i].TopicID, kerr.RequestTimedOut.Code
			resp.Topics[i] = late
		}
	}
	return wire.Respond(resp)
}

// createdTopic is the answer about a topic of which nothing is known yet. Its configuration is empty, not null.
func createdTopic(name string) kmsg.CreateTopicsResponseTopic {
	a := kmsg.NewCreateTopicsResponseTopic()
	a.Topic, a.Configs = name, []kmsg.CreateTopicsResponseTopicConfig{}
	return a
}

// createTopic plans and, unless it is only to be validated, makes one topic of the request.
func (h *Handler) createTopic(ctx context.Context, asked *kmsg.CreateTopicsRequestTopic, twice map[string]bool,
	validateOnly bool) (t newTopic, id topic.ID, err error) {
	if !h.controls() {
		return t, id, kerr.NotController
	}
	if twice[asked.Topic] {
		return t, id, kerr.New(kerr.InvalidRequest, "Found multiple entries for this topic.")
	}
	w, err := wishOf(asked)
	if err != nil {
		return t, id, err
	}
	s, err := h.session(ctx)
	if err != nil {
		return t, id, err
	}
	if t, err = h.planTopic(ctx, s, h.Metadata.Load(), w); err != nil || validateOnly {
		return t, id, err
	}
	id, err = h.makeTopic(ctx, s, t)
	return t, id, err
}

// wishOf is what the request says of one topic.
func wishOf(asked *kmsg.CreateTopicsRequestTopic) (topicWish, error) {
	w := topicWish{
		name:       asked.Topic,
		partitions: asked.NumPartitions,
		factor:     asked.ReplicationFactor,
		configs:    make(map[string]string, len(asked.Configs)),
	}
	var nulls []string
	for _, c := range asked.Configs {
		if c.Value == nil {
			nulls = append(nulls, c.Name)
			continue
		}
		w.configs[c.Name] = *c.Value
	}
	if len(nulls) > 0 {
		return w, kerr.New(kerr.InvalidConfig, "Null value not supported for topic configs: %s",
			strings.Join(nulls, ","))
	}
	if len(asked.ReplicaAssignment) > 0 {
		w.assignment = make(map[int32][]int32, len(asked.ReplicaAssignment))
		for _, p := range asked.ReplicaAssignment {
			w.assignment[p.Partition] = p.Replicas
		}
	}
	return w, nil
}

func (h *Handler) createdConfigs(t newTopic) []kmsg.CreateTopicsResponseTopicConfig {
	entries := t.describe(h.Config)
	configs := make([]kmsg.CreateTopicsResponseTopicConfig, 0, len(entries))
	for _, e := range entries {
		configs = append(configs, kmsg.CreateTopicsResponseTopicConfig{
			Name: e.Name, Value: e.Value, ReadOnly: e.ReadOnly, Source: int8(e.Source), IsSensitive: e.Sensitive})
	}
	return configs
}

// joinIDs prints broker ids as Kafka lists them.
func joinIDs(ids []int32) string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = strconv.Itoa(int(id))
	}
	return strings.Join(words, ", ")
}
