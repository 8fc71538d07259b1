package controller

import (
	"errors"
	"maps"
	"slices"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// A reassignment moves replicas of a partition to other brokers (Kafka: KafkaController.onPartitionReassignment, whose
// phases U, A and B these are). Where a partition stands is written in two znodes alone, so that any later controller
// goes on from there:
//
//	U  The topic's znode names target and original replicas, which of them come and which go. Replicas that only
//	   a replaced reassignment wanted are stopped and deleted.
//	A  While the target is not in sync: the leader epoch grows, every replica hears of the new assignment, and
//	   the coming ones begin to follow. Then we wait: for AlterPartition, an ISR notification, a broker.
//	B  The target is in sync: a target replica leads, the others leave the ISR, are stopped and deleted, and last the
//	   topic's znode names the target alone.
//
// Kafka goes through the partitions one by one; here those of one request go together, and the znode of a topic is
// written once for all of them.

// move is a partition and the placement it shall have.
type move struct {
	*partition
	to placement
}

// planMove is the move that begins a reassignment, or replaces the one that runs.
func (t *term) planMove(p *partition, target []int32) move {
	var isr []int32
	if p.leadership != nil {
		isr = p.leadership.ISR
	}
	return move{p, p.replace(target, isr, t.cluster.online(p))}
}

// reassign begins or replaces reassignments, each partition at most once, and takes each as far as it can go now.
func (t *term) reassign(moves []move) failures {
	failed := make(failures)
	var dropped []replica
	for _, m := range moves {
		for _, b := range without(m.replicas, m.to.replicas) {
			dropped = append(dropped, replica{m.partition, b})
		}
	}
	t.place(moves, failed)
	t.removeReplicas(slices.DeleteFunc(dropped, func(r replica) bool { return failed[r.Partition] != nil }))
	var placed []*partition
	for _, m := range moves {
		if failed[m.Partition] == nil {
			placed = append(placed, m.partition)
		}
	}
	t.advanceReassignments(placed, failed)
	return failed
}

// place writes where partitions shall be into the znodes of their topics, and takes that over once it stands there.
func (t *term) place(moves []move, failed failures) {
	ofTopic := make(map[string][]move)
	for _, m := range moves {
		ofTopic[m.Topic] = append(ofTopic[m.Topic], m)
	}
	for _, name := range slices.Sorted(maps.Keys(ofTopic)) {
		if err := t.placeTopic(name, ofTopic[name]); err != nil {
			for _, m := range ofTopic[name] {
				failed[m.Partition] = err
			}
		}
	}
}

// placeTopic is place for one topic. A znode that somebody else has written since is read again first.
func (t *term) placeTopic(name string, moves []move) error {
	for round := 0; t.alive(); round++ {
		s := t.cluster.topics[name]
		if s == nil || slices.ContainsFunc(moves, func(m move) bool { return s.partitions[m.ID] != m.partition }) {
			return errNoPartition
		}
		a := s.assignment()
		for _, m := range moves {
			m.to.writeTo(&a, m.ID)
		}
		err := t.setTopic(s, a)
		if err == nil {
			for _, m := range moves {
				t.log.Info("Changed the replicas of a partition", zap.Stringer("partition", m),
					zap.Int32s("replicas", m.to.replicas), zap.Int32s("adding", m.to.adding),
					zap.Int32s("removing", m.to.removing))
				m.placement = m.to
			}
			t.recount = true
			return nil
		}
		if !errors.Is(err, zkmeta.ErrBadVersion) || round == electRounds {
			return err
		}
		t.topicModified(name)
	}
	return t.over
}

// errNoPartition is what Kafka says of partitions that are not there, or not for long.
var errNoPartition = kerr.New(kerr.UnknownTopicOrPartition, "The partition does not exist.")

// removeReplicas takes replicas that are assigned no more out of the ISR and has their logs deleted. Nobody waits for
// the answers; a broker that is away, or goes before it answers, is told again when it is back.
func (t *term) removeReplicas(rs []replica) {
	rs = slices.DeleteFunc(rs, func(r replica) bool { return r.replicaStates[r.broker] == nonExistentReplica })
	for _, r := range rs {
		left := t.cluster.leftovers[r.broker]
		if left == nil {
			left = make(map[topic.Partition]bool)
			t.cluster.leftovers[r.broker] = left
		}
		left[r.Partition] = true
	}
	for _, state := range []replicaState{offlineReplica, deletionStarted, deletionSuccessful, nonExistentReplica} {
		if len(rs) > 0 {
			t.moveReplicas(rs, state)
		}
	}
}

// removeLeftovers has brokers that are back delete what they were to delete when they went. Kafka's controller forgets
// it, and the log stays until an operator finds it. So does ours when the office has changed hands in between.
func (t *term) removeLeftovers(joined map[int32]bool) {
	for id := range joined {
		for tp := range t.cluster.leftovers[id] {
			p := t.cluster.find(tp)
			if p == nil || slices.Contains(p.replicas, id) {
				delete(t.cluster.leftovers[id], tp)
				continue
			}
			t.log.Info("A broker is back with a replica that has moved", zap.Int32("broker", id), zap.Stringer("partition", tp))
			t.batch.stopReplica(t.cluster, p, id, true)
		}
	}
	t.flush()
}

// leftoverDeleted notes that a broker has deleted a replica.
func (c *cluster) leftoverDeleted(broker int32, tp topic.Partition) {
	delete(c.leftovers[broker], tp)
	if len(c.leftovers[broker]) == 0 {
		delete(c.leftovers, broker)
	}
}

// resumeReassignments goes on with the running reassignments that pass: their replicas may have missed what we sent.
func (t *term) resumeReassignments(pass func(*partition) bool) {
	ps := t.cluster.selectPartitions(func(p *partition) bool { return p.reassigned() && pass(p) })
	t.advanceReassignments(ps, make(failures))
}

// brokersJoinReassignments goes on with the reassignments that wait for brokers which are back.
func (t *term) brokersJoinReassignments(joined map[int32]bool) {
	awaited := func(p *partition) bool {
		return slices.ContainsFunc(p.target(), func(b int32) bool { return joined[b] })
	}
	t.removeLeftovers(joined)
	t.resumeReassignments(awaited)
	t.completeReassignments(t.cluster.selectPartitions(func(p *partition) bool { return !awaited(p) }))
}

// completeReassignments ends those of the partitions' reassignments whose target is in sync now.
func (t *term) completeReassignments(ps []*partition) {
	running := keepPartitions(ps, func(p *partition) bool {
		return p.reassigned() && hasLeadership(p) && t.cluster.find(p.Partition) == p
	})
	if len(running) == 0 {
		return
	}
	failed := make(failures)
	ready, _ := t.sortByProgress(running, failed)
	t.finishReassignments(ready, failed)
	t.logStuck(failed)
}

// advanceReassignments takes partitions through phase A or B, whichever it is time for. One whose replicas were never
// alive waits for the first that is.
func (t *term) advanceReassignments(ps []*partition, failed failures) {
	if len(ps) == 0 {
		return
	}
	t.initialiseReassigned(keepPartitions(ps, func(p *partition) bool { return !hasLeadership(p) }))
	ready, waiting := t.sortByProgress(keepPartitions(ps, hasLeadership), failed)
	t.startFollowing(waiting, failed)
	t.finishReassignments(ready, failed)
	t.logStuck(failed)
}

func (t *term) logStuck(failed failures) {
	for tp, err := range failed {
		t.log.Error("A reassignment cannot go on", zap.Stringer("partition", tp), zap.Error(err))
	}
}

func hasLeadership(p *partition) bool { return p.leadership != nil }

// initialiseReassigned gives partitions that never had a living replica their first leader among the new ones.
func (t *term) initialiseReassigned(ps []*partition) {
	if len(ps) == 0 {
		return
	}
	t.moveReplicas(coming(ps), newReplica)
	t.movePartitions(ps, onlinePartition, leaderOffline)
}

// coming are the replicas that reassignments bring in and that nobody has told so yet.
func coming(ps []*partition) []replica {
	return replicasOf(ps, func(p *partition, b int32) bool {
		return slices.Contains(p.adding, b) && p.replicaStates[b] == nonExistentReplica
	})
}

// sortByProgress reads the state znodes, which an AlterPartition of another controller may have changed.
func (t *term) sortByProgress(ps []*partition, failed failures) (ready, waiting []*partition) {
	current := t.readStatesOf(ps, failed)
	for _, p := range ps {
		st, known := current[p.Partition]
		switch {
		case !known:
		case p.caughtUp(st.ISR, t.cluster.online(p)):
			ready = append(ready, p)
		default:
			waiting = append(waiting, p)
		}
	}
	return ready, waiting
}

// startFollowing is phase A.
func (t *term) startFollowing(ps []*partition, failed failures) {
	for _, p := range t.bumpLeaderEpochs(ps, failed) {
		t.batch.leaderAndISR(t.cluster, p, p.origin(), false)
		// To a new replica, any log directory that works is as good as another.
		t.batch.leaderAndISR(t.cluster, p, p.adding, true)
	}
	t.flush()
	t.moveReplicas(coming(ps), newReplica)
}

// finishReassignments is phase B, for partitions whose target is in sync. What fails stays as it is, to be tried again
// at the next occasion.
func (t *term) finishReassignments(ps []*partition, failed failures) {
	if len(ps) == 0 {
		return
	}
	t.moveReplicas(replicasOf(ps, func(p *partition, b int32) bool { return slices.Contains(p.adding, b) }), onlineReplica)
	running := make(map[*partition]placement, len(ps))
	for _, p := range ps {
		running[p] = p.placement
		p.placement = p.done()
	}
	t.settleLeaders(ps, failed)
	var finished []move
	var going []replica
	for _, p := range ps {
		if failed[p.Partition] != nil {
			p.placement = running[p]
			continue
		}
		finished = append(finished, move{p, p.placement})
		for _, b := range running[p].removing {
			going = append(going, replica{p, b})
		}
	}
	t.removeReplicas(going)
	t.place(finished, failed)
	t.reassignmentsFinished(finished)
}

// settleLeaders has a target replica lead each partition, and tells the target about its being the assignment.
func (t *term) settleLeaders(ps []*partition, failed failures) {
	stays := func(p *partition) bool {
		return slices.Contains(p.replicas, p.leader()) && t.cluster.isOnline(p, p.leader())
	}
	staying := keepPartitions(ps, stays)
	leaving := keepPartitions(ps, func(p *partition) bool { return !stays(p) })
	for tp, err := range t.movePartitions(leaving, onlinePartition, reassignedLeader) {
		failed[tp] = err
	}
	for _, p := range t.bumpLeaderEpochs(staying, failed) {
		t.batch.leaderAndISR(t.cluster, p, p.replicas, false)
	}
	t.flush()
}

// reassignmentsFinished tells everybody who waited for the end of reassignments.
func (t *term) reassignmentsFinished(moves []move) {
	if len(moves) == 0 || !t.alive() {
		return
	}
	ps := make([]*partition, len(moves))
	for i, m := range moves {
		ps[i] = m.partition
		t.log.Info("Reassignment finished", zap.Stringer("partition", m), zap.Int32s("replicas", m.to.replicas))
	}
	t.dropRequests(func(asked zkmeta.Reassignment) bool {
		p := t.cluster.find(asked.Partition)
		return p != nil && slices.Contains(ps, p) && slices.Equal(p.replicas, asked.Replicas)
	})
	t.batch.updateMetadata(t.cluster, t.cluster.brokerIDs(), ps...)
	t.flush()
	t.deletionMayGoOn(replicasOf(ps, nil))
}

// bumpLeaderEpochs writes the states of partitions with a larger leader epoch and nothing else changed, so that a
// LeaderAndIsr with another assignment is news to their replicas. It returns the partitions for which it did.
func (t *term) bumpLeaderEpochs(ps []*partition, failed failures) (bumped []*partition) {
	for round := 0; len(ps) > 0 && t.alive(); round++ {
		if round == electRounds {
			for _, p := range ps {
				failed[p.Partition] = errStateMoved
			}
			break
		}
		wanted := make(states, len(ps))
		for tp, st := range t.readStatesOf(ps, failed) {
			st.LeaderEpoch++
			st.ControllerEpoch = t.epoch.Epoch
			wanted[tp] = st
		}
		written, again := t.updateStates(wanted, failed)
		for _, p := range ps {
			if st, ok := written[p.Partition]; ok {
				t.lead(p, st)
				bumped = append(bumped, p)
			}
		}
		ps = keepPartitions(ps, func(p *partition) bool { return again[p.Partition] })
	}
	return bumped
}
