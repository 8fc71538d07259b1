package replica

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
)

func TestADeletionOfRecordsWaitsForTheLiveFollowers(t *testing.T) {
	m := newManager(t, nil)
	alive := map[int32]bool{2: true, 3: false}
	m.Alive = func(id int32) bool { return alive[id] }
	p := mustLead(t, m, state{self, 0, []int32{self, 2}, []int32{self, 2, 3}, topic.NewID()})
	appendOne(t, p)
	fetch := func(offset, logStart int64) {
		out := make([]Fetched, 1)
		m.Fetch(t.Context(), Reader{ReplicaID: 2, MaxBytes: 1 << 20}, []Position{{Partition: p, Offset: offset,
			MaxBytes: 1 << 20, LeaderEpoch: -1, LastFetchedEpoch: -1, LogStartOffset: logStart}}, out)
		release(out)
	}
	fetch(1, 0)
	offset, err := p.DeleteRecords(-1)
	if offset != 1 || err != nil {
		t.Fatalf("up to the high watermark: %d, %v", offset, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := p.AwaitLowWatermark(ctx, offset); !errors.Is(err, kerr.RequestTimedOut) {
		t.Errorf("follower 2 has not followed, and the answer is %v", err)
	}
	type answer struct {
		low int64
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		low, err := p.AwaitLowWatermark(t.Context(), offset)
		answered <- answer{low, err}
	}()
	eventually(t, "it waits", func() bool { return p.starts.n.Load() > 0 })
	fetch(1, 1)
	if a := <-answered; a.low != 1 || a.err != nil {
		t.Errorf("follower 2 has followed, and 3 is away: %+v", a)
	}
	alive[3] = true
	go func() {
		low, err := p.AwaitLowWatermark(t.Context(), offset)
		answered <- answer{low, err}
	}()
	eventually(t, "it waits for follower 3", func() bool { return p.starts.n.Load() > 0 })
	mustLead(t, m, state{2, 1, []int32{2}, []int32{self, 2, 3}, topic.ID{}})
	if a := <-answered; !errors.Is(a.err, kerr.NotLeaderOrFollower) {
		t.Errorf("the lead was lost: %+v", a)
	}
}
