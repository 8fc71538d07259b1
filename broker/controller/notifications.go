package controller

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// hint makes the callback of a watch: it posts an event under name, of which no two wait at a time.
func (t *term) hint(name string, run func()) func() {
	return func() { t.post(event{name: name, key: name, run: run}) }
}

// watch arms the watches of the whole term.
func (t *term) watch() {
	children := func(path, name string, run func()) {
		t.watches = append(t.watches, t.zk.WatchChildren(path, t.hint(name, run)))
	}
	children(zkmeta.BrokerIDsPath, "BrokerChange", t.brokersChanged)
	children(zkmeta.TopicsPath, "TopicChange", t.topicsChanged)
	children(zkmeta.DeleteTopicsPath, "TopicDeletion", t.deletionsAsked)
	children(zkmeta.LogDirEventPath, "LogDirEventNotification", t.logDirsFailed)
	children(zkmeta.IsrChangePath, "IsrChangeNotification", t.isrsChanged)
	t.watches = append(t.watches,
		t.zk.WatchData(zkmeta.ReassignPath, t.hint("ZkPartitionReassignment", t.reassignmentsRequested)),
		t.zk.WatchData(zkmeta.PreferredElectionPath, t.hint("PreferredReplicaElection", t.preferredElectionAsked)))
}

// forgetNotifications deletes what lies there from before the term: everything is read afresh anyhow.
func (t *term) forgetNotifications() {
	t.removeLogDirEvents(t.readNotifications(t.zk.LogDirEvents))
	t.removeISRChanges(t.readNotifications(t.zk.IsrChanges))
}

func (t *term) readNotifications(read func(context.Context) (zkmeta.Notifications, error)) (n zkmeta.Notifications) {
	t.read(func(ctx context.Context) (err error) {
		n, err = read(ctx)
		return err
	})
	return n
}

func (t *term) removeLogDirEvents(n zkmeta.Notifications) {
	if len(n.Names) > 0 {
		t.write("log directory events", func(ctx context.Context) error {
			return t.zk.RemoveLogDirEvents(ctx, t.epoch, n.Names)
		})
	}
}

func (t *term) removeISRChanges(n zkmeta.Notifications) {
	if len(n.Names) > 0 {
		t.write("ISR change notifications", func(ctx context.Context) error {
			return t.zk.RemoveIsrChanges(ctx, t.epoch, n.Names)
		})
	}
}

// isrsChanged takes over ISRs that leaders of a protocol level below 2.7-IV2 wrote into ZooKeeper themselves.
func (t *term) isrsChanged() {
	changes := t.readNotifications(t.zk.IsrChanges)
	if len(changes.Names) == 0 {
		return
	}
	var changed []*partition
	for _, tp := range changes.Partitions {
		if p := t.cluster.find(tp); p != nil && p.leadership != nil {
			changed = append(changed, p)
		}
	}
	for tp, st := range t.readStatesOf(changed, make(failures)) {
		t.lead(t.cluster.find(tp), st)
	}
	t.batch.updateMetadata(t.cluster, t.cluster.brokerIDs(), changed...)
	t.flush()
	t.completeReassignments(changed)
	t.removeISRChanges(changes)
}

// logDirsFailed asks the brokers that lost a log directory for the state of each of their replicas: the ones
// they cannot open answer KAFKA_STORAGE_ERROR.
func (t *term) logDirsFailed() {
	events := t.readNotifications(t.zk.LogDirEvents)
	if len(events.Names) == 0 {
		return
	}
	brokers := make(map[int32]bool)
	for _, id := range events.Brokers {
		brokers[id] = true
	}
	t.moveReplicas(t.cluster.replicasOn(brokers), onlineReplica)
	t.removeLogDirEvents(events)
}

// onLeaderAndISRResponse keeps track of log directories. Other errors of partitions are noise: a new
// controller is answered STALE_CONTROLLER_EPOCH for all it repeats.
func (t *term) onLeaderAndISRResponse(broker int32, resp *kmsg.LeaderAndISRResponse) {
	t.logRefusal(broker, resp.ErrorCode)
	if resp.ErrorCode != 0 {
		return
	}
	var offline []replica
	for _, rt := range resp.Topics {
		name := t.cluster.topicNames[rt.TopicID]
		for _, rp := range rt.Partitions {
			p := t.cluster.find(topic.Partition{Topic: name, ID: rp.Partition})
			if p == nil {
				continue
			}
			failed := t.cluster.offlineDirs[broker]
			switch rp.ErrorCode {
			case 0:
				delete(failed, p.Partition)
			case kerr.InconsistentTopicID.Code:
				t.topicIDRefused(broker, name)
			case kerr.KafkaStorageError.Code:
				if failed == nil {
					failed = make(map[topic.Partition]bool)
					t.cluster.offlineDirs[broker] = failed
				}
				if !failed[p.Partition] {
					failed[p.Partition] = true
					offline = append(offline, replica{p, broker})
				}
			}
		}
	}
	if len(offline) > 0 {
		t.log.Warn("A broker lost replicas with a log directory",
			zap.Int32("broker", broker), zap.Int("replicas", len(offline)))
		t.replicasOffline(offline)
	}
}
