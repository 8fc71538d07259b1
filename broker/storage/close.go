package storage

import (
	"errors"
	"path/filepath"
)

// close brings the files into the state in which a clean stop leaves them, so that the next start, ours or
// Java's, need look at nothing: everything flushed, a snapshot of the producers at the log end, indexes
// trimmed.
func (l *Log) close() error {
	if err := l.Flush(); err != nil {
		return l.abandon(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	err := l.finishLocked()
	if err == nil && l.mu.recoveryPoint < l.mu.view.LogEndOffset {
		err = errors.New("BUG: appended to while closing")
	}
	l.closed.Store(true)
	releaseAll(l.mu.segments)
	if err != nil {
		return l.fatal("close", err)
	}
	return nil
}

func (l *Log) finishLocked() error {
	l.mu.producers.end = max(l.mu.producers.end, l.mu.view.LogEndOffset)
	if err := l.mu.producers.takeSnapshot(); err != nil {
		return err
	}
	fresh := false
	for _, path := range l.mu.producers.takeUnsynced() {
		fresh = true
		if err := syncPath(l.home.disk, path); err != nil {
			return err
		}
	}
	if l.mu.writable {
		s := l.activeLocked()
		if err := s.finish(); err != nil {
			return err
		}
		if err := errors.Join(s.offsets.sync(), s.times.sync()); err != nil {
			return err
		}
	}
	if fresh {
		return l.home.disk.SyncDir(l.dir)
	}
	return nil
}

// abandon closes the files of a log that can no longer be used, as they are.
func (l *Log) abandon(why error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed.Load() {
		l.closed.Store(true)
		releaseAll(l.mu.segments)
	}
	return why
}

// delete takes the log out of use and renames its directory; the Manager's sweeper removes it later.
func (l *Log) delete() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	l.closed.Store(true)
	for _, s := range l.mu.segments {
		s.retire()
		s.Release()
	}
	renamed := filepath.Join(l.home.path, deletedName(l.partition))
	err := l.home.disk.Rename(l.dir, renamed)
	if err == nil {
		err = l.home.disk.SyncDir(l.home.path)
	}
	if err != nil {
		return l.fatal("rename the directory of", err)
	}
	l.home.discard([]string{renamed}, l.Config().FileDeleteDelayMS)
	l.home.info("Log for partition %s is renamed to %s and is scheduled for deletion", l.partition, renamed)
	return nil
}
