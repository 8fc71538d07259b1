package storage

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/metrics"
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
	life    context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup // background loops and failure hooks
	marking sync.Once      // StartHighWatermarkCheckpoints

	mu struct {
		sync.RWMutex
		logs     map[topic.Partition]*Log
		creating map[topic.Partition]bool
		deleting map[topic.Partition]chan struct{} // closed when the directory has its other name
		counts   map[*logDir]int                   // partition directories, the ones being created included
		page     *metrics.Registry                 // nil until Measure
		closed   bool
	}
}

// dirFailed and logFailed run the hooks apart from whoever met the error, who may hold the lock of a log.
func (m *Manager) dirFailed(d *logDir, err error) {
	m.spawn(func() { m.options.OnDirFailure(d.path, err) })
}

func (m *Manager) logFailed(tp topic.Partition, err error) {
	m.spawn(func() { m.options.OnLogFailure(tp, err) })
}

// spawn runs work in a goroutine that Close waits for. A Manager that is closing begins nothing more.
func (m *Manager) spawn(work func()) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if !m.mu.closed {
		m.running.Go(work)
	}
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
	l.measure(m.mu.page)
	return l, nil
}

// reserve finds the log that exists, or the directory for a new one, which nobody else will make then.
//
// A deletion of the same partition that is under way still has the directory under its name: a log made now
// would find the old records in it, and lose the new ones with the renaming.
func (m *Manager) reserve(tp topic.Partition) (*Log, *logDir, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.mu.deleting[tp] != nil {
		done := m.mu.deleting[tp]
		m.mu.Unlock()
		<-done
		m.mu.Lock()
	}
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
	l.unmeasure()
	m.mu.counts[l.home]--
	done := make(chan struct{})
	m.mu.deleting[tp] = done
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.mu.deleting, tp)
		m.mu.Unlock()
		close(done)
	}()
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
	m.cancel()
	var err error
	for _, d := range m.dirs {
		if d.lock != nil {
			err = errors.Join(err, d.lock.release())
			d.lock = nil
		}
	}
	return err
}
