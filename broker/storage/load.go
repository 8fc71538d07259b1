package storage

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
)

// loadOptions are what the log directory knows about a partition before its log is opened.
type loadOptions struct {
	recoveryPoint int64 // from the checkpoint, 0 when it is not there
	logStart      int64
	highWatermark int64
	clean         bool // the last stop was a clean one: contents and indexes are as they should be
	cleaned       bool // a cleaner has been here: gaps between offsets are to be expected

	sameBoot bool // the machine has not been restarted since the last process wrote here

	tailWasLost bool // an earlier process found that the log may have lost its tail, and it has not got it back

	notSplit []int64 // bases of segments whose far offsets are damage, found on the way
}

// loadLog opens the log in dir, after its overflowed segments were split.
func loadLog(home *logDir, dir string, tp topic.Partition, conf *config.Topic, o loadOptions) (*Log, error) {
	for {
		l, err := loadOnce(home, dir, tp, conf, o)
		if err == nil || l == nil {
			return l, err
		}
		var tooFar *overflow
		if errors.As(err, &tooFar) { // each time it is about one segment less
			l.mu.Lock()
			err = l.splitLocked(tooFar)
			l.mu.Unlock()
			o.cleaned = true // who made such a segment was a cleaner
			if isLogDamage(err) {
				l.warn("Segment %d is damaged: %v", tooFar.segment.base, err)
				o.notSplit, err = append(o.notSplit, tooFar.segment.base), nil
			}
		}
		if l.abandon(err) != nil {
			return nil, err
		}
	}
}

// loadOnce opens the log in dir. After a clean stop no batch but the last is looked at; otherwise everything
// from the recovery point on is read, checked, and cut where it stops being good. The log is returned with an error
// about its segments too, and is to be abandoned then.
func loadOnce(home *logDir, dir string, tp topic.Partition, conf *config.Topic, o loadOptions) (*Log, error) {
	l := &Log{home: home, partition: tp, dir: dir}
	l.config.Store(conf)
	l.mu.Lock()
	defer l.mu.Unlock()

	files, err := tidy(home, dir)
	if err != nil {
		return nil, err
	}
	id, err := readPartitionMetadata(home.disk, dir)
	if err != nil {
		return nil, err
	}
	l.topicID.Store(&id)
	l.mu.topicIDSaved = true
	if l.mu.epochs, err = loadEpochCache(home.disk, dir); err != nil {
		if isDiskError(err) {
			return nil, err
		}
		l.warn("The leader epochs could not be read and are built again: %v", err)
	}
	noEpochs := len(l.mu.epochs.entries) == 0
	if err := l.openSegmentsLocked(files, conf, o); err != nil {
		return nil, err
	}
	l.mu.producers = newProducerState(home.disk, dir, tp, files.snapshots)
	if err := l.mu.producers.removeStraySnapshots(l.basesLocked()); err != nil {
		return l, err
	}
	if err := l.repairLocked(files, conf); err != nil {
		return l, err
	}
	var end int64
	if o.clean {
		end, err = l.readEndLocked(conf)
	} else {
		end, err = l.recoverLocked(o, conf)
	}
	if err == nil && noEpochs {
		err = l.rebuildEpochsLocked()
	}
	if err != nil {
		return l, err
	}
	l.noteLostTail(o, end)
	return l, l.beginLocked(end, o)
}

// beginLocked sets the log up to start where its files end.
func (l *Log) beginLocked(end int64, o loadOptions) error {
	if end < o.logStart {
		l.warn("Deleting all segments because logEndOffset (%d) is smaller than logStartOffset %d. "+
			"This could happen if segment files were deleted from the file system.", end, o.logStart)
		return l.restartLocked(o.logStart, o.logStart)
	}
	start := max(o.logStart, l.mu.segments[0].base)
	l.mu.view = View{LogStartOffset: start, HighWatermark: min(max(o.highWatermark, start), end), LogEndOffset: end}
	l.mu.recoveryPoint = end
	if !o.clean {
		l.mu.recoveryPoint = min(o.recoveryPoint, end)
	}
	changed := l.mu.epochs.truncateEnd(end)
	changed = l.mu.epochs.truncateStart(start) || changed
	l.mu.epochsChanged = l.mu.epochsChanged || changed
	l.mu.lastFlush = time.Now()
	if err := l.loadProducersLocked(o.clean); err != nil {
		return err
	}
	l.publishSegmentsLocked()
	for _, s := range l.mu.segments {
		if err := s.rest(); err != nil {
			return err
		}
	}
	l.mu.writable = false
	return l.usable()
}

// rest writes what recovery left in memory and closes the files until somebody needs them.
func (s *segment) rest() error {
	return errors.Join(s.offsets.seal(), s.times.seal(), s.closeFiles())
}

// openSegmentsLocked describes the segments that are there; nothing is opened yet.
func (l *Log) openSegmentsLocked(files partitionFiles, conf *config.Topic, o loadOptions) error {
	disk := l.home.disk
	if len(files.bases) == 0 {
		s, err := createSegment(disk, l.dir, o.logStart, conf.SegmentIndexBytes, preallocation(conf))
		if err != nil {
			return err
		}
		s.jitterMS = jitter(conf)
		l.mu.segments, l.mu.dirChanged = []*segment{s}, true
		return nil
	}
	for _, base := range files.bases {
		s := newSegment(disk, l.dir, base, conf.SegmentIndexBytes)
		s.size.Store(files.sizes[base])
		s.farIsDamage = slices.Contains(o.notSplit, base)
		s.jitterMS = jitter(conf)
		l.mu.segments = append(l.mu.segments, s)
	}
	return nil
}

func (l *Log) basesLocked() []int64 {
	bases := make([]int64, len(l.mu.segments))
	for i, s := range l.mu.segments {
		bases[i] = s.base
	}
	return bases
}

// readEndLocked finds the log end from the last batch of the last segment. A tail that is no batch is cut off:
// nobody may append behind it.
func (l *Log) readEndLocked(conf *config.Topic) (int64, error) {
	s := l.activeLocked()
	last, err := s.end()
	if err == nil && last.position == s.size.Load() {
		return last.next, nil
	}
	if err != nil && !isLogDamage(err) {
		return 0, err
	}
	found, err := s.recover(conf, nil, nil)
	if err != nil {
		return 0, err
	}
	l.sayCut(s, found)
	return found.end, nil
}

// randomBelow draws a number in [0, n).
func randomBelow(n int64) int64 { return rand.Int64N(n) }

// isIndexDamage tells an index that can be built again from a disk that fails.
func isIndexDamage(err error) bool {
	return errors.Is(err, errCorruptIndex) || errors.Is(err, fs.ErrNotExist)
}

// isLogDamage tells batches that cannot be from a disk that fails.
func isLogDamage(err error) bool { return errors.Is(err, kerr.CorruptMessage) }
