package storage

import (
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/record"
)

// recoverLocked reads every segment from the one with the recovery point on: checksums, indexes, epochs and the
// producer state come out of it, and where a batch is not whole and sound the log ends. It returns the log end.
//
// It ends before a hole as well, where that can only be a tail that a power failure took; see lostTail.
func (l *Log) recoverLocked(o loadOptions, conf *config.Topic) (end int64, err error) {
	first := 0
	for first+1 < len(l.mu.segments) && l.mu.segments[first+1].base <= o.recoveryPoint {
		first++
	}
	base := l.mu.segments[first].base
	p := l.mu.producers
	if err := p.load(l.mu.segments[0].base, base, time.Now().UnixMilli(), l.home.producerExpirationMS); err != nil {
		return 0, err
	}
	if err := l.replayLocked(p, p.end, base); err != nil {
		return 0, err
	}
	p.end = base
	for i := first; i < len(l.mu.segments); i++ {
		s := l.mu.segments[i]
		l.info("Recovering unflushed segment %d. %d/%d recovered for %s.", s.base, i-first, len(l.mu.segments)-first, l.partition)
		p.end = max(p.end, s.base)
		if err := p.removeSnapshots(func(o int64) bool { return o > s.base }); err != nil {
			return 0, err
		}
		if i > first {
			if err := p.takeSnapshot(); err != nil {
				return 0, err
			}
		}
		found, err := s.recover(conf, p, l.mu.epochs)
		if err != nil {
			return 0, err
		}
		l.mu.epochsChanged = l.mu.epochsChanged || found.epochs
		end = found.end
		lost := false
		if found.cut > 0 {
			l.sayCut(s, found)
		} else if i+1 < len(l.mu.segments) && l.mu.segments[i+1].base > end {
			if lost, err = l.lostTailLocked(o, conf, s.base, end, l.mu.segments[i+1].base); err != nil {
				return 0, err
			}
		}
		if found.cut > 0 || lost {
			return end, l.dropAfterLocked(i)
		}
	}
	return end, nil
}

// lostTailLocked decides about a gap between the end of a segment and the base of the next one. A power failure may
// keep the next segment, whose name the file system wrote down early, and lose the tail of this one: the log then
// ends here, and what is behind comes again from the leader. But gaps can be as they should be, behind a cleaner's
// work, replicated from a leader whose cleaner worked, or where offsets jumped out of reach of an index. The data
// goes only if nothing speaks for that; a process that was merely killed has lost no tail.
func (l *Log) lostTailLocked(o loadOptions, conf *config.Topic, base, end, next int64) (bool, error) {
	because := ""
	switch {
	case o.sameBoot:
		because = "the machine has not been restarted since they were written"
	case o.cleaned || conf.CleanupCompact:
		because = "the log is compacted"
	case next-base > maxRelative:
		because = "the next segment is out of reach of this one's index"
	default:
		gaps, err := l.hasGapsLocked()
		if err != nil {
			return false, err
		}
		if gaps {
			because = "there are gaps inside segments too"
		}
	}
	if because == "" {
		l.warn("Offsets %d to %d are missing between segments %d and %d: a power failure took the end of the first, and "+
			"the log ends there", end, next-1, base, next)
		return true, nil
	}
	l.warn("Offsets %d to %d are missing between segments %d and %d; what follows is kept, since %s", end, next-1, base,
		next, because)
	return false, nil
}

// hasGapsLocked tells whether offsets are missing between batches of any one segment.
func (l *Log) hasGapsLocked() (bool, error) {
	for _, s := range l.mu.segments {
		f, err := s.handle()
		if err != nil {
			return false, err
		}
		if hasGaps(f, s.base, s.size.Load()) {
			return true, nil
		}
	}
	return false, nil
}

func hasGaps(f file, next, size int64) bool {
	scan := scanHeaders(f, 0, size)
	defer scan.done()
	for first := true; ; first = false {
		h, _, err := scan.next()
		if err != nil || h == nil {
			return false
		}
		if h.Magic() < 2 && h.Codec() != record.None {
			next = h.NextOffset() // its first offset is not in the header
			continue
		}
		if !first && h.BaseOffset() > next {
			return true
		}
		next = h.NextOffset()
	}
}

// sayCut tells the operator, in the words Kafka has for it, what a crash has cost.
func (l *Log) sayCut(s *segment, f recovered) {
	l.home.logger.Warn(l.line("Corruption found in segment %d, truncating to offset %d", []any{s.base, f.end}),
		zap.Int64("bytes", f.cut), zap.Int64("position", s.size.Load()), zap.NamedError("because", f.why))
}

// dropAfterLocked deletes the segments behind index i: what follows a cut is not a continuation.
func (l *Log) dropAfterLocked(i int) error {
	gone := slices.Clone(l.mu.segments[i+1:])
	if len(gone) == 0 {
		return nil
	}
	l.warn("Deleting %d unflushed segments from offset %d on", len(gone), l.mu.segments[i+1].base)
	for _, s := range newestFirst(gone) {
		l.mu.segments = l.mu.segments[:len(l.mu.segments)-1] // even if the rest cannot be deleted
		renamed, err := s.renameFiles(deletedSuffix)
		s.Release()
		if err != nil {
			return err
		}
		for _, path := range renamed {
			if err := removeIfExists(l.home.disk, path); err != nil {
				return err
			}
		}
	}
	l.mu.dirChanged = true
	return nil
}

// recovered is what reading through a segment gave.
type recovered struct {
	end    int64 // next offset
	cut    int64 // bytes that were cut off
	why    error // the first unsound batch, nil when it was merely not whole
	epochs bool  // the epoch cache has changed
}

// recover reads the segment through. Its indexes are made anew; the producer state and the epochs take the
// batches in, where given. The file ends behind the last sound batch afterwards. Java: LogSegment.recover.
func (s *segment) recover(conf *config.Topic, p *producerState, epochs *epochCache) (recovered, error) {
	w := recovery{s: s, producers: p, epochs: epochs, indexInterval: int64(conf.IndexIntervalBytes)}
	w.found.end, w.maxTimestamp, w.maxOffset = s.base, record.NoTimestamp, s.base
	f, size, err := w.begin()
	if err != nil {
		return w.found, err
	}
	r := batchReader{f: f, end: size, check: true}
	sound := int64(0) // the file is good up to there
	for {
		b, position, err := r.next()
		if err == nil && b != nil {
			err = s.fits(b, w.found.end, position > 0)
		}
		if err != nil && !isLogDamage(err) {
			return w.found, err
		}
		if err != nil || b == nil {
			w.found.why = err
			break
		}
		if err := w.take(b, position); err != nil {
			return w.found, err
		}
		sound = r.position
	}
	w.found.cut = size - sound
	return w.found, s.endAt(sound, w.found.cut, w.maxTimestamp, w.maxOffset)
}

// recovery is a segment being read through.
type recovery struct {
	s             *segment
	producers     *producerState // nil: they do not take part
	epochs        *epochCache    // nil: they do not take part
	indexInterval int64          // bytes between two index entries
	sinceIndex    int64          // bytes since the last one

	maxTimestamp int64 // ms, the largest so far
	maxOffset    int64 // last offset of the earliest batch that has it
	found        recovered
}

// begin empties what is made anew, and tells how long the file is.
func (w *recovery) begin() (f file, size int64, err error) {
	if f, err = w.s.handle(); err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	if err := errors.Join(w.s.offsets.create(), w.s.times.create()); err != nil {
		return nil, 0, err
	}
	if w.producers != nil {
		err = w.s.txns.reset()
	}
	return f, info.Size(), err
}

// take brings a sound batch at position into indexes, epochs and producer state.
func (w *recovery) take(b record.Batch, position int64) error {
	if ts := b.MaxTimestamp(); ts > w.maxTimestamp {
		w.maxTimestamp, w.maxOffset = ts, b.LastOffset()
	}
	if position == 0 {
		w.s.firstTimestamp = b.MaxTimestamp()
	}
	if w.sinceIndex > w.indexInterval {
		if err := w.s.offsets.append(b.LastOffset(), position); err != nil {
			return err
		}
		if _, err := w.s.times.maybeAppend(w.maxTimestamp, w.maxOffset); err != nil {
			return err
		}
		w.sinceIndex = 0
	}
	w.sinceIndex += int64(b.SizeBytes())
	if w.epochs != nil && b.Magic() >= 2 && b.LeaderEpoch() > w.epochs.latest() {
		w.found.epochs = w.epochs.assign(b.LeaderEpoch(), b.BaseOffset()) || w.found.epochs
	}
	if w.producers != nil {
		if err := applyBatch(w.producers, w.s, b); err != nil {
			return err
		}
	}
	w.found.end = b.NextOffset()
	return nil
}

// fits tells whether a sound batch can be the next one of this segment.
func (s *segment) fits(b record.Batch, next int64, notFirst bool) error {
	if b.LastOffset()-s.base > maxRelative && !s.farIsDamage {
		return &overflow{s, b.LastOffset()}
	}
	if _, ok := relativeOffset(b.LastOffset(), s.base); !ok {
		return kerr.New(kerr.CorruptMessage, "offset %d does not belong behind base %d", b.LastOffset(), s.base)
	}
	if notFirst && b.LastOffset() < next {
		return kerr.New(kerr.CorruptMessage, "offset %d follows %d", b.LastOffset(), next-1)
	}
	return nil
}

// endAt makes the segment end at position end, cut bytes before the end of its file, and closes the indexes.
func (s *segment) endAt(end, cut, maxTimestamp, maxOffset int64) error {
	s.size.Store(end)
	s.mu.Lock()
	s.mu.maxTimestamp, s.mu.maxOffset = maxTimestamp, maxOffset
	f := s.mu.file
	s.mu.Unlock()
	s.unsynced = true
	if cut > 0 {
		if err := f.Truncate(end); err != nil {
			return err
		}
	}
	if maxTimestamp >= 0 {
		if _, err := s.times.maybeAppend(maxTimestamp, maxOffset); err != nil {
			return err
		}
	}
	return errors.Join(s.offsets.save(), s.times.save())
}
