package replica

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
)

// leadOf is one partition that this broker is to lead alone.
func leadOf(name string, id, epoch int32) kmsg.LeaderAndISRRequestTopicPartition {
	s := kmsg.NewLeaderAndISRRequestTopicPartition()
	s.Topic, s.Partition, s.Leader, s.LeaderEpoch, s.IsNew = name, id, self, epoch, true
	s.ISR, s.Replicas = []int32{self}, []int32{self}
	return s
}

func TestLeaderAndIsrIsUnderstoodInEveryVersion(t *testing.T) {
	for version := int16(0); version <= 7; version++ {
		m := newManager(t, nil)
		req := kmsg.NewPtrLeaderAndISRRequest()
		req.Version = version
		states := []kmsg.LeaderAndISRRequestTopicPartition{leadOf("t", 0, 0), leadOf("u", 0, 0), leadOf("t", 1, 0)}
		for _, s := range states {
			if version < 2 {
				req.PartitionStates = append(req.PartitionStates, s)
			} else {
				req.TopicStates = append(req.TopicStates, kmsg.LeaderAndISRRequestTopicState{Topic: s.Topic,
					PartitionStates: []kmsg.LeaderAndISRRequestTopicPartition{s}})
			}
		}
		resp := m.LeaderAndIsr(req)
		answered := len(resp.Partitions)
		for _, top := range resp.Topics {
			answered += len(top.Partitions)
		}
		if flat := version < 5; answered != 3 || flat != (len(resp.Topics) == 0) {
			t.Errorf("version %d: %+v", version, resp)
		}
		for _, s := range states {
			if m.Partition(topic.Partition{Topic: s.Topic, ID: s.Partition}) == nil {
				t.Errorf("version %d: %s-%d is not hosted", version, s.Topic, s.Partition)
			}
		}
	}
}

func TestWhatALeaderAndIsrMayNotSay(t *testing.T) {
	m := newManager(t, nil)
	req := kmsg.NewPtrLeaderAndISRRequest()
	req.Version = 4
	for _, s := range []kmsg.LeaderAndISRRequestTopicPartition{leadOf("t", 0, 0), leadOf("t", 0, 1), leadOf("../t", 0, 0), leadOf("t", -1, 0)} {
		req.TopicStates = append(req.TopicStates, kmsg.LeaderAndISRRequestTopicState{Topic: s.Topic,
			PartitionStates: []kmsg.LeaderAndISRRequestTopicPartition{s}})
	}
	resp := m.LeaderAndIsr(req)
	for i, want := range []int16{0, kerr.InvalidRequest.Code, kerr.InvalidTopicException.Code, kerr.InvalidTopicException.Code} {
		if got := resp.Partitions[i].ErrorCode; got != want {
			t.Errorf("%s-%d: code %d, want %d", resp.Partitions[i].Topic, resp.Partitions[i].Partition, got, want)
		}
	}
	if _, epoch := m.Partition(t0).Leader(); epoch != 0 {
		t.Errorf("of a partition that is named twice the first state counts, and the epoch is %d", epoch)
	}
}

// A log that an older broker made has no topic id; the controller's makes it whole.
func TestALogWithoutTopicIDGetsOne(t *testing.T) {
	id := topic.NewID()
	for _, epoch := range []int32{0, 1} { // the same leader epoch once more, and the next
		m := newManager(t, nil)
		p := mustLead(t, m, state{self, 0, []int32{self}, []int32{self}, topic.ID{}})
		mustLead(t, m, state{self, epoch, []int32{self}, []int32{self}, id})
		if epoch == 0 && p.log.TopicID() != id {
			t.Errorf("the topic id is %v", p.log.TopicID())
		}
	}
	m := newManager(t, nil)
	if _, err := m.Storage.Create(t0, topic.ID{}); err != nil {
		t.Fatal(err)
	}
	if p := mustLead(t, m, state{self, 0, []int32{self}, []int32{self}, id}); p.log.TopicID() != id {
		t.Errorf("the topic id of a log that was found is %v", p.log.TopicID())
	}
}

func TestStopReplicaIsUnderstoodInEveryVersion(t *testing.T) {
	for version := int16(0); version <= 4; version++ {
		for _, remove := range []bool{false, true} {
			m := newManager(t, nil)
			mustLead(t, m, state{self, 3, []int32{self}, []int32{self}, topic.NewID()})
			req := kmsg.NewPtrStopReplicaRequest()
			req.Version, req.ControllerEpoch, req.DeletePartitions = version, 1, remove
			one := kmsg.NewStopReplicaRequestTopic()
			one.Topic = "t"
			switch {
			case version >= 3:
				req.DeletePartitions = !remove // which is not in these versions
				s := kmsg.NewStopReplicaRequestTopicPartitionState()
				s.LeaderEpoch, s.Delete = 3, remove
				one.PartitionStates = append(one.PartitionStates, s)
			case version >= 1:
				one.Partitions = []int32{0}
			}
			req.Topics = append(req.Topics, one)
			resp := m.StopReplica(req)
			if len(resp.Partitions) != 1 || resp.Partitions[0].ErrorCode != 0 || m.Partition(t0) != nil {
				t.Errorf("version %d: %+v", version, resp)
			}
			if gone := m.Storage.Log(t0) == nil; gone != remove {
				t.Errorf("version %d: asked to delete: %v, deleted: %v", version, remove, gone)
			}
		}
	}
}

func TestConfigurationsOfNewTopicsAreReadInOneRound(t *testing.T) {
	m := newManager(t, nil)
	var rounds [][]string
	m.RefreshTopics = func(topics []string) { rounds = append(rounds, topics) }
	tell := func(epoch int32, names ...string) {
		req := kmsg.NewPtrLeaderAndISRRequest()
		req.Version = 4
		for _, name := range names {
			req.TopicStates = append(req.TopicStates, kmsg.LeaderAndISRRequestTopicState{Topic: name,
				PartitionStates: []kmsg.LeaderAndISRRequestTopicPartition{leadOf(name, 0, epoch)}})
		}
		m.LeaderAndIsr(req)
	}
	tell(0, "t", "../t", "u")
	tell(1, "t", "u") // their logs are here
	tell(2, "u", "v")
	if want := [][]string{{"t", "u"}, {"v"}}; !cmp.Equal(rounds, want) {
		t.Errorf("read %v, want %v", rounds, want)
	}
}
