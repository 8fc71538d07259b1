package main

import (
	"context"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
)

// What kafka-reassign-partitions asks of the brokers, one request a method.

// reassignments lists what is on its way; of nil means all.
func (a *adminClient) reassignments(
	ctx context.Context, of []topic.Partition,
) (map[topic.Partition]reassigning, error) {
	req := kmsg.NewPtrListPartitionReassignmentsRequest()
	req.TimeoutMillis = int32(requestTimeout.Milliseconds())
	for name, ids := range byTopic(of) {
		req.Topics = append(req.Topics, kmsg.ListPartitionReassignmentsRequestTopic{Topic: name, Partitions: ids})
	}
	running := make(map[topic.Partition]reassigning)
	if of != nil && len(of) == 0 {
		return running, nil
	}
	resp, err := ask[*kmsg.ListPartitionReassignmentsResponse](ctx, a, req)
	if err == nil {
		err = brokerError(resp.ErrorCode, resp.ErrorMessage)
	}
	if err != nil {
		return nil, executionError(err)
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			running[topic.Partition{Topic: t.Topic, ID: p.Partition}] =
				reassigning{p.Replicas, p.AddingReplicas, p.RemovingReplicas}
		}
	}
	return running, nil
}

func byTopic(partitions []topic.Partition) map[string][]int32 {
	topics := make(map[string][]int32)
	for _, p := range partitions {
		topics[p.Topic] = append(topics[p.Topic], p.ID)
	}
	return topics
}

// reassign asks for new replicas, nil to end what is on its way, and gives what was refused.
func (a *adminClient) reassign(ctx context.Context, to assignment) (map[topic.Partition]error, error) {
	topics := make(map[string][]kmsg.AlterPartitionAssignmentsRequestTopicPartition)
	for _, p := range to.partitions() {
		topics[p.Topic] = append(topics[p.Topic],
			kmsg.AlterPartitionAssignmentsRequestTopicPartition{Partition: p.ID, Replicas: to[p]})
	}
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	req.TimeoutMillis = int32(requestTimeout.Milliseconds())
	for name, partitions := range topics {
		req.Topics = append(req.Topics, kmsg.AlterPartitionAssignmentsRequestTopic{Topic: name, Partitions: partitions})
	}
	resp, err := ask[*kmsg.AlterPartitionAssignmentsResponse](ctx, a, req)
	if err != nil {
		return nil, executionError(err)
	}
	refused := make(map[topic.Partition]error)
	whole := brokerError(resp.ErrorCode, resp.ErrorMessage)
	for p := range to {
		if whole != nil {
			refused[p] = whole
		}
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := brokerError(p.ErrorCode, p.ErrorMessage); err != nil {
				refused[topic.Partition{Topic: t.Topic, ID: p.Partition}] = err
			}
		}
	}
	return refused, nil
}

// assignmentOf reads the replicas of topics. One that does not exist is an error when the caller needs all.
func (a *adminClient) assignmentOf(ctx context.Context, topics []string, needAll bool) (assignment, error) {
	current := make(assignment)
	if len(topics) == 0 {
		return current, nil
	}
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range topics {
		req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &name})
	}
	resp, err := ask[*kmsg.MetadataResponse](ctx, a, req)
	if err != nil {
		return nil, executionError(err)
	}
	for _, t := range resp.Topics {
		err := brokerError(t.ErrorCode, nil)
		if isKafkaError(err, kerr.UnknownTopicOrPartition) && !needAll {
			continue
		}
		if err != nil && t.ErrorCode != kerr.LeaderNotAvailable.Code {
			return nil, executionError(err)
		}
		for _, p := range t.Partitions {
			current[topic.Partition{Topic: *t.Topic, ID: p.Partition}] = p.Replicas
		}
	}
	return current, nil
}

// liveBrokers lists the brokers and their racks.
func (a *adminClient) liveBrokers(ctx context.Context) ([]topic.BrokerRack, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	resp, err := ask[*kmsg.MetadataResponse](ctx, a, req)
	if err != nil {
		return nil, executionError(err)
	}
	var brokers []topic.BrokerRack
	for _, b := range resp.Brokers {
		rack := ""
		if b.Rack != nil {
			rack = *b.Rack
		}
		brokers = append(brokers, topic.BrokerRack{ID: b.NodeID, Rack: rack})
	}
	return brokers, nil
}

// configChange sets keys of a topic or a broker; a nil value takes the key away.
type configChange map[string]*string

// alterConfigs changes the configurations of topics or brokers by name.
func (a *adminClient) alterConfigs(
	ctx context.Context, kind kmsg.ConfigResourceType, changes map[string]configChange,
) error {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		resource := kmsg.IncrementalAlterConfigsRequestResource{ResourceType: kind, ResourceName: name}
		for _, key := range slices.Sorted(maps.Keys(changes[name])) {
			entry := kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: key, Value: changes[name][key]}
			if entry.Value == nil {
				entry.Op = kmsg.IncrementalAlterConfigOpDelete
			}
			resource.Configs = append(resource.Configs, entry)
		}
		req.Resources = append(req.Resources, resource)
	}
	if len(req.Resources) == 0 {
		return nil
	}
	resp, err := ask[*kmsg.IncrementalAlterConfigsResponse](ctx, a, req)
	if err != nil {
		return executionError(err)
	}
	for _, r := range resp.Resources {
		if err := brokerError(r.ErrorCode, r.ErrorMessage); err != nil {
			return executionError(err)
		}
	}
	return nil
}
