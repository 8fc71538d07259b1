package controller

import (
	"context"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/wire"
	"github.com/zurau/zurau/zkmeta"
)

// outbox is where the controller's requests go: senders in a broker, a list in the scripts of the tests.
type outbox interface {
	// add opens a queue for a broker, remove closes it and forgets what waits in it.
	add(id int32, at zkmeta.Endpoint)
	remove(id int32)
	// move tells a new address of a broker; its queue stays.
	move(id int32, at zkmeta.Endpoint)
	// send queues a request. answered runs on another goroutine, once, unless the broker is removed before.
	send(id int32, req kmsg.Request, answered func(kmsg.Response))
	// told is closed when every other broker has answered all that was queued for it before. It may stay open for ever:
	// a broker may be dead, or removed before.
	told(except int32) <-chan struct{}
	// close removes every broker.
	close()
}

// resendAfter is the pause before a request that could not be delivered is sent again, for ever.
const resendAfter = 100 * time.Millisecond

// senders is the real outbox: one sender a broker. It belongs to the controller's loop.
type senders struct {
	client wire.ClientOptions
	log    *zap.Logger
	byID   map[int32]*sender
	ended  *sync.WaitGroup             // counts the goroutines of senders, removed ones too
	awake  func(context.Context) error // Options.Awake for the session of the term; nil for none
}

func newSenders(client wire.ClientOptions, log *zap.Logger, ended *sync.WaitGroup) *senders {
	return &senders{client: client, log: log, byID: make(map[int32]*sender), ended: ended}
}

func (s *senders) add(id int32, at zkmeta.Endpoint) {
	s.remove(id)
	ctx, cancel := context.WithCancel(context.Background())
	sn := &sender{
		client: wire.NewClient(s.client),
		log:    s.log.With(zap.Int32("broker", id)),
		cancel: cancel,
		ready:  make(chan struct{}, 1),
		awake:  s.awake,
	}
	sn.mu.addr = address(at)
	s.byID[id] = sn
	s.ended.Go(func() { sn.run(ctx) })
}

func (s *senders) remove(id int32) {
	if sn := s.byID[id]; sn != nil {
		sn.cancel()
		delete(s.byID, id)
	}
}

func (s *senders) move(id int32, at zkmeta.Endpoint) {
	if sn := s.byID[id]; sn != nil {
		sn.mu.Lock()
		sn.mu.addr = address(at)
		sn.mu.Unlock()
	}
}

func address(e zkmeta.Endpoint) string { return net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port))) }

func (s *senders) send(id int32, req kmsg.Request, answered func(kmsg.Response)) {
	if sn := s.byID[id]; sn != nil {
		sn.put(parcel{req, answered})
	}
}

func (s *senders) told(except int32) <-chan struct{} {
	told := make(chan struct{})
	var missing atomic.Int32
	missing.Store(1)
	one := func(kmsg.Response) {
		if missing.Add(-1) == 0 {
			close(told)
		}
	}
	for id, sn := range s.byID {
		if id != except {
			missing.Add(1)
			sn.put(parcel{nil, one})
		}
	}
	one(nil)
	return told
}

func (s *senders) close() {
	for id := range s.byID {
		s.remove(id)
	}
}

// parcel is a request on its way.
type parcel struct {
	req      kmsg.Request // nil: nothing is sent, only answered runs
	answered func(kmsg.Response)
}

// sender delivers the requests of one broker in order, one at a time, each again and again until it is
// answered: a broker that misses one would serve, or refuse, the wrong partitions until the next change.
type sender struct {
	client *wire.Client // of the run goroutine
	log    *zap.Logger
	cancel context.CancelFunc
	ready  chan struct{}               // holds one token while parcels wait
	awake  func(context.Context) error // as in senders
	mu     struct {
		sync.Mutex
		queue []parcel
		addr  string // host:port, of the next connection
	}
}

func (s *sender) address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.addr
}

func (s *sender) put(p parcel) {
	s.mu.Lock()
	s.mu.queue = append(s.mu.queue, p)
	s.mu.Unlock()
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

func (s *sender) take() (parcel, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mu.queue) == 0 {
		return parcel{}, false
	}
	p := s.mu.queue[0]
	s.mu.queue[0] = parcel{}
	s.mu.queue = s.mu.queue[1:]
	return p, true
}

func (s *sender) run(ctx context.Context) {
	defer s.client.Close()
	connected := false
	for {
		p, ok := s.take()
		if !ok {
			select {
			case <-s.ready:
				continue
			case <-ctx.Done():
				return
			}
		}
		if p.req == nil {
			p.answered(nil)
			continue
		}
		for {
			resp, err := s.deliver(ctx, p.req, &connected)
			if err == nil {
				p.answered(resp)
				break
			}
			if ctx.Err() != nil {
				return
			}
			s.log.Warn("A request of the controller was not delivered, it is sent again",
				zap.String("request", kmsg.NameForKey(p.req.Key())), zap.String("address", s.address()),
				zap.Error(err))
			select {
			case <-time.After(resendAfter):
			case <-ctx.Done():
				return
			}
		}
	}
}

// deliver connects if need be, sends and waits for the answer. After any failure the connection is a new one.
func (s *sender) deliver(ctx context.Context, req kmsg.Request, connected *bool) (kmsg.Response, error) {
	if !*connected {
		if err := s.client.Connect(ctx, s.address()); err != nil {
			return nil, err
		}
		*connected = true
	}
	if s.awake != nil {
		if err := s.awake(ctx); err != nil {
			return nil, err
		}
	}
	resp, err := s.client.Do(ctx, req)
	*connected = err == nil
	return resp, err
}
