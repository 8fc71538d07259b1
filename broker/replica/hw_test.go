package replica

import "testing"

func TestHighWatermarkIsTheSlowestInSyncReplica(t *testing.T) {
	for _, c := range []struct {
		name                     string
		current, leaderEnd, want int64
		ends                     []int64
	}{
		{"alone the leader decides", 3, 10, 10, nil},
		{"the slowest follower decides", 3, 10, 7, []int64{9, 7}},
		{"a follower nobody has heard of holds it", 3, 10, 3, []int64{9, unknownOffset}},
		{"it never goes back", 8, 10, 8, []int64{7}},
		{"followers ahead of the leader do not matter", 3, 10, 10, []int64{12}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := highWatermark(c.current, c.leaderEnd, c.ends); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}
