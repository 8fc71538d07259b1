package controller

import (
	"context"
	"maps"
	"slices"

	"go.uber.org/zap"

	"github.com/zurau/zurau/zkmeta"
)

// readBrokers reads the registrations. One that cannot be read, or lacks the listener we would reach the
// broker by, is named and left out, so that it stops nobody else.
func (t *term) readBrokers() map[int32]zkmeta.BrokerInfo {
	var found map[int32]zkmeta.BrokerInfo
	t.read(func(ctx context.Context) (err error) {
		found, err = t.zk.Brokers(ctx)
		return err
	})
	for id, b := range found {
		if _, ok := t.endpoint(b); !ok {
			t.log.Error("A broker registered no endpoint for the controller's listener and takes no part until it does",
				zap.Int32("broker", id), zap.String("listener", t.opt.Listener))
			t.watchBroker(id)
			delete(found, id)
		}
	}
	return found
}

// brokersChanged compares the registrations with what we know (Kafka: BrokerChange). A larger czxid under a
// known id is a broker that was away between two looks: it is treated as failed and then started (KIP-380).
func (t *term) brokersChanged() {
	now := t.readBrokers()
	if !t.alive() {
		return
	}
	joined, left, bounced := compareBrokers(t.cluster.brokers, now)
	if len(joined)+len(left)+len(bounced) > 0 {
		t.log.Info("Brokers changed", zap.Int32s("joined", joined), zap.Int32s("left", left),
			zap.Int32s("bounced", bounced), zap.Int32s("registered", slices.Sorted(maps.Keys(now))))
	}
	for _, id := range slices.Concat(left, bounced) {
		t.out.remove(id)
	}
	for _, id := range slices.Concat(joined, bounced) {
		t.openQueue(id, now[id])
	}
	t.brokersJoined(joined, now)
	t.brokersLeft(bounced)
	t.brokersJoined(bounced, now)
	t.brokersLeft(left)
	t.brokersModified(now)
}

// compareBrokers tells who joined, who left and who registered anew. Pure.
func compareBrokers(known, now map[int32]zkmeta.BrokerInfo) (joined, left, bounced []int32) {
	for id, b := range now {
		switch old, ok := known[id]; {
		case !ok:
			joined = append(joined, id)
		case b.Epoch > old.Epoch:
			bounced = append(bounced, id)
		}
	}
	for id := range known {
		if _, ok := now[id]; !ok {
			left = append(left, id)
		}
	}
	slices.Sort(joined)
	slices.Sort(left)
	slices.Sort(bounced)
	return joined, left, bounced
}

// openQueue opens the queue to a broker; a registration without the listener never comes this far.
func (t *term) openQueue(id int32, b zkmeta.BrokerInfo) {
	at, _ := t.endpoint(b)
	t.out.add(id, at)
}

// watchBroker watches a registration for changed endpoints.
func (t *term) watchBroker(id int32) {
	if t.brokerWatch[id] != nil {
		return
	}
	t.brokerWatch[id] = t.zk.WatchData(zkmeta.BrokerIDPath(id), t.hint("BrokerChange", t.brokersChanged))
}

// brokersJoined takes brokers in (Kafka: onBrokerStartup): the others learn their addresses, they learn
// everything, and their replicas come online.
func (t *term) brokersJoined(ids []int32, now map[int32]zkmeta.BrokerInfo) {
	if len(ids) == 0 || !t.alive() {
		return
	}
	others := t.cluster.brokerIDs()
	joined := make(map[int32]bool, len(ids))
	for _, id := range ids {
		joined[id] = true
		t.cluster.brokers[id] = now[id]
		delete(t.cluster.offlineDirs, id)
		t.watchBroker(id)
	}
	t.tellBrokers(others...)
	if len(t.idLost) > 0 {
		t.tellBrokers(ids...)
		t.askTopicIDs(ids...)
	}
	t.batch.updateMetadata(t.cluster, ids, t.cluster.selectPartitions(everyPartition)...)
	t.flush()
	theirs := t.cluster.replicasOn(joined)
	t.moveReplicas(theirs, onlineReplica)
	t.electLeaderless(everyPartition)
	t.brokersJoinReassignments(joined)
	t.deletionMayGoOn(theirs)
}

// brokersLeft takes brokers out (Kafka: onBrokerFailure).
func (t *term) brokersLeft(ids []int32) {
	if len(ids) == 0 || !t.alive() {
		return
	}
	gone := make(map[int32]bool, len(ids))
	for _, id := range ids {
		gone[id] = true
		delete(t.cluster.brokers, id)
		delete(t.cluster.leaving, id)
		delete(t.cluster.offlineDirs, id)
		t.brokerWatch[id].Stop()
		delete(t.brokerWatch, id)
	}
	t.replicasOffline(t.cluster.replicasOn(gone))
}

// replicasOffline handles replicas whose broker or log directory is gone (Kafka: onReplicasBecomeOffline):
// first new leaders, then smaller ISRs.
func (t *term) replicasOffline(rs []replica) {
	var doomed, others []replica
	for _, r := range rs {
		if t.cluster.isDoomed(r.Topic) {
			doomed = append(doomed, r)
		} else {
			others = append(others, r)
		}
	}
	leaderless := t.cluster.selectPartitions(func(p *partition) bool {
		return p.leadership != nil && !t.cluster.isOnline(p, p.leader()) && !t.cluster.isDoomed(p.Topic)
	})
	t.movePartitions(leaderless, offlinePartition, leaderOffline)
	t.electLeaderless(everyPartition)
	t.moveReplicas(others, offlineReplica)
	t.deletionFailed(doomed)
	if len(leaderless) == 0 || len(others) == 0 { // else an election or a smaller ISR has told them
		t.tellBrokers(t.cluster.brokerIDs()...)
	}
}

// brokersModified takes over changed endpoints of brokers that stayed (Kafka: BrokerModifications).
func (t *term) brokersModified(now map[int32]zkmeta.BrokerInfo) {
	changed := false
	for id, b := range now {
		old, known := t.cluster.brokers[id]
		if !known || old.Epoch != b.Epoch || slices.Equal(old.Endpoints, b.Endpoints) {
			continue
		}
		changed = true
		t.cluster.brokers[id] = b
		was, _ := t.endpoint(old)
		if is, _ := t.endpoint(b); is != was {
			t.out.move(id, is)
		}
	}
	if changed {
		t.tellBrokers(t.cluster.brokerIDs()...)
	}
}

// tellBrokers sends brokers the list of living brokers and no partitions.
func (t *term) tellBrokers(ids ...int32) {
	if len(ids) > 0 {
		t.batch.updateMetadata(t.cluster, ids)
		t.flush()
	}
}
