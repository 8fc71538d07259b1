package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/kerr"
)

// isrKeeper asks the controller for changes of the ISR of the partitions led here (Kafka: AlterPartitionManager,
// KIP-497). It is one loop: it looks, proposes, sends one AlterPartition with everything proposed, and takes the answer
// in, in this order and again. A follower's fetch only calls its attention to a partition.
type isrKeeper struct {
	m      *Manager
	log    *zap.Logger // "kafka.cluster.Partition"
	kicked chan struct{}
	mu     struct {
		sync.Mutex
		attention map[*Partition]struct{}
	}
	open   []proposal // asked or to be asked, belongs to run
	ctx    context.Context
	cancel context.CancelFunc
	ended  sync.WaitGroup
}

// proposal is a change that was begun: it stands in the partition's role until the controller answers or says
// something newer.
type proposal struct {
	p *Partition
	r *role // the role with the proposal in it; another role in its place makes the proposal void
	// epochs are the broker epochs of r.proposed, of the lives in which the followers got as far as the proposal says. A
	// follower that was restarted since shall not get in by a proposal that is sent again.
	epochs []int64
}

// retryAlterPartition is the pause after an answer that settles nothing.
const retryAlterPartition = 50 * time.Millisecond

func newISRKeeper(m *Manager) *isrKeeper {
	k := &isrKeeper{m: m, log: m.Logger.Named("kafka.cluster.Partition"), kicked: make(chan struct{}, 1)}
	k.mu.attention = make(map[*Partition]struct{})
	k.ctx, k.cancel = context.WithCancel(context.Background())
	return k
}

func (k *isrKeeper) start() { k.ended.Go(k.run) }

func (k *isrKeeper) stop() {
	k.cancel()
	k.ended.Wait()
}

// attend asks for a look at a partition whose follower may join the ISR. It does not block.
func (k *isrKeeper) attend(p *Partition) {
	k.mu.Lock()
	k.mu.attention[p] = struct{}{}
	k.mu.Unlock()
	select {
	case k.kicked <- struct{}{}:
	default:
	}
}

func (k *isrKeeper) takeAttention() (all []*Partition) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for p := range k.mu.attention {
		all = append(all, p)
	}
	clear(k.mu.attention)
	return all
}

func (k *isrKeeper) run() {
	check := time.NewTicker(max(k.m.ReplicaLagTimeMax/2, time.Millisecond))
	defer check.Stop()
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		select {
		case <-k.ctx.Done():
			return
		case <-k.kicked:
			for _, p := range k.takeAttention() {
				k.propose(p, k.expansion)
			}
		case <-check.C:
			for _, p := range k.m.All() {
				k.propose(p, k.shrinking)
			}
		case <-retry.C:
		}
		if len(k.open) > 0 && !k.ask() {
			retry.Reset(retryAlterPartition)
		}
	}
}

// propose puts the change a rule asks for into the partition's role.
func (k *isrKeeper) propose(p *Partition, rule func(*Partition, *role, []standing) []int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.role.Load()
	if !r.leads || r.proposed != nil || p.log.Err() != nil {
		return
	}
	followers := p.standings(r)
	isr := rule(p, r, followers)
	if isr == nil {
		return
	}
	next := *r
	next.proposed = isr
	p.swap(&next)
	k.open = append(k.open, proposal{p, &next, epochsOf(isr, followers)})
}

// epochsOf are the broker epochs of an ISR's members, as far as they are known. The leader's own stands in the request.
func epochsOf(isr []int32, followers []standing) []int64 {
	epochs := make([]int64, len(isr))
	for i, id := range isr {
		epochs[i] = EpochUnknown
		for _, f := range followers {
			if f.id == id {
				epochs[i] = max(f.brokerEpoch, EpochUnknown)
			}
		}
	}
	return epochs
}

// expansion adds the followers that have caught up; nil for no change.
func (k *isrKeeper) expansion(p *Partition, r *role, followers []standing) []int32 {
	v := p.log.View()
	joined := caughtUpWith(r.isr, followers, v, r.epochStart)
	if len(joined) == 0 {
		return nil
	}
	isr := append(slices.Clone(r.isr), joined...)
	k.log.Info(fmt.Sprintf("[Partition %s broker=%d] Expanding ISR from %s to %s", p.tp, k.m.BrokerID, list(r.isr), list(isr)))
	return isr
}

// shrinking takes the members away that have been behind for too long; nil for no change.
func (k *isrKeeper) shrinking(p *Partition, r *role, followers []standing) []int32 {
	if len(r.isr) < 2 {
		return nil
	}
	v := p.log.View()
	gone := outOfSync(r.isr, followers, v.LogEndOffset, k.m.ReplicaLagTimeMax)
	if len(gone) == 0 {
		return nil
	}
	isr := without(r.isr, gone)
	var behind []string
	for _, f := range followers {
		if slices.Contains(gone, f.id) {
			behind = append(behind, fmt.Sprintf("(brokerId: %d, endOffset: %d, lagMs: %d)", f.id, f.logEndOffset, f.lag.Milliseconds()))
		}
	}
	k.log.Info(fmt.Sprintf("[Partition %s broker=%d] Shrinking ISR from %s to %s. Leader: (highWatermark: %d, endOffset: %d). "+
		"Out of sync replicas: %s.", p.tp, k.m.BrokerID, list(r.isr), list(isr), v.HighWatermark, v.LogEndOffset, strings.Join(behind, " ")))
	return isr
}

// standings are the followers of a leader as they stand now.
func (p *Partition) standings(r *role) []standing {
	all := make([]standing, 0, len(r.followers))
	now := p.m.now()
	for _, id := range r.replicas {
		if f := r.followers[id]; f != nil {
			epoch := f.brokerEpoch.Load() // before the log end: see progress.fetched
			all = append(all, standing{id, f.logEndOffset.Load(), f.lag(now), p.m.Alive(id) && !f.refused(now), epoch, f.logStartOffset.Load()})
		}
	}
	return all
}

// list writes broker ids as Kafka's log lines do.
func list(ids []int32) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(ids), " ", ","), "[]")
}

// ask sends everything that is open and takes the answer in. It tells whether all of it is settled: what is not is
// asked again, for the controller may have written what its answer did not reach us with.
func (k *isrKeeper) ask() (settled bool) {
	k.open = slices.DeleteFunc(k.open, func(c proposal) bool { return c.p.role.Load() != c.r })
	if len(k.open) == 0 {
		return true
	}
	resp, err := k.m.AlterPartition(k.ctx, k.request())
	if err == nil {
		err = asError(resp.ErrorCode)
	}
	if err != nil {
		if k.ctx.Err() == nil {
			k.log.Info("The controller did not take the changes of in-sync replicas, will retry", zap.Error(err))
		}
		return false
	}
	answers := make(map[alterKey]*kmsg.AlterPartitionResponseTopicPartition)
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			answers[alterKey{t.Topic, t.TopidID, t.Partitions[j].Partition}] = &t.Partitions[j]
		}
	}
	k.open = slices.DeleteFunc(k.open, func(c proposal) bool {
		byName := alterKey{name: c.p.tp.Topic, partition: c.p.tp.ID}
		byID := alterKey{id: c.p.log.TopicID(), partition: c.p.tp.ID}
		a := answers[byName]
		if resp.Version >= 2 {
			a = answers[byID]
		}
		return a != nil && k.settle(c, a)
	})
	return len(k.open) == 0
}

// alterKey names a partition as AlterPartition does: by topic name up to version 1, by topic id from 2.
type alterKey struct {
	name      string
	id        [16]byte
	partition int32
}

// request lists the open proposals in the fields of all versions; the sender of the request chooses the version.
func (k *isrKeeper) request() *kmsg.AlterPartitionRequest {
	req := kmsg.NewPtrAlterPartitionRequest()
	req.BrokerID = k.m.BrokerID
	places := make(map[string]int) // in req.Topics
	for _, c := range k.open {
		i, known := places[c.p.tp.Topic]
		if !known {
			i = len(req.Topics)
			places[c.p.tp.Topic] = i
			req.Topics = append(req.Topics, kmsg.AlterPartitionRequestTopic{Topic: c.p.tp.Topic, TopicID: c.p.log.TopicID()})
		}
		ask := kmsg.NewAlterPartitionRequestTopicPartition()
		ask.Partition, ask.LeaderEpoch, ask.PartitionEpoch = c.p.tp.ID, c.r.leaderEpoch, c.r.partitionEpoch
		ask.NewISR = c.r.proposed
		for j, id := range c.r.proposed {
			member := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
			member.BrokerID, member.BrokerEpoch = id, c.epochs[j]
			ask.NewEpochISR = append(ask.NewEpochISR, member)
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, ask)
	}
	return req
}

// settle carries out the controller's answer to one proposal and tells whether it is an answer.
func (k *isrKeeper) settle(c proposal, a *kmsg.AlterPartitionResponseTopicPartition) bool {
	p := c.p
	next := *c.r
	next.proposed = nil
	switch err := asError(a.ErrorCode); {
	case err == nil:
		if a.LeaderID != k.m.BrokerID || a.LeaderEpoch != c.r.leaderEpoch || a.PartitionEpoch < c.r.partitionEpoch {
			return true // somebody leads in a newer epoch, or this answer is older than what we know: LeaderAndIsr tells
		}
		next.isr, next.partitionEpoch = slices.Clone(a.ISR), a.PartitionEpoch
	case errors.Is(err, kerr.OperationNotAttempted), errors.Is(err, kerr.IneligibleReplica):
		k.log.Info(fmt.Sprintf("[Partition %s broker=%d] The controller refused the ISR %s", p.tp, k.m.BrokerID, list(c.r.proposed)),
			zap.Error(err))
		c.r.refuse(k.m.now())
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID), errors.Is(err, kerr.FencedLeaderEpoch),
		errors.Is(err, kerr.InvalidUpdateVersion), errors.Is(err, kerr.InvalidRequest), errors.Is(err, kerr.NewLeaderElected):
		k.log.Info(fmt.Sprintf("[Partition %s broker=%d] The ISR %s is not taken; waiting for LeaderAndIsr", p.tp, k.m.BrokerID,
			list(c.r.proposed)), zap.Error(err))
		return true // the proposal stays in the role, as the larger set, until the controller says what holds
	default:
		return false
	}
	p.mu.Lock()
	if p.role.Load() != c.r {
		p.mu.Unlock()
		return true
	}
	p.swap(&next)
	p.mu.Unlock()
	if next.partitionEpoch != c.r.partitionEpoch {
		k.log.Info(fmt.Sprintf("[Partition %s broker=%d] ISR updated to %s and version updated to %d", p.tp, k.m.BrokerID,
			list(next.isr), next.partitionEpoch))
	}
	p.advanceHighWatermark()
	p.delayed.complete(p)
	p.consumers.wake(everything)
	return true
}

// asError is the error of a response's code, nil for none.
func asError(code int16) error {
	if e := kerr.ForCode(code); e != nil {
		return e
	}
	return nil
}
