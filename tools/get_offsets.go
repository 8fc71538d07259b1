package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/zurau/zurau/broker/topic"
)

// kafka-get-offsets (Kafka: GetOffsetShell). With --broker-list it is the tool of 2.8, which wants one topic by name;
// --bootstrap-server, which came with 3.0, brings what it came with: topic expressions, --topic-partitions, named times.

type offsetOptions struct {
	*optionSet

	common                                    commonOptions
	brokerList, bootstrap, commandConfig      *option
	topic, partitions, time, exclude, byTopic *option
}

func parseOffsetOptions(args []string) (*offsetOptions, error) {
	p := &optionParser{}
	o := &offsetOptions{common: p.acceptCommon()}
	o.brokerList = p.accepts("broker-list", "Brokers to ask, host:port list; the way of 2.8.").takes("servers")
	o.bootstrap = p.accepts("bootstrap-server", "Brokers to ask, host:port list.").takes("servers")
	o.commandConfig = p.accepts("command-config", "File of client properties.").takes("file")
	o.topic = p.accepts("topic", "The topic; with --bootstrap-server a regular expression, all when absent.").takes("topic")
	o.partitions = p.accepts("partitions", "Comma list of partitions; all when empty.").takes("partitions").or("")
	o.byTopic = p.accepts("topic-partitions", "Comma list of topic:partitions, partitions a number, a-b, a- or -b.").
		takes("topic:partitions")
	o.time = p.accepts("time", "Which offset: -1 or latest, -2 or earliest, -3 or max-timestamp, or that of the first "+
		"record at or behind a time in ms.").takes("time").of("Long").or("-1")
	o.exclude = p.accepts("exclude-internal-topics", "Leave out the topics Kafka keeps for itself.")
	p.accepts("offsets", "Accepted without effect.").takes("count").of("Integer").or("1")
	p.accepts("max-wait-ms", "Accepted without effect.").takes("ms").of("Integer").or("1000")
	set, err := p.parse(args)
	o.optionSet = set
	return o, err
}

// offsetTimes are the names of the negative times.
var offsetTimes = map[string]int64{
	"latest": -1, "earliest": -2, "max-timestamp": -3, "earliest-local": -4, "latest-tiered": -5,
}

func runGetOffsets(ctx context.Context, args []string, io stdio) int {
	o, err := parseOffsetOptions(args)
	if err != nil {
		return exitStatus(io.Err, err)
	}
	if done, err := o.checkCommon(o.common, args, "Prints the offsets of topics.", io.Out); done {
		return exitStatus(io.Err, err)
	}
	if o.has(o.bootstrap) {
		if err := o.runByExpression(ctx, io); err != nil {
			fmt.Fprintf(io.Err, "Error occurred: %s\n", err)
			return 1
		}
		return 0
	}
	if err := o.require(o.brokerList, o.topic); err != nil {
		return exitStatus(io.Err, err)
	}
	err = o.runByName(ctx, io)
	if said, ok := err.(plainError); ok {
		fmt.Fprintln(io.Err, said)
		return 1
	}
	return exitStatus(io.Err, err)
}

// plainError ends a tool with its text alone on stderr, status 1.
type plainError string

func (e plainError) Error() string { return string(e) }

// runByName is the tool of 2.8.
func (o *offsetOptions) runByName(ctx context.Context, io stdio) error {
	at := o.int64(o.time)
	if o.err != nil {
		return o.err
	}
	wanted, err := parsePartitionIDs(o.str(o.partitions))
	if err != nil {
		return plainError(err.Error())
	}
	admin, err := newAdmin(o.str(o.brokerList), o.str(o.commandConfig), io.Err)
	if err != nil {
		return err
	}
	defer admin.close()
	name := o.str(o.topic)
	all, err := admin.partitions(ctx, func(t string) bool { return t == name })
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return plainError("Topic " + name + " does not exist")
	}
	led := make(map[int32]bool)
	for _, p := range all {
		led[p.Partition.ID] = p.leader >= 0
	}
	var chosen []topic.Partition
	for _, id := range wanted {
		if _, ok := led[id]; !ok {
			fmt.Fprintf(io.Err, "Error: partition %d does not exist\n", id)
		}
	}
	for _, p := range all {
		switch {
		case len(wanted) > 0 && !slices.Contains(wanted, p.ID):
		case !led[p.ID]:
			fmt.Fprintf(io.Err, "Error: partition %d does not have a leader. Skip getting offsets\n", p.ID)
		default:
			chosen = append(chosen, p.Partition)
		}
	}
	return o.print(ctx, admin, io.Out, chosen, at, true)
}

// runByExpression is the tool since 3.0.
func (o *offsetOptions) runByExpression(ctx context.Context, io stdio) error {
	word := o.str(o.time)
	at, named := offsetTimes[word]
	if !named {
		var err error
		if at, err = strconv.ParseInt(word, 10, 64); err != nil {
			return plainError("Malformed time argument " + word + ". Please use -1 or latest / -2 or earliest / -3 or " +
				"max-timestamp / -4 or earliest-local / -5 or latest-tiered, or a specified long format timestamp")
		}
	}
	keep, err := o.filter()
	if err != nil {
		return err
	}
	admin, err := newAdmin(o.str(o.bootstrap), o.str(o.commandConfig), io.Err)
	if err != nil {
		return err
	}
	defer admin.close()
	all, err := admin.partitions(ctx, func(name string) bool { return !o.has(o.exclude) || !topic.IsInternal(name) })
	if err != nil {
		return err
	}
	var chosen []topic.Partition
	for _, p := range all {
		if keep(p.Partition) && p.leader >= 0 {
			chosen = append(chosen, p.Partition)
		}
	}
	if len(chosen) == 0 {
		return plainError("Could not match any topic-partitions with the specified filters")
	}
	return o.print(ctx, admin, io.Out, chosen, at, false)
}

// filter reads --topic with --partitions, or --topic-partitions.
func (o *offsetOptions) filter() (func(topic.Partition) bool, error) {
	if !o.has(o.byTopic) {
		ids, err := parsePartitionIDs(o.str(o.partitions))
		if err != nil {
			return nil, err
		}
		named, err := topicFilter(o.str(o.topic), o.has(o.topic))
		return func(p topic.Partition) bool {
			return named(p.Topic) && (len(ids) == 0 || slices.Contains(ids, p.ID))
		}, err
	}
	if o.has(o.topic) || o.has(o.partitions) {
		return nil, plainError("--topic-partitions cannot be used with --topic or --partitions")
	}
	var rules []func(topic.Partition) bool
	for word := range strings.SplitSeq(o.str(o.byTopic), ",") {
		expression, ids, _ := strings.Cut(word, ":")
		named, err := topicFilter(expression, expression != "")
		if err != nil {
			return nil, err
		}
		within, err := parsePartitionRange(ids)
		if err != nil {
			return nil, plainError("Invalid partition rule " + word + ": " + err.Error())
		}
		rules = append(rules, func(p topic.Partition) bool { return named(p.Topic) && within(p.ID) })
	}
	return func(p topic.Partition) bool {
		return slices.ContainsFunc(rules, func(rule func(topic.Partition) bool) bool { return rule(p) })
	}, nil
}

// parsePartitionRange reads "", "3", "1-3" (without the 3), "1-" or "-3".
func parsePartitionRange(text string) (func(int32) bool, error) {
	if text == "" {
		return func(int32) bool { return true }, nil
	}
	low, high, ranged := strings.Cut(text, "-")
	from, to := int64(0), int64(1)<<32
	var err error
	if low != "" {
		if from, err = strconv.ParseInt(low, 10, 32); err != nil {
			return nil, err
		}
	}
	switch {
	case !ranged:
		to = from + 1
	case high != "":
		if to, err = strconv.ParseInt(high, 10, 32); err != nil {
			return nil, err
		}
	}
	return func(id int32) bool { return int64(id) >= from && int64(id) < to }, nil
}

func parsePartitionIDs(list string) ([]int32, error) {
	var ids []int32
	for word := range strings.SplitSeq(list, ",") {
		if word == "" {
			continue
		}
		id, err := strconv.ParseInt(word, 10, 32)
		if err != nil {
			return nil, plainError("--partitions expects a comma separated list of numeric partition ids, but received: " + list)
		}
		ids = append(ids, int32(id))
	}
	return ids, nil
}

// print writes topic:partition:offset lines; one without an offset is left out unless missing asks for an empty one.
func (o *offsetOptions) print(
	ctx context.Context, a *adminClient, out io.Writer, of []topic.Partition, at int64, missing bool,
) error {
	offsets, err := a.offsets(ctx, of, at)
	if err != nil {
		return err
	}
	for _, p := range of {
		offset, ok := offsets[p]
		switch {
		case ok && offset >= 0:
			fmt.Fprintf(out, "%s:%d:%d\n", p.Topic, p.ID, offset)
		case missing:
			fmt.Fprintf(out, "%s:%d:\n", p.Topic, p.ID)
		}
	}
	return nil
}

// ledPartition is a partition and its leader, -1 without one.
type ledPartition struct {
	topic.Partition
	leader int32
}

// partitions lists the partitions of the topics to keep, sorted.
func (a *adminClient) partitions(ctx context.Context, keep func(name string) bool) ([]ledPartition, error) {
	resp, err := ask[*kmsg.MetadataResponse](ctx, a, kmsg.NewPtrMetadataRequest())
	if err != nil {
		return nil, err
	}
	var all []ledPartition
	for _, t := range resp.Topics {
		if !keep(*t.Topic) {
			continue
		}
		for _, p := range t.Partitions {
			all = append(all, ledPartition{topic.Partition{Topic: *t.Topic, ID: p.Partition}, p.Leader})
		}
	}
	slices.SortFunc(all, func(x, y ledPartition) int { return x.Partition.Compare(y.Partition) })
	return all, nil
}

// offsets asks the leaders for the offset at a time; what has none is left out or -1.
func (a *adminClient) offsets(ctx context.Context, of []topic.Partition, at int64) (map[topic.Partition]int64, error) {
	byTopic := make(map[string][]kmsg.ListOffsetsRequestTopicPartition)
	for _, p := range of {
		asked := kmsg.NewListOffsetsRequestTopicPartition()
		asked.Partition, asked.Timestamp, asked.MaxNumOffsets, asked.CurrentLeaderEpoch = p.ID, at, 1, -1
		byTopic[p.Topic] = append(byTopic[p.Topic], asked)
	}
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	for name, partitions := range byTopic {
		req.Topics = append(req.Topics, kmsg.ListOffsetsRequestTopic{Topic: name, Partitions: partitions})
	}
	resp, err := ask[*kmsg.ListOffsetsResponse](ctx, a, req)
	if err != nil {
		return nil, err
	}
	offsets := make(map[topic.Partition]int64)
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := brokerError(p.ErrorCode, nil); err != nil {
				return nil, err
			}
			offset := p.Offset
			if resp.Version == 0 && len(p.OldStyleOffsets) > 0 {
				offset = p.OldStyleOffsets[0]
			}
			offsets[topic.Partition{Topic: t.Topic, ID: p.Partition}] = offset
		}
	}
	return offsets, nil
}
