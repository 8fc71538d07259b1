package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// within is how long a test waits for what must happen.
const within = 10 * time.Second

// startServer serves handler on one loopback listener until the test ends. change may alter the options.
func startServer(t testing.TB, handler Handler, change func(*ServerOptions)) *Server {
	t.Helper()
	o := DefaultServerOptions()
	o.Listeners = []Listener{{Name: "PLAINTEXT", SecurityProtocol: "PLAINTEXT", Host: "127.0.0.1"}}
	if change != nil {
		change(&o)
	}
	s := NewServer(o, handler, zap.NewNop(), metrics.New())
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	s.Serve()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return s
}

// client is a raw connection that speaks frames.
type client struct {
	t testing.TB
	net.Conn
}

func dial(t testing.TB, s *Server) *client {
	t.Helper()
	nc, err := net.Dial("tcp", s.Addr("PLAINTEXT").String())
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(within))
	t.Cleanup(func() { _ = nc.Close() })
	return &client{t, nc}
}

func (c *client) send(b []byte) {
	c.t.Helper()
	if _, err := c.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// request sends req with the correlation id.
func (c *client) request(req kmsg.Request, correlationID int32) {
	c.t.Helper()
	c.send(appendRequest(nil, req, correlationID, "test"))
}

// receive reads one frame and returns its correlation id and what follows.
func (c *client) receive() (int32, []byte) {
	c.t.Helper()
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		c.t.Fatal(err)
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(c, b); err != nil {
		c.t.Fatal(err)
	}
	return int32(binary.BigEndian.Uint32(b)), b[4:]
}

// expectClosed fails the test unless the server hangs up without another byte.
func (c *client) expectClosed() {
	c.t.Helper()
	n, err := c.Read(make([]byte, 1))
	var timeout net.Error
	if n != 0 || errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Fatalf("read %d bytes and %v, want the connection to be closed", n, err)
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// metadataRequest asks for no topics; echo answers it with a cluster id of its own.
func metadataRequest(version int16) *kmsg.MetadataRequest {
	r := kmsg.NewPtrMetadataRequest()
	r.SetVersion(version)
	return r
}

func produceRequest(acks int16, recordBytes int) *kmsg.ProduceRequest {
	r := kmsg.NewPtrProduceRequest()
	r.SetVersion(9)
	r.Acks = acks
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = make([]byte, recordBytes)
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.Partitions = "t", append(t.Partitions, p)
	r.Topics = append(r.Topics, t)
	return r
}

// respondTo makes an empty response to r.
func respondTo(r *Request) Reply {
	req := kmsg.RequestForKey(r.Key)
	req.SetVersion(r.Version)
	resp := req.ResponseKind()
	resp.SetVersion(r.Version)
	return Respond(resp)
}

func echo(_ context.Context, r *Request) Reply { return respondTo(r) }

func TestServerAnswersPipelinedRequestsInOrder(t *testing.T) {
	c := dial(t, startServer(t, echo, nil))
	for i := range int32(100) {
		c.request(metadataRequest(int16(i%13)), i)
	}
	for i := range int32(100) {
		if got, _ := c.receive(); got != i {
			t.Fatalf("response %d, want %d", got, i)
		}
	}
}

func TestServerAnswersOnePieceAtATimeRequests(t *testing.T) {
	c := dial(t, startServer(t, echo, nil))
	for _, b := range appendRequest(nil, metadataRequest(12), 7, "byte by byte") {
		c.send([]byte{b})
	}
	if got, _ := c.receive(); got != 7 {
		t.Errorf("response %d, want 7", got)
	}
}

func TestServerReadsWhatTheRequestSays(t *testing.T) {
	type seen struct {
		key, version int16
		clientID     string
		listener, id string
		body         int
	}
	got := make(chan seen, 1)
	c := dial(t, startServer(t, func(_ context.Context, r *Request) Reply {
		got <- seen{r.Key, r.Version, r.ClientIDString(), r.Conn.Listener(), r.Conn.ID(), len(r.Body)}
		return respondTo(r)
	}, nil))
	c.request(produceRequest(1, 3<<20), 1) // beyond every pooled buffer
	c.receive()
	want := seen{0, 9, "test", "PLAINTEXT", fmt.Sprintf("%s-%s-0", c.RemoteAddr(), c.LocalAddr()),
		len(produceRequest(1, 3<<20).AppendTo(nil))}
	if s := <-got; s != want {
		t.Errorf("got %+v, want %+v", s, want)
	}
}

func TestPanicOfAHandlerCostsItsConnectionAlone(t *testing.T) {
	s := startServer(t, func(_ context.Context, r *Request) Reply {
		if r.Key == keyProduce {
			panic("boom")
		}
		return respondTo(r)
	}, nil)
	good, bad := dial(t, s), dial(t, s)
	bad.request(produceRequest(1, 1), 1)
	bad.expectClosed()
	good.request(metadataRequest(1), 2)
	good.receive()
	if n := s.metrics.panics.Load(); n != 1 {
		t.Errorf("%d panics counted, want 1", n)
	}
}

func TestIdleConnectionIsClosed(t *testing.T) {
	c := dial(t, startServer(t, echo, func(o *ServerOptions) { o.IdleTimeout = 50 * time.Millisecond }))
	c.request(metadataRequest(1), 1)
	c.receive()
	c.expectClosed()
}

func TestSlowFrameIsBoundedByTheIdleTimeout(t *testing.T) {
	c := dial(t, startServer(t, echo, func(o *ServerOptions) { o.IdleTimeout = 50 * time.Millisecond }))
	c.send([]byte{0, 0, 0, 100, 0, 3, 0, 1})
	c.expectClosed()
}

func TestConnectionsPerAddressAreLimited(t *testing.T) {
	s := startServer(t, echo, func(o *ServerOptions) { o.MaxConnectionsPerIP = 2 })
	a, b := dial(t, s), dial(t, s)
	for i, c := range []*client{a, b} {
		c.request(metadataRequest(1), int32(i))
		c.receive()
	}
	dial(t, s).expectClosed()
	_ = a.Close()
	eventually(t, "a place is free", func() bool { return s.ConnectionCount() == 1 })
	again := dial(t, s)
	again.request(metadataRequest(1), 5)
	again.receive()
}

func TestAListenerHasALimitOfItsOwn(t *testing.T) {
	s := startServer(t, echo, func(o *ServerOptions) { o.Listeners[0].MaxConnections = 1 })
	for range 3 { // each gets the place of the one before
		first, second := dial(t, s), dial(t, s)
		first.request(metadataRequest(1), 1)
		first.receive()
		second.request(metadataRequest(1), 2)
		_ = second.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if n, _ := second.Read(make([]byte, 1)); n != 0 {
			t.Fatal("a second connection was served beyond the listener's max.connections")
		}
		_ = first.Close()
		_ = second.SetReadDeadline(time.Now().Add(within))
		second.receive()
		_ = second.Close()
		eventually(t, "the place is free", func() bool { return s.ConnectionCount() == 0 })
	}
	s.admission.mu.Lock()
	defer s.admission.mu.Unlock()
	if len(s.admission.mu.byIP) != 0 || s.admission.mu.total != 0 {
		t.Errorf("nobody is connected, and there are %d of %v", s.admission.mu.total, s.admission.mu.byIP)
	}
}

func TestAnOverrideRaisesTheLimitOfOneAddress(t *testing.T) {
	s := startServer(t, echo, func(o *ServerOptions) {
		o.MaxConnectionsPerIP = 0
		o.MaxConnectionsPerIPOverrides = map[string]int{"127.0.0.1": 1}
	})
	c := dial(t, s)
	c.request(metadataRequest(1), 1)
	c.receive()
	dial(t, s).expectClosed()
}

func TestFullServerLetsTheNextInWhenSomeoneLeaves(t *testing.T) {
	s := startServer(t, echo, func(o *ServerOptions) {
		o.InterBrokerListener, o.MaxConnections = "PLAINTEXT", 1 // shared with clients, so not protected
	})
	first := dial(t, s)
	first.request(metadataRequest(1), 1)
	first.receive()
	second := dial(t, s)
	second.request(metadataRequest(1), 2)
	_ = second.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, _ := second.Read(make([]byte, 1)); n != 0 {
		t.Fatal("a second connection was served beyond max.connections")
	}
	_ = first.Close()
	_ = second.SetReadDeadline(time.Now().Add(within))
	if got, _ := second.receive(); got != 2 {
		t.Errorf("response %d, want 2", got)
	}
}

func TestInterBrokerListenerEvictsTheQuietestClientOfAFullServer(t *testing.T) {
	s := startServer(t, echo, func(o *ServerOptions) {
		o.Listeners = append(o.Listeners, Listener{Name: "INTERNAL", SecurityProtocol: "PLAINTEXT", Host: "127.0.0.1"})
		o.InterBrokerListener, o.MaxConnections = "INTERNAL", 2
	})
	busy, quiet := dial(t, s), dial(t, s) // who came first is not who was quiet first
	quiet.request(metadataRequest(1), 1)
	quiet.receive()
	for start := time.Now(); time.Since(start) < 5*time.Millisecond; { // lastActive counts milliseconds
		busy.request(metadataRequest(1), 1)
		busy.receive()
	}
	nc, err := net.Dial("tcp", s.Addr("INTERNAL").String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(within))
	broker := &client{t, nc}
	broker.request(metadataRequest(1), 9)
	broker.receive()
	quiet.expectClosed()
	busy.request(metadataRequest(1), 2)
	busy.receive()
}

// An evicted client's fetch may wait for days: it must not keep its goroutine, its file descriptor and its place.
func TestAnEvictedConnectionEndsTheHandlerThatWaits(t *testing.T) {
	waits, ended := make(chan struct{}), make(chan struct{})
	s := startServer(t, func(ctx context.Context, r *Request) Reply {
		if r.CorrelationID == 1 {
			close(waits)
			<-ctx.Done()
			close(ended)
		}
		return respondTo(r)
	}, func(o *ServerOptions) {
		o.Listeners = append(o.Listeners, Listener{Name: "INTERNAL", SecurityProtocol: "PLAINTEXT", Host: "127.0.0.1"})
		o.InterBrokerListener, o.MaxConnections = "INTERNAL", 1
	})
	dial(t, s).request(metadataRequest(1), 1)
	<-waits
	nc, err := net.Dial("tcp", s.Addr("INTERNAL").String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	select {
	case <-ended:
	case <-time.After(within):
		t.Fatal("the handler of a closed connection waits on")
	}
	eventually(t, "its place is free", func() bool { return s.ConnectionCount() == 1 })
}

func TestListenNamesTheAddressThatIsTaken(t *testing.T) {
	s := startServer(t, echo, nil)
	o := DefaultServerOptions()
	o.Listeners = []Listener{{Name: "X", Host: "127.0.0.1", Port: s.Addr("PLAINTEXT").Port}}
	err := NewServer(o, echo, zap.NewNop(), metrics.New()).Listen()
	want := fmt.Sprintf("Socket server failed to bind to 127.0.0.1:%d: Address already in use.", o.Listeners[0].Port)
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestStopAnswersWhatIsInWorkAndEndsTheRest(t *testing.T) {
	entered := make(chan struct{})
	s := startServer(t, func(ctx context.Context, r *Request) Reply {
		close(entered)
		<-ctx.Done() // a fetch that waits for data
		return respondTo(r)
	}, nil)
	idle, busy := dial(t, s), dial(t, s)
	busy.request(metadataRequest(1), 1)
	<-entered
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if got, _ := busy.receive(); got != 1 {
		t.Errorf("response %d, want 1", got)
	}
	busy.expectClosed()
	idle.expectClosed()
	if _, err := net.Dial("tcp", s.Addr("PLAINTEXT").String()); err == nil {
		t.Error("the listener still accepts")
	}
	if err := s.Stop(ctx); err != nil {
		t.Errorf("second stop: %v", err)
	}
}

func TestStopCutsOffWhatIsNotAnsweredInTime(t *testing.T) {
	p := NewPending()
	handled := make(chan struct{})
	s := startServer(t, func(context.Context, *Request) Reply {
		close(handled)
		return Later(p)
	}, nil)
	c := dial(t, s)
	c.request(produceRequest(-1, 1), 1)
	<-handled
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := s.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stop: %v", err)
	}
	c.expectClosed()
	released := make(releases, 1)
	p.Complete(RespondParts(nil, Part{Region: &Region{Release: released}}))
	<-released // nobody receives it, so its region goes back at once
}

func TestStopBeforeServe(t *testing.T) {
	o := DefaultServerOptions()
	o.Listeners = []Listener{{Name: "A", Host: "127.0.0.1"}}
	s := NewServer(o, echo, zap.NewNop(), metrics.New())
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestQueuedBytesHoldBackTheNextRequest(t *testing.T) {
	hold := make(chan struct{})
	var inWork atomic.Int32
	s := startServer(t, func(_ context.Context, r *Request) Reply {
		inWork.Add(1)
		<-hold
		return respondTo(r)
	}, func(o *ServerOptions) { o.MaxQueuedBytes = 1000 })
	a, b := dial(t, s), dial(t, s)
	a.request(produceRequest(1, 2000), 1)
	eventually(t, "the first is in work", func() bool { return inWork.Load() == 1 })
	b.request(produceRequest(1, 2000), 2)
	_ = b.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, _ = b.Read(make([]byte, 1)); inWork.Load() != 1 {
		t.Error("the second request was let in beyond queued.max.request.bytes")
	}
	close(hold)
	_ = b.SetReadDeadline(time.Now().Add(within))
	a.receive()
	b.receive()
}

func TestReleaseBodyGivesItsBytesBackBeforeTheReply(t *testing.T) {
	p := NewPending()
	s := startServer(t, func(_ context.Context, r *Request) Reply {
		if *r.ClientID == "first" {
			r.ReleaseBody()
			return Later(p)
		}
		return respondTo(r)
	}, func(o *ServerOptions) { o.MaxQueuedBytes = 1000 })
	a, b := dial(t, s), dial(t, s)
	a.send(appendRequest(nil, produceRequest(-1, 5000), 1, "first"))
	b.send(appendRequest(nil, produceRequest(-1, 5000), 2, "second"))
	b.receive()
	p.Complete(respondTo(&Request{Key: keyProduce, Version: 9}))
	a.receive()
}

func TestServersManyConnectionsAtOnce(t *testing.T) {
	s := startServer(t, echo, nil)
	var wg sync.WaitGroup
	for range 20 {
		c := dial(t, s)
		wg.Go(func() {
			for i := range int32(50) {
				c.request(produceRequest(1, int(i)*1000), i)
				if got, _ := c.receive(); got != i {
					t.Errorf("response %d, want %d", got, i)
				}
			}
		})
	}
	wg.Wait()
}
