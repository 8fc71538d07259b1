package storage

import (
	"slices"

	"github.com/zurau/zurau/broker/config"
)

// segmentFacts is what retention goes by, for one segment.
type segmentFacts struct {
	end              int64 // exclusive: the base of the next segment, or the log end
	size             int64 // bytes
	largestTimestamp int64 // ms
}

// retentionFacts is what retention goes by, for the log as a whole.
type retentionFacts struct {
	logStart      int64
	highWatermark int64
	nowMS         int64
	retentionMS   int64 // -1 unlimited
	bytes         int64 // retention.bytes, -1 unlimited
	deletes       bool  // cleanup.policy contains delete
}

// deletable decides how many segments from the front go, and why. Each rule takes a prefix; none goes past the high
// watermark. An empty last segment stays. Java: UnifiedLog.deleteOldSegments.
func deletable(segments []segmentFacts, f retentionFacts) (n int, why string) {
	committed := 0
	for committed < len(segments) && segments[committed].end <= f.highWatermark {
		committed++
	}
	if last := len(segments) - 1; committed > last && segments[last].size == 0 {
		committed = last
	}
	for n < min(committed, len(segments)-1) && segments[n].end <= f.logStart {
		n, why = n+1, "log start offset breach"
	}
	if !f.deletes {
		return n, why
	}
	total := int64(0)
	for _, s := range segments[n:] {
		total += s.size
	}
	if f.bytes >= 0 {
		for excess := total - f.bytes; n < committed && excess-segments[n].size >= 0; n++ {
			excess -= segments[n].size
			why = "retention size breach"
		}
	}
	if f.retentionMS >= 0 {
		for n < committed && f.nowMS-segments[n].largestTimestamp > f.retentionMS {
			n, why = n+1, "retention time breach"
		}
	}
	return n, why
}

// DeleteOldSegments applies retention and returns how many segments went.
func (l *Log) DeleteOldSegments(nowMS int64) (int, error) {
	conf := l.Config()
	p := l.state.load()
	facts, err := l.retentionFacts(&p, conf)
	if err != nil {
		return 0, err
	}
	n, why := deletable(facts, retentionFacts{
		logStart: p.LogStartOffset, highWatermark: p.HighWatermark, nowMS: nowMS,
		retentionMS: conf.RetentionMS, bytes: conf.RetentionBytes, deletes: conf.CleanupDelete,
	})
	if n == 0 {
		return 0, nil
	}
	return l.deleteOldest(p.segments[:n], p.LogEndOffset, why, conf)
}

// retentionFacts looks at the segments without the log's lock: the largest timestamp of a sealed one is read
// from its index.
func (l *Log) retentionFacts(p *picture, conf *config.Topic) ([]segmentFacts, error) {
	facts := make([]segmentFacts, len(p.segments))
	for i, s := range p.segments {
		facts[i] = segmentFacts{end: p.LogEndOffset, size: p.sizeOf(i)}
		if i+1 < len(p.segments) {
			facts[i].end = p.segments[i+1].base
		}
		empty := i == len(p.segments)-1 && facts[i].size == 0 // such a one stays anyway: let it be closed
		if !conf.CleanupDelete || conf.RetentionMS < 0 || empty || !s.acquire() {
			continue
		}
		ts, err := s.largestTimestamp()
		s.Release()
		if err != nil {
			if s.removed.Load() {
				continue
			}
			return nil, l.passingError("find the age of segments of", err)
		}
		facts[i].largestTimestamp = ts
	}
	return facts, nil
}

// deleteOldest takes the given segments off the front, provided that they are the front still and, where all
// are to go, that the log end is where it was when they were judged: what was appended since is young.
func (l *Log) deleteOldest(old []*segment, judgedEnd int64, why string, conf *config.Topic) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(); err != nil {
		return 0, err
	}
	if len(l.mu.segments) < len(old) || !slices.Equal(l.mu.segments[:len(old)], old) {
		return 0, nil
	}
	if len(old) == len(l.mu.segments) {
		if v := l.mu.view; v.LogEndOffset != judgedEnd || v.HighWatermark < v.LogEndOffset {
			return 0, nil
		}
		if err := l.rollLocked(l.mu.view.LogEndOffset, conf); err != nil {
			return 0, l.passingError("roll a new segment of", err)
		}
	}
	if err := l.renameAwayLocked(old); err != nil {
		return 0, l.diskError("delete segments of", err)
	}
	l.mu.segments = slices.Clone(l.mu.segments[len(old):])
	l.raiseStartLocked(l.mu.segments[0].base, "segment deletion")
	l.publishSegmentsLocked()
	releaseAll(old)
	l.info("Deleted %d segments up to offset %d due to %s", len(old), l.mu.segments[0].base, why)
	err := l.mu.producers.removeSnapshots(func(o int64) bool {
		return slices.ContainsFunc(old, func(s *segment) bool { return s.base == o })
	})
	if err != nil {
		return 0, l.diskError("delete segments of", err)
	}
	return len(old), nil
}
