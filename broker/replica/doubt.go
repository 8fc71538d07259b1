package replica

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
)

// A broker that slept through the end of its ZooKeeper session may have been replaced as leader, and hears of it only
// after it has registered anew. Until then its roles are in doubt: what it appended alone, for acks=1, might be cut off
// again. acks=all needs no such care, as followers of a newer leader epoch do not fetch from it any more.

// Doubt says that everything a controller told this broker in its registration of that epoch, or before, may be outdated.
// It is called before the broker registers anew. A partition leaves the doubt by a LeaderAndIsr to a later registration
// that names it, which the controller sends for every partition of a broker that joins.
func (m *Manager) Doubt(brokerEpoch int64) { m.doubted.Store(brokerEpoch) }

// confirm notes that a controller that knows this broker by brokerEpoch has named p's role.
func (p *Partition) confirm(brokerEpoch int64) {
	for {
		old := p.confirmed.Load()
		if brokerEpoch <= old || p.confirmed.CompareAndSwap(old, brokerEpoch) {
			return
		}
	}
}

// inDoubt tells whether another broker may lead p although its role here says otherwise.
func (p *Partition) inDoubt() bool { return p.confirmed.Load() <= p.m.doubted.Load() }

// confirmedBy tells whether a partition's state in a LeaderAndIsr, answered with err, says what p's role says.
func (p *Partition) confirmedBy(s *kmsg.LeaderAndISRRequestTopicPartition, err error) bool {
	if err == nil {
		return true
	}
	r := p.role.Load()
	return errors.Is(err, kerr.StaleControllerEpoch) && s.LeaderEpoch == r.leaderEpoch && s.Leader == r.leader
}

// BringsLead tells whether a request makes this broker leader of a partition it does not lead.
func (m *Manager) BringsLead(req *kmsg.LeaderAndISRRequest) bool {
	for _, t := range topicStates(req) {
		for i := range t.PartitionStates {
			s := &t.PartitionStates[i]
			if s.Leader != m.BrokerID {
				continue
			}
			p := m.Partition(topic.Partition{Topic: t.Topic, ID: s.Partition})
			if p == nil || !p.role.Load().leads {
				return true
			}
		}
	}
	return false
}
