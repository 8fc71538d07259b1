package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/metrics"
	"github.com/zurau/zurau/broker/topic"
)

const (
	cleanShutdownFile = ".kafka_cleanshutdown"
	// cleanShutdownContent is the form of 3.7 and later; all versions only ask whether the file is there.
	cleanShutdownContent = `{"version":0,"brokerEpoch":-1}`
)

// logDir is one entry of log.dirs, on a disk of its own perhaps: it fails as a whole, and is flushed and swept
// by a worker of its own, so that one slow disk holds up no other.
type logDir struct {
	path                 string
	disk                 fileSystem
	lock                 *dirLock // nil while the directory could not be locked
	logger               *zap.Logger
	producerExpirationMS int64
	onLogFailure         func(topic.Partition, error)
	onFailure            func(*logDir, error)
	recoveryPoints       func(*logDir) map[topic.Partition]int64
	tailsChanged         atomic.Bool // the file of lost tails is out of date

	failure atomic.Pointer[dirFailure]
	flushes atomic.Pointer[metrics.Histogram] // durations in ms, nil until Measure
	clean   bool                              // the last stop was a clean one; set while loading
	loaded  bool                              // every log was opened; without that there is no clean stop

	mu struct {
		sync.Mutex
		toFlush map[*Log]bool
		trash   []trash
		wanted  int // recovery points were asked for so many times
	}
	wake chan struct{} // capacity 1: toFlush has something

	checkpointing struct {
		sync.Mutex     // one writer of the checkpoint files at a time
		served     int // requests for recovery points that are answered
	}
}

// dirFailure is why a directory is offline.
type dirFailure struct {
	words string
	err   error
}

// trash are files of a removed segment, or a removed partition's directory, that stay until readers had their time.
type trash struct {
	paths []string
	due   time.Time
}

func newLogDir(path string, disk fileSystem, logger *zap.Logger) *logDir {
	d := &logDir{path: path, disk: disk, logger: logger, wake: make(chan struct{}, 1), producerExpirationMS: 86400000}
	d.onLogFailure = func(topic.Partition, error) {}
	d.onFailure = func(*logDir, error) {}
	d.recoveryPoints = func(*logDir) map[topic.Partition]int64 { return nil }
	d.mu.toFlush = make(map[*Log]bool)
	return d
}

// failed says why the directory is offline, nil while it is online.
func (d *logDir) failed() error {
	if f := d.failure.Load(); f != nil {
		return f.err
	}
	return nil
}

// fail takes the directory offline for the rest of the process. Whatever the error, a full disk included, what
// was being written is in an unknown state, and so is what a failed sync has covered.
func (d *logDir) fail(words string, err error) {
	if !d.failure.CompareAndSwap(nil, &dirFailure{words, err}) {
		return
	}
	d.logger.Error(words, zap.Error(err))
	d.warn("Stopping serving logs in dir %s", d.path)
	d.onFailure(d, err)
}

// info and warn write lines in Kafka's words.
func (d *logDir) info(format string, args ...any) { d.logger.Info(fmt.Sprintf(format, args...)) }
func (d *logDir) warn(format string, args ...any) { d.logger.Warn(fmt.Sprintf(format, args...)) }

// flushSoon has the sealed segments of a log made durable in the background.
func (d *logDir) flushSoon(l *Log) {
	d.mu.Lock()
	d.mu.toFlush[l] = true
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// takeToFlush hands out what flushSoon was asked for.
func (d *logDir) takeToFlush() []*Log {
	d.mu.Lock()
	defer d.mu.Unlock()
	logs := slices.Collect(maps.Keys(d.mu.toFlush))
	clear(d.mu.toFlush)
	return logs
}

// writeRecoveryPoints writes down how far each log of the directory is durable. Each point was reached by a
// sync that came before. Those who ask while a write is under way share the next one. No log may be locked.
//
// The error is about a want of descriptors, which passes; any other has taken the directory offline.
func (d *logDir) writeRecoveryPoints() error {
	d.mu.Lock()
	d.mu.wanted++
	mine := d.mu.wanted
	d.mu.Unlock()

	d.checkpointing.Lock()
	defer d.checkpointing.Unlock()
	if d.checkpointing.served >= mine {
		return nil
	}
	d.mu.Lock()
	served := d.mu.wanted
	d.mu.Unlock()
	err := d.writeOffsetsLocked(recoveryPointCheckpoint, d.recoveryPoints(d))
	if err == nil {
		d.checkpointing.served = served
	}
	return err
}

// writeOffsets writes one of the directory's checkpoint files; the offsets are collected when it is this
// writer's turn.
func (d *logDir) writeOffsets(name string, collect func() map[topic.Partition]int64) error {
	d.checkpointing.Lock()
	defer d.checkpointing.Unlock()
	return d.writeOffsetsLocked(name, collect())
}

// writeOffsetsLocked writes a checkpoint; checkpointing is held. See writeRecoveryPoints for the error.
func (d *logDir) writeOffsetsLocked(name string, offsets map[topic.Partition]int64) error {
	if d.failed() != nil {
		return nil
	}
	path := filepath.Join(d.path, name)
	err := writeFileSynced(d.disk, path, formatOffsets(offsets))
	if err == nil {
		return nil
	}
	words := fmt.Sprintf("Error while writing to checkpoint file %s", path)
	if isShortOfDescriptors(err) {
		d.logger.Warn(words, zap.Error(err))
		return err
	}
	d.fail(words, err)
	return nil
}

// discard has files deleted after a delay.
func (d *logDir) discard(paths []string, delayMS int64) {
	if len(paths) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.trash = append(d.mu.trash, trash{paths, time.Now().Add(time.Duration(delayMS) * time.Millisecond)})
}

// sweep deletes what is due.
func (d *logDir) sweep(now time.Time) {
	d.mu.Lock()
	var due []trash
	kept := d.mu.trash[:0]
	for _, t := range d.mu.trash {
		if now.Before(t.due) {
			kept = append(kept, t)
		} else {
			due = append(due, t)
		}
	}
	clear(d.mu.trash[len(kept):])
	d.mu.trash = kept
	d.mu.Unlock()
	for _, t := range due {
		for _, path := range t.paths {
			if d.failed() != nil {
				return
			}
			err := d.disk.RemoveAll(path)
			if isShortOfDescriptors(err) {
				d.discard([]string{path}, sweepInterval.Milliseconds())
				continue
			}
			if err != nil {
				d.fail(fmt.Sprintf("Error while deleting %s in dir %s", filepath.Base(path), d.path), err)
				return
			}
			d.info("Deleted %s.", path)
		}
	}
}

// prepare makes the directory if need be and locks it.
func (d *logDir) prepare() error {
	info, err := d.disk.Stat(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.info("Log directory %s not found, creating it.", d.path)
		if err := d.disk.MkdirAll(d.path); err != nil {
			return err
		}
		if err := d.disk.SyncDir(filepath.Dir(d.path)); err != nil {
			return err
		}
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a readable log directory.", d.path)
	}
	lock, err := lockDir(d.path)
	if err != nil {
		return err
	}
	d.lock = lock
	return nil
}

// takeCleanMarker looks for the marker of a clean stop and removes it before any log is opened: whoever crashes
// while loading has not stopped cleanly (KAFKA-10471).
func (d *logDir) takeCleanMarker() error {
	path := filepath.Join(d.path, cleanShutdownFile)
	if _, err := d.disk.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	d.clean = true
	d.info("Skipping recovery of logs from %s since clean shutdown file was found", d.path)
	if err := d.disk.Remove(path); err != nil {
		return err
	}
	return d.disk.SyncDir(d.path)
}

func (d *logDir) writeCleanMarker() error {
	path := filepath.Join(d.path, cleanShutdownFile)
	if err := writeNewFile(d.disk, path, []byte(cleanShutdownContent), true); err != nil {
		return err
	}
	return d.disk.SyncDir(d.path)
}

// partitionDir is what a sub-directory of a log directory is.
type partitionDir struct {
	name      string
	partition topic.Partition
	kind      dirKind
}

type dirKind int

const (
	liveDir    dirKind = iota
	deleteDir          // waits to be deleted
	futureDir          // is being moved here from another log directory
	strayDir           // set aside
	ignoredDir         // not a partition's
)

// parsePartitionDir says what a sub-directory is. A name that is none of what a broker makes stops the start:
// the directory is somebody else's, or not ours (Java: LocalLog.parseTopicPartitionName, with its words).
func parsePartitionDir(parent, name string) (partitionDir, error) {
	d := partitionDir{name: name}
	if name == "remote-log-index-cache" || name == "__cluster_metadata-0" {
		d.kind = ignoredDir
		return d, nil
	}
	live := name
	for suffix, kind := range map[string]dirKind{"-delete": deleteDir, "-future": futureDir, "-stray": strayDir} {
		if !strings.HasSuffix(name, suffix) {
			continue
		}
		dot := strings.LastIndexByte(name, '.')
		if dot <= 0 || dot+1 >= len(name)-len(suffix) || strings.ContainsAny(name, " \t\n\r") {
			return d, strangeDir(parent, name)
		}
		live, d.kind = name[:dot], kind
	}
	var err error
	if d.partition, err = topic.ParseDir(live); err != nil {
		return d, strangeDir(parent, name)
	}
	return d, nil
}

func strangeDir(parent, name string) error {
	dir := filepath.Join(parent, name)
	abs, err := filepath.Abs(dir)
	if err != nil {
		abs = dir
	}
	return fmt.Errorf("Found directory %s, '%s' is not in the form of topic-partition or topic-partition.uniqueId-delete "+
		"(if marked for deletion).\nKafka's log directories (and children) should only contain Kafka topic data.", abs, name)
}

// deletedName is what a partition's directory is renamed to: the topic is cut so that the name stays within 255
// bytes.
func deletedName(tp topic.Partition) string {
	id := topic.NewID()
	suffix := fmt.Sprintf("-%d.%x-delete", tp.ID, id[:])
	name := tp.Topic
	return name[:min(len(name), 255-len(suffix))] + suffix
}

// scan lists the partitions' directories.
func (d *logDir) scan() ([]partitionDir, error) {
	entries, err := d.disk.ReadDir(d.path)
	if err != nil {
		return nil, err
	}
	var dirs []partitionDir
	for _, e := range entries {
		if !e.IsDir() && e.Type()&os.ModeSymlink == 0 {
			continue
		}
		if e.Type()&os.ModeSymlink != 0 {
			if info, err := d.disk.Stat(filepath.Join(d.path, e.Name())); err != nil || !info.IsDir() {
				continue
			}
		}
		dir, err := parsePartitionDir(d.path, e.Name())
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}
