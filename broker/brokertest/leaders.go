package brokertest

import (
	"context"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// leaderWatch asks all brokers over and over who leads, and holds them to one leader per partition and epoch. It reads
// by sarama, as the checker does.
type leaderWatch struct {
	cluster *Cluster
	topic   string
	cancel  context.CancelFunc
	running sync.WaitGroup
	mu      struct {
		sync.Mutex
		leaders  map[partitionEpoch]int32
		findings findings
	}
}

type partitionEpoch struct{ partition, epoch int32 }

// watchLeaders begins a watch that ends with the test or by check.
func (c *Cluster) watchLeaders(topic string) *leaderWatch {
	ctx, cancel := context.WithCancel(context.Background())
	w := &leaderWatch{cluster: c, topic: topic, cancel: cancel}
	w.mu.leaders = map[partitionEpoch]int32{}
	for _, n := range c.brokers {
		w.running.Go(func() { w.follow(ctx, n.Addr()) })
	}
	c.t.Cleanup(w.stop)
	return w
}

func (w *leaderWatch) stop() {
	w.cancel()
	w.running.Wait()
}

const leaderWatchInterval = 20 * time.Millisecond

// follow asks one broker, whether it is up or not.
func (w *leaderWatch) follow(ctx context.Context, addr string) {
	config := sarama.NewConfig()
	config.Net.DialTimeout, config.Net.ReadTimeout = time.Second, time.Second
	for ctx.Err() == nil {
		b := sarama.NewBroker(addr)
		if b.Open(config) == nil {
			for ctx.Err() == nil && w.ask(b, addr) {
				pause(ctx, leaderWatchInterval)
			}
			b.Close()
		}
		pause(ctx, leaderWatchInterval)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// ask notes what one broker says; false when it does not answer.
func (w *leaderWatch) ask(b *sarama.Broker, addr string) bool {
	const withEpochs = 7
	m, err := b.GetMetadata(&sarama.MetadataRequest{Version: withEpochs, Topics: []string{w.topic}})
	if err != nil || len(m.Topics) != 1 {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range m.Topics[0].Partitions {
		at := partitionEpoch{p.ID, p.LeaderEpoch}
		leader, known := w.mu.leaders[at]
		if known && p.Leader >= 0 && leader >= 0 && leader != p.Leader {
			w.mu.findings.add("two leaders", "partition %d, epoch %d: %d, and %s says %d", at.partition, at.epoch, leader, addr, p.Leader)
		}
		if p.Leader >= 0 {
			w.mu.leaders[at] = p.Leader
		}
	}
	return true
}

// check ends the watch and fails the test when an epoch had two leaders.
func (w *leaderWatch) check() {
	w.cluster.t.Helper()
	w.stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.mu.findings.all {
		w.cluster.t.Error(f)
	}
	w.cluster.t.Logf("%d leaderships seen", len(w.mu.leaders))
}
