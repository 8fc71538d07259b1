package storage

import (
	"errors"
	"io/fs"
	"math"
	"sort"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/wire"
)

// Read is what a fetch gets: bytes of one segment, from the batch that contains the offset on. They may begin
// with records before it and end in the middle of a batch; clients skip both.
type Read struct {
	Region         wire.Region // N == 0: nothing to read there now. Else somebody must call Region.Release.Release, once
	FirstBatchSize int         // bytes of the first batch; larger than Region.N when it did not fit
	View           View        // of the log when it was read

	segment *segment
	picture []*segment
	index   int // of segment in picture
}

// Read plans a read of up to maxBytes from offset on, of nothing at or behind upTo (exclusive; the high
// watermark for consumers, the last stable offset for read_committed ones, the log end for followers). With
// minOneBatch the first batch is there whole even when it is larger than maxBytes. At the limit the Read is
// empty.
//
// OFFSET_OUT_OF_RANGE for an offset before the log's start or behind its end.
func (l *Log) Read(offset int64, maxBytes int, upTo int64, minOneBatch bool) (Read, error) {
	for {
		if err := l.usable(); err != nil {
			return Read{}, err
		}
		r, again, err := l.read(offset, maxBytes, upTo, minOneBatch)
		if err != nil && !errors.Is(err, kerr.OffsetOutOfRange) {
			return Read{}, l.passingError("read from", err)
		}
		if !again {
			return r, err
		}
	}
}

// read looks at one picture; again asks for another one, because a segment of this one has just been deleted.
func (l *Log) read(offset int64, maxBytes int, upTo int64, minOneBatch bool) (r Read, again bool, err error) {
	p := l.state.load()
	if offset < p.LogStartOffset || offset > p.LogEndOffset {
		return r, false, kerr.New(kerr.OffsetOutOfRange,
			"Received request for offset %d for partition %s, but we only have log segments in the range %d to %d.",
			offset, l.partition, p.LogStartOffset, p.LogEndOffset)
	}
	r.View = p.View
	upTo = min(upTo, p.LogEndOffset)
	if offset >= upTo || maxBytes <= 0 && !minOneBatch {
		return r, false, nil
	}
	for i := p.floor(offset); i < len(p.segments) && p.segments[i].base < upTo; i++ {
		s := p.segments[i]
		if !s.acquire() {
			return r, true, nil
		}
		found, err := r.plan(s, p.sizeOf(i), offset, maxBytes, p.limitIn(i, upTo), minOneBatch)
		if found {
			r.picture, r.index = p.segments, i
			return r, false, nil
		}
		s.Release()
		if err != nil {
			gone := s.removed.Load() && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrClosed))
			if gone {
				err = nil
			}
			return r, gone, err
		}
	}
	return r, false, nil
}

// plan fills r from one acquired segment; upTo is math.MaxInt64 when all of it may be read.
func (r *Read) plan(s *segment, size, offset int64, maxBytes int, upTo int64, minOneBatch bool) (bool, error) {
	first, ok, err := s.locate(offset, size)
	if err != nil || !ok {
		return false, err
	}
	end := size
	if upTo != math.MaxInt64 {
		if end, err = s.positionOf(upTo, size); err != nil {
			return false, err
		}
	}
	n := min(int64(maxBytes), end-first.position)
	if minOneBatch && n < int64(first.size) {
		n = min(int64(first.size), end-first.position)
	}
	if n <= 0 {
		return false, nil
	}
	f, err := s.handle()
	if err != nil {
		return false, err
	}
	r.Region = wire.Region{File: f.OS(), Offset: first.position, N: int(n), Release: s}
	r.FirstBatchSize, r.segment = first.size, s
	return true, nil
}

// floor returns the index of the segment that may contain offset.
func (p *picture) floor(offset int64) int {
	i := sort.Search(len(p.segments), func(i int) bool { return p.segments[i].base > offset })
	return max(0, i-1)
}

// sizeOf is the size of a segment in this picture: the active one has grown since, perhaps.
func (p *picture) sizeOf(i int) int64 {
	if i == len(p.segments)-1 {
		return p.size
	}
	return p.segments[i].size.Load()
}

// limitIn is the offset at which reading ends inside a segment, or math.MaxInt64 when it does not.
func (p *picture) limitIn(i int, upTo int64) int64 {
	end := p.LogEndOffset
	if i < len(p.segments)-1 {
		end = p.segments[i+1].base
	}
	if upTo >= end {
		return math.MaxInt64
	}
	return upTo
}

// AbortedTxns lists the aborted transactions that overlap what r read from fetchOffset on; a read_committed
// consumer skips their records. Call it before the region is released.
func (l *Log) AbortedTxns(fetchOffset int64, r Read) ([]AbortedTxn, error) {
	if r.segment == nil {
		return nil, nil
	}
	upper, ok, err := r.segment.offsets.offsetFrom(r.Region.Offset + int64(r.Region.N))
	if err != nil && !isIndexDamage(err) {
		return nil, l.passingError("read the index of", err)
	}
	if !ok || err != nil {
		upper = r.View.LogEndOffset
		if r.index+1 < len(r.picture) {
			upper = r.picture[r.index+1].base
		}
	}
	var found []AbortedTxn
	for _, s := range r.picture[r.index:] {
		var complete bool
		if err = l.proveTxns(s); err == nil {
			found, complete, err = s.txns.collect(found, fetchOffset, upper)
		}
		if s.removed.Load() && errors.Is(err, fs.ErrNotExist) {
			return nil, kerr.New(kerr.OffsetOutOfRange, "The segments of partition %s at offset %d have just been deleted",
				l.partition, fetchOffset)
		}
		if err != nil {
			return nil, l.passingError("read the transaction index of", err)
		}
		if complete {
			break
		}
	}
	return found, nil
}
