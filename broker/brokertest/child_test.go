package brokertest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/wire"
)

// child is a broker in a process of its own, so that its memory is its own and it may end by itself.
type childBroker struct {
	*Node
	addr string
	dir  string
}

// newChild prepares a broker; more overrides its properties.
func newChild(t *testing.T, zookeeper string, more map[string]string) childBroker {
	t.Helper()
	return newChildAt(t, zookeeper, fmt.Sprintf("127.0.0.1:%d", freePort()), filepath.Join(tempDir(t), "log"), more)
}

// newChildAt is a broker with an address and a log directory that may have been another's.
func newChildAt(t *testing.T, zookeeper, addr, dir string, more map[string]string) childBroker {
	t.Helper()
	options := []Option{Processes(), ZooKeeper(zookeeper), Property("listeners", "PLAINTEXT://"+addr), Property("log.dirs", dir)}
	for key, value := range more {
		options = append(options, Property(key, value))
	}
	return childBroker{Node: New(t, options...).Node(0), addr: addr, dir: dir}
}

func startChild(t *testing.T, more map[string]string) childBroker {
	t.Helper()
	c := newChild(t, startZooKeeper(t), more)
	c.Start()
	return c
}

// stop is Stop for who wants to know how it went.
func (c childBroker) stop() error { return c.leave().stop() }

// startZooKeeper runs an embedded server, which ends with the test.
func startZooKeeper(t *testing.T) (connect string) {
	t.Helper()
	e := embed(t)
	return e.connect
}

// ask sends one request on a connection of its own.
func ask[R kmsg.Response](t *testing.T, addr string, req kmsg.Request) R {
	t.Helper()
	r, err := tryAsk[R](addr, req)
	if err != nil {
		t.Fatalf("%s: %v", kmsg.NameForKey(req.Key()), err)
	}
	return r
}

func tryAsk[R kmsg.Response](addr string, req kmsg.Request) (R, error) {
	var none R
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c := wire.NewClient(wire.ClientOptions{ClientID: "test", Timeout: 30 * time.Second})
	defer c.Close()
	if err := c.Connect(ctx, addr); err != nil {
		return none, err
	}
	r, err := c.Do(ctx, req)
	if err != nil {
		return none, err
	}
	return r.(R), nil
}

// createTopic makes a topic of one partition and waits until it can be written to.
func createTopic(t *testing.T, addr, name string, configs map[string]string) {
	t.Helper()
	one := kmsg.NewCreateTopicsRequestTopic()
	one.Topic, one.NumPartitions, one.ReplicationFactor = name, 1, 1
	for k, v := range configs {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = k, &v
		one.Configs = append(one.Configs, c)
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis, req.Topics = 5, 20000, append(req.Topics, one)
	eventually(t, "the controller takes the topic", func() error {
		resp := ask[*kmsg.CreateTopicsResponse](t, addr, req)
		switch code := resp.Topics[0].ErrorCode; code {
		case 0:
			return nil
		case kerr.NotController.Code: // elected a moment ago, or not yet: every client asks again
			return kerr.NotController
		default:
			t.Fatalf("topic %s was not created: error %d", name, code)
			return nil
		}
	})
	eventually(t, "the topic has a leader", func() error {
		_, err := endOf(addr, name, 0)
		return err
	})
}

// endOf asks for a partition's high watermark.
func endOf(addr, topic string, partition int32) (int64, error) {
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp, p.CurrentLeaderEpoch = partition, -1, -1
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID = 5, -1
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
	resp, err := tryAsk[*kmsg.ListOffsetsResponse](addr, req)
	if err != nil {
		return -1, err
	}
	got := resp.Topics[0].Partitions[0]
	if got.ErrorCode != 0 {
		return -1, fmt.Errorf("error %d", got.ErrorCode)
	}
	return got.Offset, nil
}

// eventually waits up to half a minute until check has nothing to say against.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: still not so: %v", what, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// memory watches the anonymous memory of a process, which is what it cannot give back to the kernel.
type memory struct {
	pid     int
	before  int // bytes, when the watch began
	highest int // bytes; to be read after stop
	ended   chan struct{}
	done    sync.WaitGroup
}

func watchMemory(t *testing.T, n *Node) *memory {
	t.Helper()
	m := &memory{pid: n.PID(), ended: make(chan struct{})}
	m.before = rssAnon(m.pid)
	if m.before == 0 {
		t.Log("this system does not tell RssAnon: memory is not checked")
	}
	m.done.Go(func() {
		for {
			m.highest = max(m.highest, rssAnon(m.pid))
			select {
			case <-m.ended:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	})
	return m
}

// check ends the watch; the memory must not have grown by bound bytes or more at any time.
func (m *memory) check(t *testing.T, bound int) {
	t.Helper()
	close(m.ended)
	m.done.Wait()
	t.Logf("RssAnon %.1f MiB before, at most %.1f MiB", float64(m.before)/(1<<20), float64(m.highest)/(1<<20))
	if m.highest-m.before >= bound && m.before > 0 && !raceEnabled {
		t.Errorf("RssAnon grew by %d MiB, want less than %d", (m.highest-m.before)>>20, bound>>20)
	}
}

func rssAnon(pid int) int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, after, _ := strings.Cut(string(status), "RssAnon:")
	kb, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	n, _ := strconv.Atoi(kb)
	return n << 10
}

// pulse is a well-behaved client that must not notice what others do: it produces a record and reads it back, over
// and over, on the same connections.
type pulse struct {
	t       *testing.T
	client  *kgo.Client
	beats   atomic.Int64
	longest atomic.Int64 // ns
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

// beatLimit is how long one beat may take while a hundred bad clients are at work on a small machine.
const beatLimit = 10 * time.Second

func startPulse(t *testing.T, addr string) *pulse {
	t.Helper()
	createTopic(t, addr, "pulse", nil)
	c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic("pulse"), kgo.FetchMaxWait(100*time.Millisecond),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"pulse": {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &pulse{t: t, client: c, cancel: cancel}
	t.Cleanup(p.stop)
	p.done.Go(func() { p.run(ctx) })
	p.await(5)
	return p
}

func (p *pulse) run(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		began := time.Now()
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), beatLimit)
		want := strconv.Itoa(i)
		err := p.client.ProduceSync(limit, kgo.StringRecord(want)).FirstErr()
		for got := ""; err == nil && got != want; {
			fetches := p.client.PollFetches(limit)
			err = fetches.Err()
			fetches.EachRecord(func(r *kgo.Record) { got = string(r.Value) })
		}
		cancel()
		if err != nil {
			p.t.Errorf("the well-behaved client, beat %d: %v", i, err)
			return
		}
		p.longest.Store(max(p.longest.Load(), int64(time.Since(began))))
		p.beats.Add(1)
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// await waits for n more beats.
func (p *pulse) await(n int64) {
	p.t.Helper()
	goal := p.beats.Load() + n
	eventually(p.t, "the well-behaved client is served", func() error {
		if at := p.beats.Load(); at < goal {
			return fmt.Errorf("beat %d of %d", at, goal)
		}
		return nil
	})
}

func (p *pulse) stop() {
	p.cancel()
	p.done.Wait()
	p.client.Close()
	p.t.Logf("the well-behaved client: %d beats, the longest %v", p.beats.Load(), time.Duration(p.longest.Load()))
}
