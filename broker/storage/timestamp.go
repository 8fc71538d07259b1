package storage

import (
	"errors"
	"io/fs"
	"math"
	"time"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/record"
)

// Stamp is a record found by its time.
type Stamp struct {
	Offset      int64 // -1: there is no such record
	Timestamp   int64 // ms, -1 without one
	LeaderEpoch int32 // -1 when it is not known
}

// NoStamp is the answer when there is no such record.
var NoStamp = Stamp{noOffset, record.NoTimestamp, undefinedEpoch}

// OffsetForTimestamp finds the first record before upTo whose timestamp is ts or later.
func (l *Log) OffsetForTimestamp(ts, upTo int64) (Stamp, error) {
	return l.search(func(p *picture) (Stamp, error) {
		for i := range p.segments {
			stamp, ok, err := l.searchSegment(p, i, ts)
			if err != nil || ok {
				return stamp, err
			}
		}
		return NoStamp, nil
	}, upTo)
}

// OffsetOfMaxTimestamp finds the record with the largest timestamp before upTo; of several the first.
func (l *Log) OffsetOfMaxTimestamp(upTo int64) (Stamp, error) {
	return l.search(func(p *picture) (Stamp, error) {
		newest := record.NoTimestamp
		index := -1
		for i, s := range p.segments {
			ts, err := borrow(s, func() (int64, error) {
				ts, _, err := s.maxTimestamp()
				return ts, err
			})
			if err != nil {
				return NoStamp, err
			}
			if ts > newest {
				newest, index = ts, i
			}
		}
		if index < 0 {
			return NoStamp, nil
		}
		stamp, _, err := l.searchSegment(p, index, newest)
		return stamp, err
	}, upTo)
}

// errMoved asks for another picture: a segment has just been deleted.
var errMoved = errors.New("segment removed")

// search runs find on a picture, anew when a segment goes away under it.
func (l *Log) search(find func(*picture) (Stamp, error), upTo int64) (Stamp, error) {
	for {
		if err := l.usable(); err != nil {
			return NoStamp, err
		}
		p := l.state.load()
		stamp, err := find(&p)
		switch {
		case errors.Is(err, errMoved):
			continue
		case isLogDamage(err) || errors.Is(err, kerr.InvalidRecord):
			return NoStamp, err
		case err != nil:
			return NoStamp, l.passingError("search by time in", err)
		case stamp.Offset < 0 || stamp.Offset >= upTo:
			return NoStamp, nil
		}
		stamp.LeaderEpoch = l.EpochAt(stamp.Offset)
		return stamp, nil
	}
}

// borrow runs read while a segment's files stay open.
func borrow[T any](s *segment, read func() (T, error)) (v T, err error) {
	if !s.acquire() {
		return v, errMoved
	}
	defer s.Release()
	v, err = read()
	if err != nil && s.removed.Load() && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrClosed)) {
		err = errMoved
	}
	return v, err
}

// searchSegment looks for a record of ts or later in one segment.
func (l *Log) searchSegment(p *picture, i int, ts int64) (Stamp, bool, error) {
	s, size := p.segments[i], p.sizeOf(i)
	if size == 0 {
		return NoStamp, false, nil
	}
	type found struct {
		stamp Stamp
		ok    bool
	}
	f, err := borrow(s, func() (found, error) {
		largest, err := s.largestTimestamp()
		if err != nil || largest < ts {
			return found{NoStamp, false}, err
		}
		stamp, ok, err := s.findTimestamp(ts, p.LogStartOffset, size, limitsOf(l.Config()))
		return found{stamp, ok}, err
	})
	return f.stamp, f.ok, err
}

// findTimestamp finds the first record with a timestamp of ts or later and an offset of start or later.
func (s *segment) findTimestamp(ts, start, size int64, limits record.Limits) (Stamp, bool, error) {
	offset, err := s.times.lookup(ts)
	if err != nil && !isIndexDamage(err) {
		return NoStamp, false, err
	}
	if err != nil || offset < s.base {
		offset = s.base
	}
	position, err := s.offsets.lookup(max(offset, start))
	if err != nil && !isIndexDamage(err) {
		return NoStamp, false, err
	}
	if err != nil || position >= size {
		position = 0
	}
	stamp, ok, err := s.scanTimestamp(ts, start, position, size, limits)
	if err != nil && position > 0 {
		return s.scanTimestamp(ts, start, 0, size, limits)
	}
	return stamp, ok, err
}

// scanTimestamp looks at the headers from a position on, and into the batches that may have the record.
func (s *segment) scanTimestamp(ts, start, position, size int64, limits record.Limits) (Stamp, bool, error) {
	f, err := s.handle()
	if err != nil {
		return NoStamp, false, err
	}
	scan := scanHeaders(f, position, size)
	defer scan.done()
	for {
		h, at, err := scan.next()
		if err != nil || h == nil {
			return NoStamp, false, err
		}
		if h.MaxTimestamp() < ts || h.LastOffset() < start {
			continue
		}
		r := batchReader{f: f, position: at, end: size, buffered: math.MaxInt32}
		b, _, err := r.next()
		if err != nil {
			return NoStamp, false, err
		}
		stamp, ok, err := findRecord(b, ts, start, limits)
		if err != nil || ok {
			return stamp, ok, err
		}
	}
}

// findRecord looks into a batch for the first record with a timestamp of ts or later and an offset of start or
// later.
func findRecord(b record.Batch, ts, start int64, limits record.Limits) (Stamp, bool, error) {
	it := b.Records(limits)
	defer it.Close()
	for it.Next() {
		if r := it.Record(); r.Timestamp >= ts && r.Offset >= start {
			return Stamp{r.Offset, r.Timestamp, undefinedEpoch}, true, nil
		}
	}
	return NoStamp, false, it.Err()
}

// Times that ListOffsets gives a meaning of their own.
const (
	LatestTime   int64 = -1
	EarliestTime int64 = -2
)

// SegmentOffsetsBefore answers ListOffsets of version 0, which knew only segments: their bases, newest first,
// from the last segment that was begun at or before ts by its file's time; LatestTime puts the log end in
// front. At most n of them.
func (l *Log) SegmentOffsetsBefore(ts int64, n int) ([]int64, error) {
	for {
		if err := l.usable(); err != nil {
			return nil, err
		}
		p := l.state.load()
		offsets, err := p.offsetsBefore(ts)
		if errors.Is(err, errMoved) {
			continue
		}
		if err != nil {
			return nil, l.passingError("search by time in", err)
		}
		return offsets[:min(max(n, 0), len(offsets))], nil
	}
}

func (p *picture) offsetsBefore(ts int64) (offsets []int64, err error) {
	from := len(p.segments) - 1
	if p.size > 0 && (ts == LatestTime || ts >= time.Now().UnixMilli()) {
		offsets = append(offsets, p.LogEndOffset)
	}
	switch ts {
	case LatestTime:
	case EarliestTime:
		from = 0
	default:
		for ; from >= 0; from-- {
			s := p.segments[from]
			modified, err := borrow(s, s.modified)
			if err != nil {
				return nil, err
			}
			if modified <= ts {
				break
			}
		}
	}
	for ; from >= 0; from-- {
		offsets = append(offsets, max(p.segments[from].base, p.LogStartOffset))
	}
	return offsets, nil
}
