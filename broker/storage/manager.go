package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
)

// Options are what a Manager needs to know. A duration of 0 means Kafka's default.
type Options struct {
	Dirs   []string                        // log.dirs
	Topic  func(name string) *config.Topic // a topic's configuration
	Logger *zap.Logger                     // nil for none

	// Identity of the broker, written into meta.properties where it is missing. ClusterID empty: it is neither
	// checked nor written.
	BrokerID  int32
	ClusterID string

	RecoveryThreads int // num.recovery.threads.per.data.dir; 0 for one

	RetentionCheckInterval  time.Duration // log.retention.check.interval.ms
	RetentionFirstCheck     time.Duration // after the start; 30 s
	FlushCheckInterval      time.Duration // log.flush.scheduler.interval.ms; 0 for never
	CheckpointInterval      time.Duration // log.flush.offset.checkpoint.interval.ms, and that of log starts
	HighWatermarkInterval   time.Duration // replica.high.watermark.checkpoint.interval.ms
	ProducerExpiration      time.Duration // producer.id.expiration.ms
	ProducerExpirationCheck time.Duration // producer.id.expiration.check.interval.ms

	// OnDirFailure is called once for each directory that goes offline while the Manager is in use, from a
	// goroutine of its own.
	OnDirFailure func(dir string, err error)
	// OnLogFailure is called when a single log had to be taken offline, from a goroutine of its own.
	OnLogFailure func(tp topic.Partition, err error)

	disk fileSystem // nil for the real one; tests have others
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.RetentionCheckInterval, 5 * time.Minute},
		{&o.RetentionFirstCheck, 30 * time.Second},
		{&o.CheckpointInterval, time.Minute},
		{&o.HighWatermarkInterval, 5 * time.Second},
		{&o.ProducerExpiration, 24 * time.Hour},
		{&o.ProducerExpirationCheck, 10 * time.Minute},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.disk == nil {
		o.disk = osFS{}
	}
	if o.OnDirFailure == nil {
		o.OnDirFailure = func(string, error) {}
	}
	if o.OnLogFailure == nil {
		o.OnLogFailure = func(topic.Partition, error) {}
	}
	o.RecoveryThreads = max(1, o.RecoveryThreads)
	return o
}

// Manager owns the log directories of a broker and every log in them.
//
// A life: Lock takes the directories and reads who they belong to; Load opens the logs; Start begins the
// background work; Close ends it and leaves the files as a clean stop should. Open is Lock and Load in one.
type Manager struct {
	options Options
	dirs    []*logDir
	metas   map[string]Meta
	cancel  context.CancelFunc
	running sync.WaitGroup // background loops and failure hooks

	mu struct {
		sync.RWMutex
		logs     map[topic.Partition]*Log
		creating map[topic.Partition]bool
		counts   map[*logDir]int // partition directories, the ones being created included
		closed   bool
	}
}

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
	m.mu.logs = make(map[topic.Partition]*Log)
	m.mu.creating = make(map[topic.Partition]bool)
	m.mu.counts = make(map[*logDir]int)
	if len(o.Dirs) == 0 {
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
				failed = m.loadOne(d, dir, loadOptions{
					recoveryPoint: points[tp], logStart: starts[tp], highWatermark: marks[tp], clean: d.clean, cleaned: wasCleaned,
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
	d.loaded = err == nil && d.failed() == nil
	return err
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

// dirFailed runs the hook apart from whoever met the error, who may hold any lock.
func (m *Manager) dirFailed(d *logDir, err error) {
	m.running.Go(func() { m.options.OnDirFailure(d.path, err) })
}

func (m *Manager) logFailed(tp topic.Partition, err error) {
	m.running.Go(func() { m.options.OnLogFailure(tp, err) })
}

// Log returns the log of a partition, nil when there is none.
func (m *Manager) Log(tp topic.Partition) *Log {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.mu.logs[tp]
}

// Logs returns all logs, those in offline directories too.
func (m *Manager) Logs() []*Log {
	m.mu.RLock()
	defer m.mu.RUnlock()
	logs := make([]*Log, 0, len(m.mu.logs))
	for _, l := range m.mu.logs {
		logs = append(logs, l)
	}
	return logs
}

// Create makes the log of a partition in the online directory with the fewest of them; one that exists is
// returned, if it has the same topic id. While a directory is offline, a replica that may live there is not
// made anew elsewhere: that is for the caller to know (isNew of LeaderAndIsr).
func (m *Manager) Create(tp topic.Partition, id topic.ID) (*Log, error) {
	if err := topic.ValidateName(tp.Topic); err != nil {
		return nil, err
	}
	if tp.ID < 0 {
		return nil, kerr.New(kerr.InvalidPartitions, "partition %d of topic %s cannot be", tp.ID, tp.Topic)
	}
	l, d, err := m.reserve(tp)
	if err != nil {
		return nil, err
	}
	if l != nil {
		return l, l.AssignTopicID(id)
	}
	l, err = d.createLog(tp, id, m.options.Topic(tp.Topic))
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.mu.creating, tp)
	if err == nil && m.mu.closed {
		err = l.abandon(kerr.New(kerr.KafkaStorageError, "The log manager is closed"))
	}
	if err != nil {
		m.mu.counts[d]--
		return nil, err
	}
	m.mu.logs[tp] = l
	return l, nil
}

// reserve finds the log that exists, or the directory for a new one, which nobody else will make then.
func (m *Manager) reserve(tp topic.Partition) (*Log, *logDir, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.mu.closed:
		return nil, nil, kerr.New(kerr.KafkaStorageError, "The log manager is closed")
	case m.mu.logs[tp] != nil:
		return m.mu.logs[tp], nil, nil
	case m.mu.creating[tp]:
		return nil, nil, kerr.New(kerr.KafkaStorageError, "The log for partition %s is being created", tp)
	}
	dirs := m.online()
	if len(dirs) == 0 {
		return nil, nil, kerr.New(kerr.KafkaStorageError, "Failed to create log for %s: all log dirs are offline", tp)
	}
	d := slices.MinFunc(dirs, func(a, b *logDir) int { return m.mu.counts[a] - m.mu.counts[b] })
	m.mu.creating[tp] = true
	m.mu.counts[d]++
	return nil, d, nil
}

// createLog makes a partition's directory and an empty log in it. It is durable with the first flush, as in
// Kafka; a directory without a file in it is a log as well.
func (d *logDir) createLog(tp topic.Partition, id topic.ID, conf *config.Topic) (*Log, error) {
	path := filepath.Join(d.path, tp.String())
	failed := func(err error) error {
		words := fmt.Sprintf("Failed to create log for %s in dir %s", tp, d.path)
		d.fail(words, err)
		return fmt.Errorf("%w: %w", kerr.New(kerr.KafkaStorageError, "%s", words), err)
	}
	if err := d.disk.MkdirAll(path); err != nil {
		return nil, failed(err)
	}
	l, err := loadLog(d, path, tp, conf, loadOptions{clean: true})
	if err != nil {
		return nil, failed(err)
	}
	if err := l.AssignTopicID(id); err != nil {
		return nil, l.abandon(err)
	}
	d.info("Created log for partition %s in %s", tp, path)
	return l, nil
}

// Delete takes a partition's log out of use. Its directory is renamed at once, durably, and removed when
// readers had their time.
func (m *Manager) Delete(tp topic.Partition) error {
	m.mu.Lock()
	l := m.mu.logs[tp]
	if l == nil {
		m.mu.Unlock()
		return kerr.New(kerr.UnknownTopicOrPartition, "There is no log for partition %s", tp)
	}
	delete(m.mu.logs, tp)
	m.mu.counts[l.home]--
	m.mu.Unlock()
	return l.delete()
}

// DirInfo describes a log directory for DescribeLogDirs.
type DirInfo struct {
	Path          string
	Err           error // why it is offline
	Total, Usable int64 // bytes of the volume, -1 when not known
	Logs          []*Log
}

// LogDirs describes all directories.
func (m *Manager) LogDirs() []DirInfo {
	infos := make([]DirInfo, len(m.dirs))
	for i, d := range m.dirs {
		infos[i] = DirInfo{Path: d.path, Err: d.failed(), Total: -1, Usable: -1}
		if total, usable, err := usage(d.path); err == nil && infos[i].Err == nil {
			infos[i].Total, infos[i].Usable = total, usable
		}
	}
	for _, l := range m.Logs() {
		i := slices.Index(m.dirs, l.home)
		infos[i].Logs = append(infos[i].Logs, l)
	}
	return infos
}

// OfflineDirs are the paths of the directories that have failed.
func (m *Manager) OfflineDirs() []string {
	var paths []string
	for _, d := range m.dirs {
		if d.failed() != nil {
			paths = append(paths, d.path)
		}
	}
	return paths
}

func (m *Manager) unlock() error {
	var err error
	for _, d := range m.dirs {
		if d.lock != nil {
			err = errors.Join(err, d.lock.release())
			d.lock = nil
		}
	}
	return err
}
