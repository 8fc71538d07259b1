package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/zurau/zurau/broker/topic"
)

// Open locks the directories, checks whose they are and loads their logs. A directory with an I/O error is
// offline and the others go on; when none is left, or one belongs to somebody else, that is an error.
func Open(o Options) (*Manager, error) {
	m, err := Lock(o)
	if err != nil {
		return nil, err
	}
	if err := m.Load(o.ClusterID, o.BrokerID); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// Lock makes the directories where they are missing and locks them against other brokers. From here on no other
// process holds them, so a broker may end its own former session with ZooKeeper.
func Lock(o Options) (*Manager, error) {
	o = o.withDefaults()
	m := &Manager{options: o, metas: make(map[string]Meta)}
	m.life, m.cancel = context.WithCancel(context.Background())
	m.mu.logs = make(map[topic.Partition]*Log)
	m.mu.creating = make(map[topic.Partition]bool)
	m.mu.deleting = make(map[topic.Partition]chan struct{})
	m.mu.counts = make(map[*logDir]int)
	if len(o.Dirs) == 0 {
		m.cancel()
		return nil, errors.New("At least one log directory must be defined via log.dirs or log.dir.")
	}
	seen := make(map[string]bool)
	for _, path := range o.Dirs {
		d := newLogDir(path, o.disk, o.Logger)
		d.producerExpirationMS = o.ProducerExpiration.Milliseconds()
		d.onFailure, d.onLogFailure, d.recoveryPoints = m.dirFailed, m.logFailed, m.recoveryPoints
		m.dirs = append(m.dirs, d)
		if err := m.lockOne(d, seen); err != nil {
			return nil, errors.Join(err, m.unlock())
		}
	}
	return m, m.needOneDir()
}

// lockOne prepares one directory. Trouble with the disk takes it offline; trouble with who else uses it is an
// error.
func (m *Manager) lockOne(d *logDir, seen map[string]bool) error {
	if err := d.prepare(); err != nil {
		if isDiskError(err) {
			d.fail(fmt.Sprintf("Failed to create or validate data directory %s", d.path), err)
			return nil
		}
		return err
	}
	canonical, err := canonicalPath(d.path)
	if err != nil {
		d.fail(fmt.Sprintf("Failed to create or validate data directory %s", d.path), err)
		return nil
	}
	if seen[canonical] {
		return fmt.Errorf("Duplicate log directory found: %s", d.path)
	}
	seen[canonical] = true
	meta, err := readMeta(d.disk, d.path)
	switch {
	case err == nil:
		m.metas[d.path] = meta
	case isDiskError(err):
		d.fail(fmt.Sprintf("Error while reading meta.properties file in dir %s", d.path), err)
	default:
		return err
	}
	return nil
}

func canonicalPath(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

// isDiskError tells an error of the operating system from one of ours.
func isDiskError(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	return errors.As(err, &path) || errors.As(err, &link)
}

// Metas are the identities of the directories that are online, by path.
func (m *Manager) Metas() map[string]Meta { return m.metas }

// Load checks the identities, makes the missing ones, and opens all logs, several at a time. The cluster id is
// empty when it is not known; the broker id is the one to be written.
func (m *Manager) Load(clusterID string, brokerID int32) error {
	if _, err := CheckMeta(m.metas, clusterID, brokerID); err != nil {
		return err
	}
	m.options.ClusterID, m.options.BrokerID = clusterID, brokerID
	for _, d := range m.online() {
		if err := m.writeIdentity(d); err != nil {
			d.fail(fmt.Sprintf("Error while writing meta.properties file in dir %s", d.path), err)
		}
	}
	var loading sync.WaitGroup
	errs := make([]error, len(m.dirs))
	began := time.Now()
	m.options.Logger.Info(fmt.Sprintf("Loading logs from log dirs %v", m.options.Dirs))
	for i, d := range m.dirs {
		if d.failed() == nil {
			loading.Go(func() { errs[i] = m.loadDir(d) })
		}
	}
	loading.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	m.options.Logger.Info(fmt.Sprintf("Loaded %d logs in %dms", len(m.mu.logs), time.Since(began).Milliseconds()))
	return m.needOneDir()
}

func (m *Manager) needOneDir() error {
	if len(m.online()) > 0 {
		return nil
	}
	return errors.Join(fmt.Errorf("Shutdown broker because none of the specified log dirs from %v can be created or "+
		"validated", m.options.Dirs), m.dirs[0].failed(), m.unlock())
}

// writeIdentity completes meta.properties. Nothing that differs between directories is added: 2.8 would not
// start on it.
func (m *Manager) writeIdentity(d *logDir) error {
	meta := m.metas[d.path]
	if meta.BrokerID == m.options.BrokerID && (meta.ClusterID == m.options.ClusterID || m.options.ClusterID == "") {
		return nil
	}
	meta.BrokerID = m.options.BrokerID
	if m.options.ClusterID != "" {
		meta.ClusterID = m.options.ClusterID
	}
	m.metas[d.path] = meta
	return writeMeta(d.disk, d.path, meta)
}

// online are the directories that work.
func (m *Manager) online() []*logDir {
	var dirs []*logDir
	for _, d := range m.dirs {
		if d.failed() == nil {
			dirs = append(dirs, d)
		}
	}
	return dirs
}

// loadDir opens the logs of one directory. An error is about names and duplicates and ends the start; a disk
// that fails only takes the directory offline.
func (m *Manager) loadDir(d *logDir) error {
	if err := d.takeCleanMarker(); err != nil {
		d.fail(fmt.Sprintf("Error while loading log dir %s", d.path), err)
		return nil
	}
	if !d.clean {
		d.info("Attempting recovery for all logs in %s since no clean shutdown file was found", d.path)
	}
	dirs, err := d.scan()
	if err != nil {
		if isDiskError(err) {
			d.fail(fmt.Sprintf("Error while loading log dir %s", d.path), err)
			return nil
		}
		return err
	}
	boot := bootID()
	sameBoot := d.sameBoot(boot)
	tails := d.readLostTails()
	points := d.readLenient(recoveryPointCheckpoint, "resetting the recovery checkpoint to 0")
	starts := d.readLenient(logStartCheckpoint, "resetting to the base offset of the first segment")
	marks := d.readLenient(highWatermarkCheckpoint, "resetting to the log start offsets")

	cleaned := d.readLenient(cleanerCheckpoint, "resetting to the log start offsets")

	jobs := make(chan partitionDir)
	errs := make(chan error, m.options.RecoveryThreads)
	for range m.options.RecoveryThreads {
		go func() {
			var failed error
			for dir := range jobs {
				if failed != nil || d.failed() != nil {
					continue
				}
				tp := dir.partition
				_, wasCleaned := cleaned[tp]
				_, tailWasLost := tails[tp]
				failed = m.loadOne(d, dir, loadOptions{
					recoveryPoint: points[tp], logStart: starts[tp], highWatermark: marks[tp],
					clean: d.clean, cleaned: wasCleaned, sameBoot: sameBoot, tailWasLost: tailWasLost,
				})
			}
			errs <- failed
		}()
	}
	for _, dir := range dirs {
		jobs <- dir
	}
	close(jobs)
	for range m.options.RecoveryThreads {
		err = errors.Join(err, <-errs)
	}
	if err != nil {
		return err
	}
	d.tailsChanged.Store(len(tails) > 0 || len(m.lostTailsOf(d)) > 0)
	if err := errors.Join(m.saveLostTails(d), d.noteBoot(boot, sameBoot)); err != nil { // in this order
		d.fail(fmt.Sprintf("Error while loading log dir %s", d.path), err)
	}
	d.loaded = d.failed() == nil
	return nil
}

// readLenient reads a checkpoint; one that is damaged counts as empty, since everything in it only saves work.
func (d *logDir) readLenient(name, consequence string) map[topic.Partition]int64 {
	offsets, err := readOffsets(d.disk, filepath.Join(d.path, name))
	if err != nil {
		d.warn("Error occurred while reading %s file of directory %s, %s: %v", name, d.path, consequence, err)
	}
	return offsets
}

func (m *Manager) loadOne(d *logDir, dir partitionDir, o loadOptions) error {
	path := filepath.Join(d.path, dir.name)
	switch dir.kind {
	case ignoredDir, futureDir, strayDir:
		return nil
	case deleteDir:
		d.discard([]string{path}, m.options.Topic(dir.partition.Topic).FileDeleteDelayMS)
		return nil
	}
	l, err := loadLog(d, path, dir.partition, m.options.Topic(dir.partition.Topic), o)
	if err != nil {
		d.fail(fmt.Sprintf("Error while loading log dir %s", path), err)
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if other := m.mu.logs[dir.partition]; other != nil {
		return fmt.Errorf("Duplicate log directories for %s are found in both %s and %s. It is likely because log directory "+
			"failure happened while broker was replacing current replica with future replica. Recover broker from this "+
			"failure by manually deleting one of the two directories for this partition. It is recommended to delete the "+
			"partition in the log directory that is known to have failed recently.", dir.partition, other.dir, path)
	}
	m.mu.logs[dir.partition] = l
	m.mu.counts[d]++
	return nil
}
