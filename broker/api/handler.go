package api

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/controller"
	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/broker/loglevel"
	"github.com/zurau/zurau/broker/metadata"
	"github.com/zurau/zurau/broker/replica"
	"github.com/zurau/zurau/broker/storage"
	"github.com/zurau/zurau/broker/txn"
	"github.com/zurau/zurau/broker/wire"
	"github.com/zurau/zurau/zkmeta"
)

// Options are the rooms a Handler asks. All but LogLevels are required; they outlive the Handler.
type Options struct {
	BrokerID   int32
	ClusterID  string
	Level      ibp.Level
	Config     *config.Dynamic // topic overrides and dynamic broker keys
	Metadata   *metadata.Cache
	Replicas   *replica.Manager
	Storage    *storage.Manager
	Controller *controller.Controller
	ZK         *zkmeta.Client
	// BrokerEpoch is the czxid of this broker's registration, -1 before the first one.
	BrokerEpoch func() int64
	ProducerIDs *txn.ProducerIDs
	Logger      *zap.Logger
	LogLevels   *loglevel.Table // what clients may change; nil: a table of this Handler's own

	// Guard is asked before an answer leaves that only a broker may give whose session lives: acks=1, and the
	// controller's. nil: nobody is asked.
	Guard Guard
	// AwaitLease waits until the broker's session is certainly alive, and fails only with ctx. nil: it always is.
	AwaitLease func(ctx context.Context) error
	// FollowerEpoch reads the broker epoch of a follower that does not tell it. nil: it stays unknown.
	FollowerEpoch func(ctx context.Context, broker int32) (int64, error)
}

// Guard knows whether this process may have slept through the end of its session.
type Guard interface {
	Token() uint64 // taken before the work for an answer begins
	wire.Guard
}

// guarded is an answer that asks the Guard before it leaves.
func (h *Handler) guarded(token uint64, r wire.Reply) wire.Reply {
	if h.Guard == nil {
		return r
	}
	return r.Guarded(h.Guard, token)
}

// token is to be taken before the work for a guarded answer begins.
func (h *Handler) token() uint64 {
	if h.Guard == nil {
		return 0
	}
	return h.Guard.Token()
}

// Handler answers every request of every connection.
type Handler struct {
	Options
	sessions *fetchSessions
	// ready is closed by the first UpdateMetadata that names this broker; only the requests a controller needs are
	// served before.
	ready *gate
	peers *peerLevels
}

// New builds the Handler; it starts no goroutine.
func New(o Options) *Handler {
	if o.LogLevels == nil {
		o.LogLevels = loglevel.New(zapcore.InfoLevel)
	}
	return &Handler{
		Options:  o,
		sessions: newFetchSessions(int(o.Config.Broker().MaxIncrementalFetchSessionSlots)),
		ready:    newGate(),
		peers:    newPeerLevels(o.Level, o.Logger),
	}
}

// Ready is closed once the broker knows itself to be part of the cluster and serves clients.
func (h *Handler) Ready() <-chan struct{} { return h.ready.opened }

// Handle is the wire.Handler of the broker. An unknown key or version closes the connection, as Kafka does; only
// ApiVersions answers any version.
func (h *Handler) Handle(ctx context.Context, r *wire.Request) wire.Reply {
	a := lookup(r.Key)
	if a == nil || (r.Version < a.min || r.Version > a.max) && r.Key != apiVersionsKey {
		return wire.Close(fmt.Sprintf("no API with key %d and version %d", r.Key, r.Version))
	}
	if !a.early && !h.ready.isOpen() {
		wait, cancel := context.WithTimeout(ctx, h.Config.Broker().RequestTimeout)
		defer cancel()
		select {
		case <-h.ready.opened:
		case <-wait.Done():
			return wire.Close("the controller has not introduced this broker to the cluster yet")
		}
	}
	return a.serve(h, ctx, r)
}

// serveFunc serves one request of one API.
type serveFunc func(h *Handler, ctx context.Context, r *wire.Request) wire.Reply

// decoded makes a serveFunc of a method that takes the decoded request. A body that does not decode closes the
// connection: there is no field to put an error in.
func decoded[T any, P interface {
	*T
	kmsg.Request
}](serve func(h *Handler, ctx context.Context, r *wire.Request, req P) wire.Reply) serveFunc {
	return func(h *Handler, ctx context.Context, r *wire.Request) wire.Reply {
		req := P(new(T))
		if err := r.Decode(req); err != nil {
			return wire.Close(fmt.Sprintf("malformed %s request: %v", kmsg.NameForKey(r.Key), err))
		}
		return serve(h, ctx, r, req)
	}
}
