package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
)

// topicPicture is what --describe --bootstrap-server knows about the cluster.
type topicPicture struct {
	topics        []kmsg.MetadataResponseTopic
	liveBrokers   []int32
	configs       map[string][]configEntry // by topic, sorted by name
	reassignments map[topic.Partition]kmsg.ListPartitionReassignmentsResponseTopicPartition
}

func (t *topicService) runDescribe(ctx context.Context) error {
	picture, err := t.picture(ctx)
	if err != nil {
		return err
	}
	filtered := t.has(t.underReplicated) || t.has(t.unavailable) || t.has(t.underMinISR) || t.has(t.atMinISR)
	for _, d := range picture.topics {
		overridden := picture.overridden(*d.Topic)
		if !filtered && (len(overridden) > 0 || !t.has(t.withOverrides)) {
			picture.printTopic(t.io.Out, d, overridden)
		}
		if t.has(t.withOverrides) {
			continue
		}
		for _, p := range d.Partitions {
			if !filtered || t.wants(picture, *d.Topic, p) {
				picture.printPartition(t.io.Out, *d.Topic, p)
			}
		}
	}
	return nil
}

// picture asks for all that the chosen topics are described by.
func (t *topicService) picture(ctx context.Context) (*topicPicture, error) {
	picture := &topicPicture{
		configs:       make(map[string][]configEntry),
		reassignments: make(map[topic.Partition]kmsg.ListPartitionReassignmentsResponseTopicPartition),
	}
	if t.has(t.topicID) {
		return picture, t.pictureByID(ctx, picture)
	}
	names, err := t.existingNames(ctx)
	if err != nil || len(names) == 0 {
		return picture, err
	}
	resp, err := t.metadata(ctx, names)
	if err != nil {
		return nil, err
	}
	return picture, t.fill(ctx, picture, resp)
}

func (t *topicService) pictureByID(ctx context.Context, picture *topicPicture) error {
	id, err := topic.ParseID(t.str(t.topicID))
	if err != nil {
		return illegalArgument("Input string %s is not a topic id", t.str(t.topicID))
	}
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{{TopicID: id}}
	resp, err := ask[*kmsg.MetadataResponse](ctx, t.admin, req)
	if err != nil {
		return err
	}
	for _, d := range resp.Topics {
		if err := brokerError(d.ErrorCode, nil); isKafkaError(err, kerr.UnknownTopicID) {
			if t.has(t.ifExists) {
				return nil
			}
			return illegalArgument("TopicId '%s' does not exist as expected", id)
		} else if err != nil {
			return err
		}
	}
	return t.fill(ctx, picture, resp)
}

func (t *topicService) fill(ctx context.Context, picture *topicPicture, resp *kmsg.MetadataResponse) error {
	picture.topics = resp.Topics
	for _, b := range resp.Brokers {
		picture.liveBrokers = append(picture.liveBrokers, b.NodeID)
	}
	slices.SortFunc(picture.topics, func(a, b kmsg.MetadataResponseTopic) int {
		return strings.Compare(*a.Topic, *b.Topic)
	})
	reassigned := kmsg.NewPtrListPartitionReassignmentsRequest()
	configured := kmsg.NewPtrDescribeConfigsRequest()
	for _, d := range picture.topics {
		slices.SortFunc(d.Partitions, func(a, b kmsg.MetadataResponseTopicPartition) int {
			return int(a.Partition - b.Partition)
		})
		configured.Resources = append(configured.Resources, kmsg.DescribeConfigsRequestResource{
			ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: *d.Topic})
		asked := kmsg.ListPartitionReassignmentsRequestTopic{Topic: *d.Topic}
		for _, p := range d.Partitions {
			asked.Partitions = append(asked.Partitions, p.Partition)
		}
		reassigned.Topics = append(reassigned.Topics, asked)
	}
	configs, err := ask[*kmsg.DescribeConfigsResponse](ctx, t.admin, configured)
	if err != nil {
		return err
	}
	for _, r := range configs.Resources {
		if err := brokerError(r.ErrorCode, r.ErrorMessage); err != nil {
			return err
		}
		slices.SortFunc(r.Configs, func(a, b configEntry) int { return strings.Compare(a.Name, b.Name) })
		picture.configs[r.ResourceName] = r.Configs
	}
	moving, err := ask[*kmsg.ListPartitionReassignmentsResponse](ctx, t.admin, reassigned)
	if err != nil {
		return nil // a broker that does not know the request moves nothing
	}
	for _, m := range moving.Topics {
		for _, p := range m.Partitions {
			picture.reassignments[topic.Partition{Topic: m.Topic, ID: p.Partition}] = p
		}
	}
	return nil
}

// wants applies the filters of --describe to one partition.
func (t *topicService) wants(picture *topicPicture, name string, p kmsg.MetadataResponseTopicPartition) bool {
	missing := picture.replicationFactor(name, p) - len(p.ISR)
	minISR := picture.minISR(name)
	return t.has(t.underReplicated) && missing > 0 ||
		t.has(t.unavailable) && !slices.Contains(picture.liveBrokers, p.Leader) ||
		t.has(t.underMinISR) && (p.Leader < 0 || len(p.ISR) < minISR) ||
		t.has(t.atMinISR) && len(p.ISR) == minISR
}

func (c *topicPicture) printTopic(out io.Writer, d kmsg.MetadataResponseTopic, overridden []string) {
	name, id := *d.Topic, topic.ID(d.TopicID)
	fmt.Fprintf(out, "Topic: %s", name)
	if !id.IsZero() {
		fmt.Fprintf(out, "\tTopicId: %s", id)
	}
	factor := 0
	if len(d.Partitions) > 0 {
		factor = c.replicationFactor(name, d.Partitions[0])
	}
	fmt.Fprintf(out, "\tPartitionCount: %d\tReplicationFactor: %d\tConfigs: %s\n",
		len(d.Partitions), factor, strings.Join(overridden, ","))
}

func (c *topicPicture) printPartition(out io.Writer, name string, p kmsg.MetadataResponseTopicPartition) {
	leader := "none"
	if p.Leader >= 0 {
		leader = strconv.Itoa(int(p.Leader))
	}
	fmt.Fprintf(out, "\tTopic: %s\tPartition: %d\tLeader: %s\tReplicas: %s\tIsr: %s",
		name, p.Partition, leader, joinIDs(p.Replicas), joinIDs(p.ISR))
	if m, ok := c.reassignments[topic.Partition{Topic: name, ID: p.Partition}]; ok {
		fmt.Fprintf(out, "\tAdding Replicas: %s\tRemoving Replicas: %s", joinIDs(m.AddingReplicas), joinIDs(m.RemovingReplicas))
	}
	fmt.Fprintln(out)
}

// replicationFactor does not count replicas that are only on their way.
func (c *topicPicture) replicationFactor(name string, p kmsg.MetadataResponseTopicPartition) int {
	m := c.reassignments[topic.Partition{Topic: name, ID: p.Partition}]
	return len(p.Replicas) - len(m.AddingReplicas)
}

// overridden lists the entries of a topic that are not defaults, static broker values included, as k=v.
func (c *topicPicture) overridden(name string) []string {
	var entries []string
	for _, e := range c.configs[name] {
		if e.Source != kmsg.ConfigSourceDefaultConfig {
			entries = append(entries, e.Name+"="+valueOf(e.Value))
		}
	}
	return entries
}

func (c *topicPicture) minISR(name string) int {
	for _, e := range c.configs[name] {
		if e.Name == "min.insync.replicas" {
			n, _ := strconv.Atoi(valueOf(e.Value))
			return n
		}
	}
	return 0
}

// valueOf is a nullable string as Java prints it.
func valueOf(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

func joinIDs(ids []int32) string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = strconv.Itoa(int(id))
	}
	return strings.Join(words, ",")
}
