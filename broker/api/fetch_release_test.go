package api

import (
	"context"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/metrics"
	"github.com/zurau/zurau/broker/wire"
)

// Bytes behind a body are ignored, so a fetch may be as large as any request, and it may wait for minutes: the bytes
// of those that wait are nobody's burden.
func TestAFetchThatWaitsHoldsNothingOfQueuedMaxRequestBytes(t *testing.T) {
	h := data(t, 1)
	h.ready.open()
	fetching := make(chan struct{}, 1)
	o := wire.DefaultServerOptions()
	o.Listeners = []wire.Listener{{Name: "PLAINTEXT", SecurityProtocol: "PLAINTEXT", Host: "127.0.0.1"}}
	o.MaxQueuedBytes = 1000
	s := wire.NewServer(o, func(ctx context.Context, r *wire.Request) wire.Reply {
		if r.Key == 1 {
			fetching <- struct{}{}
		}
		return h.Handle(ctx, r)
	}, zap.NewNop(), metrics.New())
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	s.Serve()
	defer func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	addr := s.Addr("PLAINTEXT").String()

	waits := fetchOf(1)
	waits.MaxWaitMillis = 600000
	waits.Topics = append(waits.Topics, kmsg.FetchRequestTopic{Topic: "t"})
	frame := append(kmsg.NewRequestFormatter().AppendRequest(nil, waits, 1), make([]byte, 2000)...)
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Write(frame); err != nil {
		t.Fatal(err)
	}
	<-fetching
	c := wire.NewClient(wire.ClientOptions{Timeout: 10 * time.Second})
	defer c.Close()
	if err := c.Connect(t.Context(), addr); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(t.Context(), kmsg.NewPtrApiVersionsRequest()); err != nil {
		t.Errorf("while a fetch waits: %v", err)
	}
}

// What a fetch is answered about is spelled as it was asked for, although the body of the request is given back.
func TestAFetchKeepsTheNamesItAnswersWith(t *testing.T) {
	h := data(t, 1)
	for _, epoch := range []int32{finalEpoch, initialEpoch} {
		req := fetchOf(1)
		req.SessionEpoch = epoch
		req.Topics = append(req.Topics, kmsg.FetchRequestTopic{Topic: "nobody-has-it", Partitions: req.Topics[0].Partitions})
		body := req.AppendTo(nil)
		r := wire.Request{Key: 1, Version: req.Version, Body: body}
		var got kmsg.FetchRequest
		if err := r.Decode(&got); err != nil {
			t.Fatal(err)
		}
		f := fetching{h: h, req: &got, now: time.Now(), full: true}
		if err := f.resolve(); err != nil {
			t.Fatal(err)
		}
		f.ownNames()
		clear(body)
		if len(f.parts) != 2 || f.parts[0].topic != "t" || f.parts[1].topic != "nobody-has-it" {
			t.Errorf("session epoch %d: %q, %q", epoch, f.parts[0].topic, f.parts[1].topic)
		}
	}
}
