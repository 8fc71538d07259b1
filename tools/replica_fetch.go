package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/zurau/zurau/broker/topic"
)

// debuggingReplica is the replica id of a consumer that may read from followers too (Kafka: Request.DebuggingConsumerId).
const debuggingReplica = -2

// fetchAll asks every broker for its replicas at once. The answers of a partition stand in the order of its brokers; one
// that a broker does not give has high watermark -1.
func (v *replicaVerifier) fetchAll(ctx context.Context) map[topic.Partition][]fetchedReplica {
	hosted := make(map[int32][]*verifiedPartition)
	for _, p := range v.partitions {
		for _, id := range p.replicas {
			hosted[id] = append(hosted[id], p)
		}
	}
	var mu sync.Mutex // over fetched
	fetched := make(map[topic.Partition][]fetchedReplica)
	var brokers sync.WaitGroup
	for id, partitions := range hosted {
		brokers.Go(func() {
			given, err := v.fetch(ctx, id, partitions)
			if err != nil && ctx.Err() == nil {
				v.warn(fmt.Sprintf("Error in fetch from broker %d: %v", id, err))
				_ = pause(ctx, reconnectBackoff)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, p := range partitions {
				r, ok := given[p.Partition]
				if !ok {
					r = fetchedReplica{broker: id, highWatermark: -1}
				}
				fetched[p.Partition] = append(fetched[p.Partition], r)
			}
		})
	}
	brokers.Wait()
	for _, replicas := range fetched {
		slices.SortFunc(replicas, func(a, b fetchedReplica) int { return cmp.Compare(a.broker, b.broker) })
	}
	return fetched
}

// fetch asks one broker. Partitions it answers with an error are left out.
func (v *replicaVerifier) fetch(
	ctx context.Context, broker int32, partitions []*verifiedPartition,
) (map[topic.Partition]fetchedReplica, error) {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.ReplicaState.ID = debuggingReplica, debuggingReplica
	req.MaxWaitMillis, req.MinBytes = v.maxWait, 1
	names := make(map[topic.ID]string)
	for _, p := range partitions {
		asked := kmsg.NewFetchRequestTopicPartition()
		asked.Partition, asked.FetchOffset, asked.PartitionMaxBytes = p.ID, p.next, v.fetchBytes
		names[p.id] = p.Topic
		if n := len(req.Topics); n > 0 && req.Topics[n-1].Topic == p.Topic {
			req.Topics[n-1].Partitions = append(req.Topics[n-1].Partitions, asked)
			continue
		}
		t := kmsg.NewFetchRequestTopic()
		t.Topic, t.TopicID, t.Partitions = p.Topic, p.id, []kmsg.FetchRequestTopicPartition{asked}
		req.Topics = append(req.Topics, t)
	}
	answer, err := v.admin.client.Broker(int(broker)).Request(ctx, req)
	if err != nil {
		return nil, err
	}
	resp := answer.(*kmsg.FetchResponse)
	if err := brokerError(resp.ErrorCode, nil); err != nil {
		return nil, err
	}
	given := make(map[topic.Partition]fetchedReplica)
	for _, t := range resp.Topics {
		if resp.Version >= 13 { // ids in place of names
			t.Topic = names[t.TopicID]
		}
		for _, p := range t.Partitions {
			if p.ErrorCode == 0 {
				given[topic.Partition{Topic: t.Topic, ID: p.Partition}] =
					fetchedReplica{broker, p.HighWatermark, p.RecordBatches}
			}
		}
	}
	return given, nil
}
