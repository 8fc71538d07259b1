package replica

import (
	"slices"
	"testing"
	"time"

	"github.com/zurau/zurau/broker/storage"
)

func TestWhoLeavesTheISR(t *testing.T) {
	const lagMax = 30 * time.Second
	for _, c := range []struct {
		name     string
		follower standing
		gone     bool
	}{
		{"at the log end, however long it has said nothing", standing{2, 100, time.Hour, true, 7, 0}, false},
		{"behind, but caught up not long ago", standing{2, 90, lagMax, true, 7, 0}, false},
		{"behind for longer than allowed", standing{2, 90, lagMax + 1, true, 7, 0}, true},
		{"never heard of since the epoch began, and long ago", standing{2, unknownOffset, lagMax + 1, true, 7, 0}, true},
		{"its broker being away does not matter: the controller sees to that", standing{2, 100, 0, false, 7, 0}, false},
		{"no member", standing{3, 0, time.Hour, true, 7, 0}, false},
	} {
		gone := outOfSync([]int32{1, 2}, []standing{c.follower}, 100, lagMax)
		if slices.Contains(gone, c.follower.id) != c.gone {
			t.Errorf("%s: gone %v, want %v", c.name, gone, c.gone)
		}
	}
}

func TestWhoJoinsTheISR(t *testing.T) {
	for _, c := range []struct {
		name     string
		follower standing
		joins    bool
	}{
		{"has all that was acknowledged", standing{3, 50, 0, true, 7, 10}, true},
		{"lacks one acknowledged record", standing{3, 49, 0, true, 7, 10}, false},
		{"has not fetched in this epoch", standing{3, unknownOffset, 0, true, 7, 10}, false},
		{"is not alive by what the controller says", standing{3, 50, 0, false, 7, 10}, false},
		{"is a member already", standing{2, 50, 0, true, 7, 10}, false},
		{"its registration is still looked up", standing{3, 50, 0, true, EpochPending, 10}, false},
		{"its registration is not known, as with a Java leader", standing{3, 50, 0, true, EpochUnknown, 10}, true},
		{"has what the leader has deleted", standing{3, 50, 0, true, 7, 9}, false},
		{"does not tell where its log begins", standing{3, 50, 0, true, 7, unknownOffset}, true},
	} {
		if joined := caughtUpWith([]int32{1, 2}, []standing{c.follower}, storage.View{LogStartOffset: 10, HighWatermark: 50}, 40); slices.Contains(joined, c.follower.id) != c.joins {
			t.Errorf("%s: joined %v, want %v", c.name, joined, c.joins)
		}
	}
	if joined := caughtUpWith([]int32{1}, []standing{{3, 39, 0, true, 7, 0}}, storage.View{HighWatermark: 30}, 40); len(joined) != 0 {
		t.Error("a follower that has not reached the start of the leader's epoch joined")
	}
}

func TestAFollowerIsCaughtUpWhenItHasWhatThereWasBefore(t *testing.T) {
	f := newProgress(false, 0)
	if f.joining(0, time.Hour) {
		t.Error("a follower that never fetched is about to join")
	}
	f.fetched(0, 0, 7, 100, time.Second)
	if f.lag(time.Second) < time.Hour {
		t.Errorf("100 records behind, lag %v", f.lag(time.Second))
	}
	f.fetched(100, 0, 7, 200, 2*time.Second) // has what there was at its fetch of second 1
	if got := f.lag(3 * time.Second); got != 2*time.Second {
		t.Errorf("lag %v, want 2s: since the fetch before", got)
	}
	f.fetched(150, 0, 7, 300, 4*time.Second)
	if got := f.lag(4 * time.Second); got != 3*time.Second {
		t.Errorf("lag %v, want 3s: it falls behind", got)
	}
	f.fetched(300, 0, 7, 300, 5*time.Second)
	if got := f.lag(5 * time.Second); got != 0 || f.brokerEpoch.Load() != 7 {
		t.Errorf("at the log end: lag %v, broker epoch %d", got, f.brokerEpoch.Load())
	}
}

func TestTheHighWatermarkWaitsForTheLargerOfTwoISRs(t *testing.T) {
	for _, c := range []struct {
		name          string
		isr, proposed []int32
		want          []int32
	}{
		{"nothing is asked", []int32{1, 2}, nil, []int32{1, 2}},
		{"a member that shall come counts at once", []int32{1}, []int32{1, 2}, []int32{1, 2}},
		{"a member that shall go still counts", []int32{1, 2}, []int32{1}, []int32{1, 2}},
	} {
		if got := (&role{isr: c.isr, proposed: c.proposed}).maximalISR(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
