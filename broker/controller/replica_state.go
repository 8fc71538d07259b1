package controller

import (
	"cmp"
	"slices"

	"go.uber.org/zap"
)

// replicaState says how far a replica is in its life (Kafka: ReplicaStateMachine). The states of deletion
// begin with D.
type replicaState int8

const (
	nonExistentReplica replicaState = iota // not created yet, or deleted
	newReplica                             // will only follow; told so if its partition has a leader
	onlineReplica                          // assigned, and its broker is up
	offlineReplica                         // its broker or its log directory is gone, or it was told to stop
	deletionStarted                        // told to delete its log
	deletionSuccessful                     // answered that it did
	deletionIneligible                     // could not: its broker is gone or answered an error
)

func (s replicaState) String() string {
	return [...]string{"NonExistentReplica", "NewReplica", "OnlineReplica", "OfflineReplica", "ReplicaDeletionStarted",
		"ReplicaDeletionSuccessful", "ReplicaDeletionIneligible"}[s]
}

// canBecome tells whether a replica may move from s to another state.
func (s replicaState) canBecome(to replicaState) bool {
	switch to {
	case newReplica:
		return s == nonExistentReplica
	case onlineReplica, offlineReplica:
		return s == newReplica || s == onlineReplica || s == offlineReplica || s == deletionIneligible
	case deletionStarted:
		return s == offlineReplica
	case deletionSuccessful:
		return s == deletionStarted
	case deletionIneligible:
		return s == offlineReplica || s == deletionStarted
	default:
		return s == deletionSuccessful
	}
}

// moveReplicas brings replicas to a state, broker by broker, and tells the brokers. Illegal moves are logged
// and left out.
func (t *term) moveReplicas(rs []replica, to replicaState) {
	byBroker := slices.Clone(rs)
	slices.SortStableFunc(byBroker, func(a, b replica) int { return cmp.Compare(a.broker, b.broker) })
	for len(byBroker) > 0 {
		n := 1
		for n < len(byBroker) && byBroker[n].broker == byBroker[0].broker {
			n++
		}
		t.moveReplicasOfOne(byBroker[0].broker, byBroker[:n], to)
		byBroker = byBroker[n:]
	}
	t.flush()
}

func (t *term) moveReplicasOfOne(broker int32, rs []replica, to replicaState) {
	var legal []*partition
	for _, r := range rs {
		if from := r.replicaStates[broker]; !from.canBecome(to) {
			t.changes.Error("Illegal replica state change", t.about(r.Partition,
				zap.Int32("replica", broker), zap.Stringer("from", from), zap.Stringer("to", to))...)
			continue
		}
		legal = append(legal, r.partition)
	}
	if to == offlineReplica {
		t.takeOffline(broker, legal)
		return
	}
	for _, p := range legal {
		if t.announce(p, broker, to) {
			t.setReplicaState(p, broker, to)
		}
	}
}

// announce queues what a broker must hear about its replica's new state. False keeps the old state.
func (t *term) announce(p *partition, broker int32, to replicaState) bool {
	switch to {
	case newReplica:
		if p.leader() == broker {
			t.changes.Error("A new replica cannot already be the leader",
				t.about(p.Partition, zap.Int32("replica", broker))...)
			return false
		}
		if p.leadership != nil {
			t.batch.leaderAndISR(t.cluster, p, []int32{broker}, true)
		}
	case onlineReplica:
		if p.replicaStates[broker] == newReplica {
			if !slices.Contains(p.replicas, broker) {
				p.replicas = append(slices.Clone(p.replicas), broker)
			}
		} else if p.leadership != nil {
			t.batch.leaderAndISR(t.cluster, p, []int32{broker}, false)
		}
	case deletionStarted:
		t.batch.stopReplica(t.cluster, p, broker, true)
	case nonExistentReplica:
		p.replicas = keep(p.replicas, func(b int32) bool { return b != broker })
	}
	return true
}

func (t *term) setReplicaState(p *partition, broker int32, to replicaState) {
	from := p.replicaStates[broker]
	if from != to {
		t.changes.Debug("Changed replica state", t.about(p.Partition,
			zap.Int32("replica", broker), zap.Stringer("from", from), zap.Stringer("to", to))...)
	}
	if to == nonExistentReplica {
		delete(p.replicaStates, broker)
		return
	}
	p.replicaStates[broker] = to
}

// takeOffline stops replicas of one broker, takes them out of the ISR in ZooKeeper and tells the other
// replicas. A topic that is being deleted has nobody left to tell.
func (t *term) takeOffline(broker int32, ps []*partition) {
	for _, p := range ps {
		t.batch.stopReplica(t.cluster, p, broker, false)
	}
	led := keepPartitions(ps, func(p *partition) bool { return p.leadership != nil })
	t.shrinkISR(broker, led)
	for _, p := range ps {
		switch {
		case p.leadership == nil:
			t.batch.updateMetadata(t.cluster, t.cluster.brokerIDs(), p)
		case !t.cluster.isDoomed(p.Topic):
			t.batch.leaderAndISR(t.cluster, p, keep(p.replicas, func(b int32) bool { return b != broker }), false)
		}
		t.setReplicaState(p, broker, offlineReplica)
	}
}

// shrinkISR writes partition states without a replica that went offline. Where it was not in the ISR nothing is
// written, but what was read is taken over.
func (t *term) shrinkISR(broker int32, ps []*partition) {
	failed := make(failures)
	for round := 0; len(ps) > 0 && round < electRounds && t.alive(); round++ {
		wanted := make(states, len(ps))
		for tp, st := range t.readStatesOf(ps, failed) {
			leader, isr, changed := withoutReplica(st.Leader, st.ISR, broker)
			if !changed {
				t.cluster.find(tp).leadership = &st
				continue
			}
			st.Leader, st.ISR, st.ControllerEpoch = leader, isr, t.epoch.Epoch
			st.LeaderEpoch++
			wanted[tp] = st
		}
		written, again := t.updateStates(wanted, failed)
		for _, p := range ps {
			if st, ok := written[p.Partition]; ok {
				t.lead(p, st)
			}
		}
		ps = keepPartitions(ps, func(p *partition) bool { return again[p.Partition] })
	}
	for tp, err := range failed {
		t.changes.Error("Taking an offline replica out of the ISR failed",
			t.about(tp, zap.Int32("replica", broker), zap.Error(err))...)
	}
}
