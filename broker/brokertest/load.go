package brokertest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// Load is a steady stream of records to one topic by idempotent sarama producers with acks=all, which never give up.
type Load struct {
	cluster    *Cluster
	topic      string
	partitions int
	history    *History
	producers  []sarama.AsyncProducer
	cancel     context.CancelFunc
	running    sync.WaitGroup
}

// loadProducers is how many producers there are, loadPace how often each sends to one partition after the other.
const (
	loadProducers = 2
	loadPace      = time.Millisecond
)

// StartLoad begins to produce to all partitions of a topic that is there. The load ends with the test, or by Check.
func (c *Cluster) StartLoad(topic string, partitions int) *Load {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &Load{cluster: c, topic: topic, partitions: partitions, history: newHistory(), cancel: cancel}
	c.t.Cleanup(l.stop)
	for i := range loadProducers {
		p, err := sarama.NewAsyncProducer(c.Bootstrap(), loadConfig())
		if err != nil {
			c.t.Fatal(err)
		}
		l.producers = append(l.producers, p)
		l.running.Go(func() { l.send(ctx, i, p) })
		l.running.Go(func() { l.note(p) })
	}
	return l
}

// loadConfig has retries without end: a client of a cluster in trouble waits. Metadata is asked for until there is a
// leader, for sarama's partition producer stops asking for ten seconds when it was told three times that there is none.
func loadConfig() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.V2_8_0_0
	c.Producer.Idempotent, c.Net.MaxOpenRequests = true, 1
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Producer.Return.Successes, c.Producer.Return.Errors = true, true
	c.Producer.Retry.Max, c.Producer.Retry.Backoff = 100_000, 20*time.Millisecond
	c.Metadata.Retry.Max, c.Metadata.Retry.Backoff = 5000, 20*time.Millisecond
	c.Producer.Timeout = 3 * time.Second
	c.Net.DialTimeout, c.Net.ReadTimeout, c.Net.WriteTimeout = 5*time.Second, 5*time.Second, 5*time.Second
	return c
}

// send feeds one producer.
func (l *Load) send(ctx context.Context, producer int, p sarama.AsyncProducer) {
	defer p.AsyncClose()
	pace := time.NewTicker(loadPace)
	defer pace.Stop()
	for sequence := 0; ; sequence++ {
		m := &sarama.ProducerMessage{Topic: l.topic, Partition: int32(sequence % l.partitions),
			Value: sarama.StringEncoder(fmt.Sprintf("%d-%d", producer, sequence))}
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
		select {
		case <-ctx.Done():
			return
		case p.Input() <- m:
		}
	}
}

// note writes down what became of each record, until the producer has ended.
func (l *Load) note(p sarama.AsyncProducer) {
	successes, failures := p.Successes(), p.Errors()
	for successes != nil || failures != nil {
		select {
		case m, open := <-successes:
			if !open {
				successes = nil
				continue
			}
			l.history.acknowledge(Ack{Partition: m.Partition, Offset: m.Offset, Value: textOf(m), At: time.Now()})
		case e, open := <-failures:
			if !open {
				failures = nil
				continue
			}
			l.history.doubt(textOf(e.Msg))
		}
	}
}

func textOf(m *sarama.ProducerMessage) string { return string(m.Value.(sarama.StringEncoder)) }

// History is what the producers know so far.
func (l *Load) History() *History { return l.history }

// AwaitAcks waits until every partition has n more acknowledgements, and gives how long that took.
func (l *Load) AwaitAcks(n int) time.Duration {
	l.cluster.t.Helper()
	began := time.Now()
	l.cluster.await(fmt.Sprintf("%d more acknowledgements of each partition of %s", n, l.topic), func(context.Context) error {
		count := make([]int, l.partitions)
		for _, a := range l.history.Acked() {
			if a.At.After(began) {
				count[a.Partition]++
			}
		}
		for p, got := range count {
			if got < n {
				return fmt.Errorf("partition %d has %d", p, got)
			}
		}
		return nil
	})
	return time.Since(began)
}

// stop ends the producers and waits for what is under way. Producers that never give up are left behind by a cluster
// that never answers; the test has failed then.
func (l *Load) stop() {
	l.cancel()
	ended := make(chan struct{})
	go func() {
		l.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(clusterTimeout):
		l.cluster.t.Errorf("records of the load were neither acknowledged nor refused within %v", clusterTimeout)
	}
}
