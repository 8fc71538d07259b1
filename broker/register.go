package broker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/storage"
	"github.com/zurau/zurau/zkmeta"
)

// registrar knows who this broker is and keeps it registered under /brokers/ids.
type registrar struct {
	id        int32
	clusterID string
	cfg       *config.Broker
	metas     map[string]storage.Meta // by log directory: what meta.properties said at the start
	endpoints []zkmeta.Endpoint       // set once the listeners are bound
	epoch     atomic.Int64            // broker epoch: czxid of the registration, -1 before the first
	logger    *zap.Logger

	tellSession func(id int64, password []byte) error // Broker.TellSession, never nil
}

// openIdentity learns cluster id and broker id: from meta.properties, the configuration, or ZooKeeper, in the order
// of zookeeper.md 3.4. A log directory of another cluster or another broker stops the start, and so does a cluster
// that KRaft has taken over.
func openIdentity(ctx context.Context, s *zkmeta.Session, cfg *config.Broker, logger *zap.Logger) (*registrar, error) {
	if err := refuseKRaft(ctx, s); err != nil {
		return nil, err
	}
	r := &registrar{cfg: cfg, metas: make(map[string]storage.Meta), logger: logger,
		tellSession: func(int64, []byte) error { return nil }}
	r.epoch.Store(-1)
	for _, dir := range cfg.LogDirs {
		meta, err := storage.ReadMeta(dir)
		var broken *fs.PathError
		if errors.As(err, &broken) {
			continue // the storage door says what is wrong with that directory
		}
		if err != nil {
			return nil, err
		}
		r.metas[dir] = meta
	}
	var err error
	if r.clusterID, err = s.ClusterID(ctx); err != nil {
		return nil, err
	}
	if r.id, err = storage.CheckMeta(r.metas, r.clusterID, cfg.BrokerID); err != nil {
		return nil, err
	}
	if r.id >= 0 {
		return r, nil
	}
	if !cfg.BrokerIDGenerationEnable {
		return nil, errors.New("broker.id is not set, broker.id.generation.enable is false, and no meta.properties names one")
	}
	r.id, err = s.GenerateBrokerID(ctx, cfg.ReservedBrokerMaxID)
	return r, err
}

// refuseKRaft stops the start in a cluster that a KRaft quorum has taken over, or is about to.
func refuseKRaft(ctx context.Context, s *zkmeta.Session) error {
	active, err := s.ReadController(ctx)
	if err == nil && active.KRaft() {
		return fmt.Errorf("the controller of this cluster (%d) is a KRaft one: the cluster leaves ZooKeeper, and this broker cannot "+
			"follow it", active.BrokerID)
	}
	if m, err := s.ReadMigration(ctx); err == nil && m.Started() {
		return fmt.Errorf("this cluster is migrating to KRaft (controller %d, epoch %d in /migration), and this broker cannot follow it",
			m.ControllerID, m.ControllerEpoch)
	}
	return nil // whatever else is wrong shows at the reading of what a start needs
}

// saveIdentity writes meta.properties into the log directories that lack it or know less; the directories are locked.
// Other keys in it stay. A directory that cannot be written is the storage door's trouble, as long as there is another.
func (r *registrar) saveIdentity() error {
	var failed []error
	for dir, meta := range r.metas {
		if meta.BrokerID == r.id && meta.ClusterID == r.clusterID {
			continue
		}
		meta.BrokerID, meta.ClusterID = r.id, r.clusterID
		if err := storage.WriteMeta(dir, meta); err != nil {
			r.logger.Error("meta.properties cannot be written", zap.String("dir", dir), zap.Error(err))
			failed = append(failed, err)
			delete(r.metas, dir)
			continue
		}
		r.metas[dir] = meta
	}
	if len(r.metas) == 0 {
		return errors.Join(failed...)
	}
	return nil
}

// foreignTicks is added to the session timeout when the broker id is somebody else's: the server looks for expired
// sessions once a tick, of 2 s by default.
const foreignTicks = 2 * 2 * time.Second

// register makes the broker's znode in session s, for the first time or again in a new life, which gives a new broker
// epoch. A session that an earlier process of this broker left behind is closed first; the log directories are locked,
// so that process is gone. While a session nobody here knows holds the id, register waits for as long as that session
// can live without its owner, and then gives up.
func (r *registrar) register(ctx context.Context, s *zkmeta.Session) error {
	r.closeLeftover(ctx, s)
	info := zkmeta.BrokerInfo{ID: r.id, Endpoints: r.endpoints, Rack: r.cfg.Rack, JMXPort: -1, Timestamp: time.Now().UnixMilli()}
	others, err := s.Brokers(ctx)
	if err != nil {
		return err
	}
	if err := zkmeta.CheckEndpoints(info, others); err != nil {
		return err
	}
	if err := r.saveSession(s); err != nil {
		r.logger.Warn("The ZooKeeper session cannot be remembered: after a crash the restart waits for its timeout", zap.Error(err))
	}
	epoch, err := s.RegisterBroker(ctx, info)
	var taken *zkmeta.BrokerExistsError
	if errors.As(err, &taken) {
		if err := r.outwait(ctx, s, taken); err != nil {
			return err
		}
		epoch, err = s.RegisterBroker(ctx, info)
	}
	if err != nil {
		return err
	}
	r.epoch.Store(epoch)
	r.logger.Info(fmt.Sprintf("Registered broker %d at path /brokers/ids/%d with addresses: %v, czxid (broker epoch): %d",
		r.id, r.id, r.endpoints, epoch))
	return nil
}

// outwait waits until the foreign session that holds our id has ended.
func (r *registrar) outwait(ctx context.Context, s *zkmeta.Session, taken *zkmeta.BrokerExistsError) error {
	patience := s.Timeout() + foreignTicks
	r.logger.Warn("The broker id is taken by a session this broker does not know. Waiting for it to end",
		zap.Int32("id", r.id), zap.String("session", fmt.Sprintf("0x%x", taken.Owner)), zap.Duration("at_most", patience))
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.AwaitBrokerGone(ctx, r.id)
}

// closeLeftover closes the session that the last process of this broker had, if it was killed: then /brokers/ids and
// /controller are free now and not a session timeout later.
func (r *registrar) closeLeftover(ctx context.Context, s *zkmeta.Session) {
	for dir := range maps.Keys(r.metas) {
		left, err := readSavedSession(dir)
		if errors.Is(err, os.ErrNotExist) || left.id == s.ID() {
			continue
		}
		if err == nil {
			err = zkmeta.CloseSession(ctx, r.cfg.ZooKeeperConnect, left.id, left.password)
		}
		if err != nil {
			r.logger.Warn("The session of this broker's last run was not closed", zap.String("dir", dir), zap.Error(err))
			continue
		}
		if err := removeSavedSession(dir); err != nil {
			r.logger.Warn("The session of this broker's last run is not forgotten", zap.String("dir", dir), zap.Error(err))
		}
	}
}

// saveSession remembers the session in every log directory, before anything is registered in it.
func (r *registrar) saveSession(s *zkmeta.Session) error {
	errs := []error{r.tellSession(s.ID(), s.Password())}
	for dir := range r.metas {
		errs = append(errs, writeSavedSession(dir, savedSession{id: s.ID(), password: s.Password()}))
	}
	return errors.Join(errs...)
}

// forgetSession is for a session that was closed: nobody need close it again.
func (r *registrar) forgetSession() {
	if err := r.tellSession(0, nil); err != nil {
		r.logger.Warn("The closed ZooKeeper session is not forgotten", zap.Error(err))
	}
	for dir := range r.metas {
		if err := removeSavedSession(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			r.logger.Warn("The closed ZooKeeper session is not forgotten", zap.String("dir", dir), zap.Error(err))
		}
	}
}

func hostName() string {
	if name, err := os.Hostname(); err == nil {
		return name
	}
	return "localhost"
}
