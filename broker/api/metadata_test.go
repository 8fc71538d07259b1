package api

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/broker/wire"
)

// scattered is a cluster as clients may meet it: broker 1 has both listeners, 2 the brokers' own alone, 3 is away, and
// 4 has lost the disk of partition 3.
func scattered(t *testing.T) *Handler {
	h := data(t, 1)
	picture := kmsg.NewPtrUpdateMetadataRequest()
	picture.Version, picture.ControllerID = 8, 1
	both := []string{"PLAINTEXT", "INTERNAL"}
	for id, listeners := range map[int32][]string{1: both, 2: {"INTERNAL"}, 4: both} {
		b := kmsg.UpdateMetadataRequestLiveBroker{ID: id}
		for i, l := range listeners {
			b.Endpoints = append(b.Endpoints, kmsg.UpdateMetadataRequestLiveBrokerEndpoint{
				Host: fmt.Sprint("host", id), Port: 9092 + int32(i), ListenerName: l})
		}
		picture.LiveBrokers = append(picture.LiveBrokers, b)
	}
	told := kmsg.UpdateMetadataRequestTopicState{Topic: "s", TopicID: topic.NewID()}
	for id, leader := range []int32{1, 2, 3, 1} {
		p := kmsg.UpdateMetadataRequestTopicPartition{Partition: int32(id), Leader: leader,
			ISR: []int32{1, 3}, Replicas: []int32{1, 3, 4}}
		if id == 3 {
			p.ISR, p.Replicas, p.OfflineReplicas = []int32{1}, []int32{1, 4}, []int32{4}
		}
		told.PartitionStates = append(told.PartitionStates, p)
	}
	picture.TopicStates = []kmsg.UpdateMetadataRequestTopicState{told}
	h.Metadata.Update(picture)
	return h
}

func TestMetadataShowsWhatAClientOfItsListenerCanReach(t *testing.T) {
	h := scattered(t)
	for version := int16(0); version <= 12; version++ {
		q := describing{h: h, req: &kmsg.MetadataRequest{Version: version}, listener: "PLAINTEXT", snapshot: h.Metadata.Load()}
		resp := q.all()
		if len(resp.Brokers) != 2 || resp.Brokers[0].NodeID != 1 || resp.Brokers[1].NodeID != 4 || resp.Brokers[1].Port != 9092 {
			t.Errorf("version %d: brokers %+v", version, resp.Brokers)
		}
		var got []string
		for _, one := range resp.Topics {
			if *one.Topic != "s" {
				continue
			}
			for _, p := range one.Partitions {
				got = append(got, fmt.Sprint(p.ErrorCode, p.Leader, p.Replicas, p.ISR, p.OfflineReplicas))
			}
		}
		elsewhere := kerr.LeaderNotAvailable.Code // its leader lives, and has no such listener
		if version >= 6 {
			elsewhere = kerr.ListenerNotFound.Code
		}
		want := []string{
			"0 1 [1 3 4] [1 3] [3]",
			fmt.Sprint(elsewhere, " -1 [1 3 4] [1 3] [3]"),
			"5 -1 [1 3 4] [1 3] [3]",
			"0 1 [1 4] [1] [4]",
		}
		if version == 0 { // which has no word for replicas that are away
			want = []string{"9 1 [1 4] [1] [3]", "5 -1 [1 4] [1] [3]", "5 -1 [1 4] [1] [3]", "0 1 [1 4] [1] [4]"}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("version %d:\n got %q\nwant %q", version, got, want)
		}
	}
}

// A broker that has just started knows a topic by its logs alone. The controller, and nobody else, hears their id.
func TestAControllerHearsOfIDsThatAreOnlyOnDisk(t *testing.T) {
	h := data(t, 1)
	id := topic.NewID()
	if _, err := h.Storage.Create(topic.Partition{Topic: "cold"}, id); err != nil {
		t.Fatal(err)
	}
	controller, client := "7", "client"
	for _, test := range []struct {
		from *string
		want topic.ID
	}{{&controller, id}, {&client, topic.ID{}}, {nil, topic.ID{}}} {
		name := "cold"
		topics := []kmsg.MetadataResponseTopic{{Topic: &name, ErrorCode: kerr.UnknownTopicOrPartition.Code},
			{Topic: new(string), ErrorCode: kerr.UnknownTopicOrPartition.Code}, {ErrorCode: kerr.UnknownTopicOrPartition.Code}}
		h.tellIDsOnDisk(&wire.Request{ClientID: test.from}, 7, topics)
		if got := topic.ID(topics[0].TopicID); got != test.want || topics[0].ErrorCode == 0 || topics[1].TopicID != [16]byte{} {
			t.Errorf("%+v, want id %s", topics, test.want)
		}
	}
}

// What was meant for an earlier life of this broker, or comes from a KRaft controller, must not touch it.
func TestStopReplicaIsFenced(t *testing.T) {
	h := data(t, 1)
	h.BrokerEpoch = func() int64 { return 7 }
	tp := topic.Partition{Topic: "t"}
	for _, c := range []struct {
		name  string
		epoch int64
		kraft bool
		stops bool
	}{
		{"an earlier life", 6, false, false},
		{"a KRaft controller", 7, true, false},
		{"a later life, which we do not know of yet", 8, false, true},
	} {
		req := kmsg.NewPtrStopReplicaRequest()
		req.Version, req.BrokerEpoch, req.IsKRaftController = 4, c.epoch, c.kraft
		req.Topics = []kmsg.StopReplicaRequestTopic{{Topic: "t",
			PartitionStates: []kmsg.StopReplicaRequestTopicPartitionState{{Partition: 0, LeaderEpoch: -1}}}}
		h.stopReplica(t.Context(), nil, req)
		if stopped := h.Replicas.Partition(tp) == nil; stopped != c.stops {
			t.Errorf("%s: stopped %v", c.name, stopped)
		}
	}
}
