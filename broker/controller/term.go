package controller

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// term is one period in office, from a won election to the first reason to doubt it. All of it belongs to the
// loop.
//
// over is sticky, as in bufio.Writer: the state machines do not check each write, because a term that is over
// reads, writes and sends nothing, and the loop throws it away when the event is done.
type term struct {
	opt *Options
	zk  *zkmeta.Session
	// patience is the context of calls to zk: that of the event in work.
	patience func() context.Context
	epoch    zkmeta.Epoch
	cluster  *cluster
	batch    *batch
	out      outbox
	post     func(event) // to the loop; dropped there once the term has ended
	over     error       // why the term ended; nil while it lasts

	watches     []*zkmeta.Watch // of the whole term
	topicWatch  map[string]*zkmeta.Watch
	brokerWatch map[int32]*zkmeta.Watch
	badNames    map[string]bool           // znodes of topics that were reported
	idLost      map[string]map[int32]bool // topics whose id is looked for, and the brokers that do not know it
	idMadeUp    map[string]bool           // topics that had none and got a new one, for want of it
	rebalance   *time.Timer               // of the next look for leaders to move back; nil where nobody wants that

	numbers *numbers
	recount bool // the counted numbers changed
	log     *zap.Logger
	changes *zap.Logger
}

// alive tells whether the term still lasts. The lease is asked first: a broker that slept must not act on
// what it knew.
func (t *term) alive() bool {
	if t.over == nil && !t.zk.LeaseValid() {
		t.end(errLeaseLost)
	}
	return t.over == nil
}

var errLeaseLost = errors.New("no answer from ZooKeeper for so long that another controller may be in office")

// end makes the term end with the event that is being handled. The first reason counts.
func (t *term) end(why error) {
	if t.over == nil {
		t.over = why
	}
}

// read makes one reading call. A failed one ends the term, for what was not read must not be taken for what
// is not there; only data that cannot be understood is the caller's business.
func (t *term) read(call func(ctx context.Context) error) error {
	if !t.alive() {
		return t.over
	}
	err := call(t.patience())
	var failed *zkmeta.CallError
	if errors.As(err, &failed) || inDoubt(err) {
		t.end(err)
	}
	return err
}

// write makes one writing call. A refusal is certain and only logged; the end of the epoch and an unknown
// outcome end the term.
func (t *term) write(what string, call func(ctx context.Context) error) error {
	if !t.alive() {
		return t.over
	}
	err := call(t.patience())
	if inDoubt(err) {
		t.end(err)
	} else if err != nil {
		t.log.Error("ZooKeeper refused a write of the controller", zap.String("what", what), zap.Error(err))
	}
	return err
}

// inDoubt tells the errors after which a controller does not know what is true any more.
func inDoubt(err error) bool {
	return errors.Is(err, zkmeta.ErrUnknown) || errors.Is(err, zkmeta.ErrNotSent) ||
		errors.Is(err, zkmeta.ErrControllerMoved)
}

// about are the fields every line of the state change log begins with.
func (t *term) about(tp topic.Partition, more ...zap.Field) []zap.Field {
	return append([]zap.Field{zap.Int32("controller", t.opt.BrokerID), zap.Int32("controller_epoch", t.epoch.Epoch),
		zap.Stringer("partition", tp)}, more...)
}

// logRefusal notes a request that a broker took and did not follow. Nothing is sent again: the broker knows
// better, or its registration is about to change.
func (t *term) logRefusal(broker int32, code int16) {
	if code != 0 {
		t.log.Error("A broker refused a request of the controller",
			zap.Int32("broker", broker), zap.String("error", kerr.ForCode(code).Name))
	}
}

// leave ends everything the term started. Requests that are not delivered yet are forgotten: the next
// controller sends its own.
func (t *term) leave() {
	for _, w := range t.watches {
		w.Stop()
	}
	for _, w := range t.topicWatch {
		w.Stop()
	}
	for _, w := range t.brokerWatch {
		w.Stop()
	}
	if t.rebalance != nil {
		t.rebalance.Stop()
	}
	t.out.close()
}
