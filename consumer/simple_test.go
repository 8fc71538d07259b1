package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zurau/zurau/broker/brokertest"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/consumer"
	"github.com/zurau/zurau/producer"
)

func newConsumer(t *testing.T, bootstrap string, props ...string) *consumer.Simple {
	t.Helper()
	m := map[string]string{"bootstrap.servers": bootstrap, "fetch.max.wait.ms": "50", "retry.backoff.ms": "20"}
	for _, p := range props {
		key, value, _ := strings.Cut(p, "=")
		m[key] = value
	}
	c, err := consumer.NewConfig(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := consumer.NewSimple(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// produce sends values to partition 0 of a topic.
func produce(t *testing.T, bootstrap, name string, values ...string) {
	t.Helper()
	c, err := producer.NewConfig(map[string]string{"bootstrap.servers": bootstrap})
	if err != nil {
		t.Fatal(err)
	}
	p, err := producer.New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, v := range values {
		r := producer.NewRecord(name, []byte("k"), []byte(v))
		r.Partition = 0
		r.Headers = []producer.Header{{Key: "h", Value: []byte("x")}}
		r.Timestamp = time.UnixMilli(1234)
		if _, err := p.SendSync(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

// poll reads n records.
func poll(t *testing.T, s *consumer.Simple, n int) []consumer.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var all []consumer.Record
	for len(all) < n {
		got, err := s.Poll(ctx)
		if err != nil {
			t.Fatalf("after %d of %d records: %v", len(all), n, err)
		}
		all = append(all, got...)
	}
	return all
}

func values(records []consumer.Record) []string {
	var all []string
	for _, r := range records {
		all = append(all, string(r.Value))
	}
	return all
}

func TestSimpleConsumer(t *testing.T) {
	cluster := brokertest.Start(t)
	bootstrap := strings.Join(cluster.Bootstrap(), ",")
	produce(t, bootstrap, "t", "a", "b", "c", "d")
	zero := topic.Partition{Topic: "t", ID: 0}

	t.Run("reads all from the beginning, with everything a record has", func(t *testing.T) {
		s := newConsumer(t, bootstrap)
		s.Assign(map[topic.Partition]int64{zero: consumer.Earliest})
		got := poll(t, s, 4)
		if !slices.Equal(values(got), []string{"a", "b", "c", "d"}) {
			t.Errorf("%q", values(got))
		}
		r := got[1]
		h, _ := r.Header("H")
		if r.Partition != zero || r.Offset != 1 || string(r.Key) != "k" || string(h) != "x" || r.Timestamp != 1234 ||
			r.Kind != consumer.CreateTime {
			t.Errorf("%+v", r)
		}
	})
	t.Run("begins where it is told and returns no more than asked", func(t *testing.T) {
		s := newConsumer(t, bootstrap, "max.poll.records=1")
		s.Assign(map[topic.Partition]int64{zero: 2})
		first, err := s.Poll(t.Context())
		if err != nil || len(first) != 1 || first[0].Offset != 2 {
			t.Errorf("%v %v", first, err)
		}
		if rest := poll(t, s, 1); rest[0].Offset != 3 {
			t.Errorf("%v", rest)
		}
	})
	t.Run("latest sees only what comes later", func(t *testing.T) {
		produce(t, bootstrap, "later", "old")
		s := newConsumer(t, bootstrap)
		ids, err := s.Partitions(t.Context(), "later")
		if err != nil || len(ids) != 1 {
			t.Fatal(ids, err)
		}
		s.Assign(map[topic.Partition]int64{{Topic: "later"}: 1})
		produce(t, bootstrap, "later", "new")
		if got := values(poll(t, s, 1)); !slices.Equal(got, []string{"new"}) {
			t.Errorf("%q", got)
		}
	})
	t.Run("an offset outside of the log is reset or told", func(t *testing.T) {
		s := newConsumer(t, bootstrap, "auto.offset.reset=earliest")
		s.Assign(map[topic.Partition]int64{zero: 99})
		if got := poll(t, s, 1); got[0].Offset != 0 {
			t.Errorf("%v", got)
		}
		s = newConsumer(t, bootstrap, "auto.offset.reset=none")
		s.Assign(map[topic.Partition]int64{zero: 99})
		if _, err := s.Poll(t.Context()); kerr.CodeOf(err) != kerr.OffsetOutOfRange.Code {
			t.Errorf("%v", err)
		}
	})
	t.Run("a new assignment replaces the old one", func(t *testing.T) {
		produce(t, bootstrap, "u", "z")
		s := newConsumer(t, bootstrap)
		s.Assign(map[topic.Partition]int64{zero: consumer.Earliest})
		poll(t, s, 1)
		s.Assign(map[topic.Partition]int64{{Topic: "u"}: consumer.Earliest})
		if got := poll(t, s, 1); got[0].Topic != "u" {
			t.Errorf("%v", got)
		}
	})
	t.Run("reads on through a restart of the broker", func(t *testing.T) {
		s := newConsumer(t, bootstrap)
		s.Assign(map[topic.Partition]int64{zero: consumer.Earliest})
		before := len(poll(t, s, 4))
		cluster.Node(0).Restart()
		produce(t, bootstrap, "t", "e")
		if got := poll(t, s, 1); got[0].Offset != int64(before) {
			t.Errorf("%v", got)
		}
	})
}

func TestPollEndsWithItsContextAndWithClose(t *testing.T) {
	s := newConsumer(t, "127.0.0.1:1")
	s.Assign(map[topic.Partition]int64{{Topic: "t"}: consumer.Earliest})
	stop := errors.New("stop")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, stop)
	defer cancel()
	if _, err := s.Poll(ctx); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	done := make(chan error)
	go func() {
		_, err := s.Poll(context.Background())
		done <- err
	}()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil {
		t.Error("a closed consumer returned records")
	}
	if err := s.Close(); err != nil {
		t.Error("a second Close:", err)
	}
}

func TestConfigRefusesInJavasWords(t *testing.T) {
	for _, c := range []struct{ key, value, want string }{
		{"auto.offset.reset", "never", "String must be one of: latest, earliest, none"},
		{"isolation.level", "x", "String must be one of: read_committed, read_uncommitted"},
		{"group.id", "g", "this client does not honour it"},
		{"max.poll.records", "0", "Value must be at least 1"},
		{"check.crcs", "false", "this client does not honour it yet"},
	} {
		_, err := consumer.NewConfig(map[string]string{"bootstrap.servers": "h:1", c.key: c.value})
		if want := fmt.Sprintf("Invalid value %s for configuration %s: %s", c.value, c.key, c.want); err == nil || err.Error() != want {
			t.Errorf("%v, not %s", err, want)
		}
	}
}
