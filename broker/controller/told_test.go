package controller

import (
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/wire"
	"github.com/zurau/zurau/zkmeta"
)

// A broker that leaves is answered when the others have heard what its leaving changes.
func TestToldIsClosedWhenTheOthersHaveAnswered(t *testing.T) {
	r := newReceiver(t)
	var ended sync.WaitGroup
	s := newSenders(wire.ClientOptions{Timeout: deadline}, zap.NewNop(), &ended)
	defer ended.Wait()
	defer s.close()
	nowhere := zkmeta.Endpoint{Listener: "PLAINTEXT", SecurityProtocol: "PLAINTEXT", Host: "127.0.0.1", Port: 1}
	s.add(1, nowhere)
	s.add(2, r.endpoint())
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.Version = 8
	answered := false // by the goroutine of the sender, before told is closed
	s.send(1, req, func(kmsg.Response) {})
	s.send(2, req, func(kmsg.Response) { answered = true })
	select {
	case <-s.told(1):
	case <-time.After(deadline):
		t.Fatal("the broker that leaves is waited for")
	}
	if !answered {
		t.Error("the other broker has not answered")
	}
	select {
	case <-s.told(2):
		t.Error("a broker that cannot be reached counts as told")
	case <-time.After(10 * time.Millisecond):
	}
}
