package controller

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/broker/metrics"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/broker/wire"
	"github.com/zurau/zurau/zkmeta"
)

// Options are what a Controller is made of.
type Options struct {
	BrokerID int32
	ZK       *zkmeta.Client
	Level    ibp.Level
	// Listener is the name of the listener on which the controller reaches brokers:
	// control.plane.listener.name, else the inter-broker listener.
	Listener string
	// Client is how a connection to a broker is made; its ClientID is set here.
	Client wire.ClientOptions

	DeleteTopicEnable           bool        // delete.topic.enable
	UncleanLeaderElectionEnable func() bool // unclean.leader.election.enable of the broker, which is dynamic
	Rebalance                   Rebalance
	// TopicID is a topic's id as this broker knows it from an earlier controller; zero if it does not. It may be nil.
	TopicID func(name string) topic.ID

	// Awake is asked before each request to a broker leaves: it waits until this process is known not to have slept
	// through the end of the session it was elected in, and fails only with ctx. nil: nobody is asked.
	Awake func(ctx context.Context, elected *zkmeta.Session) error

	Metrics *metrics.Registry // nil for none
	Log     *zap.Logger       // "kafka.controller.KafkaController"; nil for none
}

// noBroker is the active controller's id while none is known.
const noBroker int32 = -1

// reelectAfter is the pause between a term that ended in trouble and the next candidacy, so that trouble that
// stays makes one election a second and not a storm of them.
const reelectAfter = time.Second

// farewellTimeout is how long Stop waits for the event in work, and then for ZooKeeper to take /controller
// away. It goes with the session anyhow.
const farewellTimeout = time.Second

// slowEvent is when an event is worth a line in the log.
const slowEvent = 2 * time.Second

// Controller is a broker's part in the election of the controller and, once elected, the controller. Its
// exported methods may be called from any goroutine.
type Controller struct {
	opt     Options
	log     *zap.Logger
	mailbox *mailbox
	ended   sync.WaitGroup // run, and every sender of every term
	cancel  context.CancelFunc

	// What others may ask; written by run alone.
	activeID atomic.Int32
	epoch    atomic.Int32 // of our own term, 0 while we are not the controller
	numbers  numbers

	// patience is the context of all calls to ZooKeeper of the event in work; impatient ends it.
	patience  context.Context // belongs to run
	impatient atomic.Pointer[context.CancelFunc]

	// The rest belongs to run.
	session   *zkmeta.Session // the life in which this broker is registered; nil before and between
	watch     *zkmeta.Watch   // of /controller in that session
	term      *term           // nil while another broker, or nobody, is the controller
	pauseTill time.Time       // no candidacy before
	newOutbox func() outbox
}

// New makes a Controller that does nothing until Start.
func New(opt Options) *Controller {
	if opt.Log == nil {
		opt.Log = zap.NewNop()
	}
	c := &Controller{
		opt:     opt,
		log:     opt.Log.With(zap.Int32("controller", opt.BrokerID)),
		mailbox: newMailbox(),

		patience: context.Background(),
	}
	c.opt.Client.ClientID = strconv.Itoa(int(opt.BrokerID))
	c.newOutbox = func() outbox {
		out := newSenders(c.opt.Client, c.log, &c.ended)
		if elected := c.session; c.opt.Awake != nil {
			out.awake = func(ctx context.Context) error { return c.opt.Awake(ctx, elected) }
		}
		return out
	}
	c.activeID.Store(noBroker)
	if opt.Metrics != nil {
		c.numbers.register(opt.Metrics, c.mailbox.size)
	}
	return c
}

// Start runs the loop until Stop. The controller stands for election only once Registered was called.
func (c *Controller) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.opt.ZK.OnLease(func(_ *zkmeta.Session, valid bool) {
		if !valid {
			c.hurry()
		}
		c.Reelect() // both ways: handle ends a term whose lease ran out
	})
	c.ended.Go(func() { c.run(ctx) })
}

// Stop gives the office up, so that another broker can take it at once, and ends the loop and every sender.
func (c *Controller) Stop() {
	if c.cancel == nil {
		return
	}
	c.cancel()
	late := time.AfterFunc(farewellTimeout, c.hurry)
	defer late.Stop()
	c.ended.Wait()
}

// hurry ends the calls that the event in work waits for, which ends the term.
func (c *Controller) hurry() {
	if cancel := c.impatient.Load(); cancel != nil {
		(*cancel)()
	}
}

// IsActive tells whether this broker is the controller, as far as it knows.
func (c *Controller) IsActive() bool { return c.epoch.Load() != 0 }

// ActiveID is the broker that /controller named when it was last read, or -1.
func (c *Controller) ActiveID() int32 { return c.activeID.Load() }

// Epoch is the controller epoch of this broker's own term, 0 while it is not the controller.
func (c *Controller) Epoch() int32 { return c.epoch.Load() }

// Registered tells the controller that this broker registered itself in a session: from now on, and as long as
// that session lives, it stands for election (Kafka: Startup and RegisterBrokerAndReelect).
func (c *Controller) Registered(s *zkmeta.Session) {
	c.mailbox.post(event{name: "RegisterBrokerAndReelect", run: func() { c.enter(s) }})
}

// Expire tells the controller that the session is lost: whatever waits is dropped, the office is given up.
func (c *Controller) Expire() {
	c.mailbox.postAlone(event{name: "Expire", run: c.leaveSession})
}

// Reelect lets the controller look at /controller again.
func (c *Controller) Reelect() {
	c.mailbox.post(event{name: "Reelect", key: "Reelect", run: c.elect})
}

func (c *Controller) run(ctx context.Context) {
	defer func() {
		c.mailbox.close()
		if c.term != nil && c.term.alive() {
			ctx, cancel := context.WithTimeout(context.Background(), farewellTimeout)
			c.giveBack(ctx)
			cancel()
		}
		c.leaveSession()
	}()
	for ctx.Err() == nil {
		e, ok := c.mailbox.take()
		if !ok {
			select {
			case <-c.mailbox.ready:
			case <-ctx.Done():
			}
			continue
		}
		c.handle(e)
	}
}

// handle runs one event and ends the term if the event brought it to its end.
func (c *Controller) handle(e event) {
	start := time.Now()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c.patience = ctx
	c.impatient.Store(&cancel)
	e.run()
	if took := time.Since(start); took > slowEvent {
		c.log.Warn("Slow controller event", zap.String("event", e.name), zap.Duration("took", took))
	}
	if c.term != nil && !c.term.alive() {
		c.abandon(e.name)
	}
	if c.term == nil || c.term.recount {
		c.numbers.count(c.term)
	}
}

// enter begins the life of a session in which this broker is registered. To be told of a life twice is
// harmless.
func (c *Controller) enter(s *zkmeta.Session) {
	if c.session == s {
		c.elect()
		return
	}
	c.leaveSession()
	c.session = s
	c.watch = s.WatchData(zkmeta.ControllerPath, func() {
		c.mailbox.post(event{name: "ControllerChange", key: "ControllerChange", run: c.elect})
	})
	c.elect()
}

// leaveSession ends what the session's life allowed.
func (c *Controller) leaveSession() {
	c.watch.Stop()
	c.session = nil
	c.resign()
	c.activeID.Store(noBroker)
}

// TopicConfigChanged tells the controller that a topic's configuration is another. Where it allows unclean
// leaders now, partitions that wait for a leader get one.
func (c *Controller) TopicConfigChanged(name string) {
	const event = "TopicUncleanLeaderElectionEnable"
	c.electLeaderless(event, event+" "+name, func(p *partition) bool { return p.Topic == name })
}

// BrokerConfigChanged tells the controller that the brokers' own default for unclean leaders is another.
func (c *Controller) BrokerConfigChanged() {
	const event = "UncleanLeaderElectionEnable"
	c.electLeaderless(event, event, everyPartition)
}

func (c *Controller) electLeaderless(name, key string, pass func(*partition) bool) {
	c.mailbox.post(event{name: name, key: key, run: func() {
		if c.term != nil {
			c.term.electLeaderless(pass)
		}
	}})
}
