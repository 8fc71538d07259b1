package zkmeta

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/broker/topic"
)

func plaintext(id, port int32) BrokerInfo {
	return BrokerInfo{ID: id, JMXPort: -1, Timestamp: 1,
		Endpoints: []Endpoint{{"PLAINTEXT", "PLAINTEXT", "127.0.0.1", port}}}
}

func TestRegistration(t *testing.T) {
	zk := startServer(t)
	ctx := t.Context()
	c := connect(t, zk.String())
	s := session(t, c)
	must(t, s.EnsurePaths(ctx))
	first, err := s.RegisterBroker(ctx, plaintext(1, 9092))
	must(t, err)

	t.Run("gives the czxid as epoch, which an update keeps", func(t *testing.T) {
		b := plaintext(1, 9093)
		b.Rack, b.Endpoints = "r1", append(b.Endpoints, Endpoint{"IN", "SSL", "h", 9094})
		must(t, s.UpdateBroker(ctx, b))
		got, err := s.Brokers(ctx)
		must(t, err)
		b.Epoch, b.Owner = first, s.ID()
		if diff := cmp.Diff(map[int32]BrokerInfo{1: b}, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("again in the same session gives the same epoch", func(t *testing.T) {
		if again, err := s.RegisterBroker(ctx, plaintext(1, 9092)); err != nil || again != first {
			t.Errorf("%d, %v", again, err)
		}
	})
	foreign := session(t, connect(t, zk.String()))
	t.Run("of an id that a foreign session holds is refused and names it", func(t *testing.T) {
		var exists *BrokerExistsError
		if _, err := foreign.RegisterBroker(ctx, plaintext(1, 9999)); !errors.As(err, &exists) || exists.Owner != s.ID() {
			t.Errorf("%v", err)
		}
		ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		if err := foreign.AwaitBrokerGone(ctx, 1); !errors.As(err, &exists) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting in vain: %v", err)
		}
	})
	t.Run("waits for a foreign session to end", func(t *testing.T) {
		gone := make(chan error)
		go func() { gone <- foreign.AwaitBrokerGone(ctx, 1) }()
		must(t, CloseSession(ctx, zk.addr, s.ID(), s.Password()))
		select {
		case err := <-gone:
			must(t, err)
		case <-time.After(patience):
			t.Fatal("the end was not seen")
		}
	})
	t.Run("replaces the zombie of an own earlier session", func(t *testing.T) {
		await(t, "the next life", func() bool {
			next := c.Session()
			if next == nil || next == s {
				return false
			}
			s = next
			return true
		})
		zombie, err := foreign.RegisterBroker(ctx, plaintext(1, 9092)) // stands for our own of before
		must(t, err)
		c.mu.Lock()
		c.mu.registrar = foreign.ID()
		c.mu.Unlock()
		if epoch, err := s.RegisterBroker(ctx, plaintext(1, 9092)); err != nil || epoch <= zombie {
			t.Errorf("%d after %d, %v", epoch, zombie, err)
		}
	})
}

func TestAnAddressThatAnotherBrokerHoldsIsRefused(t *testing.T) {
	others := map[int32]BrokerInfo{1: plaintext(1, 9092), 2: plaintext(2, 9093)}
	must(t, CheckEndpoints(plaintext(1, 9092), others))
	must(t, CheckEndpoints(plaintext(3, 9094), others))
	err := CheckEndpoints(plaintext(3, 9093), others)
	want := "requirement failed: Configured end points 127.0.0.1:9093 in advertised listeners are already registered by broker 2"
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

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

func TestGeneratedBrokerIDsBeginAboveTheReservedOnes(t *testing.T) {
	s := session(t, connect(t, startServer(t).String()))
	for want := int32(1001); want < 1004; want++ {
		if id, err := s.GenerateBrokerID(t.Context(), 1000); err != nil || id != want {
			t.Errorf("%d, %v; want %d", id, err, want)
		}
	}
}

func TestOneOfManyIsElectedAndTheDeposedWritesNothing(t *testing.T) {
	zk := startServer(t)
	ctx := t.Context()
	var wg sync.WaitGroup
	sessions := make([]*Session, 5)
	epochs := make([]Epoch, 5)
	errs := make([]error, 5)
	for i := range sessions {
		sessions[i] = session(t, connect(t, zk.String()))
	}
	for i, s := range sessions {
		wg.Go(func() { epochs[i], errs[i] = s.Elect(ctx, int32(i), 1) })
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		var lost *LostError
		switch {
		case err == nil && winner < 0:
			winner = i
		case err == nil:
			t.Errorf("%d and %d were elected", winner, i)
		case !errors.As(err, &lost):
			t.Errorf("%d: %v", i, err)
		}
	}
	if winner < 0 {
		t.Fatal("nobody was elected")
	}
	old, epoch := sessions[winner], epochs[winner]
	if epoch != (Epoch{1, 1}) {
		t.Errorf("the first epoch is %+v", epoch)
	}
	must(t, old.EnsurePaths(ctx))
	p := topic.Partition{Topic: "t"}
	must(t, old.CreateTopic(ctx, "t", nil, TopicAssignment{Partitions: map[int32][]int32{0: {1}}}))
	must(t, old.CreateStates(ctx, epoch, map[topic.Partition]PartitionState{p: {Leader: 1, ISR: []int32{1}}})[p].Err)

	next := sessions[(winner+1)%5]
	must(t, next.remove(ctx, ControllerPath))
	newer, err := next.Elect(ctx, 9, 1)
	must(t, err)
	if newer != (Epoch{2, 2}) {
		t.Errorf("the second epoch is %+v", newer)
	}
	for name, err := range map[string]error{
		"state":       old.UpdateStates(ctx, epoch, map[topic.Partition]PartitionState{p: {Leader: 2, ISR: []int32{2}}})[p].Err,
		"new state":   old.CreateStates(ctx, epoch, map[topic.Partition]PartitionState{{Topic: "t", ID: 1}: {}})[topic.Partition{Topic: "t", ID: 1}].Err,
		"topic":       old.SetTopic(ctx, epoch, "t", TopicAssignment{}),
		"removal":     old.RemoveTopic(ctx, epoch, "t"),
		"resignation": old.Resign(ctx, epoch),
	} {
		if !errors.Is(err, ErrControllerMoved) {
			t.Errorf("%s by the deposed controller: %v", name, err)
		}
	}
	// The two reasons for a bad version are told apart.
	if r := next.UpdateStates(ctx, newer, map[topic.Partition]PartitionState{p: {ZkVersion: 5}})[p]; !errors.Is(r.Err, ErrBadVersion) {
		t.Errorf("an old version of the state: %v", r.Err)
	}
	if _, err := next.ReadController(ctx); err != nil {
		t.Errorf("after the old one's resignation: %v", err)
	}
}

func TestAKRaftControllerIsSeen(t *testing.T) {
	s := session(t, connect(t, startServer(t).String()))
	ctx := t.Context()
	must(t, s.createNew(ctx, ControllerPath, []byte(`{"version":2,"brokerid":3000,"timestamp":"1","kraftControllerEpoch":4}`)))
	var lost *LostError
	if _, err := s.Elect(ctx, 1, 1); !errors.As(err, &lost) || !lost.KRaft || lost.ActiveID != 3000 {
		t.Errorf("%v", err)
	}
	if err := s.WriteConfig(ctx, TopicEntity("t"), nil); !errors.As(err, &lost) {
		t.Errorf("a configuration is written into a cluster of KRaft: %v", err)
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

func TestTopicsKeepWhatOthersPutIntoThem(t *testing.T) {
	s := session(t, connect(t, startServer(t).String()))
	ctx := t.Context()
	must(t, s.EnsurePaths(ctx))
	const theirs = `{"version":3,"partitions":{"0":[1]},"topic_id":"2LDO9XTFTHmHfs3eG4Csvw","adding_replicas":{"0":[1]},` +
		`"removing_replicas":{},"vendor":{"a":[1,"x"]}}`
	must(t, s.createNew(ctx, TopicPath("t"), []byte(theirs)))
	a, err := s.ReadTopic(ctx, "t")
	must(t, err)
	b := a.Clone()
	b.Partitions[1] = []int32{2}
	if len(a.Partitions) != 1 {
		t.Error("a clone shares its maps")
	}
	must(t, s.AddPartitions(ctx, "t", b))
	data, _, err := s.Get(ctx, TopicPath("t"))
	must(t, err)
	const want = `{"partitions":{"0":[1],"1":[2]},"topic_id":"2LDO9XTFTHmHfs3eG4Csvw","adding_replicas":{"0":[1]},` +
		`"removing_replicas":{},"version":3,"vendor":{"a":[1,"x"]}}`
	if string(data) != want {
		t.Errorf("%s", data)
	}
	if err := s.AddPartitions(ctx, "t", b); !errors.Is(err, ErrBadVersion) {
		t.Errorf("a second time from the old version: %v", err)
	}
}

func TestATopicGoesWithWhatOthersKeepInIt(t *testing.T) {
	s := session(t, connect(t, startServer(t).String()))
	ctx := t.Context()
	must(t, s.EnsurePaths(ctx))
	epoch, err := s.Elect(ctx, 1, 1)
	must(t, err)
	must(t, s.CreateTopic(ctx, "t", nil, TopicAssignment{Partitions: map[int32][]int32{0: {1}}}))
	must(t, s.createNew(ctx, TopicPath("t")+"/partitions/0/state/theirs", nil))
	must(t, s.createNew(ctx, TopicPath("t")+"/theirs/too", nil))
	must(t, s.MarkTopicDeleted(ctx, "t"))
	for range 2 { // the second time there is nothing left to do
		must(t, s.RemoveTopic(ctx, epoch, "t"))
	}
	if topics, err := s.Topics(ctx); err != nil || len(topics) != 0 {
		t.Errorf("%v, %v", topics, err)
	}
	if queue, err := s.DeleteQueue(ctx); err != nil || len(queue) != 0 {
		t.Errorf("%v, %v", queue, err)
	}
}

func TestConfigurationsAndTheirNotifications(t *testing.T) {
	for _, level := range []ibp.Level{ibp.Min, ibp.Latest} {
		t.Run(level.String(), func(t *testing.T) {
			s := session(t, connect(t, startServer(t).String(), func(o *Options) { o.Level = level }))
			ctx := t.Context()
			must(t, s.EnsurePaths(ctx))
			_, err := s.Elect(ctx, 1, 1)
			must(t, err)
			alice := Entity(UserConfigs + "/" + Sanitize("al ice*+~ä"))
			if alice != "users/al%20ice%2A%2B%7E%C3%A4" {
				t.Errorf("sanitized: %s", alice)
			}
			if name, err := Desanitize(alice.Name()); err != nil || name != "al ice*+~ä" {
				t.Errorf("desanitized: %q, %v", name, err)
			}
			app := Entity(string(alice) + "/clients/" + DefaultEntity)
			entities := []Entity{TopicEntity("t"), BrokerEntity(1), DefaultBrokerEntity, alice, app}
			for _, e := range entities {
				must(t, s.WriteConfig(ctx, e, map[string]string{"k": "v", "of": string(e)}))
			}
			for _, e := range entities {
				if c, err := s.ReadConfig(ctx, e); err != nil || c["of"] != string(e) || len(c) != 2 {
					t.Errorf("%s: %v, %v", e, c, err)
				}
			}
			changes, last, err := s.ConfigChanges(ctx, -1)
			must(t, err)
			var seen []Entity
			for _, change := range changes {
				seen = append(seen, change.Entity)
			}
			if diff := cmp.Diff(entities, seen); diff != "" || last != 4 {
				t.Errorf("up to %d:\n%s", last, diff)
			}
			if changes, _, err := s.ConfigChanges(ctx, 3); err != nil || len(changes) != 1 {
				t.Errorf("after the fourth: %v, %v", changes, err)
			}
			must(t, s.PurgeConfigChanges(ctx)) // none is old enough
			if changes, _, err := s.ConfigChanges(ctx, -1); err != nil || len(changes) != 5 {
				t.Errorf("after a purge: %v, %v", changes, err)
			}
			for _, e := range []Entity{alice, app, BrokerEntity(1)} {
				must(t, s.WriteConfig(ctx, e, nil))
			}
			if users, err := s.Entities(ctx, UserConfigs); err != nil || len(users) != 1 { // its parent node stays
				t.Errorf("users %v, %v", users, err)
			}
			if clients, err := s.UserClients(ctx, alice); err != nil || len(clients) != 0 {
				t.Errorf("clients of a user %v, %v", clients, err)
			}
			if brokers, err := s.Entities(ctx, BrokerConfigs); err != nil || len(brokers) != 2 {
				t.Errorf("brokers %v, %v", brokers, err)
			}
			must(t, s.remove(ctx, ControllerPath))
			err = s.WriteConfig(ctx, TopicEntity("t"), nil)
			if guarded := errors.Is(err, ErrControllerMoved); guarded != (level >= ibp.V3_7_IV0) {
				t.Errorf("without a controller: %v", err)
			}
		})
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

func TestACLsAreMergedByManyWriters(t *testing.T) {
	zk := startServer(t)
	ctx := t.Context()
	r := ACLResource{Type: "Topic", Name: "t"}
	var wg sync.WaitGroup
	for i := range 4 {
		s := session(t, connect(t, zk.String()))
		must(t, s.EnsureACLPaths(ctx))
		wg.Go(func() {
			if _, err := s.UpdateAccessRules(ctx, r, func(rules []AccessRule) []AccessRule {
				return append(rules, AccessRule{fmt.Sprint("User:", i), "Allow", "Read", "*"})
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := session(t, connect(t, zk.String()))
	all, err := s.AllAccessRules(ctx)
	must(t, err)
	if len(all) != 1 || len(all[r].Rules) != 4 {
		t.Errorf("%v", all)
	}
	changed, last, err := s.ACLChanges(ctx, ACLChangePaths()[0], -1)
	if err != nil || len(changed) != 4 || changed[0] != r || last != 3 {
		t.Errorf("%v up to %d, %v", changed, last, err)
	}
	if rules, err := s.UpdateAccessRules(ctx, r, func([]AccessRule) []AccessRule { return nil }); err != nil || rules != nil {
		t.Errorf("%v, %v", rules, err)
	}
	if _, err := s.Exists(ctx, r.path()); !errors.Is(err, ErrNoNode) {
		t.Errorf("without a rule: %v", err)
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

func TestCredentialsComeBeforeEverythingElseOnEveryConnection(t *testing.T) {
	zk := startServer(t)
	p := startProxy(t, zk.addr)
	secure := func(o *Options) {
		o.Auth, o.SecureACLs = []Auth{{"digest", []byte("broker:secret")}}, true
	}
	s := session(t, connect(t, zk.at(p.addr()), secure))
	ctx := t.Context()
	must(t, s.EnsurePaths(ctx))
	must(t, s.CommitOffset(ctx, "g", topic.Partition{Topic: "t"}, 1))
	stranger := session(t, connect(t, zk.String()))
	if _, err := stranger.Set(ctx, TopicsPath, []byte("x"), AnyVersion); !errors.Is(err, ErrNoAuth) {
		t.Errorf("a stranger's write: %v", err)
	}
	if _, _, err := stranger.Get(ctx, TopicsPath); err != nil {
		t.Errorf("a stranger's read: %v", err)
	}
	must(t, s.createNew(ctx, "/config/users/alice", []byte("secret")))
	if _, _, err := stranger.Get(ctx, "/config/users/alice"); !errors.Is(err, ErrNoAuth) {
		t.Errorf("a stranger's read of secrets: %v", err)
	}
	if _, err := stranger.Create(ctx, "/consumers/h", nil, Persistent); err != nil {
		t.Errorf("an old consumer: %v", err)
	}
	for range 3 {
		p.cut()
		if _, err := s.Set(ctx, TopicsPath, []byte("x"), AnyVersion); err != nil && !isUnknown(err) {
			t.Errorf("after a cut: %v", err)
		}
	}
}
