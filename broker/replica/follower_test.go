package replica

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/topic"
)

// inEpoch is a batch of n records as a leader of this epoch would have written it at offset.
func inEpoch(t *testing.T, offset int64, epoch int32, n int) []byte {
	t.Helper()
	b := record.Batch(batch(t, make([]string, n)...))
	b.SetBaseOffset(offset)
	b.SetLeaderEpoch(epoch)
	return b
}

// followerOf2 makes a replica that follows broker 2 and holds batches of these (epoch, records), one after the other.
func followerOf2(t *testing.T, history ...[2]int) *Partition {
	t.Helper()
	m := newManager(t, nil)
	p := mustLead(t, m, state{2, 9, []int32{2}, []int32{self, 2}, topic.NewID()})
	at := int64(0)
	for _, h := range history {
		a := kmsg.NewFetchResponseTopicPartition()
		a.RecordBatches = inEpoch(t, at, int32(h[0]), h[1])
		if err := p.followLeader(p.role.Load(), at, &a); err != nil {
			t.Fatal(err)
		}
		at += int64(h[1])
	}
	return p
}

func TestAFollowerCutsBackToWhereTheLogsAgree(t *testing.T) {
	for _, c := range []struct {
		name       string
		history    [][2]int // epoch, records
		epoch      int32
		end        int64
		wantEnd    int64
		wantLatest int32
	}{
		{"the leader's epoch ends earlier than ours", [][2]int{{1, 10}, {2, 5}, {2, 5}}, 2, 15, 15, 2},
		{"the leader's epoch ends later than ours", [][2]int{{1, 10}, {3, 10}}, 1, 12, 10, 1},
		{"we do not know the leader's epoch: back to the one before it", [][2]int{{1, 10}, {3, 10}}, 2, 15, 10, 1},
		{"nothing is common", [][2]int{{3, 10}}, 1, 5, 0, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := followerOf2(t, c.history...)
			a := kmsg.NewFetchResponseTopicPartition()
			a.DivergingEpoch.Epoch, a.DivergingEpoch.EndOffset = c.epoch, c.end
			if err := p.followLeader(p.role.Load(), p.log.View().LogEndOffset, &a); err != nil {
				t.Fatal(err)
			}
			if v := p.log.View(); v.LogEndOffset != c.wantEnd || p.log.LatestEpoch() != c.wantLatest {
				t.Errorf("log end %d in epoch %d, want %d in %d", v.LogEndOffset, p.log.LatestEpoch(), c.wantEnd, c.wantLatest)
			}
		})
	}
}

func TestAFollowerTakesOverTheLeadersMarks(t *testing.T) {
	p := followerOf2(t, [2]int{1, 10})
	tell := func(hw, start int64) {
		t.Helper()
		a := kmsg.NewFetchResponseTopicPartition()
		a.HighWatermark, a.LogStartOffset = hw, start
		if err := p.followLeader(p.role.Load(), p.log.View().LogEndOffset, &a); err != nil {
			t.Fatal(err)
		}
	}
	tell(25, 0)
	if v := p.log.View(); v.HighWatermark != 10 {
		t.Errorf("the high watermark passed the log end: %+v", v)
	}
	tell(3, 0)
	if v := p.log.View(); v.HighWatermark != 10 {
		t.Errorf("the high watermark went back: %+v", v)
	}
	tell(25, 4)
	if v := p.log.View(); v.LogStartOffset != 4 {
		t.Errorf("the log start stands at %d", v.LogStartOffset)
	}
}

func TestWhatAnOldLeaderSentIsNotWritten(t *testing.T) {
	p := followerOf2(t, [2]int{1, 10})
	old := p.role.Load()
	mustLead(t, p.m, state{3, 10, []int32{3}, []int32{self, 3}, topic.ID{}})
	a := kmsg.NewFetchResponseTopicPartition()
	a.RecordBatches = inEpoch(t, 10, 1, 5)
	if err := p.followLeader(old, 10, &a); !errors.Is(err, errSuperseded) {
		t.Errorf("answer %v", err)
	}
	if end := p.log.View().LogEndOffset; end != 10 {
		t.Errorf("log end %d", end)
	}
	b := kmsg.NewFetchResponseTopicPartition()
	b.RecordBatches = inEpoch(t, 10, 10, 5)
	if err := p.followLeader(p.role.Load(), 8, &b); err != nil || p.log.View().LogEndOffset != 10 {
		t.Errorf("an answer to another question: %v, log end %d", err, p.log.View().LogEndOffset)
	}
}

func TestPartitionsAreSpreadOverFetchersAsKafkaDoes(t *testing.T) {
	for _, c := range []struct {
		tp    topic.Partition
		loops int
		want  int
	}{ // abs(31 * hashCode(topic) + partition) % loops
		{topic.Partition{Topic: "t", ID: 0}, 1, 0},
		{topic.Partition{Topic: "t", ID: 0}, 4, 116 * 31 % 4},
		{topic.Partition{Topic: "t", ID: 3}, 4, (116*31 + 3) % 4},
		{topic.Partition{Topic: "polygenelubricants", ID: 0}, 4, 0}, // its hash is the least integer
	} {
		if got := fetcherIndex(c.tp, c.loops); got != c.want {
			t.Errorf("%v of %d: %d, want %d", c.tp, c.loops, got, c.want)
		}
	}
}

func TestASessionNamesWhatChanged(t *testing.T) {
	p := followerOf2(t, [2]int{1, 10})
	p.m.Fetchers.Level, p.m.Fetchers.BrokerEpoch = 0, func() int64 { return 7 }
	g := &following{assignment: assignment{p, p.role.Load()}}
	var s session
	s.open(map[topic.Partition]*following{t0: g}, false)
	req := s.request(p.m)
	if req.SessionEpoch != 0 || len(req.Topics) != 1 || req.Topics[0].Partitions[0].FetchOffset != 10 ||
		req.Topics[0].Partitions[0].LastFetchedEpoch != 1 || req.Topics[0].Partitions[0].CurrentLeaderEpoch != 9 {
		t.Fatalf("the opening request: %+v", req)
	}
	resp := kmsg.NewPtrFetchResponse()
	resp.SessionID = 77
	if err := s.answered(resp); err != nil {
		t.Fatal(err)
	}
	s.set(g)
	if req = s.request(p.m); req.SessionID != 77 || req.SessionEpoch != 1 || len(req.Topics) != 0 {
		t.Fatalf("nothing has changed: %+v", req)
	}
	a := kmsg.NewFetchResponseTopicPartition()
	a.RecordBatches = inEpoch(t, 10, 9, 5)
	if err := p.followLeader(p.role.Load(), 10, &a); err != nil {
		t.Fatal(err)
	}
	s.set(g)
	if req = s.request(p.m); len(req.Topics) != 1 || req.Topics[0].Partitions[0].FetchOffset != 15 {
		t.Fatalf("records came: %+v", req)
	}
	s.drop(t0)
	if req = s.request(p.m); len(req.ForgottenTopics) != 1 || len(req.Topics) != 0 {
		t.Fatalf("it was dropped: %+v", req)
	}
	s.drop(t0)
	s.set(g)
	if req = s.request(p.m); len(req.ForgottenTopics) != 0 || len(req.Topics) != 1 {
		t.Fatalf("it came back: %+v", req)
	}
	resp.ErrorCode = kerr.FetchSessionIDNotFound.Code
	if err := s.answered(resp); !errors.Is(err, kerr.FetchSessionIDNotFound) || s.isOpen() {
		t.Errorf("the leader has lost the session: %v, open %v", err, s.isOpen())
	}
}

func TestAFetcherLetsGoOfWhatItFollowsNoMore(t *testing.T) {
	f := followingAll(t, 3)
	f.letGo()
	if len(f.parts) != 3 {
		t.Fatalf("it follows %d partitions, want 3", len(f.parts))
	}
	stale := assignment{f.m.Partition(t0), f.m.Partition(t0).role.Load()}
	mustLead(t, f.m, state{self, 2, []int32{self}, []int32{self, 2}, topic.ID{}})
	f.letGo()
	if f.parts[t0] != nil || len(f.parts) != 2 {
		t.Errorf("it leads one of the %d partitions it follows", len(f.parts))
	}
	f.give([]assignment{stale}) // on its way while the next LeaderAndIsr came
	f.takeInbox()
	f.letGo()
	if f.parts[t0] != nil {
		t.Error("it follows in a role that is over")
	}
}
