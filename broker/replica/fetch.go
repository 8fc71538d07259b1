package replica

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/storage"
	"github.com/zurau/zurau/broker/wire"
)

// Reader says who fetches and how.
type Reader struct {
	ReplicaID int32 // a follower's broker id, or one of the two below
	// BrokerEpoch is the follower's (KIP-903), or one of EpochUnknown and EpochPending.
	BrokerEpoch int64
	AnyReplica  bool // a follower of the partition may answer too (consumers since Fetch 11)
	// Rack is where a consumer is, "" if it does not say, and RackOf that of a broker which lives and which the consumer
	// can reach. nil: everybody reads from the leader.
	Rack       string
	RackOf     func(broker int32) (rack string, ok bool)
	Committed  bool // read_committed: nothing above the last stable offset
	MaxWait    time.Duration
	MinBytes   int
	MaxBytes   int    // of the whole answer
	FirstBatch bool   // the first batch found is returned whole, even above the limits (KIP-74)
	Heard      uint64 // Manager.Heard as it was before the partitions were looked up
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
	Elsewhere      bool // nothing is read here: Follower is nearer to the reader
	Follower       int32
	Aborted        []storage.AbortedTxn // read_committed only

	role *role        // the partition's when it was read
	seen storage.View // and the log's; View may be newer by now

	news bool // View has what the follower must hear of at once
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
	total, done := readAll(rd, want, out, m.now())
	if done || total >= rd.MinBytes || rd.MaxWait <= 0 || len(want) == 0 {
		return
	}
	w := newWaiter()
	defer m.standAt(rd, want, w)()
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	for last := false; ; {
		w.look(rd.MinBytes)
		if last {
			release(out)
			readAll(rd, want, out, noted)
			return
		}
		total, done = readChanged(rd, want, out, total)
		if done || total >= rd.MinBytes || expectsAny(want) && m.Heard() != rd.Heard {
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

// stands are the places of fetches, kept for the next ones.
var stands = sync.Pool{New: func() any { return new([]stand) }}

// standAt has w stand wherever something may come that a reader of these positions wants, until leave is called.
func (m *Manager) standAt(rd Reader, want []Position, w *waiter) (leave func()) {
	room := stands.Get().(*[]stand)
	*room = slices.Grow((*room)[:0], len(want)+1)[:len(want)+1]
	all := *room
	for i := range want {
		all[i].w = w
		if p := want[i].Partition; p != nil {
			rd.audience(p).add(&all[i])
		}
	}
	expects := expectsAny(want)
	if all[len(want)].w = w; expects {
		m.expecting.add(&all[len(want)])
	}
	return func() {
		for i := range want {
			if p := want[i].Partition; p != nil {
				rd.audience(p).remove(&all[i])
			}
		}
		if expects {
			m.expecting.remove(&all[len(want)])
		}
		clear(all)
		stands.Put(room)
	}
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

// noted is given for the time of a look that is not the first of its request: a follower's progress has been noted.
const noted = never

// look is one reading of a fetch's positions, in order, with what the limits leave for the next.
type look struct {
	rd    Reader
	left  int  // bytes the answer has room for
	first bool // the next batch may be larger than any limit
	total int  // bytes found
	done  bool // waiting would not make the answer better
}

// readAll reads every position once. done means that waiting would not make the answer better. A follower's progress
// is noted at the first look of its request, which it made at now: the later ones are made by us, not by it.
func readAll(rd Reader, want []Position, out []Fetched, now time.Duration) (total int, done bool) {
	l := look{rd: rd, left: rd.MaxBytes, first: rd.FirstBatch}
	for i := range want {
		l.read(&want[i], &out[i], now)
	}
	return l.total, l.done
}

// readChanged looks again at what the look before found total bytes of. If that was nothing, it reads only where
// something has changed since: an idle follower of 1,000 partitions waits at each of them.
func readChanged(rd Reader, want []Position, out []Fetched, total int) (_ int, done bool) {
	if total > 0 {
		release(out)
		return readAll(rd, want, out, noted)
	}
	l := look{rd: rd, left: rd.MaxBytes, first: rd.FirstBatch}
	for i := range want {
		if p := want[i].Partition; p != nil && out[i].stale(p) {
			l.read(&want[i], &out[i], noted)
		}
	}
	return l.total, l.done
}

func (l *look) read(q *Position, out *Fetched, now time.Duration) {
	switch {
	case q.Expected:
		*out = Fetched{} // an empty log
		return
	case q.Partition == nil:
		*out = Fetched{Err: q.Missing, View: unknownView}
		l.done = true
		return
	}
	*out = q.Partition.read(l.rd, q, min(q.MaxBytes, max(l.left, 0)), l.first, now)
	if out.Err != nil || out.Diverging || out.Elsewhere || out.news {
		l.done = true
	}
	if n := out.Region.N; n > 0 {
		l.first = false
		l.left -= n
		l.total += n
	}
}

// stale tells whether another look at p may find more than f.
func (f *Fetched) stale(p *Partition) bool {
	return p.role.Load() != f.role || p.log.View() != f.seen || p.log.Err() != nil
}

// read is one look at one partition. The role must be the same before and after it.
func (p *Partition) read(rd Reader, q *Position, maxBytes int, firstBatch bool, now time.Duration) Fetched {
	r := p.role.Load()
	if err := r.mayRead(rd, q); err != nil {
		return Fetched{Err: err, View: unknownView}
	}
	v := p.log.View()
	if follower, ok := p.readElsewhere(r, rd, q.Offset); ok {
		return Fetched{View: v, Elsewhere: true, Follower: follower}
	}
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
	f := Fetched{View: v, Region: got.Region, role: r, seen: v}
	if after := p.role.Load(); after != r && (after.leaderEpoch != r.leaderEpoch || after.leads != r.leads) {
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
	if rd.ReplicaID >= 0 && now != noted && p.followerFetched(r, rd, q, v.LogEndOffset, now) {
		f.View = p.log.View() // the follower's own fetch may have moved the high watermark: it learns so at once
	}
	if known := r.followers[rd.ReplicaID]; known != nil {
		f.news = behindStart(q.LogStartOffset, f.View) || p.m.ReadFromFollowers && known.owesHighWatermark(f.View)
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

// followerFetched notes that a follower, asking at now, holds everything below its offset, and tells whether the high
// watermark moved.
func (p *Partition) followerFetched(r *role, rd Reader, q *Position, leaderEnd int64, now time.Duration) (moved bool) {
	f := r.followers[rd.ReplicaID]
	if f == nil {
		return false
	}
	if q.LogStartOffset != f.logStartOffset.Load() {
		defer p.starts.wake(everything)
	}
	if f.fetched(q.Offset, q.LogStartOffset, rd.BrokerEpoch, leaderEnd, now) && p.advanceHighWatermark() {
		moved = true
		p.consumers.wake(everything)
	}
	if r.proposed == nil && !slices.Contains(r.isr, rd.ReplicaID) && q.Offset >= max(p.log.View().HighWatermark, r.epochStart) {
		p.m.keeper.attend(p)
	}
	return moved
}
