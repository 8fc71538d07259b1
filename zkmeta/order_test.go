package zkmeta

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/broker/topic"
)

// kafkaWrites gives the writes of one captured phase as lines of operation and path. A failed one shows no path there,
// so that only successful ones are compared, but for the first (which lines of a multi it has is known).
func kafkaWrites(t *testing.T, version, phase string) []string {
	t.Helper()
	file, err := os.ReadFile("testdata/zkops/" + version + "/" + phase + ".tsv")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	failed := map[string]bool{}
	rows := strings.Split(strings.TrimSpace(string(file)), "\n")[1:]
	for _, row := range rows {
		if f := strings.Split(row, "\t"); f[3] == "error" {
			failed[f[0]] = true
		}
	}
	for _, row := range rows {
		f := strings.Split(row, "\t")
		group, multi, op, path := f[0], f[2], f[3], f[4]
		if failed[group] || op == "createSession" {
			continue
		}
		if multi == "multi" {
			op = "multi " + op
		}
		lines = append(lines, op+" "+path)
	}
	return lines
}

// ourWrites are the requests that went by, in the same form, without those that are known to fail.
func ourWrites(chroot string, seen []request, failing ...string) []string {
	names := map[int32]string{opCreate: "create", opDelete: "delete", opSetData: "setData", opCheck: "check"}
	var lines []string
	for _, r := range seen {
		if r.op != opMulti {
			lines = append(lines, names[r.op]+" "+strings.TrimPrefix(r.path, chroot))
			continue
		}
		var ops []string
		for _, sub := range r.sub {
			ops = append(ops, "multi "+names[sub.op]+" "+strings.TrimPrefix(sub.path, chroot))
		}
		lines = append(lines, ops...)
	}
	for _, line := range failing {
		if i := slices.Index(lines, line); i >= 0 {
			n := 1
			if strings.HasPrefix(line, "multi check") {
				n = 2
			}
			lines = slices.Delete(lines, i, i+n)
		}
	}
	return lines
}

func TestWritesComeInKafkasOrder(t *testing.T) {
	for version, level := range map[string]ibp.Level{"2.8.2": ibp.V2_8_IV1, "3.9.1": ibp.V3_9_IV0} {
		t.Run(version, func(t *testing.T) {
			zk := startServer(t)
			p := startProxy(t, zk.addr)
			s := session(t, connect(t, zk.at(p.addr()), func(o *Options) { o.Level = level }))
			ctx := t.Context()
			p.writes() // the chroot

			phase := func(name string, failing ...string) {
				t.Helper()
				if diff := cmp.Diff(kafkaWrites(t, version, name), ourWrites(zk.chroot, p.writes(), failing...)); diff != "" {
					t.Errorf("%s: Kafka's writes are -, ours +:\n%s", name, diff)
				}
			}
			must(t, s.EnsurePaths(ctx))
			_, err := s.ClusterID(ctx)
			must(t, err)
			_, err = s.RegisterBroker(ctx, BrokerInfo{ID: 0})
			must(t, err)
			epoch, err := s.Elect(ctx, 0, 1)
			must(t, err)
			_, err = s.SetUpFeatures(ctx)
			must(t, err)
			if !level.ControllerAllocatesProducerIDs() {
				_, err = s.NextProducerIDBlock(ctx, 0)
				must(t, err)
			}
			must(t, s.RemovePreferredElection(ctx, epoch))
			phase("01-first-broker-starts", "create /brokers/ids", "create /config/changes", "create /admin/delete_topics",
				"create /cluster/id", "multi check /controller_epoch")

			three := TopicAssignment{ID: topic.NewID(), Partitions: map[int32][]int32{0: {0, 1, 2}, 1: {1, 2, 0}, 2: {2, 0, 1}}}
			must(t, s.CreateTopic(ctx, "t", nil, three))
			states := map[topic.Partition]PartitionState{}
			for id, replicas := range three.Partitions {
				states[topic.Partition{Topic: "t", ID: id}] = PartitionState{Leader: replicas[0], ControllerEpoch: 1, ISR: replicas}
			}
			for p, r := range s.CreateStates(ctx, epoch, states) {
				if r.Err != nil {
					t.Errorf("%v: %v", p, r.Err)
				}
			}
			if level >= ibp.V3_7_IV0 {
				phase("04-topic-created", "multi check /controller")
			} else {
				phase("04-topic-created", "setData /config/topics/t")
			}

			must(t, s.WriteConfig(ctx, TopicEntity("t"), map[string]string{"retention.ms": "1000000"}))
			writes := ourWrites(zk.chroot, p.writes(), "create /config/changes")
			writes[len(writes)-1] += fmt.Sprintf("%010d", 0) // the server gives the number
			if diff := cmp.Diff(kafkaWrites(t, version, "05-topic-config-altered"), writes); diff != "" {
				t.Errorf("05-topic-config-altered: Kafka's writes are -, ours +:\n%s", diff)
			}

			four, err := s.ReadTopic(ctx, "t")
			must(t, err)
			four.Partitions[3] = []int32{1, 0, 2}
			must(t, s.AddPartitions(ctx, "t", four))
			s.CreateStates(ctx, epoch, map[topic.Partition]PartitionState{{Topic: "t", ID: 3}: {Leader: 1, ISR: []int32{1, 0, 2}}})
			phase("06-partition-added", "multi check /controller_epoch")

			must(t, s.MarkTopicDeleted(ctx, "t"))
			must(t, s.RemoveTopic(ctx, epoch, "t"))
			removal := kafkaWrites(t, version, "16-topic-deleted")
			// What comes between the mark and the first deletion is the controller's stopping of replicas.
			first := slices.Index(removal, "multi delete /brokers/topics/t/partitions/0/state")
			removal = append(removal[:1:1], removal[first-1:]...)
			if diff := cmp.Diff(removal, ourWrites(zk.chroot, p.writes())); diff != "" {
				t.Errorf("16-topic-deleted: Kafka's writes are -, ours +:\n%s", diff)
			}
			for _, path := range []string{TopicPath("t"), TopicEntity("t").path(), DeleteTopicPath("t")} {
				if _, err := s.Exists(ctx, path); err == nil {
					t.Errorf("%s is still there", path)
				}
			}
		})
	}
}
