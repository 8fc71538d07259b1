package broker

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/metadata"
	"github.com/zurau/zurau/broker/replica"
	"github.com/zurau/zurau/broker/wire"
)

func TestAStopDoesNotWaitOutAnElectionOfTheController(t *testing.T) {
	var asked atomic.Int32
	moving := fakeController(t, func(_ context.Context, r *wire.Request) wire.Reply {
		var req kmsg.ControlledShutdownRequest
		if err := r.Decode(&req); err != nil {
			return wire.Close(err.Error())
		}
		resp := req.ResponseKind().(*kmsg.ControlledShutdownResponse)
		if asked.Add(1) < 3 {
			resp.ErrorCode = kerr.StaleControllerEpoch.Code // not the controller, or not yet
		}
		return wire.Respond(resp)
	})
	cfg, _, err := config.New(map[string]string{"zookeeper.connect": "unused"})
	if err != nil {
		t.Fatal(err)
	}
	b := New(cfg, zap.NewNop())
	cache := metadata.New()
	tell(cache, 1, moving)
	b.registrar, b.replicas = &registrar{id: 1}, replica.NewManager(replica.Options{BrokerID: 1, Logger: zap.NewNop()})
	b.toController = newToController(cache, "PLAINTEXT", wire.ClientOptions{Timeout: 10 * time.Second})
	defer b.toController.close()
	began := time.Now()
	b.controlledShutdown(t.Context())
	if took := time.Since(began); took >= cfg.ControlledShutdownRetryBackoff || asked.Load() != 3 {
		t.Errorf("asked %d times in %v", asked.Load(), took)
	}
}
