package replica

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/storage"
	"github.com/zurau/zurau/broker/topic"
)

// LeaderAndIsr makes this broker leader or follower of the partitions a controller names (Kafka:
// ReplicaManager.becomeLeaderOrFollower). The whole request is refused with STALE_CONTROLLER_EPOCH when its controller
// has been replaced; otherwise each partition has its own answer.
func (m *Manager) LeaderAndIsr(req *kmsg.LeaderAndISRRequest) *kmsg.LeaderAndISRResponse {
	resp := req.ResponseKind().(*kmsg.LeaderAndISRResponse)
	if err := m.FromController(req.ControllerEpoch, func() { m.leaderAndIsr(req, resp) }); err != nil {
		m.state.Warn("Ignoring LeaderAndIsr request from a controller that has been replaced",
			zap.Int32("controller", req.ControllerID), zap.Int32("controller_epoch", req.ControllerEpoch))
		resp.ErrorCode = kerr.CodeOf(err)
	}
	return resp
}

// leaderAndIsr works the request off and puts the answers of its partitions into resp.
func (m *Manager) leaderAndIsr(req *kmsg.LeaderAndISRRequest, resp *kmsg.LeaderAndISRResponse) {
	topics := topicStates(req)
	verdicts := m.applyAll(topics, req.BrokerEpoch)
	m.change(func(all map[topic.Partition]*Partition) {
		for _, v := range verdicts {
			if v.isNew {
				all[v.p.tp] = v.p
			}
		}
	})
	m.heard.Add(1)
	m.expecting.wake(everything)
	m.fetchers.assign(m.assignments(topics, verdicts))
	for _, t := range topics {
		answer := kmsg.LeaderAndISRResponseTopic{TopicID: t.TopicID}
		for i := range t.PartitionStates {
			answer.Partitions = append(answer.Partitions, kmsg.LeaderAndISRResponseTopicPartition{
				Topic: t.Topic, Partition: t.PartitionStates[i].Partition, ErrorCode: kerr.CodeOf(verdicts[i].err)})
		}
		verdicts = verdicts[len(t.PartitionStates):]
		if req.Version >= 5 {
			resp.Topics = append(resp.Topics, answer)
		} else {
			resp.Partitions = append(resp.Partitions, answer.Partitions...)
		}
	}
	m.Storage.StartHighWatermarkCheckpoints()
}

// verdict is what became of one partition of a LeaderAndIsr request.
type verdict struct {
	p     *Partition
	isNew bool // p is not in the map yet
	err   error
}

// assignments are the partitions of a request that follow now.
func (m *Manager) assignments(topics []kmsg.LeaderAndISRRequestTopicState, verdicts []verdict) (all []assignment) {
	next := 0
	for i := range topics {
		for j := range topics[i].PartitionStates {
			v := verdicts[next]
			next++
			if v.err != nil || v.p == nil || !m.followsOn(&topics[i].PartitionStates[j]) {
				continue
			}
			if r := v.p.role.Load(); !r.leads {
				all = append(all, assignment{v.p, r})
			}
		}
	}
	return all
}

// appliers is how many partitions are worked on at once: a new leader epoch is made durable before it is served, and
// syncs of different files overlap.
const appliers = 64

// applyAll carries out every partition's state and returns a verdict for each, in the order of the request. Of a
// partition that is named twice the first state counts. brokerEpoch is this broker's as the controller knows it.
func (m *Manager) applyAll(topics []kmsg.LeaderAndISRRequestTopicState, brokerEpoch int64) []verdict {
	var verdicts []verdict
	var fresh []string
	for i := range topics {
		if m.bringsLogs(&topics[i]) {
			fresh = append(fresh, topics[i].Topic)
		}
		verdicts = append(verdicts, make([]verdict, len(topics[i].PartitionStates))...)
	}
	if len(fresh) > 0 {
		m.RefreshTopics(fresh)
	}
	var working sync.WaitGroup
	slots := make(chan struct{}, appliers)
	seen := make(map[topic.Partition]bool, len(verdicts))
	next := 0
	for i := range topics {
		t := &topics[i]
		for j := range t.PartitionStates {
			v, s := &verdicts[next], &t.PartitionStates[j]
			next++
			tp := topic.Partition{Topic: t.Topic, ID: s.Partition}
			if seen[tp] {
				v.err = kerr.InvalidRequest
				continue
			}
			seen[tp] = true
			slots <- struct{}{}
			working.Go(func() {
				defer func() { <-slots }()
				v.p, v.isNew, v.err = m.apply(tp, topic.ID(t.TopicID), s)
				if v.p != nil && v.p.confirmedBy(s, v.err) {
					v.p.confirm(brokerEpoch)
				}
				if v.err != nil && !errors.Is(v.err, kerr.StaleControllerEpoch) {
					m.state.Error("LeaderAndIsr was not applied", zap.Stringer("partition", tp),
						zap.Int32("leader_epoch", s.LeaderEpoch), zap.Error(v.err))
				}
			})
		}
	}
	working.Wait()
	return verdicts
}

// bringsLogs tells whether any partition of the topic has no log here yet. A name no topic may have brings none.
func (m *Manager) bringsLogs(t *kmsg.LeaderAndISRRequestTopicState) bool {
	return topic.ValidateName(t.Topic) == nil && slices.ContainsFunc(t.PartitionStates, func(s kmsg.LeaderAndISRRequestTopicPartition) bool {
		return m.Storage.Log(topic.Partition{Topic: t.Topic, ID: s.Partition}) == nil
	})
}

// topicStates gives the partition states of any version by topic.
func topicStates(req *kmsg.LeaderAndISRRequest) []kmsg.LeaderAndISRRequestTopicState {
	if req.Version >= 2 {
		return req.TopicStates
	}
	var topics []kmsg.LeaderAndISRRequestTopicState
	places := make(map[string]int) // in topics
	for _, s := range req.PartitionStates {
		i, known := places[s.Topic]
		if !known {
			i = len(topics)
			places[s.Topic] = i
			topics = append(topics, kmsg.LeaderAndISRRequestTopicState{Topic: s.Topic})
		}
		topics[i].PartitionStates = append(topics[i].PartitionStates, s)
	}
	return topics
}

// apply carries out one partition's state. isNew says that p is not in the map yet: a partition becomes visible only
// with the role it was created for.
func (m *Manager) apply(tp topic.Partition, id topic.ID, s *kmsg.LeaderAndISRRequestTopicPartition) (
	p *Partition, isNew bool, err error) {
	if err := topic.ValidateName(tp.Topic); err != nil || tp.ID < 0 {
		return nil, false, kerr.InvalidTopicException
	}
	p = m.Partition(tp)
	if p != nil {
		if err := p.log.Err(); err != nil {
			return p, false, err // the answer by which a controller learns what a failed log directory held
		}
		if err := m.checkTopicID(p.log, id); err != nil {
			return p, false, err
		}
		known := p.role.Load().leaderEpoch
		if s.LeaderEpoch == known && p.log.TopicID().IsZero() && !id.IsZero() {
			return p, false, p.log.AssignTopicID(id)
		}
		if s.LeaderEpoch <= known {
			if s.LeaderEpoch == known && id.IsZero() && !p.log.TopicID().IsZero() {
				return p, false, nil
			}
			return p, false, kerr.StaleControllerEpoch
		}
	}
	if !slices.Contains(s.Replicas, m.BrokerID) {
		return p, false, kerr.UnknownTopicOrPartition
	}
	if p == nil {
		log, err := m.log(tp, id, s.IsNew)
		if err != nil {
			return nil, false, err
		}
		tp.Topic = strings.Clone(tp.Topic) // it points into the request
		p, isNew = newPartition(m, tp, log), true
	}
	next := &role{
		leader: s.Leader, leaderEpoch: s.LeaderEpoch, controllerEpoch: s.ControllerEpoch, partitionEpoch: s.ZKVersion,
		isr: slices.Clone(s.ISR), replicas: slices.Clone(s.Replicas),
	}
	before := p.role.Load()
	if s.Leader == m.BrokerID {
		if err := p.makeLeader(m.BrokerID, next); err != nil {
			return p, isNew, err
		}
		m.leadsWithLostTail(tp, p.log, s)
	} else {
		p.makeFollower(next)
	}
	m.state.Info("Leadership changed", zap.Stringer("partition", tp), zap.Int32("from", before.leader),
		zap.Int32("leader", s.Leader), zap.Int32("leader_epoch", s.LeaderEpoch), zap.Int32s("isr", s.ISR), zap.Int32s("replicas", s.Replicas),
		zap.Int32("controller_epoch", s.ControllerEpoch))
	return p, isNew, nil
}

func (m *Manager) checkTopicID(log *storage.Log, id topic.ID) error {
	if has := log.TopicID(); !id.IsZero() && !has.IsZero() && has != id {
		return kerr.InconsistentTopicID
	}
	return nil
}

// log finds the partition's log on disk, or creates it.
func (m *Manager) log(tp topic.Partition, id topic.ID, isNew bool) (*storage.Log, error) {
	log := m.Storage.Log(tp)
	if log == nil {
		if !isNew && len(m.Storage.OfflineDirs()) > 0 {
			return nil, kerr.KafkaStorageError // its data may lie in the directory that failed: an empty log would lose them
		}
		return m.Storage.Create(tp, id)
	}
	if err := log.Err(); err != nil {
		return nil, err
	}
	if err := m.checkTopicID(log, id); err != nil {
		return nil, err
	}
	if log.TopicID().IsZero() && !id.IsZero() {
		if err := log.AssignTopicID(id); err != nil {
			return nil, err
		}
	}
	return log, nil
}
