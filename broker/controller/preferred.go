package controller

import (
	"context"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
)

// Elections that somebody asks for: by the znode /admin/preferred_replica_election, or by ElectLeaders (KIP-460), which
// may ask for unclean leaders too.

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
		t.electAsked(asked, preferredLeader)
	}
	t.write("end of the preferred leader election", func(ctx context.Context) error {
		return t.zk.RemovePreferredElection(ctx, t.epoch)
	})
}

// Elected is what an election that was asked for came to: a leader, or why there is none.
type Elected struct {
	Leader int32
	Err    error
}

// ElectLeaders holds elections for partitions (43): the preferred replica leads, or, if unclean, any that lives, where
// nobody does. The leader is in ZooKeeper then, but brokers may not know him yet. False means that this broker is not
// the controller.
func (c *Controller) ElectLeaders(
	ctx context.Context, asked []topic.Partition, unclean bool,
) (map[topic.Partition]Elected, bool) {
	how := preferredLeader
	if unclean {
		how = leaderOfflineForced
	}
	asked = slices.Clone(asked)
	for i := range asked { // the loop may come to it when the connection has taken its buffer back
		asked[i].Topic = strings.Clone(asked[i].Topic)
	}
	results := call(ctx, c, "ReplicaLeaderElection", nil, func(t *term) map[topic.Partition]Elected {
		results := t.electAsked(asked, how)
		if !t.alive() {
			return nil
		}
		return results
	})
	return results, results != nil
}

// electAsked elects leaders for the partitions that exist, stay, and need one.
func (t *term) electAsked(asked []topic.Partition, how strategy) map[topic.Partition]Elected {
	results := make(map[topic.Partition]Elected, len(asked))
	var electable []*partition
	for _, tp := range asked {
		if _, twice := results[tp]; twice {
			continue
		}
		p, err := t.electable(tp, how)
		results[tp] = Elected{noLeader, err}
		if err == nil {
			electable = append(electable, p)
		}
	}
	slices.SortFunc(electable, func(a, b *partition) int { return a.Partition.Compare(b.Partition) })
	failed := t.movePartitions(electable, onlinePartition, how)
	for _, p := range electable {
		results[p.Partition] = Elected{Leader: p.leader()}
		if err := failed[p.Partition]; err != nil {
			results[p.Partition] = Elected{noLeader, kerr.New(notElected(how), "%s", err)}
		}
	}
	return results
}

// electable finds a partition for which an election makes sense.
func (t *term) electable(tp topic.Partition, how strategy) (*partition, error) {
	p := t.cluster.find(tp)
	switch {
	case p == nil || len(p.replicas) == 0:
		return nil, errNoPartition
	case t.cluster.isBeingDeleted(tp.Topic):
		return nil, kerr.New(kerr.InvalidTopicException, "The topic is being deleted")
	case how == preferredLeader && p.leader() == p.replicas[0],
		how == leaderOfflineForced && t.cluster.isLive(p.leader()):
		return nil, kerr.ElectionNotNeeded
	}
	return p, nil
}

// notElected is the code of an election that found nobody.
func notElected(how strategy) *kerr.Error {
	if how == preferredLeader {
		return kerr.PreferredLeaderNotAvailable
	}
	return kerr.EligibleLeadersNotAvailable
}
