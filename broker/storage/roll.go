package storage

import (
	"math"
	"time"

	"github.com/zurau/zurau/broker/config"
)

// shouldRollLocked says whether n more bytes go into a new segment (Java: LogSegment.shouldRoll).
func (l *Log) shouldRollLocked(a appended, n int, conf *config.Topic) bool {
	s := l.activeLocked()
	if _, ok := relativeOffset(a.lastOffset, s.base); !ok {
		return true
	}
	size := s.size.Load()
	if size > int64(conf.SegmentBytes)-int64(n) {
		return size > 0 // a first batch larger than a segment has one to itself
	}
	if s.offsets.full(0) || s.times.full(1) {
		return true
	}
	if size == 0 {
		return false
	}
	limit := conf.SegmentMS
	if conf.CleanupCompact {
		limit = min(limit, conf.MaxCompactionLagMS)
	}
	waited := time.Since(s.created).Milliseconds()
	if first := s.firstBatchTimestamp(); first >= 0 {
		waited = a.maxTimestamp - first
	}
	return waited > limit-s.jitterMS
}

// rollLocked closes the active segment and starts the next one at base. The old one is made durable in the
// background.
func (l *Log) rollLocked(base int64, conf *config.Topic) error {
	old := l.activeLocked()
	if base < old.base || base == old.base && old.size.Load() > 0 {
		return l.breakLaw("roll of a segment at %d behind one at %d", base, old.base)
	}
	if base == old.base {
		return nil // it is empty and begins where the next one would
	}
	if err := l.makeWritableLocked(); err != nil {
		return err
	}
	l.mu.writable = false // until the next one is there
	if err := old.seal(); err != nil {
		return err
	}
	l.mu.producers.end = base
	if err := l.mu.producers.takeSnapshot(); err != nil {
		return err
	}
	s, err := createSegment(l.home.disk, l.dir, base, conf.SegmentIndexBytes, preallocation(conf))
	if err != nil {
		return err
	}
	s.jitterMS = jitter(conf)
	l.mu.segments = append(l.mu.segments, s)
	l.mu.dirChanged, l.mu.writable = true, true
	l.publishSegmentsLocked()
	l.info("Rolled new log segment at offset %d", base)
	l.home.flushSoon(l)
	return nil
}

func preallocation(conf *config.Topic) int64 {
	if conf.Preallocate {
		return int64(conf.SegmentBytes)
	}
	return 0
}

// jitter spreads the rolls of segments that were created together.
func jitter(conf *config.Topic) int64 {
	most := min(conf.SegmentJitterMS, conf.SegmentMS)
	if most <= 0 || most == math.MaxInt64 {
		return 0
	}
	return randomBelow(most)
}
