package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

func TestRulesOfTheElectionFlags(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--topic t --partition 0", "Missing required option(s): election-type, bootstrap-server"},
		{"--bootstrap-server b:1 --topic t --partition 0", "Missing required option(s): election-type"},
		{"--bootstrap-server b:1 --election-type preferred", "One and only one of the following options is required: topic, " +
			"all-topic-partitions, path-to-json-file"},
		{"--bootstrap-server b:1 --election-type preferred --topic t --all-topic-partitions", "One and only one of the " +
			"following options is required: topic, all-topic-partitions, path-to-json-file"},
		{"--bootstrap-server b:1 --election-type preferred --topic t", "Missing required option(s): partition"},
		{"--bootstrap-server b:1 --election-type preferred --all-topic-partitions --partition 1",
			"Option partition is only allowed if topic is used"},
		{"--bootstrap-server b:1 --election-type UnClean --topic t --partition 0", ""},
		{"--bootstrap-server b:1 --election-type best --topic t --partition 0",
			"Cannot parse argument 'best' of option election-type"},
	} {
		o, err := parseLeaderElectionOptions(strings.Fields(c.args))
		if err == nil {
			err = o.check()
		}
		if err == nil {
			_, _, err = electionKind(o.kind, o.str(o.kind))
		}
		if messageOf(err) != c.want {
			t.Errorf("%s: %v", c.args, err)
		}
	}
}

func TestFilesOfElections(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"two partitions", `{"partitions":[{"topic":"t","partition":1},{"topic":"t","partition":0}]}`, ""},
		{"none", `{"partitions":[]}`, ""},
		{"no list", `{}`, "What is missing"},
		{"what is no JSON", `{`, "What is empty"},
		{"one twice", `{"partitions":[{"topic":"t","partition":1},{"topic":"t","partition":1}]}`,
			"What contains duplicate partitions: t-1"},
		{"no number", `{"partitions":[{"topic":"t"}]}`, "No such field exists: `partition`"},
	} {
		t.Run(c.name, func(t *testing.T) {
			partitions, err := parseElectionFile([]byte(c.file), "What", " is missing")
			if messageOf(err) != c.want || err == nil && partitions == nil { // nil would mean all
				t.Errorf("%v %v", partitions, err)
			}
		})
	}
}

func TestOutcomesOfElectionsAreTold(t *testing.T) {
	p := func(id int32) topic.Partition { return topic.Partition{Topic: "t", ID: id} }
	e := leaderElection{name: "leader election (UNCLEAN)"}
	var out strings.Builder
	err := e.report(electionOutcome{
		elected: []topic.Partition{p(10), p(9)}, unchanged: []topic.Partition{p(3)},
		failed: map[topic.Partition]error{
			p(1): kerr.New(kerr.UnknownTopicOrPartition, "gone"),
			p(0): kerr.New(kerr.EligibleLeadersNotAvailable, "dead"),
		},
	}, &out)
	const want = `Successfully completed leader election (UNCLEAN) for partitions t-9, t-10
Valid replica already elected for partitions t-3
Error completing leader election (UNCLEAN) for partition: t-0: org.apache.kafka.common.errors.EligibleLeadersNotAvailableException: dead
Error completing leader election (UNCLEAN) for partition: t-1: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: gone
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	const trace = `kafka.common.AdminCommandFailedException: 2 replica(s) could not be elected
	Suppressed: org.apache.kafka.common.errors.EligibleLeadersNotAvailableException: dead
	Suppressed: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: gone
`
	if diff := cmp.Diff(trace, stackTrace(err)); diff != "" {
		t.Error(diff)
	}
	if err := e.report(electionOutcome{unchanged: []topic.Partition{p(0)}}, &out); err != nil {
		t.Error("nothing failed:", err)
	}
}

func TestAnElectionThatWasNotNeededIsNoFailure(t *testing.T) {
	outcome := outcomeOf(&kmsg.ElectLeadersResponse{Topics: []kmsg.ElectLeadersResponseTopic{{Topic: "t",
		Partitions: []kmsg.ElectLeadersResponseTopicPartition{
			{Partition: 0}, {Partition: 1, ErrorCode: kerr.ElectionNotNeeded.Code},
			{Partition: 2, ErrorCode: kerr.PreferredLeaderNotAvailable.Code},
		}}}})
	one := func(id int32) []topic.Partition { return []topic.Partition{{Topic: "t", ID: id}} }
	if !cmp.Equal(one(0), outcome.elected) || !cmp.Equal(one(1), outcome.unchanged) || len(outcome.failed) != 1 ||
		!isKafkaError(outcome.failed[one(2)[0]], kerr.PreferredLeaderNotAvailable) {
		t.Error(outcome)
	}
}

func TestAPreferredElectionByZnode(t *testing.T) {
	connect, s := inMemoryZooKeeper(t)
	ctx := t.Context()
	two := zkmeta.TopicAssignment{Partitions: map[int32][]int32{0: {0}, 1: {0}}}
	if err := s.CreateTopic(ctx, "t", nil, two); err != nil {
		t.Fatal(err)
	}
	state := zkmeta.TopicPath("t")
	for _, child := range []string{"/partitions", "/1", "/state"} {
		state += child
		_, err := s.Create(ctx, state, []byte(`{"controller_epoch":1,"leader":0,"version":1,"leader_epoch":0,"isr":[0]}`),
			zkmeta.Persistent)
		if err != nil {
			t.Fatal(err)
		}
	}
	run := func() string {
		var out strings.Builder
		if status := runPreferredElection(ctx, []string{"--zookeeper", connect}, stdio{Out: &out, Err: t.Output()}); status != 0 {
			t.Errorf("status %d", status)
		}
		return out.String()
	}
	out := run()
	asked, err := s.ReadPreferredElection(ctx)
	if diff := cmp.Diff([]topic.Partition{{Topic: "t", ID: 1}}, asked); diff != "" || err != nil {
		t.Error("not the partition alone that has had a leader:", diff, err)
	}
	if !strings.HasPrefix(out, "Created preferred replica election path with t-1\n") {
		t.Error(out)
	}
	if out := run(); !strings.HasPrefix(out, "Failed to start preferred replica election\n"+
		"kafka.common.AdminCommandFailedException: Admin command failed\n") || !strings.Contains(out, "currently in progress for") {
		t.Error(out)
	}
}
