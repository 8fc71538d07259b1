package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/controller"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/metadata"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/broker/wire"
)

// Kinds of elections a client may ask for.
const (
	preferredElection = 0
	uncleanElection   = 1
)

// electLeaders (key 43, versions 0-2) holds elections: the preferred replica is to lead, or, where nobody does, any
// that lives (KIP-460). Only the controller's broker takes it, and answers once it has been told of the new leaders
// itself, or timeout_ms is over. Topics null stands for all partitions; those that need no election are left out then.
//
//	v0  preferred elections only
//	v1  the kind of the election, and an error for the whole
func (h *Handler) electLeaders(ctx context.Context, _ *wire.Request, req *kmsg.ElectLeadersRequest) wire.Reply {
	resp := req.ResponseKind().(*kmsg.ElectLeadersResponse)
	asked := h.partitionsToElect(req)
	if req.ElectionType != preferredElection && req.ElectionType != uncleanElection {
		resp.ErrorCode = kerr.UnknownServerError.Code // as Kafka, where the kind is an exception
		resp.Topics = answerElections(req, asked, refuseElections(asked, kerr.UnknownServerError), nil)
		return wire.Respond(resp)
	}
	elected, controls := h.Controller.ElectLeaders(ctx, asked, req.ElectionType == uncleanElection)
	if !controls {
		elected = refuseElections(asked, kerr.NotController)
	}
	visible := h.awaitPicture(ctx, max(req.TimeoutMillis, 0), func(s *metadata.Snapshot) bool {
		for tp, e := range elected {
			if e.Err == nil && !ledBy(s, tp, e.Leader) {
				return false
			}
		}
		return true
	})
	resp.Topics = answerElections(req, asked, elected, visible)
	return wire.Respond(resp)
}

// refuseElections gives every partition the same error.
func refuseElections(asked []topic.Partition, err error) map[topic.Partition]controller.Elected {
	refused := make(map[topic.Partition]controller.Elected, len(asked))
	for _, tp := range asked {
		refused[tp] = controller.Elected{Err: err}
	}
	return refused
}

// answerElections groups the outcomes by topic, in the order of the request; what was named twice is answered once.
func answerElections(req *kmsg.ElectLeadersRequest, asked []topic.Partition,
	elected map[topic.Partition]controller.Elected, visible *metadata.Snapshot) (topics []kmsg.ElectLeadersResponseTopic) {
	places := make(map[string]int) // in topics
	for _, tp := range asked {
		e, open := elected[tp]
		if !open || req.Topics == nil && e.Err == kerr.ElectionNotNeeded {
			continue
		}
		delete(elected, tp)
		place, known := places[tp.Topic]
		if !known {
			place = len(topics)
			places[tp.Topic] = place
			topics = append(topics, kmsg.ElectLeadersResponseTopic{Topic: tp.Topic})
		}
		t := &topics[place]
		t.Partitions = append(t.Partitions, electionAnswer(tp, e, visible))
	}
	return topics
}

// partitionsToElect are the partitions the request names, or all that this broker knows.
func (h *Handler) partitionsToElect(req *kmsg.ElectLeadersRequest) []topic.Partition {
	var asked []topic.Partition
	if req.Topics == nil {
		for t := range h.Metadata.Load().Topics() {
			for i := range t.Partitions {
				asked = append(asked, topic.Partition{Topic: t.Name, ID: t.Partitions[i].ID})
			}
		}
		return asked
	}
	for _, t := range req.Topics {
		for _, id := range t.Partitions {
			asked = append(asked, topic.Partition{Topic: t.Topic, ID: id})
		}
	}
	return asked
}

func ledBy(s *metadata.Snapshot, tp topic.Partition, leader int32) bool {
	p := s.Partition(tp)
	return p != nil && p.Leader == leader
}

// electionAnswer tells what an election came to. A leader that this broker has not been told of yet is late: whoever
// asks for metadata next would be sent to the old one.
func electionAnswer(tp topic.Partition, e controller.Elected, visible *metadata.Snapshot,
) kmsg.ElectLeadersResponseTopicPartition {
	a := kmsg.ElectLeadersResponseTopicPartition{Partition: tp.ID}
	switch {
	case e.Err == kerr.NotController || e.Err == kerr.UnknownServerError: // for which Kafka finds no words
		a.ErrorCode = kerr.CodeOf(e.Err)
	case e.Err != nil:
		a.ErrorCode, a.ErrorMessage = kerr.CodeOf(e.Err), kmsg.StringPtr(kerr.MessageOf(e.Err))
	case !ledBy(visible, tp, e.Leader):
		a.ErrorCode = kerr.RequestTimedOut.Code
	}
	return a
}
