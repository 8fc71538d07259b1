package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
)

// kafka-delete-records (Kafka: DeleteRecordsCommand): moves the beginning of logs up to the offsets of a file.

func runDeleteRecords(ctx context.Context, args []string, io stdio) int {
	p := &optionParser{}
	common := p.acceptCommon()
	bootstrap := p.accepts("bootstrap-server", "Brokers to ask, host:port list.").takes("servers")
	file := p.accepts("offset-json-file", "What to delete: {\"version\":1,\"partitions\":[{\"topic\":\"t\","+
		"\"partition\":0,\"offset\":3}]}; offset -1 is the high watermark.").takes("file")
	config := p.accepts("command-config", "File of client properties.").takes("file")
	set, err := p.parse(args)
	if err != nil {
		return exitStatus(io.Err, err)
	}
	if done, err := set.checkCommon(common, args, "Deletes the records before given offsets.", io.Out); done {
		return exitStatus(io.Err, err)
	}
	if err := set.require(bootstrap, file); err != nil {
		return exitStatus(io.Err, err)
	}
	offsets, err := readOffsetFile(set.str(file))
	if err != nil {
		return exitStatus(io.Err, err)
	}
	admin, err := newAdmin(set.str(bootstrap), set.str(config), io.Err)
	if err != nil {
		return exitStatus(io.Err, err)
	}
	defer admin.close()
	fmt.Fprintln(io.Out, "Executing records delete operation")
	outcomes, err := admin.deleteRecords(ctx, offsets)
	if err != nil {
		return exitStatus(io.Err, err)
	}
	fmt.Fprintln(io.Out, "Records delete operation completed:")
	for _, tp := range slices.SortedFunc(maps.Keys(outcomes), topic.Partition.Compare) {
		if o := outcomes[tp]; o.err != nil {
			fmt.Fprintf(io.Out, "partition: %s\terror: %s\n", tp, throwable(o.err))
		} else {
			fmt.Fprintf(io.Out, "partition: %s\tlow_watermark: %d\n", tp, o.lowWatermark)
		}
	}
	return 0
}

// readOffsetFile reads and checks the JSON file.
func readOffsetFile(name string) (map[topic.Partition]int64, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, &javaError{
			class: "java.io.IOException", message: "Unable to read file " + name,
			cause: &javaError{class: "java.nio.file.NoSuchFileException", message: name},
		}
	}
	var file struct{ Partitions json.RawMessage }
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, adminOperation("The input string is not a valid JSON")
	}
	if file.Partitions == nil {
		return nil, adminOperation("Missing partitions field")
	}
	var rows []struct {
		Topic     *string
		Partition *int32
		Offset    *int64
	}
	if file.Partitions[0] != '[' {
		return nil, jsonMapping("Expected JSON array, received " + string(file.Partitions))
	}
	if err := json.Unmarshal(file.Partitions, &rows); err != nil {
		return nil, jsonMapping(err.Error())
	}
	offsets := make(map[topic.Partition]int64)
	var twice []string
	for _, r := range rows {
		if r.Topic == nil || r.Partition == nil || r.Offset == nil {
			return nil, jsonMapping("No such field exists: topic, partition and offset are needed")
		}
		tp := topic.Partition{Topic: *r.Topic, ID: *r.Partition}
		if _, ok := offsets[tp]; ok {
			twice = append(twice, tp.String())
		}
		offsets[tp] = *r.Offset
	}
	if len(twice) > 0 {
		return nil, &javaError{
			class:   commandFailedException,
			message: "Offset json file contains duplicate topic partitions: " + strings.Join(twice, ","),
		}
	}
	return offsets, nil
}

func adminOperation(message string) error {
	return &javaError{class: adminOperationException, message: message}
}

func jsonMapping(message string) error {
	return &javaError{class: "com.fasterxml.jackson.databind.JsonMappingException", message: message}
}

// deletion is what became of one partition's records.
type deletion struct {
	lowWatermark int64
	err          error
}

// deleteRecords asks the leaders. A partition that the cluster does not have is answered without them.
func (a *adminClient) deleteRecords(
	ctx context.Context, offsets map[topic.Partition]int64,
) (map[topic.Partition]deletion, error) {
	there, err := a.partitions(ctx, func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	outcomes := make(map[topic.Partition]deletion)
	for tp := range offsets {
		outcomes[tp] = deletion{err: kerr.UnknownTopicOrPartition}
	}
	byTopic := make(map[string][]kmsg.DeleteRecordsRequestTopicPartition)
	for _, p := range there {
		if offset, ok := offsets[p.Partition]; ok {
			byTopic[p.Topic] = append(byTopic[p.Topic],
				kmsg.DeleteRecordsRequestTopicPartition{Partition: p.ID, Offset: offset})
		}
	}
	if len(byTopic) == 0 {
		return outcomes, nil
	}
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = int32(requestTimeout.Milliseconds())
	for name, partitions := range byTopic {
		req.Topics = append(req.Topics, kmsg.DeleteRecordsRequestTopic{Topic: name, Partitions: partitions})
	}
	resp, err := ask[*kmsg.DeleteRecordsResponse](ctx, a, req)
	if err != nil {
		return nil, err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			tp := topic.Partition{Topic: t.Topic, ID: p.Partition}
			outcomes[tp] = deletion{p.LowWatermark, brokerError(p.ErrorCode, nil)}
		}
	}
	return outcomes, nil
}
