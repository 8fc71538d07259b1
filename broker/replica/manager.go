package replica

import (
	"context"
	"maps"
	"math"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/storage"
	"github.com/zurau/zurau/broker/topic"
)

// Options are what a Manager needs of its broker.
type Options struct {
	BrokerID int32
	Storage  *storage.Manager
	// RefreshTopics reads topics' configurations once more before their first logs are made here: a new topic
	// brings its configuration along without a notification. It is called once for a request, and must not wait
	// long: the controller's next request waits behind it.
	RefreshTopics func(topics []string)

	// Alive tells whether the last UpdateMetadata names a broker.
	Alive func(broker int32) bool
	// LeaderAddr is where a leader's replicas fetch from (host:port), false while the broker is not known.
	LeaderAddr func(broker int32) (addr string, ok bool)
	// AlterPartition asks the controller for changes of ISRs, in the highest version both sides know. The request has
	// the fields of all versions; sender's broker epoch and version are set by the callee.
	AlterPartition func(context.Context, *kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error)

	ReplicaLagTimeMax time.Duration // replica.lag.time.max.ms
	Fetchers          FetcherOptions
	Throttles         Throttles
	// ReadFromFollowers has followers told of a new high watermark at once, for the consumers that read there (KIP-392).
	ReadFromFollowers bool
	Logger            *zap.Logger
}

// Manager knows every partition hosted by this broker.
type Manager struct {
	Options
	state *zap.Logger // "state.change.logger"

	// partitions is replaced whole by the holder of turn; requests load it.
	partitions atomic.Pointer[map[topic.Partition]*Partition]

	// turn holds one token: what controllers send is carried out one after the other, files and all.
	turn chan struct{}

	// controllerEpoch is the largest a controller has shown to this broker; requests of lower ones are refused. It
	// belongs to the holder of turn.
	controllerEpoch int32

	// roleChanges counts the roles stored in partitions and the failures of logs, each after it: what fetchers have to
	// look at their partitions for.
	roleChanges atomic.Uint64

	// changes counts the replacements of partitions, each after it.
	changes atomic.Uint64

	// heard counts the LeaderAndIsr requests carried out; expecting are the fetches that wait for the next one.
	heard     atomic.Uint64
	expecting waiters

	// doubted is the broker epoch in which this broker may have been replaced without noticing; see Doubt.
	doubted atomic.Int64

	leaving atomic.Bool // see Leave

	begun    time.Time // what now counts from
	keeper   *isrKeeper
	fetchers *fetchers
}

// NewManager makes a Manager without partitions; the first LeaderAndIsr brings them, from disk where they are.
func NewManager(o Options) *Manager {
	m := &Manager{Options: o, turn: make(chan struct{}, 1)}
	m.state = o.Logger.Named("state.change.logger")
	m.partitions.Store(&map[topic.Partition]*Partition{})
	m.turn <- struct{}{}
	m.doubted.Store(math.MinInt64)
	m.begun = time.Now()
	m.keeper = newISRKeeper(m)
	m.fetchers = newFetchers(m)
	return m
}

// Start begins to keep ISRs and to follow leaders; Stop ends it.
func (m *Manager) Start() { m.keeper.start() }

// Changes counts how often partitions came to be hosted here or ceased to be: a Partition found when the counter stood
// where it stands is still the one of its name.
func (m *Manager) Changes() uint64 { return m.changes.Load() }

// Heard counts the LeaderAndIsr requests carried out so far. See Reader.Heard.
func (m *Manager) Heard() uint64 { return m.heard.Load() }

// now is the time the manager has been there; it does not jump with the wall clock.
func (m *Manager) now() time.Duration { return time.Since(m.begun) }

// Partition finds a hosted partition, nil if this broker is not one of its replicas.
func (m *Manager) Partition(tp topic.Partition) *Partition { return (*m.partitions.Load())[tp] }

// All returns the hosted partitions; the map must not be written to.
func (m *Manager) All() map[topic.Partition]*Partition { return *m.partitions.Load() }

// FromController carries out what a controller of this epoch sends, while nothing else from any controller is under
// way: a request of one that has been replaced cannot come through behind those of its successor. It answers
// STALE_CONTROLLER_EPOCH then and does nothing.
func (m *Manager) FromController(epoch int32, carryOut func()) error {
	<-m.turn
	defer func() { m.turn <- struct{}{} }()
	if epoch < m.controllerEpoch {
		return kerr.StaleControllerEpoch
	}
	m.controllerEpoch = epoch
	carryOut()
	return nil
}

// change replaces the map of partitions; only the holder of turn calls it.
func (m *Manager) change(edit func(map[topic.Partition]*Partition)) {
	next := maps.Clone(*m.partitions.Load())
	edit(next)
	m.partitions.Store(&next)
	m.changes.Add(1)
}

// Stop ends the loops and answers everyone who still waits at a partition, as if the lead had been lost.
func (m *Manager) Stop() {
	m.keeper.stop()
	m.fetchers.stop()
	<-m.turn
	for _, p := range m.All() {
		p.stop()
	}
	m.turn <- struct{}{}
}

// LogsFailed answers everyone who waits at a partition whose log went offline. The partitions stay: whatever is asked
// of them is answered KAFKA_STORAGE_ERROR, to clients and to the controller.
func (m *Manager) LogsFailed() {
	m.roleChanges.Add(1)
	for _, p := range m.All() {
		if p.log.Err() != nil {
			p.roleChanged()
		}
	}
}
