package brokertest

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// ZURAU_KILLS=20 makes the crash tests as long as the promise they stand for; the default is a sample of it.
func kills(t *testing.T) int {
	if given := os.Getenv("ZURAU_KILLS"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return 3
}

// restartLimit is how long a killed broker may take until it acknowledges again.
const restartLimit = 2 * time.Second

// killable is a broker with a session of 18 s that can be killed and brought back.
type killable struct {
	*Node
	addr string
	dir  string
}

func startKillable(t *testing.T) killable {
	t.Helper()
	n := Start(t, Processes(), Property("zookeeper.session.timeout.ms", "18000"), Property("num.partitions", "3"),
		Property("log.segment.bytes", "4194304")).Node(0)
	return killable{n, n.Addr(), n.Dir()}
}

// load produces numbered values round robin to 3 partitions until stopped, and remembers where each was acknowledged.
type load struct {
	client *kgo.Client
	acked  atomic.Int64
	mu     struct {
		sync.Mutex
		at     map[string]place // by value
		failed map[string]bool  // values whose outcome is not known
	}
	stop context.CancelFunc
	done sync.WaitGroup
}

type place struct {
	partition int32
	offset    int64
}

func startLoad(t *testing.T, addr string, opts ...kgo.Opt) *load {
	t.Helper()
	base := []kgo.Opt{kgo.SeedBrokers(addr), kgo.DefaultProduceTopic("t"), kgo.AllowAutoTopicCreation(),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MaxBufferedRecords(2000), kgo.ProducerLinger(0),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }), kgo.MetadataMinAge(20 * time.Millisecond),
		kgo.UnknownTopicRetries(-1)}
	c, err := kgo.NewClient(append(base, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{client: c, stop: cancel}
	l.mu.at, l.mu.failed = map[string]place{}, map[string]bool{}
	l.done.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			r := &kgo.Record{Partition: int32(i % 3), Value: []byte(strconv.Itoa(i))}
			c.Produce(ctx, r, l.outcome)
		}
	})
	return l
}

func (l *load) outcome(r *kgo.Record, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.mu.failed[string(r.Value)] = true
		return
	}
	l.mu.at[string(r.Value)] = place{r.Partition, r.Offset}
	l.acked.Add(1)
}

// finish stops the load and waits for every outcome.
func (l *load) finish() (acked map[string]place) {
	l.stop()
	l.done.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	l.client.Flush(ctx)
	l.client.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.at
}

// awaitAcks waits until n more records have been acknowledged and returns how long that took.
func (l *load) awaitAcks(t *testing.T, n int64) time.Duration {
	t.Helper()
	began, goal := time.Now(), l.acked.Load()+n
	for l.acked.Load() < goal {
		if time.Since(began) > 30*time.Second {
			t.Fatalf("%d acknowledgements are missing", goal-l.acked.Load())
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}

func TestKilledUnderLoadEveryAcknowledgedRecordIsThere(t *testing.T) {
	for _, c := range []struct {
		name        string
		exactlyOnce bool
		opts        []kgo.Opt
	}{
		{"acks=all and idempotence: exactly once", true, nil},
		{"acks=1: at least once", false, []kgo.Opt{kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite()}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := startKillable(t)
			l := startLoad(t, k.addr, c.opts...)
			l.awaitAcks(t, 1000)
			rounds := kills(t)
			for range rounds {
				l.awaitAcks(t, 100000/20)
				time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond) // the random moment is what is tested
				k.Kill()
				began := time.Now()
				k.Start()
				l.awaitAcks(t, 1)
				if took := time.Since(began); took > restartLimit {
					t.Errorf("acknowledging again took %v", took)
				}
			}
			acked := l.finish()
			t.Logf("%d acknowledgements over %d kills", len(acked), rounds)
			checkDrain(t, drain(t, k.addr, 3), acked, c.exactlyOnce)
		})
	}
}

// checkDrain holds what was acknowledged against what a consumer reads.
func checkDrain(t *testing.T, read map[int32][]*kgo.Record, acked map[string]place, exactlyOnce bool) {
	t.Helper()
	times := map[string]int{}
	for p, records := range read {
		for i, r := range records {
			if r.Offset != int64(i) {
				t.Fatalf("partition %d: offset %d follows %d: not dense", p, r.Offset, i-1)
			}
			times[string(r.Value)]++
			if want, ok := acked[string(r.Value)]; exactlyOnce && ok && want != (place{p, r.Offset}) {
				t.Fatalf("value %s was acknowledged at %v and stands at %d-%d", r.Value, want, p, r.Offset)
			}
		}
	}
	lost, twice := 0, 0
	for value := range acked {
		switch n := times[value]; {
		case n == 0:
			lost++
		case n > 1 && exactlyOnce:
			twice++
		}
	}
	if lost > 0 || twice > 0 {
		t.Errorf("of %d acknowledged records %d are lost, %d stand twice", len(acked), lost, twice)
	}
}

// drain reads every partition of topic t from its start to its end.
func drain(t *testing.T, addr string, partitions int32) map[int32][]*kgo.Record {
	t.Helper()
	return drainTopic(t, addr, "t", partitions)
}

func drainTopic(t *testing.T, addr, topic string, partitions int32) map[int32][]*kgo.Record {
	t.Helper()
	from := map[int32]kgo.Offset{}
	for p := range partitions {
		from[p] = kgo.NewOffset().AtStart()
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	read := map[int32][]*kgo.Record{}
	ends := map[int32]int64{}
	complete := func() bool {
		for p := range partitions {
			if end, known := ends[p]; !known || int64(len(read[p])) < end {
				return false
			}
		}
		return true
	}
	for !complete() {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachPartition(func(f kgo.FetchTopicPartition) {
			ends[f.Partition] = f.HighWatermark
			read[f.Partition] = append(read[f.Partition], f.Records...)
		})
	}
	return read
}

func TestACutTailIsLostAloneAndTheBrokerSaysSo(t *testing.T) {
	k := startKillable(t)
	for round := range kills(t) {
		l := startLoad(t, k.addr, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
		l.awaitAcks(t, 3000)
		l.finish()
		before := drain(t, k.addr, 3)
		k.Kill()
		file, whole := cutTail(t, filepath.Join(k.dir, "t-0"))
		k.Start()
		after := drain(t, k.addr, 3)
		if got := int64(len(after[0])); got != whole {
			t.Errorf("round %d: %d records are left of partition 0, the whole batches of %s end at %d", round, got, file, whole)
		}
		for p, records := range after {
			for i, r := range records {
				if string(r.Value) != string(before[p][i].Value) {
					t.Fatalf("round %d: partition %d offset %d changed", round, p, i)
				}
			}
			if p != 0 && len(records) != len(before[p]) {
				t.Errorf("round %d: partition %d lost records without a cut", round, p)
			}
		}
		if n := strings.Count(k.Log(), "truncat"); n <= round {
			t.Errorf("round %d: the broker said %d times that it truncated a log", round, n)
		}
	}
}

// cutTail cuts the last segment at a random byte in its last batches, and returns the log end offset that is left.
func cutTail(t *testing.T, dir string) (file string, end int64) {
	t.Helper()
	segments, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("no segments in %s: %v", dir, err)
	}
	slices.Sort(segments)
	file = segments[len(segments)-1]
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cut := len(data) - 1 - rand.IntN(min(len(data)-1, 20000))
	if err := os.Truncate(file, int64(cut)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(filepath.Base(file), "%d.log", &end); err != nil {
		t.Fatal(err)
	}
	for at := 0; at+61 <= cut; {
		size := 12 + int(binary.BigEndian.Uint32(data[at+8:]))
		if at+size > cut {
			break
		}
		end = int64(binary.BigEndian.Uint64(data[at:])) + int64(binary.BigEndian.Uint32(data[at+23:])) + 1
		at += size
	}
	return file, end
}
