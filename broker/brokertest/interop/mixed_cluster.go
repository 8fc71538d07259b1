//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

const (
	mixedPartitions = 3  // of each topic
	mixedRate       = 60 // records a second of each client
	healed          = 60 * time.Second
)

// mixedCluster are brokers of several makers on one ZooKeeper.
type mixedCluster struct {
	t         *testing.T
	zookeeper string // zookeeper.connect
	zk        znodes
	members   []*member
	loads     []*load
}

// startMixed starts one member of each release, all at the same time.
func startMixed(t *testing.T, zookeeper string, releases []string, properties ...string) *mixedCluster {
	t.Helper()
	c := &mixedCluster{t: t, zookeeper: zookeeper}
	for id, release := range releases {
		m := newMember(t, release, int32(id), zookeeper, append([]string{"min.insync.replicas=2", "default.replication.factor=3"},
			properties...)...)
		c.members = append(c.members, m)
		m.launch()
	}
	for _, m := range c.members {
		m.awaitUp()
	}
	c.zk = zkSession(t, zookeeper) // the brokers have made the chroot
	await(t, healed, "all brokers to be registered", func() bool {
		brokers, err := c.zk.Brokers(t.Context())
		return err == nil && len(brokers) == len(releases)
	})
	return c
}

func (c *mixedCluster) bootstrap() (all []string) {
	for _, m := range c.members {
		all = append(all, m.addr)
	}
	return all
}

// startLoads makes a topic for each family of clients, with a replica on every member, and has it written to.
func (c *mixedCluster) startLoads() {
	c.t.Helper()
	admin := adminOf(c.t, c.members[0].addr)
	for _, f := range families {
		small := "300000" // so that segments roll
		created, err := admin.CreateTopic(c.t.Context(), mixedPartitions, int16(len(c.members)),
			map[string]*string{"segment.bytes": &small}, f.name)
		if err != nil {
			c.t.Fatal(err, created)
		}
	}
	c.t.Cleanup(func() {
		if c.t.Failed() && len(c.loads) > 0 {
			c.check(true) // whoever gave up waiting wants to know what became of the records
		}
	})
	for _, f := range families {
		c.loads = append(c.loads, f.start(c.t, c.bootstrap(), f.name, mixedPartitions, mixedRate))
	}
	c.awaitProgress()
}

// awaitProgress waits until every client has got more acknowledgements than now.
func (c *mixedCluster) awaitProgress() {
	c.t.Helper()
	for _, l := range c.loads {
		before := l.acked()
		await(c.t, healed, l.topic+" to get acknowledgements", func() bool { return l.acked() > before+mixedRate/2 })
	}
}

// states are the partitions of the loads as ZooKeeper has them.
func (c *mixedCluster) states() (map[topic.Partition]zkmeta.PartitionState, error) {
	var all []topic.Partition
	for _, f := range families {
		for p := range int32(mixedPartitions) {
			all = append(all, topic.Partition{Topic: f.name, ID: p})
		}
	}
	return c.zk.ReadStates(c.t.Context(), all)
}

// awaitInSync waits until every partition has all its replicas in the ISR.
func (c *mixedCluster) awaitInSync() {
	c.t.Helper()
	var short []string
	defer func() {
		if len(short) > 0 {
			c.t.Logf("not in sync: %v", short)
		}
	}()
	await(c.t, healed, "all replicas to be in sync", func() bool {
		states, err := c.states()
		if err != nil {
			return false
		}
		short = nil
		for p, s := range states {
			if len(s.ISR) != len(c.members) || s.Leader < 0 {
				short = append(short, fmt.Sprintf("%v: leader %d, ISR %v, epoch %d", p, s.Leader, s.ISR, s.LeaderEpoch))
			}
		}
		return len(short) == 0
	})
}

// awaitMoved waits until no partition is led by a member that is gone.
func (c *mixedCluster) awaitMoved(gone *member) {
	c.t.Helper()
	await(c.t, healed, "the leaders to leave "+gone.String(), func() bool {
		states, err := c.states()
		for _, s := range states {
			if s.Leader == gone.id || s.Leader < 0 {
				return false
			}
		}
		return err == nil
	})
}

// controller is who has the role now, nil when nobody has.
func (c *mixedCluster) controller() *member {
	active, err := c.zk.ReadController(c.t.Context())
	if err != nil {
		return nil
	}
	return c.member(active.BrokerID)
}

func (c *mixedCluster) member(id int32) *member {
	at := slices.IndexFunc(c.members, func(m *member) bool { return m.id == id })
	return c.members[at]
}

// electPreferred gives every member the lead of its share of the partitions.
func (c *mixedCluster) electPreferred() {
	c.t.Helper()
	if _, err := adminOf(c.t, c.controller().addr).ElectLeaders(c.t.Context(), kadm.ElectPreferredReplica, nil); err != nil {
		c.t.Fatal(err)
	}
	await(c.t, healed, "the preferred leaders", func() bool {
		led := make(map[int32]bool)
		states, err := c.states()
		for _, s := range states {
			led[s.Leader] = true
		}
		return err == nil && len(led) == len(c.members)
	})
}

// moveController gives the role to one of the members that are wanted: the others sleep while it is free.
func (c *mixedCluster) moveController(wanted func(*member) bool) *member {
	c.t.Helper()
	if now := c.controller(); now != nil && wanted(now) {
		return now
	}
	for _, m := range c.members {
		if !wanted(m) {
			m.freeze()
			defer m.thaw()
		}
	}
	if err := c.zk.Delete(c.t.Context(), zkmeta.ControllerPath, -1); err != nil {
		c.t.Fatal(err)
	}
	var now *member
	await(c.t, 5*time.Second, "another controller", func() bool { now = c.controller(); return now != nil })
	return now
}

// judge ends the loads and looks for damage: in what was read, and in what lies on disk.
func (c *mixedCluster) judge(failuresAllowed bool) {
	c.t.Helper()
	c.awaitInSync()
	c.check(failuresAllowed)
	c.awaitInSync()
	c.compareReplicas()
}

// check ends the loads and compares what their producers were told with what a reader sees.
func (c *mixedCluster) check(failuresAllowed bool) {
	c.t.Helper()
	loads := c.loads
	c.loads = nil
	for _, l := range loads {
		l.stop()
		fates := l.fates()
		failed := slices.DeleteFunc(slices.Clone(fates), func(f fate) bool { return f.failed == "" })
		found := findings(fates, drain(c.t, c.bootstrap(), l.topic))
		c.t.Logf("%s: %d records sent, %d failed, %d findings", l.topic, len(fates), len(failed), len(found))
		for _, f := range found[:min(len(found), 20)] {
			c.t.Errorf("%s: %s", l.topic, f)
		}
		if len(failed) > 0 && !failuresAllowed {
			c.t.Errorf("%s: %d sends failed, the first: %+v", l.topic, len(failed), failed[0])
		}
	}
}

// compareReplicas stops all members and compares the logs of every partition, byte by byte, and the topic ids. Nothing
// is written any more and all replicas are in sync, so all of the log is below the high watermark.
func (c *mixedCluster) compareReplicas() {
	c.t.Helper()
	ids := c.topicIDs()
	c.awaitSameEnds()
	for _, m := range c.members {
		m.terminate()
	}
	for _, f := range families {
		for p := range mixedPartitions {
			name := fmt.Sprintf("%s-%d", f.name, p)
			first := logBytes(c.t, filepath.Join(c.members[0].dir, name))
			if len(first) == 0 {
				c.t.Errorf("%s is empty", name)
			}
			for _, m := range c.members {
				if got := logBytes(c.t, filepath.Join(m.dir, name)); !bytes.Equal(got, first) {
					c.t.Errorf("%s: the log of %v (%d bytes) differs from that of %v (%d bytes) at byte %d", name, m, len(got),
						c.members[0], len(first), firstDifference(got, first))
				}
				if id := idOnDisk(c.t, filepath.Join(m.dir, name)); id != ids[f.name] {
					c.t.Errorf("%s: the topic id on %v is %s, in ZooKeeper %s", name, m, id, ids[f.name])
				}
			}
		}
	}
}

// awaitSameEnds waits until the followers have everything: the files of all replicas are equally long.
func (c *mixedCluster) awaitSameEnds() {
	c.t.Helper()
	await(c.t, healed, "the followers to have all records", func() bool {
		for _, f := range families {
			for p := range mixedPartitions {
				name := fmt.Sprintf("%s-%d", f.name, p)
				first := logSize(filepath.Join(c.members[0].dir, name))
				for _, m := range c.members {
					if logSize(filepath.Join(m.dir, name)) != first {
						return false
					}
				}
			}
		}
		return true
	})
}

// topicIDs are those of the topic znodes.
func (c *mixedCluster) topicIDs() map[string]string {
	c.t.Helper()
	ids := make(map[string]string)
	for _, f := range families {
		data, _, err := c.zk.Get(c.t.Context(), "/brokers/topics/"+f.name)
		var znode struct {
			ID string `json:"topic_id"`
		}
		if err == nil {
			err = json.Unmarshal(data, &znode)
		}
		if err != nil || znode.ID == "" {
			c.t.Errorf("topic %s has no id: %s, %v", f.name, data, err)
		}
		ids[f.name] = znode.ID
	}
	return ids
}

// idOnDisk is the topic id of partition.metadata, "" where there is no such file.
func idOnDisk(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "partition.metadata"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	_, id, _ := strings.Cut(string(text), "topic_id: ")
	return strings.TrimSpace(id)
}

// logBytes is a partition's log: its segments one after the other. Each replica rolls them where it likes.
func logBytes(t *testing.T, dir string) (all []byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		}
		all = append(all, data...)
	}
	return all
}

func logSize(dir string) (size int64) {
	files, _ := filepath.Glob(filepath.Join(dir, "*.log"))
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			size += info.Size()
		}
	}
	return size
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
