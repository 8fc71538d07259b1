package controller

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
)

// ControlledShutdown moves the leaderships of a broker that is about to stop to others and takes it out of
// every ISR (7). The answer lists what it still leads.
func (c *Controller) ControlledShutdown(
	ctx context.Context, req *kmsg.ControlledShutdownRequest,
) *kmsg.ControlledShutdownResponse {
	refused := req.ResponseKind().(*kmsg.ControlledShutdownResponse)
	refused.ErrorCode = kerr.StaleControllerEpoch.Code // as Kafka calls a controller that is none, here
	var told <-chan struct{}
	resp := call(ctx, c, "ControlledShutdown", refused, func(t *term) *kmsg.ControlledShutdownResponse {
		resp := req.ResponseKind().(*kmsg.ControlledShutdownResponse)
		epoch := noBrokerEpoch // version 0 and 1 tell none
		if req.Version >= 2 {
			epoch = req.BrokerEpoch
		}
		remaining, err := t.shutDown(req.BrokerID, epoch)
		if !t.alive() {
			return refused
		}
		if err != nil {
			resp.ErrorCode = err.Code
			return resp
		}
		told = t.out.told(req.BrokerID)
		for _, tp := range remaining {
			resp.PartitionsRemaining = append(resp.PartitionsRemaining,
				kmsg.ControlledShutdownResponsePartitionsRemaining{Topic: tp.Topic, Partition: tp.ID})
		}
		return resp
	})
	if resp != refused && told != nil {
		select {
		case <-told:
		case <-time.After(tellingPatience):
		case <-ctx.Done():
		}
	}
	return resp
}

// tellingPatience is how long the answer to a broker that leaves waits until the others have heard who leads now and
// who is in sync. If it is the controller itself that leaves, what they have not heard by then its successor tells them,
// and until then their produces wait for a member that fetches no more (seen: a second, with 1,000 partitions).
const tellingPatience = 2 * time.Second

// noBrokerEpoch is the broker epoch of a request that tells none.
const noBrokerEpoch int64 = -1

func (t *term) shutDown(broker int32, epoch int64) ([]topic.Partition, *kerr.Error) {
	registered, ok := t.cluster.brokers[broker]
	switch {
	case !ok && epoch != noBrokerEpoch:
		return nil, kerr.UnknownServerError // as Kafka does
	case !ok:
		return nil, kerr.BrokerNotAvailable
	case epoch != noBrokerEpoch && epoch < registered.Epoch:
		return nil, kerr.StaleBrokerEpoch
	}
	t.log.Info("Shutting down broker", zap.Int32("broker", broker))
	t.cluster.leaving[broker] = true

	var led, followed []*partition
	for _, r := range t.cluster.replicasOn(map[int32]bool{broker: true}) {
		switch {
		case len(r.replicas) == 1 || r.leadership == nil || t.cluster.isDoomed(r.Topic):
		case r.leadership.Leader == broker:
			led = append(led, r.partition)
		default:
			followed = append(followed, r.partition)
		}
	}
	t.movePartitions(led, onlinePartition, leaderLeaving)
	for _, p := range followed {
		t.batch.stopReplica(t.cluster, p, broker, false)
	}
	t.flush() // before the ISRs shrink: what is not fetched any more need not be waited for
	t.moveReplicas(replicasOf(followed, func(_ *partition, b int32) bool { return b == broker }), offlineReplica)

	var remaining []topic.Partition
	for _, p := range led {
		if p.leadership.Leader == broker {
			remaining = append(remaining, p.Partition)
		}
	}
	return remaining, nil
}
