package replica

import "slices"

// highWatermark decides how far a leader may let consumers read: to the smallest log end among the in-sync replicas,
// itself included (Kafka: Partition.maybeIncrementLeaderHW). A follower whose log end is not known yet holds it.
// ends are the log ends of the other members of the ISR. It returns current when nothing may move.
func highWatermark(current, leaderEnd int64, ends []int64) int64 {
	hw := leaderEnd
	for _, end := range ends {
		hw = min(hw, end)
	}
	return max(hw, current)
}

// advanceHighWatermark applies highWatermark to what is known now, completes the produces that waited for it, and
// tells whether it moved.
func (p *Partition) advanceHighWatermark() (moved bool) {
	if v := p.log.View(); v.HighWatermark == v.LogEndOffset {
		return false
	}
	p.deciding.Lock()
	moved = p.decideHighWatermark(p.role.Load())
	p.deciding.Unlock()
	if moved {
		p.delayed.complete(p)
		if p.m.ReadFromFollowers {
			p.followers.wake(everything)
		}
	}
	return moved
}

// decideHighWatermark moves it as far as r's ISR allows. deciding is held, and r is the present role.
func (p *Partition) decideHighWatermark(r *role) (moved bool) {
	if !r.leads || len(r.isr) < p.minInSync(r) {
		return false // KAFKA-15583: below min.insync.replicas the high watermark stands still
	}
	v := p.log.View()
	hw := v.LogEndOffset
	if len(r.followers) > 0 {
		var room [8]int64
		hw = highWatermark(v.HighWatermark, v.LogEndOffset, r.endsToWaitFor(room[:0], p.m))
	}
	return hw > v.HighWatermark && p.log.SetHighWatermark(hw)
}

// endsToWaitFor appends the log ends that hold the high watermark: of the maximal ISR, and of followers that are about
// to join it, so that they do not run after a high watermark that runs away from them (Kafka:
// Partition.shouldWaitForReplicaToJoinIsr).
func (r *role) endsToWaitFor(ends []int64, m *Manager) []int64 {
	isr := r.maximalISR()
	for id, f := range r.followers {
		if slices.Contains(isr, id) || f.joining(m.now(), m.ReplicaLagTimeMax) && m.Alive(id) {
			ends = append(ends, f.logEndOffset.Load())
		}
	}
	return ends
}
