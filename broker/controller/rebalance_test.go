package controller

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zurau/zurau/zkmeta"
)

func TestImbalanced(t *testing.T) {
	for _, test := range []struct {
		name    string
		leaders []int32 // of partitions that all prefer broker 1; -2 for one that never had a leader
		percent int32
		want    []string
	}{
		{"everybody leads what it should", []int32{1, 1, 1}, 0, nil},
		{"more than a third", []int32{1, 2, 3}, 33, []string{"t-1", "t-2"}},
		{"exactly the limit is not more", []int32{1, 1, 2, 2}, 50, nil},
		{"nobody leads, which is another matter for the election", []int32{-1}, 10, []string{"t-0"}},
		{"one that never had a leader counts as well led", []int32{-2, 2}, 50, nil},
		{"a hundred percent is never passed", []int32{2, 2}, 100, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCluster()
			a := zkmeta.TopicAssignment{Partitions: make(map[int32][]int32)}
			for i := range test.leaders {
				a.Partitions[int32(i)] = []int32{1, 2, 3}
			}
			s := c.addTopic("t", a)
			for i, leader := range test.leaders {
				if leader != -2 {
					s.partitions[int32(i)].leadership = &zkmeta.PartitionState{Leader: leader}
				}
			}
			var got []string
			for _, p := range c.imbalanced(test.percent) {
				got = append(got, fmt.Sprint(p))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			c.toBeDeleted["t"] = true
			if left := c.imbalanced(test.percent); len(left) > 0 {
				t.Errorf("a topic that is deleted is not balanced: %v", left)
			}
		})
	}
}
