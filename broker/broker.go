package broker

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/api"
	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/controller"
	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/broker/loglevel"
	"github.com/zurau/zurau/broker/metadata"
	"github.com/zurau/zurau/broker/metrics"
	"github.com/zurau/zurau/broker/replica"
	"github.com/zurau/zurau/broker/storage"
	"github.com/zurau/zurau/broker/txn"
	"github.com/zurau/zurau/broker/wire"
	"github.com/zurau/zurau/zkmeta"
)

// Broker is one broker: Start and Stop are called once each, by its owner.
type Broker struct {
	// LogLevels are the levels of the loggers below the one New was given, for clients to see and change. Set before
	// Start; nil leaves clients a table that nobody asks.
	LogLevels *loglevel.Table
	// TellSession is given the ZooKeeper session the broker is about to register in, and id 0 when that was closed (see
	// package watchdog). Set before Start; nil for nobody.
	TellSession func(id int64, password []byte) error

	static  *config.Broker
	logger  *zap.Logger // "kafka.server.KafkaServer"
	root    *zap.Logger // parent of the rooms' loggers
	dynamic *config.Dynamic

	level        ibp.Level // set once, by settleLevel
	zk           *zkmeta.Client
	registrar    *registrar
	configs      *configListener
	storage      *storage.Manager
	metadata     *metadata.Cache
	replicas     *replica.Manager
	controller   *controller.Controller
	toController *toController
	producerIDs  *txn.ProducerIDs
	handler      *api.Handler
	server       *wire.Server
	lives        *lives
	freeze       *freezeGuard
	dirs         *dirFailures

	undo []func() // what Start has started, ended by Stop in reverse
}

// New takes a checked configuration. Nothing is opened before Start.
func New(cfg *config.Broker, logger *zap.Logger) *Broker {
	b := &Broker{static: cfg, root: logger, logger: logger.Named("kafka.server.KafkaServer"), dynamic: config.NewDynamic(cfg)}
	b.dirs = newDirFailures(b)
	return b
}

// Start brings the broker up. When it returns nil the broker is registered and answers; clients' requests wait in
// their connections until the controller has introduced it (Ready). When it returns an error nothing is left running.
// ctx bounds the start, not the broker.
func (b *Broker) Start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			b.logger.Error("Fatal error during KafkaServer startup. Prepare to shutdown", zap.Error(err))
			b.unwind()
		}
	}()
	b.logger.Info("starting")
	if err = b.lockStorage(); err != nil {
		return err
	}
	session, err := b.connect(ctx)
	if err != nil {
		return err
	}
	if err = b.loadStorage(ctx, session); err != nil {
		return err
	}
	if err = b.buildRooms(); err != nil {
		return err
	}
	if err = b.join(ctx, session); err != nil {
		return err
	}
	b.logger.Info(b.line("started"))
	return nil
}

// lockStorage takes the log directories: from here on no other broker, and no earlier life of this one, uses them.
func (b *Broker) lockStorage() (err error) {
	c := b.static
	b.storage, err = storage.Lock(storage.Options{
		Dirs:                    c.LogDirs,
		Topic:                   b.dynamic.Topic,
		Logger:                  b.root.Named("kafka.log.LogManager"),
		RecoveryThreads:         int(c.NumRecoveryThreadsPerDataDir),
		RetentionCheckInterval:  c.LogRetentionCheckInterval,
		RetentionFirstCheck:     c.LogInitialTaskDelay,
		FlushCheckInterval:      c.LogFlushSchedulerInterval,
		CheckpointInterval:      c.LogFlushOffsetCheckpointInterval,
		HighWatermarkInterval:   c.HighWatermarkCheckpoint,
		ProducerExpiration:      c.ProducerIDExpiration,
		ProducerExpirationCheck: c.ProducerIDExpirationCheck,
		OnDirFailure:            b.dirs.note,
	})
	if err != nil {
		return err
	}
	b.onStop(func() {
		if err := b.storage.Close(); err != nil {
			b.logger.Error("The logs were not closed cleanly", zap.Error(err))
		}
	})
	return nil
}

// connect opens the session and learns who this broker is.
func (b *Broker) connect(ctx context.Context) (*zkmeta.Session, error) {
	b.logger.Info("Connecting to zookeeper on " + b.static.ZooKeeperConnect)
	zk, err := zkmeta.Connect(ctx, zkmeta.Options{
		ConnectString:     b.static.ZooKeeperConnect,
		SessionTimeout:    b.static.ZooKeeperSessionTimeout,
		ConnectionTimeout: b.static.ZooKeeperConnectionTimeout,
		CreateChroot:      true,
		SecureACLs:        b.static.ZooKeeperSetACL,
		Logger:            b.root.Named("kafka.zookeeper.ZooKeeperClient"),
	})
	if err != nil {
		return nil, err
	}
	b.zk = zk
	b.onStop(func() {
		zk.Close()
		if b.registrar != nil && zk.SessionClosed() {
			b.registrar.forgetSession()
		}
	})
	session, err := zk.AwaitSession(ctx)
	if err != nil {
		return nil, err
	}
	if err := session.EnsurePaths(ctx); err != nil {
		return nil, err
	}
	b.registrar, err = openIdentity(ctx, session, b.static, b.logger)
	if err != nil {
		return nil, err
	}
	if b.TellSession != nil {
		b.registrar.tellSession = b.TellSession
	}
	b.logger.Info("Cluster ID = " + b.registrar.clusterID)
	b.freeze = newFreezeGuard(zk, session, b.logger)
	b.freeze.start()
	b.onStop(b.freeze.stop)
	return session, b.settleLevel(ctx, session)
}

// loadStorage reads the topics' configurations, which decide how logs are loaded, and loads the logs.
func (b *Broker) loadStorage(ctx context.Context, session *zkmeta.Session) error {
	b.configs = newConfigListener(b.registrar.id, b.dynamic, b.root.Named("kafka.server.ZkConfigManager"))
	if err := b.configs.load(ctx, session); err != nil {
		return err
	}
	b.configs.storage = b.storage
	return b.storage.Load(b.registrar.clusterID, b.registrar.id)
}

// buildRooms makes everything between the two outer doors and binds the listeners, so that ports are known. The
// requests a controller sends are served from here on.
func (b *Broker) buildRooms() error {
	id := b.registrar.id
	registry := metrics.New()
	b.storage.Measure(registry)
	b.configs.throttles.measure(registry)
	b.metadata = metadata.New()
	b.replicas = replica.NewManager(b.replicaOptions())
	client := wire.ClientOptions{ClientID: strconv.Itoa(int(id)), Timeout: b.static.ControllerSocketTimeout}
	b.controller = controller.New(controller.Options{
		BrokerID: id, ZK: b.zk, Level: b.level,
		Listener: b.controllerListener(), Client: client, DeleteTopicEnable: b.static.DeleteTopicEnable,
		UncleanLeaderElectionEnable: func() bool { return b.dynamic.Broker().UncleanLeaderElectionEnable },
		Rebalance:                   b.rebalance(), Awake: b.freeze.awaitOffice, TopicID: b.topicID,
		Metrics: registry, Log: b.root.Named("kafka.controller.KafkaController"),
	})
	b.configs.changed = func(topic string) {
		if topic == "" {
			b.controller.BrokerConfigChanged()
		} else {
			b.controller.TopicConfigChanged(topic)
		}
	}
	b.toController = newToController(b.metadata, b.controllerListener(), client)
	b.onStop(b.toController.close)
	b.producerIDs = txn.NewProducerIDs(b.blockSource(), b.root.Named("kafka.coordinator.transaction.ProducerIdManager"))
	b.handler = api.New(api.Options{
		BrokerID: id, ClusterID: b.registrar.clusterID, Level: b.level, Config: b.dynamic,
		Metadata: b.metadata, Replicas: b.replicas, Storage: b.storage, Controller: b.controller, ZK: b.zk,
		BrokerEpoch: b.registrar.epoch.Load, ProducerIDs: b.producerIDs, Logger: b.root.Named("kafka.server.KafkaApis"),
		LogLevels: b.LogLevels, Guard: b.freeze, AwaitLease: b.freeze.awaitLease, FollowerEpoch: b.followerEpoch,
	})
	b.server = wire.NewServer(b.serverOptions(), b.handler.Handle, b.root.Named("kafka.network.SocketServer"), registry)
	b.configs.limits = func() { b.server.SetLimits(connectionLimits(b.dynamic.Broker())) }
	if err := b.server.Listen(); err != nil {
		return err
	}
	b.server.Serve()
	b.onStop(func() {
		b.replicas.Stop() // whoever waits for replicas or for records is answered first
		drain, cancel := context.WithTimeout(context.Background(), drainTimeout)
		defer cancel()
		if err := b.server.Stop(drain); err != nil {
			b.logger.Warn("Some connections were cut off", zap.Error(err))
		}
	})
	return nil
}

func (b *Broker) replicaOptions() replica.Options {
	c := b.static
	return replica.Options{
		BrokerID: b.registrar.id, Storage: b.storage, RefreshTopics: b.refreshTopics, Logger: b.root,
		Alive:             func(id int32) bool { return b.metadata.Load().Broker(id) != nil },
		LeaderAddr:        b.leaderAddr,
		AlterPartition:    b.alterPartition,
		ReplicaLagTimeMax: c.ReplicaLagTimeMax, ReadFromFollowers: c.ReadFromFollowers,
		Throttles: replica.Throttles{Leader: b.configs.throttles.leader, Follower: b.configs.throttles.follower},
		Fetchers: replica.FetcherOptions{
			PerLeader: int(c.NumReplicaFetchers), Client: wire.ClientOptions{Timeout: c.ReplicaSocketTimeout},
			Level: b.level, BrokerEpoch: b.registrar.epoch.Load,
			WaitMax: c.ReplicaFetchWaitMax, Backoff: c.ReplicaFetchBackoff, MinBytes: c.ReplicaFetchMinBytes,
			MaxBytes: c.ReplicaFetchResponseMaxBytes, PartitionMaxBytes: c.ReplicaFetchMaxBytes,
		},
	}
}

// followerEpoch is the broker epoch in another broker's registration.
func (b *Broker) followerEpoch(ctx context.Context, id int32) (int64, error) {
	s, err := b.zk.AwaitSession(ctx)
	if err != nil {
		return 0, err
	}
	info, err := s.Broker(ctx, id)
	return info.Epoch, err
}

// leaderAddr is where a leader is fetched from.
func (b *Broker) leaderAddr(id int32) (string, bool) {
	e, ok := b.metadata.Load().Endpoint(id, b.static.InterBrokerListener)
	return net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port))), ok
}

// drainTimeout is how long a stop waits for requests in work.
const drainTimeout = 5 * time.Second

// join makes the broker part of its cluster and starts the loops.
func (b *Broker) join(ctx context.Context, session *zkmeta.Session) error {
	b.registrar.endpoints = b.endpoints()
	if err := b.registrar.register(ctx, session); err != nil {
		return err
	}
	b.storage.Start()
	b.replicas.Start()
	b.producerIDs.Start()
	b.onStop(b.producerIDs.Stop)
	b.controller.Start()
	b.onStop(b.controller.Stop)
	// The session ends before the controller does: its registration and its office go in one transaction, as Kafka's do.
	// A controller elected between the two would take this broker for alive and give it topics.
	b.onStop(b.zk.Close)
	if !b.level.ControllerAllocatesProducerIDs() {
		b.producerIDs.Prepare() // as brokers of that time do, so that /latest_producer_id_block tells the same
	}
	b.lives = startLives(b, session)
	b.onStop(b.lives.stop)
	b.dirs.start()
	b.onStop(b.dirs.stop)
	return nil
}

// Ready is closed when the controller has introduced this broker to its cluster and clients are served.
func (b *Broker) Ready() <-chan struct{} { return b.handler.Ready() }

// Failed gets the reason when the broker cannot go on and should be stopped: its last log directory has failed. Kafka
// halts the process then, with status 1.
func (b *Broker) Failed() <-chan error { return b.dirs.ended }

// ID is the broker id in use; valid after Start.
func (b *Broker) ID() int32 { return b.registrar.id }

// Addr is where a listener is bound; valid after Start. nil for no such listener.
func (b *Broker) Addr(listener string) net.Addr {
	if a := b.server.Addr(listener); a != nil {
		return a
	}
	return nil
}

// Stop ends the broker in order: leadership is handed over while requests are still served, the cluster is left, the
// listeners close, and last the logs are flushed and marked clean. ctx bounds the handing over.
func (b *Broker) Stop(ctx context.Context) {
	b.logger.Info(b.line("shutting down"))
	if b.static.ControlledShutdownEnable && !b.dirs.all() {
		b.controlledShutdown(ctx)
	}
	b.unwind()
	b.logger.Info(b.line("shut down completed"))
}

// line is a log line as people grep for it in Kafka's.
func (b *Broker) line(what string) string {
	return fmt.Sprintf("[KafkaServer id=%d] %s", b.registrar.id, what)
}

func (b *Broker) onStop(f func()) { b.undo = append(b.undo, f) }

func (b *Broker) unwind() {
	for _, f := range slices.Backward(b.undo) {
		f()
	}
	b.undo = nil
}

// controllerListener is where the controller reaches the brokers.
func (b *Broker) controllerListener() string {
	if b.static.ControlPlaneListener != "" {
		return b.static.ControlPlaneListener
	}
	return b.static.InterBrokerListener
}

func (b *Broker) serverOptions() wire.ServerOptions {
	c := b.static
	o := wire.ServerOptions{
		InterBrokerListener: c.InterBrokerListener,
		MaxRequestSize:      int(c.SocketRequestMaxBytes),
		MaxQueuedBytes:      c.QueuedMaxRequestBytes,
		SendBuffer:          int(c.SocketSendBufferBytes),
		IdleTimeout:         c.ConnectionsMaxIdle,
		Limits:              connectionLimits(b.dynamic.Broker()),
	}
	// Kafka's defaults for these two cost throughput and a second at a burst of connections: the kernel knows better.
	if c.Configured("socket.receive.buffer.bytes") {
		o.ReceiveBuffer = int(c.SocketReceiveBufferBytes)
	}
	if c.Configured("socket.listen.backlog.size") {
		o.Backlog = int(c.SocketListenBacklogSize)
	}
	for _, l := range c.Listeners {
		limit, _ := strconv.Atoi(c.ListenerValue(l.Name, "max.connections"))
		rate, _ := strconv.Atoi(c.ListenerValue(l.Name, "max.connection.creation.rate"))
		o.Listeners = append(o.Listeners, wire.Listener{Name: l.Name, Host: l.Host, Port: int(l.Port),
			SecurityProtocol: c.ListenerSecurityProtocols[l.Name], MaxConnections: limit, CreationRate: rate})
	}
	return o
}

// connectionLimits are those keys of the listeners that may change while the broker runs.
func connectionLimits(c *config.Broker) wire.Limits {
	l := wire.Limits{
		MaxConnections:               int(c.MaxConnections),
		MaxConnectionsPerIP:          int(c.MaxConnectionsPerIP),
		MaxConnectionsPerIPOverrides: make(map[string]int, len(c.MaxConnectionsPerIPOverrides)),
		MaxCreationRate:              int(max(c.MaxConnectionCreationRate, 1)), // 0 is as slow as 1 in Kafka too
	}
	for host, n := range c.MaxConnectionsPerIPOverrides {
		l.MaxConnectionsPerIPOverrides[host] = int(n)
	}
	return l
}

// rebalance says when a controller here moves leaders back to their preferred replicas.
func (b *Broker) rebalance() controller.Rebalance {
	r := controller.Rebalance{Imbalance: b.static.LeaderImbalancePerBrokerPercent}
	if b.static.AutoLeaderRebalanceEnable {
		r.Interval = b.static.LeaderImbalanceCheckInterval
	}
	return r
}

// endpoints are the advertised listeners, with the ports the kernel chose where 0 was configured.
func (b *Broker) endpoints() []zkmeta.Endpoint {
	var all []zkmeta.Endpoint
	for _, l := range b.static.AdvertisedListeners {
		e := zkmeta.Endpoint{Listener: l.Name, SecurityProtocol: b.static.ListenerSecurityProtocols[l.Name], Host: l.Host, Port: l.Port}
		if bound := b.server.Addr(l.Name); e.Port == 0 && bound != nil {
			e.Port = int32(bound.Port)
		}
		if e.Host == "" {
			e.Host = hostName()
		}
		all = append(all, e)
	}
	return all
}
