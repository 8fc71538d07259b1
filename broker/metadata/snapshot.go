package metadata

import (
	"cmp"
	"iter"
	"slices"

	"github.com/zurau/zurau/broker/topic"
)

// NoLeader is the leader of a partition whose replicas are all away, and the controller id of a cluster without
// one.
const NoLeader = -1

// Endpoint is where a broker listens by one listener.
type Endpoint struct {
	Host             string
	Port             int32
	SecurityProtocol int16 // 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL
}

// Broker is one live broker.
type Broker struct {
	ID        int32
	Rack      *string             // nil when it has none
	Endpoints map[string]Endpoint // by listener name
}

// Partition is the state of one partition, as the controller wrote it to ZooKeeper.
type Partition struct {
	ID              int32
	Leader          int32 // NoLeader when there is none
	LeaderEpoch     int32
	ControllerEpoch int32 // of the controller that chose the leader
	ZkVersion       int32 // of the partition's state znode, alias partition epoch
	ISR             []int32
	Replicas        []int32 // in order of preference
	Offline         []int32 // replicas on brokers or disks that are away
}

// Topic is one topic and its partitions, sorted by id. A partition the controller has not told of yet is missing.
type Topic struct {
	Name       string
	ID         topic.ID // zero below inter.broker.protocol.version 2.8
	Partitions []Partition
}

// Partition finds a partition by its id, nil if it is not known.
func (t *Topic) Partition(id int32) *Partition {
	if id >= 0 && int(id) < len(t.Partitions) && t.Partitions[id].ID == id {
		return &t.Partitions[id]
	}
	i, ok := t.search(id)
	if !ok {
		return nil
	}
	return &t.Partitions[i]
}

// search finds where a partition is, or where it belongs.
func (t *Topic) search(id int32) (int, bool) {
	return slices.BinarySearchFunc(t.Partitions, id, func(p Partition, id int32) int { return cmp.Compare(p.ID, id) })
}

// Snapshot is one picture of the cluster. It and everything it hands out is immutable.
type Snapshot struct {
	controllerID int32
	brokers      []*Broker // sorted by id
	topics       shards[string]
	byID         shards[topic.ID]
	count        struct{ topics, partitions int }
	superseded   chan struct{} // closed when the next snapshot is in place
}

// ControllerID is the broker that sent the last UpdateMetadata, NoLeader before the first.
func (s *Snapshot) ControllerID() int32 { return s.controllerID }

// Brokers returns the live brokers, sorted by id.
func (s *Snapshot) Brokers() []*Broker { return s.brokers }

// Broker finds a live broker by its id, nil if it does not live.
func (s *Snapshot) Broker(id int32) *Broker {
	i, ok := slices.BinarySearchFunc(s.brokers, id, func(b *Broker, id int32) int { return cmp.Compare(b.ID, id) })
	if !ok {
		return nil
	}
	return s.brokers[i]
}

// Endpoint tells where a broker listens by the named listener; false if it does not live or has no such listener.
func (s *Snapshot) Endpoint(id int32, listener string) (Endpoint, bool) {
	b := s.Broker(id)
	if b == nil {
		return Endpoint{}, false
	}
	e, ok := b.Endpoints[listener]
	return e, ok
}

// Topic finds a topic by its name, nil if it is not known.
func (s *Snapshot) Topic(name string) *Topic { return s.topics.get(name) }

// TopicByID finds a topic by its id, nil if it is not known or the id is zero.
func (s *Snapshot) TopicByID(id topic.ID) *Topic { return s.byID.get(id) }

// Partition finds one partition, nil if it is not known.
func (s *Snapshot) Partition(tp topic.Partition) *Partition {
	t := s.Topic(tp.Topic)
	if t == nil {
		return nil
	}
	return t.Partition(tp.ID)
}

// Topics walks all topics in no particular order.
func (s *Snapshot) Topics() iter.Seq[*Topic] { return s.topics.all() }

// TopicCount and PartitionCount are the sizes of the cluster as far as it is known.
func (s *Snapshot) TopicCount() int { return s.count.topics }

// PartitionCount counts the partitions of all topics.
func (s *Snapshot) PartitionCount() int { return s.count.partitions }

// Superseded is closed when a newer snapshot is in place. Who waits for a change looks at a snapshot, and waits
// for this if it does not find what it wants: no change is lost between the two.
func (s *Snapshot) Superseded() <-chan struct{} { return s.superseded }
