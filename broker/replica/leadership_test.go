package replica

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/storage"
	"github.com/zurau/zurau/broker/topic"
)

func mustAppend(t *testing.T, p *Partition, values ...string) Appended {
	t.Helper()
	a, err := p.AppendAsLeader(batch(t, values...), 1, storage.AppendOptions{Origin: storage.Client, ProduceVersion: 9})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func wantHighWatermark(t *testing.T, p *Partition, when string, want int64) {
	t.Helper()
	if got := p.log.View().HighWatermark; got != want {
		t.Errorf("%s the high watermark is %d, want %d", when, got, want)
	}
}

func TestNoMoreReplicasAreAskedForThanThereAre(t *testing.T) {
	m := newManager(t, map[string]string{"min.insync.replicas": "2"})
	p := mustLead(t, m, state{self, 0, []int32{self}, []int32{self}, topic.NewID()})
	a, err := p.AppendAsLeader(batch(t, "a"), -1, storage.AppendOptions{Origin: storage.Client, ProduceVersion: 9})
	if err != nil || !a.Replicated {
		t.Errorf("acks=all to the only replica: %+v, %v", a, err)
	}
}

func TestANewEpochBeginsAtTheEndOfTheLog(t *testing.T) {
	m := newManager(t, nil)
	id := topic.NewID()
	p := mustLead(t, m, state{self, 0, []int32{self, 2}, []int32{self, 2}, id})
	mustAppend(t, p, "a", "b")
	mustLead(t, m, state{self, 1, []int32{self, 2}, []int32{self, 2}, id}) // without having lost the lead
	if epoch, end, err := p.EndOffsetForEpoch(1, 0); epoch != 0 || end != 2 || err != nil {
		t.Errorf("epoch 0 ends as %d at %d, %v", epoch, end, err)
	}
	latest := func() error {
		_, err := p.OffsetFor(Latest, Reader{ReplicaID: Consumer}, -1)
		return err
	}
	if err := latest(); !errors.Is(err, kerr.OffsetNotAvailable) {
		t.Errorf("latest could go back, and was told: %v", err)
	}
	if _, err := p.OffsetFor(Latest, Reader{ReplicaID: 2}, -1); err != nil {
		t.Errorf("a follower is asked for no patience: %v", err)
	}
	follow(t, p, 2)
	if err := latest(); err != nil {
		t.Errorf("the high watermark has reached the start of the epoch: %v", err)
	}
}

func TestQuestionsAboutEpochsAreFencedByTheAskersOwn(t *testing.T) {
	m := newManager(t, nil)
	p := mustLead(t, m, state{self, 4, []int32{self}, []int32{self}, topic.NewID()})
	for asked, want := range map[int32]error{-1: nil, 4: nil, 3: kerr.FencedLeaderEpoch, 5: kerr.UnknownLeaderEpoch} {
		if _, _, err := p.EndOffsetForEpoch(asked, 4); !errors.Is(err, want) {
			t.Errorf("OffsetForLeaderEpoch in epoch %d: %v, want %v", asked, err, want)
		}
		if _, err := p.OffsetFor(Earliest, Reader{ReplicaID: Consumer}, asked); !errors.Is(err, want) {
			t.Errorf("ListOffsets in epoch %d: %v, want %v", asked, err, want)
		}
	}
	mustLead(t, m, state{2, 5, []int32{2}, []int32{self, 2}, topic.ID{}})
	if _, _, err := p.EndOffsetForEpoch(-1, 4); !errors.Is(err, kerr.NotLeaderOrFollower) {
		t.Errorf("a follower answers for epochs: %v", err)
	}
	if _, err := p.OffsetFor(Latest, Reader{ReplicaID: Consumer}, -1); !errors.Is(err, kerr.NotLeaderOrFollower) {
		t.Errorf("a follower answers for offsets: %v", err)
	}
	if _, err := p.SegmentOffsets(Latest, 1, Reader{ReplicaID: Consumer}); !errors.Is(err, kerr.NotLeaderOrFollower) {
		t.Errorf("a follower answers for segments: %v", err)
	}
	if _, err := p.DeleteRecords(-1); !errors.Is(err, kerr.NotLeaderOrFollower) {
		t.Errorf("a follower deletes records: %v", err)
	}
}

// What a follower had in an earlier epoch it may have lost since: it must say so again before it counts.
func TestAFollowersProgressCountsInItsEpochOnly(t *testing.T) {
	m := newManager(t, nil)
	id := topic.NewID()
	all := []int32{self, 2, 3}
	p := mustLead(t, m, state{self, 0, all, all, id})
	mustAppend(t, p, "a", "b")
	follow(t, p, 2)
	wantHighWatermark(t, p, "while 3 has not fetched", 0)
	mustLead(t, m, state{self, 1, []int32{self, 2}, all, id})
	wantHighWatermark(t, p, "before 2 has fetched in the new epoch", 0)
	follow(t, p, 2)
	wantHighWatermark(t, p, "after it has", 2)
}

func TestASmallerISRMovesTheHighWatermarkAtOnce(t *testing.T) {
	m := newManager(t, nil)
	id := topic.NewID()
	p := mustLead(t, m, state{self, 0, []int32{self, 2}, []int32{self, 2}, id})
	waits := produceAll(t, p, time.Minute)
	mustLead(t, m, state{self, 1, []int32{self}, []int32{self, 2}, id})
	wantHighWatermark(t, p, "alone", 1)
	if err := <-waits; err != nil {
		t.Errorf("replicated to all that are in sync, and told %v", err)
	}
}

// KAFKA-15583, and the answer to who was promised more: the records are there, and too few have them.
func TestAnISRThatShrinksBelowItsMinimumStopsTheHighWatermark(t *testing.T) {
	m := newManager(t, map[string]string{"min.insync.replicas": "2"})
	id := topic.NewID()
	p := mustLead(t, m, state{self, 0, []int32{self, 2}, []int32{self, 2}, id})
	waits := produceAll(t, p, time.Minute)
	mustLead(t, m, state{self, 1, []int32{self}, []int32{self, 2}, id})
	wantHighWatermark(t, p, "below min.insync.replicas", 0)
	select {
	case err := <-waits:
		t.Errorf("told %v while nothing is decided", err)
	default:
	}
	mustLead(t, m, state{self, 2, []int32{self, 2}, []int32{self, 2}, id})
	follow(t, p, 1)
	if err := <-waits; err != nil {
		t.Errorf("replicated in the end, and told %v", err)
	}
}

func TestRecordsThatTooFewHoldByNowAreNotAcknowledged(t *testing.T) {
	m := newManager(t, map[string]string{"min.insync.replicas": "2"})
	id := topic.NewID()
	p := mustLead(t, m, state{self, 0, []int32{self, 2}, []int32{self, 2}, id})
	a := mustAppend(t, p, "a")
	follow(t, p, 1)
	mustLead(t, m, state{self, 1, []int32{self}, []int32{self, 2}, id})
	told := make(chan error, 1)
	AwaitReplication(time.Minute, []Replication{{p, a.LastOffset + 1, a.LeaderEpoch}}, func(errs []error) { told <- errs[0] })
	if err := <-told; !errors.Is(err, kerr.NotEnoughReplicasAfterAppend) {
		t.Errorf("replicated before the ISR shrank, and told %v", err)
	}
}

func TestProducesAreAnsweredInTheOrderOfTheirOffsets(t *testing.T) {
	m := newManager(t, nil)
	p := mustLead(t, m, state{self, 0, []int32{self, 2}, []int32{self, 2}, topic.NewID()})
	mustAppend(t, p, "a", "b", "c")
	told := make(map[int64]chan error)
	for _, end := range []int64{2, 3, 1} { // as they come when several append at once
		done := make(chan error, 1)
		told[end] = done
		AwaitReplication(time.Minute, []Replication{{p, end, 0}}, func(errs []error) { done <- errs[0] })
	}
	for end := int64(1); end <= 3; end++ {
		follow(t, p, end)
		if err := <-told[end]; err != nil {
			t.Errorf("up to %d: %v", end, err)
		}
		if n := p.delayed.n.Load(); n != int32(3-end) {
			t.Errorf("with %d replicated %d produces wait", end, n)
		}
	}
}

func TestRecordsAreDeletedUpToTheHighWatermarkOnly(t *testing.T) {
	m := newManager(t, nil)
	p := mustLead(t, m, state{self, 0, []int32{self, 2}, []int32{self, 2}, topic.NewID()})
	mustAppend(t, p, "a", "b")
	follow(t, p, 1)
	for _, offset := range []int64{2, -2} {
		if _, err := p.DeleteRecords(offset); !errors.Is(err, kerr.OffsetOutOfRange) {
			t.Errorf("up to %d: %v", offset, err)
		}
	}
	if low, err := p.DeleteRecords(-1); low != 1 || err != nil {
		t.Errorf("up to the high watermark: %d, %v", low, err)
	}
}

func TestAReaderWhoseLogWentAnotherWayIsToldWhere(t *testing.T) {
	m := newManager(t, nil)
	id := topic.NewID()
	p := mustLead(t, m, state{self, 1, []int32{self}, []int32{self, 2}, id})
	mustAppend(t, p, "a", "b")
	mustLead(t, m, state{self, 3, []int32{self}, []int32{self, 2}, id})
	mustAppend(t, p, "c", "d")
	if _, err := p.DeleteRecords(1); err != nil {
		t.Fatal(err)
	}
	type told struct {
		diverging bool
		epoch     int32
		end       int64
		err       error
	}
	for _, c := range []struct {
		name        string
		offset      int64
		lastFetched int32
		want        told
	}{
		{"who agrees", 2, 1, told{}},
		{"who agrees to the end", 4, 3, told{}},
		{"who has an epoch that we have not", 2, 2, told{true, 1, 2, nil}},
		{"who went further in an old epoch", 3, 1, told{true, 1, 2, nil}},
		{"who has nothing but what we have deleted", 1, 0, told{}},
		{"who went on in an epoch before all of ours", 2, 0, told{true, 0, 1, nil}},
		{"who knows an epoch after all of ours", 4, 9, told{false, 0, 0, kerr.OffsetOutOfRange}},
		{"who asks below the log start", 0, 1, told{false, 0, 0, kerr.OffsetOutOfRange}},
		{"who asks there with an epoch that we have not", 0, 2, told{false, 0, 0, kerr.OffsetOutOfRange}},
	} {
		out := make([]Fetched, 1)
		m.Fetch(t.Context(), Reader{ReplicaID: Consumer, MaxBytes: 1 << 20},
			[]Position{{Partition: p, Offset: c.offset, MaxBytes: 1 << 20, LeaderEpoch: -1, LastFetchedEpoch: c.lastFetched}}, out)
		release(out)
		got := told{out[0].Diverging, out[0].DivergingEpoch, out[0].DivergingEnd, out[0].Err}
		if got.diverging != c.want.diverging || got.epoch != c.want.epoch || got.end != c.want.end || !errors.Is(got.err, c.want.err) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestLimitsOfAFetchAreSharedByItsPartitions(t *testing.T) {
	m := newManager(t, nil)
	req := kmsg.NewPtrLeaderAndISRRequest()
	req.Version, req.ControllerEpoch = 7, 1
	states := kmsg.LeaderAndISRRequestTopicState{Topic: "t", TopicID: topic.NewID()}
	for id := range int32(3) {
		s := kmsg.NewLeaderAndISRRequestTopicPartition()
		s.Partition, s.Leader, s.ISR, s.Replicas, s.IsNew = id, self, []int32{self}, []int32{self}, true
		states.PartitionStates = append(states.PartitionStates, s)
	}
	req.TopicStates = []kmsg.LeaderAndISRRequestTopicState{states}
	m.LeaderAndIsr(req)
	var want []Position
	size := 0
	for id := range int32(3) {
		p := m.Partition(topic.Partition{Topic: "t", ID: id})
		size = mustAppend(t, p, "a").SizeBytes
		want = append(want, Position{Partition: p, MaxBytes: 1 << 20, LeaderEpoch: -1, LastFetchedEpoch: -1})
	}
	for _, c := range []struct {
		name  string
		max   int
		first bool
		want  []int // bytes of each partition
	}{
		{"room for all", 3 * size, true, []int{size, size, size}},
		{"room for two and a half", 2*size + size/2, true, []int{size, size, size / 2}},
		{"no room: the first batch comes whole, and only that", 1, true, []int{size, 0, 0}},
		{"no room, and no promise", 1, false, []int{1, 0, 0}},
	} {
		out := make([]Fetched, 3)
		m.Fetch(t.Context(), Reader{ReplicaID: Consumer, MaxBytes: c.max, FirstBatch: c.first}, want, out)
		release(out)
		got := []int{out[0].Region.N, out[1].Region.N, out[2].Region.N}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestAFetchThatHasWaitedStandsNowhere(t *testing.T) {
	m := newManager(t, nil)
	p := mustLead(t, m, state{self, 0, []int32{self}, []int32{self}, topic.NewID()})
	m.Fetch(t.Context(), Reader{ReplicaID: Consumer, MinBytes: 1, MaxBytes: 1 << 20, MaxWait: time.Millisecond},
		[]Position{{Partition: p, MaxBytes: 1 << 20, LeaderEpoch: -1, LastFetchedEpoch: -1}}, make([]Fetched, 1))
	if n := p.consumers.n.Load(); n != 0 || p.consumers.mu.first != nil {
		t.Errorf("%d fetches that are answered still stand at the partition", n)
	}
}

func TestWhoReadsFromAFollower(t *testing.T) {
	m := newManager(t, nil)
	p := mustLead(t, m, state{2, 0, []int32{2}, []int32{self, 2}, topic.NewID()})
	for _, c := range []struct {
		name string
		rd   Reader
		want error
	}{
		{"a consumer that asks the leader only", Reader{ReplicaID: Consumer}, kerr.NotLeaderOrFollower},
		{"a consumer that asks any replica", Reader{ReplicaID: Consumer, AnyReplica: true}, nil},
		{"a debugging consumer", Reader{ReplicaID: DebuggingConsumer}, nil},
		{"another follower, of a version in which consumers may", Reader{ReplicaID: 2, AnyReplica: true}, kerr.NotLeaderOrFollower},
	} {
		out := make([]Fetched, 1)
		m.Fetch(t.Context(), c.rd, []Position{{Partition: p, LeaderEpoch: -1, LastFetchedEpoch: -1}}, out)
		if !errors.Is(out[0].Err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, out[0].Err, c.want)
		}
	}
}

// A follower copies what nobody may read yet, and needs no list of what was aborted.
func TestAnOpenTransactionIsNotForReadersOfCommittedRecords(t *testing.T) {
	m := newManager(t, nil)
	p := mustLead(t, m, state{self, 0, []int32{self}, []int32{self, 2}, topic.NewID()})
	b := record.NewBuilder(record.Compression{}, 1<<20)
	if err := b.Append(time.Now().UnixMilli(), nil, []byte("a"), nil); err != nil {
		t.Fatal(err)
	}
	open, err := b.Finish(&record.Producer{ID: 1, Transactional: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.AppendAsLeader(open, 1, storage.AppendOptions{Origin: storage.Client, ProduceVersion: 9, TransactionVerified: true}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		rd      Reader
		latest  int64
		aborted bool // the answer has a list of them, if an empty one
	}{
		{"a reader of everything", Reader{ReplicaID: Consumer}, 1, false},
		{"a reader of what is committed", Reader{ReplicaID: Consumer, Committed: true}, 0, true},
		{"a follower, whatever it says", Reader{ReplicaID: 2, Committed: true}, 1, false},
	} {
		c.rd.MaxBytes = 1 << 20
		out := make([]Fetched, 1)
		m.Fetch(t.Context(), c.rd, []Position{{Partition: p, MaxBytes: 1 << 20, LeaderEpoch: -1, LastFetchedEpoch: -1}}, out)
		release(out)
		if got := out[0]; got.Err != nil || (got.Region.N > 0) != (c.latest > 0) || (got.Aborted != nil) != c.aborted {
			t.Errorf("%s: %+v", c.name, got)
		}
		if found, err := p.OffsetFor(Latest, c.rd, -1); err != nil || found.Offset != c.latest {
			t.Errorf("%s: latest is %+v, %v", c.name, found, err)
		}
	}
}
