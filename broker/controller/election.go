package controller

import "slices"

// Elections as pure functions of the assignment, the ISR and who is up (Kafka: Election.scala and
// PartitionLeaderElectionAlgorithms). The first replica of the assignment is the preferred leader, so order
// matters.

// noLeader stands in the state znode of a partition that nobody leads.
const noLeader int32 = -1

// verdict is the outcome of an election that found a leader.
type verdict struct {
	leader  int32
	isr     []int32
	unclean bool // the leader was not in the ISR: acknowledged records may be lost
}

// up tells whether a replica can be asked to lead or follow: its broker is registered and its log directory
// in order.
type up func(replica int32) bool

// electInitial makes the first leadership of a new partition: whoever is up is in sync, the first of them
// leads.
func electInitial(assignment []int32, live up) (verdict, bool) {
	isr := keep(assignment, live)
	if len(isr) == 0 {
		return verdict{}, false
	}
	return verdict{leader: isr[0], isr: isr}, true
}

// electOffline replaces a leader that is gone by the first replica that is up and in sync; the ISR loses its
// dead members. With no such replica, and only if uncleanAllowed, any replica that is up leads, alone.
func electOffline(assignment, isr []int32, live up, uncleanAllowed bool) (verdict, bool) {
	for _, r := range assignment {
		if live(r) && slices.Contains(isr, r) {
			return verdict{leader: r, isr: keep(isr, live)}, true
		}
	}
	if !uncleanAllowed {
		return verdict{}, false
	}
	for _, r := range assignment {
		if live(r) {
			return verdict{leader: r, isr: []int32{r}, unclean: true}, true
		}
	}
	return verdict{}, false
}

// electReassigned picks the first of the target replicas that is up and in sync; the ISR stays as it is.
func electReassigned(target, isr []int32, live up) (verdict, bool) {
	for _, r := range target {
		if live(r) && slices.Contains(isr, r) {
			return verdict{leader: r, isr: isr}, true
		}
	}
	return verdict{}, false
}

// electPreferred gives the lead to the first replica of the assignment if it is up and in sync, and to nobody
// else.
func electPreferred(assignment, isr []int32, live up) (verdict, bool) {
	if len(assignment) == 0 {
		return verdict{}, false
	}
	return electReassigned(assignment[:1], isr, live)
}

// electForShutdown moves the lead to the first in-sync replica that is up and not itself leaving; everyone
// who is leaving goes out of the ISR. live counts leaving brokers as up.
func electForShutdown(assignment, isr []int32, live, leaving up) (verdict, bool) {
	for _, r := range assignment {
		if live(r) && slices.Contains(isr, r) && !leaving(r) {
			return verdict{leader: r, isr: keep(isr, func(r int32) bool { return !leaving(r) })}, true
		}
	}
	return verdict{}, false
}

// withoutReplica takes a replica that went offline out of a leadership: it leads no more, and it leaves the
// ISR unless it is the last member, whose log is then the only one known to be complete. A false answer means
// it was not in the ISR.
func withoutReplica(leader int32, isr []int32, gone int32) (int32, []int32, bool) {
	if !slices.Contains(isr, gone) {
		return leader, isr, false
	}
	if leader == gone {
		leader = noLeader
	}
	if len(isr) > 1 {
		isr = keep(isr, func(r int32) bool { return r != gone })
	}
	return leader, isr, true
}

// keep returns the members that pass, in order, in a new slice.
func keep(replicas []int32, pass func(int32) bool) []int32 {
	kept := make([]int32, 0, len(replicas))
	for _, r := range replicas {
		if pass(r) {
			kept = append(kept, r)
		}
	}
	return kept
}
