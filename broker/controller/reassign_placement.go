package controller

import "slices"

// placement says on which brokers the replicas of a partition are and, while a reassignment runs, which of them are
// coming and which will go (Kafka: ReplicaAssignment, KIP-455). A placement is a value: its slices are shared with
// requests and znodes and never changed in place.
//
// A reassignment of [1,2] to [2,3] goes through
//
//	replicas   adding  removing   in the ISR
//	[1,2]      []      []         1 2         before
//	[2,3,1]    [3]     [1]        1 2         asked for: 3 is told to follow
//	[2,3,1]    [3]     [1]        1 2 3       caught up
//	[2,3]      []      []         2 3         done: 1 was told to delete its log
//
// so the two lists in the topic's znode are all that a later controller needs to go on.
type placement struct {
	replicas []int32 // the preferred leader first; while it is reassigned, target then original, without repeats
	adding   []int32 // those of replicas that a running reassignment brings in
	removing []int32 // those of replicas that it takes away
}

// reassigned tells whether a reassignment is running.
func (p placement) reassigned() bool { return len(p.adding) > 0 || len(p.removing) > 0 }

// target is where the replicas will be in the end.
func (p placement) target() []int32 { return without(p.replicas, p.removing) }

// origin is where they were before, in an order that may be another: target replicas stand first.
func (p placement) origin() []int32 { return without(p.replicas, p.adding) }

// reassignTo is the placement of a reassignment to target that has just begun. One that was running is replaced: what
// it added and the new target does not want is in the placement no more.
func (p placement) reassignTo(target []int32) placement {
	origin := p.origin()
	all := slices.Concat(target, without(origin, target))
	return placement{replicas: all, adding: without(all, origin), removing: without(all, target)}
}

// replace is reassignTo for a partition in use. Where none of those who stay is in the ISR and online, the ISR members
// that would go at once are kept, as replicas to be removed when the target has caught up: they alone have all
// acknowledged records. Kafka's controller deletes them.
func (p placement) replace(target, isr []int32, online up) placement {
	next := p.reassignTo(target)
	if slices.ContainsFunc(next.replicas, func(r int32) bool { return slices.Contains(isr, r) && online(r) }) {
		return next
	}
	saved := keep(without(p.replicas, next.replicas), func(r int32) bool { return slices.Contains(isr, r) })
	next.replicas = slices.Concat(next.replicas, saved)
	next.removing = slices.Concat(next.removing, saved)
	return next
}

// caughtUp tells whether the target can do without the replicas that go: all of it is in the ISR, and one of it is
// there to lead. That no reassignment runs counts as caught up.
func (p placement) caughtUp(isr []int32, online up) bool {
	if !p.reassigned() {
		return true
	}
	target := p.target()
	return len(without(target, isr)) == 0 && slices.ContainsFunc(target, online)
}

// done is the placement at the end of a reassignment.
func (p placement) done() placement { return placement{replicas: p.target()} }

func (p placement) equal(o placement) bool {
	return slices.Equal(p.replicas, o.replicas) && slices.Equal(p.adding, o.adding) &&
		slices.Equal(p.removing, o.removing)
}

// without returns the members that are not in gone, in order.
func without(replicas, gone []int32) []int32 {
	return keep(replicas, func(r int32) bool { return !slices.Contains(gone, r) })
}
