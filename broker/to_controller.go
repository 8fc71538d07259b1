package broker

import (
	"context"
	"net"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/metadata"
	"github.com/zurau/zurau/broker/txn"
	"github.com/zurau/zurau/broker/wire"
)

// toController sends requests to whichever broker is controller by the last UpdateMetadata.
type toController struct {
	metadata *metadata.Cache
	listener string
	client   *wire.Client
	turn     chan struct{} // holds one token: one request at a time
	addr     string        // of the open connection, "" for none; belongs to the holder of turn
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
	select {
	case <-c.turn:
		defer func() { c.turn <- struct{}{} }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	snapshot := c.metadata.Load()
	e, ok := snapshot.Endpoint(snapshot.ControllerID(), c.listener)
	if !ok {
		return nil, kerr.CoordinatorNotAvailable
	}
	if addr := net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port))); addr != c.addr {
		c.addr = "" // whatever becomes of the next connection, this one goes
		if err := c.client.Connect(ctx, addr); err != nil {
			return nil, err
		}
		c.addr = addr
	}
	resp, err := c.client.Do(ctx, req)
	if err != nil {
		c.addr = ""
	}
	return resp, err
}

// blockSource is where producer ids come from at the broker's level.
func (b *Broker) blockSource() txn.BlockSource {
	if b.static.InterBrokerProtocol.ControllerAllocatesProducerIDs() {
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
