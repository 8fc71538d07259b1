package brokertest

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/IBM/sarama"
)

// drainTimeout bounds how long reading a partition from its start to its end may take.
const drainTimeout = 2 * time.Minute

// Check ends the load, waits for the full ISR, reads everything that is there (as consumers of both isolation levels,
// and from the files of every replica) and fails the test for every law that was broken. replicas is the replication
// factor of the topic; all brokers must be up.
func (l *Load) Check(replicas int) {
	t := l.cluster.t
	t.Helper()
	l.stop()
	l.cluster.AwaitISR(l.topic, replicas)
	client, err := sarama.NewClient(l.cluster.Bootstrap(), loadConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ends, err := l.ends(client)
	if err != nil {
		t.Fatal(err)
	}
	var readings []reading
	for _, level := range []sarama.IsolationLevel{sarama.ReadUncommitted, sarama.ReadCommitted} {
		r, err := l.drain(level, ends)
		if err != nil {
			t.Fatal(err)
		}
		readings = append(readings, r)
	}
	dumps, broken := l.dump(ends, replicas)
	l.history.mu.Lock()
	defer l.history.mu.Unlock()
	broken = append(broken, judge(l.history.mu.acked, l.history.mu.unknown, append(readings, dumps...))...)
	for _, f := range broken {
		t.Error(f)
	}
	t.Logf("%d acknowledgements, %d sends of unknown outcome, %d broken laws", len(l.history.mu.acked), len(l.history.mu.unknown), len(broken))
}

// ends are the high watermarks.
func (l *Load) ends(client sarama.Client) (map[int32]int64, error) {
	ends := map[int32]int64{}
	for p := range int32(l.partitions) {
		end, err := client.GetOffset(l.topic, p, sarama.OffsetNewest)
		if err != nil {
			return nil, err
		}
		ends[p] = end
	}
	return ends, nil
}

// drain reads all partitions to their ends.
func (l *Load) drain(level sarama.IsolationLevel, ends map[int32]int64) (reading, error) {
	name := map[sarama.IsolationLevel]string{sarama.ReadUncommitted: "read_uncommitted", sarama.ReadCommitted: "read_committed"}
	r := reading{reader: name[level], partitions: map[int32][]stored{}}
	config := loadConfig()
	config.Consumer.IsolationLevel = level
	consumer, err := sarama.NewConsumer(l.cluster.Bootstrap(), config)
	if err != nil {
		return r, err
	}
	defer consumer.Close()
	for p, end := range ends {
		if end == 0 {
			continue
		}
		if r.partitions[p], err = drainPartition(consumer, l.topic, p, end); err != nil {
			return r, fmt.Errorf("%s, partition %d: %w", r.reader, p, err)
		}
	}
	return r, nil
}

func drainPartition(consumer sarama.Consumer, topic string, partition int32, end int64) ([]stored, error) {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	pc, err := consumer.ConsumePartition(topic, partition, sarama.OffsetOldest)
	if err != nil {
		return nil, err
	}
	defer pc.Close()
	var all []stored
	for {
		select {
		case m := <-pc.Messages():
			all = append(all, stored{m.Offset, string(m.Value)})
			if m.Offset >= end-1 {
				return all, nil
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("%d records came, the end is %d", len(all), end)
		}
	}
}

// dump reads the replicas' files and compares them. Every broker that has the partition is taken for a replica.
func (l *Load) dump(ends map[int32]int64, replicas int) (readings []reading, broken []finding) {
	byBroker := map[int]reading{}
	for p, hw := range ends {
		logs := map[int][]logBatch{}
		for _, n := range l.cluster.brokers {
			batches, err := readReplica(filepath.Join(n.dir, fmt.Sprintf("%s-%d", l.topic, p)))
			if err != nil {
				broken = append(broken, finding{"unreadable", fmt.Sprintf("broker %d: %v", n.id, err)})
				continue
			}
			if len(batches) == 0 {
				continue
			}
			logs[n.id] = batches
			if byBroker[n.id].partitions == nil {
				byBroker[n.id] = reading{fmt.Sprintf("the log of broker %d", n.id), map[int32][]stored{}}
			}
			for _, b := range batches {
				values, err := b.values()
				if err != nil {
					broken = append(broken, finding{"unreadable", fmt.Sprintf("broker %d, partition %d: %v", n.id, p, err)})
				}
				byBroker[n.id].partitions[p] = append(byBroker[n.id].partitions[p], values...)
			}
		}
		if hw > 0 && len(logs) != replicas {
			broken = append(broken, finding{"divergence", fmt.Sprintf("partition %d has %d logs, not %d", p, len(logs), replicas)})
		}
		broken = append(broken, judgeReplicas(p, hw, logs)...)
	}
	if replicas < len(l.cluster.brokers) {
		return nil, broken // no broker has everything, so none can be held against all acknowledgements
	}
	for _, id := range slices.Sorted(maps.Keys(byBroker)) {
		readings = append(readings, byBroker[id])
	}
	return readings, broken
}
