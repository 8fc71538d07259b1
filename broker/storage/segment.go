package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zurau/zurau/broker/record"
)

const (
	logSuffix     = ".log"
	deletedSuffix = ".deleted"
	cleanedSuffix = ".cleaned"
	swapSuffix    = ".swap"
)

// segmentPath names a file of a segment: its base offset in 20 digits.
func segmentPath(dir string, base int64, suffix string) string {
	var b [20]byte
	digits := strconv.AppendInt(b[:0], base, 10)
	return filepath.Join(dir, strings.Repeat("0", max(0, 20-len(digits)))+string(digits)+suffix)
}

// parseBase reads the offset at the beginning of a file name back.
func parseBase(name string) (int64, bool) {
	digits, _, ok := strings.Cut(name, ".")
	if !ok || digits == "" {
		return 0, false
	}
	base, err := strconv.ParseInt(digits, 10, 64)
	return base, err == nil && base >= 0
}

// segment is a run of a log in files of its own: batches, the two indexes, and the aborted transactions.
//
// Log.mu owns everything that appends or truncates. A reader that has acquired the segment may use the files,
// size and the indexes without it. The files are opened by whoever first needs them and closed when the last
// reader has let go.
type segment struct {
	disk    fileSystem
	dir     string
	base    int64
	offsets offsetIndex
	times   timeIndex
	txns    txnIndex

	refs    atomic.Int32 // one of the log, one of each read under way; at 0 the files are closed
	removed atomic.Bool  // no longer part of the log: what is not open stays closed
	size    atomic.Int64 // bytes of whole batches in the .log

	// Owned by Log.mu.
	created          time.Time // in this process: what segment.ms is counted from without timestamps
	jitterMS         int64     // taken off segment.ms for this segment
	firstTimestamp   int64     // max timestamp of the first batch; unknownTimestamp until read
	bytesSinceIndex  int64
	preallocatedSize int64 // length of the .log when it is longer than its batches, else 0
	unsynced         bool  // written to since the last sync
	farIsDamage      bool  // an offset out of reach is a damaged one, not a reason to split

	mu struct {
		sync.Mutex
		file         file
		maxTimestamp int64 // the largest so far; unknownTimestamp until read
		maxOffset    int64 // last offset of the earliest batch that has it
	}
}

const unknownTimestamp = math.MinInt64

// newSegment describes a segment whose files exist or will be created; nothing is opened.
func newSegment(disk fileSystem, dir string, base int64, indexBytes int32) *segment {
	s := &segment{disk: disk, dir: dir, base: base, firstTimestamp: unknownTimestamp, created: time.Now()}
	s.offsets = newOffsetIndex(disk, dir, base, indexBytes)
	s.times = newTimeIndex(disk, dir, base, indexBytes)
	s.txns = txnIndex{disk: disk, dir: dir, base: base}
	s.mu.maxTimestamp = unknownTimestamp
	s.refs.Store(1)
	return s
}

// createSegment makes the files of an empty segment. Leftovers of the same name are replaced.
func createSegment(disk fileSystem, dir string, base int64, indexBytes int32, preallocate int64) (*segment, error) {
	s := newSegment(disk, dir, base, indexBytes)
	f, err := disk.OpenFile(s.path(logSuffix), os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return nil, err
	}
	s.mu.file = f
	s.mu.maxTimestamp, s.mu.maxOffset = record.NoTimestamp, base
	if preallocate > 0 {
		err = f.Truncate(preallocate)
		s.preallocatedSize = preallocate
	}
	s.unsynced = true
	err = errors.Join(err, s.offsets.create(), s.times.create(), s.txns.reset())
	if err != nil {
		return nil, errors.Join(err, s.closeFiles())
	}
	return s, nil
}

func (s *segment) path(suffix string) string { return segmentPath(s.dir, s.base, suffix) }

// handle returns the .log file, opening it if need be.
func (s *segment) handle() (file, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.file != nil {
		return s.mu.file, nil
	}
	if s.removed.Load() {
		return nil, fs.ErrNotExist // under this name there may be another segment now
	}
	f, err := s.disk.OpenFile(s.path(logSuffix), os.O_RDWR)
	if err != nil {
		return nil, err
	}
	s.mu.file = f
	return f, nil
}

// acquire keeps the files open until Release. It fails when the last user has gone already.
func (s *segment) acquire() bool {
	for {
		n := s.refs.Load()
		if n == 0 {
			return false
		}
		if s.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release ends the use of an acquired segment. It makes *segment a wire.Releaser.
func (s *segment) Release() {
	if n := s.refs.Add(-1); n == 0 {
		s.closeFiles()
	} else if n < 0 {
		panic("BUG: segment released more often than acquired")
	}
}

// closeFiles closes what is open; the next user opens it again.
func (s *segment) closeFiles() error {
	s.mu.Lock()
	var err error
	if s.mu.file != nil {
		err = s.mu.file.Close()
		s.mu.file = nil
	}
	s.mu.Unlock()
	return errors.Join(err, s.offsets.close(), s.times.close())
}

// makeWritable prepares a segment that was read so far for appends: its indexes become resident.
func (s *segment) makeWritable() error {
	if err := s.offsets.load(); err != nil {
		return err
	}
	if err := s.times.load(); err != nil {
		return err
	}
	_, _, err := s.maxTimestamp()
	return err
}

// append writes whole batches behind the others, in one system call. The batches' last offset and the largest
// timestamp among them, with the last offset of the earliest batch that has it, come from the caller, who has
// looked at each. After an error nothing of it counts as written.
func (s *segment) append(b []byte, a appended, indexInterval int64) error {
	if _, ok := relativeOffset(a.lastOffset, s.base); !ok {
		return fmt.Errorf("BUG: offset %d does not fit the segment with base %d", a.lastOffset, s.base)
	}
	f, err := s.handle()
	if err != nil {
		return err
	}
	position := s.size.Load()
	if n, err := f.WriteAt(b, position); err != nil {
		if n > 0 && s.preallocatedSize == 0 {
			// Readers never look behind size; this is for whoever opens the file next.
			err = errors.Join(err, f.Truncate(position))
		}
		return err
	}
	s.unsynced = true
	if position == 0 {
		s.firstTimestamp = a.maxTimestamp
	}
	s.mu.Lock()
	if a.maxTimestamp > s.mu.maxTimestamp {
		s.mu.maxTimestamp, s.mu.maxOffset = a.maxTimestamp, a.maxTimestampOffset
	}
	maxTimestamp, maxOffset := s.mu.maxTimestamp, s.mu.maxOffset
	s.mu.Unlock()
	if s.bytesSinceIndex > indexInterval {
		if err := s.offsets.append(a.lastOffset, position); err != nil {
			return err
		}
		if _, err := s.times.maybeAppend(maxTimestamp, maxOffset); err != nil {
			return err
		}
		s.bytesSinceIndex = 0
	}
	s.bytesSinceIndex += int64(len(b))
	s.size.Store(position + int64(len(b)))
	return nil
}

// appended is what the log knows about bytes it appends.
type appended struct {
	firstOffset        int64
	lastOffset         int64
	maxTimestamp       int64 // ms; -1 when no batch has one
	maxTimestampOffset int64 // last offset of the earliest batch with maxTimestamp
}

// locate finds the batch that contains offset, or the first one behind it. ok is false when the segment ends
// before.
func (s *segment) locate(offset, end int64) (p place, ok bool, err error) {
	f, err := s.handle()
	if err != nil {
		return place{}, false, err
	}
	from, err := s.offsets.lookup(offset)
	if err != nil && !errors.Is(err, errCorruptIndex) {
		return place{}, false, err
	}
	if from >= end {
		from = 0 // an entry behind the end: do not believe this index
	}
	p, ok, err = findOffset(f, from, end, offset)
	if from > 0 && (err != nil || !ok) {
		// The log or its index is damaged. Without the index it takes longer and comes out right.
		return findOffset(f, 0, end, offset)
	}
	return p, ok, err
}

// positionOf returns where the batch that contains offset starts, or the end when there is none.
func (s *segment) positionOf(offset, end int64) (int64, error) {
	if offset <= s.base {
		return 0, nil
	}
	p, ok, err := s.locate(offset, end)
	if err != nil {
		return 0, err
	}
	if !ok {
		return end, nil
	}
	return p.position, nil
}

// maxTimestamp returns the largest timestamp of the segment and the last offset of the earliest batch that has it;
// -1 when no batch has any.
func (s *segment) maxTimestamp() (timestamp, offset int64, err error) {
	s.mu.Lock()
	timestamp, offset = s.mu.maxTimestamp, s.mu.maxOffset
	s.mu.Unlock()
	if timestamp != unknownTimestamp {
		return timestamp, offset, nil
	}
	timestamp, offset, err = s.readMaxTimestamp()
	if err != nil {
		return record.NoTimestamp, s.base, err
	}
	s.mu.Lock()
	s.mu.maxTimestamp, s.mu.maxOffset = timestamp, offset
	s.mu.Unlock()
	return timestamp, offset, nil
}

// readMaxTimestamp starts from the last time index entry and looks at the headers behind it.
func (s *segment) readMaxTimestamp() (timestamp, offset int64, err error) {
	timestamp, offset = record.NoTimestamp, s.base
	e, ok, err := s.times.last()
	if err != nil && !errors.Is(err, errCorruptIndex) && !errors.Is(err, os.ErrNotExist) {
		return 0, 0, err
	}
	from := int64(0)
	if ok && e.relative >= 0 {
		timestamp, offset = e.timestamp, s.base+int64(e.relative)
		if from, err = s.offsets.lookup(offset); err != nil {
			from = 0
		}
	}
	f, err := s.handle()
	if err != nil {
		return 0, 0, err
	}
	scan := scanHeaders(f, from, s.size.Load())
	defer scan.done()
	for {
		h, _, err := scan.next()
		if err != nil || h == nil {
			return timestamp, offset, nil // a damaged tail has no say in it
		}
		if ts := h.MaxTimestamp(); ts > timestamp {
			timestamp, offset = ts, h.LastOffset()
		}
	}
}

// largestTimestamp is what retention and timestamp searches go by: the records', else the file's time of change.
func (s *segment) largestTimestamp() (int64, error) {
	ts, _, err := s.maxTimestamp()
	if err != nil || ts >= 0 {
		return ts, err
	}
	return s.modified()
}

// modified is when the .log was last written to, in ms.
func (s *segment) modified() (int64, error) {
	f, err := s.handle()
	if err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.ModTime().UnixMilli(), nil
}

// firstBatchTimestamp is the max timestamp of the segment's first batch, -1 without one.
func (s *segment) firstBatchTimestamp() int64 {
	if s.firstTimestamp != unknownTimestamp {
		return s.firstTimestamp
	}
	size := s.size.Load()
	f, err := s.handle()
	if err != nil || size == 0 {
		return record.NoTimestamp
	}
	scan := scanHeaders(f, 0, size)
	defer scan.done()
	if h, _, err := scan.next(); h != nil && err == nil {
		s.firstTimestamp = h.MaxTimestamp()
		return s.firstTimestamp
	}
	return record.NoTimestamp
}

// segmentEnd is how far a segment goes.
type segmentEnd struct {
	next     int64 // one behind the last offset
	position int64 // behind the last batch
	epoch    int32 // of the last batch, -1 when it has none
}

// end finds how far the batches go, starting from the last index entry. An error is about the batch that follows.
func (s *segment) end() (segmentEnd, error) {
	if e, ok, err := s.offsets.last(); err == nil && ok && e.position > 0 && int64(e.position) < s.size.Load() {
		if last, err := s.endFrom(int64(e.position)); err == nil && last.next > s.base {
			return last, nil
		}
	}
	return s.endFrom(0)
}

func (s *segment) endFrom(from int64) (segmentEnd, error) {
	last := segmentEnd{next: s.base, position: from, epoch: undefinedEpoch}
	f, err := s.handle()
	if err != nil {
		return last, err
	}
	scan := scanHeaders(f, from, s.size.Load())
	defer scan.done()
	for {
		h, _, err := scan.next()
		if err != nil || h == nil {
			return last, err
		}
		last = segmentEnd{h.NextOffset(), scan.position, h.LeaderEpoch()}
	}
}

// truncate cuts the segment before the batch that contains offset; indexes must be resident.
func (s *segment) truncate(offset int64) error {
	position, err := s.positionOf(offset, s.size.Load())
	if err != nil {
		return err
	}
	return s.cutAt(position, offset)
}

// cutAt makes the .log end at position, where offset would be next, and the indexes with it.
func (s *segment) cutAt(position, offset int64) error {
	f, err := s.handle()
	if err != nil {
		return err
	}
	s.size.Store(position)
	s.preallocatedSize = 0
	if err := f.Truncate(position); err != nil {
		return err
	}
	s.unsynced = true
	s.offsets.truncate(offset)
	s.times.truncate(offset)
	s.bytesSinceIndex = 0
	if position == 0 {
		s.firstTimestamp = unknownTimestamp
		s.created = time.Now()
	}
	if err := s.txns.truncate(offset); err != nil {
		return err
	}
	s.mu.Lock()
	s.mu.maxTimestamp = unknownTimestamp
	s.mu.Unlock()
	_, _, err = s.maxTimestamp()
	return err
}

// seal ends the writing: the time index gets its closing entry, the files lose whatever is longer than their
// content.
func (s *segment) seal() error {
	if err := s.finish(); err != nil {
		return err
	}
	return errors.Join(s.offsets.seal(), s.times.seal())
}

// finish brings the files into the state in which a clean stop leaves them; more may be appended afterwards.
func (s *segment) finish() error {
	ts, offset, err := s.maxTimestamp()
	if err != nil {
		return err
	}
	s.times.mu.RLock()
	resident := s.times.mu.resident
	s.times.mu.RUnlock()
	if resident && ts >= 0 {
		if _, err := s.times.maybeAppend(ts, offset); err != nil {
			return err
		}
	}
	if s.preallocatedSize > 0 {
		f, err := s.handle()
		if err != nil {
			return err
		}
		if err := f.Truncate(s.size.Load()); err != nil {
			return err
		}
		s.preallocatedSize = 0
	}
	return errors.Join(s.offsets.save(), s.times.save())
}

// sync makes the segment durable as save left it. No lock of the log is held.
func (s *segment) sync() error {
	f, err := s.handle()
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return errors.Join(s.offsets.sync(), s.times.sync(), s.txns.sync())
}

// retire makes sure that nothing is opened under the segment's names any more. What is open stays so.
func (s *segment) retire() {
	s.mu.Lock()
	s.removed.Store(true)
	s.mu.Unlock()
	s.offsets.retire()
	s.times.retire()
	s.txns.retire()
}

// renameFiles appends a suffix to the names of all files of the segment, log first: without its .log the
// rest is rubbish that the next start removes.
func (s *segment) renameFiles(suffix string) (renamed []string, err error) {
	s.retire()
	for _, kind := range []string{logSuffix, offsetKind.suffix, timeKind.suffix, txnIndexSuffix} {
		path := s.path(kind)
		if err := s.disk.Rename(path, path+suffix); err != nil {
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			return renamed, err
		}
		renamed = append(renamed, path+suffix)
	}
	return renamed, nil
}
