package zkmeta

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func plaintext(id, port int32) BrokerInfo {
	return BrokerInfo{ID: id, JMXPort: -1, Timestamp: 1,
		Endpoints: []Endpoint{{"PLAINTEXT", "PLAINTEXT", "127.0.0.1", port}}}
}

func TestRegistration(t *testing.T) {
	zk := startServer(t)
	ctx := t.Context()
	c := connect(t, zk.String())
	s := session(t, c)
	must(t, s.EnsurePaths(ctx))
	first, err := s.RegisterBroker(ctx, plaintext(1, 9092))
	must(t, err)

	t.Run("gives the czxid as epoch, which an update keeps", func(t *testing.T) {
		b := plaintext(1, 9093)
		b.Rack, b.Endpoints = "r1", append(b.Endpoints, Endpoint{"IN", "SSL", "h", 9094})
		must(t, s.UpdateBroker(ctx, b))
		got, err := s.Brokers(ctx)
		must(t, err)
		b.Epoch, b.Owner = first, s.ID()
		if diff := cmp.Diff(map[int32]BrokerInfo{1: b}, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("again in the same session gives the same epoch", func(t *testing.T) {
		if again, err := s.RegisterBroker(ctx, plaintext(1, 9092)); err != nil || again != first {
			t.Errorf("%d, %v", again, err)
		}
	})
	foreign := session(t, connect(t, zk.String()))
	t.Run("of an id that a foreign session holds is refused and names it", func(t *testing.T) {
		var exists *BrokerExistsError
		if _, err := foreign.RegisterBroker(ctx, plaintext(1, 9999)); !errors.As(err, &exists) || exists.Owner != s.ID() {
			t.Errorf("%v", err)
		}
		ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		if err := foreign.AwaitBrokerGone(ctx, 1); !errors.As(err, &exists) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting in vain: %v", err)
		}
	})
	t.Run("waits for a foreign session to end", func(t *testing.T) {
		gone := make(chan error)
		go func() { gone <- foreign.AwaitBrokerGone(ctx, 1) }()
		must(t, CloseSession(ctx, zk.addr, s.ID(), s.Password()))
		select {
		case err := <-gone:
			must(t, err)
		case <-time.After(patience):
			t.Fatal("the end was not seen")
		}
	})
	t.Run("replaces the zombie of an own earlier session", func(t *testing.T) {
		await(t, "the next life", func() bool {
			next := c.Session()
			if next == nil || next == s {
				return false
			}
			s = next
			return true
		})
		zombie, err := foreign.RegisterBroker(ctx, plaintext(1, 9092)) // stands for our own of before
		must(t, err)
		c.mu.Lock()
		c.mu.registrar = foreign.ID()
		c.mu.Unlock()
		if epoch, err := s.RegisterBroker(ctx, plaintext(1, 9092)); err != nil || epoch <= zombie {
			t.Errorf("%d after %d, %v", epoch, zombie, err)
		}
	})
}

func TestAnAddressThatAnotherBrokerHoldsIsRefused(t *testing.T) {
	others := map[int32]BrokerInfo{1: plaintext(1, 9092), 2: plaintext(2, 9093)}
	must(t, CheckEndpoints(plaintext(1, 9092), others))
	must(t, CheckEndpoints(plaintext(3, 9094), others))
	err := CheckEndpoints(plaintext(3, 9093), others)
	want := "requirement failed: Configured end points 127.0.0.1:9093 in advertised listeners are already registered by broker 2"
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestGeneratedBrokerIDsBeginAboveTheReservedOnes(t *testing.T) {
	s := session(t, connect(t, startServer(t).String()))
	for want := int32(1001); want < 1004; want++ {
		if id, err := s.GenerateBrokerID(t.Context(), 1000); err != nil || id != want {
			t.Errorf("%d, %v; want %d", id, err, want)
		}
	}
}
