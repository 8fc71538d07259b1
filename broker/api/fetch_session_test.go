package api

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/replica"
	"github.com/zurau/zurau/broker/storage"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/broker/wire"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// partitions are those of topic "t" with the ids, all at offset 0.
func partitions(ids ...int32) []*fetchPartition {
	var all []*fetchPartition
	for _, id := range ids {
		all = append(all, &fetchPartition{topic: "t", partition: id, toldHighWatermark: -1, toldLogStart: -1})
	}
	return all
}

// ids is what a step of a session reads, in order.
func ids(parts []*fetchPartition) string {
	var s []string
	for _, p := range parts {
		s = append(s, fmt.Sprint(p.partition))
	}
	return strings.Join(s, " ")
}

// step is an incremental request of the session.
func step(s *fetchSession, epoch int32, forgotten []int32, changed ...*fetchPartition) (string, error) {
	req := &kmsg.FetchRequest{Version: 12, SessionID: s.id, SessionEpoch: epoch}
	if forgotten != nil {
		req.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: "t", Partitions: forgotten}}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	parts, err := s.stepLocked(req, changed, nil)
	return ids(parts), err
}

func mustOpen(t *testing.T, c *fetchSessions, parts []*fetchPartition, byID bool) *fetchSession {
	t.Helper()
	s := c.open(parts, byID, false, noon)
	if s == nil {
		t.Fatal("no session")
	}
	return s
}

func TestSessionRemembersWhatItsReaderWants(t *testing.T) {
	c := newFetchSessions(10)
	s := mustOpen(t, c, partitions(0, 1, 2), false)
	steps := []struct {
		name      string
		epoch     int32
		forgotten []int32
		changed   []*fetchPartition
		want      string
		err       error
	}{
		{"nothing new", 1, nil, nil, "0 1 2", nil},
		{"one more", 2, nil, partitions(7), "0 1 2 7", nil},
		{"one changed stays in its place", 3, nil, partitions(1), "0 1 2 7", nil},
		{"two fewer", 4, []int32{0, 7}, nil, "1 2", nil},
		{"one that was never there is forgotten", 5, []int32{9}, nil, "1 2", nil},
		{"the same epoch again", 5, nil, nil, "", kerr.InvalidFetchSessionEpoch},
		{"an epoch skipped", 7, nil, nil, "", kerr.InvalidFetchSessionEpoch},
		{"the expected epoch", 6, nil, nil, "1 2", nil},
		{"the last ones", 7, []int32{1, 2}, nil, "", nil},
	}
	for _, st := range steps {
		if got, err := step(s, st.epoch, st.forgotten, st.changed...); got != st.want || !errors.Is(err, st.err) {
			t.Errorf("%s: got %q, %v, want %q, %v", st.name, got, err, st.want, st.err)
		}
	}
}

func TestSessionEpochsGoRoundWithoutZero(t *testing.T) {
	for epoch, want := range map[int32]int32{0: 1, 1: 2, 1<<31 - 2: 1<<31 - 1, 1<<31 - 1: 1} {
		if got := nextEpoch(epoch); got != want {
			t.Errorf("after %d comes %d, want %d", epoch, got, want)
		}
	}
}

func TestSessionDoesNotMixNamesAndIDs(t *testing.T) {
	c := newFetchSessions(10)
	s := mustOpen(t, c, partitions(0), false)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.stepLocked(&kmsg.FetchRequest{Version: 13, SessionEpoch: 1}, nil, nil); !errors.Is(err, kerr.FetchSessionTopicIDError) {
		t.Errorf("got %v", err)
	}
}

func TestSessionsByIDTellRecreatedTopicsApart(t *testing.T) {
	c := newFetchSessions(10)
	old, recreated := partitions(0), partitions(0)
	old[0].id, recreated[0].id = topic.ID{1}, topic.ID{2}
	s := mustOpen(t, c, old, true)
	s.mu.Lock()
	defer s.mu.Unlock()
	parts, err := s.stepLocked(&kmsg.FetchRequest{Version: 13, SessionEpoch: 1}, recreated, nil)
	if err != nil || len(parts) != 2 {
		t.Errorf("%d partitions, %v, want both until the old one is forgotten", len(parts), err)
	}
}

// fetched is an answer of one partition: n bytes at a high watermark.
func fetched(n int, highWatermark int64, err error) *replica.Fetched {
	f := &replica.Fetched{Err: err, View: storage.View{HighWatermark: highWatermark}}
	f.Region = wire.Region{N: n}
	return f
}

func TestIncrementalAnswersMentionOnlyWhatIsNew(t *testing.T) {
	c := newFetchSessions(10)
	s := mustOpen(t, c, partitions(0, 1), false)
	s.mu.Lock()
	p := s.mu.order.Front().Value.(*fetchPartition)
	steps := []struct {
		name string
		f    *replica.Fetched
		want bool
	}{
		{"the first time", fetched(0, 5, nil), true},
		{"nothing happened", fetched(0, 5, nil), false},
		{"the high watermark moved", fetched(0, 6, nil), true},
		{"there are records", fetched(100, 6, nil), true},
		{"an error", fetched(0, 6, kerr.NotLeaderOrFollower), true},
		{"after an error", fetched(0, 6, nil), true},
		{"nothing happened again", fetched(0, 6, nil), false},
	}
	for _, st := range steps {
		if got := s.tellLocked(p, st.f); got != st.want {
			t.Errorf("%s: mentioned %v, want %v", st.name, got, st.want)
		}
	}
	s.mu.Unlock()
	if got, err := step(s, 1, nil); got != "1 0" || err != nil {
		t.Errorf("order %q, %v: who got bytes must stand behind who did not", got, err)
	}
}

func TestSessionsAreForgottenWhenClosed(t *testing.T) {
	c := newFetchSessions(10)
	id := mustOpen(t, c, partitions(0), false).id
	c.close(id)
	c.close(id)
	if _, err := c.find(id, noon); !errors.Is(err, kerr.FetchSessionIDNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestFullCacheGivesTheSlotToWhoNeedsItMost(t *testing.T) {
	type held struct {
		size       int32
		privileged bool // a follower's
		age, idle  time.Duration
	}
	const long, short = evictAfter + time.Second, time.Second
	sized := func(n int32) []*fetchPartition {
		var all []int32
		for i := range n {
			all = append(all, i)
		}
		return partitions(all...)
	}
	tests := []struct {
		name     string
		held     held
		newcomer held
		want     bool
	}{
		{"an idle one goes", held{size: 9, age: long, idle: long}, held{size: 1}, true},
		{"an idle follower's goes as well", held{size: 9, privileged: true, age: long, idle: long}, held{size: 1}, true},
		{"a busy one stays before its equal", held{size: 1, age: long, idle: short}, held{size: 1}, false},
		{"a busy one stays before a smaller one", held{size: 5, age: long, idle: short}, held{size: 4}, false},
		{"a smaller one goes for a larger one", held{size: 1, age: long, idle: short}, held{size: 2}, true},
		{"but not before it has had its time", held{size: 1, age: short, idle: short}, held{size: 2}, false},
		{"a consumer's goes for a follower's", held{size: 9, age: short, idle: short}, held{size: 1, privileged: true}, true},
		{"a follower's stays before a consumer's", held{size: 1, privileged: true, age: long, idle: short}, held{size: 9}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newFetchSessions(1)
			id := c.open(sized(tt.held.size), false, tt.held.privileged, noon.Add(-tt.held.age)).id
			if _, err := c.find(id, noon.Add(-tt.held.idle)); err != nil {
				t.Fatal(err)
			}
			got := c.open(sized(tt.newcomer.size), false, tt.newcomer.privileged, noon)
			_, gone := c.find(id, noon)
			if (got != nil) != tt.want || (gone != nil) != tt.want {
				t.Errorf("the newcomer got %v, the old one: %v, want the slot to change hands: %v", got, gone, tt.want)
			}
		})
	}
}

func TestNoSessionsWithoutSlotsOrPartitions(t *testing.T) {
	if s := newFetchSessions(0).open(partitions(0), false, false, noon); s != nil {
		t.Errorf("session %d in a cache without slots", s.id)
	}
	if s := newFetchSessions(1).open(nil, false, false, noon); s != nil {
		t.Errorf("session %d of no partitions", s.id)
	}
}

// many are the partitions from first on, n of them.
func many(first, n int32) []*fetchPartition {
	var all []int32
	for i := range n {
		all = append(all, first+i)
	}
	return partitions(all...)
}

func TestSessionsRememberABoundedNumberOfPartitions(t *testing.T) {
	c := newFetchSessions(3)
	if s := c.open(many(0, 3*partitionsPerSlot+1), false, false, noon); s != nil {
		t.Error("one request may fill the memory of all slots and more")
	}
	a := mustOpen(t, c, many(0, 2*partitionsPerSlot), false)
	b := mustOpen(t, c, many(0, 10), false)
	if s := c.open(many(0, partitionsPerSlot), false, false, noon); s != nil {
		t.Error("together they remember too much")
	}
	grow := func(s *fetchSession, first, n int32) {
		t.Helper()
		if _, err := step(s, s.mu.epoch, nil, many(first, n)...); err != nil {
			t.Fatal(err)
		}
		c.resize(s, len(s.mu.all))
	}
	grow(b, 10, partitionsPerSlot-10)
	if _, err := c.find(b.id, noon); err != nil {
		t.Errorf("there was room to grow: %v", err)
	}
	grow(b, partitionsPerSlot, 1)
	if _, err := c.find(b.id, noon); !errors.Is(err, kerr.FetchSessionIDNotFound) {
		t.Errorf("a session grew beyond what all may remember: %v", err)
	}
	c.close(a.id)
	if c.mu.partitions != 0 {
		t.Errorf("%d partitions of no session are still counted", c.mu.partitions)
	}
}

func TestAPartitionNamedTwiceStandsOnceInASession(t *testing.T) {
	s := mustOpen(t, newFetchSessions(1), partitions(0, 1, 0), false)
	if got, err := step(s, 1, []int32{0}); got != "1" || err != nil {
		t.Errorf("after one was forgotten: %q, %v", got, err)
	}
}
