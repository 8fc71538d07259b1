package api

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/replica"
	"github.com/zurau/zurau/zkmeta"
)

// A follower tells its broker epoch from Fetch 15 on (KIP-903), so that the controller can refuse an ISR with a broker that
// was restarted since it fetched. Of older ones the leader reads it itself: the czxid of /brokers/ids/N, when the follower
// opens its fetch session, and again behind each LeaderAndIsr, which is how a leader hears that a follower registered anew.
//
// What is read during one request counts from the session's next request on. That one was sent by a follower which
// had the answer to this one, and so was alive after the reading: the epoch is its own, or one it had before. Of the
// request at hand nothing is certain, for its sender may have died while it lay in the socket.

const (
	// followerEpochTimeout bounds the reading, for the follower's fetch waits.
	followerEpochTimeout = 500 * time.Millisecond
	// followerEpochRetry is the pause after a reading that failed; until it succeeds the follower joins no ISR.
	followerEpochRetry = time.Second
)

// followerEpoch is what a fetch session knows of its follower's registration.
type followerEpoch struct {
	epoch int64     // replica.EpochPending until it was read
	heard uint64    // replica.Manager.Heard before the reading
	tried time.Time // when it was last read, or not; zero for never
}

// due tells whether it is time to read.
func (e *followerEpoch) due(heard uint64, now time.Time) bool {
	if e.tried.IsZero() || e.heard != heard {
		return true
	}
	return e.epoch == replica.EpochPending && now.Sub(e.tried) >= followerEpochRetry
}

// learnFollowerEpoch finds the broker epoch that goes with this request's positions, and reads the one that goes with the
// next request's where it is due.
func (f *fetching) learnFollowerEpoch(ctx context.Context) {
	f.brokerEpoch = replica.EpochUnknown
	switch {
	case f.req.Version >= 15:
		f.brokerEpoch = f.req.ReplicaState.Epoch
		return
	case f.req.ReplicaID < 0 || f.session == nil || f.h.FollowerEpoch == nil:
		return
	}
	session, heard := f.session, f.h.Replicas.Heard()
	session.mu.Lock()
	known := session.mu.follower
	due := known.due(heard, f.now)
	if due {
		session.mu.follower.heard, session.mu.follower.tried = heard, f.now
	}
	session.mu.Unlock()
	f.brokerEpoch = known.epoch
	if !due {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, followerEpochTimeout)
	defer cancel()
	epoch, err := f.h.FollowerEpoch(ctx, f.req.ReplicaID)
	if err != nil {
		if !errors.Is(err, zkmeta.ErrNoNode) {
			f.h.Logger.Warn("A follower's registration cannot be read, and it joins no ISR until it is", zap.Int32("broker", f.req.ReplicaID),
				zap.Error(err))
		}
		return
	}
	session.mu.Lock()
	session.mu.follower.epoch = epoch
	session.mu.Unlock()
	f.answerSoon = known.epoch == replica.EpochPending
}
