package controller

import (
	"context"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/topic"
)

// preferredElectionAsked gives partitions back to their first replica, as /admin/preferred_replica_election asks (Kafka:
// PreferredReplicaLeaderElection). The znode is deleted afterwards, also for partitions that could not be served.
func (t *term) preferredElectionAsked() {
	asked, found := t.readPreferredElection()
	if !found {
		return
	}
	t.log.Info("Preferred leader election", zap.Int("partitions", len(asked)))
	t.electPreferred(asked)
	t.ask(func(ctx context.Context) error { return t.zk.RemovePreferredElection(ctx, t.epoch) })
}

// electPreferred elects the first replicas of partitions that exist, stay, and are led by another one.
func (t *term) electPreferred(asked []topic.Partition) failures {
	var ps []*partition
	for _, tp := range asked {
		p := t.cluster.find(tp)
		if p != nil && !t.cluster.isBeingDeleted(tp.Topic) && len(p.replicas) > 0 && p.leader() != p.replicas[0] {
			ps = append(ps, p)
		}
	}
	return t.movePartitions(ps, onlinePartition, preferredLeader)
}
