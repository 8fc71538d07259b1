package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func connected(t *testing.T, addr string, o ClientOptions) *Client {
	t.Helper()
	c := NewClient(o)
	t.Cleanup(c.Close)
	if err := c.Connect(context.Background(), addr); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClientExchangesFlexibleAndOldVersions(t *testing.T) {
	s := startServer(t, func(_ context.Context, r *Request) Reply {
		resp := kmsg.NewPtrMetadataResponse()
		resp.Version = r.Version
		resp.ControllerID = 42
		return Respond(resp)
	}, nil)
	c := connected(t, s.Addr("PLAINTEXT").String(), ClientOptions{ClientID: "1"})
	for v := int16(1); v <= 12; v++ {
		resp, err := c.Do(context.Background(), metadataRequest(v))
		if err != nil {
			t.Fatalf("v%d: %v", v, err)
		}
		if got := resp.(*kmsg.MetadataResponse).ControllerID; got != 42 {
			t.Errorf("v%d: controller %d, want 42", v, got)
		}
	}
}

func TestControlledShutdownZeroTravelsWithoutClientID(t *testing.T) {
	s := startServer(t, func(_ context.Context, r *Request) Reply {
		req := kmsg.NewPtrControlledShutdownRequest()
		if err := r.Decode(req); err != nil || r.ClientID != nil || req.BrokerID != 9 {
			return Close("wrong")
		}
		return respondTo(r)
	}, nil)
	c := connected(t, s.Addr("PLAINTEXT").String(), ClientOptions{ClientID: "1"})
	req := kmsg.NewPtrControlledShutdownRequest()
	req.BrokerID = 9
	if _, err := c.Do(context.Background(), req); err != nil {
		t.Error(err)
	}
}

func TestClientGivesUpAtItsTimeoutAndAtTheEndOfTheContext(t *testing.T) {
	s := startServer(t, func(ctx context.Context, _ *Request) Reply {
		<-ctx.Done()
		return Close("over")
	}, nil)
	addr := s.Addr("PLAINTEXT").String()
	c := connected(t, addr, ClientOptions{Timeout: 20 * time.Millisecond})
	var timeout net.Error
	if _, err := c.Do(context.Background(), metadataRequest(1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("got %v, want a timeout", err)
	}
	if _, err := c.Do(context.Background(), metadataRequest(1)); err != ErrNotConnected {
		t.Errorf("got %v after an error, want ErrNotConnected", err)
	}
	c = connected(t, addr, ClientOptions{})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Do(ctx, metadataRequest(1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestCloseEndsARequestInFlight(t *testing.T) {
	entered := make(chan struct{})
	s := startServer(t, func(ctx context.Context, _ *Request) Reply {
		close(entered)
		<-ctx.Done()
		return Close("over")
	}, nil)
	c := connected(t, s.Addr("PLAINTEXT").String(), ClientOptions{})
	go func() {
		<-entered
		c.Close()
	}()
	if _, err := c.Do(context.Background(), metadataRequest(1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want net.ErrClosed", err)
	}
	if err := c.Connect(context.Background(), s.Addr("PLAINTEXT").String()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("connect after close: %v", err)
	}
}

func TestClientRefusesAForeignResponse(t *testing.T) {
	frame := func(size, correlated int32) []byte {
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(size)), uint32(correlated))
	}
	tests := []struct {
		name   string
		answer []byte
		why    string
	}{
		{"another correlation id", frame(4, 99), "response 99 to request 1"},
		{"a negative size", frame(-1, 1), "response of -1 bytes"},
		{"a size no header fits in", frame(3, 1), "response of 3 bytes"},
		{"a size beyond the limit", frame(1001, 1), "response of 1001 bytes"},
		{"a body cut short", append(frame(8, 1), 0, 0), "unexpected EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			done := make(chan struct{})
			go func() {
				defer close(done)
				nc, err := l.Accept()
				if err != nil {
					return
				}
				defer nc.Close()
				var size [4]byte
				_, _ = io.ReadFull(nc, size[:])
				_, _ = io.CopyN(io.Discard, nc, int64(binary.BigEndian.Uint32(size[:])))
				_, _ = nc.Write(tt.answer)
			}()
			c := connected(t, l.Addr().String(), ClientOptions{MaxResponseSize: 1000, Timeout: within})
			if resp, err := c.Do(context.Background(), metadataRequest(1)); err == nil || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("got %+v, %v; want %q", resp, err, tt.why)
			}
			<-done
		})
	}
}
