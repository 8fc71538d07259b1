package controller

import (
	"time"

	"go.uber.org/zap"
)

// Rebalance says when leaderships go back to the preferred replicas by themselves (auto.leader.rebalance.enable).
type Rebalance struct {
	Interval  time.Duration // leader.imbalance.check.interval.seconds; 0 for never
	Imbalance int32         // leader.imbalance.per.broker.percentage
}

// firstRebalance is when a new controller looks first. Brokers that failed with the last one are back by then, or will
// be a while.
const firstRebalance = 5 * time.Second

// scheduleRebalance looks for leaders to move back in a while.
func (t *term) scheduleRebalance(after time.Duration) {
	if t.opt.Rebalance.Interval > 0 && t.alive() {
		const name = "AutoPreferredReplicaLeaderElection"
		t.rebalance = time.AfterFunc(after, func() { t.post(event{name: name, key: name, run: t.rebalanceLeaders}) })
	}
}

// rebalanceLeaders moves leaderships back to the preferred replicas of the brokers that miss too many.
func (t *term) rebalanceLeaders() {
	lost := t.cluster.imbalanced(t.opt.Rebalance.Imbalance)
	ready := keepPartitions(lost, func(p *partition) bool {
		_, ok := electPreferred(p.replicas, p.leadership.ISR, t.cluster.online(p))
		return ok
	})
	if len(ready) > 0 {
		t.log.Info("Moving leaders back to their preferred replicas", zap.Int("partitions", len(ready)))
		t.movePartitions(ready, onlinePartition, preferredLeader)
	}
	t.scheduleRebalance(t.opt.Rebalance.Interval)
}

// imbalanced gives, of each broker that does not lead more than percent of the partitions that prefer it, those it does
// not lead (Kafka: checkAndTriggerAutoLeaderRebalance). A partition without a leader yet counts as balanced. Pure.
func (c *cluster) imbalanced(percent int32) []*partition {
	prefer := make(map[int32]int) // by broker: partitions that prefer it
	lost := make(map[int32]int)   // and those of them that another one leads
	all := c.selectPartitions(func(p *partition) bool { return len(p.replicas) > 0 && !c.isBeingDeleted(p.Topic) })
	strays := keepPartitions(all, func(p *partition) bool {
		return p.leadership != nil && p.leadership.Leader != p.replicas[0]
	})
	for _, p := range all {
		prefer[p.replicas[0]]++
	}
	for _, p := range strays {
		lost[p.replicas[0]]++
	}
	return keepPartitions(strays, func(p *partition) bool {
		b := p.replicas[0]
		return float64(lost[b])/float64(prefer[b]) > float64(percent)/100
	})
}
