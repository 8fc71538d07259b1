package replica

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/quota"
	"github.com/zurau/zurau/broker/topic"
)

// throttle is one for all replicas of t that is exceeded by its first bytes, and stays so.
func throttle() *quota.Replication {
	q := quota.NewReplication(self, 11, time.Hour)
	q.SetTopic("t", []string{"*"})
	q.SetRate(0)
	return q
}

func TestAThrottledLeaderSendsOnlyToFollowersInSync(t *testing.T) {
	m := newManager(t, nil)
	m.Throttles.Leader = throttle()
	p := mustLead(t, m, state{self, 0, []int32{self, 2}, []int32{self, 2, 3}, topic.NewID()})
	mustAppend(t, p, "a")
	get := func(id int32, offset int64) Fetched {
		out := make([]Fetched, 1)
		m.Fetch(t.Context(), Reader{ReplicaID: id, MinBytes: 1, MaxBytes: 1 << 20, FirstBatch: true}, []Position{{Partition: p,
			Offset: offset, MaxBytes: 1 << 20, LeaderEpoch: -1, LastFetchedEpoch: -1}}, out)
		release(out)
		return out[0]
	}
	if get(Consumer, 0); m.Throttles.Leader.Exceeded() {
		t.Error("what consumers read was counted")
	}
	for _, c := range []struct {
		name     string
		id       int32
		withheld bool
	}{
		{"before anything was sent, 3 is served", 3, false},
		{"then it waits", 3, true},
		{"2 is in sync", 2, false},
		{"consumers are nobody's replicas", DebuggingConsumer, false},
		{"3 still waits", 3, true},
	} {
		got := get(c.id, 0)
		if got.Err != nil || (got.Region.N == 0) != c.withheld {
			t.Errorf("%s: %d bytes, %v", c.name, got.Region.N, got.Err)
		}
		if got.View.LogEndOffset != 1 {
			t.Errorf("%s: it is told of a log that ends at %d", c.name, got.View.LogEndOffset)
		}
	}
	get(3, 1)
	if end := p.role.Load().followers[3].logEndOffset.Load(); end != 1 {
		t.Errorf("where a follower stands was not noted while it is throttled: %d", end)
	}
	m.Throttles.Leader.SetTopic("t", []string{"0:9"})
	if get(3, 0).Region.N == 0 {
		t.Error("3 waits though no replica here is throttled")
	}
}

func TestAThrottledFollowerLeavesOutWhatIsNotInSync(t *testing.T) {
	m := newManager(t, nil)
	m.Throttles.Follower = throttle()
	p := mustLead(t, m, state{2, 0, []int32{2}, []int32{2, self}, topic.NewID()})
	f := newFetcher(m, fetcherKey{leader: 2})
	g := &following{assignment: assignment{p, p.role.Load()}}
	f.parts[t0] = g
	answer := func(highWatermark int64, records []byte) {
		a := kmsg.NewFetchResponseTopicPartition()
		a.HighWatermark, a.RecordBatches = highWatermark, records
		f.fetchedSome(g, &a)
	}
	rests := func(when string, want bool) {
		t.Helper()
		clear(f.resting)
		f.holdBack()
		if got := f.resting[t0] != nil; got != want {
			t.Errorf("%s it is left out: %v", when, got)
		}
	}
	rests("before the first fetch", false)
	answer(5, make([]byte, 10))
	rests("behind the high watermark", true)
	answer(0, nil)
	rests("in sync", false)
	answer(5, nil)
	m.Throttles.Follower.SetRate(quota.Unlimited)
	rests("without a rate", false)
	m.Throttles.Follower.SetRate(0)
	rests("with one again", true)
	m.Throttles.Follower.SetTopic("t", nil)
	rests("when it is named no more", false)
}
