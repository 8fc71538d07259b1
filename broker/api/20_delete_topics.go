package api

import (
	"context"
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/metadata"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/broker/wire"
	"github.com/zurau/zurau/zkmeta"
)

// deleteTopics (key 20, versions 0-6) marks topics for deletion. Only the controller's broker takes it; the
// answer waits until the topics are gone from what this broker knows, or timeout_ms is over. A topic that is
// marked already is waited for like any other.
//
//	v3  TOPIC_DELETION_DISABLED where delete.topic.enable is false; below, INVALID_REQUEST
//	v6  topics by name or by id (KIP-516)
func (h *Handler) deleteTopics(ctx context.Context, _ *wire.Request, req *kmsg.DeleteTopicsRequest) wire.Reply {
	resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	for _, name := range req.TopicNames {
		req.Topics = append(req.Topics, kmsg.DeleteTopicsRequestTopic{Topic: &name})
	}
	refused := h.refuseDeletion(req)
	var marked []string
	for _, asked := range req.Topics {
		a := kmsg.DeleteTopicsResponseTopic{Topic: asked.Topic, TopicID: asked.TopicID}
		name, err := "", refused
		if err == nil {
			name, err = h.deleteTopic(ctx, asked)
		}
		if name != "" {
			a.Topic = &name
		}
		a.ErrorCode, a.ErrorMessage = h.outcome("deleting topic "+name, err)
		if err == nil {
			marked = append(marked, name)
		}
		resp.Topics = append(resp.Topics, a)
	}
	s := h.Metadata.Load()
	if req.TimeoutMillis > 0 && len(marked) > 0 {
		s = h.awaitPicture(ctx, req.TimeoutMillis, func(s *metadata.Snapshot) bool {
			return !slices.ContainsFunc(marked, func(name string) bool { return s.Topic(name) != nil })
		})
	}
	for i := range resp.Topics {
		a := &resp.Topics[i]
		if a.ErrorCode == 0 && (req.TimeoutMillis <= 0 || s.Topic(*a.Topic) != nil) {
			a.ErrorCode = kerr.RequestTimedOut.Code
		}
	}
	return wire.Respond(resp)
}

// refuseDeletion says why no topic of the request can be deleted, nil if they can.
func (h *Handler) refuseDeletion(req *kmsg.DeleteTopicsRequest) error {
	switch {
	case !h.controls():
		return kerr.NotController
	case !h.Config.Broker().DeleteTopicEnable && req.Version < 3:
		return kerr.InvalidRequest
	case !h.Config.Broker().DeleteTopicEnable:
		return kerr.TopicDeletionDisabled
	}
	for _, t := range req.Topics {
		if t.Topic != nil && !topic.ID(t.TopicID).IsZero() {
			return kerr.New(kerr.InvalidRequest, "Topic name and topic ID can not both be specified.")
		}
	}
	return nil
}

// deleteTopic marks one topic and returns its name, "" when the id is not known.
func (h *Handler) deleteTopic(ctx context.Context, asked kmsg.DeleteTopicsRequestTopic) (string, error) {
	snapshot := h.Metadata.Load()
	var t *metadata.Topic
	if asked.Topic == nil {
		if t = snapshot.TopicByID(asked.TopicID); t == nil {
			return "", kerr.UnknownTopicID
		}
	} else if t = snapshot.Topic(*asked.Topic); t == nil {
		return *asked.Topic, kerr.UnknownTopicOrPartition
	}
	s, err := h.session(ctx)
	if err != nil {
		return t.Name, err
	}
	if _, err := s.Exists(ctx, zkmeta.TopicPath(t.Name)); errors.Is(err, zkmeta.ErrNoNode) {
		return t.Name, kerr.UnknownTopicOrPartition
	} else if err != nil {
		return t.Name, err
	}
	if err := s.MarkTopicDeleted(ctx, t.Name); err != nil && !errors.Is(err, zkmeta.ErrNodeExists) {
		return t.Name, err
	}
	return t.Name, nil
}
