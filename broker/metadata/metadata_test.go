package metadata

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/zurau/zurau/broker/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// state is one partition of an UpdateMetadata.
func state(id, leader, epoch int32) kmsg.UpdateMetadataRequestTopicPartition {
	return kmsg.UpdateMetadataRequestTopicPartition{Partition: id, Leader: leader, LeaderEpoch: epoch,
		ISR: []int32{leader}, Replicas: []int32{1, 2, 3}}
}

type (
	topicUpdate     = kmsg.UpdateMetadataRequestTopicState
	partitionUpdate = kmsg.UpdateMetadataRequestTopicPartition
	brokerUpdate    = kmsg.UpdateMetadataRequestLiveBroker
	endpointUpdate  = kmsg.UpdateMetadataRequestLiveBrokerEndpoint
)

func topicState(name string, id topic.ID, states ...partitionUpdate) topicUpdate {
	return topicUpdate{Topic: name, TopicID: id, PartitionStates: states}
}

func request(topics ...topicUpdate) *kmsg.UpdateMetadataRequest {
	return &kmsg.UpdateMetadataRequest{Version: 7, ControllerID: 1, TopicStates: topics}
}

// picture is a snapshot as text: topics with their partitions as id:leader/epoch.
func picture(s *Snapshot) map[string]string {
	p := make(map[string]string)
	for t := range s.Topics() {
		var parts []string
		for _, q := range t.Partitions {
			parts = append(parts, fmt.Sprintf("%d:%d/%d", q.ID, q.Leader, q.LeaderEpoch))
		}
		p[t.Name] = strings.Join(parts, " ")
	}
	return p
}

func itoa(n int32) string { return strconv.Itoa(int(n)) }

func TestUpdatesMergeIntoThePicture(t *testing.T) {
	a, b := topic.ID{1}, topic.ID{2}
	steps := []struct {
		name    string
		req     *kmsg.UpdateMetadataRequest
		want    map[string]string
		removed []topic.Partition
	}{
		{"an empty list changes no topic", request(), map[string]string{}, nil},
		{"partitions of a new topic, in any order",
			request(topicState("a", a, state(2, 1, 0), state(0, 2, 0), state(1, 3, 0))),
			map[string]string{"a": "0:2/0 1:3/0 2:1/0"}, nil},
		{"only the listed partition changes",
			request(topicState("a", a, state(1, 1, 1))),
			map[string]string{"a": "0:2/0 1:1/1 2:1/0"}, nil},
		{"another topic, with a partition that has no leader",
			request(topicState("b", b, state(0, -1, 4))),
			map[string]string{"a": "0:2/0 1:1/1 2:1/0", "b": "0:-1/4"}, nil},
		{"leader -2 removes a partition",
			request(topicState("a", a, state(1, -2, 1))),
			map[string]string{"a": "0:2/0 2:1/0", "b": "0:-1/4"}, []topic.Partition{{Topic: "a", ID: 1}}},
		{"the topic goes with its last partition",
			request(topicState("a", a, state(0, -2, 1), state(2, -2, 1))),
			map[string]string{"b": "0:-1/4"}, []topic.Partition{{Topic: "a", ID: 0}, {Topic: "a", ID: 2}}},
		{"removing what is not known does nothing",
			request(topicState("a", a, state(0, -2, 1))),
			map[string]string{"b": "0:-1/4"}, nil},
	}
	c := New()
	for _, s := range steps {
		removed := c.Update(s.req)
		if d := cmp.Diff(s.want, picture(c.Load())); d != "" {
			t.Errorf("%s: (-want +got)\n%s", s.name, d)
		}
		if !slices.Equal(removed, s.removed) {
			t.Errorf("%s: removed %v, want %v", s.name, removed, s.removed)
		}
		topics, partitions := 0, 0
		for x := range c.Load().Topics() {
			topics++
			partitions += len(x.Partitions)
		}
		if c.Load().TopicCount() != topics || c.Load().PartitionCount() != partitions {
			t.Errorf("%s: counts %d and %d, want %d and %d", s.name,
				c.Load().TopicCount(), c.Load().PartitionCount(), topics, partitions)
		}
	}
	if c.Load().TopicByID(a) != nil || c.Load().TopicByID(b).Name != "b" {
		t.Error("ids do not follow their topics")
	}
}

func TestTopicIDs(t *testing.T) {
	old, recreated := topic.ID{1}, topic.ID{2}
	c := New()
	c.Update(request(topicState("t", old, state(0, 1, 0))))
	c.Update(request(topicState("t", recreated, state(0, 1, 0))))
	if c.Load().TopicByID(old) != nil || c.Load().TopicByID(recreated) == nil {
		t.Error("the old id still finds the topic, or the new one does not")
	}
	v4 := &kmsg.UpdateMetadataRequest{Version: 4, PartitionStates: []partitionUpdate{state(0, 2, 5)}}
	v4.PartitionStates[0].Topic = "t"
	c.Update(v4)
	if got := c.Load().TopicByID(recreated); got == nil || got.Partitions[0].Leader != 2 {
		t.Error("a request too old to know ids took the id away")
	}
	c.Update(request(topicState("t", topic.ID{}, state(0, 1, 6))))
	if c.Load().TopicByID(recreated) != nil || !c.Load().Topic("t").ID.IsZero() {
		t.Error("a zero id does not remove the stored one")
	}
	if c.Load().TopicByID(topic.ID{}) != nil {
		t.Error("the zero id finds a topic")
	}
}

func TestBrokersAndControllerAreReplaced(t *testing.T) {
	rack := "r1"
	c := New()
	if c.Load().ControllerID() != NoLeader {
		t.Error("a controller before the first update")
	}
	c.Update(&kmsg.UpdateMetadataRequest{Version: 7, ControllerID: 5, LiveBrokers: []brokerUpdate{
		{ID: 9, Endpoints: []endpointUpdate{
			{Host: "h9", Port: 1, ListenerName: "CLIENT"}, {Host: "h9", Port: 2, ListenerName: "INTERNAL", SecurityProtocol: 1}}},
		{ID: 5, Rack: &rack},
	}})
	s := c.Load()
	if e, ok := s.Endpoint(9, "INTERNAL"); !ok || e != (Endpoint{"h9", 2, 1}) {
		t.Errorf("endpoint %+v, %v", e, ok)
	}
	if _, ok := s.Endpoint(5, "INTERNAL"); ok || s.Broker(7) != nil || *s.Broker(5).Rack != "r1" || s.Brokers()[0].ID != 5 {
		t.Error("brokers are not as told")
	}
	c.Update(&kmsg.UpdateMetadataRequest{Version: 7, ControllerID: -1, LiveBrokers: []brokerUpdate{{ID: 9}}})
	if got := c.Load(); len(got.Brokers()) != 1 || got.ControllerID() != NoLeader {
		t.Errorf("%d brokers, controller %d", len(got.Brokers()), got.ControllerID())
	}
	if len(s.Brokers()) != 2 {
		t.Error("an old snapshot changed")
	}
}

func TestEndpointsOfOldVersions(t *testing.T) {
	c := New()
	c.Update(&kmsg.UpdateMetadataRequest{Version: 0, LiveBrokers: []brokerUpdate{{ID: 1, Host: "h", Port: 9092}}})
	if e, ok := c.Load().Endpoint(1, "PLAINTEXT"); !ok || e.Port != 9092 {
		t.Errorf("v0: %+v, %v", e, ok)
	}
	c.Update(&kmsg.UpdateMetadataRequest{Version: 2, LiveBrokers: []brokerUpdate{{ID: 1,
		Endpoints: []endpointUpdate{{Host: "h", Port: 9093, SecurityProtocol: 1}}}}})
	if e, ok := c.Load().Endpoint(1, "SSL"); !ok || e.Port != 9093 {
		t.Errorf("v2: %+v, %v", e, ok)
	}
}

func TestOldSnapshotsStayAsTheyWere(t *testing.T) {
	c := New()
	c.Update(request(topicState("a", topic.ID{1}, state(0, 1, 0), state(1, 1, 0))))
	before := c.Load()
	want := picture(before)
	c.Update(request(topicState("a", topic.ID{1}, state(0, 2, 1), state(5, 2, 1)), topicState("b", topic.ID{2}, state(0, 1, 0))))
	c.Update(request(topicState("a", topic.ID{1}, state(0, -2, 1), state(1, -2, 1), state(5, -2, 0))))
	if d := cmp.Diff(want, picture(before)); d != "" {
		t.Error(d)
	}
}

func TestAnUpdateCopiesOnlyTheShardsItTouches(t *testing.T) {
	c := New()
	for i := range int32(1000) {
		c.Update(request(topicState("topic-"+itoa(i), topic.ID{byte(i), byte(i >> 8), 1}, state(0, 1, 0))))
	}
	before := c.Load()
	c.Update(request(topicState("topic-7", topic.ID{7, 0, 1}, state(0, 2, 1))))
	copied := 0
	for i := range before.topics {
		old, now := before.topics[i], c.Load().topics[i]
		if *(*unsafe.Pointer)(unsafe.Pointer(&old)) != *(*unsafe.Pointer)(unsafe.Pointer(&now)) {
			copied++
		}
	}
	if copied != 1 {
		t.Errorf("%d shards were copied, want 1", copied)
	}
}

// Requests are decoded into strings that point into a network buffer, which is used again afterwards.
func TestNothingOfTheRequestIsKept(t *testing.T) {
	b := []byte("abc")
	alias := unsafe.String(&b[0], len(b))
	rack := alias
	req := request(topicState(alias, topic.ID{1}, state(0, 1, 0)))
	req.LiveBrokers = []brokerUpdate{{ID: 1, Rack: &rack,
		Endpoints: []endpointUpdate{{Host: alias, ListenerName: alias}}}}
	c := New()
	c.Update(req)
	copy(b, "xyz")
	req.TopicStates[0].PartitionStates[0].ISR[0] = 99
	s := c.Load()
	if e, ok := s.Endpoint(1, "abc"); !ok || e.Host != "abc" || *s.Broker(1).Rack != "abc" {
		t.Error("a broker's strings changed with the buffer")
	}
	if p := s.Topic("abc"); p == nil || p.Name != "abc" || p.Partitions[0].ISR[0] != 1 {
		t.Error("a topic changed with the buffer")
	}
}

func TestPartitionsAreFoundWithAndWithoutGaps(t *testing.T) {
	c := New()
	c.Update(request(topicState("t", topic.ID{1}, state(0, 1, 0), state(1, 1, 0), state(7, 1, 0))))
	for id, want := range map[int32]bool{-1: false, 0: true, 1: true, 2: false, 6: false, 7: true, 8: false} {
		if got := c.Load().Partition(topic.Partition{Topic: "t", ID: id}) != nil; got != want {
			t.Errorf("partition %d found: %v, want %v", id, got, want)
		}
	}
	if c.Load().Partition(topic.Partition{Topic: "u"}) != nil {
		t.Error("a partition of an unknown topic")
	}
}

func TestAwaitReturnsWithTheFirstPictureThatFits(t *testing.T) {
	c := New()
	got := make(chan *Snapshot, 1)
	go func() {
		s, _ := c.Await(context.Background(), func(s *Snapshot) bool { return s.Topic("t") != nil })
		got <- s
	}()
	c.Update(request())
	c.Update(request(topicState("t", topic.ID{1}, state(0, 1, 0))))
	select {
	case s := <-got:
		if s.Topic("t") == nil {
			t.Error("the picture does not fit")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the change was not seen")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.Await(ctx, func(*Snapshot) bool { return false }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestChangedIsClosedByTheNextUpdate(t *testing.T) {
	c := New()
	changed := c.Changed()
	select {
	case <-changed:
		t.Fatal("closed before any update")
	default:
	}
	c.Update(request())
	<-changed
}

// Recorded from real controllers of 2.8.2 and 3.9.1.
func TestRecordedUpdateMetadata(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.hex")
	if len(files) == 0 {
		t.Fatal("no frames")
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		frame, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
		if err != nil {
			t.Fatal(err)
		}
		req := kmsg.NewPtrUpdateMetadataRequest()
		req.SetVersion(int16(frame[7]))
		client := int(frame[13])
		if err := req.ReadFrom(frame[14+client+1:]); err != nil {
			t.Fatal(file, err)
		}
		c := New()
		c.Update(req)
		s := c.Load()
		for _, b := range s.Brokers() {
			if _, ok := s.Endpoint(b.ID, "INTERNAL"); !ok {
				t.Errorf("%s: broker %d has no INTERNAL listener", file, b.ID)
			}
		}
		if len(s.Brokers()) == 0 || s.ControllerID() < 1 {
			t.Errorf("%s: %d brokers, controller %d", file, len(s.Brokers()), s.ControllerID())
		}
		for _, ts := range req.TopicStates {
			deleting := ts.PartitionStates[0].Leader == leaderDuringDelete
			if got := s.TopicByID(topic.ID(ts.TopicID)); (got == nil) != (deleting || topic.ID(ts.TopicID).IsZero()) {
				t.Errorf("%s: topic %s found by id: %v", file, ts.Topic, got != nil)
			}
		}
	}
}

func BenchmarkUpdateOnePartitionOfTenThousandTopics(b *testing.B) {
	c := New()
	var all []topicUpdate
	for i := range int32(10000) {
		all = append(all, topicState("topic-"+itoa(i), topic.ID{byte(i), byte(i >> 8), 1}, state(0, 1, 0)))
	}
	c.Update(request(all...))
	one := request(all[77])
	b.ReportAllocs()
	for b.Loop() {
		c.Update(one)
	}
}
