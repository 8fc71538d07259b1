package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

func TestPlansAreCheckedAsKafkaChecksThem(t *testing.T) {
	const entry = `{"topic":"t","partition":0,"replicas":[1,2]}`
	for _, c := range []struct{ name, file, want string }{
		{"a plan without log dirs", `{"version":1,"partitions":[` + entry + `]}`, ""},
		{"the version may be left out", `{"partitions":[` + entry + `]}`, ""},
		{"members nobody asks for are let be",
			`{"version":1,"x":1,"partitions":[{"y":2,"topic":"t","partition":0,"replicas":[1]}]}`, ""},
		{"another version", `{"version":2,"partitions":[]}`, "Not supported version field value 2"},
		{"no partitions", `{"version":1}`, "empty!"},
		{"an empty list", `{"version":1,"partitions":[]}`, "empty!"},
		{"partitions that are no list", `{"partitions":{}}`, "Expected JSON array, received {}"},
		{"a list in place of an object", `[]`, "Expected JSON object, received []"},
		{"a partition without replicas", `{"partitions":[{"topic":"t","partition":0,"replicas":[]}]}`,
			"Partition replica list cannot be empty"},
		{"a missing member", `{"partitions":[{"topic":"t","replicas":[1]}]}`, "No such field exists: `partition`"},
		{"a number that is none", `{"partitions":[{"topic":"t","partition":"0","replicas":[1]}]}`,
			"Expected `Integer` value, received \"0\""},
		{"a number that is too large", `{"partitions":[{"topic":"t","partition":2147483648,"replicas":[1]}]}`,
			"Expected `Integer` value, received 2147483648"},
		{"a partition twice", `{"partitions":[` + entry + `,` + entry + `]}`,
			"Partition reassignment contains duplicate topic partitions: t-0"},
		{"a broker twice", `{"partitions":[{"topic":"t","partition":0,"replicas":[1,2,1]}]}`,
			"Partition replica lists may not contain duplicate entries: t-0 contains multiple entries for 1"},
		{"more log dirs than replicas", `{"partitions":[{"topic":"t","partition":0,"replicas":[1],"log_dirs":["any","/d"]}]}`,
			"Size of replicas list List(1) is different from size of log dirs list List(any, /d) for partition t-0"},
		{"nothing at all", ``, "The input string shouldn't be empty"},
		{"an array that does not end", "{\n\"partitions\":[1,",
			"Unexpected end-of-input within/between Array entries\n at [Source: (String)\"{\n\"partitions\":[1,\"; line: 2, column: 17]"},
		{"what is no JSON", `{"a":x}`,
			"Unexpected character ('x' (code 120))\n at [Source: (String)\"{\"a\":x}\"; line: 1, column: 6]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan, err := parsePlan([]byte(c.file))
			if err == nil {
				err = plan.check("empty!")
			}
			if messageOf(err) != c.want {
				t.Errorf("%v\nin place of %q", err, c.want)
			}
		})
	}
}

func TestAPlanIsWrittenAsItIsRead(t *testing.T) {
	plan, err := parsePlan([]byte(`{"partitions":[{"topic":"b","partition":1,"replicas":[2,1],"log_dirs":["any","/d"]},` +
		`{"topic":"a","partition":10,"replicas":[3]},{"topic":"a","partition":9,"replicas":[3]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"version":1,"partitions":[{"topic":"a","partition":9,"replicas":[3],"log_dirs":["any"]},` +
		`{"topic":"a","partition":10,"replicas":[3],"log_dirs":["any"]},` +
		`{"topic":"b","partition":1,"replicas":[2,1],"log_dirs":["any","any"]}]}`
	if got := plan.assignment().String(); got != want {
		t.Errorf("%s\nin place of\n%s", got, want)
	}
	dirs := map[partitionReplica]string{{topic.Partition{Topic: "b", ID: 1}, 1}: "/d"}
	if diff := cmp.Diff(dirs, plan.logDirs, cmp.AllowUnexported(partitionReplica{})); diff != "" {
		t.Error(diff)
	}
}

func TestThrottledReplicasAreThoseThatCopyAndThoseCopiedFrom(t *testing.T) {
	p := func(id int32) topic.Partition { return topic.Partition{Topic: "t", ID: id} }
	for _, c := range []struct {
		name               string
		running            map[topic.Partition]reassigning
		wanted, now        assignment
		leaders, followers string
		brokers            []int32
	}{
		{"a partition moves away", nil, assignment{p(0): {2}}, assignment{p(0): {1}}, "0:1", "0:2", []int32{1, 2}},
		{"a replica more", nil, assignment{p(0): {1, 2, 3}}, assignment{p(0): {2, 1}}, "0:1,0:2", "0:3", []int32{1, 2, 3}},
		{"only the order changes", nil, assignment{p(0): {1, 2}}, assignment{p(0): {2, 1}}, "0:1,0:2", "", []int32{1, 2}},
		{"partitions in order of their numbers", nil, assignment{p(10): {2}, p(9): {2}}, assignment{p(10): {1}, p(9): {1}},
			"9:1,10:1", "9:2,10:2", []int32{1, 2}},
		{"a partition that is on its way is copied from those it had",
			map[topic.Partition]reassigning{p(0): {replicas: []int32{3, 1, 2}, adding: []int32{3}, removing: []int32{1, 2}}},
			assignment{p(0): {4}}, assignment{p(0): {3, 1, 2}}, "0:1,0:2", "0:4", []int32{1, 2, 4}},
		{"others that are on their way stay throttled",
			map[topic.Partition]reassigning{p(1): {replicas: []int32{3, 1}, adding: []int32{3}, removing: []int32{1}}},
			assignment{p(0): {2}}, assignment{p(0): {1}}, "0:1,1:1", "0:2,1:3", []int32{1, 2, 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			moves, err := movements(c.running, c.wanted, c.now)
			if err != nil {
				t.Fatal(err)
			}
			leaders, followers := throttledReplicas(moves)
			if leaders["t"] != c.leaders || followers["t"] != c.followers {
				t.Errorf("leaders %q followers %q", leaders["t"], followers["t"])
			}
			if diff := cmp.Diff(c.brokers, movingBrokers(moves)); diff != "" {
				t.Error(diff)
			}
		})
	}
	const unknown = "Trying to reassign a topic partition t-7 with 0 replicas"
	if _, err := movements(nil, assignment{p(7): {1}}, nil); messageOf(err) != unknown {
		t.Error(err)
	}
}

func TestOnlyWhatCopiesIsThrottledIn11(t *testing.T) {
	same, moved := topic.Partition{Topic: "t", ID: 0}, topic.Partition{Topic: "t", ID: 1}
	moves, err := movements(nil, assignment{same: {1}, moved: {2}}, assignment{same: {1}, moved: {1}})
	if err != nil {
		t.Fatal(err)
	}
	leaders, _ := throttledReplicas(movingOnly(moves))
	if leaders["t"] != "1:1" {
		t.Error(leaders)
	}
}

func TestAProposalUsesTheBrokersAskedForAndKeepsTheFactor(t *testing.T) {
	current := make(assignment)
	for id := range int32(6) {
		current[topic.Partition{Topic: "three", ID: id}] = []int32{1, 2, 3}
		current[topic.Partition{Topic: "one", ID: id}] = []int32{4}
	}
	live := []topic.BrokerRack{{ID: 1, Rack: "a"}, {ID: 2, Rack: "a"}, {ID: 3, Rack: "b"}, {ID: 4, Rack: "c"}, {ID: 9}}
	p := &proposal{brokers: []int32{1, 2, 3, 4, 7}}
	proposed, err := p.propose(current, live)
	if err != nil {
		t.Fatal(err)
	}
	leaders := make(map[int32]int)
	for _, tp := range proposed.partitions() {
		replicas := proposed[tp]
		if len(replicas) != len(current[tp]) || len(duplicates(replicas)) > 0 {
			t.Errorf("%s: %v", tp, replicas)
		}
		if tp.Topic == "three" && !cmp.Equal(map[string]bool{"a": true, "b": true, "c": true}, racksOf(replicas, live)) {
			t.Errorf("%s: %v is not on all racks", tp, replicas)
		}
		leaders[replicas[0]]++
	}
	if len(proposed) != len(current) || len(leaders) != 4 || leaders[9]+leaders[7] > 0 {
		t.Errorf("%d partitions, leaders %v", len(proposed), leaders)
	}
	p.brokers = []int32{1, 9}
	if _, err := p.propose(current, live); err == nil || !strings.HasPrefix(err.Error(), "Not all brokers have rack") {
		t.Errorf("a rack on one of two: %v", err)
	}
	p.brokers = []int32{1, 2}
	if _, err := p.propose(current, live); messageOf(err) != "Replication factor: 3 larger than available brokers: 2." {
		t.Error(err)
	}
}

func racksOf(ids []int32, brokers []topic.BrokerRack) map[string]bool {
	racks := make(map[string]bool)
	for _, id := range ids {
		for _, b := range brokers {
			if b.ID == id {
				racks[b.Rack] = true
			}
		}
	}
	return racks
}

func TestWhatAProposalIsAskedFor(t *testing.T) {
	for _, c := range []struct{ name, file, brokers, want string }{
		{"topics and brokers", `{"version":1,"topics":[{"topic":"a"},{"topic":"b"}]}`, "0,1", ""},
		{"a broker twice", `{"topics":[]}`, "2,1,2", "Broker list contains duplicate entries: 2"},
		{"a broker that is no number", `{"topics":[]}`, "1,x", `For input string: "x"`},
		{"a topic twice", `{"topics":[{"topic":"a"},{"topic":"a"}]}`, "1",
			"List of topics to reassign contains duplicate entries: a"},
		{"what is no JSON", `topics`, "1", "The input string is not a valid JSON"},
		{"a name that is none", `{"topics":[{"topic":1}]}`, "1", "Expected `String` value, received 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := parseProposal([]byte(c.file), c.brokers); messageOf(err) != c.want {
				t.Error(err)
			}
		})
	}
}

func TestMovesBetweenLogDirectoriesAreTold(t *testing.T) {
	r := partitionReplica{topic.Partition{Topic: "t", ID: 3}, 1}
	for _, c := range []struct {
		at   replicaPlace
		want string
		done bool
	}{
		{replicaPlace{}, "Partition t-3 is not found in any live log dir on broker 1. There is likely an offline log directory " +
			"on the broker.", true},
		{replicaPlace{"/a", "/b"}, "Reassignment of replica t-3-1 is still in progress.", false},
		{replicaPlace{"/a", "/c"}, "Partition t-3 on broker 1 is being moved to log dir /c instead of /b.", false},
		{replicaPlace{"/b", ""}, "Reassignment of replica t-3-1 completed successfully.", true},
		{replicaPlace{"/a", ""}, "Partition t-3 on broker 1 is not being moved from log dir /a to /b.", true},
	} {
		if text, done := moveState(r, c.at, "/b"); text != c.want || done != c.done {
			t.Errorf("%v: %q %v", c.at, text, done)
		}
	}
}

func TestRulesOfTheReassignmentFlags(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--bootstrap-server b:1 --list", ""},
		{"--bootstrap-server b:1 --list --verify",
			"Command must include exactly one action: --generate, --execute, --verify, --cancel, --list"},
		{"--list", "Please specify --bootstrap-server"},
		{"--bootstrap-server b:1 --cancel", `Missing required argument "[reassignment-json-file]"`},
		{"--bootstrap-server b:1 --verify --reassignment-json-file f --throttle 1",
			`Option "[throttle]" can't be used with action "[verify]"`},
		{"--bootstrap-server b:1 --cancel --reassignment-json-file f --preserve-throttles --timeout 1", ""},
		{"--zookeeper z --list", "list is not a recognized option"},
		{"--zookeeper z --verify", "If --verify option is used, command must include --reassignment-json-file that " +
			"was used during the --execute option"},
		{"--zookeeper z --generate --topics-to-move-json-file f --broker-list 1 --throttle 5",
			`Option "[generate]" can't be used with option"[throttle]"`},
		{"--zookeeper z --bootstrap-server b:1 --execute --reassignment-json-file f --throttle 5", ""},
	} {
		o, err := parseReassignOptions(strings.Fields(c.args))
		if err == nil {
			err = o.check()
		}
		if messageOf(err) != c.want {
			t.Errorf("%s: %v", c.args, err)
		}
	}
}

func TestAReassignmentByZnode(t *testing.T) {
	connect, s := inMemoryZooKeeper(t)
	ctx := t.Context()
	if err := s.EnsurePaths(ctx); err != nil {
		t.Fatal(err)
	}
	for id := range int32(3) {
		if _, err := s.RegisterBroker(ctx, zkmeta.BrokerInfo{ID: id, JMXPort: -1}); err != nil {
			t.Fatal(err)
		}
	}
	err := s.CreateTopic(ctx, "t", map[string]string{"retention.ms": "5"},
		zkmeta.TopicAssignment{Partitions: map[int32][]int32{0: {0}, 1: {0}}})
	if err != nil {
		t.Fatal(err)
	}
	plan := filepath.Join(t.TempDir(), "plan.json")
	const moved = `{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1]}]}`
	if err := os.WriteFile(plan, []byte(moved), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args string) string {
		var out strings.Builder
		words := strings.Fields("--zookeeper " + connect + " " + args)
		if status := runReassignPartitions(ctx, words, stdio{Out: &out, Err: t.Output()}); status != 0 {
			t.Errorf("%s: status %d", args, status)
		}
		return out.String()
	}
	execute := "--execute --reassignment-json-file " + plan
	const started = "set to 7 B/s\nSuccessfully started reassignment of partitions.\n"
	if out := run(execute + " --throttle 7"); !strings.HasSuffix(out, started) {
		t.Error(out)
	}
	checkConfig(t, s, zkmeta.TopicEntity("t"), map[string]string{"retention.ms": "5",
		leaderThrottledReplicas: "0:0", followerThrottledReplicas: "0:1"})
	checkConfig(t, s, zkmeta.BrokerEntity(1), map[string]string{leaderThrottledRate: "7", followerThrottledRate: "7"})
	checkConfig(t, s, zkmeta.BrokerEntity(2), map[string]string{})
	asked, err := s.ReadReassignments(ctx)
	want := []zkmeta.Reassignment{{Partition: topic.Partition{Topic: "t", ID: 0}, Replicas: []int32{1}}}
	if diff := cmp.Diff(want, asked); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if out := run(execute + " --throttle 9"); out != "There is an existing assignment running.\n" {
		t.Error(out)
	}
	checkConfig(t, s, zkmeta.BrokerEntity(0), map[string]string{leaderThrottledRate: "9", followerThrottledRate: "9"})
	finishReassignment(t, s)
	if out := run("--verify --reassignment-json-file " + plan); out != "Status of partition reassignment: \n"+
		"Reassignment of partition t-0 completed successfully\nThrottle was removed.\n" {
		t.Error(out)
	}
	checkConfig(t, s, zkmeta.TopicEntity("t"), map[string]string{"retention.ms": "5"})
	checkConfig(t, s, zkmeta.BrokerEntity(1), map[string]string{})
}

// finishReassignment does a controller's work.
func finishReassignment(t *testing.T, s *zkmeta.Session) {
	t.Helper()
	a, err := s.ReadTopic(t.Context(), "t")
	if err == nil {
		a.Partitions[0] = []int32{1}
		err = s.AddPartitions(t.Context(), "t", a)
	}
	if err == nil {
		err = s.Delete(t.Context(), zkmeta.ReassignPath, -1)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func checkConfig(t *testing.T, s *zkmeta.Session, e zkmeta.Entity, want map[string]string) {
	t.Helper()
	got, err := s.ReadConfig(t.Context(), e)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%s: %v\n%s", e, err, diff)
	}
}

func FuzzAPlanThatIsReadIsWrittenAndReadAgain(f *testing.F) {
	f.Add([]byte(`{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1,2],"log_dirs":["any","/d"]}]}`))
	f.Add([]byte(`{"partitions":[{"topic":"t","partition":-1,"replicas":[`))
	f.Fuzz(func(t *testing.T, data []byte) {
		plan, err := parsePlan(data)
		if err != nil {
			return
		}
		if plan.check("empty") != nil {
			return
		}
		wanted := plan.assignment()
		again, err := parsePlan([]byte(wanted.String()))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wanted, again.assignment()); diff != "" {
			t.Error(diff)
		}
	})
}
