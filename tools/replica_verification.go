package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/zurau/zurau/broker/topic"
)

// kafka-replica-verification (Kafka: ReplicaVerificationTool): reads the same records from all replicas, says which
// differ, and now and then how far the replicas are behind each other. It runs until it is stopped.

const verificationLogger = "kafka.tools.ReplicaVerificationTool$"

type verificationOptions struct {
	*optionSet

	common                                   commonOptions
	brokerList, fetchSize, maxWait           *option
	whitelist, include, time, reportInterval *option
}

func parseVerificationOptions(args []string) (*verificationOptions, error) {
	p := &optionParser{}
	o := &verificationOptions{common: p.acceptCommon()}
	o.brokerList = p.accepts("broker-list", "Brokers to start from, host:port list.").takes("servers")
	o.fetchSize = p.accepts("fetch-size", "Bytes of a partition to fetch at once.").takes("bytes").of("Integer").or("1048576")
	o.maxWait = p.accepts("max-wait-ms", "How long a broker may wait for records, in ms.").takes("ms").of("Integer").or("1000")
	o.whitelist = p.accepts("topic-white-list", "The old name of --topics-include.").takes("expression").or(".*")
	o.include = p.accepts("topics-include", "Regular expression of the topics to verify; all when absent.").
		takes("expression").or(".*")
	o.time = p.accepts("time", "Where to begin: -1 is the end, -2 the beginning, else a time in ms.").
		takes("time").of("Long").or("-1")
	o.reportInterval = p.accepts("report-interval-ms", "How often to report.").takes("ms").of("Long").or("30000")
	set, err := p.parse(args)
	o.optionSet = set
	return o, err
}

func runReplicaVerification(ctx context.Context, args []string, io stdio) int {
	o, err := parseVerificationOptions(args)
	if err != nil {
		return exitStatus(io.Err, err)
	}
	if done, err := o.checkCommon(o.common, args, "Verifies that the replicas of topics hold the same.", io.Out); done {
		return exitStatus(io.Err, err)
	}
	if err := o.require(o.brokerList); err != nil {
		return exitStatus(io.Err, err)
	}
	if err := o.checkServers(o.str(o.brokerList)); err != nil {
		return exitStatus(io.Err, err)
	}
	return o.verify(ctx, io)
}

func (o *verificationOptions) verify(ctx context.Context, io stdio) int {
	expression := o.whitelist
	if o.has(o.include) {
		expression = o.include
	}
	keep, err := topicFilter(o.str(expression), true)
	if err != nil {
		return exitStatus(io.Err, err)
	}
	v := &replicaVerifier{
		fetchBytes: int32(o.int(o.fetchSize)), maxWait: int32(o.int(o.maxWait)),
		reportEvery: time.Duration(o.int64(o.reportInterval)) * time.Millisecond,
		out:         io.Out, warn: func(text string) { logLine(io.Err, "WARN", verificationLogger, text) },
	}
	from := o.int64(o.time)
	if o.err != nil {
		return exitStatus(io.Err, o.err)
	}
	if v.admin, err = newAdmin(o.str(o.brokerList), "", io.Err); err != nil {
		return exitStatus(io.Err, err)
	}
	defer v.admin.close()
	if err := v.load(ctx, keep, from); err != nil {
		return exitStatus(io.Err, err)
	}
	if len(v.partitions) == 0 {
		logLine(io.Err, "ERROR", verificationLogger, "No topics found. [topics-include], if specified, is either filtering "+
			"out all topics or there is no topic.")
		return 1
	}
	if !v.run(ctx) {
		return 1
	}
	return signalStatus(ctx)
}

// verifiedPartition is a partition and how far it has been verified. Owned by run.
type verifiedPartition struct {
	topic.Partition
	id       topic.ID
	replicas []int32
	next     int64 // offset of the first record that is not known to be in all replicas
}

// replicaVerifier is one run of the tool.
type replicaVerifier struct {
	admin       *adminClient
	fetchBytes  int32
	maxWait     int32 // ms
	reportEvery time.Duration
	out         io.Writer
	warn        func(text string)
	partitions  []*verifiedPartition // sorted
}

// load finds the partitions and the offsets to begin at. One without a leader has no offsets and is left out.
func (v *replicaVerifier) load(ctx context.Context, keep func(name string) bool, from int64) error {
	resp, err := ask[*kmsg.MetadataResponse](ctx, v.admin, kmsg.NewPtrMetadataRequest())
	if err != nil {
		return err
	}
	var led []topic.Partition
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if keep(*t.Topic) && p.Leader >= 0 {
				tp := topic.Partition{Topic: *t.Topic, ID: p.Partition}
				led = append(led, tp)
				v.partitions = append(v.partitions, &verifiedPartition{Partition: tp, id: t.TopicID, replicas: p.Replicas})
			}
		}
	}
	slices.SortFunc(v.partitions, func(a, b *verifiedPartition) int { return a.Partition.Compare(b.Partition) })
	if len(led) == 0 {
		return nil
	}
	offsets, err := v.admin.offsets(ctx, led, from)
	if err != nil {
		return err
	}
	ends := offsets
	if from >= 0 { // nothing that young: begin at the end
		if ends, err = v.admin.offsets(ctx, led, -1); err != nil {
			return err
		}
	}
	for _, p := range v.partitions {
		if p.next = offsets[p.Partition]; p.next < 0 {
			p.next = ends[p.Partition]
		}
	}
	return nil
}

// run verifies until ctx ends, or until replicas cannot be compared any more: then it reports false.
func (v *replicaVerifier) run(ctx context.Context) bool {
	fmt.Fprintf(v.out, "%s: verification process is started.\n", log4jTime(time.Now()))
	reported := time.Now()
	for ctx.Err() == nil {
		fetched := v.fetchAll(ctx)
		if ctx.Err() != nil {
			break
		}
		worst := lag{behind: -1}
		for _, p := range v.partitions {
			next, complaints, comparable := compareReplicaData(p.Partition, p.next, fetched[p.Partition])
			for _, text := range complaints {
				fmt.Fprintf(v.out, "%s: %s\n", log4jTime(time.Now()), text)
			}
			if !comparable {
				return false
			}
			p.next = next
			worst = worst.or(lag{p.Partition, next, highestWatermark(fetched[p.Partition]) - next})
		}
		if time.Since(reported) > v.reportEvery {
			reported = time.Now()
			fmt.Fprintf(v.out, "%s: max lag is %d for partition %s at offset %d among %d partitions\n", log4jTime(reported),
				worst.behind, worst.partition, worst.offset, len(v.partitions))
		}
	}
	return true
}

// lag is how many offsets what is verified of a partition is behind its high watermark.
type lag struct {
	partition topic.Partition
	offset    int64
	behind    int64
}

func (l lag) or(other lag) lag {
	if other.behind > l.behind {
		return other
	}
	return l
}
