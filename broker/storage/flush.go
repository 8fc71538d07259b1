package storage

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/zurau/zurau/broker/config"
)

// Flush makes everything appended so far durable and moves the recovery point behind it. Whoever comes while a
// flush is under way waits for the next one, which then serves all who wait: one sync for many appends.
func (l *Log) Flush() error {
	l.mu.Lock()
	wanted := l.mu.view.LogEndOffset
	l.mu.Unlock()
	return l.flush(wanted, true)
}

// flushSealed makes the segments before the active one durable.
func (l *Log) flushSealed() error {
	l.mu.Lock()
	wanted := l.activeLocked().base
	l.mu.Unlock()
	return l.flush(wanted, false)
}

// flushJob is what one flush has to sync, collected under the log's lock and worked off without it.
type flushJob struct {
	segments    []*segment // acquired
	snapshots   []string
	syncDir     bool
	end         int64 // the recovery point afterwards
	truncations int
}

// flush syncs what is not durable yet below wanted.
func (l *Log) flush(wanted int64, active bool) error {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	job, err := l.planFlush(wanted, active)
	if err == nil {
		err = job.run(l)
	}
	defer job.release()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		job.undo(l)
		return l.passingError("flush", err)
	}
	if l.mu.truncations == job.truncations && job.end > l.mu.recoveryPoint {
		l.mu.recoveryPoint = job.end
	}
	return nil
}

// planFlush collects what to sync. Index entries in memory go to their files here: a recovery point says that
// the indexes before it are good.
func (l *Log) planFlush(wanted int64, active bool) (flushJob, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	job := flushJob{truncations: l.mu.truncations}
	if err := l.usable(); err != nil {
		return job, err
	}
	l.mu.lastFlush = time.Now()
	last := len(l.mu.segments) - 1
	if active {
		last++
	}
	cut := slices.ContainsFunc(l.mu.segments[:last], func(s *segment) bool { return s.unsynced }) // or written to
	if wanted <= l.mu.recoveryPoint && !l.mu.dirChanged && !cut {
		return job, nil // another flush was faster
	}
	if err := l.saveTopicIDLocked(); err != nil {
		return job, err
	}
	if l.mu.epochsChanged {
		if err := l.saveEpochsLocked(); err != nil {
			return job, err
		}
	}
	job.end = l.activeLocked().base
	if active {
		job.end = l.mu.view.LogEndOffset
	}
	for _, s := range l.mu.segments[:last] {
		if !s.unsynced || !s.acquire() {
			continue
		}
		job.segments = append(job.segments, s)
		if err := errors.Join(s.offsets.save(), s.times.save()); err != nil {
			return job, err
		}
		s.unsynced = false
	}
	job.snapshots = l.mu.producers.takeUnsynced()
	job.syncDir = l.mu.dirChanged
	l.mu.dirChanged = false
	return job, nil
}

func (j *flushJob) run(l *Log) error {
	if h := l.home.flushes.Load(); h != nil && len(j.segments) > 0 {
		defer h.ObserveSince(time.Now())
	}
	for _, path := range j.snapshots {
		if err := syncPath(l.home.disk, path); err != nil {
			return err
		}
	}
	for _, s := range j.segments {
		if err := s.sync(); err != nil && !(s.removed.Load() && errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	if j.syncDir {
		return l.home.disk.SyncDir(l.dir)
	}
	return nil
}

// undo marks what was to be synced as not synced, for the case that the log lives on.
func (j *flushJob) undo(l *Log) {
	for _, s := range j.segments {
		s.unsynced = true
	}
	l.mu.dirChanged = l.mu.dirChanged || j.syncDir
}

func (j *flushJob) release() {
	for _, s := range j.segments {
		s.Release()
	}
	j.segments = nil
}

// syncPath syncs a file by name; one that is gone needs none.
func syncPath(disk fileSystem, path string) error {
	f, err := disk.OpenFile(path, os.O_RDWR)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// flushDueLocked tells whether flush.messages are waiting to be made durable.
func (l *Log) flushDueLocked(conf *config.Topic) bool {
	return l.mu.view.LogEndOffset-l.mu.recoveryPoint >= conf.FlushMessages
}

// flushDue tells whether flush.ms have passed since the last flush and there is something to flush.
func (l *Log) flushDue(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.recoveryPoint < l.mu.view.LogEndOffset && now.Sub(l.mu.lastFlush).Milliseconds() >= l.Config().FlushMS
}
