package replica

import (
	"slices"
	"time"

	"github.com/zurau/zurau/broker/storage"
)

// The rules of the in-sync replicas (Kafka: Partition.scala), as functions of what a leader knows. Who is in the ISR
// decides what a crash may cost, so a member goes only when it has been behind for long, and comes only when it has
// everything that was ever acknowledged.

// standing is what the leader knows of one follower at one moment.
type standing struct {
	id           int32
	logEndOffset int64         // unknownOffset when it has not fetched in this epoch
	lag          time.Duration // since it was last caught up
	alive        bool          // the last UpdateMetadata names its broker, and the controller has not just refused it
	brokerEpoch  int64         // of the life in which it got as far as logEndOffset
	logStart     int64         // unknownOffset when it does not tell
}

// outOfSync are the members of the ISR that neither stand at the leader's log end nor did so within lagMax.
func outOfSync(isr []int32, followers []standing, leaderEnd int64, lagMax time.Duration) (gone []int32) {
	for _, f := range followers {
		if slices.Contains(isr, f.id) && f.logEndOffset != leaderEnd && f.lag > lagMax {
			gone = append(gone, f.id)
		}
	}
	return gone
}

// caughtUpWith are the followers outside the ISR that may join: they have all below the high watermark, and at least
// what there was when the leader's epoch began, so that no record of an earlier epoch is missing; and they have deleted
// what v's log has, or as leader they would bring it back. Whose registration is still being looked up waits for that.
func caughtUpWith(isr []int32, followers []standing, v storage.View, epochStart int64) (joined []int32) {
	for _, f := range followers {
		if !slices.Contains(isr, f.id) && f.alive && f.brokerEpoch != EpochPending &&
			f.logEndOffset >= max(v.HighWatermark, epochStart) && !behindStart(f.logStart, v) {
			joined = append(joined, f.id)
		}
	}
	return joined
}

// behindStart tells whether a follower's log begins before the leader's.
func behindStart(logStart int64, v storage.View) bool {
	return logStart != unknownOffset && logStart < v.LogStartOffset
}

// without is the ISR after some of its members went.
func without(isr, gone []int32) []int32 {
	return slices.DeleteFunc(slices.Clone(isr), func(id int32) bool { return slices.Contains(gone, id) })
}
