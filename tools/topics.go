package main

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
)

// kafka-topics (Kafka: TopicCommand). topic_options.go reads the command line, this file and topics_describe.go ask the
// brokers, topics_zookeeper.go works on the znodes.

const (
	topicCommandLogger = "kafka.admin.TopicCommand$"
	collisionWarning   = "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') " +
		"could collide. To avoid issues it is best to use either, but not both."
)

func runTopics(ctx context.Context, args []string, io stdio) int {
	o, err := parseTopicOptions(args)
	if err != nil {
		return exitStatus(io.Err, err)
	}
	if done, err := o.checkCommon(o.common, args, "Lists, describes, makes, changes and deletes topics.", io.Out); done {
		return exitStatus(io.Err, err)
	}
	if err := o.check(); err != nil {
		return exitStatus(io.Err, err)
	}
	if err := o.run(ctx, io); err != nil {
		fmt.Fprintf(io.Out, "Error while executing topic command : %s\n", err)
		logLine(io.Err, "ERROR", topicCommandLogger, stackTrace(err))
		return 1
	}
	return 0
}

func (o *topicOptions) run(ctx context.Context, io stdio) error {
	if o.has(o.zookeeper) {
		return o.runOnZooKeeper(ctx, io)
	}
	admin, err := newAdmin(o.str(o.bootstrap), o.str(o.commandConfig), io.Err)
	if err != nil {
		return err
	}
	defer admin.close()
	return o.act(ctx, &topicService{topicOptions: o, admin: admin, io: io})
}

// topicActions are what the tool does, through the brokers or on the znodes.
type topicActions interface {
	runCreate(ctx context.Context) error
	runAlter(ctx context.Context) error
	runList(ctx context.Context) error
	runDescribe(ctx context.Context) error
	runDelete(ctx context.Context) error
}

// act does what the command line asks for; check has seen to it that it asks for one thing.
func (o *topicOptions) act(ctx context.Context, on topicActions) error {
	switch {
	case o.has(o.create):
		return on.runCreate(ctx)
	case o.has(o.alter):
		return on.runAlter(ctx)
	case o.has(o.list):
		return on.runList(ctx)
	case o.has(o.describe):
		return on.runDescribe(ctx)
	default:
		return on.runDelete(ctx)
	}
}

// topicService does the work through the brokers.
type topicService struct {
	*topicOptions
	admin *adminClient
	io    stdio
}

func (t *topicService) runCreate(ctx context.Context) error {
	n, err := t.newTopic()
	if err != nil {
		return err
	}
	if hasCollisionChars(n.name) {
		fmt.Fprintln(t.io.Out, collisionWarning)
	}
	if t.has(t.replicationFactor) && (n.factor < 1 || n.factor > math.MaxInt16) {
		return illegalArgument("The replication factor must be between 1 and %d inclusive", math.MaxInt16)
	}
	if t.has(t.partitions) && n.partitions < 1 {
		return illegalArgument("The partitions must be greater than 0")
	}
	if n.name == "" {
		return &javaError{
			class:   kafkaErrors + "InvalidTopicException",
			message: "The given topic name '' cannot be represented in a request.",
		}
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = int32(requestTimeout.Milliseconds())
	ask1 := kmsg.NewCreateTopicsRequestTopic()
	ask1.Topic, ask1.NumPartitions, ask1.ReplicationFactor = n.name, int32(n.partitions), int16(n.factor)
	for i, replicas := range n.assignment {
		ask1.NumPartitions, ask1.ReplicationFactor = -1, -1
		ask1.ReplicaAssignment = append(ask1.ReplicaAssignment,
			kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32(i), Replicas: replicas})
	}
	for _, key := range slices.Sorted(maps.Keys(n.configs)) {
		value := n.configs[key]
		ask1.Configs = append(ask1.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: key, Value: &value})
	}
	req.Topics = []kmsg.CreateTopicsRequestTopic{ask1}
	resp, err := ask[*kmsg.CreateTopicsResponse](ctx, t.admin, req)
	if err != nil {
		return err
	}
	for _, r := range resp.Topics {
		err := brokerError(r.ErrorCode, r.ErrorMessage)
		if t.has(t.ifNotExists) && isKafkaError(err, kerr.TopicAlreadyExists) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	fmt.Fprintf(t.io.Out, "Created topic %s.\n", n.name)
	return nil
}

// hasCollisionChars reports whether a topic's metrics could take the name of another topic's.
func hasCollisionChars(name string) bool { return strings.ContainsAny(name, "._") }

func (t *topicService) runList(ctx context.Context) error {
	names, err := t.names(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(t.io.Out, strings.Join(names, "\n"))
	return nil
}

func (t *topicService) runAlter(ctx context.Context) error {
	n, err := t.newTopic()
	if err != nil {
		return err
	}
	names, err := t.existingNames(ctx)
	if err != nil || len(names) == 0 {
		return err
	}
	described, err := t.metadata(ctx, names)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = int32(requestTimeout.Milliseconds())
	for _, d := range described.Topics {
		more := kmsg.NewCreatePartitionsRequestTopic()
		more.Topic, more.Count = *d.Topic, int32(n.partitions)
		for _, replicas := range n.assignment[min(len(d.Partitions), len(n.assignment)):] {
			more.Assignment = append(more.Assignment, kmsg.CreatePartitionsRequestTopicAssignment{Replicas: replicas})
		}
		req.Topics = append(req.Topics, more)
	}
	resp, err := ask[*kmsg.CreatePartitionsResponse](ctx, t.admin, req)
	if err != nil {
		return err
	}
	for _, r := range resp.Topics {
		if err := brokerError(r.ErrorCode, r.ErrorMessage); err != nil {
			return err
		}
	}
	return nil
}

func (t *topicService) runDelete(ctx context.Context) error {
	names, err := t.existingNames(ctx)
	if err != nil || len(names) == 0 {
		return err
	}
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = int32(requestTimeout.Milliseconds())
	for _, name := range names {
		req.TopicNames = append(req.TopicNames, name)
		req.Topics = append(req.Topics, kmsg.DeleteTopicsRequestTopic{Topic: &name})
	}
	resp, err := ask[*kmsg.DeleteTopicsResponse](ctx, t.admin, req)
	if err != nil {
		return err
	}
	for _, r := range resp.Topics {
		if err := brokerError(r.ErrorCode, r.ErrorMessage); err != nil {
			return err
		}
	}
	return nil
}

// names lists the topics the flags choose, sorted.
func (t *topicService) names(ctx context.Context) ([]string, error) {
	keep, err := topicFilter(t.str(t.topic), t.has(t.topic))
	if err != nil {
		return nil, err
	}
	if t.err != nil {
		return nil, t.err
	}
	all, err := t.metadata(ctx, nil)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range all.Topics {
		name := *d.Topic
		if keep(name) && !(t.has(t.excludeInternal) && topic.IsInternal(name)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// existingNames is names, an error when a topic was named, none is there and --if-exists was not given.
func (t *topicService) existingNames(ctx context.Context) ([]string, error) {
	names, err := t.names(ctx)
	if err == nil && len(names) == 0 && t.has(t.topic) && !t.has(t.ifExists) {
		err = illegalArgument("Topic '%s' does not exist as expected", t.str(t.topic))
	}
	return names, err
}

// metadata asks for topics by name, nil for all.
func (t *topicService) metadata(ctx context.Context, names []string) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	if names != nil {
		req.Topics = []kmsg.MetadataRequestTopic{}
		for _, name := range names {
			req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &name})
		}
	}
	resp, err := ask[*kmsg.MetadataResponse](ctx, t.admin, req)
	if err != nil {
		return nil, err
	}
	for _, d := range resp.Topics {
		if names != nil && d.ErrorCode != 0 && d.ErrorCode != kerr.LeaderNotAvailable.Code {
			return nil, brokerError(d.ErrorCode, nil)
		}
	}
	return resp, nil
}
