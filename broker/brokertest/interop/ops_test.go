//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// A toolset are the tools of one maker, told where the cluster is in one of the two ways of the trade.
type toolset struct {
	name   string
	run    tool
	target func(c *mixedCluster) []string
}

func byBootstrap(c *mixedCluster) []string {
	return []string{"--bootstrap-server", strings.Join(c.bootstrap(), ",")}
}

func byZooKeeper(c *mixedCluster) []string { return []string{"--zookeeper", c.zookeeper} }

// TestOperationsEndInTheSameState has topics created, grown, altered, reassigned and deleted by the tools people have,
// on brokers of Kafka and on ours, and compares what is left in ZooKeeper and in the log directories.
func TestOperationsEndInTheSameState(t *testing.T) {
	zookeeper := startEnsemble(t, 1)
	type onBrokers struct {
		release  string
		toolsets []toolset
	}
	clusters := []onBrokers{
		// The first is the measure of all others.
		{kafkaOld, []toolset{
			{"Kafka's of " + kafkaOld + " by bootstrap server", javaTool(kafkaOld), byBootstrap},
			{"ours by bootstrap server", ourTool, byBootstrap},
			{"ours by znodes", ourTool, byZooKeeper},
		}},
		{ours, []toolset{
			{"Kafka's of " + kafkaOld + " by bootstrap server", javaTool(kafkaOld), byBootstrap},
			{"Kafka's of " + kafkaNew + " by bootstrap server", javaTool(kafkaNew), byBootstrap},
			{"Kafka's of " + kafkaOld + " by znodes", javaTool(kafkaOld), byZooKeeper},
			{"Kafka's of " + kafkaAncient + " by znodes", javaTool(kafkaAncient), byZooKeeper},
			{"ours by bootstrap server", ourTool, byBootstrap},
			{"ours by znodes", ourTool, byZooKeeper},
		}},
	}
	if os.Getenv("ZURAU_TORTURE") != "" {
		clusters = append(clusters, onBrokers{kafkaNew, []toolset{
			{"Kafka's of " + kafkaNew + " by bootstrap server", javaTool(kafkaNew), byBootstrap},
			{"ours by bootstrap server", ourTool, byBootstrap},
			{"ours by znodes", ourTool, byZooKeeper},
		}})
	}
	var want *endState
	for _, cluster := range clusters {
		c := startMixed(t, zookeeper+"/ops-"+cluster.release, slices.Repeat([]string{cluster.release}, 3), "inter.broker.protocol.version=2.8")
		for i, tools := range cluster.toolsets {
			t.Run(fmt.Sprintf("%s brokers, tools %s", cluster.release, tools.name), func(t *testing.T) {
				c.t = t
				got := c.operate(fmt.Sprintf("ops%d", i), tools)
				if want == nil {
					want = &got
				} else if diff := cmp.Diff(*want, got); diff != "" {
					t.Errorf("the measure (-) and this (+):\n%s", diff)
				}
			})
			c.t = t
		}
		for _, m := range c.members {
			m.terminate()
		}
	}
}

// endState is what operations leave behind, without names and ids of their own.
type endState struct {
	Replicas  map[string][]int32 // by partition
	Running   bool               // a reassignment
	Leaders   map[string]int32
	Epochs    map[string]int32 // leader epochs
	ISRs      map[string][]int32
	Configs   map[string]string
	OnDisk    map[string][]int32 // by partition: on which brokers
	SameID    bool               // in ZooKeeper as at first, and on every disk
	Leftovers []string           // znodes of the deleted topic, and requests nobody has cleared away
}

// operate makes two topics, changes one in all the ways there are and deletes the other.
func (c *mixedCluster) operate(name string, tools toolset) endState {
	t := c.t
	t.Helper()
	do := func(tool string, args ...string) string {
		t.Helper()
		out, err := tools.run(t, "", tool, append(tools.target(c), args...)...)
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", tool, args, err, out)
		}
		return out
	}
	gone := name + "-gone"
	do("kafka-topics", "--create", "--topic", name, "--replica-assignment", "0:1,1:2", "--config", "retention.ms=1000000")
	do("kafka-topics", "--create", "--topic", gone, "--partitions", "2", "--replication-factor", "3")
	c.awaitReplicas(name, 2, nil)
	c.awaitReplicas(gone, 2, nil)
	first := c.topicID(name)
	do("kafka-topics", "--alter", "--topic", name, "--partitions", "3", "--replica-assignment", "0:1,1:2,2:0")
	c.awaitReplicas(name, 3, nil)
	do("kafka-configs", "--alter", "--entity-type", "topics", "--entity-name", name, "--add-config", "max.message.bytes=123456,segment.ms=777777")
	plan := filepath.Join(t.TempDir(), "plan.json")
	writeFile(t, plan, fmt.Sprintf(`{"version":1,"partitions":[{"topic":%q,"partition":0,"replicas":[2,1]},`+
		`{"topic":%[1]q,"partition":1,"replicas":[1,0,2]}]}`, name))
	do("kafka-reassign-partitions", "--reassignment-json-file", plan, "--execute")
	c.awaitReplicas(name, 3, map[string][]int32{"0": {2, 1}, "1": {1, 0, 2}})
	await(t, healed, "the reassignment to be complete by the tool's own word", func() bool {
		return strings.Count(do("kafka-reassign-partitions", "--reassignment-json-file", plan, "--verify"), "omplete") >= 2
	})
	do("kafka-topics", "--delete", "--topic", gone)
	var end endState
	await(t, healed, "the topic to go", func() bool {
		end = c.endState(name, gone)
		return len(end.Leftovers) == 0
	})
	end.SameID = c.topicID(name) == first && first != ""
	for p, brokers := range end.OnDisk {
		for _, id := range brokers {
			m := c.member(id)
			found := idOnDisk(t, filepath.Join(m.dir, name+"-"+p))
			// Kafka 2.8 writes no partition.metadata for a partition that was added to a topic.
			if found != first && (found != "" || m.release != kafkaOld) {
				t.Errorf("%v has %s-%s under id %q, the topic's is %q", m, name, p, found, first)
				end.SameID = false
			}
		}
	}
	return end
}

// awaitReplicas waits until a topic has so many partitions, all replicas in sync, and the replicas that are wanted.
func (c *mixedCluster) awaitReplicas(name string, partitions int, want map[string][]int32) {
	c.t.Helper()
	var s endState
	defer func() {
		if c.t.Failed() {
			c.t.Logf("the state: %+v", s)
		}
	}()
	await(c.t, healed, fmt.Sprintf("%d partitions of %s", partitions, name), func() bool {
		s = c.endState(name, "")
		for p, replicas := range want {
			if !slices.Equal(s.Replicas[p], replicas) {
				return false
			}
		}
		for p, replicas := range s.Replicas {
			isr := slices.Sorted(slices.Values(replicas))
			if !slices.Equal(s.ISRs[p], isr) || !slices.Equal(s.OnDisk[p], isr) || s.Leaders[p] < 0 {
				return false
			}
		}
		return len(s.Replicas) == partitions && !s.Running
	})
}

// endState reads what there is of a topic, and what is left of the one that was deleted, "" for none.
func (c *mixedCluster) endState(name, deleted string) endState {
	ctx := c.t.Context()
	s := endState{Replicas: map[string][]int32{}, Leaders: map[string]int32{}, Epochs: map[string]int32{},
		ISRs: map[string][]int32{}, OnDisk: map[string][]int32{}}
	a, err := c.zk.ReadTopic(ctx, name)
	if err != nil {
		return s
	}
	var all []topic.Partition
	for p, r := range a.Partitions {
		all = append(all, topic.Partition{Topic: name, ID: p})
		s.Replicas[fmt.Sprint(p)] = r
	}
	s.Running = len(a.Adding)+len(a.Removing) > 0
	states, _ := c.zk.ReadStates(ctx, all)
	for p, state := range states {
		at := fmt.Sprint(p.ID)
		s.Leaders[at], s.Epochs[at], s.ISRs[at] = state.Leader, state.LeaderEpoch, slices.Sorted(slices.Values(state.ISR))
	}
	s.Configs, _ = c.zk.ReadConfig(ctx, zkmeta.TopicEntity(name))
	for _, m := range c.members {
		dirs, _ := filepath.Glob(filepath.Join(m.dir, "ops*"))
		for _, dir := range dirs {
			base := filepath.Base(dir)
			if p, ours := strings.CutPrefix(base, name+"-"); ours && !strings.Contains(p, "-") {
				s.OnDisk[p] = append(s.OnDisk[p], m.id)
			} else if deleted != "" && strings.HasPrefix(base, deleted) && !strings.HasSuffix(base, "-delete") {
				s.Leftovers = append(s.Leftovers, base)
			}
		}
	}
	if deleted != "" {
		for _, path := range []string{"/brokers/topics/" + deleted, "/config/topics/" + deleted, "/admin/delete_topics/" + deleted,
			"/admin/reassign_partitions"} {
			if c.zk.has(c.t, path) {
				s.Leftovers = append(s.Leftovers, path)
			}
		}
	}
	return s
}

// topicID is the id in a topic's znode, "" when it has none.
func (c *mixedCluster) topicID(name string) string {
	c.t.Helper()
	data, _, err := c.zk.Get(c.t.Context(), "/brokers/topics/"+name)
	if err != nil {
		c.t.Fatal(err)
	}
	var znode struct {
		ID string `json:"topic_id"`
	}
	if err := json.Unmarshal(data, &znode); err != nil {
		c.t.Errorf("topic %s: %s: %v", name, data, err)
	}
	return znode.ID
}
