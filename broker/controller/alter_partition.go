package controller

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// AlterPartition lets the leader of partitions change their ISR (KIP-497; 56). It answers when the change is in
// ZooKeeper, or with NOT_CONTROLLER when this broker is not, or no longer, the controller.
func (c *Controller) AlterPartition(ctx context.Context, req *kmsg.AlterPartitionRequest) *kmsg.AlterPartitionResponse {
	refused := req.ResponseKind().(*kmsg.AlterPartitionResponse)
	refused.ErrorCode = kerr.NotController.Code
	for i := range req.Topics { // the loop may come to it when the connection has taken its buffer back
		req.Topics[i].Topic = strings.Clone(req.Topics[i].Topic)
	}
	return call(ctx, c, "AlterPartitionReceived", refused, func(t *term) *kmsg.AlterPartitionResponse { return t.alterPartition(req) })
}

// alterPartition checks every change, writes those that pass in one go and tells all brokers of them.
func (t *term) alterPartition(req *kmsg.AlterPartitionRequest) *kmsg.AlterPartitionResponse {
	resp := req.ResponseKind().(*kmsg.AlterPartitionResponse)
	if sender, ok := t.cluster.brokers[req.BrokerID]; !ok || sender.Epoch != req.BrokerEpoch {
		resp.ErrorCode = kerr.StaleBrokerEpoch.Code
		return resp
	}
	wanted := make(states)
	for _, rt := range req.Topics {
		name := rt.Topic
		unknown := kerr.UnknownTopicOrPartition
		if req.Version >= 2 {
			name, unknown = t.cluster.topicNames[rt.TopicID], kerr.UnknownTopicID
		}
		at := kmsg.AlterPartitionResponseTopic{Topic: rt.Topic, TopidID: rt.TopicID}
		for _, rp := range rt.Partitions {
			answer := kmsg.AlterPartitionResponseTopicPartition{Partition: rp.Partition}
			if t.cluster.topics[name] == nil {
				answer.ErrorCode = unknown.Code
			} else if p := t.cluster.find(topic.Partition{Topic: name, ID: rp.Partition}); p == nil || p.leadership == nil {
				answer.ErrorCode = kerr.UnknownTopicOrPartition.Code
			} else if change, err := checkISRChange(p, isrChangeOf(req, rp), t.cluster); err != nil {
				answer.ErrorCode = err.Code
			} else {
				if !sameISR(change, *p.leadership) {
					change.ControllerEpoch = t.epoch.Epoch
					wanted[p.Partition] = change
				}
				answer.LeaderID = change.Leader // the rest follows when it is written
			}
			at.Partitions = append(at.Partitions, answer)
		}
		resp.Topics = append(resp.Topics, at)
	}
	written, failed := t.writeISRs(wanted)
	if !t.alive() {
		resp.ErrorCode, resp.Topics = kerr.NotController.Code, nil
		return resp
	}
	t.answerISRs(req, resp, failed)
	var changed []*partition
	for tp := range written {
		changed = append(changed, t.cluster.find(tp))
	}
	slices.SortFunc(changed, func(a, b *partition) int { return a.Partition.Compare(b.Partition) })
	if len(changed) > 0 {
		t.batch.updateMetadata(t.cluster, t.cluster.brokerIDs(), changed...)
		t.flush()
	}
	return resp
}

// writeISRs writes checked changes. A state znode that changed meanwhile fails with INVALID_UPDATE_VERSION.
func (t *term) writeISRs(wanted states) (written states, failed failures) {
	failed = make(failures)
	written, moved := t.updateStates(wanted, failed)
	for tp := range moved {
		failed[tp] = kerr.InvalidUpdateVersion
	}
	for tp, st := range written {
		t.lead(t.cluster.find(tp), st)
	}
	return written, failed
}

// answerISRs fills the answers of the partitions that passed the checks with what is in ZooKeeper now.
func (t *term) answerISRs(req *kmsg.AlterPartitionRequest, resp *kmsg.AlterPartitionResponse, failed failures) {
	for i := range resp.Topics {
		name := resp.Topics[i].Topic
		if req.Version >= 2 {
			name = t.cluster.topicNames[resp.Topics[i].TopidID]
		}
		for j := range resp.Topics[i].Partitions {
			answer := &resp.Topics[i].Partitions[j]
			tp := topic.Partition{Topic: name, ID: answer.Partition}
			if err := failed[tp]; err != nil {
				*answer = kmsg.AlterPartitionResponseTopicPartition{Partition: tp.ID, ErrorCode: kerr.CodeOf(err)}
			} else if answer.ErrorCode == 0 {
				st := t.cluster.find(tp).leadership
				answer.LeaderID, answer.LeaderEpoch, answer.ISR = st.Leader, st.LeaderEpoch, st.ISR
				answer.LeaderRecoveryState, answer.PartitionEpoch = st.LeaderRecoveryState, st.ZkVersion
			}
		}
	}
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
		isr:            slices.Clone(rp.NewISR), // the request's memory is the connection's
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

// checkISRChange decides one change, in Kafka's order of checks. Kafka accepts an ISR that is empty, repeats a member or
// lacks the leader, and a sender that does not lead (whom it then makes the leader without an election); we refuse those,
// and members that are not assigned. A replica epoch that is not the member's registration is refused too (KIP-903):
// that broker was restarted since it fetched, and may have lost what it had.
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

func sameISR(a, b zkmeta.PartitionState) bool {
	return slices.Equal(a.ISR, b.ISR) && a.LeaderRecoveryState == b.LeaderRecoveryState
}

func hasRepeats(ids []int32) bool {
	sorted := slices.Clone(ids)
	slices.SortFunc(sorted, cmp.Compare[int32])
	return len(slices.Compact(sorted)) != len(ids)
}
