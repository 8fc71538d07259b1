package controller

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// readTopicNames lists the topics in order and watches each znode, the ones that cannot be read too: they may
// be mended.
func (t *term) readTopicNames() []string {
	var names []string
	t.read(func(ctx context.Context) (err error) {
		names, err = t.zk.Topics(ctx)
		return err
	})
	names = slices.DeleteFunc(names, t.refuseName)
	t.watchTopics(slices.DeleteFunc(slices.Clone(names), func(name string) bool { return t.topicWatch[name] != nil }))
	return names
}

// refuseName leaves out a znode whose name no topic may have: tools that write into ZooKeeper ask nobody, and a name
// becomes a directory. It is reported once a term, and stays as it is.
func (t *term) refuseName(name string) bool {
	err := topic.ValidateName(name)
	if err != nil && !t.badNames[name] {
		t.badNames[name] = true
		t.log.Error("A topic in ZooKeeper is left out", zap.String("path", zkmeta.TopicPath(name)), zap.Error(err))
	}
	return err != nil
}

func (t *term) watchTopics(names []string) {
	if len(names) == 0 {
		return
	}
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = zkmeta.TopicPath(name)
	}
	var watches []*zkmeta.Watch
	t.read(func(ctx context.Context) (err error) {
		watches, err = t.zk.WatchDataOf(ctx, paths, func(path string) {
			name := strings.TrimPrefix(path, zkmeta.TopicsPath+"/")
			t.hint("PartitionModifications "+name, func() { t.topicModified(name) })()
		})
		return err
	})
	for i, w := range watches {
		t.topicWatch[names[i]] = w
	}
}

// readTopics reads assignments. Topics that are gone or unreadable are left out.
func (t *term) readTopics(names []string) map[string]zkmeta.TopicAssignment {
	var found map[string]zkmeta.TopicAssignment
	if len(names) > 0 {
		t.read(func(ctx context.Context) (err error) {
			found, err = t.zk.ReadTopics(ctx, names)
			return err
		})
	}
	return found
}

// writeTopic writes a topic's assignment as we know it; keys that others put there stay. When somebody has written
// since we read, nothing is written: the watch has us look again, and find what is still to do.
func (t *term) writeTopic(s *topicState) {
	_ = t.setTopic(s, s.assignment()) // logged there
}

// setTopic writes the content of a topic's znode, unless it is another than we read: ErrBadVersion.
func (t *term) setTopic(s *topicState, a zkmeta.TopicAssignment) error {
	moved := false
	err := t.write("assignment of topic "+s.name, func(ctx context.Context) error {
		version, err := t.zk.SetTopic(ctx, t.epoch, s.name, a)
		if moved = errors.Is(err, zkmeta.ErrBadVersion); moved {
			t.log.Info("A topic was changed while the controller rewrote it", zap.String("topic", s.name))
			return nil
		}
		if err == nil {
			s.zkVersion = version
		}
		return err
	})
	if moved {
		return zkmeta.ErrBadVersion
	}
	return err
}

// assignment is the content of the topic's znode.
func (s *topicState) assignment() zkmeta.TopicAssignment {
	a := zkmeta.TopicAssignment{
		ID:         s.id,
		Partitions: make(map[int32][]int32, len(s.partitions)),
		Adding:     make(map[int32][]int32),
		Removing:   make(map[int32][]int32),
		Extra:      s.extra,
		ZkVersion:  s.zkVersion,
	}
	for id, p := range s.partitions {
		p.writeTo(&a, id)
	}
	return a
}

// writeTo enters the placement of a partition into what its topic's znode will say.
func (p placement) writeTo(a *zkmeta.TopicAssignment, id int32) {
	a.Partitions[id] = p.replicas
	delete(a.Adding, id)
	delete(a.Removing, id)
	if len(p.adding) > 0 {
		a.Adding[id] = p.adding
	}
	if len(p.removing) > 0 {
		a.Removing[id] = p.removing
	}
}

// topicsChanged compares the topics with what we know (Kafka: TopicChange).
func (t *term) topicsChanged() {
	names := t.readTopicNames()
	if !t.alive() {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(t.topicWatch)) {
		if _, there := slices.BinarySearch(names, name); !there {
			t.log.Info("A topic is gone from ZooKeeper", zap.String("topic", name))
			doomed := t.cluster.isBeingDeleted(name)
			t.forgetTopic(name)
			if doomed { // an operator was quicker; the mark must not outlive the topic
				t.finishDeletion(name)
			}
		}
	}
	unknown := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return t.cluster.topics[name] != nil })
	t.topicsAdded(t.readTopics(unknown))
}

// topicsAdded takes new topics in and creates their partitions.
func (t *term) topicsAdded(found map[string]zkmeta.TopicAssignment) {
	names := slices.Sorted(maps.Keys(found))
	var fresh []*partition
	for _, name := range names {
		fresh = append(fresh, t.cluster.addTopic(name, found[name]).sorted()...)
	}
	t.giveTopicIDs(names)
	if len(names) > 0 {
		t.log.Info("New topics", zap.Strings("topics", names), zap.Int("partitions", len(fresh)))
	}
	t.createPartitions(fresh)
}

// createPartitions brings new partitions to life (Kafka: onNewPartitionCreation).
func (t *term) createPartitions(fresh []*partition) {
	if len(fresh) == 0 {
		return
	}
	t.movePartitions(fresh, newPartition, leaderOffline)
	t.moveReplicas(replicasOf(fresh, nil), newReplica)
	t.movePartitions(fresh, onlinePartition, leaderOffline)
	t.moveReplicas(replicasOf(fresh, nil), onlineReplica)
}

// topicModified looks what changed in a topic's znode (Kafka: PartitionModifications): new partitions are
// created. Other changes of the assignment are not asked for this way; what an old tool dropped is put back.
func (t *term) topicModified(name string) {
	s := t.cluster.topics[name]
	if s == nil {
		t.topicsChanged()
		return
	}
	a, ok := t.readTopics([]string{name})[name]
	if !ok {
		return // gone, which topicsChanged will see, or unreadable as yet
	}
	if s.id.IsZero() && !a.ID.IsZero() { // lost, and found by somebody else
		s.extra, s.zkVersion = a.Extra, a.ZkVersion
		delete(t.idLost, name)
		t.nameTopic(s, a.ID, "its znode")
		t.announceTopicID(s)
	}
	if !a.ID.IsZero() && a.ID != s.id {
		t.log.Warn("A topic was deleted and created again behind the controller's back", zap.String("topic", name),
			zap.Stringer("old_id", s.id), zap.Stringer("id", a.ID))
		t.forgetTopic(name)
		t.topicsChanged()
		return
	}
	s.extra, s.zkVersion = a.Extra, a.ZkVersion
	var added []int32
	for _, id := range slices.Sorted(maps.Keys(a.Partitions)) {
		if s.partitions[id] == nil {
			added = append(added, id)
		}
	}
	if t.cluster.isBeingDeleted(name) {
		if len(added) > 0 {
			t.log.Warn("Partitions cannot be added to a topic that is being deleted", zap.String("topic", name))
			t.writeTopic(s)
		}
		return
	}
	fresh := make([]*partition, 0, len(added))
	for _, id := range added {
		fresh = append(fresh, s.addPartition(id, a))
	}
	if s.lostKeys(a) {
		t.log.Warn("A tool rewrote a topic without its id or its running reassignment; both are put back",
			zap.String("topic", name))
		t.writeTopic(s)
	}
	if len(fresh) > 0 {
		t.log.Info("New partitions", zap.String("topic", name), zap.Int32s("partitions", added))
	}
	t.createPartitions(fresh)
}

// lostKeys tells whether the znode lacks what only tools of 2.4 and 2.8 know to keep. Nobody but a controller ends a
// reassignment, so one that the znode does not show is lost, whatever replicas stand there: a tool may have read the
// topic before it began, and written it afterwards.
func (s *topicState) lostKeys(a zkmeta.TopicAssignment) bool {
	if a.ID != s.id {
		return true
	}
	for id, p := range s.partitions {
		lost := len(a.Adding[id])+len(a.Removing[id]) == 0
		if p.reassigned() && lost {
			return true
		}
	}
	return false
}

// forgetTopic drops a topic that is gone. Brokers are told nothing: a znode that is missing must never cost
// data.
func (t *term) forgetTopic(name string) {
	t.cluster.removeTopic(name)
	t.recount = true
	t.topicWatch[name].Stop()
	delete(t.topicWatch, name)
	delete(t.idLost, name)
}
