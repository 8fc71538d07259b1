package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/consumer"
)

// kafka-console-consumer (Kafka: ConsoleConsumer of 2.8): prints the records of a topic.

const consoleConsumerLogger = "kafka.tools.ConsoleConsumer$"

type consoleConsumerOptions struct {
	*optionSet

	common                                                commonOptions
	topic, whitelist, include, partition, offset          *option
	bootstrap, group, consumerProperty, consumerConfig    *option
	fromBeginning, maxMessages, timeout, skipOnError      *option
	formatter, formatterConfig, property                  *option
	keyDeserializer, valueDeserializer, isolation, events *option
}

func parseConsoleConsumerOptions(args []string) (*consoleConsumerOptions, error) {
	p := &optionParser{}
	o := &consoleConsumerOptions{common: p.acceptCommon()}
	o.topic = p.accepts("topic", "The topic to read.").takes("topic")
	o.whitelist = p.accepts("whitelist", "The old name of --include.").takes("regex")
	o.include = p.accepts("include", "Regular expression of the topics to read.").takes("regex")
	o.partition = p.accepts("partition", "The only partition to read; the end of it unless --offset says where.").
		takes("partition").of("Integer")
	o.offset = p.accepts("offset", "Where to begin: a number, earliest or latest.").takes("offset").or("latest")
	o.bootstrap = p.accepts("bootstrap-server", "Brokers to start from, host:port list.").takes("servers")
	o.group = p.accepts("group", "The group to read in.").takes("group")
	o.consumerProperty = p.accepts("consumer-property", "A property for the consumer.").takes("name=value")
	o.consumerConfig = p.accepts("consumer.config", "File of properties for the consumer.").takes("file")
	o.fromBeginning = p.accepts("from-beginning", "Begin with the oldest record.")
	o.maxMessages = p.accepts("max-messages", "End after so many records.").takes("records").of("Integer").or("-1")
	o.timeout = p.accepts("timeout-ms", "End when no record came for so long.").takes("ms").of("Integer").or("-1")
	o.skipOnError = p.accepts("skip-message-on-error", "Go on behind a record that cannot be printed.")
	o.formatter = p.accepts("formatter", "How records are printed.").takes("class").or("kafka.tools.DefaultMessageFormatter")
	o.formatterConfig = p.accepts("formatter-config", "File of properties for the formatter.").takes("file")
	o.property = p.accepts("property", "For the formatter: print.timestamp, print.key, print.value, print.partition, "+
		"print.offset, print.headers, key.separator, line.separator, headers.separator, null.literal, key.deserializer, "+
		"value.deserializer, headers.deserializer.").takes("name=value")
	o.keyDeserializer = p.accepts("key-deserializer", "What the bytes of keys are.").takes("class")
	o.valueDeserializer = p.accepts("value-deserializer", "What the bytes of values are.").takes("class")
	o.isolation = p.accepts("isolation-level", "read_committed leaves out what is not committed.").
		takes("level").or("read_uncommitted")
	o.events = p.accepts("enable-systest-events", "Print shutdown_complete at the end.")
	set, err := p.parse(args)
	o.optionSet = set
	if err != nil {
		return o, &usageError{p, err.Error()}
	}
	return o, nil
}

// consumerJob is what a command line asks for.
type consumerJob struct {
	config    *consumer.Config
	formatter formatter
	topic     string
	include   func(string) bool // nil: topic
	internal  bool              // include may choose topics of the brokers themselves too
	partition int               // -1: all
	offset    int64
	limit     int           // -1: none
	timeout   time.Duration // negative: none
	skip      bool
}

// job reads the flags in the order in which Kafka complains about them.
func (o *consoleConsumerOptions) job(stderr io.Writer) (*consumerJob, error) {
	fileProps, err := o.clientProperties(o.consumerConfig, &option{})
	if err != nil {
		return nil, err
	}
	j := &consumerJob{partition: -1, topic: o.str(o.topic), skip: o.has(o.skipOnError), limit: o.int(o.maxMessages)}
	j.timeout = time.Duration(o.int64(o.timeout)) * time.Millisecond
	if o.has(o.partition) {
		j.partition = o.int(o.partition)
	}
	if o.err != nil {
		return nil, o.err
	}
	if j.formatter, err = o.newFormatter(); err != nil {
		return nil, err
	}
	if err := o.checkTopic(j); err != nil {
		return nil, err
	}
	if err := o.require(o.bootstrap); err != nil {
		return nil, err
	}
	extra := keyValues(o.all(o.consumerProperty))
	if err := o.checkGroup(fileProps["group.id"], extra["group.id"]); err != nil {
		return nil, err
	}
	maps.Copy(fileProps, extra)
	return j, o.configure(j, fileProps, stderr)
}

// checkTopic reads which topic and partition to read from where.
func (o *consoleConsumerOptions) checkTopic(j *consumerJob) error {
	expression := o.str(o.whitelist) + o.str(o.include)
	if o.has(o.topic) == (o.has(o.whitelist) || o.has(o.include)) {
		return &usageError{o.parser, "Exactly one of whitelist/topic is required."}
	}
	if !o.has(o.topic) {
		var err error
		if j.include, err = topicFilter(expression, true); err != nil {
			return err
		}
	}
	switch {
	case o.has(o.partition) && o.has(o.fromBeginning) && o.has(o.offset):
		return &usageError{o.parser, "Options from-beginning and offset cannot be specified together."}
	case o.has(o.partition) && !o.has(o.topic):
		return &usageError{o.parser, "The topic is required when partition is specified."}
	case !o.has(o.partition) && o.has(o.offset):
		return &usageError{o.parser, "The partition is required when offset is specified."}
	}
	text := o.str(o.offset)
	switch strings.ToLower(text) {
	case "latest":
		if j.offset = consumer.Latest; o.has(o.fromBeginning) {
			j.offset = consumer.Earliest
		}
	case "earliest":
		j.offset = consumer.Earliest
	default:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return &usageError{o.parser, "The provided offset value '" + text +
				"' is incorrect. Valid values are 'earliest', 'latest', or a non-negative long."}
		}
		j.offset = n
	}
	return o.err
}

// checkGroup refuses what does not fit together, and groups as such until they are built.
func (o *consoleConsumerOptions) checkGroup(elsewhere ...string) error {
	var groups []string
	for _, g := range append([]string{o.str(o.group)}, elsewhere...) {
		if g != "" && !slices.Contains(groups, "'"+g+"'") {
			groups = append(groups, "'"+g+"'")
		}
	}
	switch {
	case len(groups) > 1:
		return &usageError{o.parser, "The group ids provided in different places (directly using '--group', via " +
			"'--consumer-property', or via '--consumer.config') do not match. Detected group ids: " + strings.Join(groups, ", ")}
	case len(groups) == 1 && o.has(o.partition):
		return &usageError{o.parser, "Options group and partition cannot be specified together."}
	case len(groups) == 1:
		return &usageError{o.parser, "Option [group] is not supported yet: without it all partitions are read."}
	}
	return nil
}

// resetConflict ends the tool with a line of its own.
type resetConflict struct{ value string }

func (e *resetConflict) Error() string {
	return "Can't simultaneously specify --from-beginning and 'auto.offset.reset=" + e.value + "', please remove one option"
}

func (o *consoleConsumerOptions) configure(j *consumerJob, props map[string]string, stderr io.Writer) error {
	reset, given := props["auto.offset.reset"]
	switch {
	case given && o.has(o.fromBeginning) && reset != "earliest":
		return &resetConflict{reset}
	case given && !o.has(o.partition) && reset == "earliest":
		j.offset = consumer.Earliest
	case !given && o.has(o.fromBeginning):
		props["auto.offset.reset"] = "earliest"
	}
	group := fmt.Sprintf("console-consumer-%d", rand.IntN(100000))
	if props["client.id"] == "" {
		props["client.id"] = "consumer-" + group + "-1"
	}
	delete(props, "enable.auto.commit") // nothing is committed without a group
	switch props["exclude.internal.topics"] {
	case "false":
		j.internal = true
		fallthrough
	case "true":
		delete(props, "exclude.internal.topics") // what include chooses is decided here, see partitions
	}
	props["bootstrap.servers"] = o.str(o.bootstrap)
	props["isolation.level"] = o.str(o.isolation)
	config, err := consumer.NewConfig(props)
	if err != nil {
		return &runningError{err}
	}
	config.Logger = newToolLogger(stderr)
	config.LogName = "clientId=" + props["client.id"] + ", groupId=" + group
	j.config = config
	return nil
}

// runningError is one that Kafka logs while the consumer runs, in place of showing usage.
type runningError struct{ error }

func (e *runningError) Unwrap() error { return e.error }

func runConsoleConsumer(ctx context.Context, args []string, io stdio) int {
	o, err := parseConsoleConsumerOptions(args)
	if err != nil {
		return exitStatus(io.Err, err)
	}
	if done, err := o.checkCommon(o.common, args, "Prints the records of topics.", io.Out); done {
		return exitStatus(io.Err, err)
	}
	j, err := o.job(io.Err)
	var conflict *resetConflict
	var running *runningError
	switch {
	case errors.As(err, &conflict):
		fmt.Fprintln(io.Err, conflict)
		return 1
	case errors.As(err, &running):
	case err != nil:
		return exitStatus(io.Err, err)
	default:
		err = j.run(ctx, io)
	}
	if err != nil {
		logThrowable(io.Err, consoleConsumerLogger, "Unknown error when running consumer: ", err)
		return 1
	}
	if o.has(o.events) {
		fmt.Fprintln(io.Out, "shutdown_complete")
	}
	if ctx.Err() != nil {
		return signalStatus(ctx)
	}
	return 0
}

// logThrowable logs a message and, behind it, an error with its causes.
func logThrowable(w io.Writer, logger, message string, err error) {
	logLine(w, "ERROR", logger, message)
	fmt.Fprint(w, stackTrace(err))
}

// run prints records until there were enough, none came in time or a signal arrived. Only a record that cannot be
// printed is an error; what goes wrong with receiving is logged and ends the run, as in Kafka.
func (j *consumerJob) run(ctx context.Context, io stdio) (err error) {
	c, err := consumer.NewSimple(j.config)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(io.Out)
	count := 0
	defer func() {
		err = errors.Join(err, out.Flush(), c.Close())
		fmt.Fprintf(io.Err, "Processed a total of %d messages\n", count)
	}()
	counter := progress{}
	if !isTerminal(io.Out) { // else the records themselves show that it goes on
		counter = newProgress(io.Err, "records", int64(j.limit))
	}
	defer counter.done()
	assigned := false
	for j.limit < 0 || count < j.limit {
		if err := out.Flush(); err != nil {
			fmt.Fprintln(io.Err, "Unable to write to standard out, closing consumer.")
			return nil
		}
		records, err := j.receive(ctx, c, &assigned)
		if err != nil {
			if ctx.Err() == nil {
				logThrowable(io.Err, consoleConsumerLogger, "Error processing message, terminating consumer process: ", err)
			}
			return nil
		}
		for _, r := range records {
			if j.limit >= 0 && count >= j.limit {
				break
			}
			count++
			counter.add(1)
			err := j.formatter.write(out, &r)
			switch {
			case err != nil && j.skip:
				logThrowable(io.Err, consoleConsumerLogger, "Error processing message, skipping this message: ", err)
			case err != nil:
				return err
			}
		}
	}
	return nil
}

// receive waits for records for timeout-ms at most. The first call also finds the partitions to read.
func (j *consumerJob) receive(ctx context.Context, c *consumer.Simple, assigned *bool) ([]consumer.Record, error) {
	timedOut := &javaError{class: kafkaErrors + "TimeoutException", bare: true}
	if j.timeout >= 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, j.timeout, timedOut)
		defer cancel()
	}
	if !*assigned {
		partitions, err := j.partitions(ctx, c)
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return nil, cause
			}
			return nil, err
		}
		c.Assign(partitions)
		*assigned = true
	}
	return c.Poll(ctx)
}

// partitions are those to read, each with its start.
func (j *consumerJob) partitions(ctx context.Context, c *consumer.Simple) (map[topic.Partition]int64, error) {
	topics := []string{j.topic}
	if j.partition >= 0 {
		return map[topic.Partition]int64{{Topic: j.topic, ID: int32(j.partition)}: j.offset}, nil
	}
	if j.include != nil {
		all, err := c.Topics()
		if err != nil {
			return nil, err
		}
		topics = slices.DeleteFunc(all, func(name string) bool {
			return !j.include(name) || topic.IsInternal(name) && !j.internal
		})
	}
	starts := make(map[topic.Partition]int64)
	for _, name := range topics {
		ids, err := c.Partitions(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			starts[topic.Partition{Topic: name, ID: id}] = j.offset
		}
	}
	return starts, nil
}
