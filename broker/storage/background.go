package storage

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/topic"
)

// sweepInterval is how often files that wait to be deleted are looked at.
const sweepInterval = time.Second

// closeThreads is how many logs of a directory are closed at a time.
const closeThreads = 8

// Start begins the background work: retention, flushing, recovery point checkpoints, deletion, producer expiry.
// There is one goroutine for each kind of work, and one for each directory, but none for a partition.
func (m *Manager) Start() {
	o := m.options
	m.loop(o.RetentionFirstCheck, o.RetentionCheckInterval, m.applyRetention)
	m.loop(o.CheckpointInterval, o.CheckpointInterval, func(time.Time) { m.CheckpointOffsets() })
	m.loop(o.ProducerExpirationCheck, o.ProducerExpirationCheck, m.expireProducers)
	m.loop(sweepInterval, sweepInterval, func(now time.Time) {
		for _, d := range m.online() {
			d.sweep(now)
		}
	})
	if o.FlushCheckInterval > 0 {
		m.loop(o.FlushCheckInterval, o.FlushCheckInterval, m.flushDue)
	}
	for _, d := range m.dirs {
		m.spawn(func() { m.serveDir(d) })
	}
}

// StartHighWatermarkCheckpoints begins to write the high watermarks down. Not before the first LeaderAndIsr:
// until then the logs' own high watermarks are no better than those in the file.
func (m *Manager) StartHighWatermarkCheckpoints() {
	m.marking.Do(func() {
		interval := m.options.HighWatermarkInterval
		m.loop(interval, interval, func(time.Time) { m.CheckpointHighWatermarks() })
	})
}

// loop calls work after the first delay and then in intervals, until the Manager is closed.
func (m *Manager) loop(first, interval time.Duration, work func(time.Time)) {
	m.spawn(func() {
		timer := time.NewTimer(first)
		defer timer.Stop()
		for {
			select {
			case <-m.life.Done():
				return
			case now := <-timer.C:
				work(now)
				timer.Reset(interval)
			}
		}
	})
}

// serveDir does what the logs of a directory ask for in passing.
func (m *Manager) serveDir(d *logDir) {
	for {
		select {
		case <-m.life.Done():
			return
		case <-d.wake:
		}
		for _, l := range d.takeToFlush() {
			l.flushSealed() // an error has taken the directory offline
		}
	}
}

func (m *Manager) applyRetention(now time.Time) {
	for _, l := range m.Logs() {
		if l.usable() == nil {
			l.DeleteOldSegments(now.UnixMilli()) // an error has taken the directory offline
		}
	}
}

func (m *Manager) expireProducers(now time.Time) {
	for _, l := range m.Logs() {
		l.ExpireProducers(now.UnixMilli(), m.options.ProducerExpiration.Milliseconds())
	}
}

func (m *Manager) flushDue(now time.Time) {
	for _, l := range m.Logs() {
		if l.usable() == nil && l.flushDue(now) {
			l.Flush() // an error has taken the directory offline
		}
	}
}

// byDir collects an offset of each log of a directory.
func (m *Manager) byDir(d *logDir, offset func(*Log) (int64, bool)) map[topic.Partition]int64 {
	offsets := make(map[topic.Partition]int64)
	for _, l := range m.Logs() {
		if l.home != d {
			continue
		}
		if o, ok := offset(l); ok {
			offsets[l.partition] = o
		}
	}
	return offsets
}

// CheckpointOffsets writes the recovery points and the log starts of all directories.
func (m *Manager) CheckpointOffsets() {
	for _, d := range m.online() {
		d.writeRecoveryPoints() // what could not be written now is written the next time
		m.checkpointLogStarts(d)
	}
}

// recoveryPoints collects how far each log of a directory is durable.
func (m *Manager) recoveryPoints(d *logDir) map[topic.Partition]int64 {
	return m.byDir(d, func(l *Log) (int64, bool) { return l.RecoveryPoint(), true })
}

func (m *Manager) checkpointLogStarts(d *logDir) error {
	return d.writeOffsets(logStartCheckpoint, func() map[topic.Partition]int64 {
		return m.byDir(d, func(l *Log) (int64, bool) {
			p := l.state.load()
			return p.LogStartOffset, p.LogStartOffset > p.segments[0].base
		})
	})
}

// CheckpointHighWatermarks writes the high watermarks of all directories.
func (m *Manager) CheckpointHighWatermarks() {
	for _, d := range m.online() {
		m.saveLostTails(d) // what could not be written now is written at the next start
		m.checkpointHighWatermarks(d)
	}
}

func (m *Manager) checkpointHighWatermarks(d *logDir) error {
	return d.writeOffsets(highWatermarkCheckpoint, func() map[topic.Partition]int64 {
		return m.byDir(d, func(l *Log) (int64, bool) { return l.View().HighWatermark, true })
	})
}

// Close stops the background work and closes all logs. A directory of which everything could be flushed and
// closed gets the clean marker, last of all. It is safe to call Close twice, and before Start.
func (m *Manager) Close() error {
	m.mu.Lock()
	if m.mu.closed {
		m.mu.Unlock()
		return nil
	}
	m.mu.closed = true
	m.mu.Unlock()
	m.cancel()
	m.running.Wait()
	var closing sync.WaitGroup
	for _, d := range m.dirs {
		closing.Go(func() { m.closeDir(d) })
	}
	closing.Wait()
	return m.unlock()
}

func (m *Manager) closeDir(d *logDir) {
	jobs := make(chan *Log)
	var closers sync.WaitGroup
	var mu sync.Mutex
	clean := d.failed() == nil && d.loaded
	for range closeThreads {
		closers.Go(func() {
			for l := range jobs {
				if err := l.close(); err != nil {
					d.logger.Warn("A log could not be closed cleanly", zap.Stringer("partition", l.partition), zap.Error(err))
					mu.Lock()
					clean = false
					mu.Unlock()
				}
			}
		})
	}
	for _, l := range m.Logs() {
		if l.home == d {
			jobs <- l
		}
	}
	close(jobs)
	closers.Wait()
	if d.failed() != nil || !d.loaded {
		return
	}
	err := errors.Join(d.writeRecoveryPoints(), m.checkpointLogStarts(d), m.checkpointHighWatermarks(d))
	if err != nil || !clean || d.failed() != nil {
		return
	}
	if err := d.writeCleanMarker(); err != nil {
		d.fail(fmt.Sprintf("Error while writing the clean shutdown marker of %s", d.path), err)
	}
}
