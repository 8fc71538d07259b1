package replica

import (
	"errors"
	"slices"
	"strings"

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
	<-m.turn
	defer func() { m.turn <- struct{}{} }()
	if err := m.AcceptController(req.ControllerEpoch); err != nil {
		m.state.Warn("Ignoring LeaderAndIsr request from a controller that has been replaced",
			zap.Int32("controller", req.ControllerID), zap.Int32("controller_epoch", req.ControllerEpoch))
		resp.ErrorCode = kerr.CodeOf(err)
		return resp
	}
	var fresh []*Partition
	for _, t := range topicStates(req) {
		answer := kmsg.LeaderAndISRResponseTopic{TopicID: t.TopicID}
		if m.bringsLogs(&t) {
			m.RefreshTopic(t.Topic)
		}
		for i := range t.PartitionStates {
			s := &t.PartitionStates[i]
			tp := topic.Partition{Topic: t.Topic, ID: s.Partition}
			p, isNew, err := m.apply(tp, topic.ID(t.TopicID), s)
			if err != nil && !errors.Is(err, kerr.StaleControllerEpoch) {
				m.state.Error("LeaderAndIsr was not applied", zap.Stringer("partition", tp),
					zap.Int32("leader_epoch", s.LeaderEpoch), zap.Error(err))
			}
			if isNew {
				fresh = append(fresh, p)
			}
			answer.Partitions = append(answer.Partitions, kmsg.LeaderAndISRResponseTopicPartition{
				Topic: t.Topic, Partition: s.Partition, ErrorCode: kerr.CodeOf(err)})
		}
		if req.Version >= 5 {
			resp.Topics = append(resp.Topics, answer)
		} else {
			resp.Partitions = append(resp.Partitions, answer.Partitions...)
		}
	}
	if len(fresh) > 0 {
		m.change(func(all map[topic.Partition]*Partition) {
			for _, p := range fresh {
				all[p.tp] = p
			}
		})
	}
	m.Storage.StartHighWatermarkCheckpoints()
	return resp
}

// bringsLogs tells whether any partition of the topic has no log here yet.
func (m *Manager) bringsLogs(t *kmsg.LeaderAndISRRequestTopicState) bool {
	return slices.ContainsFunc(t.PartitionStates, func(s kmsg.LeaderAndISRRequestTopicPartition) bool {
		return m.Storage.Log(topic.Partition{Topic: t.Topic, ID: s.Partition}) == nil
	})
}

// topicStates gives the partition states of any version by topic.
func topicStates(req *kmsg.LeaderAndISRRequest) []kmsg.LeaderAndISRRequestTopicState {
	if req.Version >= 2 {
		return req.TopicStates
	}
	var topics []kmsg.LeaderAndISRRequestTopicState
	for _, s := range req.PartitionStates {
		i := slices.IndexFunc(topics, func(t kmsg.LeaderAndISRRequestTopicState) bool { return t.Topic == s.Topic })
		if i < 0 {
			i = len(topics)
			topics = append(topics, kmsg.LeaderAndISRRequestTopicState{Topic: s.Topic})
		}
		topics[i].PartitionStates = append(topics[i].PartitionStates, s)
	}
	return topics
}

// apply carries out one partition's state. isNew says that p is not in the map yet: a partition becomes visible only
// with the role it was created for.
func (m *Manager) apply(tp topic.Partition, id topic.ID, s *kmsg.LeaderAndISRRequestTopicPartition) (p *Partition, isNew bool, err error) {
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
		p, isNew = newPartition(tp, log), true
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
	} else {
		p.makeFollower(next)
	}
	m.state.Info("Leadership changed", zap.Stringer("partition", tp), zap.Int32("from", before.leader), zap.Int32("leader", s.Leader),
		zap.Int32("leader_epoch", s.LeaderEpoch), zap.Int32s("isr", s.ISR), zap.Int32s("replicas", s.Replicas),
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
