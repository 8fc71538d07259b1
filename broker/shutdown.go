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
	for try := range b.static.ControlledShutdownMaxRetries {
		remaining, err := b.askToLeave(ctx)
		if err == nil && remaining == 0 {
			b.logger.Info(b.line("Controlled shutdown succeeded"))
			return
		}
		b.logger.Warn("Controlled shutdown is not complete", zap.Int("partitions_remaining", remaining), zap.Error(err))
		if try == b.static.ControlledShutdownMaxRetries-1 {
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(b.static.ControlledShutdownRetryBackoff):
		}
	}
	b.logger.Warn("Proceeding to do an unclean shutdown as all the controlled shutdown attempts failed")
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
