package broker

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/storage"
	"github.com/zurau/zurau/zkmeta"
)

// configListener keeps the dynamic configuration equal to what stands in ZooKeeper. A notification in /config/changes
// only says which entity to read again.
type configListener struct {
	id      int32
	dynamic *config.Dynamic
	storage *storage.Manager // nil until the logs are loaded, and set before run
	// changed tells the controller of a notification; "" stands for the brokers' own configuration. Set before run.
	changed   func(topic string)
	limits    func() // puts the brokers' limits of connections in force; nil until there is a server, and set before run
	last      int64  // sequence of the last notification carried out in this session, -1 for none; lives owns it
	throttles *throttles
	logger    *zap.Logger

	// turn holds one token, for whoever reads values and puts them in force: what was read before must not be put in
	// force behind what was read after.
	turn chan struct{}
}

func newConfigListener(id int32, d *config.Dynamic, logger *zap.Logger) *configListener {
	l := &configListener{id: id, dynamic: d, throttles: newThrottles(id, d.Broker()), logger: logger, turn: make(chan struct{}, 1)}
	l.turn <- struct{}{}
	return l
}

// take waits for the turn, which release gives back. An error is ctx's.
func (l *configListener) take(ctx context.Context) error {
	select {
	case <-l.turn:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *configListener) release() { l.turn <- struct{}{} }

// load reads everything anew: at the start, and in each new session, because notifications may have come and
// gone between two sessions. Their numbers mean nothing any more either: a ZooKeeper that was wiped counts from 0.
func (l *configListener) load(ctx context.Context, s *zkmeta.Session) error {
	if err := l.take(ctx); err != nil {
		return err
	}
	defer l.release()
	l.last = -1
	topics, err := s.Entities(ctx, zkmeta.TopicConfigs)
	if err != nil {
		return err
	}
	entities := append([]zkmeta.Entity{zkmeta.DefaultBrokerEntity, zkmeta.BrokerEntity(l.id)}, topics...)
	for _, name := range l.dynamic.Overridden() {
		if e := zkmeta.TopicEntity(name); !slices.Contains(topics, e) {
			entities = append(entities, e) // lost its configuration between the sessions
		}
	}
	return l.readLocked(ctx, s, entities)
}

// run carries out notifications until ctx or the session ends.
func (l *configListener) run(ctx context.Context, s *zkmeta.Session) {
	hint := make(chan struct{}, 1)
	w := s.WatchChildren(zkmeta.ConfigChangesPath, func() {
		select {
		case hint <- struct{}{}:
		default:
		}
	})
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.Context().Done():
			return
		case <-hint:
		}
		if err := l.step(ctx, s); err != nil {
			l.logger.Warn("Configuration changes were not read, will retry", zap.Error(err))
			time.AfterFunc(time.Second, func() {
				select {
				case hint <- struct{}{}:
				default:
				}
			})
		}
	}
}

func (l *configListener) step(ctx context.Context, s *zkmeta.Session) error {
	if err := l.take(ctx); err != nil {
		return err
	}
	defer l.release()
	changes, last, err := s.ConfigChanges(ctx, l.last)
	if err != nil {
		return err
	}
	for _, c := range changes {
		values, err := s.ReadConfig(ctx, c.Entity)
		if err != nil {
			return err
		}
		l.logger.Info("Processing override for entityPath: " + string(c.Entity))
		l.apply(c.Entity, values)
		switch {
		case c.Entity.Type() == zkmeta.TopicConfigs:
			l.changed(c.Entity.Name())
		case c.Entity.Type() == zkmeta.BrokerConfigs:
			l.changed("")
		}
	}
	l.last = last
	if len(changes) > 0 {
		return s.PurgeConfigChanges(ctx)
	}
	return nil
}

// refreshTopics reads the configurations of new topics, in one round. What is known stays in force when ZooKeeper does
// not answer.
func (b *Broker) refreshTopics(names []string) {
	ctx, cancel := context.WithTimeout(context.Background(), refreshTimeout)
	defer cancel()
	entities := make([]zkmeta.Entity, len(names))
	for i, name := range names {
		entities[i] = zkmeta.TopicEntity(name)
	}
	s, err := b.zk.AwaitSession(ctx)
	if err == nil {
		err = b.configs.read(ctx, s, entities)
	}
	if err != nil {
		b.configs.logger.Warn("The configurations of new topics were not read", zap.Strings("topics", names), zap.Error(err))
	}
}

// read reads entities and puts what they have in force.
func (l *configListener) read(ctx context.Context, s *zkmeta.Session, entities []zkmeta.Entity) error {
	if err := l.take(ctx); err != nil {
		return err
	}
	defer l.release()
	return l.readLocked(ctx, s, entities)
}

// readLocked is read for the holder of turn.
func (l *configListener) readLocked(ctx context.Context, s *zkmeta.Session, entities []zkmeta.Entity) error {
	values, err := s.ReadConfigs(ctx, entities)
	if err != nil {
		return err
	}
	for _, e := range entities {
		l.apply(e, values[e])
	}
	return nil
}

const refreshTimeout = 5 * time.Second

// apply puts an entity's values in force. What is wrong in them is said, and left out: an ops script's typo must
// not stop a broker.
func (l *configListener) apply(e zkmeta.Entity, values map[string]string) {
	var err error
	switch {
	case e.Type() == zkmeta.TopicConfigs:
		_, err = l.dynamic.SetTopic(e.Name(), values)
		l.reconfigure(func(name string) bool { return name == e.Name() })
		l.throttles.setTopic(e.Name(), l.dynamic.Topic(e.Name()))
	case e == zkmeta.DefaultBrokerEntity:
		err = l.dynamic.SetBrokerDefault(values)
		l.reconfigureBroker()
	case e == zkmeta.BrokerEntity(l.id):
		err = l.dynamic.SetBroker(values)
		l.reconfigureBroker()
	}
	if err != nil {
		l.logger.Error("Invalid configuration in ZooKeeper", zap.String("entity", string(e)), zap.Error(err))
	}
}

// reconfigureBroker hands the broker's own configuration to whoever keeps a part of it.
func (l *configListener) reconfigureBroker() {
	l.reconfigure(func(string) bool { return true })
	l.throttles.setRates(l.dynamic.Broker())
	if l.limits != nil {
		l.limits()
	}
}

// reconfigure hands the configuration in force to the logs of the topics that match.
func (l *configListener) reconfigure(match func(topic string) bool) {
	if l.storage == nil {
		return
	}
	for _, log := range l.storage.Logs() {
		if name := log.Partition().Topic; match(name) {
			log.SetConfig(l.dynamic.Topic(name))
		}
	}
}
