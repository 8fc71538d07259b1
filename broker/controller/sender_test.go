package controller

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/metrics"
	"github.com/zurau/zurau/broker/wire"
	"github.com/zurau/zurau/zkmeta"
)

// receiver is the inter-broker listener of a broker that says yes to everything.
type receiver struct {
	server  *wire.Server
	got     chan heard
	brokers atomic.Int64 // how many the last UpdateMetadata named
}

// heard is one request as it came over the wire.
type heard struct {
	kmsg.Request
	client string
}

func newReceiver(t *testing.T) *receiver { return newReceiverAt(t, "PLAINTEXT") }

// newReceiverAt is newReceiver with another name for the listener.
func newReceiverAt(t *testing.T, listener string) *receiver {
	t.Helper()
	r := &receiver{got: make(chan heard, 1000)}
	o := wire.DefaultServerOptions()
	o.Listeners = []wire.Listener{{Name: listener, SecurityProtocol: "PLAINTEXT", Host: "127.0.0.1"}}
	r.server = wire.NewServer(o, r.handle, zap.NewNop(), metrics.New())
	if err := r.server.Listen(); err != nil {
		t.Fatal(err)
	}
	r.server.Serve()
	t.Cleanup(func() {
		if err := r.server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *receiver) handle(_ context.Context, req *wire.Request) wire.Reply {
	k := kmsg.RequestForKey(req.Key)
	if err := req.Decode(k); err != nil {
		return wire.Close(err.Error())
	}
	owned := kmsg.RequestForKey(req.Key) // decoded memory is the connection's
	owned.SetVersion(req.Version)
	if err := owned.ReadFrom(k.AppendTo(nil)); err != nil {
		return wire.Close(err.Error())
	}
	client := ""
	if req.ClientID != nil {
		client = strings.Clone(*req.ClientID)
	}
	r.got <- heard{owned, client}
	if umr, ok := owned.(*kmsg.UpdateMetadataRequest); ok {
		r.brokers.Store(int64(len(umr.LiveBrokers)))
	}
	resp := k.ResponseKind()
	if lisr, ok := k.(*kmsg.LeaderAndISRRequest); ok {
		for _, t := range lisr.TopicStates {
			at := kmsg.LeaderAndISRResponseTopic{TopicID: t.TopicID}
			for _, p := range t.PartitionStates {
				at.Partitions = append(at.Partitions, kmsg.LeaderAndISRResponseTopicPartition{Partition: p.Partition})
			}
			resp.(*kmsg.LeaderAndISRResponse).Topics = append(resp.(*kmsg.LeaderAndISRResponse).Topics, at)
		}
	}
	if stop, ok := k.(*kmsg.StopReplicaRequest); ok {
		for _, t := range stop.Topics {
			for _, p := range t.PartitionStates {
				resp.(*kmsg.StopReplicaResponse).Partitions = append(resp.(*kmsg.StopReplicaResponse).Partitions,
					kmsg.StopReplicaResponsePartition{Topic: t.Topic, Partition: p.Partition})
			}
		}
	}
	return wire.Respond(resp)
}

func (r *receiver) endpoint() zkmeta.Endpoint {
	return zkmeta.Endpoint{Listener: "PLAINTEXT", SecurityProtocol: "PLAINTEXT", Host: "127.0.0.1", Port: int32(r.server.Addr("PLAINTEXT").Port)}
}

// next waits for a request of one kind; others are passed over.
func next[T kmsg.Request](t *testing.T, r *receiver) T {
	t.Helper()
	timeout := time.After(deadline)
	for {
		select {
		case req := <-r.got:
			if wanted, ok := req.Request.(T); ok {
				return wanted
			}
		case <-timeout:
			var want T
			t.Fatalf("no %T came", want)
		}
	}
}

func updateMetadata(epoch int32) *kmsg.UpdateMetadataRequest {
	return &kmsg.UpdateMetadataRequest{Version: 8, ControllerEpoch: epoch}
}

func TestASenderDeliversInOrderThroughFailures(t *testing.T) {
	r := newReceiver(t)
	var mu sync.Mutex
	dials := 0
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		dials++
		switch dials {
		case 1:
			return nil, errors.New("not up yet")
		case 2: // accepts, takes the request and hangs up
			ours, theirs := net.Pipe()
			go func() {
				io.ReadFull(theirs, make([]byte, 4))
				theirs.Close()
			}()
			return ours, nil
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	var ended sync.WaitGroup
	s := newSenders(wire.ClientOptions{ClientID: "1", Dial: dial, Timeout: 10 * time.Second}, zap.NewNop(), &ended)
	s.add(2, r.endpoint())
	const n = 20
	answered := make(chan int32, n)
	for i := range int32(n) {
		s.send(2, updateMetadata(i), func(resp kmsg.Response) { answered <- i })
	}
	var order []int32
	for range n {
		select {
		case i := <-answered:
			order = append(order, i)
		case <-time.After(deadline):
			t.Fatalf("answers stopped after %v", order)
		}
	}
	var received []int32
	for range n {
		received = append(received, next[*kmsg.UpdateMetadataRequest](t, r).ControllerEpoch)
	}
	if !slices.IsSorted(order) || !slices.IsSorted(received) {
		t.Errorf("answers in the order %v, requests in %v", order, received)
	}
	if dials < 3 {
		t.Errorf("%d connections, want the two bad ones and a good one", dials)
	}
	s.close()
	ended.Wait()
}

func TestARemovedBrokerIsSentNothingMore(t *testing.T) {
	var ended sync.WaitGroup
	dialed := make(chan struct{}, 100)
	s := newSenders(wire.ClientOptions{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		dialed <- struct{}{}
		<-ctx.Done() // a broker that swallows packets
		return nil, ctx.Err()
	}}, zap.NewNop(), &ended)
	s.add(2, zkmeta.Endpoint{Host: "192.0.2.1", Port: 9092})
	s.send(2, updateMetadata(1), func(kmsg.Response) { t.Error("an answer from nowhere") })
	<-dialed
	s.remove(2)
	ended.Wait() // hangs if the sender does not notice
	s.send(2, updateMetadata(2), func(kmsg.Response) { t.Error("an answer from nowhere") })
	s.move(2, zkmeta.Endpoint{})
	s.close()
}

func TestASenderFollowsABrokerToANewAddress(t *testing.T) {
	r := newReceiver(t)
	refused := make(chan struct{}, 100)
	var ended sync.WaitGroup
	s := newSenders(wire.ClientOptions{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr != r.server.Addr("PLAINTEXT").String() {
			refused <- struct{}{}
			return nil, errors.New("nobody lives there any more")
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}, zap.NewNop(), &ended)
	s.add(2, zkmeta.Endpoint{Host: "127.0.0.1", Port: 1})
	s.send(2, updateMetadata(1), func(kmsg.Response) {})
	<-refused
	s.move(2, r.endpoint())
	next[*kmsg.UpdateMetadataRequest](t, r)
	s.close()
	ended.Wait()
}
