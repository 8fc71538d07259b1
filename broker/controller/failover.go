package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/zurau/zurau/zkmeta"
)

// elect looks who the controller is and stands for election if nobody is (Kafka: processReelect,
// ControllerChange).
func (c *Controller) elect() {
	if c.session == nil || !c.session.LeaseValid() {
		return // its next life, or the lease's return, will come as an event
	}
	active, err := c.session.ReadController(c.patience)
	switch {
	case errors.Is(err, zkmeta.ErrNoNode):
		c.resign()
		c.activeID.Store(noBroker)
		c.stand()
	case err != nil:
		c.log.Warn("Reading who the controller is failed", zap.Error(err))
		c.retry()
	case active.Owner != c.session.ID():
		c.resign()
		c.follow(active)
	case c.term == nil: // left over from a term that ended in trouble
		c.giveBack(c.patience)
		c.retry()
	}
}

// follow notes that another broker is the controller.
func (c *Controller) follow(active zkmeta.Controller) {
	if c.activeID.Swap(active.BrokerID) != active.BrokerID {
		c.log.Info("Another broker is the controller", zap.Int32("active", active.BrokerID))
	}
	if active.KRaft() {
		c.log.Error("The cluster is migrating to KRaft; this broker must not take part in it",
			zap.Int32("active", active.BrokerID), zap.Int32("kraft_controller_epoch", active.KRaftEpoch))
	}
}

// stand is the candidacy. It waits out the pause after a term that ended in trouble.
func (c *Controller) stand() {
	if time.Now().Before(c.pauseTill) {
		c.retry()
		return
	}
	epoch, err := c.session.Elect(c.patience, c.opt.BrokerID, time.Now().UnixMilli())
	var lost *zkmeta.LostError
	switch {
	case errors.As(err, &lost):
		c.Reelect() // learns who, if he is still there
	case err != nil:
		c.log.Warn("The election of the controller failed", zap.Error(err))
		c.retry()
	default:
		c.takeOffice(epoch)
	}
}

// retry stands for election again a little later. After Stop the event is dropped.
func (c *Controller) retry() { time.AfterFunc(reelectAfter, c.Reelect) }

// takeOffice begins a term.
func (c *Controller) takeOffice(epoch zkmeta.Epoch) {
	t := c.newTerm(epoch)
	c.term = t
	c.activeID.Store(c.opt.BrokerID)
	c.epoch.Store(epoch.Epoch)
	c.log.Info("Elected as the controller", zap.Int32("controller_epoch", epoch.Epoch),
		zap.Int32("epoch_zk_version", epoch.ZkVersion))
	t.begin()
}

func (c *Controller) newTerm(epoch zkmeta.Epoch) *term {
	t := &term{
		opt:         &c.opt,
		zk:          c.session,
		patience:    func() context.Context { return c.patience },
		epoch:       epoch,
		cluster:     newCluster(),
		batch:       newBatch(),
		out:         c.newOutbox(),
		topicWatch:  make(map[string]*zkmeta.Watch),
		brokerWatch: make(map[int32]*zkmeta.Watch),
		badNames:    make(map[string]bool),
		idLost:      make(map[string]map[int32]bool),
		idMadeUp:    make(map[string]bool),
		numbers:     &c.numbers,
		recount:     true,
		log:         c.log,
		changes:     c.opt.Log.Named("state.change.logger"),
	}
	t.post = func(e event) {
		run := e.run
		e.run = func() {
			if c.term == t {
				run()
			} else if e.drop != nil {
				e.drop()
			}
		}
		if e.key != "" { // a hint of an earlier term must not swallow ours
			e.key += fmt.Sprintf("@%d", epoch.Epoch)
		}
		c.mailbox.post(e)
	}
	return t
}

// resign gives the office up here; /controller is already somebody else's, or gone (Kafka:
// onControllerResignation).
func (c *Controller) resign() {
	if c.term == nil {
		return
	}
	c.log.Info("Resigned", zap.Int32("controller_epoch", c.term.epoch.Epoch))
	c.term.leave()
	c.term = nil
	c.epoch.Store(0)
}

// abandon resigns from a term that ended in trouble. If /controller is still ours it is given back, for
// others to stand.
func (c *Controller) abandon(during string) {
	why := c.term.over
	c.log.Warn("The term as controller ends", zap.String("event", during), zap.Error(why))
	c.resign()
	c.activeID.Store(noBroker)
	c.pauseTill = time.Now().Add(reelectAfter)
	c.elect()
}

// giveBack deletes /controller, which this session holds though no term runs, or will soon (Kafka:
// triggerControllerMove). The epoch is read, not remembered: after an election whose outcome stayed unknown
// nobody knows it.
func (c *Controller) giveBack(ctx context.Context) {
	epoch, err := c.session.ReadControllerEpoch(ctx)
	if err == nil {
		err = c.session.Resign(ctx, epoch)
	}
	if err != nil {
		c.log.Warn("Giving the office of the controller back failed", zap.Error(err))
	}
}

// begin reads the cluster from ZooKeeper, tells every broker who is the controller and who leads, and
// finishes what the last controller left undone (Kafka: onControllerFailover). Watches are armed before
// anything is read.
func (t *term) begin() {
	t.setUpFeature()
	t.watch()
	t.forgetNotifications()
	t.load()
	t.queueDeletionsFound()
	if !t.alive() {
		return
	}
	t.log.Info("Read the cluster from ZooKeeper", zap.Int32("controller_epoch", t.epoch.Epoch),
		zap.Int32s("brokers", t.cluster.brokerIDs()), zap.Int("topics", len(t.cluster.topics)))
	// Before the first LeaderAndIsr: followers look their leaders up in it.
	t.tellBrokers(t.cluster.brokerIDs()...)
	t.askTopicIDs(t.cluster.brokerIDs()...)
	t.startReplicas()
	t.startPartitions()
	t.resumeReassignments(everyPartition)
	t.reassignmentsRequested()
	t.resumeDeletions()
	t.preferredElectionAsked()
	t.scheduleRebalance(firstRebalance)
	t.log.Info("Ready to serve as the new controller", zap.Int32("controller_epoch", t.epoch.Epoch))
}

// setUpFeature makes /feature what this level writes (KIP-584). ZooKeeper-mode brokers finalize no features.
func (t *term) setUpFeature() {
	t.write("set up /feature", func(ctx context.Context) error {
		_, err := t.zk.SetUpFeatures(ctx)
		return err
	})
}

// load fills the cluster from ZooKeeper.
func (t *term) load() {
	t.cluster.brokers = t.readBrokers()
	for id, b := range t.cluster.brokers {
		t.openQueue(id, b)
		t.watchBroker(id)
	}
	for name, a := range t.readTopics(t.readTopicNames()) {
		t.cluster.addTopic(name, a)
	}
	all := t.cluster.selectPartitions(everyPartition)
	for tp, st := range t.readStates(all) {
		t.cluster.find(tp).leadership = &st
	}
	t.findTopicIDs()
}

// startReplicas sorts the replicas into online and offline ones and moves each to where it is, which sends
// every broker the state of all its partitions.
func (t *term) startReplicas() {
	all := replicasOf(t.cluster.selectPartitions(everyPartition), nil)
	var online, offline []replica
	for _, r := range all {
		if t.cluster.isOnline(r.partition, r.broker) {
			r.replicaStates[r.broker] = onlineReplica
			online = append(online, r)
		} else {
			r.replicaStates[r.broker] = deletionIneligible // from where it may become offline, which it does now
			offline = append(offline, r)
		}
	}
	t.moveReplicas(online, onlineReplica)
	t.moveReplicas(offline, offlineReplica)
}

// startPartitions sorts the partitions and elects leaders where there is none.
func (t *term) startPartitions() {
	for _, p := range t.cluster.selectPartitions(everyPartition) {
		switch {
		case p.leadership == nil:
			p.state = newPartition
		case t.cluster.isOnline(p, p.leadership.Leader):
			p.state = onlinePartition
		default:
			p.state = offlinePartition
		}
	}
	t.electLeaderless(everyPartition)
}
