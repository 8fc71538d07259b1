package storage

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
}

// loadLog opens the log in dir. After a clean stop no batch but the last is looked at; otherwise everything
// from the recovery point on is read, checked, and cut where it stops being good.
func loadLog(home *logDir, dir string, tp topic.Partition, conf *config.Topic, o loadOptions) (*Log, error) {
	l := &Log{home: home, partition: tp, dir: dir}
	l.config.Store(conf)
	l.mu.Lock()
	defer l.mu.Unlock()

	files, err := tidy(home, dir)
	if err != nil {
		return nil, err
	}
	if l.mu.topicID, err = readPartitionMetadata(home.disk, dir); err != nil {
		return nil, err
	}
	l.mu.topicIDSaved = true
	if l.mu.epochs, err = loadEpochCache(home.disk, dir); err != nil {
		// A storm of followers asking for epochs gets no wrong answer from an empty cache, only none.
		l.warn("The leader epochs could not be read and are built again: %v", err)
		l.mu.epochs.clear()
		o.clean, o.recoveryPoint = false, 0
	}
	if err := l.openSegmentsLocked(files, conf, o); err != nil {
		return nil, err
	}
	l.mu.producers = newProducerState(home.disk, dir, tp, files.snapshots)
	if err := l.mu.producers.removeStraySnapshots(l.basesLocked()); err != nil {
		return nil, err
	}
	if err := l.repairLocked(files, conf); err != nil {
		return nil, err
	}
	var end int64
	if o.clean {
		end, err = l.readEndLocked(conf)
	} else {
		end, err = l.recoverLocked(o, conf)
	}
	if err != nil {
		return nil, err
	}
	return l, l.beginLocked(end, conf, o)
}

// beginLocked sets the log up to start where its files end.
func (l *Log) beginLocked(end int64, conf *config.Topic, o loadOptions) error {
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

// partitionFiles is what a partition's directory holds once leftovers are gone.
type partitionFiles struct {
	bases     []int64         // of the .log files, ascending
	snapshots []int64         // ascending
	sizes     map[int64]int64 // of each .log by its base
	indexed   map[int64]bool  // there is an .index
	damaged   map[int64]bool  // there is an index whose size cannot be
	txns      map[int64]bool  // there is a .txnindex
}

// tidy finishes or undoes what a crash interrupted (deletions, compactions) and lists the rest.
func tidy(home *logDir, dir string) (partitionFiles, error) {
	entries, err := home.disk.ReadDir(dir)
	if err != nil {
		return partitionFiles{}, err
	}
	if plan := planTidy(entries); plan.any() {
		if err := plan.run(home.disk, dir); err != nil {
			return partitionFiles{}, err
		}
		if entries, err = home.disk.ReadDir(dir); err != nil {
			return partitionFiles{}, err
		}
	}
	files := partitionFiles{sizes: make(map[int64]int64, 1), indexed: make(map[int64]bool, 1),
		damaged: make(map[int64]bool), txns: make(map[int64]bool)}
	for _, e := range entries {
		base, ok := parseBase(e.Name())
		if !ok || e.IsDir() {
			continue
		}
		switch filepath.Ext(e.Name()) {
		case logSuffix:
			info, err := e.Info()
			if err != nil {
				return partitionFiles{}, err
			}
			files.bases = append(files.bases, base)
			files.sizes[base] = info.Size()
		case offsetKind.suffix:
			files.indexed[base] = true
			if info, err := e.Info(); err == nil && info.Size()%int64(offsetKind.size) != 0 {
				files.damaged[base] = true
			}
		case timeKind.suffix:
			if info, err := e.Info(); err == nil && info.Size()%int64(timeKind.size) != 0 {
				files.damaged[base] = true
			}
		case txnIndexSuffix:
			files.txns[base] = true
		case snapshotSuffix:
			files.snapshots = append(files.snapshots, base)
		}
	}
	slices.Sort(files.bases)
	slices.Sort(files.snapshots)
	for _, e := range entries {
		base, ok := parseBase(e.Name())
		_, hasLog := files.sizes[base]
		ext := filepath.Ext(e.Name())
		if ok && !hasLog && (ext == offsetKind.suffix || ext == timeKind.suffix || ext == txnIndexSuffix) {
			path := filepath.Join(dir, e.Name())
			home.warn("Found an orphaned index file %s, with no corresponding log file.", path)
			if err := removeIfExists(home.disk, path); err != nil {
				return partitionFiles{}, err
			}
		}
	}
	return files, nil
}

// tidyPlan is what to do with the leftovers of a crash.
type tidyPlan struct {
	remove []string
	rename []string // names to lose their .swap
}

func (p *tidyPlan) any() bool { return len(p.remove)+len(p.rename) > 0 }

// planTidy decides from the names alone, except for the reach of a committed swap, which is that of the files
// next to it.
//
// A deletion that began is finished. A compaction that has not got rid of its .cleaned files is undone; one
// that has, and left .swap files, is carried on: they take the place of the files from the first swap's base up
// to the base behind the last one's. Java: LogLoader.removeTempFilesAndCollectSwapFiles.
func planTidy(entries []fs.DirEntry) tidyPlan {
	var p tidyPlan
	minCleaned := int64(-1)
	var swaps []string
	for _, e := range entries {
		name := e.Name()
		base, ok := parseBase(name)
		switch {
		case strings.HasSuffix(name, deletedSuffix):
			p.remove = append(p.remove, name)
		case !ok:
		case strings.HasSuffix(name, cleanedSuffix):
			p.remove = append(p.remove, name)
			if minCleaned < 0 || base < minCleaned {
				minCleaned = base
			}
		case strings.HasSuffix(name, swapSuffix):
			swaps = append(swaps, name)
		}
	}
	for _, name := range swaps {
		if base, _ := parseBase(name); minCleaned >= 0 && base >= minCleaned {
			p.remove = append(p.remove, name) // the split it belongs to did not finish
			continue
		}
		p.rename = append(p.rename, name)
	}
	return p
}

func (p *tidyPlan) run(disk fileSystem, dir string) error {
	for _, name := range p.remove {
		if err := removeIfExists(disk, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	if len(p.rename) == 0 {
		return disk.SyncDir(dir)
	}
	from, to, err := p.swapReach(disk, dir)
	if err != nil {
		return err
	}
	entries, err := disk.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		base, ok := parseBase(e.Name())
		if ok && base >= from && base < to && !strings.HasSuffix(e.Name(), swapSuffix) {
			if err := removeIfExists(disk, filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	for _, name := range p.rename {
		path := filepath.Join(dir, name)
		if err := disk.Rename(path, strings.TrimSuffix(path, swapSuffix)); err != nil {
			return err
		}
	}
	return disk.SyncDir(dir)
}

// swapReach is the range of offsets that the committed .log.swap files cover.
func (p *tidyPlan) swapReach(disk fileSystem, dir string) (from, to int64, err error) {
	from = -1
	for _, name := range p.rename {
		base, _ := parseBase(name)
		if !strings.HasSuffix(name, logSuffix+swapSuffix) {
			continue
		}
		f, err := disk.OpenFile(filepath.Join(dir, name), os.O_RDONLY)
		if err != nil {
			return 0, 0, err
		}
		info, err := f.Stat()
		if err != nil {
			return 0, 0, errors.Join(err, f.Close())
		}
		next := base
		scan := scanHeaders(f, 0, info.Size())
		for {
			h, _, err := scan.next()
			if err != nil || h == nil {
				break
			}
			next = h.NextOffset()
		}
		scan.done()
		if err := f.Close(); err != nil {
			return 0, 0, err
		}
		if from < 0 || base < from {
			from = base
		}
		to = max(to, next)
	}
	return from, to, nil
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
		s.jitterMS = jitter(conf)
		l.mu.segments = append(l.mu.segments, s)
	}
	return nil
}

// repairLocked builds the indexes again that are missing or visibly damaged.
func (l *Log) repairLocked(files partitionFiles, conf *config.Topic) error {
	if len(files.bases) == 0 {
		return nil
	}
	for _, s := range l.mu.segments {
		what := ""
		switch {
		case !files.indexed[s.base]:
			what = "Could not find offset index file corresponding to log file"
		case files.damaged[s.base]:
			what = "Found a corrupted index file corresponding to log file"
		case files.txns[s.base]:
			if err := s.txns.check(); isIndexDamage(err) {
				what = "Found a corrupted index file corresponding to log file"
			} else if err != nil {
				return err
			}
		}
		if what == "" {
			continue
		}
		l.warn("%s %s, recovering segment and rebuilding index files...", what, s.path(logSuffix))
		p, err := l.producersAtLocked(s.base)
		if err != nil {
			return err
		}
		found, err := s.recover(conf, p, nil)
		if err != nil {
			return err
		}
		if found.cut > 0 {
			l.sayCut(s, found)
		}
	}
	return nil
}

// producersAtLocked builds the producer state as of offset apart from the log's own, to find the transactions that
// the markers behind it end.
func (l *Log) producersAtLocked(offset int64) (*producerState, error) {
	p := newProducerState(l.home.disk, l.dir, l.partition, slices.Clone(l.mu.producers.snapshots))
	p.clear(l.mu.segments[0].base)
	if err := p.readNewest(offset, time.Now().UnixMilli(), l.home.producerExpirationMS); err != nil {
		return nil, err
	}
	return p, l.replayLocked(p, p.end, offset)
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
	next, position, err := s.end()
	if err == nil && position == s.size.Load() {
		return next, nil
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

// loadProducersLocked brings the producer state to the log end: the newest snapshot, then the batches behind it.
//
// A directory without any snapshot that was stopped cleanly is one from before producer states: it has none to
// rebuild.
func (l *Log) loadProducersLocked(clean bool) error {
	p, v := l.mu.producers, l.mu.view
	if !clean && p.end == v.LogEndOffset {
		p.passLogStart(v.LogStartOffset) // recovery has built the state on its way
		return nil
	}
	if len(p.snapshots) == 0 && clean {
		p.clear(v.LogEndOffset)
		return nil
	}
	return l.rebuildProducersLocked()
}

// rebuildProducersLocked reads the state from the newest snapshot and the batches behind it.
func (l *Log) rebuildProducersLocked() error {
	p, v := l.mu.producers, l.mu.view
	if err := p.load(v.LogStartOffset, v.LogEndOffset, time.Now().UnixMilli(), l.home.producerExpirationMS); err != nil {
		return err
	}
	if err := l.replayLocked(p, p.end, v.LogEndOffset); err != nil {
		return err
	}
	p.end = v.LogEndOffset
	p.passHighWatermark(v.HighWatermark)
	return nil
}

// replayLocked applies the batches in [from, to) to a producer state. The transaction indexes know them
// already. A batch that is damaged ends a segment: it is for readers to find out, the state of the producers
// cannot be better than the log.
func (l *Log) replayLocked(p *producerState, from, to int64) error {
	if from >= to {
		return nil
	}
	for i, s := range l.mu.segments {
		if i+1 < len(l.mu.segments) && l.mu.segments[i+1].base <= from || s.base >= to {
			continue
		}
		size := s.size.Load()
		start, err := s.positionOf(from, size)
		if err != nil {
			return err
		}
		f, err := s.handle()
		if err != nil {
			return err
		}
		r := batchReader{f: f, position: start, end: size}
		for {
			b, _, err := r.next()
			if err != nil && !isLogDamage(err) {
				return err
			}
			if err != nil || b == nil || b.BaseOffset() >= to {
				break
			}
			if b.LastOffset() < from {
				continue
			}
			if txn, ok := p.apply(b); ok {
				p.complete(txn)
			}
		}
	}
	return nil
}

// randomBelow draws a number in [0, n).
func randomBelow(n int64) int64 { return rand.Int64N(n) }

// isIndexDamage tells an index that can be built again from a disk that fails.
func isIndexDamage(err error) bool {
	return errors.Is(err, errCorruptIndex) || errors.Is(err, fs.ErrNotExist)
}

// isLogDamage tells batches that cannot be from a disk that fails.
func isLogDamage(err error) bool { return errors.Is(err, kerr.CorruptMessage) }
