package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
)

// kafka-leader-election (Kafka: LeaderElectionCommand, KIP-460): asks the controller to make the preferred replica leader,
// or any living one where no leader is left.

// electionTimeout is how long an election may take (Kafka: both tools of elections).
const electionTimeout = 30 * time.Second

type leaderElectionOptions struct {
	*optionSet

	common                                           commonOptions
	bootstrap, adminConfig, kind                     *option
	topic, partition, everyPartition, partitionsFile *option
}

func parseLeaderElectionOptions(args []string) (*leaderElectionOptions, error) {
	p := &optionParser{}
	o := &leaderElectionOptions{common: p.acceptCommon()}
	o.bootstrap = p.accepts("bootstrap-server", "Brokers to ask, host:port list.").takes("servers")
	o.adminConfig = p.accepts("admin.config", "File of client properties.").takes("file")
	o.partitionsFile = p.accepts("path-to-json-file", "The partitions: {\"partitions\":[{\"topic\":\"t\",\"partition\":0}]}.").
		takes("file")
	o.topic = p.accepts("topic", "The topic of --partition.").takes("topic")
	o.partition = p.accepts("partition", "The partition of --topic.").takes("number").of("Integer")
	o.everyPartition = p.accepts("all-topic-partitions", "All partitions of the cluster.")
	o.kind = p.accepts("election-type", "preferred: the first of the replicas, if it is in sync; unclean: a replica that "+
		"lives, in sync or not, where there is no leader; records may be lost.").takes("preferred|unclean")
	set, err := p.parse(args)
	o.optionSet = set
	return o, err
}

func runLeaderElection(ctx context.Context, args []string, io stdio) int {
	o, err := parseLeaderElectionOptions(args)
	if err != nil {
		return exitStatus(io.Err, err)
	}
	if slices.Contains(args, "--help") || slices.Contains(args, "--version") {
		if done, err := o.checkCommon(o.common, args, "Elects leaders of partitions anew.", io.Out); done {
			return exitStatus(io.Err, err)
		}
	}
	return exitStatus(io.Err, o.run(ctx, io))
}

func (o *leaderElectionOptions) run(ctx context.Context, io stdio) error {
	if err := o.check(); err != nil {
		return err
	}
	e := leaderElection{name: "leader election"}
	var err error
	if e.kind, e.kindName, err = electionKind(o.kind, o.str(o.kind)); err != nil {
		return err
	}
	switch {
	case o.has(o.partitionsFile):
		e.partitions, err = readElectionFile(o.str(o.partitionsFile))
	case o.has(o.topic):
		e.partitions = []topic.Partition{{Topic: o.str(o.topic), ID: int32(o.int(o.partition))}}
		err = o.err
	}
	if err != nil {
		return err
	}
	admin, err := newAdmin(o.str(o.bootstrap), o.str(o.adminConfig), io.Err)
	if err != nil {
		return err
	}
	defer admin.close()
	e.name += " (" + e.kindName + ")"
	return e.hold(ctx, admin, io.Out)
}

// check applies the rules between the flags, all of which end in an exception.
func (o *leaderElectionOptions) check() error {
	var missing []string
	for _, needed := range []*option{o.kind, o.bootstrap} {
		if !o.has(needed) {
			missing = append(missing, needed.name)
		}
	}
	if len(missing) > 0 {
		return commandFailed("Missing required option(s): %s", strings.Join(missing, ", "))
	}
	chosen := 0
	for _, which := range []*option{o.topic, o.everyPartition, o.partitionsFile} {
		if o.has(which) {
			chosen++
		}
	}
	switch {
	case chosen != 1:
		return commandFailed("One and only one of the following options is required: topic, all-topic-partitions, " +
			"path-to-json-file")
	case o.has(o.topic) && !o.has(o.partition):
		return commandFailed("Missing required option(s): partition")
	case o.has(o.partition) && !o.has(o.topic):
		return commandFailed("Option partition is only allowed if topic is used")
	}
	return nil
}

// The kinds of election, by the numbers of the request.
const (
	electPreferred int8 = 0
	electUnclean   int8 = 1
)

// electionKind reads the value of --election-type, in which case does not matter.
func electionKind(o *option, word string) (kind int8, name string, err error) {
	switch name = strings.ToUpper(word); name {
	case "PREFERRED":
		return electPreferred, name, nil
	case "UNCLEAN":
		return electUnclean, name, nil
	}
	return 0, "", &javaError{
		class: joptConversion, message: "Cannot parse argument '" + word + "' of option " + o.name,
		cause: &javaError{class: "joptsimple.ValueConversionException",
			message: "Value [" + word + "] is not one of [[PREFERRED,UNCLEAN]]"},
	}
}

// readElectionFile reads a --path-to-json-file.
func readElectionFile(name string) ([]topic.Partition, error) {
	data, err := readToolFile(dialect28, name)
	if err != nil {
		return nil, err
	}
	return parseElectionFile(data, "Replica election data", ` is missing "partitions" field`)
}

// parseElectionFile reads the partitions of an election; what is the file's name in complaints, missing what is said
// when it has none.
func parseElectionFile(data []byte, what, missing string) ([]topic.Partition, error) {
	file, err := parseJSON(data)
	if err != nil {
		return nil, adminOperation(what + " is empty")
	}
	entries, ok, err := file.member("partitions")
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, adminOperation(what + missing)
	}
	partitions, err := eachOf(entries, parsePartition)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(partitions))
	for i, p := range partitions {
		names[i] = p.String()
	}
	if twice := duplicates(names); len(twice) > 0 {
		return nil, adminOperation(what + " contains duplicate partitions: " + strings.Join(twice, ","))
	}
	return partitions, nil
}

// leaderElection is an election that the brokers are asked for.
type leaderElection struct {
	name       string // in what is printed
	failed     string // what could not be elected, "replica(s)"
	kind       int8
	kindName   string
	partitions []topic.Partition // nil: all
}

// electionOutcome is what became of an election.
type electionOutcome struct {
	elected, unchanged []topic.Partition
	failed             map[topic.Partition]error
}

// hold holds the election and prints what became of it.
func (e leaderElection) hold(ctx context.Context, admin *adminClient, out io.Writer) error {
	outcome, err := admin.electLeaders(ctx, e.kind, e.partitions)
	if err != nil {
		said := "Error while making request"
		switch {
		case asJava(errors.Unwrap(err)).class == errorClass(kerr.RequestTimedOut): // a broker's or our own
			said = "Timeout waiting for election results"
			err = &javaError{class: commandFailedException, message: said, cause: err}
		case isKafkaError(err, kerr.ClusterAuthorizationFailed):
			said = "Not authorized to perform leader election"
			err = &javaError{class: commandFailedException, message: said, cause: err}
		}
		fmt.Fprintln(out, said)
		return err
	}
	return e.report(outcome, out)
}

// report prints an outcome; the error tells how many elections failed and why.
func (e leaderElection) report(outcome electionOutcome, out io.Writer) error {
	list := func(partitions []topic.Partition) string {
		slices.SortFunc(partitions, topic.Partition.Compare)
		words := make([]string, len(partitions))
		for i, p := range partitions {
			words[i] = p.String()
		}
		return strings.Join(words, ", ")
	}
	if len(outcome.elected) > 0 {
		fmt.Fprintf(out, "Successfully completed %s for partitions %s\n", e.name, list(outcome.elected))
	}
	if len(outcome.unchanged) > 0 {
		fmt.Fprintf(out, "Valid replica already elected for partitions %s\n", list(outcome.unchanged))
	}
	if len(outcome.failed) == 0 {
		return nil
	}
	failure := &javaError{class: commandFailedException,
		message: fmt.Sprintf("%d %s could not be elected", len(outcome.failed), orDefault(e.failed, "replica(s)"))}
	for _, p := range slices.SortedFunc(maps.Keys(outcome.failed), topic.Partition.Compare) {
		err := outcome.failed[p]
		fmt.Fprintf(out, "Error completing %s for partition: %s: %s\n", e.name, p, throwable(err))
		failure.suppressed = append(failure.suppressed, err)
	}
	return failure
}

// electLeaders asks the controller for an election of one kind; of nil means all partitions.
func (a *adminClient) electLeaders(ctx context.Context, kind int8, of []topic.Partition) (electionOutcome, error) {
	req := kmsg.NewPtrElectLeadersRequest()
	req.ElectionType, req.TimeoutMillis = kind, int32(electionTimeout.Milliseconds())
	if of != nil {
		req.Topics = []kmsg.ElectLeadersRequestTopic{}
	}
	for name, ids := range byTopic(of) {
		req.Topics = append(req.Topics, kmsg.ElectLeadersRequestTopic{Topic: name, Partitions: ids})
	}
	resp, err := ask[*kmsg.ElectLeadersResponse](ctx, a, req)
	if err == nil {
		err = brokerError(resp.ErrorCode, nil)
	}
	if err != nil {
		return electionOutcome{}, executionError(err)
	}
	return outcomeOf(resp), nil
}

// outcomeOf sorts what the controller answers.
func outcomeOf(resp *kmsg.ElectLeadersResponse) electionOutcome {
	outcome := electionOutcome{failed: make(map[topic.Partition]error)}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			tp := topic.Partition{Topic: t.Topic, ID: p.Partition}
			switch err := brokerError(p.ErrorCode, p.ErrorMessage); {
			case err == nil:
				outcome.elected = append(outcome.elected, tp)
			case isKafkaError(err, kerr.ElectionNotNeeded):
				outcome.unchanged = append(outcome.unchanged, tp)
			default:
				outcome.failed[tp] = err
			}
		}
	}
	return outcome
}
