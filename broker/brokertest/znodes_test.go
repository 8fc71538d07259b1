package brokertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/brokertest/zklog"
	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// TestZnodesAreKafkas leads a broker through the steps after which all znodes of an Apache Kafka broker were captured
// (testdata/znodes, copies of golden/znodes), and compares them: path, kind, versions, access list and every field of
// the data. What is left out, and why, stands in testdata/znodes/differences.txt.
func TestZnodesAreKafkas(t *testing.T) {
	for _, c := range []struct{ release, level string }{{"2.8.2", "2.8"}, {"3.9.1", "3.9"}} {
		t.Run(c.release, func(t *testing.T) {
			d := loadZnodeDifferences(t, c.release)
			ran := 0
			t.Run("one broker", func(t *testing.T) { ran++; znodesOfABroker(t, c.release, c.level, d) })
			t.Run("reassignments", func(t *testing.T) { ran++; znodesOfReassignments(t, c.release, c.level, d) })
			t.Run("access rules", func(t *testing.T) { ran++; znodesOfAccessRules(t, c.release, c.level, d) })
			t.Run("a delegation token", func(t *testing.T) { ran++; znodesOfAToken(t, c.release, c.level, d) })
			if ran == 4 { // and not one of them, by -run
				d.unneeded(t)
			}
		})
	}
	for _, level := range []string{"2.6", "2.8"} {
		t.Run("3.9.1 at level "+level, func(t *testing.T) { znodesOfALevel(t, "3.9.1-ibp-"+level, level) })
	}
}

// znodesOfABroker takes the steps 01 to 13. The broker is a process of its own, for it is paused while others write.
func znodesOfABroker(t *testing.T, release, level string, d znodeDifferences) {
	z := newZnodes(t, release, level, d)
	b := newChild(t, z.connect, z.properties)
	b.Start()
	z.same("01")
	admin := adminOf(t, b.addr)
	z.refuses(b.addr, "08")

	old := release == "2.8.2" // whose steps were taken with --zookeeper in part: topics tz and e
	makeTopic(t, admin, "t", 3, nil)
	if old {
		z.oldToolCreates("tz", 3, map[string]string{"retention.ms": "1000000"})
	}
	z.same("02")
	if answers, err := admin.UpdatePartitions(t.Context(), 5, "t"); err != nil || answers.Error() != nil {
		t.Fatal(err, answers.Error())
	}
	alterTopicConfigs(t, admin, "t", "max.message.bytes", "500000", "retention.ms", "123456000")
	if old {
		z.oldToolAltersTZ()
	}
	z.same("03")

	setQuotas(t, admin)
	z.same("04")
	alterQuota(t, admin, "producer_byte_rate", -1, "user", "bob", "client-id", "c1")
	z.same("05")
	setPasswords(t, admin, "carol")
	z.same("06")
	alterBrokerConfig(t, admin, "log.cleaner.threads", "2", 0)
	alterBrokerConfig(t, admin, "message.max.bytes", "2000000")
	z.same("07")

	makeTopic(t, admin, "__consumer_offsets", 5,
		map[string]string{"compression.type": "producer", "cleanup.policy": "compact", "segment.bytes": "104857600"})
	firstProducerID(t, b.addr)
	z.same("08")

	if old { // a controller paused for longer than its session finds work, and itself deposed
		z.paused(b, func() {
			z.must(z.session.MarkTopicDeleted(t.Context(), "tz"))
			z.same("09")
			z.awaitGone(zkmeta.ControllerPath) // with the session
		})
	}
	removeTopic(t, admin, "t")
	if !old { // the captured cluster was asked twice, the second time in vain
		if answers, err := admin.DeleteTopics(t.Context(), "t"); err == nil && answers.Error() == nil {
			t.Error("a topic was deleted twice")
		}
	}
	z.same("10")

	if old {
		z.oldToolCreates("e", 2, nil)
		z.awaitTopicID("e")
		z.awaitLeaders("e", 2)
		z.paused(b, func() {
			z.must(z.session.RequestPreferredElection(t.Context(), z.capturedElection("11")))
			z.same("11")
		})
		removeTopic(t, admin, "e")
		z.awaitGone(zkmeta.DeleteTopicPath("e"))
	}
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	z.same("12")

	z.properties["delete.topic.enable"] = "false"
	b = z.another(b)
	b.Start()
	makeTopic(t, admin, "keep", 1, nil)
	if answers, err := admin.DeleteTopics(t.Context(), "keep"); err == nil && answers.Error() == nil {
		t.Error("a topic was deleted with delete.topic.enable=false")
	}
	if old {
		z.must(z.session.MarkTopicDeleted(t.Context(), "keep"))
	}
	z.same("13")
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
}

// znodesOfAccessRules takes the steps 20 to 22: ACLs, in the order in which the captured notifications came.
func znodesOfAccessRules(t *testing.T, release, level string, d znodeDifferences) {
	z := newZnodes(t, release, level, d)
	b := newChild(t, z.connect, z.properties)
	b.Start()
	z.refuses(b.addr, "20")
	z.must(z.session.EnsureACLPaths(t.Context()))
	z.same("20")
	twice := map[string]bool{"Topic/t": true, "Cluster/kafka-cluster": true} // were given ACLs in two requests
	for _, change := range []string{"Topic/t", "Topic/*", "TransactionalId/tx", "Cluster/kafka-cluster", "Topic/t", "Group/g",
		"Cluster/kafka-cluster", "DelegationToken/tok", "prefixed/Topic/pre"} {
		name, prefixed := strings.CutPrefix(change, "prefixed/")
		kind, name, _ := strings.Cut(name, "/")
		path := "/kafka-acl/" + change
		if prefixed {
			path = "/kafka-acl-extended/" + change
		}
		rules := z.capturedRules("21", path)
		if twice[change] {
			rules, twice[change] = rules[:1], false
		}
		z.setRules(zkmeta.ACLResource{Type: kind, Name: name, Prefixed: prefixed}, rules)
	}
	z.same("21")
	topicT := zkmeta.ACLResource{Type: "Topic", Name: "t"}
	z.setRules(topicT, z.capturedRules("21", "/kafka-acl/Topic/t")[:1])
	z.setRules(topicT, nil)
	z.same("22")
}

// znodesOfAToken takes step 23: a SCRAM user and a delegation token.
func znodesOfAToken(t *testing.T, release, level string, d znodeDifferences) {
	z := newZnodes(t, release, level, d)
	b := newChild(t, z.connect, z.properties)
	b.Start()
	z.refuses(b.addr, "23")
	setPasswords(t, adminOf(t, b.addr), "carol", kadm.ScramSha256)
	z.must(z.session.EnsureTokenPaths(t.Context()))
	z.must(z.session.WriteToken(t.Context(), zkmeta.DelegationToken{ID: "DdK0nsiXRfSLWf3pJpZBTw", Owner: "User:carol",
		Requester: "User:carol", Renewers: []string{"User:dave"}, Issued: 1, Max: 3, Expires: 2}))
	z.same("23")
}

// znodesOfALevel is a broker of today in a cluster of an older level.
func znodesOfALevel(t *testing.T, release, level string) {
	d := loadZnodeDifferences(t, release)
	defer d.unneeded(t)
	for _, e := range d.about("01", "refused") {
		_, err := ibp.Parse(level)
		e.used = err != nil
		return
	}
	z := newZnodes(t, release, level, d)
	b := newChild(t, z.connect, z.properties)
	b.Start()
	z.same("01")
	makeTopic(t, adminOf(t, b.addr), "t", 3, nil)
	z.same("02")
}

// znodes is a cluster of one broker beside the captures of another.
type znodes struct {
	t           *testing.T
	captures    string // folder of the release
	connect     string // zookeeper.connect
	session     *zkmeta.Session
	properties  map[string]string // of the broker
	ours        zklog.Identities
	kafkas      zklog.Identities
	differences znodeDifferences
}

func newZnodes(t *testing.T, release, level string, d znodeDifferences) *znodes {
	t.Helper()
	connect := openEnsemble(t, "").connect
	z := &znodes{t: t, captures: filepath.Join("testdata/znodes", release), connect: connect + "/znodes",
		properties: map[string]string{"inter.broker.protocol.version": level, "offsets.topic.num.partitions": "5"},
		ours:       zklog.Identities{}, kafkas: zklog.Identities{}, differences: d}
	parsed, err := ibp.Parse(level)
	z.must(err)
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	c, err := zkmeta.Connect(ctx, zkmeta.Options{ConnectString: z.connect, SessionTimeout: 20 * time.Second, Level: parsed, CreateChroot: true})
	z.must(err)
	t.Cleanup(c.Close)
	z.session, err = c.AwaitSession(ctx)
	z.must(err)
	return z
}

func (z *znodes) must(err error) {
	z.t.Helper()
	if err != nil {
		z.t.Fatal(err)
	}
}

// another is a broker with the address and the directory of one that has stopped, and the properties of now.
func (z *znodes) another(b childBroker) childBroker {
	z.t.Helper()
	return newChildAt(z.t, z.connect, b.addr, b.dir, z.properties)
}

// captured are the znodes after a step of Kafka's.
func (z *znodes) captured(step string) []zklog.Znode {
	z.t.Helper()
	files, err := filepath.Glob(filepath.Join(z.captures, step+"-*.txt"))
	if err != nil || len(files) != 1 {
		z.t.Fatalf("step %s: %v, %v", step, files, err)
	}
	dump, err := zklog.ReadDump(files[0], z.kafkas)
	z.must(err)
	return dump
}

// same waits until all znodes are those of a captured step; the controller works on after the answer to a request.
func (z *znodes) same(step string) {
	z.t.Helper()
	z.differences.steps[step] = true
	var diff string
	var want, got []zklog.Znode
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var err error
		got, err = zklog.Dump(z.t.Context(), z.session, z.ours)
		z.must(err)
		want = z.captured(step)
		diff = cmp.Diff(z.differences.without(step, want), z.differences.without(step, got))
		if diff == "" || time.Now().After(deadline) {
			break
		}
	}
	if diff != "" {
		z.t.Errorf("step %s, Kafka (-) and we (+):\n%s", step, diff)
	}
	z.differences.note(step, want, got)
}

// capturedData is the data of one znode after a step of Kafka's.
func (z *znodes) capturedData(step, path string) map[string]any {
	z.t.Helper()
	for _, n := range z.captured(step) {
		if data, ok := n.Data.(map[string]any); ok && n.Path == path {
			return data
		}
	}
	z.t.Fatalf("step %s has no data at %s", step, path)
	return nil
}

// capturedElection is what the captured tool asked for, in the order its hash map had.
func (z *znodes) capturedElection(step string) []topic.Partition {
	var all []topic.Partition
	for _, e := range z.capturedData(step, zkmeta.PreferredElectionPath)["partitions"].([]any) {
		p := e.(map[string]any)
		var id int32
		fmt.Sscan(fmt.Sprint(p["partition"]), &id)
		all = append(all, topic.Partition{Topic: p["topic"].(string), ID: id})
	}
	return all
}

func (z *znodes) capturedRules(step, path string) []zkmeta.AccessRule {
	var rules []zkmeta.AccessRule
	for _, e := range z.capturedData(step, path)["acls"].([]any) {
		r := e.(map[string]any)
		rules = append(rules, zkmeta.AccessRule{Principal: r["principal"].(string), Permission: r["permissionType"].(string),
			Operation: r["operation"].(string), Host: r["host"].(string)})
	}
	return rules
}

func (z *znodes) setRules(r zkmeta.ACLResource, rules []zkmeta.AccessRule) {
	z.t.Helper()
	_, err := z.session.UpdateAccessRules(z.t.Context(), r, func([]zkmeta.AccessRule) []zkmeta.AccessRule { return rules })
	z.must(err)
}

// oldToolCreates writes what `kafka-topics --zookeeper --create` of 2.8 does: a topic without an id.
func (z *znodes) oldToolCreates(name string, partitions int32, configs map[string]string) {
	z.t.Helper()
	a := zkmeta.TopicAssignment{Partitions: map[int32][]int32{}}
	for p := range partitions {
		a.Partitions[p] = []int32{0}
	}
	z.must(z.session.CreateTopic(z.t.Context(), name, configs, a))
}

// awaitLeaders waits until every partition of a topic has its first leader.
func (z *znodes) awaitLeaders(name string, partitions int32) {
	z.t.Helper()
	var all []topic.Partition
	for p := range partitions {
		all = append(all, topic.Partition{Topic: name, ID: p})
	}
	eventually(z.t, "the partitions have leaders", func() error {
		states, err := z.session.ReadStates(z.t.Context(), all)
		if err == nil && len(states) < len(all) {
			err = fmt.Errorf("%d of %d have", len(states), len(all))
		}
		return err
	})
}

// awaitTopicID waits until the controller has given a topic its id.
func (z *znodes) awaitTopicID(name string) zkmeta.TopicAssignment {
	z.t.Helper()
	var a zkmeta.TopicAssignment
	eventually(z.t, "the topic gets an id", func() (err error) {
		a, err = z.session.ReadTopic(z.t.Context(), name)
		if err == nil && a.ID.IsZero() {
			err = errors.New("it has none")
		}
		return err
	})
	return a
}

// awaitGone waits until a znode does not exist any more.
func (z *znodes) awaitGone(path string) {
	z.t.Helper()
	eventually(z.t, path+" goes", func() error {
		if _, err := z.session.Exists(z.t.Context(), path); !errors.Is(err, zkmeta.ErrNoNode) {
			return fmt.Errorf("it is there: %v", err)
		}
		return nil
	})
}

// oldToolAltersTZ writes what the tools of 2.8 with --zookeeper do for one partition more and one setting more.
func (z *znodes) oldToolAltersTZ() {
	z.t.Helper()
	a := z.awaitTopicID("tz")
	a.Partitions[3] = []int32{0}
	z.must(z.session.AddPartitions(z.t.Context(), "tz", a))
	z.must(z.session.WriteConfig(z.t.Context(), zkmeta.TopicEntity("tz"),
		map[string]string{"retention.ms": "1000000", "segment.ms": "777777"}))
}

// paused stops the broker's process while something is done.
func (z *znodes) paused(b childBroker, do func()) {
	z.t.Helper()
	b.Pause()
	defer b.Resume()
	do()
}

// refuses fails the test when the broker answers requests for which steps wait, or are taken by hand.
func (z *znodes) refuses(addr string, steps ...string) {
	z.t.Helper()
	req := kmsg.NewPtrApiVersionsRequest()
	var keys []string
	for _, k := range ask[*kmsg.ApiVersionsResponse](z.t, addr, req).ApiKeys {
		keys = append(keys, fmt.Sprint(k.ApiKey))
	}
	for _, step := range steps {
		for _, e := range z.differences.entries {
			if e.first != step || e.class == "differs" {
				continue
			}
			e.used = true
			if slices.Contains(keys, e.what) {
				z.t.Errorf("request %s is answered now: take the steps %s-%s by it, and %q out of differences.txt", e.what, e.first, e.last, e.class)
			}
		}
	}
}

// znodeDifference is a line of testdata/znodes/differences.txt.
type znodeDifference struct {
	first, last, class, what string
	used                     bool
}

// znodeDifferences are those of one release.
type znodeDifferences struct {
	release string
	entries []*znodeDifference
	steps   map[string]bool // that were compared
}

func loadZnodeDifferences(t *testing.T, release string) znodeDifferences {
	t.Helper()
	text, err := os.ReadFile("testdata/znodes/differences.txt")
	if err != nil {
		t.Fatal(err)
	}
	d := znodeDifferences{release: release, steps: map[string]bool{}}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		head, reason, ok := strings.Cut(line, " - ")
		f := strings.Split(head, " ")
		if !ok || len(f) != 3 || reason == "" || !slices.Contains([]string{"waits", "by-hand", "refused", "differs"}, f[1]) {
			t.Fatalf("differences.txt: %q is no entry", line)
		}
		of, steps, _ := strings.Cut(f[0], "/")
		if of != release {
			continue
		}
		first, last, _ := strings.Cut(steps, "-")
		d.entries = append(d.entries, &znodeDifference{first: first, last: last, class: f[1], what: f[2]})
	}
	return d
}

// about gives the entries of a class for a step; "15b" is among the steps up to "19".
func (d znodeDifferences) about(step, class string) []*znodeDifference {
	return slices.DeleteFunc(slices.Clone(d.entries), func(e *znodeDifference) bool {
		return e.class != class || step < e.first || step > e.last
	})
}

// without leaves out the znodes that may differ after a step.
func (d znodeDifferences) without(step string, dump []zklog.Znode) []zklog.Znode {
	differ := d.about(step, "differs")
	return slices.DeleteFunc(slices.Clone(dump), func(n zklog.Znode) bool {
		return slices.ContainsFunc(differ, func(e *znodeDifference) bool { return e.what == n.Path })
	})
}

// note marks the entries whose znodes did differ.
func (d znodeDifferences) note(step string, want, got []zklog.Znode) {
	at := func(dump []zklog.Znode, path string) []zklog.Znode {
		return slices.DeleteFunc(slices.Clone(dump), func(n zklog.Znode) bool { return n.Path != path })
	}
	for _, e := range d.about(step, "differs") {
		if !cmp.Equal(at(want, e.what), at(got, e.what)) {
			e.used = true
		}
	}
}

// unneeded fails the test for entries that nothing needed, and for captures that nobody looked at.
func (d znodeDifferences) unneeded(t *testing.T) {
	t.Helper()
	for _, e := range d.entries {
		if !e.used {
			t.Errorf("no longer needed: take %s/%s-%s %s %s out of differences.txt", d.release, e.first, e.last, e.class, e.what)
		}
	}
	files, err := filepath.Glob(filepath.Join("testdata/znodes", d.release, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		step, _, _ := strings.Cut(filepath.Base(file), "-")
		if !d.steps[step] && len(d.about(step, "waits")) == 0 && len(d.about(step, "refused")) == 0 {
			t.Errorf("step %s is neither compared nor in differences.txt", step)
		}
	}
}

func adminOf(t *testing.T, addr string) *kadm.Client {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return kadm.NewClient(c)
}

func makeTopic(t *testing.T, admin *kadm.Client, name string, partitions int32, configs map[string]string) {
	t.Helper()
	settings := map[string]*string{}
	for k, v := range configs {
		settings[k] = &v
	}
	if _, err := admin.CreateTopic(t.Context(), partitions, 1, settings, name); err != nil {
		t.Fatal(err)
	}
}

// removeTopic deletes a topic; while there is no controller it asks again.
func removeTopic(t *testing.T, admin *kadm.Client, name string) {
	t.Helper()
	eventually(t, "the topic is deleted", func() error {
		answers, err := admin.DeleteTopics(t.Context(), name)
		return errors.Join(err, answers.Error())
	})
}

func alterTopicConfigs(t *testing.T, admin *kadm.Client, name string, pairs ...string) {
	t.Helper()
	var changes []kadm.AlterConfig
	for pair := range slices.Chunk(pairs, 2) {
		changes = append(changes, kadm.AlterConfig{Name: pair[0], Value: &pair[1]})
	}
	answers, err := admin.AlterTopicConfigs(t.Context(), changes, name)
	if err != nil || answers[0].Err != nil {
		t.Fatal(err, answers)
	}
}

// alterBrokerConfig sets a key of one broker, or of all.
func alterBrokerConfig(t *testing.T, admin *kadm.Client, key, value string, ids ...int32) {
	t.Helper()
	answers, err := admin.AlterBrokerConfigs(t.Context(), []kadm.AlterConfig{{Name: key, Value: &value}}, ids...)
	if err != nil || answers[0].Err != nil {
		t.Fatal(err, answers)
	}
}

// setQuotas are the captured ones, in their order. "" is the default of its kind.
func setQuotas(t *testing.T, admin *kadm.Client) {
	t.Helper()
	alterQuota(t, admin, "producer_byte_rate", 1000, "user", "al ice*+")
	changeQuotas(t, admin, []kadm.AlterClientQuotaOp{{Key: "consumer_byte_rate", Value: 2000}, {Key: "request_percentage", Value: 50}},
		"client-id", "app/1")
	alterQuota(t, admin, "producer_byte_rate", 3000, "user", "bob", "client-id", "c1")
	alterQuota(t, admin, "controller_mutation_rate", 4.5, "user", "")
	alterQuota(t, admin, "consumer_byte_rate", 5000, "client-id", "")
	alterQuota(t, admin, "producer_byte_rate", 6000, "user", "bob", "client-id", "")
	alterQuota(t, admin, "connection_creation_rate", 7, "ip", "10.0.0.1")
	alterQuota(t, admin, "connection_creation_rate", 8, "ip", "")
}

// alterQuota sets one quota of an entity, or removes it with a negative value.
func alterQuota(t *testing.T, admin *kadm.Client, key string, value float64, entity ...string) {
	t.Helper()
	changeQuotas(t, admin, []kadm.AlterClientQuotaOp{{Key: key, Value: value, Remove: value < 0}}, entity...)
}

func changeQuotas(t *testing.T, admin *kadm.Client, ops []kadm.AlterClientQuotaOp, entity ...string) {
	t.Helper()
	var parts kadm.ClientQuotaEntity
	for pair := range slices.Chunk(entity, 2) {
		part := kadm.ClientQuotaEntityComponent{Type: pair[0]}
		if pair[1] != "" {
			part.Name = &pair[1]
		}
		parts = append(parts, part)
	}
	answers, err := admin.AlterClientQuotas(t.Context(), []kadm.AlterClientQuotaEntry{{Entity: parts, Ops: ops}})
	if err != nil || answers[0].Err != nil {
		t.Fatal(err, answers)
	}
}

// setPasswords gives a user SCRAM credentials, with both mechanisms if none is named.
func setPasswords(t *testing.T, admin *kadm.Client, user string, mechanisms ...kadm.ScramMechanism) {
	t.Helper()
	if len(mechanisms) == 0 {
		mechanisms = []kadm.ScramMechanism{kadm.ScramSha256, kadm.ScramSha512}
	}
	var upserts []kadm.UpsertSCRAM
	for _, m := range mechanisms {
		upserts = append(upserts, kadm.UpsertSCRAM{User: user, Mechanism: m, Iterations: 4096, Password: "secret"})
	}
	answers, err := admin.AlterUserSCRAMs(t.Context(), nil, upserts)
	if err != nil || answers.Error() != nil {
		t.Fatal(err, answers.Error())
	}
}

func firstProducerID(t *testing.T, addr string) {
	t.Helper()
	req := kmsg.NewPtrInitProducerIDRequest()
	req.Version = 1
	eventually(t, "a producer gets an id", func() error {
		answer := ask[*kmsg.InitProducerIDResponse](t, addr, req)
		if answer.ErrorCode != 0 {
			return fmt.Errorf("error %d", answer.ErrorCode)
		}
		return nil
	})
}
