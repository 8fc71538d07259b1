package controller

import (
	"context"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/topic"
)

// preferredElectionAsked gives partitions back to their first replica, as /admin/preferred_replica_election
// asks (Kafka: PreferredReplicaLeaderElection). The znode is deleted afterwards, also for partitions that
// could not be served, and, as Kafka's controller tries at the start of a term, when there is none.
func (t *term) preferredElectionAsked() {
	var asked []topic.Partition
	err := t.read(func(ctx context.Context) (err error) {
		asked, err = t.zk.ReadPreferredElection(ctx)
		return err
	})
	switch {
	case err != nil:
		t.log.Error("A preferred leader election was asked for in words nobody understands", zap.Error(err))
	case len(asked) > 0:
		t.log.Info("Preferred leader election", zap.Int("partitions", len(asked)))
		t.electPreferred(asked)
	}
	t.write("end of the preferred leader election", func(ctx context.Context) error {
		return t.zk.RemovePreferredElection(ctx, t.epoch)
	})
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
