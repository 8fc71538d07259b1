package replica

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/broker/wire"
)

// FetcherOptions say how followers fetch.
type FetcherOptions struct {
	PerLeader         int                // num.replica.fetchers
	Client            wire.ClientOptions // Timeout is replica.socket.timeout.ms; ClientID is set here
	Level             ibp.Level
	BrokerEpoch       func() int64  // of this broker, -1 before it is registered
	WaitMax           time.Duration // replica.fetch.wait.max.ms
	Backoff           time.Duration // replica.fetch.backoff.ms
	MinBytes          int32         // replica.fetch.min.bytes
	MaxBytes          int32         // replica.fetch.response.max.bytes
	PartitionMaxBytes int32         // replica.fetch.max.bytes
}

// fetchers are the loops that follow other brokers, num.replica.fetchers for each leader. A loop begins with its first
// partition and ends with the broker.
type fetchers struct {
	m      *Manager
	ctx    context.Context
	cancel context.CancelFunc
	ended  sync.WaitGroup
	mu     struct {
		sync.Mutex
		loops map[fetcherKey]*fetcher
	}
}

type fetcherKey struct {
	leader int32
	index  int
}

func newFetchers(m *Manager) *fetchers {
	fs := &fetchers{m: m}
	fs.ctx, fs.cancel = context.WithCancel(context.Background())
	fs.mu.loops = make(map[fetcherKey]*fetcher)
	return fs
}

// stop ends every loop. What is assigned afterwards is not followed.
func (fs *fetchers) stop() {
	fs.cancel()
	fs.ended.Wait()
}

// assignment makes a fetcher follow with p in role r. Nobody takes it back: a fetcher lets go of a partition when it
// finds another role in it.
type assignment struct {
	p *Partition
	r *role
}

// assign hands partitions to the loops of their leaders, all of one LeaderAndIsr at once.
func (fs *fetchers) assign(all []assignment) {
	byLoop := make(map[*fetcher][]assignment)
	fs.mu.Lock()
	for _, a := range all {
		if a.r.leader >= 0 && fs.ctx.Err() == nil {
			f := fs.loopLocked(fetcherKey{a.r.leader, fetcherIndex(a.p.tp, fs.m.Fetchers.PerLeader)})
			byLoop[f] = append(byLoop[f], a)
		}
	}
	fs.mu.Unlock()
	for f, list := range byLoop {
		f.give(list)
	}
}

func (fs *fetchers) loopLocked(key fetcherKey) *fetcher {
	f := fs.mu.loops[key]
	if f == nil {
		f = newFetcher(fs.m, key)
		fs.mu.loops[key] = f
		fs.ended.Go(func() { f.run(fs.ctx) })
	}
	return f
}

// fetcherIndex spreads partitions over the loops of one leader as Kafka does (AbstractFetcherManager.getFetcherId).
func fetcherIndex(tp topic.Partition, loops int) int {
	hash := int32(0)
	for _, c := range tp.Topic { // names are ASCII
		hash = 31*hash + c
	}
	hash = 31*hash + tp.ID
	return int(max(hash, -hash, 0)) % max(loops, 1) // -hash of the least int32 is itself: Kafka takes 0
}

// fetcher follows one leader with some of the partitions it leads: fetch, append, and again.
type fetcher struct {
	m       *Manager
	leader  int32
	log     *zap.Logger // "kafka.server.ReplicaFetcherThread"
	client  *wire.Client
	arrived chan struct{} // capacity 1: something lies in the inbox
	inbox   struct {
		sync.Mutex
		assignments []assignment
		interrupt   context.CancelFunc // ends the fetch under way; nil while there is none
	}

	// The rest belongs to run.
	seen      uint64 // Manager.roleChanges when letGo last looked; noLook before
	connected bool
	parts     map[topic.Partition]*following
	resting   map[topic.Partition]*following // of parts, those left out until their notBefore
	session   session
	failures  int // of connections and requests in a row
	notBefore time.Time
}

// following is one partition followed.
type following struct {
	assignment
	fetched   bool // the leader has answered without an error in this role
	inSync    bool // the last answer brought all that is replicated
	failures  int  // errors in a row
	notBefore time.Time
}

func newFetcher(m *Manager, key fetcherKey) *fetcher {
	o := m.Fetchers.Client
	o.ClientID = fmt.Sprintf("broker-%d-fetcher-%d", m.BrokerID, key.index)
	o.ReuseBuffer = true
	return &fetcher{
		m: m, leader: key.leader, client: wire.NewClient(o), arrived: make(chan struct{}, 1),
		parts: make(map[topic.Partition]*following), resting: make(map[topic.Partition]*following),
		log: m.Logger.Named("kafka.server.ReplicaFetcherThread").With(zap.Int32("leader", key.leader), zap.Int("fetcher", key.index),
			zap.Int32("replica", m.BrokerID)),
	}
}

// patience is how long a fetch under way may go on when new partitions have come. A fetch waits at an idle leader for
// replica.fetch.wait.max.ms, and so long would a new topic be without its followers.
const patience = 5 * time.Millisecond

// give hands assignments over. It does not wait.
func (f *fetcher) give(list []assignment) {
	f.inbox.Lock()
	f.inbox.assignments = append(f.inbox.assignments, list...)
	interrupt := f.inbox.interrupt
	f.inbox.Unlock()
	select {
	case f.arrived <- struct{}{}:
	default:
	}
	if interrupt != nil {
		time.AfterFunc(patience, interrupt)
	}
}

func (f *fetcher) run(ctx context.Context) {
	defer f.client.Close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		f.takeInbox()
		f.letGo()
		f.recall(time.Now())
		f.holdBack()
		if wait, idle := f.idle(time.Now()); idle {
			timer.Reset(wait)
			select {
			case <-f.arrived:
			case <-timer.C:
			case <-ctx.Done():
			}
			continue
		}
		f.round(ctx)
	}
}

// forever is longer than anything waited for here.
const forever = time.Hour

// idle tells whether there is nothing to fetch now, and for how long.
func (f *fetcher) idle(now time.Time) (wait time.Duration, idle bool) {
	if f.notBefore.After(now) && len(f.parts) > 0 {
		return f.notBefore.Sub(now), true
	}
	if len(f.parts) > len(f.resting) {
		return 0, false
	}
	return f.untilRecall(now), true
}

// untilRecall is how long the first of those that rest has still to rest, forever when nobody does.
func (f *fetcher) untilRecall(now time.Time) time.Duration {
	wait := forever
	for _, g := range f.resting {
		wait = min(wait, g.notBefore.Sub(now))
	}
	return wait
}

func (f *fetcher) takeInbox() {
	f.inbox.Lock()
	list := f.inbox.assignments
	f.inbox.assignments = nil
	f.inbox.Unlock()
	if len(list) > 0 {
		f.seen = noLook // a role in the list may be over already
	}
	for _, a := range list {
		f.remove(a.p.tp)
		g := &following{assignment: a}
		f.parts[a.p.tp] = g
		f.begin(a)
		if g.p.log.TopicID().IsZero() && f.session.byID {
			f.session.reset()
		}
		f.session.set(g)
	}
}

func (f *fetcher) remove(tp topic.Partition) {
	delete(f.parts, tp)
	delete(f.resting, tp)
	f.session.drop(tp)
}

// begin brings the log into the state to be followed with. A log with leader epochs learns from the leader's answers
// where it went another way; one without them keeps only what is known to be replicated.
func (f *fetcher) begin(a assignment) {
	if err := a.p.keepReplicated(a.r); err != nil && !errors.Is(err, errSuperseded) {
		f.log.Error("A log without leader epochs cannot be truncated to its high watermark", zap.Stringer("partition", a.p.tp), zap.Error(err))
	}
}

// noLook is no count of changes.
const noLook = math.MaxUint64

// letGo drops the partitions whose role is another now, and those whose log directory has failed. It looks at them only
// when that may be: a fetcher of 1,000 idle partitions comes by here many times a second.
func (f *fetcher) letGo() {
	changes := f.m.roleChanges.Load()
	if f.seen == changes {
		return
	}
	f.seen = changes
	for tp, g := range f.parts {
		if g.p.role.Load() != g.r || g.p.log.Err() != nil {
			f.remove(tp)
		}
	}
}

// rest leaves a partition out for a while.
func (f *fetcher) rest(g *following, pause time.Duration) {
	g.notBefore = time.Now().Add(pause)
	f.resting[g.p.tp] = g
	f.session.drop(g.p.tp)
}

// recall takes up again what has rested long enough.
func (f *fetcher) recall(now time.Time) {
	for tp, g := range f.resting {
		if !g.notBefore.After(now) {
			delete(f.resting, tp)
			f.session.set(g)
		}
	}
}

// openSession begins a session with all that is to be fetched now.
func (f *fetcher) openSession() {
	parts, byID := make(map[topic.Partition]*following, len(f.parts)), true
	for tp, g := range f.parts {
		if f.resting[tp] == nil {
			parts[tp] = g
			byID = byID && !g.p.log.TopicID().IsZero()
		}
	}
	f.session.open(parts, byID && f.m.Fetchers.Level.FetchVersion() > lastByName)
}

// round is one fetch and what follows from its answer.
func (f *fetcher) round(ctx context.Context) {
	resp, err := f.fetch(ctx)
	if err != nil {
		f.session.reset()
		if ctx.Err() != nil || errors.Is(err, context.Canceled) {
			return // the broker stops, or new partitions came
		}
		f.failures++
		f.notBefore = time.Now().Add(f.pause(f.failures))
		if f.failures == 1 {
			f.log.Warn("Error in fetching, will retry", zap.Error(err))
		}
		return
	}
	f.failures = 0
	if err := f.session.answered(resp); err != nil {
		f.log.Info("The leader wants a new fetch session", zap.Error(err))
		if !errors.Is(err, kerr.FetchSessionIDNotFound) && !errors.Is(err, kerr.InvalidFetchSessionEpoch) {
			f.notBefore = time.Now().Add(f.m.Fetchers.Backoff)
		}
		return
	}
	for i := range resp.Topics {
		t := &resp.Topics[i]
		name := t.Topic
		if resp.Version >= 13 {
			name = f.session.names[t.TopicID]
		}
		for j := range t.Partitions {
			a := &t.Partitions[j]
			if g := f.parts[topic.Partition{Topic: name, ID: a.Partition}]; g != nil {
				f.take(ctx, g, a)
			}
		}
	}
	if resp.SessionID == 0 {
		f.session.reset()
	}
}

// pause grows from little to replica.fetch.backoff.ms: most errors are those of a leader that has not yet heard of its
// office, which takes milliseconds.
func (f *fetcher) pause(failures int) time.Duration {
	return min(firstPause<<min(failures-1, 16), max(f.m.Fetchers.Backoff, firstPause))
}

const firstPause = 10 * time.Millisecond

// usualFailures are nothing to speak of at the beginning: about a second in which the leader hears of its office.
const usualFailures = 7

// fetch sends one Fetch and returns its answer, whose record bytes are valid until the next call. context.Canceled
// means that it was interrupted.
func (f *fetcher) fetch(ctx context.Context) (*kmsg.FetchResponse, error) {
	if err := f.connect(ctx); err != nil {
		return nil, err
	}
	if !f.session.isOpen() {
		f.openSession()
	}
	req := f.session.request(f.m)
	patient, cancel := context.WithCancel(ctx)
	defer cancel()
	f.inbox.Lock()
	late := len(f.inbox.assignments) > 0
	if !late {
		f.inbox.interrupt = cancel
	}
	f.inbox.Unlock()
	if late {
		req.MaxWaitMillis = 0
	}
	// Who rests for ten milliseconds must not wait for the others' idle fetch: after a stop of a broker the leaders hear of
	// their office one after the other, and whoever asked too early would hold their high watermarks for half a second.
	rest := max(f.untilRecall(time.Now()), 0).Milliseconds() + 1
	req.MaxWaitMillis = int32(min(int64(req.MaxWaitMillis), rest))
	resp, err := f.do(patient, req)
	f.inbox.Lock()
	f.inbox.interrupt = nil
	f.inbox.Unlock()
	if err != nil {
		return nil, err
	}
	return resp.(*kmsg.FetchResponse), nil
}

// connect opens a connection unless there is one.
func (f *fetcher) connect(ctx context.Context) error {
	if f.connected {
		return nil
	}
	f.session.reset()
	addr, ok := f.m.LeaderAddr(f.leader)
	if !ok {
		return fmt.Errorf("the leader is not among the brokers this one has been told of: %w", kerr.BrokerNotAvailable)
	}
	if err := f.client.Connect(ctx, addr); err != nil {
		return err
	}
	f.connected = true
	return nil
}

// do sends a request on the open connection.
func (f *fetcher) do(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	resp, err := f.client.Do(ctx, req)
	if err != nil {
		f.connected = false
	}
	return resp, err
}

// take carries out the leader's answer for one partition.
func (f *fetcher) take(ctx context.Context, g *following, a *kmsg.FetchResponseTopicPartition) {
	err := asError(a.ErrorCode)
	if err == nil {
		if err = g.p.followLeader(g.r, f.session.offset(g.p.tp), a); err == nil {
			f.fetchedSome(g, a)
		}
	}
	if errors.Is(err, kerr.OffsetOutOfRange) {
		err = f.findPlace(ctx, g)
	}
	switch {
	case err == nil:
		g.fetched, g.failures = true, 0
		f.session.set(g)
		return
	case errors.Is(err, errSuperseded):
		return // letGo sees it
	case errors.Is(err, kerr.FencedLeaderEpoch):
		f.log.Warn("The leader has a newer epoch; waiting for LeaderAndIsr", zap.Stringer("partition", g.p.tp),
			zap.Int32("leader_epoch", g.r.leaderEpoch))
		f.remove(g.p.tp)
		return
	}
	g.failures++
	f.rest(g, f.pause(g.failures))
	if g.fetched || g.failures > usualFailures {
		f.log.Warn("Error in fetching from the leader, will retry", zap.Stringer("partition", g.p.tp), zap.Error(err))
	}
}

// findPlace asks the leader where its log begins and ends, when it has nothing at the offset asked for (Kafka:
// AbstractFetcherThread.fetchOffsetAndTruncate).
func (f *fetcher) findPlace(ctx context.Context, g *following) error {
	end, err := f.listOffset(ctx, g, Latest)
	if err != nil {
		return err
	}
	if own := g.p.log.View().LogEndOffset; end < own {
		f.log.Warn("The leader's log ends before this one's: an unclean election made it leader", zap.Stringer("partition", g.p.tp),
			zap.Int64("leo", own), zap.Int64("leader_leo", end))
		return g.p.truncateFollower(g.r, end)
	}
	start, err := f.listOffset(ctx, g, Earliest)
	if err != nil {
		return err
	}
	if start > g.p.log.View().LogEndOffset {
		return g.p.restartFollower(g.r, start)
	}
	return nil
}

func (f *fetcher) listOffset(ctx context.Context, g *following, timestamp int64) (int64, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID = f.m.Fetchers.Level.ListOffsetsVersion(), f.m.BrokerID
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.CurrentLeaderEpoch, p.Timestamp = g.p.tp.ID, g.r.leaderEpoch, timestamp
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: g.p.tp.Topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
	r, err := f.do(ctx, req)
	if err != nil {
		return 0, err
	}
	resp := r.(*kmsg.ListOffsetsResponse)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return 0, fmt.Errorf("ListOffsets of one partition answers %d topics", len(resp.Topics))
	}
	a := &resp.Topics[0].Partitions[0]
	return a.Offset, asError(a.ErrorCode)
}
