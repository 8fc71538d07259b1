package controller

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestReassignTo(t *testing.T) {
	for _, test := range []struct {
		name          string
		now           placement
		target        []int32
		want          placement
		origin, reach []int32
	}{
		{"all replicas move", placement{replicas: []int32{1, 2, 3}}, []int32{4, 5, 6},
			placement{[]int32{4, 5, 6, 1, 2, 3}, []int32{4, 5, 6}, []int32{1, 2, 3}}, []int32{1, 2, 3}, []int32{4, 5, 6}},
		{"some stay, in the order of the target", placement{replicas: []int32{1, 2, 3}}, []int32{3, 4, 2},
			placement{[]int32{3, 4, 2, 1}, []int32{4}, []int32{1}}, []int32{3, 2, 1}, []int32{3, 4, 2}},
		{"fewer replicas", placement{replicas: []int32{0, 1, 2}}, []int32{2, 0},
			placement{[]int32{2, 0, 1}, nil, []int32{1}}, []int32{2, 0, 1}, []int32{2, 0}},
		{"only another order", placement{replicas: []int32{1, 2}}, []int32{2, 1},
			placement{replicas: []int32{2, 1}}, []int32{2, 1}, []int32{2, 1}},
		{"another target while one runs: what was added for the old one is not original",
			placement{[]int32{3, 1, 2}, []int32{3}, []int32{2}}, []int32{4, 1},
			placement{[]int32{4, 1, 2}, []int32{4}, []int32{2}}, []int32{1, 2}, []int32{4, 1}},
		{"back to the origin", placement{[]int32{4, 1, 2}, []int32{4}, []int32{2}}, []int32{1, 2},
			placement{replicas: []int32{1, 2}}, []int32{1, 2}, []int32{1, 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.now.reassignTo(test.target)
			if !got.equal(test.want) || !slices.Equal(got.origin(), test.origin) || !slices.Equal(got.target(), test.reach) {
				t.Errorf("got %+v, from %v to %v", got, got.origin(), got.target())
			}
		})
	}
}

func TestReplaceKeepsTheOnlyCompleteReplica(t *testing.T) {
	running := placement{[]int32{3, 4, 1, 2}, []int32{3, 4}, []int32{1, 2}}
	for _, test := range []struct {
		name        string
		isr, online []int32
		want        placement
	}{
		{"an original replica is complete and up: the added ones go", []int32{1, 3}, []int32{1, 2, 3, 4},
			placement{replicas: []int32{1, 2}}},
		{"the complete original is down: the added one stays until the target has caught up", []int32{1, 3}, []int32{2, 3, 4},
			placement{[]int32{1, 2, 3}, nil, []int32{3}}},
		{"only an added one is complete", []int32{3}, []int32{1, 2, 3, 4}, placement{[]int32{1, 2, 3}, nil, []int32{3}}},
		{"even if it is down", []int32{3}, []int32{1, 2}, placement{[]int32{1, 2, 3}, nil, []int32{3}}},
		{"nobody was complete ever", nil, []int32{1, 2}, placement{replicas: []int32{1, 2}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			up := func(b int32) bool { return slices.Contains(test.online, b) }
			if got := running.replace([]int32{1, 2}, test.isr, up); !got.equal(test.want) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestCaughtUp(t *testing.T) {
	running := placement{[]int32{3, 2, 1}, []int32{3}, []int32{1}}
	for _, test := range []struct {
		name        string
		now         placement
		isr, online []int32
		want        bool
	}{
		{"the target is in sync", running, []int32{1, 2, 3}, []int32{1, 2, 3}, true},
		{"the ISR need not have more", running, []int32{3, 2}, []int32{2, 3}, true},
		{"a new replica is missing", running, []int32{1, 2}, []int32{1, 2, 3}, false},
		{"an old replica of the target is missing", running, []int32{1, 3}, []int32{1, 2, 3}, false},
		{"nobody of the target could lead", running, []int32{1, 2, 3}, []int32{1}, false},
		{"one that could is enough", running, []int32{1, 2, 3}, []int32{1, 3}, true},
		{"nothing runs", placement{replicas: []int32{1, 2}}, []int32{1}, nil, true},
		{"a znode that takes every replica away is never done", placement{[]int32{1}, nil, []int32{1}},
			[]int32{1}, []int32{1}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			up := func(b int32) bool { return slices.Contains(test.online, b) }
			if got := test.now.caughtUp(test.isr, up); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// Whatever is asked for in whatever order: the lists fit together, the target is what was asked for last, and nobody
// who alone has everything is left out.
func TestPlacementsFitTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.SliceOfNDistinct(rapid.Int32Range(0, 6), 1, 4, rapid.ID[int32])
		p := placement{replicas: some.Draw(t, "replicas")}
		for range rapid.IntRange(1, 4).Draw(t, "times") {
			target := some.Draw(t, "target")
			isr := keep(p.replicas, func(int32) bool { return rapid.Bool().Draw(t, "in sync") })
			up := keep([]int32{0, 1, 2, 3, 4, 5, 6}, func(int32) bool { return rapid.Bool().Draw(t, "up") })
			next := p.replace(target, isr, func(b int32) bool { return slices.Contains(up, b) })
			switch {
			case !slices.Equal(next.target(), target):
				t.Fatalf("%+v to %v gives %+v", p, target, next)
			case hasRepeats(next.replicas) || len(without(next.adding, next.target())) > 0:
				t.Fatalf("%+v", next)
			case len(isr) > 0 && len(without(isr, next.replicas)) == len(isr):
				t.Fatalf("%+v to %v leaves nobody of the ISR %v: %+v", p, target, isr, next)
			}
			p = next
			if rapid.Bool().Draw(t, "finished") {
				p = p.done()
			}
		}
	})
}
