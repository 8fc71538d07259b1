package producer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zurau/zurau/broker/brokertest"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/producer"
)

func newProducer(t *testing.T, bootstrap string, props ...string) *producer.Producer {
	t.Helper()
	m := map[string]string{"bootstrap.servers": bootstrap}
	for _, p := range props {
		key, value, _ := strings.Cut(p, "=")
		m[key] = value
	}
	c, err := producer.NewConfig(m)
	if err != nil {
		t.Fatal(err)
	}
	p, err := producer.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestSendingInOneTopic(t *testing.T) {
	cluster := brokertest.Start(t, brokertest.Property("num.partitions", "3"))
	bootstrap := strings.Join(cluster.Bootstrap(), ",")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	t.Run("synchronous records of a key follow one another", func(t *testing.T) {
		p := newProducer(t, bootstrap)
		for i := range 5 {
			at, err := p.SendSync(ctx, producer.NewRecord("keys", []byte("abc"), fmt.Appendf(nil, "v%d", i)))
			if err != nil {
				t.Fatal(err)
			}
			if want := producer.PartitionForKey([]byte("abc"), 3); at.Partition != want || at.Offset != int64(i) {
				t.Errorf("record %d at %+v", i, at)
			}
		}
	})
	t.Run("a named partition is taken", func(t *testing.T) {
		r := producer.NewRecord("named", []byte("abc"), nil)
		r.Partition = 2
		if at, err := newProducer(t, bootstrap).SendSync(ctx, r); err != nil || at.Partition != 2 {
			t.Errorf("%+v %v", at, err)
		}
	})
	t.Run("close waits for every acknowledgement", func(t *testing.T) {
		p := newProducer(t, bootstrap, "linger.ms=50", "acks=1", "buffer.memory=2000")
		var mu sync.Mutex
		acknowledged := 0
		for range 100 {
			p.Send(ctx, producer.NewRecord("many", nil, make([]byte, 100)), func(_ producer.Position, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					acknowledged++
				}
			})
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		if acknowledged != 100 {
			t.Errorf("%d of 100 were acknowledged", acknowledged)
		}
	})
	t.Run("a record too large is refused before it is sent", func(t *testing.T) {
		_, err := newProducer(t, bootstrap, "max.request.size=100").SendSync(ctx, producer.NewRecord("keys", nil, make([]byte, 200)))
		if kerr.CodeOf(err) != kerr.MessageTooLarge.Code || !strings.Contains(err.Error(), "286 bytes") {
			t.Errorf("%v", err)
		}
	})
	t.Run("a name that is none is refused at once", func(t *testing.T) {
		_, err := newProducer(t, bootstrap).SendSync(ctx, producer.NewRecord("bad name", nil, nil))
		if kerr.CodeOf(err) != kerr.InvalidTopicException.Code || err.Error() != "Invalid topics: [bad name]" {
			t.Errorf("%v", err)
		}
	})
	t.Run("a closed producer sends nothing", func(t *testing.T) {
		p := newProducer(t, bootstrap)
		p.Close()
		if _, err := p.SendSync(ctx, producer.NewRecord("keys", nil, nil)); err == nil {
			t.Error("it was sent")
		}
	})
	t.Run("interceptors see records and what became of them", func(t *testing.T) {
		c, err := producer.NewConfig(map[string]string{"bootstrap.servers": bootstrap})
		if err != nil {
			t.Fatal(err)
		}
		seen := &stamping{}
		c.Interceptors = []producer.Interceptor{seen}
		p, err := producer.New(c)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if _, err := p.SendSync(ctx, producer.NewRecord("seen", nil, []byte("v"))); err != nil {
			t.Fatal(err)
		}
		if string(seen.value) != "v!" || seen.err != nil || seen.at.Offset != 0 {
			t.Errorf("%+v", seen)
		}
	})
}

// stamping appends to each value and remembers the last outcome.
type stamping struct {
	value []byte
	at    producer.Position
	err   error
}

func (s *stamping) OnSend(r *producer.Record) { r.Value = append(r.Value, '!') }

func (s *stamping) OnAcknowledgement(r producer.Record, at producer.Position, err error) {
	s.value, s.at, s.err = r.Value, at, err
}

func TestServersThatAreNotThere(t *testing.T) {
	p := newProducer(t, "127.0.0.1:1", "max.block.ms=300", "retry.backoff.ms=20")
	_, err := p.SendSync(t.Context(), producer.NewRecord("t", nil, nil))
	if kerr.CodeOf(err) != kerr.RequestTimedOut.Code || err.Error() != "Topic t not present in metadata after 300 ms." {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cancel(stop)
	if _, err := p.SendSync(ctx, producer.NewRecord("t", nil, nil)); err == nil {
		t.Error("a cancelled call was sent")
	}
}

// The time a producer waits for the metadata of a topic is not in the timestamps: the records of a batch that went out
// together would lie far apart, and take more bytes.
func TestARecordIsStampedWhenItsTopicIsKnown(t *testing.T) {
	cluster := brokertest.Start(t)
	p := newProducer(t, strings.Join(cluster.Bootstrap(), ","), "acks=1")
	stamps := make(chan time.Time, 1)
	began := time.Now()
	p.Send(t.Context(), producer.NewRecord("new", nil, []byte("v")), func(at producer.Position, err error) {
		if err != nil {
			t.Error(err)
		}
		stamps <- at.Timestamp
	})
	known := time.Now() // Send has waited for the topic to be made
	if waited, before := known.Sub(began), known.Sub(<-stamps); waited > 10*time.Millisecond && before > waited/2 {
		t.Errorf("stamped %v before the topic was known, after a wait of %v", before, waited)
	}
}

// Sarama takes no more while a broker holds its answers back: whoever waits there is let go when the context ends.
func TestSendEndsWithItsContext(t *testing.T) {
	cluster := brokertest.Start(t)
	p := newProducer(t, strings.Join(cluster.Bootstrap(), ","), "acks=1", "retries=0", "request.timeout.ms=100",
		"max.request.size=1000")
	if _, err := p.SendSync(t.Context(), producer.NewRecord("held", nil, nil)); err != nil {
		t.Fatal(err)
	}
	held := make(chan struct{}) // an acknowledgement that is not taken holds sarama up, as a broker would
	release := sync.OnceFunc(func() { close(held) })
	defer release()
	defer time.AfterFunc(20*time.Second, release).Stop()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 500*time.Millisecond, errors.New("that was all"))
	defer cancel()
	refused := make(chan error, 1)
	for ctx.Err() == nil {
		p.Send(ctx, producer.NewRecord("held", nil, make([]byte, 100)), func(_ producer.Position, err error) {
			if err != nil && ctx.Err() != nil {
				select {
				case refused <- err:
				default:
				}
				return
			}
			<-held
		})
	}
	select {
	case err := <-refused:
		if err.Error() != "that was all" {
			t.Error(err)
		}
	case <-held:
		t.Error("Send waited on")
	}
}
