package storage

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/metrics"
	"github.com/zurau/zurau/broker/topic"
)

// Log is one partition's log on this broker: segments on disk, and what must be known about them at once.
//
// Appends, rolls, truncations and moves of the high watermark happen under Log.mu, which is held across no
// fsync but that of a new leader epoch. Readers take no lock: they load one picture and borrow the segments
// they read. Flushing has a lock of its own, so that whoever waits for a flush waits for at most the one under
// way and the next.
//
// An I/O error takes the whole log directory offline, a broken law this log alone; from then on every operation
// answers KAFKA_STORAGE_ERROR.
type Log struct {
	home      *logDir
	partition topic.Partition
	dir       string // the partition's directory

	config  atomic.Pointer[config.Topic]
	state   published
	topicID atomic.Pointer[topic.ID] // set under mu; nil for none
	broken  atomic.Pointer[brokenLaw]
	series  *metrics.Registry // the log's part of the metrics page, nil without one; under Manager.mu
	closed  atomic.Bool       // set under mu: closed or deleted, the segments are given back

	tailLost atomic.Bool // see TailLost

	mu struct {
		sync.Mutex
		view          View // what state publishes, without LastStableOffset's and the readers' copies
		segments      []*segment
		epochs        *epochCache
		epochsChanged bool // in memory, and not in the file yet
		producers     *producerState
		topicIDSaved  bool
		recoveryPoint int64 // the first offset not known to be durable
		truncations   int   // so many times; a flush that saw another number must not move the recovery point
		dirChanged    bool  // files were created since the directory was synced
		lastFlush     time.Time
		writable      bool // the active segment's indexes are resident
	}
	flushing sync.Mutex // one flush at a time; taken before mu
}

// brokenLaw is why a log was taken offline on its own.
type brokenLaw struct{ what string }

// Partition is whose log this is.
func (l *Log) Partition() topic.Partition { return l.partition }

// Dir is the log directory (an entry of log.dirs) that holds the log.
func (l *Log) Dir() string { return l.home.path }

// View is where the log begins and ends now.
func (l *Log) View() View { return l.state.view() }

// Config is the topic's configuration as last set.
func (l *Log) Config() *config.Topic { return l.config.Load() }

// SetConfig replaces the topic's configuration; appends under way finish with the old one.
func (l *Log) SetConfig(c *config.Topic) { l.config.Store(c) }

// TopicID is the id of the topic the log belongs to, zero when none was assigned.
func (l *Log) TopicID() topic.ID {
	if id := l.topicID.Load(); id != nil {
		return *id
	}
	return topic.ID{}
}

// AssignTopicID notes the topic's id, which must not differ from one assigned before (INCONSISTENT_TOPIC_ID). The
// file is written at the latest before the first append.
func (l *Log) AssignTopicID(id topic.ID) error {
	if id.IsZero() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	switch has := l.TopicID(); {
	case has == id:
		return nil
	case !has.IsZero():
		return kerr.New(kerr.InconsistentTopicID, "Tried to assign topic ID %s to log for topic partition %s, "+
			"but log already contained topic ID %s", id, l.partition, has)
	}
	l.topicID.Store(&id)
	l.mu.topicIDSaved = false
	return l.saveTopicIDLocked()
}

func (l *Log) saveTopicIDLocked() error {
	id := l.TopicID()
	if l.mu.topicIDSaved || id.IsZero() {
		return nil
	}
	if err := writePartitionMetadata(l.home.disk, l.dir, id); err != nil {
		return l.passingError("write the partition.metadata of", err)
	}
	l.mu.topicIDSaved = true
	return nil
}

// SizeBytes is the size of all batches, whether visible or not.
func (l *Log) SizeBytes() int64 {
	total := int64(0)
	for _, s := range l.state.load().segments {
		total += s.size.Load()
	}
	return total
}

// RecoveryPoint is the first offset not known to be durable.
func (l *Log) RecoveryPoint() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.recoveryPoint
}

// SetHighWatermark moves the high watermark to hw and tells whether it moved. It stays between log start and
// log end, and never goes back; only truncation takes it back. The last stable offset follows.
func (l *Log) SetHighWatermark(hw int64) (moved bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	hw = min(max(hw, l.mu.view.LogStartOffset), l.mu.view.LogEndOffset)
	if hw <= l.mu.view.HighWatermark {
		return false
	}
	l.mu.view.HighWatermark = hw
	l.mu.producers.passHighWatermark(hw)
	l.publishLocked()
	return true
}

// publishLocked shows readers the log as it is now.
func (l *Log) publishLocked() { l.showLocked(nil) }

// publishSegmentsLocked does the same after the list of segments has changed.
func (l *Log) publishSegmentsLocked() {
	segments := slices.Clone(l.mu.segments)
	l.showLocked(&segments)
}

// showLocked publishes all that readers see in one step: no reader may meet new offsets with old segments.
func (l *Log) showLocked(segments *[]*segment) {
	v := &l.mu.view
	v.LastStableOffset = v.HighWatermark
	if offset, ok := l.mu.producers.firstUnstable(); ok && offset < v.HighWatermark {
		v.LastStableOffset = max(offset, v.LogStartOffset)
	}
	if !v.ordered() {
		l.breakLaw("log start <= LSO <= HW <= LEO does not hold: %+v", *v)
		return
	}
	l.state.store(*v, l.activeLocked().size.Load(), l.mu.epochs.latest(), segments)
}

func (l *Log) activeLocked() *segment { return l.mu.segments[len(l.mu.segments)-1] }

// LatestEpoch is the newest leader epoch in the log, -1 when there is none.
func (l *Log) LatestEpoch() int32 {
	epoch, _ := l.state.lastEpoch()
	return epoch
}

// EndOffsetForEpoch answers OffsetForLeaderEpoch: the largest epoch not above the one asked for, and where it ends
// (exclusive); (-1, -1) when that is not known. Of the newest epoch, which every fetch of a follower names, it tells
// without waiting for an append under way.
func (l *Log) EndOffsetForEpoch(epoch int32) (int32, int64) {
	if latest, end := l.state.lastEpoch(); epoch == latest && epoch >= 0 {
		return latest, end
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.epochs.endOffset(epoch, l.mu.view.LogEndOffset)
}

// EpochAt is the leader epoch of the record at offset, -1 when that is not known.
func (l *Log) EpochAt(offset int64) int32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.epochs.at(offset)
}

// SetLeaderEpochStart notes, when this broker becomes leader, that its epoch begins at startOffset (the log
// end); durable when it returns. An epoch that is known already changes nothing.
func (l *Log) SetLeaderEpochStart(epoch int32, startOffset int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	return l.assignEpochLocked(epoch, startOffset)
}

// assignEpochLocked adds an epoch and writes the checkpoint: a follower that truncates by our answer must find the
// same answer after a crash.
func (l *Log) assignEpochLocked(epoch int32, start int64) error {
	if !l.mu.epochs.assign(epoch, start) {
		return nil
	}
	err := l.saveEpochsLocked()
	l.publishLocked()
	return err
}

func (l *Log) saveEpochsLocked() error {
	l.mu.epochsChanged = true
	if err := l.mu.epochs.save(); err != nil {
		return l.passingError("write the leader epochs of", err)
	}
	l.mu.epochsChanged = false
	return nil
}

// ProducerInfo is an idempotent producer as DescribeProducers shows it.
type ProducerInfo struct {
	ProducerID            int64
	Epoch                 int16
	LastSequence          int32 // -1 none
	LastTimestamp         int64 // ms, -1 none
	CoordinatorEpoch      int32 // of its last transaction marker, -1 none
	CurrentTxnFirstOffset int64 // -1 when no transaction is open
}

// ActiveProducers lists the producers the log knows, by id.
func (l *Log) ActiveProducers() []ProducerInfo {
	l.mu.Lock()
	defer l.mu.Unlock()
	infos := make([]ProducerInfo, 0, len(l.mu.producers.producers))
	for id, e := range l.mu.producers.producers {
		infos = append(infos, ProducerInfo{
			id, e.epoch, e.lastSequence(), e.lastTimestamp, e.coordinatorEpoch, e.txnFirstOffset,
		})
	}
	slices.SortFunc(infos, func(a, b ProducerInfo) int { return int(min(max(a.ProducerID-b.ProducerID, -1), 1)) })
	return infos
}

// HasOpenTxn tells whether a producer has a transaction open here, so that its batches need no verification
// (KIP-890).
func (l *Log) HasOpenTxn(producerID int64, epoch int16) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.producers.hasOpenTxn(producerID, epoch)
}

// ExpireProducers forgets producers that were silent for expirationMS.
func (l *Log) ExpireProducers(nowMS, expirationMS int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.producers.expire(nowMS, expirationMS)
}

// usable refuses whatever is asked of a log that is closed, broken, or in an offline directory.
func (l *Log) usable() error {
	if l.closed.Load() {
		return kerr.New(kerr.KafkaStorageError, "The log for partition %s is closed", l.partition)
	}
	if b := l.broken.Load(); b != nil {
		return kerr.New(kerr.KafkaStorageError, "The log for partition %s is offline: %s", l.partition, b.what)
	}
	if l.home.failed() != nil {
		return kerr.New(kerr.KafkaStorageError, "The log dir %s is already offline due to a previous IO exception.",
			l.home.path)
	}
	return nil
}

// Err says why the log is offline, nil while it is not.
func (l *Log) Err() error { return l.usable() }

// diskError takes the log directory offline and returns what the caller's caller gets.
func (l *Log) diskError(doing string, err error) error {
	if errors.Is(err, kerr.KafkaStorageError) {
		return err
	}
	if l.closed.Load() {
		return l.usable() // its files went away under whoever met the error
	}
	return l.fatal(doing, err)
}

// fatal is diskError also for a log that is closed by now.
func (l *Log) fatal(doing string, err error) error {
	words := l.failedTo(doing)
	l.home.fail(words, err)
	return fmt.Errorf("%w: %w", kerr.New(kerr.KafkaStorageError, "%s", words), err)
}

func (l *Log) failedTo(doing string) string {
	return fmt.Sprintf("Error while trying to %s %s in dir %s", doing, l.partition, l.home.path)
}

// passingError is diskError for operations that may be tried again when all that failed was getting a file
// descriptor.
func (l *Log) passingError(doing string, err error) error {
	if isShortOfDescriptors(err) {
		return fmt.Errorf("%w: %w", kerr.New(kerr.KafkaStorageError, "%s", l.failedTo(doing)), err)
	}
	return l.diskError(doing, err)
}

// isShortOfDescriptors tells an error that says nothing about the disk.
func isShortOfDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// breakLaw takes this log offline because something that cannot be is.
func (l *Log) breakLaw(format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	if l.broken.CompareAndSwap(nil, &brokenLaw{what}) {
		l.home.logger.Error("The log is taken offline, it breaks a law", zap.Stringer("partition", l.partition),
			zap.String("law", what))
		l.home.onLogFailure(l.partition, errors.New(what))
	}
	return kerr.New(kerr.KafkaStorageError, "The log for partition %s is offline: %s", l.partition, what)
}

// info and warn write a line in the form of Kafka's own about one log.
func (l *Log) info(format string, args ...any) { l.home.logger.Info(l.line(format, args)) }
func (l *Log) warn(format string, args ...any) { l.home.logger.Warn(l.line(format, args)) }

func (l *Log) line(format string, args []any) string {
	return fmt.Sprintf("[UnifiedLog partition=%s, dir=%s] %s", l.partition, l.home.path, fmt.Sprintf(format, args...))
}
