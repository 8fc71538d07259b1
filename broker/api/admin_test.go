package api_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/zurau/zurau/broker/brokertest"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// timeoutMS is how long the requests of these tests let the broker work.
const timeoutMS = 10000

// asker speaks to one broker, request by request.
type asker struct {
	t testing.TB
	c *wire.Client
}

func ask(t testing.TB, c *brokertest.Cluster, node int) asker {
	t.Helper()
	client := wire.NewClient(wire.ClientOptions{ClientID: "test", Timeout: 30 * time.Second})
	t.Cleanup(client.Close)
	if err := client.Connect(context.Background(), c.Node(node).Addr()); err != nil {
		t.Fatal(err)
	}
	return asker{t, client}
}

// do sends req in version v and returns the answer.
func do[R kmsg.Response](a asker, v int16, req kmsg.Request) R {
	a.t.Helper()
	req.SetVersion(v)
	resp, err := a.c.Do(context.Background(), req)
	if err != nil {
		a.t.Fatal(err)
	}
	return resp.(R)
}

// result is a code and its message as one text.
func result(code int16, message *string) string {
	s := "ok"
	if e := kerr.ForCode(code); e != nil {
		s = e.Name
	}
	if message != nil {
		s += ": " + *message
	}
	return s
}

// create is a CreateTopics request for one topic.
func create(name string, partitions int32, factor int16, change func(*kmsg.CreateTopicsRequestTopic)) *kmsg.CreateTopicsRequest {
	r := kmsg.NewPtrCreateTopicsRequest()
	r.TimeoutMillis = timeoutMS
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, factor
	if change != nil {
		change(&t)
	}
	r.Topics = append(r.Topics, t)
	return r
}

func (a asker) create(v int16, req *kmsg.CreateTopicsRequest) kmsg.CreateTopicsResponseTopic {
	a.t.Helper()
	return do[*kmsg.CreateTopicsResponse](a, v, req).Topics[0]
}

// mustCreate makes a topic and fails the test if the broker refuses.
func (a asker) mustCreate(name string, partitions int32) {
	a.t.Helper()
	if got := a.create(4, create(name, partitions, 1, nil)); got.ErrorCode != 0 {
		a.t.Fatalf("create %s: %s", name, result(got.ErrorCode, got.ErrorMessage))
	}
}

func withConfig(pairs ...string) func(*kmsg.CreateTopicsRequestTopic) {
	return func(t *kmsg.CreateTopicsRequestTopic) {
		for i := 0; i < len(pairs); i += 2 {
			t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: pairs[i], Value: &pairs[i+1]})
		}
	}
}

func withReplicas(replicas ...[]int32) func(*kmsg.CreateTopicsRequestTopic) {
	return func(t *kmsg.CreateTopicsRequestTopic) {
		for i, r := range replicas {
			t.ReplicaAssignment = append(t.ReplicaAssignment,
				kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32(i), Replicas: r})
		}
	}
}

// The words are those of Kafka 3.9.1 (golden/probe).
func TestCreateTopics(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	a.mustCreate("f", 1)
	a.mustCreate("a-b.c", 1)
	tests := []struct {
		name string
		req  *kmsg.CreateTopicsRequest
		want string
	}{
		{"a topic that exists", create("f", 1, 1, nil), "TOPIC_ALREADY_EXISTS: Topic 'f' already exists."},
		{"an illegal name", create("a b", 1, 1, nil), "INVALID_TOPIC_EXCEPTION: Topic name is invalid: 'a b' contains one or more " +
			"characters other than ASCII alphanumerics, '.', '_' and '-'"},
		{"a dot", create(".", 1, 1, nil), "INVALID_TOPIC_EXCEPTION: Topic name is invalid: '.' is not allowed"},
		{"a path", create("../x", 1, 1, nil), "INVALID_TOPIC_EXCEPTION: Topic name is invalid: '../x' contains one or more " +
			"characters other than ASCII alphanumerics, '.', '_' and '-'"},
		{"a name that collides", create("a-b_c", 1, 1, nil), "INVALID_TOPIC_EXCEPTION: Topic 'a-b_c' collides with existing topics: a-b.c"},
		{"no partitions", create("n0", 0, 1, nil), "INVALID_PARTITIONS: Number of partitions must be larger than 0."},
		{"two billion partitions", create("n2b", 2_000_000_000, 1, nil), "INVALID_PARTITIONS: ZooKeeper cannot hold a topic of 2000000000 " +
			"partitions, at most 100000 are allowed."},
		{"partitions by default", create("n-1", -1, 1, nil), "ok"},
		{"factor by default", create("rfm1", 1, -1, nil), "ok"},
		{"more replicas than brokers", create("r2", 1, 2, nil), "INVALID_REPLICATION_FACTOR: Replication factor: 2 larger than available brokers: 1."},
		{"no replicas", create("r0", 1, 0, nil), "INVALID_REPLICATION_FACTOR: Replication factor must be larger than 0."},
		{"an unknown key", create("c1", 1, 1, withConfig("no.such", "1")), "INVALID_CONFIG: Unknown topic config name: no.such"},
		{"a bad value", create("c2", 1, 1, withConfig("retention.ms", "abc")),
			"INVALID_CONFIG: Invalid value abc for configuration retention.ms: Not a number of type LONG"},
		{"replicas by hand", create("m", -1, -1, withReplicas([]int32{0}, []int32{0})), "ok"},
		{"replicas by hand and a count", create("m1", 1, 1, withReplicas([]int32{0})), "INVALID_REQUEST: Both numPartitions or " +
			"replicationFactor and replicasAssignments were set. Both cannot be used at the same time."},
		{"uneven replicas", create("m2", -1, -1, withReplicas([]int32{0}, []int32{0, 1})),
			"INVALID_REPLICA_ASSIGNMENT: All partitions should have the same number of replicas"},
		{"a replica twice", create("m3", -1, -1, withReplicas([]int32{0, 0})),
			"INVALID_REPLICA_ASSIGNMENT: Duplicate replica assignment found: partition 0 has replicas 0, 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := a.create(1, tt.req); result(got.ErrorCode, got.ErrorMessage) != tt.want {
				t.Errorf("got %s\nwant %s", result(got.ErrorCode, got.ErrorMessage), tt.want)
			}
		})
	}
}

func TestCreateTopicsAnswersWhenTheTopicCanBeUsed(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	got := a.create(7, create("t", 3, 1, withConfig("retention.ms", "1000")))
	if got.ErrorCode != 0 || got.NumPartitions != 3 || got.ReplicationFactor != 1 || got.TopicID == [16]byte{} {
		t.Fatalf("got %+v", got)
	}
	i := slices.IndexFunc(got.Configs, func(c kmsg.CreateTopicsResponseTopicConfig) bool { return c.Name == "retention.ms" })
	if i < 0 || *got.Configs[i].Value != "1000" || got.Configs[i].Source != 1 {
		t.Errorf("the answer does not hold the configuration: %+v", got.Configs)
	}
	m := a.metadata(12, "t").Topics[0]
	if m.ErrorCode != 0 || len(m.Partitions) != 3 || m.TopicID != got.TopicID {
		t.Errorf("metadata right after: %+v", m)
	}
	for _, p := range m.Partitions {
		if p.Leader != 0 || p.ErrorCode != 0 {
			t.Errorf("partition %+v has no leader", p)
		}
	}
}

func TestCreateTopicsOddRequests(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	twice := create("fd", 1, 1, nil)
	twice.Topics = append(twice.Topics, twice.Topics[0])
	for _, got := range do[*kmsg.CreateTopicsResponse](a, 1, twice).Topics {
		if r := result(got.ErrorCode, got.ErrorMessage); r != "INVALID_REQUEST: Found multiple entries for this topic." {
			t.Errorf("the same topic twice: %s", r)
		}
	}
	validate := create("vo", 1, 1, nil)
	validate.ValidateOnly = true
	if got := a.create(1, validate); got.ErrorCode != 0 {
		t.Errorf("validate only: %s", result(got.ErrorCode, got.ErrorMessage))
	}
	if got := a.metadataWithoutCreation("vo"); got.ErrorCode != kerr.UnknownTopicOrPartition.Code {
		t.Errorf("a topic that was only validated exists: %+v", got)
	}
	hasty := create("tm0", 1, 1, nil)
	hasty.TimeoutMillis = 0
	if got := a.create(1, hasty); result(got.ErrorCode, got.ErrorMessage) != "REQUEST_TIMED_OUT" {
		t.Errorf("timeout 0: %s", result(got.ErrorCode, got.ErrorMessage))
	}
	a.eventually("the topic is made nevertheless", func() bool { return a.metadataWithoutCreation("tm0").ErrorCode == 0 })
	absent := create("lost", -1, -1, withReplicas([]int32{7}))
	absent.TimeoutMillis = 100
	if got := a.create(1, absent); result(got.ErrorCode, got.ErrorMessage) != "REQUEST_TIMED_OUT" {
		t.Errorf("a topic on a broker that is not there: %s", result(got.ErrorCode, got.ErrorMessage))
	}
}

func (a asker) eventually(what string, ok func() bool) {
	a.t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			a.t.Fatal("not in time: " + what)
		}
	}
}

func (a asker) metadata(v int16, names ...string) *kmsg.MetadataResponse {
	a.t.Helper()
	r := kmsg.NewPtrMetadataRequest()
	r.AllowAutoTopicCreation = true
	for _, n := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &n
		r.Topics = append(r.Topics, t)
	}
	return do[*kmsg.MetadataResponse](a, v, r)
}

func (a asker) metadataWithoutCreation(name string) kmsg.MetadataResponseTopic {
	a.t.Helper()
	r := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &name
	r.Topics = append(r.Topics, t)
	return do[*kmsg.MetadataResponse](a, 12, r).Topics[0]
}

func TestDeleteTopics(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	a.mustCreate("by-name", 2)
	a.mustCreate("by-id", 2)
	remove := func(v int16, change func(*kmsg.DeleteTopicsRequest)) kmsg.DeleteTopicsResponseTopic {
		r := kmsg.NewPtrDeleteTopicsRequest()
		r.TimeoutMillis = timeoutMS
		change(r)
		return do[*kmsg.DeleteTopicsResponse](a, v, r).Topics[0]
	}
	byName := func(name string) func(*kmsg.DeleteTopicsRequest) {
		return func(r *kmsg.DeleteTopicsRequest) { r.TopicNames = []string{name} }
	}
	if got := remove(1, byName("zzz")); got.ErrorCode != kerr.UnknownTopicOrPartition.Code || *got.Topic != "zzz" {
		t.Errorf("unknown: %+v", got)
	}
	if got := remove(1, byName("by-name")); got.ErrorCode != 0 {
		t.Errorf("by name: %s", result(got.ErrorCode, got.ErrorMessage))
	}
	if got := a.metadataWithoutCreation("by-name"); got.ErrorCode != kerr.UnknownTopicOrPartition.Code {
		t.Errorf("the topic is still there after the answer: %+v", got)
	}
	id := a.metadataWithoutCreation("by-id").TopicID
	got := remove(6, func(r *kmsg.DeleteTopicsRequest) { r.Topics = []kmsg.DeleteTopicsRequestTopic{{TopicID: id}} })
	if got.ErrorCode != 0 || *got.Topic != "by-id" || got.TopicID != id {
		t.Errorf("by id: %s, %+v", result(got.ErrorCode, got.ErrorMessage), got)
	}
	got = remove(6, func(r *kmsg.DeleteTopicsRequest) { r.Topics = []kmsg.DeleteTopicsRequestTopic{{TopicID: id}} })
	if got.ErrorCode != kerr.UnknownTopicID.Code || got.Topic != nil {
		t.Errorf("by an id that is gone: %+v", got)
	}
	name := "x"
	got = remove(6, func(r *kmsg.DeleteTopicsRequest) {
		r.Topics = []kmsg.DeleteTopicsRequestTopic{{Topic: &name, TopicID: id}}
	})
	if got.ErrorCode != kerr.InvalidRequest.Code {
		t.Errorf("by name and id: %+v", got)
	}
	// The answer comes when the topic is out of the metadata. Its name is free a moment later, as in Kafka.
	a.eventually("the name is free again", func() bool { return a.create(4, create("by-name", 1, 1, nil)).ErrorCode == 0 })
	if got := remove(5, func(r *kmsg.DeleteTopicsRequest) { byName("by-name")(r); r.TimeoutMillis = 0 }); got.ErrorCode != kerr.RequestTimedOut.Code {
		t.Errorf("timeout 0: %+v", got)
	}
	a.eventually("the topic goes nevertheless", func() bool { return a.metadataWithoutCreation("by-name").ErrorCode != 0 })
}

func TestDeleteTopicsWhereItIsSwitchedOff(t *testing.T) {
	a := ask(t, brokertest.Start(t, brokertest.Property("delete.topic.enable", "false")), 0)
	a.mustCreate("t", 1)
	for v, want := range map[int16]int16{2: kerr.InvalidRequest.Code, 3: kerr.TopicDeletionDisabled.Code} {
		r := kmsg.NewPtrDeleteTopicsRequest()
		r.TopicNames, r.TimeoutMillis = []string{"t"}, timeoutMS
		if got := do[*kmsg.DeleteTopicsResponse](a, v, r).Topics[0]; got.ErrorCode != want {
			t.Errorf("v%d: %+v, want %d", v, got, want)
		}
	}
}

func TestCreatePartitions(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	a.mustCreate("f", 2)
	grow := func(name string, count int32, replicas ...[]int32) string {
		r := kmsg.NewPtrCreatePartitionsRequest()
		r.TimeoutMillis = timeoutMS
		topic := kmsg.NewCreatePartitionsRequestTopic()
		topic.Topic, topic.Count = name, count
		for _, ids := range replicas {
			topic.Assignment = append(topic.Assignment, kmsg.CreatePartitionsRequestTopicAssignment{Replicas: ids})
		}
		r.Topics = append(r.Topics, topic)
		got := do[*kmsg.CreatePartitionsResponse](a, 0, r).Topics[0]
		return result(got.ErrorCode, got.ErrorMessage)
	}
	steps := []struct {
		name     string
		topic    string
		count    int32
		replicas [][]int32
		want     string
	}{
		{"as many as there are", "f", 2, nil, "INVALID_PARTITIONS: Topic already has 2 partitions."},
		{"two billion", "f", 2_000_000_000, nil, "INVALID_PARTITIONS: ZooKeeper cannot hold a topic of 2000000000 partitions, at most 100000 " +
			"are allowed."},
		{"fewer", "f", 1, nil, "INVALID_PARTITIONS: Topic currently has 2 partitions, which is higher than the requested 1."},
		{"of no topic", "zzz", 2, nil, "UNKNOWN_TOPIC_OR_PARTITION: The topic 'zzz' does not exist."},
		{"on a broker nobody knows", "f", 3, [][]int32{{9}}, "INVALID_REPLICA_ASSIGNMENT: Unknown broker(s) in replica assignment: 9."},
		{"too many assignments", "f", 3, [][]int32{{0}, {0}},
			"INVALID_REPLICA_ASSIGNMENT: Increasing the number of partitions by 1 but 2 assignments provided."},
		{"an empty assignment", "f", 3, [][]int32{{}},
			"INVALID_REPLICA_ASSIGNMENT: Cannot have replication factor of 0 for partition id 2."},
		{"a broker twice", "f", 3, [][]int32{{0, 0}},
			"INVALID_REPLICA_ASSIGNMENT: Duplicate brokers not allowed in replica assignment: 0, 0 for partition id 2."},
		{"more", "f", 4, nil, "ok"},
		{"one more by hand", "f", 5, [][]int32{{0}}, "ok"},
	}
	for _, s := range steps {
		if got := grow(s.topic, s.count, s.replicas...); got != s.want {
			t.Errorf("%s: %s\nwant %s", s.name, got, s.want)
		}
	}
	m := a.metadataWithoutCreation("f")
	if len(m.Partitions) != 5 || slices.ContainsFunc(m.Partitions, func(p kmsg.MetadataResponseTopicPartition) bool { return p.Leader != 0 }) {
		t.Errorf("metadata right after: %+v", m)
	}
}

// described asks for a resource's configuration and returns what was answered for one key.
func (a asker) described(kind kmsg.ConfigResourceType, name string, keys ...string) (string, map[string]kmsg.DescribeConfigsResponseResourceConfig) {
	a.t.Helper()
	r := kmsg.NewPtrDescribeConfigsRequest()
	r.IncludeSynonyms = true
	r.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kind, ResourceName: name, ConfigNames: keys}}
	got := do[*kmsg.DescribeConfigsResponse](a, 4, r).Resources[0]
	configs := make(map[string]kmsg.DescribeConfigsResponseResourceConfig)
	for _, c := range got.Configs {
		configs[c.Name] = c
	}
	return strings.TrimSuffix(result(got.ErrorCode, got.ErrorMessage), ": "), configs
}

// alter changes one key of a resource.
func (a asker) alter(kind kmsg.ConfigResourceType, name string, op kmsg.IncrementalAlterConfigOp, key string, value *string) string {
	a.t.Helper()
	r := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kind, ResourceName: name,
		Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: key, Op: op, Value: value}}}}
	got := do[*kmsg.IncrementalAlterConfigsResponse](a, 1, r).Resources[0]
	return result(got.ErrorCode, got.ErrorMessage)
}

func TestTopicConfigsAreAlteredAndDescribedAtOnce(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	a.mustCreate("q0", 1)
	v := func(s string) *string { return &s }
	topic := kmsg.ConfigResourceTypeTopic
	steps := []struct {
		op    kmsg.IncrementalAlterConfigOp
		key   string
		value *string
		want  string
		now   string // value of the key afterwards, with its source
	}{
		{kmsg.IncrementalAlterConfigOpSet, "retention.ms", v("1000"), "ok", "1000 1"},
		{kmsg.IncrementalAlterConfigOpSet, "retention.ms", v("abc"),
			"INVALID_CONFIG: Invalid config value for resource ConfigResource(type=TOPIC, name='q0'): " +
				"Invalid value abc for configuration retention.ms: Not a number of type LONG", "1000 1"},
		{kmsg.IncrementalAlterConfigOpAppend, "cleanup.policy", v("compact"), "ok", "delete,compact 1"},
		{kmsg.IncrementalAlterConfigOpSubtract, "cleanup.policy", v("delete"), "ok", "compact 1"},
		{kmsg.IncrementalAlterConfigOpDelete, "cleanup.policy", nil, "ok", "delete 5"},
		{kmsg.IncrementalAlterConfigOpAppend, "retention.ms", v("1"),
			"INVALID_CONFIG: Config value append is not allowed for config key: retention.ms", "1000 1"},
		{kmsg.IncrementalAlterConfigOpSet, "retention.ms", nil, "INVALID_REQUEST: Null value not supported for : retention.ms", "1000 1"},
	}
	for _, s := range steps {
		if got := a.alter(topic, "q0", s.op, s.key, s.value); got != s.want {
			t.Errorf("%v %s: %s\nwant %s", s.op, s.key, got, s.want)
		}
		_, configs := a.described(topic, "q0", s.key)
		if c := configs[s.key]; len(configs) != 1 || fmt.Sprintf("%s %d", *c.Value, c.Source) != s.now {
			t.Errorf("after %v %s: %s %d, want %s", s.op, s.key, *c.Value, c.Source, s.now)
		}
	}
	if got := a.alter(topic, "q0", kmsg.IncrementalAlterConfigOpSet, "foo", v("1")); got != "INVALID_CONFIG: Unknown topic config name: foo" {
		t.Errorf("unknown key: %s", got)
	}
	if got := a.alter(topic, "nope", kmsg.IncrementalAlterConfigOpSet, "retention.ms", v("1")); !strings.HasPrefix(got, "UNKNOWN_TOPIC_OR_PARTITION") {
		t.Errorf("unknown topic: %s", got)
	}
	if got := a.alter(topic, "", kmsg.IncrementalAlterConfigOpSet, "retention.ms", v("1")); got != "INVALID_REQUEST: Default topic resources are not allowed." {
		t.Errorf("no topic: %s", got)
	}
}

func TestAlterConfigsReplacesTheWholeSet(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	if got := a.create(4, create("t", 1, 1, withConfig("retention.ms", "1", "segment.ms", "5"))); got.ErrorCode != 0 {
		t.Fatal(result(got.ErrorCode, got.ErrorMessage))
	}
	value := "7"
	r := kmsg.NewPtrAlterConfigsRequest()
	r.Resources = []kmsg.AlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "t",
		Configs: []kmsg.AlterConfigsRequestResourceConfig{{Name: "retention.ms", Value: &value}}}}
	for _, v := range []int16{0, 1, 2} {
		if got := do[*kmsg.AlterConfigsResponse](a, v, r).Resources[0]; got.ErrorCode != 0 {
			t.Fatalf("v%d: %s", v, result(got.ErrorCode, got.ErrorMessage))
		}
	}
	_, configs := a.described(kmsg.ConfigResourceTypeTopic, "t")
	if *configs["retention.ms"].Value != "7" || configs["segment.ms"].Source != kmsg.ConfigSourceDefaultConfig {
		t.Errorf("retention.ms %s, segment.ms from %v", *configs["retention.ms"].Value, configs["segment.ms"].Source)
	}
	r.Resources = append(r.Resources, r.Resources[0])
	for _, got := range do[*kmsg.AlterConfigsResponse](a, 2, r).Resources {
		if s := result(got.ErrorCode, got.ErrorMessage); s != "INVALID_REQUEST: Each resource must appear at most once." {
			t.Errorf("the same resource twice: %s", s)
		}
	}
}

func TestBrokerConfigsAreDescribedAndAltered(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	broker := kmsg.ConfigResourceTypeBroker
	value := "20000"
	if got := a.alter(broker, "0", kmsg.IncrementalAlterConfigOpSet, "message.max.bytes", &value); got != "ok" {
		t.Fatal(got)
	}
	_, configs := a.described(broker, "0")
	c := configs["message.max.bytes"]
	if c.Value == nil || *c.Value != value || c.Source != kmsg.ConfigSourceDynamicBrokerConfig || len(c.ConfigSynonyms) != 2 {
		t.Errorf("message.max.bytes: %+v", c)
	}
	if id := configs["broker.id"]; id.Value == nil || *id.Value != "0" || !id.ReadOnly {
		t.Errorf("broker.id: %+v", id)
	}
	if got := a.alter(broker, "", kmsg.IncrementalAlterConfigOpSet, "message.max.bytes", &value); got != "ok" {
		t.Fatal(got)
	}
	if _, configs := a.described(broker, ""); configs["message.max.bytes"].Source != kmsg.ConfigSourceDynamicDefaultBrokerConfig {
		t.Errorf("the default of all brokers: %+v", configs)
	}
	if got := a.alter(broker, "0", kmsg.IncrementalAlterConfigOpSet, "num.partitions", &value); got != "INVALID_REQUEST: Cannot update these configs dynamically: Set(num.partitions)" {
		t.Errorf("a read-only key: %s", got)
	}
}

// Ten bytes asked again and again must not become kilobytes answered.
func TestAResourceIsDescribedOnceInAnAnswer(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	r := kmsg.NewPtrDescribeConfigsRequest()
	for range 1000 {
		r.Resources = append(r.Resources, kmsg.DescribeConfigsRequestResource{ResourceType: kmsg.ConfigResourceTypeBroker, ResourceName: "0"})
	}
	got := do[*kmsg.DescribeConfigsResponse](a, 4, r).Resources
	if len(got) != 1000 || got[0].ErrorCode != 0 || len(got[0].Configs) == 0 {
		t.Fatalf("%d answers, the first: %+v", len(got), got[0])
	}
	for _, again := range got[1:] {
		if again.ErrorCode != kerr.InvalidRequest.Code || len(again.Configs) != 0 {
			t.Fatalf("%d: %d keys", again.ErrorCode, len(again.Configs))
		}
	}
}

func TestDescribeConfigsRefusals(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	tests := []struct {
		name     string
		kind     kmsg.ConfigResourceType
		resource string
		want     string
	}{
		{"an unknown topic", kmsg.ConfigResourceTypeTopic, "nope", "UNKNOWN_TOPIC_OR_PARTITION"},
		{"no topic", kmsg.ConfigResourceTypeTopic, "", "INVALID_TOPIC_EXCEPTION: Topic name is invalid: the empty string is not allowed"},
		{"another broker", kmsg.ConfigResourceTypeBroker, "9", "INVALID_REQUEST: Unexpected broker id, expected 0 or empty string, but received 9"},
		{"another broker's loggers", kmsg.ConfigResourceTypeBrokerLogger, "9", "INVALID_REQUEST: Unexpected broker id, expected 0 but received 9"},
		{"loggers of no broker", kmsg.ConfigResourceTypeBrokerLogger, "", "INVALID_REQUEST: Broker id must not be empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, _ := a.described(tt.kind, tt.resource); got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestATopicIsDescribedOnceInAnAnswer(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	a.mustCreate("f", 3)
	name := "f"
	id := a.metadata(12, name).Topics[0].TopicID
	r := kmsg.NewPtrMetadataRequest()
	r.Topics = []kmsg.MetadataRequestTopic{{TopicID: id}, {Topic: &name}, {TopicID: id}, {Topic: &name, TopicID: id}, {TopicID: [16]byte{9}}}
	got := do[*kmsg.MetadataResponse](a, 12, r).Topics
	if len(got) != 2 || got[0].ErrorCode != 0 || len(got[0].Partitions) != 3 || got[1].ErrorCode != kerr.UnknownTopicID.Code {
		t.Errorf("%+v", got)
	}
}

// The rows are those of golden/probe for 3.9.1.
func TestMetadata(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	a.mustCreate("f", 1)
	codes := func(m *kmsg.MetadataResponse) string {
		var s []string
		for _, topic := range m.Topics {
			s = append(s, fmt.Sprintf("%s %s %v %d", *topic.Topic, result(topic.ErrorCode, nil), topic.IsInternal, len(topic.Partitions)))
		}
		return strings.Join(s, ", ")
	}
	long := strings.Repeat("x", 250)
	tests := []struct {
		name    string
		version int16
		topics  []string
		want    string
	}{
		{"an unknown topic is made", 0, []string{"new0"}, "new0 LEADER_NOT_AVAILABLE false 0"},
		{"at v8 as well", 8, []string{"new8"}, "new8 LEADER_NOT_AVAILABLE false 0"},
		{"an illegal name", 5, []string{"a b"}, "a b INVALID_TOPIC_EXCEPTION false 0"},
		{"a name of 250", 5, []string{long}, long + " INVALID_TOPIC_EXCEPTION false 0"},
		{"a dot", 5, []string{"."}, ". INVALID_TOPIC_EXCEPTION false 0"},
		{"the empty name", 5, []string{""}, " INVALID_TOPIC_EXCEPTION false 0"},
		{"two names that collide", 1, []string{"a.b", "a_b"}, "a.b LEADER_NOT_AVAILABLE false 0, a_b INVALID_TOPIC_EXCEPTION false 0"},
		{"a topic of the brokers", 1, []string{"__consumer_offsets"}, "__consumer_offsets LEADER_NOT_AVAILABLE true 0"},
		{"the same topic twice", 1, []string{"f", "f"}, "f ok false 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := codes(a.metadata(tt.version, tt.topics...)); got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
		})
	}
	a.eventually("the offsets topic has its partitions", func() bool {
		return len(a.metadataWithoutCreation("__consumer_offsets").Partitions) == 5
	})
	all := kmsg.NewPtrMetadataRequest()
	all.Topics = nil
	if got := do[*kmsg.MetadataResponse](a, 12, all); len(got.Topics) != 5 || len(got.Brokers) != 1 || got.ClusterID == nil || got.ControllerID != 0 {
		t.Errorf("all topics: %s, %d brokers, controller %d", codes(got), len(got.Brokers), got.ControllerID)
	}
	none := kmsg.NewPtrMetadataRequest()
	none.Topics = []kmsg.MetadataRequestTopic{}
	if got := do[*kmsg.MetadataResponse](a, 1, none); len(got.Topics) != 0 || len(got.Brokers) != 1 {
		t.Errorf("no topics: %s", codes(got))
	}
	if got := do[*kmsg.MetadataResponse](a, 0, none); len(got.Topics) != 5 {
		t.Errorf("an empty list at v0: %s", codes(got))
	}
}

func TestMetadataByID(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	a.mustCreate("f", 1)
	by := func(v int16, name *string, id [16]byte) *kmsg.MetadataResponse {
		r := kmsg.NewPtrMetadataRequest()
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic, topic.TopicID = name, id
		r.Topics = append(r.Topics, topic)
		return do[*kmsg.MetadataResponse](a, v, r)
	}
	id := a.metadataWithoutCreation("f").TopicID
	if got := by(12, nil, id).Topics[0]; got.ErrorCode != 0 || *got.Topic != "f" {
		t.Errorf("by id: %+v", got)
	}
	if got := by(12, nil, [16]byte{1}).Topics[0]; got.ErrorCode != kerr.UnknownTopicID.Code || got.Topic != nil || got.TopicID != [16]byte{1} {
		t.Errorf("by an unknown id: %+v", got)
	}
	type whole struct {
		Brokers    int
		Controller int32
		Code       int16
		Name       string
	}
	for name, tt := range map[string]struct {
		version int16
		name    *string
		id      [16]byte
		want    int16
	}{
		"by id before v12":    {10, nil, id, kerr.InvalidRequest.Code},
		"neither name nor id": {12, nil, [16]byte{}, kerr.UnknownServerError.Code},
	} {
		got := by(tt.version, tt.name, tt.id)
		w := whole{len(got.Brokers), got.ControllerID, got.Topics[0].ErrorCode, *got.Topics[0].Topic}
		if d := cmp.Diff(whole{0, -1, tt.want, ""}, w); d != "" || got.ClusterID != nil {
			t.Errorf("%s: (-want +got)\n%s", name, d)
		}
	}
}

func TestDescribeCluster(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	r := kmsg.NewPtrDescribeClusterRequest()
	r.EndpointType = 1
	r.IncludeClusterAuthorizedOperations = true
	for v := int16(0); v <= 1; v++ {
		got := do[*kmsg.DescribeClusterResponse](a, v, r)
		if got.ErrorCode != 0 || len(got.Brokers) != 1 || got.ControllerID != 0 || got.ClusterID == "" || got.ClusterAuthorizedOperations != 8096 {
			t.Errorf("v%d: %+v", v, got)
		}
	}
	for kind, want := range map[int8]int16{2: kerr.MismatchedEndpointType.Code, 9: kerr.UnsupportedEndpointType.Code} {
		r.EndpointType = kind
		if got := do[*kmsg.DescribeClusterResponse](a, 1, r); got.ErrorCode != want || got.ErrorMessage == nil {
			t.Errorf("endpoint type %d: %+v", kind, got)
		}
	}
}

func TestDescribeLogDirs(t *testing.T) {
	c := brokertest.Start(t)
	a := ask(t, c, 0)
	a.mustCreate("b", 2)
	a.mustCreate("a", 1)
	r := kmsg.NewPtrDescribeLogDirsRequest()
	for v := int16(0); v <= 4; v++ {
		r.Topics = nil
		got := do[*kmsg.DescribeLogDirsResponse](a, v, r)
		if len(got.Dirs) != 1 || got.Dirs[0].Dir != c.Node(0).Dir() || len(got.Dirs[0].Topics) != 2 || got.Dirs[0].Topics[0].Topic != "a" ||
			len(got.Dirs[0].Topics[1].Partitions) != 2 {
			t.Errorf("v%d: %+v", v, got)
		}
		if v == 4 && (got.Dirs[0].TotalBytes <= 0 || got.Dirs[0].UsableBytes <= 0) {
			t.Errorf("the volume: %+v", got.Dirs[0])
		}
	}
	r.Topics = []kmsg.DescribeLogDirsRequestTopic{{Topic: "b", Partitions: []int32{1, 9}}, {Topic: "zzz", Partitions: []int32{0}}}
	got := do[*kmsg.DescribeLogDirsResponse](a, 4, r).Dirs[0]
	if len(got.Topics) != 1 || len(got.Topics[0].Partitions) != 1 || got.Topics[0].Partitions[0].Partition != 1 {
		t.Errorf("one partition: %+v", got)
	}
}

// Every API that is advertised decodes a request of each of its versions and answers, or hangs up; none fails
// the broker.
func TestEveryAdvertisedVersionIsServed(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	versions := kmsg.NewPtrApiVersionsRequest()
	versions.ClientSoftwareName, versions.ClientSoftwareVersion = "test", "1"
	served := do[*kmsg.ApiVersionsResponse](a, 4, versions)
	for _, k := range served.ApiKeys {
		switch k.ApiKey {
		case 0, 1, 4, 5, 6, 7, 56, 67: // data, and what only a controller or a broker sends
			continue
		}
		for v := k.MinVersion; v <= k.MaxVersion; v++ {
			req := kmsg.RequestForKey(k.ApiKey)
			if s, ok := req.(*kmsg.ApiVersionsRequest); ok {
				*s = *versions
			}
			do[kmsg.Response](a, v, req)
		}
	}
}
