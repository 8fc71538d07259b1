package api

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/controller"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/metadata"
	"github.com/zurau/zurau/broker/topic"
)

// ledPicture is what a broker knows that was told of t-0, t-1 ... and their leaders.
func ledPicture(leaders ...int32) *metadata.Snapshot {
	ts := kmsg.UpdateMetadataRequestTopicState{Topic: "t"}
	for i, leader := range leaders {
		ts.PartitionStates = append(ts.PartitionStates,
			kmsg.UpdateMetadataRequestTopicPartition{Partition: int32(i), Leader: leader})
	}
	c := metadata.New()
	c.Update(&kmsg.UpdateMetadataRequest{Version: 7, TopicStates: []kmsg.UpdateMetadataRequestTopicState{ts}})
	return c.Load()
}

func TestAnswersOfElections(t *testing.T) {
	zero, one := topic.Partition{Topic: "t", ID: 0}, topic.Partition{Topic: "t", ID: 1}
	type (
		codes   = map[int32]int16
		results = map[topic.Partition]controller.Elected
	)
	quiet := map[int16]bool{0: true, kerr.NotController.Code: true, kerr.RequestTimedOut.Code: true}
	for _, test := range []struct {
		name    string
		all     bool // topics null
		asked   []topic.Partition
		elected results
		want    codes
	}{
		{"a leader the broker was told of", false, []topic.Partition{zero}, results{zero: {Leader: 1}}, codes{0: 0}},
		{"a leader of whom it was not told in time", false, []topic.Partition{one}, results{one: {Leader: 1}},
			codes{1: kerr.RequestTimedOut.Code}},
		{"named twice, answered once", false, []topic.Partition{zero, one, zero},
			results{zero: {Err: kerr.ElectionNotNeeded}, one: {Leader: 2}},
			codes{0: kerr.ElectionNotNeeded.Code, 1: 0}},
		{"of all partitions, those that need none are left out", true, []topic.Partition{zero, one},
			results{zero: {Err: kerr.ElectionNotNeeded}, one: {Err: kerr.PreferredLeaderNotAvailable}},
			codes{1: kerr.PreferredLeaderNotAvailable.Code}},
		{"refused as a whole", false, []topic.Partition{zero, one},
			refuseElections([]topic.Partition{zero, one}, kerr.NotController),
			codes{0: kerr.NotController.Code, 1: kerr.NotController.Code}},
	} {
		t.Run(test.name, func(t *testing.T) {
			req := &kmsg.ElectLeadersRequest{}
			if !test.all {
				req.Topics = []kmsg.ElectLeadersRequestTopic{}
			}
			got := make(codes)
			for _, rt := range answerElections(req, test.asked, test.elected, ledPicture(1, 2)) {
				for _, p := range rt.Partitions {
					if _, twice := got[p.Partition]; twice || rt.Topic != "t" {
						t.Errorf("%s-%d is answered again", rt.Topic, p.Partition)
					}
					got[p.Partition] = p.ErrorCode
					if quiet[p.ErrorCode] != (p.ErrorMessage == nil) {
						t.Errorf("error %d has words: %v", p.ErrorCode, p.ErrorMessage)
					}
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Null and empty lists mean opposite things in these three requests: all or nothing, cancel or move to nowhere.
func TestNullListsStayNullOnTheWire(t *testing.T) {
	decode := func(from, to kmsg.Request) {
		t.Helper()
		if err := to.ReadFrom(from.AppendTo(nil)); err != nil {
			t.Fatal(err)
		}
	}
	for version := range int16(3) {
		var none, empty kmsg.ElectLeadersRequest
		none.Version, empty.Version = version, version
		decode(&kmsg.ElectLeadersRequest{Version: version}, &none)
		decode(&kmsg.ElectLeadersRequest{Version: version, Topics: []kmsg.ElectLeadersRequestTopic{}}, &empty)
		if none.Topics != nil || empty.Topics == nil {
			t.Errorf("ElectLeaders v%d: null is %v, empty is %v", version, none.Topics, empty.Topics)
		}
	}
	var none, empty kmsg.ListPartitionReassignmentsRequest
	decode(&kmsg.ListPartitionReassignmentsRequest{}, &none)
	decode(&kmsg.ListPartitionReassignmentsRequest{Topics: []kmsg.ListPartitionReassignmentsRequestTopic{}}, &empty)
	if none.Topics != nil || empty.Topics == nil {
		t.Errorf("ListPartitionReassignments: null is %v, empty is %v", none.Topics, empty.Topics)
	}
	var moves kmsg.AlterPartitionAssignmentsRequest
	decode(&kmsg.AlterPartitionAssignmentsRequest{Topics: []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: "t",
		Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Replicas: nil}, {Replicas: []int32{}}}}}}, &moves)
	if p := moves.Topics[0].Partitions; p[0].Replicas != nil || p[1].Replicas == nil {
		t.Errorf("AlterPartitionReassignments: null is %v, empty is %v", p[0].Replicas, p[1].Replicas)
	}
}
