package controller

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// cluster is what the controller knows in one term (Kafka: ControllerContext). It starts empty, is filled
// from ZooKeeper at the start of the term and belongs to the loop.
type cluster struct {
	brokers     map[int32]zkmeta.BrokerInfo        // registered now, leaving ones too
	leaving     map[int32]bool                     // asked for a controlled shutdown and still registered
	offlineDirs map[int32]map[topic.Partition]bool // by broker: replicas in a log directory that failed
	topics      map[string]*topicState             // every topic with a readable znode
	topicNames  map[topic.ID]string                // for topics that have an id
	toBeDeleted map[string]bool                    // queued for deletion; may name topics that do not exist
	ineligible  map[string]bool                    // queued, but waiting for a broker or a reassignment
	deleting    map[string]bool                    // whose partitions went through Offline to NonExistent
	// leftovers are replicas, by broker, that a reassignment took away and whose deletion is not confirmed yet.
	leftovers map[int32]map[topic.Partition]bool
}

func newCluster() *cluster {
	return &cluster{
		brokers:     make(map[int32]zkmeta.BrokerInfo),
		leaving:     make(map[int32]bool),
		offlineDirs: make(map[int32]map[topic.Partition]bool),
		topics:      make(map[string]*topicState),
		topicNames:  make(map[topic.ID]string),
		toBeDeleted: make(map[string]bool),
		ineligible:  make(map[string]bool),
		deleting:    make(map[string]bool),
		leftovers:   make(map[int32]map[topic.Partition]bool),
	}
}

// topicState is one topic.
type topicState struct {
	name       string
	id         topic.ID
	partitions map[int32]*partition
	extra      map[string]json.RawMessage // keys of the znode that are not Kafka's; they survive a rewrite
	zkVersion  int32                      // of the znode, as last read or written
}

// partition is one partition: where it should live, who leads it, and how far each replica is.
type partition struct {
	topic.Partition
	placement

	state         partitionState
	leadership    *zkmeta.PartitionState // the state znode as last read or written; nil before there is one
	replicaStates map[int32]replicaState
}

// leader is the leading broker, or noLeader.
func (p *partition) leader() int32 {
	if p.leadership == nil {
		return noLeader
	}
	return p.leadership.Leader
}

// replica names one replica of one partition.
type replica struct {
	*partition
	broker int32
}

// addTopic makes a topic known, with its partitions still NonExistent.
func (c *cluster) addTopic(name string, a zkmeta.TopicAssignment) *topicState {
	t := &topicState{name: name, id: a.ID, partitions: make(map[int32]*partition, len(a.Partitions)), extra: a.Extra,
		zkVersion: a.ZkVersion}
	for id := range a.Partitions {
		t.addPartition(id, a)
	}
	c.topics[name] = t
	if !a.ID.IsZero() {
		c.topicNames[a.ID] = name
	}
	return t
}

// addPartition makes one partition of a's known, NonExistent as yet.
func (t *topicState) addPartition(id int32, a zkmeta.TopicAssignment) *partition {
	p := &partition{
		Partition:     topic.Partition{Topic: t.name, ID: id},
		placement:     placement{a.Partitions[id], a.Adding[id], a.Removing[id]},
		replicaStates: make(map[int32]replicaState, len(a.Partitions[id])),
	}
	t.partitions[id] = p
	return p
}

// removeTopic forgets a topic and every mark it had.
func (c *cluster) removeTopic(name string) {
	if t := c.topics[name]; t != nil {
		delete(c.topicNames, t.id)
	}
	delete(c.topics, name)
	delete(c.toBeDeleted, name)
	delete(c.ineligible, name)
	delete(c.deleting, name)
	for _, marks := range []map[int32]map[topic.Partition]bool{c.offlineDirs, c.leftovers} {
		for _, marked := range marks {
			maps.DeleteFunc(marked, func(tp topic.Partition, _ bool) bool { return tp.Topic == name })
		}
	}
}

// find returns a partition or nil.
func (c *cluster) find(tp topic.Partition) *partition {
	if t := c.topics[tp.Topic]; t != nil {
		return t.partitions[tp.ID]
	}
	return nil
}

// sorted gives a topic's partitions by number.
func (t *topicState) sorted() []*partition {
	return slices.SortedFunc(maps.Values(t.partitions), func(a, b *partition) int { return cmp.Compare(a.ID, b.ID) })
}

// selectPartitions returns the partitions that pass, by topic and number: every run takes the same decisions
// in the same order.
func (c *cluster) selectPartitions(pass func(*partition) bool) []*partition {
	var found []*partition
	for _, name := range slices.Sorted(maps.Keys(c.topics)) {
		for _, p := range c.topics[name].sorted() {
			if pass(p) {
				found = append(found, p)
			}
		}
	}
	return found
}

// replicasOn returns the replicas assigned to any of the brokers.
func (c *cluster) replicasOn(brokers map[int32]bool) []replica {
	return replicasOf(c.selectPartitions(everyPartition), func(_ *partition, b int32) bool { return brokers[b] })
}

func everyPartition(*partition) bool { return true }

// replicasOf returns the replicas of partitions that pass; a nil pass takes all.
func replicasOf(partitions []*partition, pass func(p *partition, broker int32) bool) []replica {
	var found []replica
	for _, p := range partitions {
		for _, b := range p.replicas {
			if pass == nil || pass(p, b) {
				found = append(found, replica{p, b})
			}
		}
	}
	return found
}

// brokerIDs are all registered brokers, those that are leaving too.
func (c *cluster) brokerIDs() []int32 { return slices.Sorted(maps.Keys(c.brokers)) }

// isLive tells whether a broker is registered and stays.
func (c *cluster) isLive(broker int32) bool {
	_, registered := c.brokers[broker]
	return registered && !c.leaving[broker]
}

// isOnline tells whether a replica can be led from: its broker is live and its log directory in order.
func (c *cluster) isOnline(p *partition, broker int32) bool {
	return c.isLive(broker) && !c.offlineDirs[broker][p.Partition]
}

// isReachable is isOnline, counting brokers that are leaving.
func (c *cluster) isReachable(p *partition, broker int32) bool {
	_, registered := c.brokers[broker]
	return registered && !c.offlineDirs[broker][p.Partition]
}

// online is isOnline for the elections of one partition.
func (c *cluster) online(p *partition) up {
	return func(broker int32) bool { return c.isOnline(p, broker) }
}

// isBeingDeleted tells whether a topic is queued for deletion.
func (c *cluster) isBeingDeleted(name string) bool { return c.toBeDeleted[name] }

// isDoomed tells whether a topic is queued for deletion and needs no leaders any more. While it waits for a
// reassignment it does: without a leader no replica catches up, and both would wait for ever (as under Kafka's
// controller they do).
func (c *cluster) isDoomed(name string) bool {
	s := c.topics[name]
	return c.toBeDeleted[name] && (s == nil || !s.reassigned())
}
