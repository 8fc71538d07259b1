package replica

import (
	"maps"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
)

// Leader epochs of StopReplica that overrule the comparison.
const (
	epochDuringDelete = -2
	noEpoch           = -1
)

// StopReplica stops serving partitions and, where asked, deletes them from disk. STALE_CONTROLLER_EPOCH refuses the
// whole request; FENCED_LEADER_EPOCH answers a partition whose epoch here is larger. What this broker does not host
// is stopped already.
func (m *Manager) StopReplica(req *kmsg.StopReplicaRequest) *kmsg.StopReplicaResponse {
	resp := req.ResponseKind().(*kmsg.StopReplicaResponse)
	err := m.FromController(req.ControllerEpoch, func() { m.stopReplica(req, resp) })
	resp.ErrorCode = kerr.CodeOf(err)
	return resp
}

func (m *Manager) stopReplica(req *kmsg.StopReplicaRequest, resp *kmsg.StopReplicaResponse) {
	for _, s := range stops(req) {
		err := m.stop(s)
		if err != nil {
			m.state.Error("StopReplica was not carried out", zap.Stringer("partition", s.tp), zap.Error(err))
		}
		resp.Partitions = append(resp.Partitions, kmsg.StopReplicaResponsePartition{
			Topic: s.tp.Topic, Partition: s.tp.ID, ErrorCode: kerr.CodeOf(err)})
	}
	m.change(func(all map[topic.Partition]*Partition) {
		maps.DeleteFunc(all, func(tp topic.Partition, p *Partition) bool { return p.role.Load().stopped() })
	})
}

// stop is one partition of any version of the request.
type stop struct {
	tp          topic.Partition
	leaderEpoch int32
	delete      bool
}

func stops(req *kmsg.StopReplicaRequest) []stop {
	var all []stop
	for _, t := range req.Topics {
		switch {
		case req.Version >= 3:
			for _, s := range t.PartitionStates {
				all = append(all, stop{topic.Partition{Topic: t.Topic, ID: s.Partition}, s.LeaderEpoch, s.Delete})
			}
		case req.Version >= 1:
			for _, id := range t.Partitions {
				all = append(all, stop{topic.Partition{Topic: t.Topic, ID: id}, noEpoch, req.DeletePartitions})
			}
		default:
			all = append(all, stop{topic.Partition{Topic: t.Topic, ID: t.Partition}, noEpoch, req.DeletePartitions})
		}
	}
	return all
}

func (m *Manager) stop(s stop) error {
	p, log := m.Partition(s.tp), m.Storage.Log(s.tp)
	if log != nil && log.Err() != nil {
		return log.Err() // its files cannot be deleted; it is asked again when the broker is back with that directory
	}
	if p != nil {
		known := p.role.Load().leaderEpoch
		if s.leaderEpoch != epochDuringDelete && s.leaderEpoch != noEpoch && s.leaderEpoch < known {
			return kerr.FencedLeaderEpoch
		}
		p.stop()
	}
	if s.delete && log != nil {
		return m.Storage.Delete(s.tp)
	}
	return nil
}

// stop ends the partition: whoever waits here is answered NOT_LEADER_OR_FOLLOWER, and nothing is read or written any more.
func (p *Partition) stop() {
	p.makeFollower(&role{leader: stoppedLeader, leaderEpoch: p.role.Load().leaderEpoch, partitionEpoch: -1})
}

// stoppedLeader marks the last role of a partition object: it leaves the map, and a later LeaderAndIsr makes a new one.
const stoppedLeader = -3

func (r *role) stopped() bool { return r.leader == stoppedLeader }
