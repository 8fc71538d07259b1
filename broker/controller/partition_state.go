package controller

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// partitionState says how far a partition is in its life (Kafka: PartitionStateMachine).
type partitionState int8

const (
	nonExistentPartition partitionState = iota // not created yet, or deleted
	newPartition                               // assignment known, no leader chosen yet
	onlinePartition                            // a leader was chosen, and its broker was up when we last looked
	offlinePartition                           // had a leader, whose broker is gone
)

func (s partitionState) String() string {
	return [...]string{"NonExistentPartition", "NewPartition", "OnlinePartition", "OfflinePartition"}[s]
}

// canBecome tells whether a partition may move from s to another state.
func (s partitionState) canBecome(to partitionState) bool {
	switch to {
	case newPartition:
		return s == nonExistentPartition
	case onlinePartition, offlinePartition:
		return s != nonExistentPartition
	default:
		return s == offlinePartition
	}
}

// strategy is the reason for an election, which decides who may win it.
type strategy int8

const (
	leaderOffline       strategy = iota // the leader is gone; unclean only where the topic allows it
	leaderOfflineForced                 // the same, and the operator allows an unclean leader
	preferredLeader                     // back to the first replica
	reassignedLeader                    // the leader is not among the target replicas
	leaderLeaving                       // the leader's broker shuts down
)

// elect is the election of one partition: the verdict, and who must hear of it. Pure in the cluster and its
// arguments.
func (c *cluster) elect(
	p *partition, isr []int32, how strategy, uncleanAllowed bool,
) (v verdict, tell []int32, ok bool) {
	online := c.online(p)
	reachable := func(b int32) bool { return c.isReachable(p, b) }
	switch how {
	case preferredLeader:
		v, ok = electPreferred(p.replicas, isr, online)
		return v, p.replicas, ok
	case reassignedLeader:
		v, ok = electReassigned(p.target(), isr, online)
		return v, p.target(), ok
	case leaderLeaving:
		v, ok = electForShutdown(p.replicas, isr, reachable, func(b int32) bool { return c.leaving[b] })
		return v, keep(p.replicas, reachable), ok
	default:
		v, ok = electOffline(p.replicas, isr, online, uncleanAllowed)
		return v, keep(p.replicas, online), ok
	}
}

// failures are the partitions that could not be moved, each with its reason.
type failures map[topic.Partition]error

// movePartitions brings partitions to a state and tells the brokers. Illegal moves are logged and left out.
// how is needed only on the way to onlinePartition.
func (t *term) movePartitions(ps []*partition, to partitionState, how strategy) failures {
	failed := make(failures)
	var legal []*partition
	for _, p := range ps {
		if p.state.canBecome(to) {
			legal = append(legal, p)
			continue
		}
		failed[p.Partition] = fmt.Errorf("partition %s cannot go from %s to %s", p, p.state, to)
	}
	if to == onlinePartition {
		fresh := keepPartitions(legal, func(p *partition) bool { return p.state == newPartition })
		led := keepPartitions(legal, func(p *partition) bool { return p.state != newPartition })
		t.initialise(fresh, failed)
		t.elect(led, how, failed)
	} else {
		for _, p := range legal {
			t.setPartitionState(p, to)
		}
	}
	for tp, err := range failed {
		t.changes.Error("Partition state change failed", t.about(tp, zap.Stringer("to", to), zap.Error(err))...)
	}
	t.flush()
	return failed
}

func (t *term) setPartitionState(p *partition, to partitionState) {
	if p.state != to {
		t.changes.Info("Changed partition state",
			t.about(p.Partition, zap.Stringer("from", p.state), zap.Stringer("to", to))...)
		p.state, t.recount = to, true
	}
}

// initialise gives new partitions their first leader and ISR and creates their state znodes.
func (t *term) initialise(fresh []*partition, failed failures) {
	wanted := make(states, len(fresh))
	for _, p := range fresh {
		v, ok := electInitial(p.replicas, t.cluster.online(p))
		if !ok {
			failed[p.Partition] = fmt.Errorf("none of the assigned replicas %v is alive", p.replicas)
			continue
		}
		wanted[p.Partition] = zkmeta.PartitionState{Leader: v.leader, ISR: v.isr, ControllerEpoch: t.epoch.Epoch}
	}
	created := t.createStates(wanted, failed)
	for _, p := range fresh {
		st, ok := created[p.Partition]
		if !ok {
			continue
		}
		t.lead(p, st)
		t.setPartitionState(p, onlinePartition)
		t.batch.leaderAndISR(t.cluster, p, st.ISR, true)
	}
}

// electRounds bounds how often an election is repeated because the state znode changed between our read and
// our write. Only leaders of old protocol levels and operators with a shell write it beside us.
const electRounds = 10

var errStateMoved = errors.New("the state znode kept changing under the election")

// elect chooses leaders for partitions that had one. The state znode is read afresh: its version guards the
// write.
func (t *term) elect(ps []*partition, how strategy, failed failures) {
	for round := 0; len(ps) > 0 && t.alive(); round++ {
		if round == electRounds {
			for _, p := range ps {
				failed[p.Partition] = errStateMoved
			}
			return
		}
		ps = t.electOnce(ps, how, failed)
	}
}

// electOnce returns the partitions whose state znode had changed between the reading and the writing.
func (t *term) electOnce(ps []*partition, how strategy, failed failures) []*partition {
	current := t.readStatesOf(ps, failed)
	unclean := t.uncleanAllowed(ps, current, how)
	wanted := make(states, len(ps))
	tell := make(map[topic.Partition][]int32, len(ps))
	for _, p := range ps {
		st, ok := current[p.Partition]
		if !ok {
			continue
		}
		v, recipients, ok := t.cluster.elect(p, st.ISR, how, unclean[p.Topic])
		if !ok {
			failed[p.Partition] = electionFailure(how, p)
			continue
		}
		t.numbers.elections.Add(1)
		if v.unclean {
			t.numbers.uncleanElections.Add(1)
			t.changes.Warn("Unclean leader election: acknowledged records may be lost", t.about(p.Partition,
				zap.Int32("leader", v.leader), zap.Int32s("isr", st.ISR))...)
			if t.opt.Level.LeaderRecoveryState() {
				st.LeaderRecoveryState = recovering
			}
		}
		st.Leader, st.ISR = v.leader, v.isr
		st.LeaderEpoch++
		st.ControllerEpoch = t.epoch.Epoch
		wanted[p.Partition], tell[p.Partition] = st, recipients
	}
	written, again := t.updateStates(wanted, failed)
	for _, p := range ps {
		if st, ok := written[p.Partition]; ok {
			t.lead(p, st)
			t.setPartitionState(p, onlinePartition)
			t.batch.leaderAndISR(t.cluster, p, tell[p.Partition], false)
		}
	}
	return keepPartitions(ps, func(p *partition) bool { return again[p.Partition] })
}

// recovering is the leader recovery state of a leader that was elected uncleanly (KIP-704); 0 is recovered.
const recovering int8 = 1

// electionFailure says that nobody could be elected, in Kafka's words: they reach whoever asked for the election.
func electionFailure(how strategy, p *partition) error {
	return kerr.New(notElected(how), "Failed to elect leader for partition %s under strategy %s", p, how)
}

func (s strategy) String() string {
	return [...]string{"OfflinePartitionLeaderElectionStrategy(false)", "OfflinePartitionLeaderElectionStrategy(true)",
		"PreferredReplicaPartitionLeaderElectionStrategy", "ReassignPartitionLeaderElectionStrategy",
		"ControlledShutdownPartitionLeaderElectionStrategy"}[s]
}

// uncleanAllowed tells, for the topics that could not get a leader otherwise, whether an unclean one is
// allowed.
func (t *term) uncleanAllowed(ps []*partition, current states, how strategy) map[string]bool {
	if how != leaderOffline && how != leaderOfflineForced {
		return nil
	}
	asked := make(map[string]bool)
	for _, p := range ps {
		if st, known := current[p.Partition]; known && !slices.ContainsFunc(st.ISR, t.cluster.online(p)) {
			asked[p.Topic] = true
		}
	}
	if how == leaderOfflineForced {
		return asked
	}
	return t.topicsAllowUnclean(slices.Sorted(maps.Keys(asked)))
}

// lead takes over what was written into a state znode, one line of the state change log.
func (t *term) lead(p *partition, st zkmeta.PartitionState) {
	old := p.leadership
	p.leadership = &st
	t.recount = t.recount || old == nil || old.Leader != st.Leader
	fields := t.about(p.Partition, zap.Int32("leader", st.Leader), zap.Int32("leader_epoch", st.LeaderEpoch),
		zap.Int32s("isr", st.ISR), zap.Int32("partition_epoch", st.ZkVersion))
	if old != nil {
		fields = append(fields, zap.Int32("old_leader", old.Leader), zap.Int32s("old_isr", old.ISR))
	}
	t.changes.Info("Changed partition leadership", fields...)
}

// electLeaderless tries to give every partition without a living leader that passes one.
func (t *term) electLeaderless(pass func(*partition) bool) {
	t.movePartitions(t.cluster.selectPartitions(func(p *partition) bool {
		leaderless := p.state == newPartition || p.state == offlinePartition
		return leaderless && !t.cluster.isDoomed(p.Topic) && pass(p)
	}), onlinePartition, leaderOffline)
}

func keepPartitions(ps []*partition, pass func(*partition) bool) []*partition {
	var kept []*partition
	for _, p := range ps {
		if pass(p) {
			kept = append(kept, p)
		}
	}
	return kept
}
