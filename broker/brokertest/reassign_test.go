package brokertest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// quickStops lets the last replica of a partition stop without waiting that another takes the lead.
var quickStops = Property("controlled.shutdown.retry.backoff.ms", "50")

// assignment is where the partitions of a topic shall be, by number.
type assignment = [][]int32

// createAssigned makes topic t with its replicas where the test wants them.
func createAssigned(t *testing.T, c *Cluster, a assignment, configs map[string]string) {
	t.Helper()
	one := kmsg.NewCreateTopicsRequestTopic()
	one.Topic, one.NumPartitions, one.ReplicationFactor = "t", -1, -1
	for p, replicas := range a {
		one.ReplicaAssignment = append(one.ReplicaAssignment,
			kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32(p), Replicas: replicas})
	}
	for k, v := range configs {
		one.Configs = append(one.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: k, Value: &v})
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis, req.Topics = 5, 20000, append(req.Topics, one)
	eventually(t, "the topic is made", func() error {
		resp, err := atController[*kmsg.CreateTopicsResponse](c, req)
		if err != nil {
			return err
		}
		return errorOrNil(kerr.ForCode(resp.Topics[0].ErrorCode))
	})
}

// reassign asks for partitions of t to be moved; nil replicas cancel. It returns the codes by partition.
func reassign(t *testing.T, c *Cluster, to map[int32][]int32) map[int32]int16 {
	t.Helper()
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	rt := kmsg.NewAlterPartitionAssignmentsRequestTopic()
	rt.Topic = "t"
	for _, p := range slices.Sorted(maps.Keys(to)) {
		rt.Partitions = append(rt.Partitions,
			kmsg.AlterPartitionAssignmentsRequestTopicPartition{Partition: p, Replicas: to[p]})
	}
	req.Topics = append(req.Topics, rt)
	codes := make(map[int32]int16)
	eventually(t, "the controller takes the reassignment", func() error {
		resp, err := atController[*kmsg.AlterPartitionAssignmentsResponse](c, req)
		if err != nil || resp.ErrorCode != 0 {
			return fmt.Errorf("%v, %v", err, resp)
		}
		for _, p := range resp.Topics[0].Partitions {
			codes[p.Partition] = p.ErrorCode
		}
		return nil
	})
	return codes
}

// grow asks for more partitions of t.
func grow(t *testing.T, c *Cluster, count int32) int16 {
	t.Helper()
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis, req.Topics = 20000, []kmsg.CreatePartitionsRequestTopic{{Topic: "t", Count: count}}
	resp, err := atController[*kmsg.CreatePartitionsResponse](c, req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Topics[0].ErrorCode
}

// reassigning are the partitions of t that are being moved.
func reassigning(c *Cluster) (map[int32]kmsg.ListPartitionReassignmentsResponseTopicPartition, error) {
	resp, err := atController[*kmsg.ListPartitionReassignmentsResponse](c, kmsg.NewPtrListPartitionReassignmentsRequest())
	if err != nil {
		return nil, err
	}
	running := make(map[int32]kmsg.ListPartitionReassignmentsResponseTopicPartition)
	for _, rt := range resp.Topics {
		for _, p := range rt.Partitions {
			running[p.Partition] = p
		}
	}
	return running, errorOrNil(kerr.ForCode(resp.ErrorCode))
}

func awaitReassigned(t *testing.T, c *Cluster) {
	t.Helper()
	eventually(t, "nothing is reassigned any more", func() error {
		running, err := reassigning(c)
		if err == nil && len(running) > 0 {
			err = fmt.Errorf("%v", running)
		}
		return err
	})
}

// awaitPlaced waits until a broker's metadata shows the replicas of t where they should be, all in sync, and leaders
// among them.
func awaitPlaced(t *testing.T, addr string, want assignment) {
	t.Helper()
	eventually(t, "the replicas are in place", func() error {
		for _, p := range metadataOf(t, addr, "t", false).Partitions {
			to := want[p.Partition]
			inSync := slices.Sorted(slices.Values(p.ISR))
			if !slices.Equal(p.Replicas, to) || !slices.Equal(inSync, slices.Sorted(slices.Values(to))) ||
				!slices.Contains(to, p.Leader) {
				return fmt.Errorf("partition %d: leader %d, ISR %v, replicas %v", p.Partition, p.Leader, p.ISR, p.Replicas)
			}
		}
		return nil
	})
}

// logOf is the first segment of a replica of t, nil when the broker has none.
func logOf(n *Node, partition int) []byte {
	b, _ := os.ReadFile(filepath.Join(n.Dir(), fmt.Sprintf("t-%d", partition), "00000000000000000000.log"))
	return b
}

// checkLogs wants a log of t-P on the brokers assigned, equal byte for byte, and on no other broker.
func checkLogs(t *testing.T, c *Cluster, want assignment) {
	t.Helper()
	for p, replicas := range want {
		for _, n := range c.brokers {
			assigned := slices.Contains(replicas, int32(n.id))
			eventually(t, fmt.Sprintf("t-%d on broker %d: %t", p, n.id, assigned), func() error {
				_, err := os.Stat(filepath.Join(n.Dir(), fmt.Sprintf("t-%d", p)))
				if there := err == nil; there != assigned {
					return fmt.Errorf("the log is there: %t", there)
				}
				if first := c.Node(int(replicas[0])); assigned && !bytes.Equal(logOf(n, p), logOf(first, p)) {
					return fmt.Errorf("%d bytes, and broker %d has %d", len(logOf(n, p)), first.id, len(logOf(first, p)))
				}
				return nil
			})
		}
	}
}

// Every replica of three partitions moves, two of them together with the leader, while an idempotent producer writes.
func TestReplicasMoveUnderLoad(t *testing.T) {
	c := Start(t, Brokers(4), quickStops, Property("min.insync.replicas", "2"))
	before := assignment{{0, 1}, {1, 2}, {2, 0}}
	createAssigned(t, c, before, nil)
	l := startLoad(t, c.Node(0).Addr())
	l.awaitAcks(t, 2000)
	for _, after := range []assignment{{{3, 2}, {2, 3}, {1, 3}}, {{0, 1, 2}, {3}, {2, 0}}, before} {
		wanted := make(map[int32][]int32)
		for p, replicas := range after {
			wanted[int32(p)] = replicas
		}
		for p, code := range reassign(t, c, wanted) {
			if code != 0 {
				t.Fatalf("partition %d: error %d", p, code)
			}
		}
		awaitReassigned(t, c)
		awaitPlaced(t, c.Node(3).Addr(), after)
		if len(after[1]) > 1 {
			l.awaitAcks(t, 2000)
		}
	}
	acked := l.finish()
	checkDrain(t, drain(t, c.Node(3).Addr(), 3), acked, true)
	checkLogs(t, c, before)
	if t.Logf("%d records were acknowledged meanwhile", len(acked)); len(acked) < 4000 {
		t.Error("too few to tell")
	}
	a, err := c.session().ReadTopic(context.Background(), "t")
	if err != nil || len(a.Adding)+len(a.Removing) > 0 || !slices.Equal(a.Partitions[1], before[1]) {
		t.Errorf("the topic's znode: %+v, %v", a, err)
	}
}

// Twenty partitions move under load, to and fro, while brokers restart cleanly: each takes part in what was begun when it
// is back.
func TestReplicasMoveWhileBrokersRestart(t *testing.T) {
	const partitions = 20
	c := Start(t, Brokers(4), quickStops, Property("min.insync.replicas", "2"))
	ring := func(start int) assignment { // three of four brokers, another one left out by each partition
		a := make(assignment, partitions)
		for p := range a {
			for i := range 3 {
				a[p] = append(a[p], int32((start+p+i)%4))
			}
		}
		return a
	}
	createAssigned(t, c, ring(0), nil)
	l := startLoad(t, "", kgo.SeedBrokers(c.Bootstrap()...), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	l.awaitAcks(t, 1000)
	for round := 1; round <= 4; round++ {
		wanted := make(map[int32][]int32)
		for p, replicas := range ring(round) {
			wanted[int32(p)] = replicas
		}
		for p, code := range reassign(t, c, wanted) {
			if code != 0 {
				t.Fatalf("partition %d: error %d", p, code)
			}
		}
		c.Node(round % 4).Restart()
		awaitReassigned(t, c)
		for _, n := range c.brokers {
			awaitPlaced(t, n.Addr(), ring(round))
		}
		l.awaitAcks(t, 1000)
	}
	acked := l.finish()
	checkDrain(t, drain(t, c.Node(1).Addr(), partitions), acked, true)
	checkLogs(t, c, ring(4))
	t.Logf("%d records were acknowledged meanwhile", len(acked))
}

// A reassignment waits for a broker that is down, over the end of the controller that began it, and is finished by
// the next one. Another waits in the same way and is cancelled.
func TestAReassignmentOutlivesItsController(t *testing.T) {
	c := Start(t, Brokers(4), quickStops)
	s := c.session()
	first, _ := controllerOf(t, s)
	others := slices.DeleteFunc([]int{0, 1, 2, 3}, func(id int) bool { return id == first })
	a, b, away := int32(others[0]), int32(others[1]), int32(others[2])
	createAssigned(t, c, assignment{{a, b}, {b, a}}, nil)
	l := startLoad(t, c.Node(int(a)).Addr(), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	l.awaitAcks(t, 500)
	acked := l.finish()

	c.Node(int(away)).Stop()
	ctx := context.Background()
	if err := s.RequestReassignments(ctx, []zkmeta.Reassignment{
		{Partition: topic.Partition{Topic: "t", ID: 0}, Replicas: []int32{away, b}},
		{Partition: topic.Partition{Topic: "t", ID: 1}, Replicas: []int32{b, away}},
	}); err != nil {
		t.Fatal(err)
	}
	running := func() {
		t.Helper()
		eventually(t, "both partitions are reassigned", func() error {
			list, err := reassigning(c)
			if err == nil && (len(list) != 2 || !slices.Equal(list[0].AddingReplicas, []int32{away}) ||
				!slices.Equal(list[0].RemovingReplicas, []int32{a})) {
				err = fmt.Errorf("%v", list)
			}
			return err
		})
	}
	running()
	if code := grow(t, c, 3); code != kerr.ReassignmentInProgress.Code {
		t.Errorf("the topic grows meanwhile: error %d", code)
	}
	c.Node(first).Stop()
	running()
	if codes := reassign(t, c, map[int32][]int32{1: nil}); codes[1] != 0 {
		t.Fatalf("cancel: %v", codes)
	}
	if codes := reassign(t, c, map[int32][]int32{1: nil}); codes[1] != kerr.NoReassignmentInProgress.Code {
		t.Errorf("cancelled twice: %v", codes)
	}
	c.Node(int(away)).Start()
	awaitReassigned(t, c)
	c.Node(first).Start()
	want := assignment{{away, b}, {b, a}}
	awaitPlaced(t, c.Node(first).Addr(), want)
	checkLogs(t, c, want)
	checkDrain(t, drain(t, c.Node(first).Addr(), 2), acked, true)
	if list, err := s.ReadReassignments(ctx); list != nil || err != nil {
		t.Errorf("/admin/reassign_partitions still asks for %v, %v", list, err)
	}
}
