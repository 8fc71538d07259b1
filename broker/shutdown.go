package broker

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/kerr"
)

// controlledShutdown asks the controller to move this broker's leaderships away while it still serves
// (controlled.shutdown.*). Whatever the outcome the stop goes on: the cluster would do the same for a crash.
func (b *Broker) controlledShutdown(ctx context.Context) {
	b.logger.Info(b.line("Starting controlled shutdown"))
	b.replicas.Leave()
	pause := b.static.ControlledShutdownRetryBackoff
	for tries := b.static.ControlledShutdownMaxRetries; tries > 0; tries-- {
		next := time.Now().Add(pause)
		remaining, err := b.askToLeave(ctx)
		for err != nil && tries > 1 && sleep(ctx, min(controllerMoves, time.Until(next))) {
			remaining, err = b.askToLeave(ctx) // the controller may be moving: the next one is asked as soon as it is known
		}
		if err == nil && remaining == 0 {
			b.logger.Info(b.line("Controlled shutdown succeeded"))
			return
		}
		b.logger.Warn("Controlled shutdown is not complete", zap.Int("partitions_remaining", remaining), zap.Error(err))
		if ctx.Err() != nil {
			return
		}
		if tries > 1 {
			sleep(ctx, time.Until(next))
		}
	}
	b.logger.Warn("Proceeding to do an unclean shutdown as all the controlled shutdown attempts failed")
}

// controllerMoves is the pause before a controller that gave no answer, or is none any more, is looked for again. Kafka
// waits for all of controlled.shutdown.retry.backoff.ms, and its leads with it.
const controllerMoves = 100 * time.Millisecond

// sleep waits for d; false when there was nothing to wait for, or ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (b *Broker) askToLeave(ctx context.Context) (remaining int, err error) {
	req := kmsg.NewPtrControlledShutdownRequest()
	req.Version = b.level.ControlledShutdownVersion()
	req.BrokerID, req.BrokerEpoch = b.registrar.id, b.registrar.epoch.Load()
	r, err := b.toController.do(ctx, req)
	if err != nil {
		return -1, err
	}
	resp := r.(*kmsg.ControlledShutdownResponse)
	if e := kerr.ForCode(resp.ErrorCode); e != nil {
		return -1, e
	}
	return len(resp.PartitionsRemaining), nil
}
