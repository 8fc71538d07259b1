package controller

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// Reassignments are asked for in two ways: by the znode /admin/reassign_partitions, as tools did up to 2.8, and by
// AlterPartitionReassignments (KIP-455). Either may name a partition that the other moves already; the latest wins.

// reassignmentsRequested takes up what /admin/reassign_partitions asks for (Kafka: ZkPartitionReassignment). A line
// stays there until its reassignment is finished; one that cannot be carried out is taken away.
func (t *term) reassignmentsRequested() {
	list, err := t.readRequests()
	if err != nil || list == nil {
		return
	}
	moves := make(map[topic.Partition]move, len(list))
	refused := make(map[topic.Partition]error)
	for _, asked := range list {
		p := t.cluster.find(asked.Partition)
		switch {
		case p == nil || t.cluster.isBeingDeleted(asked.Partition.Topic):
			refused[asked.Partition] = errNoPartition
		case checkTarget(asked.Replicas) != nil:
			refused[asked.Partition] = checkTarget(asked.Replicas)
		case p.reassigned() && slices.Equal(p.target(), asked.Replicas):
			delete(moves, asked.Partition) // it runs
		default:
			moves[asked.Partition] = t.planMove(p, asked.Replicas)
		}
	}
	for tp, err := range t.reassign(sortedMoves(moves)) {
		refused[tp] = err
	}
	for tp, err := range refused {
		t.log.Warn("A reassignment asked for in ZooKeeper is refused", zap.Stringer("partition", tp), zap.Error(err))
	}
	if len(refused) > 0 || len(list) == 0 {
		t.dropRequests(func(asked zkmeta.Reassignment) bool { return refused[asked.Partition] != nil })
	}
}

func sortedMoves(moves map[topic.Partition]move) []move {
	var sorted []move
	for _, of := range byTopic(moves) {
		sorted = append(sorted, of...)
	}
	return sorted
}

// readRequests reads /admin/reassign_partitions; nil when there is none.
func (t *term) readRequests() (list []zkmeta.Reassignment, err error) {
	err = t.read(func(ctx context.Context) (err error) {
		list, err = t.zk.ReadReassignments(ctx)
		return err
	})
	if err != nil && t.alive() {
		t.log.Error("Reassignments were asked for in words nobody understands", zap.Error(err))
	}
	return list, err
}

// dropRequests takes lines out of /admin/reassign_partitions. The znode goes with its last line, which is how a tool
// learns that it may ask for more.
func (t *term) dropRequests(finished func(zkmeta.Reassignment) bool) {
	list, err := t.readRequests()
	if err != nil || list == nil {
		return
	}
	left := slices.DeleteFunc(slices.Clone(list), finished)
	if len(left) == len(list) && len(left) > 0 {
		return
	}
	t.write("the rest of the reassignments asked for", func(ctx context.Context) error {
		return t.zk.SetReassignments(ctx, t.epoch, left)
	})
}

// AlterPartitionReassignments begins, replaces and, where the replicas are null, cancels reassignments (45). It answers
// when they have begun.
func (c *Controller) AlterPartitionReassignments(
	ctx context.Context, req *kmsg.AlterPartitionAssignmentsRequest,
) *kmsg.AlterPartitionAssignmentsResponse {
	refused := req.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
	refused.ErrorCode, refused.ErrorMessage = kerr.NotController.Code, kmsg.StringPtr(kerr.NotController.Text)
	asked := make(map[topic.Partition][]int32)
	for _, rt := range req.Topics { // cloned: the loop may come to it when the connection has taken its buffer back
		name := strings.Clone(rt.Topic)
		for _, rp := range rt.Partitions {
			asked[topic.Partition{Topic: name, ID: rp.Partition}] = slices.Clone(rp.Replicas)
		}
	}
	return call(ctx, c, "ApiPartitionReassignment", refused, func(t *term) *kmsg.AlterPartitionAssignmentsResponse {
		results := t.alterReassignments(asked)
		if !t.alive() {
			return refused
		}
		resp := req.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
		resp.ErrorMessage = kmsg.StringPtr("") // not null, as Kafka
		for name, parts := range byTopic(results) {
			resp.Topics = append(resp.Topics, kmsg.AlterPartitionAssignmentsResponseTopic{Topic: name, Partitions: parts})
		}
		return resp
	})
}

type reassignmentAnswer = kmsg.AlterPartitionAssignmentsResponseTopicPartition

func (t *term) alterReassignments(asked map[topic.Partition][]int32) map[topic.Partition]reassignmentAnswer {
	failed := make(failures)
	moves := make(map[topic.Partition]move)
	for tp, target := range asked {
		p, err := t.checkReassignment(tp, target)
		switch {
		case err != nil:
			failed[tp] = err
		case target == nil:
			moves[tp] = t.planMove(p, p.origin())
		default:
			moves[tp] = t.planMove(p, target)
		}
	}
	if len(moves) > 0 {
		t.dropRequests(func(z zkmeta.Reassignment) bool { _, replaced := moves[z.Partition]; return replaced })
		for tp, err := range t.reassign(sortedMoves(moves)) {
			failed[tp] = err
		}
	}
	answers := make(map[topic.Partition]reassignmentAnswer, len(asked))
	for tp := range asked {
		a := reassignmentAnswer{Partition: tp.ID}
		if err := failed[tp]; err != nil {
			a.ErrorCode, a.ErrorMessage = kerr.CodeOf(err), kmsg.StringPtr(kerr.MessageOf(err))
		}
		answers[tp] = a
	}
	return answers
}

// checkReassignment finds the partition of one line of a request, with Kafka's order of checks and words.
func (t *term) checkReassignment(tp topic.Partition, target []int32) (*partition, error) {
	p := t.cluster.find(tp)
	var now placement // of a partition that does not exist: empty
	if p != nil {
		now = p.placement
	}
	if target == nil {
		if !now.reassigned() {
			return nil, kerr.NoReassignmentInProgress
		}
	} else if err := checkTarget(target); err != nil {
		return nil, err
	} else if adding := now.reassignTo(target).adding; !allOf(adding, t.cluster.isLive) {
		return nil, kerr.New(kerr.InvalidReplicaAssignment,
			"Replica assignment has brokers that are not alive. Replica list: %s, live broker list: %s",
			scala("ArrayBuffer", adding), scala("Set", keep(t.cluster.brokerIDs(), t.cluster.isLive)))
	}
	if p == nil || t.cluster.isBeingDeleted(tp.Topic) {
		return nil, errNoPartition
	}
	return p, nil
}

// checkTarget refuses lists of replicas that no partition can have.
func checkTarget(target []int32) error {
	switch {
	case len(target) == 0:
		return kerr.New(kerr.InvalidReplicaAssignment, "Empty replica list specified in partition reassignment.")
	case hasRepeats(target):
		return kerr.New(kerr.InvalidReplicaAssignment, "Duplicate replica ids in partition reassignment replica list: %s",
			scala("ArrayBuffer", target))
	case slices.Min(target) < 0:
		return kerr.New(kerr.InvalidReplicaAssignment, "Invalid broker id in replica list: %s", scala("ArrayBuffer", target))
	}
	return nil
}

func allOf(ids []int32, pass func(int32) bool) bool { return len(keep(ids, pass)) == len(ids) }

// scala prints ids as the collections of Kafka's language print themselves, which is what its clients get to read.
func scala(kind string, ids []int32) string {
	return kind + "(" + strings.Trim(strings.ReplaceAll(fmt.Sprint(ids), " ", ", "), "[]") + ")"
}

// ListPartitionReassignments tells which reassignments run (46): of the partitions named, or all.
func (c *Controller) ListPartitionReassignments(
	ctx context.Context, req *kmsg.ListPartitionReassignmentsRequest,
) *kmsg.ListPartitionReassignmentsResponse {
	refused := req.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
	refused.ErrorCode, refused.ErrorMessage = kerr.NotController.Code, kmsg.StringPtr(kerr.NotController.Text)
	asked := make(map[topic.Partition]bool)
	for _, rt := range req.Topics {
		name := strings.Clone(rt.Topic)
		for _, id := range rt.Partitions {
			asked[topic.Partition{Topic: name, ID: id}] = true
		}
	}
	all := req.Topics == nil
	return call(ctx, c, "ListPartitionReassignments", refused, func(t *term) *kmsg.ListPartitionReassignmentsResponse {
		running := make(map[topic.Partition]kmsg.ListPartitionReassignmentsResponseTopicPartition)
		for _, p := range t.cluster.selectPartitions(func(p *partition) bool { return p.reassigned() }) {
			if all || asked[p.Partition] {
				running[p.Partition] = kmsg.ListPartitionReassignmentsResponseTopicPartition{Partition: p.ID,
					Replicas: p.replicas, AddingReplicas: p.adding, RemovingReplicas: p.removing}
			}
		}
		resp := req.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
		resp.ErrorMessage = kmsg.StringPtr("")
		for name, parts := range byTopic(running) {
			resp.Topics = append(resp.Topics, kmsg.ListPartitionReassignmentsResponseTopic{Topic: name, Partitions: parts})
		}
		return resp
	})
}
