package metadata

import (
	"cmp"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/topic"
)

// leaderDuringDelete in place of a leader says that the partition is being deleted.
const leaderDuringDelete = -2

// protocolNames are the security protocols by their ids. Before listeners had names these were their names.
var protocolNames = [...]string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}

// update builds the next snapshot out of a copy of the last, by the rules of Kafka's ZkMetadataCache: the brokers
// and the controller are replaced, the partitions are merged into those already known.
type update struct {
	next    *Snapshot
	topics  edit[string]
	byID    edit[topic.ID]
	removed []topic.Partition
}

func (u *update) apply(req *kmsg.UpdateMetadataRequest) {
	u.next.controllerID = max(req.ControllerID, NoLeader)
	u.next.brokers = brokers(req.LiveBrokers)
	if req.Version < 5 { // a flat list, in which a topic's partitions need not stand together
		byName := make(map[string][]kmsg.UpdateMetadataRequestTopicPartition)
		for _, p := range req.PartitionStates {
			byName[p.Topic] = append(byName[p.Topic], p)
		}
		for name, partitions := range byName {
			id := topic.ID{}
			if t := u.next.topics.get(name); t != nil {
				id = t.ID
			}
			u.topic(name, id, partitions)
		}
		return
	}
	for i := range req.TopicStates {
		t := &req.TopicStates[i]
		u.topic(t.Topic, topic.ID(t.TopicID), t.PartitionStates)
	}
}

// topic merges the listed partitions into a topic. A leader of -2 removes the partition, and the topic goes
// with its last one.
func (u *update) topic(name string, id topic.ID, states []kmsg.UpdateMetadataRequestTopicPartition) {
	old := u.next.topics.get(name)
	t := &Topic{ID: id}
	if old != nil {
		t.Name, t.Partitions = old.Name, slices.Clone(old.Partitions)
		u.next.count.topics--
		u.next.count.partitions -= len(old.Partitions)
		if !old.ID.IsZero() && old.ID != id {
			u.byID.remove(old.ID)
		}
	} else {
		t.Name = strings.Clone(name)
	}
	for i := range states {
		u.partition(t, &states[i])
	}
	if len(t.Partitions) == 0 {
		if old != nil {
			u.topics.remove(t.Name)
			if !id.IsZero() {
				u.byID.remove(id)
			}
		}
		return
	}
	u.next.count.topics++
	u.next.count.partitions += len(t.Partitions)
	u.topics.put(t.Name, t)
	if !id.IsZero() {
		u.byID.put(id, t)
	}
}

func (u *update) partition(t *Topic, s *kmsg.UpdateMetadataRequestTopicPartition) {
	i, known := t.search(s.Partition)
	if s.Leader == leaderDuringDelete {
		if known {
			t.Partitions = slices.Delete(t.Partitions, i, i+1)
			u.removed = append(u.removed, topic.Partition{Topic: t.Name, ID: s.Partition})
		}
		return
	}
	p := Partition{
		ID:              s.Partition,
		Leader:          s.Leader,
		LeaderEpoch:     s.LeaderEpoch,
		ControllerEpoch: s.ControllerEpoch,
		ZkVersion:       s.ZKVersion,
		ISR:             slices.Clone(s.ISR),
		Replicas:        slices.Clone(s.Replicas),
		Offline:         slices.Clone(s.OfflineReplicas),
	}
	if known {
		t.Partitions[i] = p
	} else {
		t.Partitions = slices.Insert(t.Partitions, i, p)
	}
}

// brokers turns the live brokers of a request of any version into ours: listeners have names since v3, several
// of them since v1.
func brokers(live []kmsg.UpdateMetadataRequestLiveBroker) []*Broker {
	all := make([]*Broker, 0, len(live))
	for i := range live {
		l := &live[i]
		b := &Broker{ID: l.ID, Endpoints: make(map[string]Endpoint, len(l.Endpoints))}
		if l.Rack != nil {
			rack := strings.Clone(*l.Rack)
			b.Rack = &rack
		}
		if l.Host != "" {
			b.Endpoints[protocolNames[0]] = Endpoint{Host: strings.Clone(l.Host), Port: l.Port}
		}
		for _, e := range l.Endpoints {
			name := strings.Clone(e.ListenerName)
			if name == "" && int(e.SecurityProtocol) < len(protocolNames) && e.SecurityProtocol >= 0 {
				name = protocolNames[e.SecurityProtocol]
			}
			b.Endpoints[name] = Endpoint{strings.Clone(e.Host), e.Port, e.SecurityProtocol}
		}
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b *Broker) int { return cmp.Compare(a.ID, b.ID) })
	return all
}
