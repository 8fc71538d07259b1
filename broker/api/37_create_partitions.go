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

// createPartitions (key 37, versions 0-3) adds partitions to topics. Only the controller's broker takes it; the
// answer waits until the new partitions have leaders here, or timeout_ms is over (KIP-195).
func (h *Handler) createPartitions(
	ctx context.Context, _ *wire.Request, req *kmsg.CreatePartitionsRequest) wire.Reply {
	resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
	added := make([]map[int32][]int32, len(req.Topics)) // nil where it failed
	twice := repeated(req.Topics, func(t *kmsg.CreatePartitionsRequestTopic) string { return t.Topic })
	for i := range req.Topics {
		a := kmsg.NewCreatePartitionsResponseTopic()
		a.Topic = req.Topics[i].Topic
		var err error
		added[i], err = h.growTopic(ctx, &req.Topics[i], twice, req.ValidateOnly)
		a.ErrorCode, a.ErrorMessage = h.outcome("adding partitions to topic "+a.Topic, err)
		resp.Topics = append(resp.Topics, a)
	}
	if req.ValidateOnly {
		return wire.Respond(resp)
	}
	ready := func(s *metadata.Snapshot) bool {
		for i := range added {
			if added[i] != nil && !led(s, resp.Topics[i].Topic, added[i]) {
				return false
			}
		}
		return true
	}
	s := h.Metadata.Load()
	if req.TimeoutMillis > 0 {
		s = h.awaitPicture(ctx, req.TimeoutMillis, ready)
	}
	for i := range added {
		if added[i] != nil && (req.TimeoutMillis <= 0 || !led(s, resp.Topics[i].Topic, added[i])) {
			resp.Topics[i].ErrorCode = kerr.RequestTimedOut.Code
		}
	}
	return wire.Respond(resp)
}

// growTopic adds partitions to one topic of the request and returns the new ones with their replicas.
func (h *Handler) growTopic(ctx context.Context, asked *kmsg.CreatePartitionsRequestTopic, twice map[string]bool,
	validateOnly bool) (map[int32][]int32, error) {
	if !h.controls() {
		return nil, kerr.NotController
	}
	if twice[asked.Topic] {
		return nil, kerr.New(kerr.InvalidRequest, "Duplicate topic in request.")
	}
	name := asked.Topic
	s, err := h.session(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := s.Exists(ctx, zkmeta.DeleteTopicPath(name)); err == nil {
		return nil, kerr.New(kerr.InvalidTopicException, "The topic is queued for deletion.")
	} else if !errors.Is(err, zkmeta.ErrNoNode) {
		return nil, err
	}
	existing, err := s.ReadTopic(ctx, name)
	if errors.Is(err, zkmeta.ErrNoNode) {
		return nil, kerr.New(kerr.UnknownTopicOrPartition, "The topic '%s' does not exist.", name)
	} else if err != nil {
		return nil, err
	}
	added, err := planGrowth(name, existing, asked, racks(h.Metadata.Load()))
	if err != nil || validateOnly {
		return nil, err
	}
	grown := existing.Clone()
	for id, replicas := range added {
		grown.Partitions[id] = replicas
	}
	return added, s.AddPartitions(ctx, name, grown)
}

// planGrowth checks what is asked and gives the new partitions with their replicas, with the words of Kafka's
// ZkAdminManager and AdminZkClient.
func planGrowth(name string, existing zkmeta.TopicAssignment, asked *kmsg.CreatePartitionsRequestTopic,
	brokers []topic.BrokerRack) (map[int32][]int32, error) {
	if len(existing.Adding)+len(existing.Removing) > 0 {
		return nil, kerr.New(kerr.ReassignmentInProgress,
			"A partition reassignment is in progress for the topic '%s'.", name)
	}
	old := int32(len(existing.Partitions))
	increment := asked.Count - old
	switch {
	case increment < 0:
		return nil, kerr.New(kerr.InvalidPartitions,
			"Topic currently has %d partitions, which is higher than the requested %d.", old, asked.Count)
	case increment == 0:
		return nil, kerr.New(kerr.InvalidPartitions, "Topic already has %d partitions.", old)
	case asked.Count > maxPartitions:
		return nil, tooManyPartitions(asked.Count)
	}
	first := existing.Partitions[0]
	if len(first) == 0 {
		return nil, kerr.New(kerr.UnknownServerError, "partition 0 of topic %s has no replicas in ZooKeeper", name)
	}
	if asked.Assignment == nil {
		start := max(slices.IndexFunc(brokers, func(b topic.BrokerRack) bool { return b.ID >= first[0] }), 0)
		return topic.AssignReplicas(brokers, old, increment, len(first), start, start)
	}
	return assignedGrowth(old, increment, len(first), asked.Assignment, brokers)
}

// assignedGrowth takes the replicas the request names for the new partitions.
func assignedGrowth(old, increment int32, factor int, asked []kmsg.CreatePartitionsRequestTopicAssignment,
	brokers []topic.BrokerRack) (map[int32][]int32, error) {
	refuse := func(format string, args ...any) (map[int32][]int32, error) {
		return nil, kerr.New(kerr.InvalidReplicaAssignment, format, args...)
	}
	var unknown []int32
	for _, a := range asked {
		for _, id := range a.Replicas {
			lives := slices.ContainsFunc(brokers, func(b topic.BrokerRack) bool { return b.ID == id })
			if !lives && !slices.Contains(unknown, id) {
				unknown = append(unknown, id)
			}
		}
	}
	if len(unknown) > 0 {
		return refuse("Unknown broker(s) in replica assignment: %s.", joinIDs(unknown))
	}
	if len(asked) != int(increment) {
		return refuse("Increasing the number of partitions by %d but %d assignments provided.", increment, len(asked))
	}
	added := make(map[int32][]int32, len(asked))
	var odd, factors []int32
	for i, a := range asked {
		id := old + int32(i)
		if len(a.Replicas) == 0 {
			return refuse("Cannot have replication factor of 0 for partition id %d.", id)
		}
		if repeats(a.Replicas) {
			return refuse("Duplicate brokers not allowed in replica assignment: %s for partition id %d.",
				joinIDs(a.Replicas), id)
		}
		if len(a.Replicas) != factor {
			odd, factors = append(odd, id), append(factors, int32(len(a.Replicas)))
		}
		added[id] = a.Replicas
	}
	if len(odd) > 0 {
		return refuse("Inconsistent replication factor between partitions, partition 0 has %d while partitions [%s] have "+
			"replication factors [%s], respectively.", factor, joinIDs(odd), joinIDs(factors))
	}
	return added, nil
}
