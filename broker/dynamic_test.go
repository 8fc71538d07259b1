package broker

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/zkmeta"
)

// listening is a config listener at work in one session.
type listening struct {
	t       *testing.T
	l       *configListener
	changes chan string
}

func newListening(t *testing.T, properties map[string]string) *listening {
	t.Helper()
	values := map[string]string{"zookeeper.connect": "unused", "log.dirs": t.TempDir()}
	for k, v := range properties {
		values[k] = v
	}
	static, _, err := config.New(values)
	if err != nil {
		t.Fatal(err)
	}
	l := &listening{t: t, l: newConfigListener(1, config.NewDynamic(static), zap.NewNop()), changes: make(chan string, 100)}
	l.l.changed = func(topic string) { l.changes <- topic }
	return l
}

// in lets it listen in a session and calls write, which says what topic it has changed ("" for the brokers'
// configuration); it returns when the listener has seen that.
func (l *listening) in(s *zkmeta.Session, write func() string) {
	l.t.Helper()
	ctx, cancel := context.WithCancel(l.t.Context())
	ended := make(chan struct{})
	defer func() { cancel(); <-ended }()
	if err := l.l.load(ctx, s); err != nil {
		l.t.Fatal(err)
	}
	go func() {
		defer close(ended)
		l.l.run(ctx, s)
	}()
	want := write()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case got := <-l.changes:
			if got == want {
				return
			}
		case <-deadline:
			l.t.Fatalf("the change of %q was not seen", want)
		}
	}
}

// office gives the registry a controller, without which nothing may be configured.
func (r *registry) office() *zkmeta.Session {
	r.t.Helper()
	_, s := r.session()
	if _, err := s.Elect(r.t.Context(), 1, 1); err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *registry) write(s *zkmeta.Session, e zkmeta.Entity, key, value string) {
	r.t.Helper()
	if err := s.WriteConfig(r.t.Context(), e, map[string]string{key: value}); err != nil {
		r.t.Fatal(err)
	}
}

func TestChangesAreHeardInAZooKeeperThatCountsFromNoughtAgain(t *testing.T) {
	l := newListening(t, nil)
	old := newRegistry(t)
	s := old.office()
	l.in(s, func() string {
		for _, topic := range []string{"a", "b", "c"} {
			old.write(s, zkmeta.TopicEntity(topic), "retention.ms", "1000")
		}
		return "c"
	})
	wiped := newRegistry(t)
	s = wiped.office()
	l.in(s, func() string {
		wiped.write(s, zkmeta.TopicEntity("c"), "retention.ms", "2000")
		return "c"
	})
	if got := l.l.dynamic.Topic("c").RetentionMS; got != 2000 {
		t.Errorf("retention.ms is %d", got)
	}
	if got := l.l.dynamic.Overridden(); !slices.Equal(got, []string{"c"}) {
		t.Errorf("what ZooKeeper has no more is still in force for %v", got)
	}
}

// Two who read at once must not put the older value in force last: nobody would read it again.
func TestValuesAreReadAndPutInForceByOneAtATime(t *testing.T) {
	l := newListening(t, nil).l
	r := newRegistry(t)
	s := r.office()
	if err := l.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := zkmeta.TopicEntity("t")
	done := make(chan error, 1)
	go func() { done <- l.read(t.Context(), s, []zkmeta.Entity{e}) }()
	r.write(s, e, "retention.ms", "1000")
	select {
	case err := <-done:
		t.Fatalf("read out of turn: %v", err)
	default:
	}
	l.release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := l.dynamic.Topic("t").RetentionMS; got != 1000 {
		t.Errorf("retention.ms is %d", got)
	}
	late, cancel := context.WithCancel(t.Context())
	cancel()
	<-l.turn
	if err := l.read(late, s, []zkmeta.Entity{e}); !errors.Is(err, context.Canceled) {
		t.Errorf("a turn that does not come: %v", err)
	}
}

func TestAChangeOfTheBrokersReachesTheConnectionLimits(t *testing.T) {
	for _, e := range []zkmeta.Entity{zkmeta.DefaultBrokerEntity, zkmeta.BrokerEntity(1)} {
		l := newListening(t, map[string]string{"max.connections.per.ip": "7"})
		told := make(chan int, 10)
		l.l.limits = func() { told <- connectionLimits(l.l.dynamic.Broker()).MaxConnectionsPerIP }
		r := newRegistry(t)
		s := r.office()
		l.in(s, func() string { r.write(s, e, "max.connections.per.ip", "9"); return "" })
		close(told)
		last := 0
		for n := range told {
			last = n
		}
		if last != 9 {
			t.Errorf("%s: max.connections.per.ip is %d", e, last)
		}
	}
}

func TestConnectionLimitsAreThoseOfTheConfiguration(t *testing.T) {
	l := newListening(t, map[string]string{"max.connections": "5", "max.connections.per.ip": "4",
		"max.connections.per.ip.overrides": "127.0.0.1:3,::1:2", "max.connection.creation.rate": "6"})
	got := connectionLimits(l.l.dynamic.Broker())
	if got.MaxConnections != 5 || got.MaxConnectionsPerIP != 4 || got.MaxCreationRate != 6 ||
		len(got.MaxConnectionsPerIPOverrides) != 2 || got.MaxConnectionsPerIPOverrides["127.0.0.1"] != 3 ||
		got.MaxConnectionsPerIPOverrides["::1"] != 2 {
		t.Errorf("%+v", got)
	}
	if got := connectionLimits(newListening(t, map[string]string{"max.connection.creation.rate": "0"}).l.dynamic.Broker()); got.MaxCreationRate != 1 {
		t.Errorf("a rate of 0 became %d; none at all would be no limit", got.MaxCreationRate)
	}
}
