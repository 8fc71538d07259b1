package broker

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/metadata"
	"github.com/zurau/zurau/broker/metrics"
	"github.com/zurau/zurau/broker/wire"
)

// fakeController is a broker that answers whatever it is asked by answer.
func fakeController(t *testing.T, answer wire.Handler) *net.TCPAddr {
	t.Helper()
	o := wire.DefaultServerOptions()
	o.Listeners = []wire.Listener{{Name: "PLAINTEXT", SecurityProtocol: "PLAINTEXT", Host: "127.0.0.1"}}
	s := wire.NewServer(o, answer, zap.NewNop(), metrics.New())
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	s.Serve()
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	return s.Addr("PLAINTEXT")
}

// tell is an UpdateMetadata of brokers 1, 2, ... at these addresses.
func tell(c *metadata.Cache, controller int32, at ...*net.TCPAddr) {
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.Version, req.ControllerID = 8, controller
	for i, a := range at {
		b := kmsg.NewUpdateMetadataRequestLiveBroker()
		b.ID = int32(i + 1)
		b.Endpoints = []kmsg.UpdateMetadataRequestLiveBrokerEndpoint{{Host: a.IP.String(), Port: int32(a.Port), ListenerName: "PLAINTEXT"}}
		req.LiveBrokers = append(req.LiveBrokers, b)
	}
	c.Update(req)
}

func TestRequestsFollowTheController(t *testing.T) {
	respond := func(_ context.Context, r *wire.Request) wire.Reply {
		var req kmsg.AllocateProducerIDsRequest
		if err := r.Decode(&req); err != nil {
			return wire.Close(err.Error())
		}
		return wire.Respond(req.ResponseKind())
	}
	first := fakeController(t, respond)
	gone, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	nobody := gone.Addr().(*net.TCPAddr)
	_ = gone.Close()
	cache := metadata.New()
	c := newToController(cache, "PLAINTEXT", wire.ClientOptions{Timeout: 10 * time.Second})
	defer c.close()
	ask := func() error {
		_, err := c.do(t.Context(), kmsg.NewPtrAllocateProducerIDsRequest())
		return err
	}
	if err := ask(); !errors.Is(err, kerr.CoordinatorNotAvailable) {
		t.Errorf("no controller is known: %v", err)
	}
	tell(cache, 1, first, nobody)
	if err := ask(); err != nil {
		t.Errorf("the first controller: %v", err)
	}
	tell(cache, 2, first, nobody)
	if ask() == nil {
		t.Error("a controller that is away has answered")
	}
	tell(cache, 1, first, nobody)
	if err := ask(); err != nil {
		t.Errorf("the first controller again: %v", err)
	}
}

// A broker that stops asks to leave while it may still ask for producer ids: its patience is its own.
func TestARequestDoesNotWaitForAnotherBeyondItsTime(t *testing.T) {
	asked := make(chan struct{})
	silent := fakeController(t, func(ctx context.Context, _ *wire.Request) wire.Reply {
		close(asked)
		<-ctx.Done()
		return wire.Close("stopped")
	})
	cache := metadata.New()
	tell(cache, 1, silent)
	c := newToController(cache, "PLAINTEXT", wire.ClientOptions{})
	first := make(chan error, 1)
	go func() {
		_, err := c.do(context.Background(), kmsg.NewPtrAllocateProducerIDsRequest())
		first <- err
	}()
	<-asked
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	second := make(chan error, 1)
	go func() {
		_, err := c.do(ctx, kmsg.NewPtrControlledShutdownRequest())
		second <- err
	}()
	select {
	case err := <-second:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for an answer that is not its own")
	}
	c.close()
	if <-first == nil {
		t.Error("nobody answered, and there was an answer")
	}
}
