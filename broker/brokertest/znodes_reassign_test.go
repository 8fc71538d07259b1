package brokertest

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// znodesOfReassignments takes the steps 14 to 19: replicas move between two brokers, by request, with a throttle and by
// znode, and both brokers stop.
func znodesOfReassignments(t *testing.T, release, level string, d znodeDifferences) {
	z := newZnodes(t, release, level, d)
	z.properties["auto.leader.rebalance.enable"] = "false" // its first look comes after 5 s, wherever the steps are then
	first := newChild(t, z.connect, z.properties)
	first.Start()
	z.properties["broker.id"] = "1"
	second := newChild(t, z.connect, z.properties)
	second.Start()

	makePlacedTopic(t, first.addr, "r", []int32{0}, []int32{0})
	second.Pause()                 // so that the reassignment hangs
	move(t, first.addr, "r", 0, 1) // one after the other: Kafka writes the topic's znode for each, and we for each request
	move(t, first.addr, "r", 1, 1, 0)
	z.same("14")
	second.Resume()
	z.awaitMoved("r")
	noThrottle := []string{"leader.replication.throttled.rate", "", "follower.replication.throttled.rate", ""}
	noReplicas := []string{"leader.replication.throttled.replicas", "", "follower.replication.throttled.replicas", ""}
	brokers := func(order []int, pairs []string) {
		for _, id := range order {
			changeConfigs(t, []childBroker{first, second}[id].addr, kmsg.ConfigResourceTypeBroker, fmt.Sprint(id), pairs...)
		}
	}
	upward, downward := []int{0, 1}, []int{1, 0} // the captured tools took the brokers as their hash maps had them
	orders := map[string][][]int{"2.8.2": {downward, upward, upward}, "3.9.1": {upward, downward, downward}}[release]
	brokers(orders[0], noThrottle)
	changeConfigs(t, first.addr, kmsg.ConfigResourceTypeTopic, "r", noReplicas...)
	z.same("15")

	changeConfigs(t, first.addr, kmsg.ConfigResourceTypeTopic, "r",
		"leader.replication.throttled.replicas", "0:1", "follower.replication.throttled.replicas", "0:0")
	brokers(orders[1], []string{"leader.replication.throttled.rate", "1000000", "follower.replication.throttled.rate", "1000000"})
	move(t, first.addr, "r", 0, 0, 1)
	z.same("15b")
	brokers(orders[2], noThrottle)
	changeConfigs(t, first.addr, kmsg.ConfigResourceTypeTopic, "r", noReplicas...)
	z.same("15c")

	if release == "2.8.2" { // whose tool still wrote znodes
		z.paused(first, func() {
			z.must(z.session.RequestReassignments(t.Context(), []zkmeta.Reassignment{
				{Partition: topic.Partition{Topic: "r", ID: 0}, Replicas: []int32{1, 0}}}))
			z.same("16")
		})
		z.same("17")
	}
	if err := second.stop(); err != nil {
		t.Fatal(err)
	}
	z.same("18")
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	z.same("19")
}

// awaitMoved waits until no replica of a topic is on its way.
func (z *znodes) awaitMoved(name string) {
	z.t.Helper()
	eventually(z.t, "the replicas have moved", func() error {
		a, err := z.session.ReadTopic(z.t.Context(), name)
		if err == nil && len(a.Adding)+len(a.Removing) > 0 {
			err = kerr.ReassignmentInProgress
		}
		return err
	})
}

// makePlacedTopic makes a topic whose partitions have these replicas.
func makePlacedTopic(t *testing.T, addr, name string, replicas ...[]int32) {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 5
	wanted := kmsg.NewCreateTopicsRequestTopic()
	wanted.Topic, wanted.NumPartitions, wanted.ReplicationFactor = name, -1, -1
	for p, r := range replicas {
		wanted.ReplicaAssignment = append(wanted.ReplicaAssignment,
			kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32(p), Replicas: r})
	}
	req.Topics = []kmsg.CreateTopicsRequestTopic{wanted}
	if e := kerr.ForCode(ask[*kmsg.CreateTopicsResponse](t, addr, req).Topics[0].ErrorCode); e != nil {
		t.Fatal(e)
	}
}

// move asks the controller for new replicas of one partition.
func move(t *testing.T, addr, name string, partition int32, to ...int32) {
	t.Helper()
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	req.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: name,
		Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Partition: partition, Replicas: to}}}}
	resp := ask[*kmsg.AlterPartitionAssignmentsResponse](t, addr, req)
	if e := kerr.ForCode(resp.ErrorCode); e != nil {
		t.Fatal(e)
	}
	for _, p := range resp.Topics[0].Partitions {
		if e := kerr.ForCode(p.ErrorCode); e != nil {
			t.Fatalf("%s-%d: %v", name, p.Partition, e)
		}
	}
}

// changeConfigs sets keys of a topic or a broker, or removes those with an empty value.
func changeConfigs(t *testing.T, addr string, kind kmsg.ConfigResourceType, name string, pairs ...string) {
	t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	resource := kmsg.IncrementalAlterConfigsRequestResource{ResourceType: kind, ResourceName: name}
	for i := 0; i < len(pairs); i += 2 {
		op := kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: pairs[i], Op: kmsg.IncrementalAlterConfigOpDelete}
		if pairs[i+1] != "" {
			op.Op, op.Value = kmsg.IncrementalAlterConfigOpSet, &pairs[i+1]
		}
		resource.Configs = append(resource.Configs, op)
	}
	req.Resources = []kmsg.IncrementalAlterConfigsRequestResource{resource}
	if r := ask[*kmsg.IncrementalAlterConfigsResponse](t, addr, req).Resources[0]; r.ErrorCode != 0 {
		t.Fatalf("%s: %v", name, kerr.ForCode(r.ErrorCode))
	}
}
