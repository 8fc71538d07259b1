package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/zurau/zurau/broker/ibp"
)

// Broker is a checked server.properties. The tags name the keys; a time.Duration comes from a key in
// milliseconds and is negative where the key says -1. Fields without a tag are worked out from several keys.
// Immutable once loaded.
type Broker struct {
	values map[string]string // as given: file, overrides, dynamic layers; unknown keys too
	parsed map[string]any    // the known ones by name, defaults included, as Key.parse gives them

	// Identity.
	BrokerID                 int32  `config:"broker.id"` // -1: from meta.properties or generated
	BrokerIDGenerationEnable bool   `config:"broker.id.generation.enable"`
	ReservedBrokerMaxID      int32  `config:"reserved.broker.max.id"`
	Rack                     string `config:"broker.rack"`
	// InterBrokerProtocol is inter.broker.protocol.version.
	InterBrokerProtocol ibp.Level

	// ZooKeeper.
	ZooKeeperConnect             string        `config:"zookeeper.connect"`
	ZooKeeperSessionTimeout      time.Duration `config:"zookeeper.session.timeout.ms"`
	ZooKeeperConnectionTimeout   time.Duration // zookeeper.connection.timeout.ms, else the session timeout
	ZooKeeperMaxInFlightRequests int32         `config:"zookeeper.max.in.flight.requests"`
	ZooKeeperSetACL              bool          `config:"zookeeper.set.acl"`

	// Network.
	Listeners            []Listener // where to bind
	AdvertisedListeners  []Listener // what is registered; a blank host means this machine's name
	InterBrokerListener  string     // name of the listener that brokers use among themselves
	ControlPlaneListener string     // name of the controller's own listener, "" if there is none
	// ListenerSecurityProtocols maps listener names to PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL.
	ListenerSecurityProtocols       map[string]string
	SocketSendBufferBytes           int32            `config:"socket.send.buffer.bytes"`
	SocketReceiveBufferBytes        int32            `config:"socket.receive.buffer.bytes"`
	SocketRequestMaxBytes           int32            `config:"socket.request.max.bytes"`
	SocketListenBacklogSize         int32            `config:"socket.listen.backlog.size"`
	QueuedMaxRequests               int32            `config:"queued.max.requests"`
	QueuedMaxRequestBytes           int64            `config:"queued.max.request.bytes"` // <= 0: no limit
	MaxConnections                  int32            `config:"max.connections"`
	MaxConnectionsPerIP             int32            `config:"max.connections.per.ip"`
	MaxConnectionsPerIPOverrides    map[string]int32 // host or address to limit
	MaxConnectionCreationRate       int32            `config:"max.connection.creation.rate"`
	ConnectionsMaxIdle              time.Duration    `config:"connections.max.idle.ms"` // negative: never
	FailedAuthenticationDelay       time.Duration    `config:"connection.failed.authentication.delay.ms"`
	RequestTimeout                  time.Duration    `config:"request.timeout.ms"`
	SocketConnectionSetupTimeout    time.Duration    `config:"socket.connection.setup.timeout.ms"`
	SocketConnectionSetupTimeoutMax time.Duration    `config:"socket.connection.setup.timeout.max.ms"`
	FetchMaxBytes                   int32            `config:"fetch.max.bytes"`
	MaxIncrementalFetchSessionSlots int32            `config:"max.incremental.fetch.session.cache.slots"`
	NumNetworkThreads               int32            `config:"num.network.threads"`
	NumIOThreads                    int32            `config:"num.io.threads"`
	BackgroundThreads               int32            `config:"background.threads"`
	NumRecoveryThreadsPerDataDir    int32            `config:"num.recovery.threads.per.data.dir"`
	ControlledShutdownEnable        bool             `config:"controlled.shutdown.enable"`
	ControlledShutdownMaxRetries    int32            `config:"controlled.shutdown.max.retries"`
	ControlledShutdownRetryBackoff  time.Duration    `config:"controlled.shutdown.retry.backoff.ms"`
	ControllerSocketTimeout         time.Duration    `config:"controller.socket.timeout.ms"`

	// Topics and leadership.
	NumPartitions                   int32         `config:"num.partitions"`
	DefaultReplicationFactor        int32         `config:"default.replication.factor"`
	AutoCreateTopicsEnable          bool          `config:"auto.create.topics.enable"`
	DeleteTopicEnable               bool          `config:"delete.topic.enable"`
	AutoLeaderRebalanceEnable       bool          `config:"auto.leader.rebalance.enable"`
	LeaderImbalancePerBrokerPercent int32         `config:"leader.imbalance.per.broker.percentage"`
	LeaderImbalanceCheckInterval    time.Duration // leader.imbalance.check.interval.seconds
	UncleanLeaderElectionEnable     bool          `config:"unclean.leader.election.enable"`
	MinInsyncReplicas               int32         `config:"min.insync.replicas"`
	MessageMaxBytes                 int32         `config:"message.max.bytes"`

	// Log.
	LogDirs                          []string      // log.dirs, else log.dir; in the order given
	LogFlushSchedulerInterval        time.Duration `config:"log.flush.scheduler.interval.ms"`
	LogFlushOffsetCheckpointInterval time.Duration `config:"log.flush.offset.checkpoint.interval.ms"`
	LogFlushStartOffsetCheckpoint    time.Duration `config:"log.flush.start.offset.checkpoint.interval.ms"`
	LogRetentionCheckInterval        time.Duration `config:"log.retention.check.interval.ms"`
	LogInitialTaskDelay              time.Duration `config:"log.initial.task.delay.ms"`
	LogCleanerEnable                 bool          `config:"log.cleaner.enable"`
	LogCleanerThreads                int32         `config:"log.cleaner.threads"`
	LogCleanerDedupeBufferSize       int64         `config:"log.cleaner.dedupe.buffer.size"`
	LogCleanerIOBufferSize           int32         `config:"log.cleaner.io.buffer.size"`
	LogCleanerLoadFactor             float64       `config:"log.cleaner.io.buffer.load.factor"`
	LogCleanerMaxBytesPerSecond      float64       `config:"log.cleaner.io.max.bytes.per.second"`
	LogCleanerBackoff                time.Duration `config:"log.cleaner.backoff.ms"`
	ProducerIDExpiration             time.Duration `config:"producer.id.expiration.ms"`
	ProducerIDExpirationCheck        time.Duration `config:"producer.id.expiration.check.interval.ms"`

	// Replication.
	ReplicaLagTimeMax            time.Duration `config:"replica.lag.time.max.ms"`
	ReplicaSocketTimeout         time.Duration `config:"replica.socket.timeout.ms"`
	ReplicaSocketReceiveBuffer   int32         `config:"replica.socket.receive.buffer.bytes"`
	ReplicaFetchMaxBytes         int32         `config:"replica.fetch.max.bytes"`
	ReplicaFetchResponseMaxBytes int32         `config:"replica.fetch.response.max.bytes"`
	ReplicaFetchWaitMax          time.Duration `config:"replica.fetch.wait.max.ms"`
	ReplicaFetchMinBytes         int32         `config:"replica.fetch.min.bytes"`
	ReplicaFetchBackoff          time.Duration `config:"replica.fetch.backoff.ms"`
	NumReplicaFetchers           int32         `config:"num.replica.fetchers"`
	HighWatermarkCheckpoint      time.Duration `config:"replica.high.watermark.checkpoint.interval.ms"`
	ReplicaSelectorClass         string        `config:"replica.selector.class"`
	ReadFromFollowers            bool          // the class is RackAwareReplicaSelector

	LeaderThrottledRate        int64         `config:"leader.replication.throttled.rate"` // bytes a second
	FollowerThrottledRate      int64         `config:"follower.replication.throttled.rate"`
	AlterLogDirsRate           int64         `config:"replica.alter.log.dirs.io.max.bytes.per.second"` // read; logs move within a broker later
	ReplicationQuotaSamples    int32         `config:"replication.quota.window.num"`
	ReplicationQuotaSampleSize time.Duration // replication.quota.window.size.seconds

	// Groups, offsets, transactions.
	GroupMinSessionTimeout           time.Duration `config:"group.min.session.timeout.ms"`
	GroupMaxSessionTimeout           time.Duration `config:"group.max.session.timeout.ms"`
	GroupInitialRebalanceDelay       time.Duration `config:"group.initial.rebalance.delay.ms"`
	GroupMaxSize                     int32         `config:"group.max.size"`
	OffsetMetadataMaxBytes           int32         `config:"offset.metadata.max.bytes"`
	OffsetsLoadBufferSize            int32         `config:"offsets.load.buffer.size"`
	OffsetsTopicReplicationFactor    int16         `config:"offsets.topic.replication.factor"`
	OffsetsTopicNumPartitions        int32         `config:"offsets.topic.num.partitions"`
	OffsetsTopicSegmentBytes         int32         `config:"offsets.topic.segment.bytes"`
	OffsetsTopicCompressionCodec     int32         `config:"offsets.topic.compression.codec"`
	OffsetsRetention                 time.Duration // offsets.retention.minutes
	OffsetsRetentionCheckInterval    time.Duration `config:"offsets.retention.check.interval.ms"`
	OffsetsCommitTimeout             time.Duration `config:"offsets.commit.timeout.ms"`
	OffsetsCommitRequiredAcks        int16         `config:"offsets.commit.required.acks"`
	TransactionalIDExpiration        time.Duration `config:"transactional.id.expiration.ms"`
	TransactionMaxTimeout            time.Duration `config:"transaction.max.timeout.ms"`
	TransactionLogReplicationFactor  int16         `config:"transaction.state.log.replication.factor"`
	TransactionLogNumPartitions      int32         `config:"transaction.state.log.num.partitions"`
	TransactionLogSegmentBytes       int32         `config:"transaction.state.log.segment.bytes"`
	TransactionLogLoadBufferSize     int32         `config:"transaction.state.log.load.buffer.size"`
	TransactionLogMinISR             int32         `config:"transaction.state.log.min.isr"`
	TransactionAbortInterval         time.Duration `config:"transaction.abort.timed.out.transaction.cleanup.interval.ms"`
	TransactionRemoveExpiredInterval time.Duration `config:"transaction.remove.expired.transaction.cleanup.interval.ms"`
	TransactionPartitionVerification bool          `config:"transaction.partition.verification.enable"`
}

// Value gives a key as it was configured, or its default; ok is false where both are null. It serves the keys
// that have no field: plugins, security and whatever a newer version brings.
func (b *Broker) Value(name string) (value string, ok bool) {
	if v, set := b.values[name]; set {
		return v, true
	}
	if k := BrokerKey(name); k != nil && k.HasDefault() {
		return k.Default, true
	}
	return "", false
}

// Configured tells whether a key was given, in the file, by --override or dynamically. It serves the keys whose
// default is not as good as saying nothing.
func (b *Broker) Configured(name string) bool {
	_, set := b.values[name]
	return set
}

// String lists the values in force, a line each with a tab in front, as Kafka logs them at the start.
// Passwords are hidden.
func (b *Broker) String() string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(b.parsed)) {
		k := BrokerKey(name)
		if k.Mode&(Internal|Legacy|DynamicOnly) != 0 {
			continue
		}
		text, set := k.text(b.parsed[name])
		switch list, isList := b.parsed[name].([]string); {
		case !set:
			text = "null"
		case k.Sensitive():
			text = k.shown(text)
		case isList:
			text = "[" + strings.Join(list, ", ") + "]"
		}
		fmt.Fprintf(&out, "\t%s = %s\n", name, text)
	}
	return out.String()
}
