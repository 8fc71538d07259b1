package broker

import (
	"context"
	"net"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/metadata"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/broker/txn"
	"github.com/zurau/zurau/broker/wire"
)

// toController sends requests to whichever broker is controller by the last UpdateMetadata.
type toController struct {
	metadata *metadata.Cache
	listener string
	client   *wire.Client
	turn     chan struct{} // holds one token: one request at a time
	// Of the open connection; they belong to the holder of turn.
	addr   string          // "" for none
	latest map[int16]int16 // by API key, the last version the controller takes; nil until it was asked
}

func newToController(m *metadata.Cache, listener string, o wire.ClientOptions) *toController {
	c := &toController{metadata: m, listener: listener, client: wire.NewClient(o), turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c
}

// close hangs up for good.
func (c *toController) close() { c.client.Close() }

// do sends req, whose version is set. An error means that nothing is known of the outcome, except
// COORDINATOR_NOT_AVAILABLE: there is no controller to ask.
func (c *toController) do(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	return c.negotiated(ctx, req, nil)
}

// negotiated is do for a request whose version choose sets, given the last one the controller takes.
func (c *toController) negotiated(ctx context.Context, req kmsg.Request, choose func(latest int16)) (kmsg.Response, error) {
	select {
	case <-c.turn:
		defer func() { c.turn <- struct{}{} }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := c.connect(ctx); err != nil {
		return nil, err
	}
	if choose != nil {
		if err := c.askVersions(ctx); err != nil {
			return nil, err
		}
		latest, taken := c.latest[req.Key()]
		if !taken {
			return nil, kerr.New(kerr.UnsupportedVersion, "the controller does not know %s", kmsg.NameForKey(req.Key()))
		}
		choose(latest)
	}
	return c.exchange(ctx, req)
}

// connect opens a connection to the controller of now, unless the open one goes there.
func (c *toController) connect(ctx context.Context) error {
	snapshot := c.metadata.Load()
	e, ok := snapshot.Endpoint(snapshot.ControllerID(), c.listener)
	if !ok {
		return kerr.CoordinatorNotAvailable
	}
	addr := net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
	if addr == c.addr {
		return nil
	}
	c.addr, c.latest = "", nil // whatever becomes of the next connection, this one goes
	if err := c.client.Connect(ctx, addr); err != nil {
		return err
	}
	c.addr = addr
	return nil
}

// askVersions learns what the controller takes, once a connection.
func (c *toController) askVersions(ctx context.Context) (err error) {
	if c.latest == nil {
		c.latest, err = askVersions(ctx, c.exchange)
	}
	return err
}

func (c *toController) exchange(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	resp, err := c.client.Do(ctx, req)
	if err != nil {
		c.addr, c.latest = "", nil
	}
	return resp, err
}

// hangUp makes the next request go to whoever is controller then.
func (c *toController) hangUp() {
	<-c.turn
	c.addr = ""
	c.turn <- struct{}{}
}

// Versions of AlterPartition: from 2 on it names topics by id alone.
const (
	lastAlterPartition       = 3
	lastAlterPartitionByName = 1
)

// alterPartition sends what the leaders of this broker ask for (replica.Options.AlterPartition).
// It waits for a session that is certainly alive: others may have been given what a broker without one leads.
func (b *Broker) alterPartition(ctx context.Context, req *kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error) {
	if err := b.freeze.awaitLease(ctx); err != nil {
		return nil, err
	}
	req.BrokerEpoch = b.registrar.epoch.Load()
	r, err := b.toController.negotiated(ctx, req, func(latest int16) {
		req.Version = min(latest, lastAlterPartition)
		for i := range req.Topics {
			if topic.ID(req.Topics[i].TopicID).IsZero() {
				req.Version = min(req.Version, lastAlterPartitionByName)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	resp := r.(*kmsg.AlterPartitionResponse)
	if resp.ErrorCode == kerr.NotController.Code {
		b.toController.hangUp()
	}
	return resp, nil
}

// blockSource is where producer ids come from at the broker's level.
func (b *Broker) blockSource() txn.BlockSource {
	if b.level.ControllerAllocatesProducerIDs() {
		return b.allocateProducerIDs
	}
	return func(ctx context.Context) (txn.Block, error) {
		s, err := b.zk.AwaitSession(ctx)
		if err != nil {
			return txn.Block{}, err
		}
		taken, err := s.NextProducerIDBlock(ctx, b.registrar.id)
		return txn.Block{First: taken.First, Size: int32(taken.Last - taken.First + 1)}, err
	}
}

func (b *Broker) allocateProducerIDs(ctx context.Context) (txn.Block, error) {
	req := kmsg.NewPtrAllocateProducerIDsRequest()
	req.BrokerID, req.BrokerEpoch = b.registrar.id, b.registrar.epoch.Load()
	r, err := b.toController.do(ctx, req)
	if err != nil {
		return txn.Block{}, err
	}
	resp := r.(*kmsg.AllocateProducerIDsResponse)
	if e := kerr.ForCode(resp.ErrorCode); e != nil {
		return txn.Block{}, e
	}
	return txn.Block{First: resp.ProducerIDStart, Size: resp.ProducerIDLen}, nil
}
