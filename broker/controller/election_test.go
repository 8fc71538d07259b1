package controller

import (
	"fmt"
	"slices"
	"testing"
)

func among(ids ...int32) up { return func(b int32) bool { return slices.Contains(ids, b) } }

func TestElections(t *testing.T) {
	none := []int32(nil)
	for _, test := range []struct {
		name string
		run  func() (verdict, bool)
		want string
	}{
		{"a new partition is led by its first replica when all are alive",
			func() (verdict, bool) { return electInitial([]int32{2, 3, 1}, among(1, 2, 3)) }, "leader 2 isr [2 3 1]"},
		{"a new partition leaves dead replicas out and keeps the order of the assignment",
			func() (verdict, bool) { return electInitial([]int32{2, 3, 1}, among(1, 3)) }, "leader 3 isr [3 1]"},
		{"a new partition with no living replica has no leader",
			func() (verdict, bool) { return electInitial([]int32{2, 3}, among(1)) }, "nobody"},

		{"a dead leader is followed by the first living replica of the assignment that is in sync",
			func() (verdict, bool) { return electOffline([]int32{1, 2, 3}, []int32{3, 2, 1}, among(2, 3), false) }, "leader 2 isr [3 2]"},
		{"a living replica out of sync is passed over",
			func() (verdict, bool) { return electOffline([]int32{1, 2, 3}, []int32{1, 3}, among(2, 3), true) }, "leader 3 isr [3]"},
		{"with nobody in sync alive there is no leader",
			func() (verdict, bool) { return electOffline([]int32{1, 2, 3}, []int32{1}, among(2, 3), false) }, "nobody"},
		{"with nobody in sync alive an unclean leader is alone in the ISR",
			func() (verdict, bool) { return electOffline([]int32{1, 2, 3}, []int32{1}, among(2, 3), true) }, "leader 2 isr [2] unclean"},
		{"an ISR member that is no longer assigned never leads",
			func() (verdict, bool) { return electOffline([]int32{1, 2}, []int32{1, 4}, among(2, 4), false) }, "nobody"},
		{"an empty ISR in the znode needs an unclean election",
			func() (verdict, bool) { return electOffline([]int32{1, 2}, none, among(1, 2), false) }, "nobody"},

		{"a reassignment elects the first target in sync and keeps the ISR",
			func() (verdict, bool) {
				return electReassigned([]int32{4, 5, 6}, []int32{1, 5, 6}, among(1, 4, 5, 6))
			}, "leader 5 isr [1 5 6]"},
		{"a reassignment waits for a target in sync",
			func() (verdict, bool) { return electReassigned([]int32{4}, []int32{1}, among(1, 4)) }, "nobody"},

		{"the preferred leader takes over when it is in sync",
			func() (verdict, bool) { return electPreferred([]int32{1, 2}, []int32{2, 1}, among(1, 2)) }, "leader 1 isr [2 1]"},
		{"nobody takes the preferred leader's place",
			func() (verdict, bool) { return electPreferred([]int32{1, 2}, []int32{2}, among(1, 2)) }, "nobody"},
		{"an empty assignment prefers nobody",
			func() (verdict, bool) { return electPreferred(none, []int32{2}, among(2)) }, "nobody"},

		{"a leaving leader hands over and goes out of the ISR",
			func() (verdict, bool) {
				return electForShutdown([]int32{1, 2, 3}, []int32{1, 2, 3}, among(1, 2, 3), among(1))
			}, "leader 2 isr [2 3]"},
		{"all that are leaving go out of the ISR with it",
			func() (verdict, bool) {
				return electForShutdown([]int32{1, 2, 3}, []int32{1, 2, 3}, among(1, 2, 3), among(1, 2))
			}, "leader 3 isr [3]"},
		{"the last in sync stays although it is leaving",
			func() (verdict, bool) {
				return electForShutdown([]int32{1, 2}, []int32{1}, among(1, 2), among(1))
			}, "nobody"},
	} {
		t.Run(test.name, func(t *testing.T) {
			v, ok := test.run()
			got := "nobody"
			if ok {
				got = fmt.Sprintf("leader %d isr %v", v.leader, v.isr)
				if v.unclean {
					got += " unclean"
				}
			}
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// TestElectionLaws walks every assignment order, ISR, set of living and set of leaving brokers of four.
func TestElectionLaws(t *testing.T) {
	universe := []int32{1, 2, 3, 4}
	subsets := make([][]int32, 0, 16)
	for mask := range 1 << len(universe) {
		var s []int32
		for i, b := range universe {
			if mask&(1<<i) != 0 {
				s = append(s, b)
			}
		}
		subsets = append(subsets, s)
	}
	elections := 0
	for _, assignment := range [][]int32{{1}, {2, 1}, {1, 2, 3}, {3, 1, 2}, {4, 3, 2, 1}} {
		for _, isr := range subsets {
			before := slices.Clone(isr)
			for _, live := range subsets {
				for _, leaving := range subsets {
					stays := func(b int32) bool { return slices.Contains(live, b) && !slices.Contains(leaving, b) }
					check := func(kind string, v verdict, ok, mayBeUnclean, shrinks bool) {
						t.Helper()
						elections++
						where := fmt.Sprintf("%s: assignment %v isr %v live %v leaving %v -> %+v %v", kind, assignment, isr, live, leaving, v, ok)
						clean := slices.ContainsFunc(assignment, func(b int32) bool { return stays(b) && slices.Contains(isr, b) })
						switch {
						case !ok && clean && kind != "preferred":
							t.Fatalf("an eligible leader was passed over: %s", where)
						case !ok && mayBeUnclean && slices.ContainsFunc(assignment, stays):
							t.Fatalf("an unclean leader was passed over: %s", where)
						case !ok:
							return
						case !stays(v.leader) || !slices.Contains(assignment, v.leader):
							t.Fatalf("the leader is dead, leaving or not assigned: %s", where)
						case !slices.Contains(v.isr, v.leader) || len(v.isr) == 0:
							t.Fatalf("the ISR lacks its leader: %s", where)
						case v.unclean && (!mayBeUnclean || clean):
							t.Fatalf("an unclean leader without need: %s", where)
						case !v.unclean && slices.ContainsFunc(v.isr, func(b int32) bool { return !slices.Contains(isr, b) }):
							t.Fatalf("the ISR grew in an election: %s", where)
						case shrinks && slices.ContainsFunc(v.isr, func(b int32) bool { return slices.Contains(leaving, b) }):
							t.Fatalf("a leaving broker stayed in the ISR: %s", where)
						}
					}
					v, ok := electOffline(assignment, isr, stays, false)
					check("offline", v, ok, false, true)
					v, ok = electOffline(assignment, isr, stays, true)
					check("unclean", v, ok, true, true)
					v, ok = electReassigned(assignment, isr, stays)
					check("reassigned", v, ok, false, false)
					v, ok = electPreferred(assignment, isr, stays)
					check("preferred", v, ok, false, false)
					if ok && v.leader != assignment[0] {
						t.Fatalf("%d was elected as preferred leader of %v", v.leader, assignment)
					}
					v, ok = electForShutdown(assignment, isr, among(live...), among(leaving...))
					check("shutdown", v, ok, false, true)
				}
			}
			for _, gone := range universe {
				for _, leader := range isr {
					l, rest, changed := withoutReplica(leader, isr, gone)
					switch {
					case changed != slices.Contains(isr, gone):
						t.Fatalf("withoutReplica(%d, %v, %d) says changed=%v", leader, isr, gone, changed)
					case len(rest) == 0:
						t.Fatalf("withoutReplica(%d, %v, %d) emptied the ISR", leader, isr, gone)
					case l == gone:
						t.Fatalf("withoutReplica(%d, %v, %d) left the dead leader", leader, isr, gone)
					}
				}
			}
			if !slices.Equal(before, isr) {
				t.Fatalf("an election changed its argument: %v -> %v", before, isr)
			}
		}
	}
	t.Logf("%d elections", elections)
}
