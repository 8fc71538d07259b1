package controller

import (
	"context"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/topic"
)

// Deletion of topics (Kafka: TopicDeletionManager). A mark under /admin/delete_topics queues a topic. Its
// partitions leave the metadata, its replicas are stopped, then told to delete their logs; when all have
// answered, the znodes go, the mark last, so that a controller that dies half-way leaves a mark for the next
// one.
//
// A topic waits (it is ineligible) while one of its replicas is away or refused, and while it is reassigned.
// A broker that comes back, and the end of the reassignment, let it go on.

// queueDeletionsFound queues the marks found at the start of a term; they run after the state machines have
// started.
func (t *term) queueDeletionsFound() {
	marks := t.readDeletionMarks()
	if !t.opt.DeleteTopicEnable {
		t.dropMarks(marks)
		return
	}
	for _, name := range marks {
		t.cluster.toBeDeleted[name] = true
		if s := t.cluster.topics[name]; s != nil && t.mustWait(s) {
			t.cluster.ineligible[name] = true
		}
	}
}

func (t *term) readDeletionMarks() []string {
	var marks []string
	t.read(func(ctx context.Context) (err error) {
		marks, err = t.zk.DeleteQueue(ctx)
		return err
	})
	return marks
}

// mustWait tells whether a topic cannot be deleted now.
func (t *term) mustWait(s *topicState) bool {
	for _, p := range s.partitions {
		if p.reassigned() || len(keep(p.replicas, t.cluster.online(p))) < len(p.replicas) {
			return true
		}
	}
	return false
}

// deletionsAsked takes new marks in (Kafka: TopicDeletion).
func (t *term) deletionsAsked() {
	marks := t.readDeletionMarks()
	if slices.ContainsFunc(marks, func(name string) bool { return t.cluster.topics[name] == nil }) {
		t.topicsChanged() // a topic's creation may be news too that waits behind this event
	}
	var void []string
	for _, name := range marks {
		if t.cluster.topics[name] == nil && t.topicWatch[name] == nil {
			void = append(void, name)
		}
	}
	if !t.opt.DeleteTopicEnable {
		t.dropMarks(marks)
		return
	}
	if len(void) > 0 {
		t.log.Warn("Ignoring the deletion of topics that do not exist", zap.Strings("topics", void))
		t.dropMarks(void)
	}
	for _, name := range marks {
		if slices.Contains(void, name) || t.cluster.toBeDeleted[name] {
			continue
		}
		t.log.Info("Topic queued for deletion", zap.String("topic", name))
		t.recount = true
		t.cluster.toBeDeleted[name] = true
		if s := t.cluster.topics[name]; s != nil && s.reassigned() {
			t.wait(name, "it is being reassigned")
		}
	}
	t.resumeDeletions()
}

func (t *term) dropMarks(names []string) {
	if len(names) > 0 {
		t.write("marks of topics to delete", func(ctx context.Context) error {
			return t.zk.UnmarkTopics(ctx, t.epoch, names)
		})
	}
}

// resumeDeletions takes every queued topic as far as it can go now.
func (t *term) resumeDeletions() {
	var retry, start []*topicState
	for _, name := range slices.Sorted(maps.Keys(t.cluster.toBeDeleted)) {
		s := t.cluster.topics[name]
		switch {
		case s == nil || s.all(deletionSuccessful):
			t.finishDeletion(name)
			continue
		case !s.any(deletionStarted) && s.any(deletionIneligible):
			retry = append(retry, s)
		}
		if !s.any(deletionStarted) && !t.cluster.ineligible[name] {
			start = append(start, s)
		}
	}
	for _, s := range retry {
		t.moveReplicas(s.replicasIn(deletionIneligible), offlineReplica)
	}
	t.startDeletion(start)
}

// startDeletion takes the topics' partitions out of the brokers' metadata and has their replicas stopped and
// deleted.
func (t *term) startDeletion(topics []*topicState) {
	if len(topics) == 0 || !t.alive() {
		return
	}
	var parts, unseen []*partition
	for _, s := range topics {
		parts = append(parts, s.sorted()...)
		if !t.cluster.deleting[s.name] {
			t.log.Info("Topic deletion starts", zap.String("topic", s.name))
			unseen = append(unseen, s.sorted()...)
		}
	}
	t.movePartitions(unseen, offlinePartition, leaderOffline)
	t.movePartitions(unseen, nonExistentPartition, leaderOffline)
	for _, s := range topics {
		t.cluster.deleting[s.name] = true
	}
	t.batch.updateMetadata(t.cluster, t.cluster.brokerIDs(), parts...)
	t.flush()

	var dead, alive []replica
	for _, r := range replicasOf(parts, nil) {
		switch {
		case !t.cluster.isOnline(r.partition, r.broker):
			dead = append(dead, r)
		case r.replicaStates[r.broker] != deletionSuccessful:
			alive = append(alive, r)
		}
	}
	t.moveReplicas(dead, deletionIneligible)
	t.moveReplicas(alive, offlineReplica)
	t.moveReplicas(alive, deletionStarted)
	for _, r := range dead {
		t.wait(r.Topic, "a replica is offline")
	}
}

// onStopReplicaResponse takes the answer to a StopReplica; deletes are the partitions it was asked to delete.
func (t *term) onStopReplicaResponse(broker int32, deletes []topic.Partition, resp *kmsg.StopReplicaResponse) {
	t.logRefusal(broker, resp.ErrorCode)
	if len(deletes) == 0 {
		return
	}
	refused := make(map[topic.Partition]bool)
	for _, p := range resp.Partitions {
		if p.ErrorCode != 0 {
			refused[topic.Partition{Topic: p.Topic, ID: p.Partition}] = true
		}
	}
	var failed, deleted []replica
	for _, tp := range deletes {
		p := t.cluster.find(tp)
		if resp.ErrorCode == 0 && !refused[tp] {
			t.cluster.leftoverDeleted(broker, tp)
		}
		switch {
		case p == nil || p.replicaStates[broker] != deletionStarted:
		case resp.ErrorCode != 0 || refused[tp]:
			failed = append(failed, replica{p, broker})
		default:
			deleted = append(deleted, replica{p, broker})
		}
	}
	t.deletionFailed(failed)
	if len(deleted) > 0 {
		t.moveReplicas(deleted, deletionSuccessful)
		t.resumeDeletions()
	}
}

// deletionFailed makes the topics of replicas that could not be deleted wait.
func (t *term) deletionFailed(rs []replica) {
	rs = slices.DeleteFunc(slices.Clone(rs), func(r replica) bool { return !t.cluster.isBeingDeleted(r.Topic) })
	if len(rs) == 0 {
		return
	}
	t.moveReplicas(rs, deletionIneligible)
	for _, r := range rs {
		t.wait(r.Topic, "a replica could not be deleted")
	}
	t.resumeDeletions()
}

// wait makes a queued topic wait until something happens that may help.
func (t *term) wait(name, why string) {
	if t.cluster.isBeingDeleted(name) && !t.cluster.ineligible[name] {
		t.cluster.ineligible[name] = true
		t.log.Info("Topic deletion waits", zap.String("topic", name), zap.String("why", why))
	}
}

// deletionMayGoOn ends the wait of topics with a replica among rs: its broker is back, or a reassignment is over.
func (t *term) deletionMayGoOn(rs []replica) {
	goOn := false
	for _, r := range rs {
		if t.cluster.isBeingDeleted(r.Topic) && !t.cluster.topics[r.Topic].reassigned() {
			delete(t.cluster.ineligible, r.Topic)
			goOn = true
		}
	}
	if goOn {
		t.resumeDeletions()
	}
}

// finishDeletion removes what is left of a topic all of whose replicas are deleted: its znodes, its
// configuration and, last, the mark.
func (t *term) finishDeletion(name string) {
	if s := t.cluster.topics[name]; s != nil {
		t.moveReplicas(s.replicas(), nonExistentReplica)
	}
	t.topicWatch[name].Stop()
	delete(t.topicWatch, name)
	delete(t.idLost, name)
	err := t.write("deletion of topic "+name, func(ctx context.Context) error {
		return t.zk.RemoveTopic(ctx, t.epoch, name)
	})
	if err != nil {
		return // it stays queued: the next resumption, or the next controller by its mark, tries again
	}
	t.cluster.removeTopic(name)
	t.recount = true
	t.log.Info("Topic deleted", zap.String("topic", name))
}

// reassigned tells whether any partition of the topic is.
func (s *topicState) reassigned() bool {
	return slices.ContainsFunc(s.sorted(), func(p *partition) bool { return p.reassigned() })
}

// replicas returns all replicas of the topic.
func (s *topicState) replicas() []replica { return replicasOf(s.sorted(), nil) }

// replicasIn returns the replicas of the topic that are in a state.
func (s *topicState) replicasIn(state replicaState) []replica {
	return replicasOf(s.sorted(), func(p *partition, b int32) bool { return p.replicaStates[b] == state })
}

// all tells whether every replica of the topic is in a state; true for a topic without partitions.
func (s *topicState) all(state replicaState) bool {
	return len(s.replicasIn(state)) == len(s.replicas())
}

// any tells whether some replica of the topic is in a state.
func (s *topicState) any(state replicaState) bool { return len(s.replicasIn(state)) > 0 }
