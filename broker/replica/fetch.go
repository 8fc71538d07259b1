package replica

import (
	"context"
	"slices"
	"time"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/storage"
	"github.com/zurau/zurau/broker/wire"
)

// Reader says who fetches and how.
type Reader struct {
	ReplicaID int32 // a follower's broker id, or one of the two below
	// BrokerEpoch is the follower's, -1 when it is not known (KIP-903).
	BrokerEpoch int64
	AnyReplica  bool // a follower of the partition may answer too (consumers since Fetch 11)
	Committed   bool // read_committed: nothing above the last stable offset
	MaxWait     time.Duration
	MinBytes    int
	MaxBytes    int    // of the whole answer
	FirstBatch  bool   // the first batch found is returned whole, even above the limits (KIP-74)
	Heard       uint64 // Manager.Heard as it was before the partitions were looked up
}

// Values of Reader.ReplicaID that are no follower.
const (
	Consumer          int32 = -1
	DebuggingConsumer int32 = -2 // reads to the log end like a follower, counts as none
)

// Position is what a reader wants of one partition.
type Position struct {
	Partition *Partition // nil when this broker does not host it; Missing then says why
	Missing   error
	// Expected says of a missing partition that its LeaderAndIsr is on its way: in place of Missing its reader hears of
	// an empty log, after a wait that ends when a LeaderAndIsr comes. So a follower that has heard of a new topic before
	// its leader did loses no time to a back-off (Kafka's lose a second).
	Expected         bool
	Offset           int64
	MaxBytes         int
	LeaderEpoch      int32 // as the reader knows it, -1 for no check
	LastFetchedEpoch int32 // epoch of the reader's last record, -1 for none (KIP-595)
	LogStartOffset   int64 // a follower's own, -1 from others
}

// Fetched is one partition's part of the answer. Region belongs to the caller, who releases it.
type Fetched struct {
	Err            error
	View           storage.View // {-1,-1,-1,-1} with an error
	Region         wire.Region  // N == 0: nothing to read
	Diverging      bool         // the reader's log went another way: at DivergingEpoch it ends at DivergingEnd
	DivergingEpoch int32
	DivergingEnd   int64
	Aborted        []storage.AbortedTxn // read_committed only
}

// audience are the waiting fetches of a partition among which this reader's belongs.
func (rd Reader) audience(p *Partition) *waiters {
	if rd.ReplicaID >= 0 || rd.ReplicaID == DebuggingConsumer {
		return &p.followers
	}
	return &p.consumers
}

var unknownView = storage.View{LogStartOffset: -1, LastStableOffset: -1, HighWatermark: -1, LogEndOffset: -1}

// Fetch reads every position, waiting up to MaxWait for MinBytes. It fills out, which has the length of want. An error
// at any partition, a divergence or the end of ctx ends the wait.
func (m *Manager) Fetch(ctx context.Context, rd Reader, want []Position, out []Fetched) {
	defer m.chargeLeader(rd, want, out)
	deadline := time.Now().Add(rd.MaxWait)
	total, done := readAll(rd, want, out, true)
	if done || total >= rd.MinBytes || rd.MaxWait <= 0 || len(want) == 0 {
		return
	}
	w := newWaiter()
	places := m.places(rd, want)
	for _, place := range places {
		place.add(w)
	}
	defer func() {
		for _, place := range places {
			place.remove(w)
		}
	}()
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	for last := false; ; {
		w.look(rd.MinBytes)
		release(out)
		total, done = readAll(rd, want, out, false)
		if done || total >= rd.MinBytes || last || expectsAny(want) && m.Heard() != rd.Heard {
			return
		}
		if w.found(total) {
			continue
		}
		select {
		case <-w.C:
		case <-timer.C:
			last = true
		case <-ctx.Done():
			return
		}
	}
}

// places are where a reader of these positions waits.
func (m *Manager) places(rd Reader, want []Position) []*waiters {
	places := make([]*waiters, 0, len(want)+1)
	for i := range want {
		if p := want[i].Partition; p != nil {
			places = append(places, rd.audience(p))
		}
	}
	if expectsAny(want) {
		places = append(places, &m.expecting)
	}
	return places
}

func expectsAny(want []Position) bool {
	return slices.ContainsFunc(want, func(q Position) bool { return q.Expected })
}

func release(out []Fetched) {
	for i := range out {
		if r := &out[i].Region; r.Release != nil {
			r.Release.Release()
			r.Release = nil
		}
	}
}

// readAll reads every position once. done means that waiting would not make the answer better. A follower's progress
// is noted at the first look of its request: the later ones are made by us, not by it.
func readAll(rd Reader, want []Position, out []Fetched, note bool) (total int, done bool) {
	left, first := rd.MaxBytes, rd.FirstBatch
	for i := range want {
		q := &want[i]
		if q.Expected {
			out[i] = Fetched{} // an empty log
			continue
		}
		if q.Partition == nil {
			out[i] = Fetched{Err: q.Missing, View: unknownView}
			done = true
			continue
		}
		f := q.Partition.read(rd, q, min(q.MaxBytes, max(left, 0)), first, note)
		if f.Err != nil || f.Diverging {
			done = true
		}
		if f.Region.N > 0 {
			first = false
		}
		left -= f.Region.N
		total += f.Region.N
		out[i] = f
	}
	return total, done
}

// read is one look at one partition. The role must be the same before and after it.
func (p *Partition) read(rd Reader, q *Position, maxBytes int, firstBatch, note bool) Fetched {
	r := p.role.Load()
	if err := r.mayRead(rd, q); err != nil {
		return Fetched{Err: err, View: unknownView}
	}
	v := p.log.View()
	if q.LastFetchedEpoch >= 0 {
		epoch, end := p.log.EndOffsetForEpoch(q.LastFetchedEpoch)
		if epoch == -1 && end == -1 || q.Offset < v.LogStartOffset {
			return Fetched{Err: kerr.OffsetOutOfRange, View: unknownView}
		}
		if epoch < q.LastFetchedEpoch || end < q.Offset {
			return Fetched{View: v, Diverging: true, DivergingEpoch: epoch, DivergingEnd: end}
		}
	}
	if p.withholds(r, rd) {
		maxBytes, firstBatch = 0, false
	}
	got, err := p.log.Read(q.Offset, maxBytes, p.visibleEnd(rd, v), firstBatch)
	if err != nil {
		return Fetched{Err: err, View: unknownView}
	}
	f := Fetched{View: v, Region: got.Region}
	if now := p.role.Load(); now != r && (now.leaderEpoch != r.leaderEpoch || now.leads != r.leads) {
		release([]Fetched{f})
		return Fetched{Err: kerr.NotLeaderOrFollower, View: unknownView}
	}
	if rd.Committed && rd.ReplicaID < 0 {
		if f.Aborted, err = p.log.AbortedTxns(q.Offset, got); err != nil {
			release([]Fetched{f})
			return Fetched{Err: err, View: unknownView}
		}
		if f.Aborted == nil {
			f.Aborted = []storage.AbortedTxn{} // none, where a reader of uncommitted records gets null
		}
	}
	if rd.ReplicaID >= 0 && note && p.followerFetched(r, rd, q, v.LogEndOffset) {
		f.View = p.log.View() // the follower's own fetch may have moved the high watermark: it learns so at once
	}
	return f
}

func (r *role) mayRead(rd Reader, q *Position) error {
	if r.stopped() {
		return kerr.NotLeaderOrFollower
	}
	if rd.ReplicaID >= 0 && r.leads && r.followers[rd.ReplicaID] == nil {
		if q.LeaderEpoch != -1 {
			return kerr.UnknownLeaderEpoch // the follower may be ahead of us: it will ask again
		}
		return kerr.NotLeaderOrFollower
	}
	if err := r.checkEpoch(q.LeaderEpoch); err != nil {
		return err
	}
	if !r.leads && !(rd.AnyReplica && rd.ReplicaID < 0) && rd.ReplicaID != DebuggingConsumer {
		return kerr.NotLeaderOrFollower
	}
	return nil
}

// followerFetched notes that a follower holds everything below its offset, and tells whether the high watermark moved.
func (p *Partition) followerFetched(r *role, rd Reader, q *Position, leaderEnd int64) (moved bool) {
	f := r.followers[rd.ReplicaID]
	if f == nil {
		return false
	}
	if q.LogStartOffset != f.logStartOffset.Load() {
		defer p.starts.wake(everything)
	}
	if f.fetched(q.Offset, q.LogStartOffset, rd.BrokerEpoch, leaderEnd, p.m.now()) && p.advanceHighWatermark() {
		moved = true
		p.consumers.wake(everything)
	}
	if r.proposed == nil && !slices.Contains(r.isr, rd.ReplicaID) && q.Offset >= max(p.log.View().HighWatermark, r.epochStart) {
		p.m.keeper.attend(p)
	}
	return moved
}
