package storage

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/record"
)

// A segment whose offsets reach further than the 31 bits of an index entry cannot have indexes. Brokers from
// before KAFKA-6264 made such segments when they compacted; the records in them are good. They are split at the
// next load that has to look into them, in the steps of a compaction (log-format.md 14.8 and 16): a crash on the
// way is undone or carried on by tidy. Java: LocalLog.splitOverflowedSegment.

// overflow is the error for a segment that must be split before it can be used.
type overflow struct {
	segment *segment
	offset  int64
}

func (o *overflow) Error() string {
	return fmt.Sprintf("offset %d is out of reach of the indexes of segment %d", o.offset, o.segment.base)
}

// piece is what one new segment takes over: its base, and where in the old file it begins.
type piece struct {
	base     int64
	position int64
}

// planSplit finds the pieces, with next the base of the segment behind, or an offset that none can have. Offsets
// lie outside a batch's checksum, so a batch far away may be a damaged one: then those behind it do not rise.
func planSplit(f file, base, size, next int64) ([]piece, error) {
	pieces := []piece{{base, 0}}
	end := base
	r := batchReader{f: f, end: size, check: true}
	for {
		b, position, err := r.next()
		if err != nil && !isLogDamage(err) {
			return nil, err
		}
		if err != nil || b == nil {
			return pieces, nil // what follows goes with the last piece, whose recovery judges it
		}
		last := b.LastOffset()
		if last < end || last >= next {
			return nil, kerr.New(kerr.CorruptMessage, "offset %d at position %d lies between %d and %d", last, position, end, next)
		}
		if _, ok := relativeOffset(last, pieces[len(pieces)-1].base); !ok {
			pieces = append(pieces, piece{pieceBase(b, end), position})
		}
		end = b.NextOffset()
	}
}

// pieceBase is the base for a segment that begins with b. Of an old compressed set only the last offset is in the
// header; its first may be as small as the end of what precedes it.
func pieceBase(b record.Batch, end int64) int64 {
	if b.Magic() >= 2 {
		return b.BaseOffset()
	}
	return max(end, b.LastOffset()-maxRelative)
}

// split writes the pieces beside the segment and commits to them. The caller loads the log again: tidy then
// puts them in the segment's place, and their indexes are built as those that are missing.
func (s *segment) split(pieces []piece) error {
	f, err := s.handle()
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	for i, p := range pieces {
		end := info.Size()
		if i+1 < len(pieces) {
			end = pieces[i+1].position
		}
		if err := s.writePiece(f, p, end); err != nil {
			return err
		}
	}
	for i := len(pieces) - 1; i >= 0; i-- { // descending: a crash leaves the smallest .cleaned, which undoes all
		path := segmentPath(s.dir, pieces[i].base, logSuffix)
		if err := s.disk.Rename(path+cleanedSuffix, path+swapSuffix); err != nil {
			return err
		}
	}
	return s.disk.SyncDir(s.dir)
}

func (s *segment) writePiece(f file, p piece, end int64) (err error) {
	out, err := s.disk.OpenFile(segmentPath(s.dir, p.base, logSuffix)+cleanedSuffix, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	b := make([]byte, readAhead)
	for at := p.position; at < end; {
		n, err := f.ReadAt(b[:min(int64(len(b)), end-at)], at)
		if err != nil && err != io.EOF {
			return err
		}
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
		if _, err := out.WriteAt(b[:n], at-p.position); err != nil {
			return err
		}
		at += int64(n)
	}
	return out.Sync()
}

// splitLocked splits the segment an overflow is about. A damaged one is left as it is, and CORRUPT_MESSAGE says so.
func (l *Log) splitLocked(o *overflow) error {
	s, next := o.segment, int64(1<<62) // no partition has so many records, but a damaged offset may say so
	for _, other := range l.mu.segments {
		if other.base > s.base {
			next = min(next, other.base)
		}
	}
	f, err := s.handle()
	if err != nil {
		return err
	}
	pieces, err := planSplit(f, s.base, s.size.Load(), next)
	if err == nil && len(pieces) < 2 {
		err = kerr.New(kerr.CorruptMessage, "%v, and there is nowhere to split it", o)
	}
	if err != nil {
		return err
	}
	l.warn("Splitting overflowed segment %d into %d: %v", s.base, len(pieces), o)
	return s.split(pieces)
}
