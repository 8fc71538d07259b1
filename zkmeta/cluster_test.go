package zkmeta

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/broker/topic"
)

func TestBrokersOfOneClusterAgreeOnItsID(t *testing.T) {
	zk := startServer(t)
	seen := make([]string, 8)
	var wg sync.WaitGroup
	for i := range seen {
		s := session(t, connect(t, zk.String()))
		wg.Go(func() { seen[i], _ = s.ClusterID(t.Context()) })
	}
	wg.Wait()
	for _, id := range seen {
		if len(id) != 22 || id != seen[0] {
			t.Errorf("ids %q", seen)
		}
	}
}

// One bad znode among good ones is named in the log, once, and stops nobody.
func TestZnodesThatDoNotParseAreNamedAndLeftOut(t *testing.T) {
	logger, logs := observed()
	s := session(t, connect(t, startServer(t).String(), func(o *Options) { o.Logger = logger }))
	ctx := t.Context()
	must(t, s.EnsurePaths(ctx))
	bad := map[string]string{
		BrokerIDsPath + "/x":  `{}`,
		BrokerIDsPath + "/01": `{}`,
		BrokerIDPath(1):       `{"version":5`,
		BrokerIDPath(2):       ``,
		BrokerIDPath(3):       `{"version":5,"jmx_port":-1,"endpoints":["nonsense"]}`,
		BrokerIDPath(4):       `{"version":5,"jmx_port":"-1","endpoints":[]}`,
		TopicPath("b1"):       `{"version":1,"partitions":{"x":[1]}}`,
		TopicPath("b2"):       `{"version":1,"partitions":{"0":[1,1]}}`,
		TopicPath("b3"):       `null`,
		ConfigChangesPath + "/config_change_0000000000": `"t"`,
		IsrChangePath + "/isr_change_0000000000":        `{"version":1,"partitions":[{"topic":"t"}]}`,
		LogDirEventPath + "/log_dir_event_0000000000":   `{"version":1,"broker":1,"event":2}`,
	}
	for path, data := range bad {
		_, err := s.Create(ctx, path, []byte(data), Persistent)
		must(t, err)
	}
	_, err := s.RegisterBroker(ctx, plaintext(7, 9092))
	must(t, err)
	_, err = s.Elect(ctx, 7, 1)
	must(t, err)
	good := TopicAssignment{Partitions: map[int32][]int32{0: {7}}}
	must(t, s.CreateTopic(ctx, "good", nil, good))
	must(t, s.NotifyConfigChange(ctx, TopicEntity("good")))
	must(t, s.NotifyLogDirFailure(ctx, 7))
	must(t, s.NotifyIsrChange(ctx, []topic.Partition{{Topic: "good"}}))

	for range 2 {
		if brokers, err := s.Brokers(ctx); err != nil || len(brokers) != 1 || brokers[7].ID != 7 {
			t.Errorf("brokers %v, %v", brokers, err)
		}
		names, err := s.Topics(ctx)
		must(t, err)
		if topics, err := s.ReadTopics(ctx, names); err != nil || len(names) != 4 || len(topics) != 1 {
			t.Errorf("of topics %v are read %v, %v", names, topics, err)
		}
		if changes, _, err := s.ConfigChanges(ctx, -1); err != nil || len(changes) != 1 || changes[0].Entity != "topics/good" {
			t.Errorf("changes %v, %v", changes, err)
		}
		if n, err := s.LogDirEvents(ctx); err != nil || len(n.Names) != 2 || len(n.Brokers) != 1 {
			t.Errorf("log dir events %+v, %v", n, err)
		}
		if n, err := s.IsrChanges(ctx); err != nil || len(n.Names) != 2 || len(n.Partitions) != 1 {
			t.Errorf("ISR changes %+v, %v", n, err)
		}
	}
	named := map[string]int{}
	for _, entry := range logs.FilterLevelExact(zap.ErrorLevel).All() {
		named[fmt.Sprint(entry.ContextMap()["path"])]++
	}
	for path := range bad {
		if named[s.full(path)] != 1 {
			t.Errorf("%s was named %d times", path, named[s.full(path)])
		}
	}
}

func TestFeaturesAreMadeEnabledAndGivenTheLevelsForm(t *testing.T) {
	zk := startServer(t)
	old := session(t, connect(t, zk.String(), func(o *Options) { o.Level = ibp.Min }))
	newer := session(t, connect(t, zk.String()))
	ctx := t.Context()
	for i, step := range []struct {
		s    *Session
		have string
		want string
		zk   int32
	}{
		{old, "", `{"features":{},"version":1,"status":1}`, 0},
		{old, "", `{"features":{},"version":1,"status":1}`, 0},
		{newer, "", `{"features":{},"version":2,"status":1}`, 1},
		{newer, `{"features":{},"version":1,"status":0}`, `{"features":{},"version":2,"status":1}`, 3},
		{newer, `nonsense`, `{"features":{},"version":2,"status":1}`, 5},
	} {
		if step.have != "" {
			must(t, step.s.setLast(ctx, FeaturePath, []byte(step.have)))
		}
		f, err := step.s.SetUpFeatures(ctx)
		must(t, err)
		data, _, err := step.s.Get(ctx, FeaturePath)
		must(t, err)
		if string(data) != step.want || f.ZkVersion != step.zk || !f.Enabled {
			t.Errorf("step %d: %+v and %s", i, f, data)
		}
	}
}

func TestConsumersOffsetsTokensAndElectionsGoRound(t *testing.T) {
	s := session(t, connect(t, startServer(t).String()))
	ctx := t.Context()
	must(t, s.EnsurePaths(ctx))
	p := topic.Partition{Topic: "t", ID: 3}

	m := GroupMember{"c", map[string]int32{"t": 2}, StaticPattern, 5}
	must(t, s.RegisterMember(ctx, "g", m))
	if members, err := s.GroupMembers(ctx, "g"); err != nil || !cmp.Equal(members, []GroupMember{m}) {
		t.Errorf("%v, %v", members, err)
	}
	must(t, s.LeaveGroup(ctx, "g", "c"))
	if _, ok, err := s.CommittedOffset(ctx, "g", p); ok || err != nil {
		t.Errorf("an offset before the first: %v", err)
	}
	for _, offset := range []int64{7, 1 << 60} {
		must(t, s.CommitOffset(ctx, "g", p, offset))
		if got, ok, err := s.CommittedOffset(ctx, "g", p); got != offset || !ok || err != nil {
			t.Errorf("%d, %v, %v", got, ok, err)
		}
	}
	must(t, s.OwnPartition(ctx, "g", p, "c-0"))
	if owner, err := s.PartitionOwner(ctx, "g", p); owner != "c-0" || err != nil {
		t.Errorf("%q, %v", owner, err)
	}
	must(t, s.DisownPartition(ctx, "g", p))

	must(t, s.EnsureTokenPaths(ctx))
	token := DelegationToken{"id", "User:a b", "User:c", []string{"User:d"}, 1, 3, 2}
	must(t, s.WriteToken(ctx, token))
	must(t, s.WriteToken(ctx, token))
	if tokens, err := s.Tokens(ctx); err != nil || !cmp.Equal(tokens, map[string]DelegationToken{"id": token}) {
		t.Errorf("%v, %v", tokens, err)
	}
	must(t, s.RemoveToken(ctx, "id"))
	if ids, last, err := s.TokenChanges(ctx, -1); err != nil || len(ids) != 3 || last != 2 {
		t.Errorf("%v up to %d, %v", ids, last, err)
	}

	epoch, err := s.Elect(ctx, 1, 1)
	must(t, err)
	moves := []Reassignment{{p, []int32{2, 1}}, {topic.Partition{Topic: "u"}, []int32{1}}}
	must(t, s.RequestReassignments(ctx, moves))
	if got, err := s.ReadReassignments(ctx); err != nil || !cmp.Equal(got, moves) {
		t.Errorf("%v, %v", got, err)
	}
	must(t, s.SetReassignments(ctx, epoch, moves[:1]))
	must(t, s.SetReassignments(ctx, epoch, nil))
	must(t, s.SetReassignments(ctx, epoch, nil))
	if got, err := s.ReadReassignments(ctx); err != nil || got != nil {
		t.Errorf("%v, %v", got, err)
	}
	must(t, s.RequestPreferredElection(ctx, []topic.Partition{p}))
	if err := s.RequestPreferredElection(ctx, []topic.Partition{p}); !errors.Is(err, ErrNodeExists) {
		t.Errorf("a second request: %v", err)
	}
	if got, err := s.ReadPreferredElection(ctx); err != nil || !cmp.Equal(got, []topic.Partition{p}) {
		t.Errorf("%v, %v", got, err)
	}
	must(t, s.RemovePreferredElection(ctx, epoch))
}

func TestAMissingChrootIsMadeAndSaidOnce(t *testing.T) {
	zk := startServer(t)
	log, lines := observed()
	for range 2 {
		connect(t, zk.at(zk.addr)+"/of/zurau", func(o *Options) { o.Logger = log })
	}
	if n := lines.FilterMessage("Created zookeeper path " + zk.chroot + "/of/zurau").Len(); n != 1 {
		t.Errorf("it was said %d times", n)
	}
}
