package controller

import (
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

const (
	leaderDuringDelete int32 = -2 // UpdateMetadata: forget the partition
	epochDuringDelete  int32 = -2 // StopReplica: whatever leader epoch you know
	noEpoch            int32 = -1
)

// What is said about one partition in each of the three requests.
type (
	leadershipSaid = kmsg.LeaderAndISRRequestTopicPartition
	metadataSaid   = kmsg.UpdateMetadataRequestTopicPartition
	stopSaid       = kmsg.StopReplicaRequestTopicPartitionState
)

// batch collects what one step of an event has to tell the brokers (Kafka: ControllerBrokerRequestBatch).
// What is said about a partition is what was true when it was added.
type batch struct {
	leaders    map[int32]map[topic.Partition]leadershipSaid // by broker
	stops      map[int32]map[topic.Partition]stopSaid       // by broker
	metadata   map[topic.Partition]metadataSaid
	metadataTo map[int32]bool
}

func newBatch() *batch {
	return &batch{
		leaders:    make(map[int32]map[topic.Partition]leadershipSaid),
		stops:      make(map[int32]map[topic.Partition]stopSaid),
		metadata:   make(map[topic.Partition]metadataSaid),
		metadataTo: make(map[int32]bool),
	}
}

// leaderAndISR tells brokers that host the partition who leads it, and all brokers the same as metadata. A
// partition once said to be new stays so in this batch.
func (b *batch) leaderAndISR(c *cluster, p *partition, brokers []int32, isNew bool) {
	for _, id := range brokers {
		said := b.leaders[id]
		if said == nil {
			said = make(map[topic.Partition]leadershipSaid)
			b.leaders[id] = said
		}
		said[p.Partition] = leadershipSaid{
			Partition:           p.ID,
			ControllerEpoch:     p.leadership.ControllerEpoch,
			Leader:              p.leadership.Leader,
			LeaderEpoch:         p.leadership.LeaderEpoch,
			ISR:                 p.leadership.ISR,
			ZKVersion:           p.leadership.ZkVersion,
			Replicas:            p.replicas,
			AddingReplicas:      p.adding,
			RemovingReplicas:    p.removing,
			IsNew:               isNew || said[p.Partition].IsNew,
			LeaderRecoveryState: p.leadership.LeaderRecoveryState,
		}
	}
	b.updateMetadata(c, c.brokerIDs(), p)
}

// updateMetadata tells brokers what clients may know: who is alive and, for each given partition that ever
// had a leader, its state.
func (b *batch) updateMetadata(c *cluster, brokers []int32, ps ...*partition) {
	for _, id := range brokers {
		b.metadataTo[id] = true
	}
	for _, p := range ps {
		if p.leadership == nil {
			continue
		}
		leader := p.leadership.Leader
		if c.isBeingDeleted(p.Topic) {
			leader = leaderDuringDelete
		}
		b.metadata[p.Partition] = metadataSaid{
			Partition:       p.ID,
			ControllerEpoch: p.leadership.ControllerEpoch,
			Leader:          leader,
			LeaderEpoch:     p.leadership.LeaderEpoch,
			ISR:             p.leadership.ISR,
			ZKVersion:       p.leadership.ZkVersion,
			Replicas:        p.replicas,
			OfflineReplicas: keep(p.replicas, func(id int32) bool { return !c.isOnline(p, id) }),
		}
	}
}

// stopReplica tells a broker to stop following or leading a partition, and to delete its log if so asked.
func (b *batch) stopReplica(c *cluster, p *partition, broker int32, del bool) {
	stopped := b.stops[broker]
	if stopped == nil {
		stopped = make(map[topic.Partition]stopSaid)
		b.stops[broker] = stopped
	}
	epoch := noEpoch
	switch {
	case c.isBeingDeleted(p.Topic):
		epoch = epochDuringDelete
	case p.leadership != nil:
		epoch = p.leadership.LeaderEpoch
	}
	stopped[p.Partition] = stopSaid{Partition: p.ID, LeaderEpoch: epoch, Delete: del}
}

// flush sends the batch and starts the next one. A term that is over sends nothing.
func (t *term) flush() {
	b := t.batch
	t.batch = newBatch()
	if !t.alive() {
		return
	}
	ids := t.cluster.brokerIDs()
	for _, id := range ids {
		if states := b.leaders[id]; len(states) > 0 {
			t.send(id, t.leaderAndISRRequest(id, states), func(resp kmsg.Response) {
				t.onLeaderAndISRResponse(id, resp.(*kmsg.LeaderAndISRResponse))
			})
		}
	}
	if len(b.metadataTo) > 0 {
		topics, brokers := t.metadataTopics(b.metadata), t.liveBrokers()
		for _, id := range ids {
			if b.metadataTo[id] {
				t.out.send(id, &kmsg.UpdateMetadataRequest{
					Version:         t.opt.Level.UpdateMetadataVersion(),
					ControllerID:    t.opt.BrokerID,
					ControllerEpoch: t.epoch.Epoch,
					BrokerEpoch:     t.cluster.brokers[id].Epoch,
					TopicStates:     topics,
					LiveBrokers:     brokers,
				}, func(resp kmsg.Response) { t.logRefusal(id, resp.(*kmsg.UpdateMetadataResponse).ErrorCode) })
			}
		}
	}
	for _, id := range ids {
		if stops := b.stops[id]; len(stops) > 0 {
			t.sendStops(id, stops)
		}
	}
}

// send hands a request to the broker's queue. handle runs on the loop, if the term still is when the answer
// comes.
func (t *term) send(broker int32, req kmsg.Request, handle func(kmsg.Response)) {
	name := kmsg.NameForKey(req.Key()) + "ResponseReceived"
	t.out.send(broker, req, func(resp kmsg.Response) {
		t.post(event{name: name, run: func() { handle(resp) }})
	})
}

func (t *term) leaderAndISRRequest(broker int32, states map[topic.Partition]leadershipSaid) *kmsg.LeaderAndISRRequest {
	req := &kmsg.LeaderAndISRRequest{
		Version:         t.opt.Level.LeaderAndIsrVersion(),
		ControllerID:    t.opt.BrokerID,
		ControllerEpoch: t.epoch.Epoch,
		BrokerEpoch:     t.cluster.brokers[broker].Epoch,
	}
	leaders := make(map[int32]bool)
	for name, parts := range byTopic(states) {
		req.TopicStates = append(req.TopicStates, kmsg.LeaderAndISRRequestTopicState{
			Topic: name, TopicID: t.topicID(name), PartitionStates: parts,
		})
		for _, p := range parts {
			leaders[p.Leader] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(leaders)) {
		if e, ok := t.endpoint(t.cluster.brokers[id]); ok {
			req.LiveLeaders = append(req.LiveLeaders,
				kmsg.LeaderAndISRRequestLiveLeader{BrokerID: id, Host: e.Host, Port: e.Port})
		}
	}
	return req
}

func (t *term) metadataTopics(states map[topic.Partition]metadataSaid) []kmsg.UpdateMetadataRequestTopicState {
	topics := make([]kmsg.UpdateMetadataRequestTopicState, 0, len(states))
	for name, parts := range byTopic(states) {
		topics = append(topics, kmsg.UpdateMetadataRequestTopicState{
			Topic: name, TopicID: t.topicID(name), PartitionStates: parts})
	}
	return topics
}

func (t *term) liveBrokers() []kmsg.UpdateMetadataRequestLiveBroker {
	var live []kmsg.UpdateMetadataRequestLiveBroker
	for _, id := range t.cluster.brokerIDs() {
		b := kmsg.UpdateMetadataRequestLiveBroker{ID: id}
		if rack := t.cluster.brokers[id].Rack; rack != "" {
			b.Rack = &rack
		}
		for _, e := range t.cluster.brokers[id].Endpoints {
			b.Endpoints = append(b.Endpoints, kmsg.UpdateMetadataRequestLiveBrokerEndpoint{
				Port: e.Port, Host: e.Host, ListenerName: e.Listener,
				SecurityProtocol: securityProtocolID(e.SecurityProtocol),
			})
		}
		live = append(live, b)
	}
	return live
}

func (t *term) sendStops(broker int32, stops map[topic.Partition]stopSaid) {
	req := &kmsg.StopReplicaRequest{
		Version:         t.opt.Level.StopReplicaVersion(),
		ControllerID:    t.opt.BrokerID,
		ControllerEpoch: t.epoch.Epoch,
		BrokerEpoch:     t.cluster.brokers[broker].Epoch,
	}
	var deletes []topic.Partition
	for name, parts := range byTopic(stops) {
		req.Topics = append(req.Topics, kmsg.StopReplicaRequestTopic{Topic: name, PartitionStates: parts})
		for _, p := range parts {
			if p.Delete {
				deletes = append(deletes, topic.Partition{Topic: name, ID: p.Partition})
			}
		}
	}
	t.send(broker, req, func(resp kmsg.Response) {
		t.onStopReplicaResponse(broker, deletes, resp.(*kmsg.StopReplicaResponse))
	})
}

// securityProtocolID is the number of a security protocol on the wire.
func securityProtocolID(name string) int16 {
	return int16(max(0, slices.Index([]string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}, name)))
}

// byTopic yields the values of each topic in the order of their partitions, the topics by name.
func byTopic[V any](m map[topic.Partition]V) func(yield func(string, []V) bool) {
	return func(yield func(string, []V) bool) {
		keys := slices.SortedFunc(maps.Keys(m), topic.Partition.Compare)
		for len(keys) > 0 {
			name := keys[0].Topic
			var vs []V
			for len(keys) > 0 && keys[0].Topic == name {
				vs = append(vs, m[keys[0]])
				keys = keys[1:]
			}
			if !yield(name, vs) {
				return
			}
		}
	}
}

// endpoint is the address of a broker on the listener the controller talks to. False means it registered none.
func (t *term) endpoint(b zkmeta.BrokerInfo) (zkmeta.Endpoint, bool) {
	return b.Endpoint(t.opt.Listener)
}

// topicID is zero for a topic that has none or is gone.
func (t *term) topicID(name string) topic.ID {
	if s := t.cluster.topics[name]; s != nil {
		return s.id
	}
	return topic.ID{}
}
