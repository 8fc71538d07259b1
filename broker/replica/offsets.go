package replica

import (
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/storage"
)

// Special timestamps of ListOffsets.
const (
	Latest        int64 = -1
	Earliest      int64 = -2
	MaxTimestamp  int64 = -3 // since version 7 (KIP-734)
	EarliestLocal int64 = -4 // since version 8 (KIP-405); without tiers the same as Earliest
	LatestTiered  int64 = -5 // since version 9; without tiers there is none
)

// FoundOffset is the answer to one ListOffsets question; Offset is -1 when no record qualifies.
type FoundOffset struct {
	Offset, Timestamp int64
	LeaderEpoch       int32
}

var nothingFound = FoundOffset{-1, -1, -1}

// OffsetFor finds the offset for a timestamp in ms, or for one of the special ones. Beyond the reader's visible end
// (see Reader) nothing is found. OFFSET_NOT_AVAILABLE while a new leader's high watermark has not reached
// the start of its epoch (KIP-207), so that "latest" never goes back.
func (p *Partition) OffsetFor(timestamp int64, rd Reader, leaderEpoch int32) (FoundOffset, error) {
	r := p.role.Load()
	if err := r.checkEpoch(leaderEpoch); err != nil {
		return nothingFound, err
	}
	if !r.leads && rd.ReplicaID != DebuggingConsumer {
		return nothingFound, kerr.NotLeaderOrFollower
	}
	if err := p.log.Err(); err != nil {
		return nothingFound, err
	}
	v := p.log.View()
	upTo := p.visibleEnd(rd, v)
	switch timestamp {
	case Earliest, EarliestLocal:
		return FoundOffset{v.LogStartOffset, -1, p.log.EpochAt(v.LogStartOffset)}, nil
	case LatestTiered:
		return nothingFound, nil
	}
	if rd.ReplicaID == Consumer && r.leads && v.HighWatermark < r.epochStart {
		return nothingFound, kerr.OffsetNotAvailable
	}
	if timestamp == Latest {
		return FoundOffset{upTo, -1, p.log.LatestEpoch()}, nil
	}
	if timestamp == MaxTimestamp {
		return found(p.log.OffsetOfMaxTimestamp(upTo))
	}
	return found(p.log.OffsetForTimestamp(timestamp, upTo))
}

func found(at storage.Stamp, err error) (FoundOffset, error) {
	if err != nil || at.Offset < 0 {
		return nothingFound, err
	}
	return FoundOffset{at.Offset, at.Timestamp, at.LeaderEpoch}, nil
}

// SegmentOffsets answers ListOffsets version 0: up to limit offsets at which a segment older than timestamp begins,
// newest first.
func (p *Partition) SegmentOffsets(timestamp int64, limit int, rd Reader) ([]int64, error) {
	if !p.role.Load().leads && rd.ReplicaID != DebuggingConsumer {
		return nil, kerr.NotLeaderOrFollower
	}
	offsets, err := p.log.SegmentOffsetsBefore(timestamp, limit)
	if err != nil {
		return nil, err
	}
	end := p.visibleEnd(rd, p.log.View())
	hidden := 0
	for hidden < len(offsets) && offsets[hidden] > end {
		hidden++
	}
	if hidden > 0 { // the visible end stands for what lies above it
		hidden--
		offsets[hidden] = end
	}
	return offsets[hidden:], nil
}

// visibleEnd is the offset a reader must not pass (exclusive).
func (p *Partition) visibleEnd(rd Reader, v storage.View) int64 {
	switch {
	case rd.ReplicaID >= 0 || rd.ReplicaID == DebuggingConsumer:
		return v.LogEndOffset
	case rd.Committed:
		return v.LastStableOffset
	}
	return v.HighWatermark
}
