package replica

import (
	"context"
	"testing"
	"time"

	"github.com/zurau/zurau/broker/topic"
)

func TestTheFollowerAConsumerIsSentTo(t *testing.T) {
	const nobody = -1
	type place struct {
		rack  string
		alive bool
	}
	type stand struct{ end, start int64 }
	everywhere := map[int32]place{self: {"a", true}, 2: {"b", true}, 3: {"b", true}, 4: {"c", true}}
	all := []int32{self, 2, 3, 4}
	for _, c := range []struct {
		name   string
		rack   string
		reader int32
		isr    []int32
		racks  map[int32]place
		stands map[int32]stand
		offset int64
		want   int32
	}{
		{"in the leader's own rack", "a", Consumer, all, everywhere, map[int32]stand{2: {9, 0}, 4: {9, 0}}, 0, nobody},
		{"in a rack of one follower", "c", Consumer, all, everywhere, map[int32]stand{2: {9, 0}, 4: {9, 0}}, 0, 4},
		{"in a rack without a replica", "d", Consumer, all, everywhere, map[int32]stand{2: {9, 0}, 4: {9, 0}}, 0, nobody},
		{"without a rack", "", Consumer, all, map[int32]place{4: {"", true}}, map[int32]stand{4: {9, 0}}, 0, nobody},
		{"the one that has more", "b", Consumer, all, everywhere, map[int32]stand{2: {8, 0}, 3: {9, 0}}, 0, 3},
		{"at the end of its log", "c", Consumer, all, everywhere, map[int32]stand{4: {9, 0}}, 9, 4},
		{"who lags behind the offset is passed over", "b", Consumer, all, everywhere, map[int32]stand{2: {8, 0}, 3: {9, 0}}, 9, 3},
		{"who begins behind it too", "b", Consumer, all, everywhere, map[int32]stand{2: {8, 0}, 3: {9, 5}}, 4, 2},
		{"who has not fetched too", "c", Consumer, all, everywhere, nil, 0, nobody},
		{"who is out of the ISR too", "b", Consumer, []int32{self, 2}, everywhere, map[int32]stand{2: {8, 0}, 3: {9, 0}}, 0, 2},
		{"who is gone too", "b", Consumer, all, map[int32]place{self: {"a", true}, 2: {"b", true}, 3: {"b", false}},
			map[int32]stand{2: {8, 0}, 3: {9, 0}}, 0, 2},
		{"a follower is sent nowhere", "c", 4, all, everywhere, map[int32]stand{4: {9, 0}}, 9, nobody},
	} {
		m := newManager(t, nil)
		p := mustLead(t, m, state{self, 0, c.isr, all, topic.NewID()})
		for id, s := range c.stands {
			p.role.Load().followers[id].fetched(s.end, s.start, -1, 9, m.now())
		}
		rd := Reader{ReplicaID: c.reader, AnyReplica: true, Rack: c.rack, RackOf: func(id int32) (string, bool) {
			return c.racks[id].rack, c.racks[id].alive
		}}
		if got, ok := p.readElsewhere(p.role.Load(), rd, c.offset); got != c.want || ok != (c.want != nobody) {
			t.Errorf("%s: %d, %v; want %d", c.name, got, ok, c.want)
		}
		rd.RackOf = nil
		if _, ok := p.readElsewhere(p.role.Load(), rd, c.offset); ok {
			t.Errorf("%s: sent away without a selector", c.name)
		}
	}
}

func TestOfTwoEqualFollowersTheFresherIsReadFrom(t *testing.T) {
	old, fresh := readReplica{2, 9, time.Second}, readReplica{3, 9, 0}
	if old.compare(fresh) >= 0 || fresh.compare(old) <= 0 || fresh.compare(fresh) != 0 {
		t.Error("the one that was caught up last comes last")
	}
}

func TestAConsumerThatIsSentAwayIsAnsweredAtOnce(t *testing.T) {
	m := newManager(t, nil)
	p := mustLead(t, m, state{self, 0, []int32{self, 2}, []int32{self, 2}, topic.NewID()})
	mustAppend(t, p, "a")
	follow(t, p, 1)
	out := make([]Fetched, 1)
	m.Fetch(t.Context(), Reader{ReplicaID: Consumer, AnyReplica: true, MinBytes: 1 << 20, MaxBytes: 1 << 20, MaxWait: time.Minute,
		FirstBatch: true, Rack: "b", RackOf: func(id int32) (string, bool) { return map[int32]string{self: "a", 2: "b"}[id], true }},
		[]Position{{Partition: p, MaxBytes: 1 << 20, LeaderEpoch: -1, LastFetchedEpoch: -1}}, out)
	if got := out[0]; !got.Elsewhere || got.Follower != 2 || got.Region.N != 0 || got.View.HighWatermark != 1 || got.Err != nil {
		t.Errorf("%+v", got)
	}
}

// Without it those who read from a follower would wait for its next fetch to see what the last one brought.
func TestAFollowerWithReadersHearsOfTheHighWatermarkAtOnce(t *testing.T) {
	m := newManager(t, nil)
	m.ReadFromFollowers = true
	p := mustLead(t, m, state{self, 0, []int32{self, 2, 3}, []int32{self, 2, 3}, topic.NewID()})
	mustAppend(t, p, "a")
	fetch := func(ctx context.Context, id int32, wait time.Duration) Fetched {
		out := make([]Fetched, 1)
		m.Fetch(ctx, Reader{ReplicaID: id, MinBytes: 1, MaxBytes: 1 << 20, MaxWait: wait}, []Position{{Partition: p,
			Offset: 1, MaxBytes: 1 << 20, LeaderEpoch: -1, LastFetchedEpoch: -1}}, out)
		release(out)
		return out[0]
	}
	fetch(t.Context(), 2, 0)
	told := make(chan Fetched, 1)
	began := time.Now()
	go func() { told <- fetch(t.Context(), 2, 20*time.Second) }()
	eventually(t, "2 waits for records", func() bool { return p.followers.n.Load() > 0 })
	if got := fetch(t.Context(), 3, time.Minute); got.View.HighWatermark != 1 {
		t.Errorf("3 moved the high watermark and hears of %d", got.View.HighWatermark)
	}
	if got := <-told; got.View.HighWatermark != 1 || got.Region.N != 0 {
		t.Errorf("2 hears %+v", got)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("2 hears of it after %v: at the end of its wait", took)
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if fetch(short, 2, time.Minute); short.Err() == nil {
		t.Error("told once, it is told again without an end")
	}
}
