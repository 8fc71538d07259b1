package storage

import (
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/kerr"
)

// TruncateTo cuts the log so that offset is the next one to be written. The batch that contains offset goes as
// a whole. Truncating below the high watermark takes it back too, which only an unclean election makes right;
// it is logged.
func (l *Log) TruncateTo(offset int64) error {
	if offset < 0 {
		return fmt.Errorf("cannot truncate partition %s to a negative offset (%d)", l.partition, offset)
	}
	return l.cut(func() error { return l.truncateLocked(offset) })
}

// cut runs a truncation under the lock, and writes the recovery points afterwards: what is appended next must
// not count as durable because of what was there before.
func (l *Log) cut(truncate func() error) error {
	l.mu.Lock()
	err := l.usable()
	before := l.mu.truncations
	if err == nil {
		err = truncate()
	}
	moved := l.mu.truncations != before
	l.mu.Unlock()
	if err != nil || !moved {
		return err
	}
	if err := l.home.writeRecoveryPoints(); err != nil {
		return l.diskError("write down the truncation of", err)
	}
	return l.usable()
}

func (l *Log) truncateLocked(offset int64) error {
	v := &l.mu.view
	if offset >= v.LogEndOffset {
		if l.mu.epochs.truncateEnd(v.LogEndOffset) {
			l.mu.epochsChanged = true
			l.publishLocked()
		}
		return nil
	}
	l.info("Truncating to offset %d", offset)
	if offset < v.HighWatermark {
		l.home.logger.Warn("Truncation below the high watermark", zap.Stringer("partition", l.partition),
			zap.Int64("offset", offset), zap.Int64("hw", v.HighWatermark), zap.Int64("leo", v.LogEndOffset))
	}
	if offset < l.mu.segments[0].base {
		return l.restartLocked(offset, offset)
	}
	gone, err := l.cutSegmentsLocked(offset)
	if err != nil {
		return l.diskError("truncate", err)
	}
	defer releaseAll(gone)
	return l.endAtLocked(offset)
}

// cutSegmentsLocked drops the segments behind offset, which it returns, and the tail of the one that holds it.
func (l *Log) cutSegmentsLocked(offset int64) (gone []*segment, err error) {
	keep := 1
	for keep < len(l.mu.segments) && l.mu.segments[keep].base <= offset {
		keep++
	}
	gone = newestFirst(l.mu.segments[keep:])
	if err := l.renameAwayLocked(gone); err != nil {
		return nil, err
	}
	if len(gone) > 0 {
		l.mu.segments, l.mu.writable = slices.Clone(l.mu.segments[:keep]), false
	}
	if err := l.makeWritableLocked(); err != nil {
		return gone, err
	}
	return gone, l.activeLocked().truncate(offset)
}

// endAtLocked makes offset the log end after the files were cut.
func (l *Log) endAtLocked(offset int64) error {
	v := &l.mu.view
	l.mu.truncations++
	l.mu.recoveryPoint = min(l.mu.recoveryPoint, offset)
	v.LogEndOffset = offset
	v.HighWatermark = min(v.HighWatermark, offset)
	v.LogStartOffset = min(v.LogStartOffset, offset)
	if l.mu.epochs.truncateEnd(offset) {
		l.mu.epochsChanged = true
	}
	if err := l.rebuildProducersLocked(); err != nil {
		return l.diskError("rebuild the producer state of", err)
	}
	l.publishSegmentsLocked()
	return l.usable()
}

// TruncateFullyAndStartAt empties the log; offset is its start and end afterwards. A follower does so when the
// leader has nothing of what it has.
func (l *Log) TruncateFullyAndStartAt(offset int64) error {
	if offset < 0 {
		return fmt.Errorf("cannot start partition %s at the negative offset %d", l.partition, offset)
	}
	return l.cut(func() error { return l.restartLocked(offset, offset) })
}

// restartLocked drops everything; the next offset is end, and start is where the log begins to be visible
// (start may lie inside the first batch that comes).
func (l *Log) restartLocked(end, start int64) error {
	l.info("Truncate and start at offset %d, logStartOffset: %d", end, start)
	conf := l.Config()
	old := newestFirst(l.mu.segments)
	if err := l.renameAwayLocked(old); err != nil {
		return l.diskError("truncate", err)
	}
	s, err := createSegment(l.home.disk, l.dir, end, conf.SegmentIndexBytes, preallocation(conf))
	if err != nil {
		return l.diskError("truncate", err)
	}
	s.jitterMS = jitter(conf)
	l.mu.segments, l.mu.writable = []*segment{s}, true
	defer releaseAll(old)
	l.mu.truncations++
	l.mu.recoveryPoint = min(l.mu.recoveryPoint, end)
	if l.mu.epochs.clear() {
		l.mu.epochsChanged = true
	}
	if err := l.mu.producers.removeSnapshots(func(int64) bool { return true }); err != nil {
		return l.diskError("truncate", err)
	}
	l.mu.producers.clear(end)
	l.mu.view = View{LogStartOffset: min(start, end), HighWatermark: min(start, end), LogEndOffset: end}
	l.publishSegmentsLocked()
	return l.usable()
}

// newestFirst is the order in which the end of a log is dropped: what a crash leaves is then a log without a hole.
func newestFirst(segments []*segment) []*segment {
	segments = slices.Clone(segments)
	slices.Reverse(segments)
	return segments
}

// renameAwayLocked renames the files of segments one after the other; they are deleted when readers had their
// time. The caller then takes the segments off the list, shows readers the new one, and lets go of them with
// releaseAll.
func (l *Log) renameAwayLocked(segments []*segment) error {
	for _, s := range segments {
		l.mu.dirChanged = true
		renamed, err := s.renameFiles(deletedSuffix)
		l.home.discard(renamed, l.Config().FileDeleteDelayMS)
		if err != nil {
			return err
		}
	}
	return nil
}

// releaseAll gives up the log's own hold on segments that left it.
func releaseAll(segments []*segment) {
	for _, s := range segments {
		s.Release()
	}
}

// DeleteRecordsTo raises the log start to offset: what is before it can no longer be read, and goes when whole
// segments of it may. OFFSET_OUT_OF_RANGE beyond the high watermark. The log start never goes back.
func (l *Log) DeleteRecordsTo(offset int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	if offset > l.mu.view.HighWatermark {
		return kerr.New(kerr.OffsetOutOfRange, "Cannot increment the log start offset to %d of partition %s since it is "+
			"larger than the high watermark %d", offset, l.partition, l.mu.view.HighWatermark)
	}
	l.raiseStartLocked(offset, "client delete records request")
	return nil
}

// FollowLogStart raises the log start to the leader's, as far as this replica goes.
func (l *Log) FollowLogStart(offset int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	offset = min(offset, l.mu.view.LogEndOffset)
	l.mu.view.HighWatermark = max(l.mu.view.HighWatermark, offset)
	l.raiseStartLocked(offset, "leader offset increment")
	return nil
}

func (l *Log) raiseStartLocked(offset int64, why string) (raised bool) {
	if offset <= l.mu.view.LogStartOffset {
		return false
	}
	l.mu.view.LogStartOffset = offset
	if l.mu.epochs.truncateStart(offset) {
		l.mu.epochsChanged = true
	}
	l.mu.producers.passLogStart(offset)
	l.publishLocked()
	l.info("Incremented log start offset to %d due to %s", offset, why)
	return true
}
