package broker

import (
	"context"
	"errors"
	"fmt"
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
	endpoints []zkmeta.Endpoint // set once the listeners are bound
	epoch     atomic.Int64      // broker epoch: czxid of the registration, -1 before the first
	logger    *zap.Logger
}

// openIdentity learns cluster id and broker id: from meta.properties, the configuration, or ZooKeeper, in the order
// of zookeeper.md 3.4. A log directory of another cluster or another broker stops the start.
func openIdentity(ctx context.Context, s *zkmeta.Session, cfg *config.Broker, logger *zap.Logger) (*registrar, error) {
	r := &registrar{id: cfg.BrokerID, cfg: cfg, logger: logger}
	r.epoch.Store(-1)
	var err error
	if r.clusterID, err = s.ClusterID(ctx); err != nil {
		return nil, err
	}
	if r.id < 0 {
		if r.id, err = s.GenerateBrokerID(ctx, cfg.ReservedBrokerMaxID); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// saveIdentity writes meta.properties into every log directory; the directories are locked.
func (r *registrar) saveIdentity() error {
	for _, dir := range r.cfg.LogDirs {
		if err := storage.WriteMeta(dir, storage.Meta{BrokerID: r.id, ClusterID: r.clusterID}); err != nil {
			return err
		}
	}
	return nil
}

// register makes the broker's znode in session s. While a session nobody here knows holds the id it waits, for that
// session's timeout and two ticks, and then gives up.
func (r *registrar) register(ctx context.Context, s *zkmeta.Session) error {
	info := zkmeta.BrokerInfo{ID: r.id, Endpoints: r.endpoints, Rack: r.cfg.Rack, JMXPort: -1, Timestamp: time.Now().UnixMilli()}
	epoch, err := s.RegisterBroker(ctx, info)
	var taken *zkmeta.BrokerExistsError
	if errors.As(err, &taken) {
		if err := s.AwaitBrokerGone(ctx, r.id); err != nil {
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

func hostName() string {
	if name, err := os.Hostname(); err == nil {
		return name
	}
	return "localhost"
}
