package controller

import (
	"cmp"
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// AlterPartition lets the leader of partitions change their ISR (KIP-497; 56). It answers when the change is in
// ZooKeeper, or with NOT_CONTROLLER when this broker is not, or no longer, the controller.
func (c *Controller) AlterPartition(
	ctx context.Context, req *kmsg.AlterPartitionRequest,
) *kmsg.AlterPartitionResponse {
	refused := req.ResponseKind().(*kmsg.AlterPartitionResponse)
	refused.ErrorCode = kerr.NotController.Code
	return call(ctx, c, "AlterPartitionReceived", refused, func(t *term) *kmsg.AlterPartitionResponse {
		return t.alterPartition(req)
	})
}

// alterPartition checks every change, writes those that pass in one go and tells all brokers of them.
func (t *term) alterPartition(req *kmsg.AlterPartitionRequest) *kmsg.AlterPartitionResponse {
	resp := req.ResponseKind().(*kmsg.AlterPartitionResponse)
	if sender, ok := t.cluster.brokers[req.BrokerID]; !ok || sender.Epoch != req.BrokerEpoch {
		resp.ErrorCode = kerr.StaleBrokerEpoch.Code
		return resp
	}
	type accepted struct {
		*partition
		answer *kmsg.AlterPartitionResponseTopicPartition
	}
	var passed []accepted
	wanted := make(states)
	for _, rt := range req.Topics {
		answers := make([]kmsg.AlterPartitionResponseTopicPartition, len(rt.Partitions))
		resp.Topics = append(resp.Topics,
			kmsg.AlterPartitionResponseTopic{Topic: rt.Topic, TopidID: rt.TopicID, Partitions: answers})
		for i, rp := range rt.Partitions {
			answers[i].Partition = rp.Partition
			p, err := t.askedPartition(req.Version, rt, rp.Partition)
			var change zkmeta.PartitionState
			again := false
			if err == nil {
				change, err = checkISRChange(p, isrChangeOf(req, rp), t.cluster)
				if again = cannotGiveUp(req.Version, err); again {
					err = nil
				}
			}
			if err == kerr.NotController && req.Version == 0 {
				resp.ErrorCode, resp.Topics = err.Code, nil // the same trouble: only of the whole it is asked again
				return resp
			}
			if err != nil {
				answers[i].ErrorCode = err.Code
				continue
			}
			passed = append(passed, accepted{p, &answers[i]})
			if again || !change.Equal(*p.leadership) {
				change.ControllerEpoch = t.epoch.Epoch
				wanted[p.Partition] = change
			}
		}
	}
	failed := t.writeISRs(wanted)
	if !t.alive() {
		resp.ErrorCode, resp.Topics = kerr.NotController.Code, nil
		return resp
	}
	for _, a := range passed {
		if err := failed[a.Partition]; err != nil {
			a.answer.ErrorCode = kerr.CodeOf(err)
			continue
		}
		st := a.leadership
		a.answer.LeaderID, a.answer.LeaderEpoch, a.answer.ISR = st.Leader, st.LeaderEpoch, st.ISR
		a.answer.LeaderRecoveryState, a.answer.PartitionEpoch = st.LeaderRecoveryState, st.ZkVersion
	}
	return resp
}

// cannotGiveUp tells of a refused change whose sender does not understand the refusal. A leader of Kafka 2.7 to 3.1, whom
// version 0 gives away, knows no word for a member that is not alive: it tries to ask once more, trips over its own queue,
// and from then on waits for that member with every acks=all. What brings it back to the ISR it had is a success: that
// ISR written once more, for it takes notice of a new partition epoch only.
func cannotGiveUp(version int16, refusal *kerr.Error) bool {
	return version == 0 && refusal == kerr.OperationNotAttempted
}

// askedPartition finds a partition that has a leader by what the version of the request names its topic with.
func (t *term) askedPartition(version int16, rt kmsg.AlterPartitionRequestTopic, id int32) (*partition, *kerr.Error) {
	name := rt.Topic
	if version >= 2 {
		var known bool
		if name, known = t.cluster.topicNames[rt.TopicID]; !known {
			return nil, kerr.UnknownTopicID
		}
	}
	p := t.cluster.find(topic.Partition{Topic: name, ID: id})
	if p == nil || p.leadership == nil {
		return nil, kerr.UnknownTopicOrPartition
	}
	return p, nil
}

// writeISRs writes checked changes and sends the news to all brokers. A state znode that changed meanwhile fails with
// INVALID_UPDATE_VERSION.
func (t *term) writeISRs(wanted states) (failed failures) {
	failed = make(failures)
	written, moved := t.updateStates(wanted, failed)
	for tp := range moved {
		failed[tp] = kerr.InvalidUpdateVersion
	}
	if len(written) == 0 {
		return failed
	}
	changed := make([]*partition, 0, len(written))
	for tp, st := range written {
		p := t.cluster.find(tp)
		t.lead(p, st)
		changed = append(changed, p)
	}
	t.batch.updateMetadata(t.cluster, t.cluster.brokerIDs(), changed...)
	t.flush()
	if slices.ContainsFunc(changed, func(p *partition) bool { return p.reassigned() }) { // the answer goes first
		t.post(event{name: "PartitionReassignmentIsrChange", run: func() { t.completeReassignments(changed) }})
	}
	return failed
}

// isrChange is what a leader asks for one partition, in one form for all versions of the request.
type isrChange struct {
	sender         int32
	leaderEpoch    int32
	partitionEpoch int32
	isr            []int32
	epochs         map[int32]int64 // broker epochs of ISR members the leader told, -1 where it does not know
	recoveryState  int8
	ineligible     *kerr.Error // what an ISR member that is not alive is called in this version
}

func isrChangeOf(req *kmsg.AlterPartitionRequest, rp kmsg.AlterPartitionRequestTopicPartition) isrChange {
	change := isrChange{
		sender:         req.BrokerID,
		leaderEpoch:    rp.LeaderEpoch,
		partitionEpoch: rp.PartitionEpoch,
		isr:            rp.NewISR,
		recoveryState:  rp.LeaderRecoveryState,
		ineligible:     kerr.OperationNotAttempted,
	}
	if req.Version >= 2 {
		change.ineligible = kerr.IneligibleReplica
	}
	if req.Version >= 3 {
		change.isr, change.epochs = nil, make(map[int32]int64)
		for _, member := range rp.NewEpochISR {
			change.isr = append(change.isr, member.BrokerID)
			change.epochs[member.BrokerID] = member.BrokerEpoch
		}
	}
	return change
}

// checkISRChange decides one change, in Kafka's order of checks. Kafka accepts an ISR that is empty, repeats
// a member or lacks the leader, and a sender that does not lead (whom it then makes the leader without an
// election); we refuse those, and members that are not assigned. A replica epoch that is not the member's
// registration is refused too (KIP-903): that broker was restarted since it fetched, and may have lost what
// it had.
func checkISRChange(p *partition, want isrChange, c *cluster) (zkmeta.PartitionState, *kerr.Error) {
	st := *p.leadership
	switch {
	case want.partitionEpoch > st.ZkVersion || want.leaderEpoch > st.LeaderEpoch:
		return st, kerr.NotController // the sender knows more than we do: we may be deposed
	case want.leaderEpoch < st.LeaderEpoch:
		return st, kerr.FencedLeaderEpoch
	case want.sender == st.Leader && want.recoveryState == st.LeaderRecoveryState && slices.Equal(want.isr, st.ISR):
		return st, nil // asked again after a lost answer
	case want.partitionEpoch < st.ZkVersion:
		return st, kerr.InvalidUpdateVersion
	case want.sender != st.Leader || !slices.Contains(want.isr, want.sender) || hasRepeats(want.isr):
		return st, kerr.InvalidRequest
	case want.recoveryState == recovering && (len(want.isr) > 1 || st.LeaderRecoveryState != recovering):
		return st, kerr.InvalidRequest
	}
	for _, member := range want.isr {
		if !slices.Contains(p.replicas, member) {
			return st, kerr.InvalidRequest
		}
		epoch, told := want.epochs[member]
		if !c.isLive(member) || told && epoch >= 0 && epoch != c.brokers[member].Epoch {
			return st, want.ineligible
		}
	}
	st.ISR, st.LeaderRecoveryState = want.isr, want.recoveryState
	return st, nil
}

func hasRepeats(ids []int32) bool {
	sorted := slices.Clone(ids)
	slices.SortFunc(sorted, cmp.Compare[int32])
	return len(slices.Compact(sorted)) != len(ids)
}
