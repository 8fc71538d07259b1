package replica

import (
	"sync/atomic"
	"time"
)

// progress is how far one follower is, as its fetches tell (Kafka: cluster.Replica). A follower has one fetch of a
// partition under way at a time, so its fields have one writer; whoever decides on the ISR or on the high watermark
// reads them as they stand.
type progress struct {
	logEndOffset   atomic.Int64 // unknownOffset until its first fetch in this epoch
	logStartOffset atomic.Int64 // unknownOffset likewise
	brokerEpoch    atomic.Int64 // as the follower told it, or one of the constants below

	toldHighWatermark atomic.Int64 // the one the follower knows, where readers wait for it there

	// caughtUp is when the follower was last known to have everything: the start of the last fetch that asked at or
	// above the log end there was at the fetch before. Times are those of Manager.now.
	caughtUp atomic.Int64

	refusedUntil atomic.Int64 // see refused

	// Of the last fetch: when it came, and the leader's log end it found. They belong to the follower's fetch.
	lastFetch    time.Duration
	lastFetchEnd int64
}

const unknownOffset = -1

// never is a time before every other.
const never = time.Duration(-1 << 62)

// newProgress begins an epoch: a member of the ISR counts as caught up now, anybody else has to show it.
func newProgress(inSync bool, now time.Duration) *progress {
	f := &progress{lastFetch: never, lastFetchEnd: unknownOffset}
	f.logEndOffset.Store(unknownOffset)
	f.logStartOffset.Store(unknownOffset)
	f.brokerEpoch.Store(EpochUnknown)
	f.caughtUp.Store(int64(never))
	if inSync {
		f.caughtUp.Store(int64(now))
	}
	return f
}

// Broker epochs that are none.
const (
	EpochUnknown int64 = -1 // it was not told, and nobody looked; controllers take it
	EpochPending int64 = -2 // it is being looked up; the follower joins no ISR before
)

// fetched notes a fetch at offset, made at now, when the leader's log ended at leaderEnd. It tells whether the
// follower's log end moved.
func (f *progress) fetched(offset, logStart, brokerEpoch, leaderEnd int64, now time.Duration) (moved bool) {
	switch {
	case offset >= leaderEnd:
		f.caughtUp.Store(max(f.caughtUp.Load(), int64(now)))
	case offset >= f.lastFetchEnd && f.lastFetchEnd != unknownOffset:
		f.caughtUp.Store(max(f.caughtUp.Load(), int64(f.lastFetch)))
	}
	f.lastFetch, f.lastFetchEnd = now, leaderEnd
	f.logStartOffset.Store(logStart)
	moved = f.logEndOffset.Swap(offset) != offset
	f.brokerEpoch.Store(brokerEpoch) // last: who reads it first finds the log end of this life, or of a later one
	return moved
}

// lag is for how long the follower has not been caught up.
func (f *progress) lag(now time.Duration) time.Duration {
	if at := time.Duration(f.caughtUp.Load()); at != never {
		return now - at
	}
	return 1<<63 - 1
}

// joining tells whether a follower outside the ISR is so near that it will soon be a member.
func (f *progress) joining(now, lagMax time.Duration) bool {
	return f.logEndOffset.Load() != unknownOffset && f.lag(now) <= lagMax && !f.refused(now)
}
