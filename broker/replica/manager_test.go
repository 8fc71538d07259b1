package replica

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/storage"
	"github.com/zurau/zurau/broker/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const self = 1

var t0 = topic.Partition{Topic: "t", ID: 0}

func newManager(t testing.TB, properties map[string]string) *Manager {
	t.Helper()
	dir, err := os.MkdirTemp("", "replica") // t.TempDir has the test's name, and log.dirs is split at its commas
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	values := map[string]string{"zookeeper.connect": "unused", "log.dirs": dir}
	for k, v := range properties {
		values[k] = v
	}
	cfg, _, err := config.New(values)
	if err != nil {
		t.Fatal(err)
	}
	dynamic := config.NewDynamic(cfg)
	store, err := storage.Open(storage.Options{Dirs: cfg.LogDirs, Topic: dynamic.Topic, BrokerID: self})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	m := NewManager(Options{BrokerID: self, Storage: store, RefreshTopics: func([]string) {}, Logger: zap.NewNop(),
		Alive: func(int32) bool { return true }, LeaderAddr: func(int32) (string, bool) { return "", false },
		ReplicaLagTimeMax: 30 * time.Second})
	t.Cleanup(m.Stop)
	return m
}

// state is one partition of a LeaderAndIsr request.
type state struct {
	leader, epoch int32
	isr, replicas []int32
	id            topic.ID
}

// lead sends one LeaderAndIsr and returns the partition's answer.
func lead(m *Manager, controllerEpoch int32, s state) (top, partition int16) {
	req := kmsg.NewPtrLeaderAndISRRequest()
	req.Version, req.ControllerEpoch = 7, controllerEpoch
	p := kmsg.NewLeaderAndISRRequestTopicPartition()
	p.Leader, p.LeaderEpoch, p.ISR, p.Replicas, p.IsNew = s.leader, s.epoch, s.isr, s.replicas, true
	req.TopicStates = []kmsg.LeaderAndISRRequestTopicState{{Topic: "t", TopicID: s.id,
		PartitionStates: []kmsg.LeaderAndISRRequestTopicPartition{p}}}
	resp := m.LeaderAndIsr(req)
	if len(resp.Topics) == 0 {
		return resp.ErrorCode, 0
	}
	return resp.ErrorCode, resp.Topics[0].Partitions[0].ErrorCode
}

func mustLead(t testing.TB, m *Manager, s state) *Partition {
	t.Helper()
	if top, code := lead(m, 1, s); top != 0 || code != 0 {
		t.Fatalf("LeaderAndIsr %+v: %d, %d", s, top, code)
	}
	return m.Partition(t0)
}

func batch(t testing.TB, values ...string) []byte {
	t.Helper()
	b := record.NewBuilder(record.Compression{}, 1<<20)
	for _, v := range values {
		if err := b.Append(1700000000000, nil, []byte(v), nil); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := b.Finish(nil)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

func TestControlRequestsAreFencedByEpochs(t *testing.T) {
	m := newManager(t, nil)
	a, b := topic.NewID(), topic.NewID()
	mine := []int32{self}
	for _, c := range []struct {
		name            string
		controllerEpoch int32
		state           state
		top, code       int16
	}{
		{"a broker that is no replica says so", 5, state{2, 0, []int32{2}, []int32{2}, a}, 0, 3},
		{"the first state is taken", 5, state{self, 3, mine, mine, a}, 0, 0},
		{"the same leader epoch once more is old news", 5, state{self, 3, mine, mine, a}, 0, 11},
		{"a smaller one too", 5, state{self, 2, mine, mine, a}, 0, 11},
		{"another topic id is another topic", 5, state{self, 4, mine, mine, b}, 0, 103},
		{"no topic id for a log that has one is passed over", 5, state{self, 3, mine, mine, topic.ID{}}, 0, 0},
		{"a larger leader epoch is taken", 5, state{self, 4, mine, mine, a}, 0, 0},
		{"a controller that was replaced is refused whole", 4, state{self, 9, mine, mine, a}, 11, 0},
		{"a new controller is known by its larger epoch", 6, state{self, 5, mine, mine, a}, 0, 0},
	} {
		if top, code := lead(m, c.controllerEpoch, c.state); top != c.top || code != c.code {
			t.Errorf("%s: got %d, %d; want %d, %d", c.name, top, code, c.top, c.code)
		}
	}
}

func TestStopReplica(t *testing.T) {
	m := newManager(t, nil)
	mustLead(t, m, state{self, 3, []int32{self}, []int32{self}, topic.NewID()})
	stop := func(epoch int32, remove bool) int16 {
		req := kmsg.NewPtrStopReplicaRequest()
		req.Version, req.ControllerEpoch = 4, 1
		req.Topics = []kmsg.StopReplicaRequestTopic{{Topic: "t", PartitionStates: []kmsg.StopReplicaRequestTopicPartitionState{
			{Partition: 0, LeaderEpoch: epoch, Delete: remove}}}}
		return m.StopReplica(req).Partitions[0].ErrorCode
	}
	if code := stop(2, false); code != kerr.FencedLeaderEpoch.Code || m.Partition(t0) == nil {
		t.Fatalf("an older leader epoch stopped the partition: %d", code)
	}
	if code := stop(3, false); code != 0 || m.Partition(t0) != nil || m.Storage.Log(t0) == nil {
		t.Fatalf("stopping must leave the log: %d", code)
	}
	if code := stop(epochDuringDelete, true); code != 0 || m.Storage.Log(t0) != nil {
		t.Fatalf("the log was not deleted: %d", code)
	}
	if code := stop(epochDuringDelete, true); code != 0 {
		t.Fatalf("what is not here is stopped already: %d", code)
	}
}

func TestAcksAllWaitsForEveryInSyncReplica(t *testing.T) {
	m := newManager(t, map[string]string{"min.insync.replicas": "2"})
	p := mustLead(t, m, state{self, 0, []int32{self, 2}, []int32{self, 2}, topic.NewID()})
	wait := func(timeout time.Duration) chan error {
		done := make(chan error, 1)
		a, err := p.AppendAsLeader(batch(t, "a", "b"), -1, storage.AppendOptions{Origin: storage.Client, ProduceVersion: 9})
		if err != nil || a.Replicated {
			t.Fatalf("append: %+v, %v", a, err)
		}
		AwaitReplication(timeout, []Replication{{p, a.LastOffset + 1, a.LeaderEpoch}}, func(errs []error) { done <- errs[0] })
		return done
	}
	follow := func(offset int64) {
		out := make([]Fetched, 1)
		m.Fetch(t.Context(), Reader{ReplicaID: 2, MaxBytes: 1 << 20}, []Position{{Partition: p, Offset: offset,
			MaxBytes: 1 << 20, LeaderEpoch: 0, LastFetchedEpoch: -1}}, out)
		release(out)
	}
	first := wait(time.Minute)
	follow(1)
	select {
	case err := <-first:
		t.Fatalf("acknowledged with half the records replicated: %v", err)
	default:
	}
	follow(2)
	if err := <-first; err != nil {
		t.Errorf("replicated, and told %v", err)
	}
	if hw := p.log.View().HighWatermark; hw != 2 {
		t.Errorf("high watermark %d", hw)
	}
	if err := <-wait(time.Millisecond); !errors.Is(err, kerr.RequestTimedOut) {
		t.Errorf("nobody fetched, and told %v", err)
	}
	lost := wait(time.Minute)
	mustLead(t, m, state{2, 1, []int32{self, 2}, []int32{self, 2}, topic.ID{}})
	if err := <-lost; !errors.Is(err, kerr.NotLeaderOrFollower) {
		t.Errorf("the lead was lost, and told %v", err)
	}
}

func TestTooSmallAnISRRefusesBeforeTheAppend(t *testing.T) {
	m := newManager(t, map[string]string{"min.insync.replicas": "2"})
	p := mustLead(t, m, state{self, 0, []int32{self}, []int32{self, 2}, topic.NewID()})
	if _, err := p.AppendAsLeader(batch(t, "a"), -1, storage.AppendOptions{}); !errors.Is(err, kerr.NotEnoughReplicas) {
		t.Errorf("acks=all: %v", err)
	}
	if _, err := p.AppendAsLeader(batch(t, "a"), 1, storage.AppendOptions{}); err != nil {
		t.Errorf("acks=1 asks for nobody else: %v", err)
	}
	if v := p.log.View(); v.LogEndOffset != 1 || v.HighWatermark != 0 {
		t.Errorf("one record in the log and none readable, got %+v", v)
	}
}

func TestAFetchWaitsUntilItsBytesAreThere(t *testing.T) {
	m := newManager(t, nil)
	p := mustLead(t, m, state{self, 0, []int32{self}, []int32{self}, topic.NewID()})
	fetch := func(minBytes int, wait time.Duration) Fetched {
		out := make([]Fetched, 1)
		m.Fetch(t.Context(), Reader{ReplicaID: Consumer, MinBytes: minBytes, MaxBytes: 1 << 20, MaxWait: wait, FirstBatch: true},
			[]Position{{Partition: p, Offset: p.log.View().LogEndOffset, MaxBytes: 1 << 20, LeaderEpoch: -1, LastFetchedEpoch: -1}}, out)
		release(out)
		return out[0]
	}
	if got := fetch(1, time.Millisecond); got.Err != nil || got.Region.N != 0 {
		t.Errorf("nothing came, and got %+v", got)
	}
	answered := make(chan Fetched, 1)
	go func() { answered <- fetch(1, time.Minute) }()
	awaitReader(t, p)
	if _, err := p.AppendAsLeader(batch(t, "a"), 1, storage.AppendOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := <-answered; got.Err != nil || got.Region.N == 0 {
		t.Errorf("woken with %+v", got)
	}
	go func() { answered <- fetch(1, time.Minute) }()
	awaitReader(t, p)
	mustLead(t, m, state{2, 1, []int32{2}, []int32{self, 2}, topic.ID{}})
	if got := <-answered; !errors.Is(got.Err, kerr.NotLeaderOrFollower) {
		t.Errorf("the lead was lost while waiting, and got %+v", got)
	}
}

func TestAFetchEndsWithItsConnection(t *testing.T) {
	m := newManager(t, nil)
	p := mustLead(t, m, state{self, 0, []int32{self}, []int32{self}, topic.NewID()})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out := make([]Fetched, 1)
	m.Fetch(ctx, Reader{ReplicaID: Consumer, MinBytes: 1, MaxBytes: 1, MaxWait: time.Hour}, []Position{{Partition: p, MaxBytes: 1,
		LeaderEpoch: -1, LastFetchedEpoch: -1}}, out)
}

func TestWhoMayRead(t *testing.T) {
	m := newManager(t, nil)
	p := mustLead(t, m, state{self, 4, []int32{self}, []int32{self}, topic.NewID()})
	for _, c := range []struct {
		name string
		rd   Reader
		q    Position
		want error
	}{
		{"a consumer that knows no epoch", Reader{ReplicaID: Consumer}, Position{LeaderEpoch: -1}, nil},
		{"a consumer with an old epoch is fenced", Reader{ReplicaID: Consumer}, Position{LeaderEpoch: 3}, kerr.FencedLeaderEpoch},
		{"a consumer that is ahead of us waits", Reader{ReplicaID: Consumer}, Position{LeaderEpoch: 5}, kerr.UnknownLeaderEpoch},
		{"a stranger who says he is a replica", Reader{ReplicaID: 9}, Position{LeaderEpoch: -1}, kerr.NotLeaderOrFollower},
		{"a stranger with an epoch may be ahead of us", Reader{ReplicaID: 9}, Position{LeaderEpoch: 4}, kerr.UnknownLeaderEpoch},
		{"this broker is not its own follower", Reader{ReplicaID: self}, Position{LeaderEpoch: -1}, kerr.NotLeaderOrFollower},
		{"below the log start", Reader{ReplicaID: Consumer}, Position{Offset: -1, LeaderEpoch: -1}, kerr.OffsetOutOfRange},
		{"beyond the log end", Reader{ReplicaID: Consumer}, Position{Offset: 1, LeaderEpoch: -1}, kerr.OffsetOutOfRange},
	} {
		c.q.Partition, c.q.LastFetchedEpoch, c.rd.MaxBytes = p, -1, 1
		out := make([]Fetched, 1)
		m.Fetch(t.Context(), c.rd, []Position{c.q}, out)
		if !errors.Is(out[0].Err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, out[0].Err, c.want)
		}
	}
}
