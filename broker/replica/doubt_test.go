package replica

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/storage"
	"github.com/zurau/zurau/broker/topic"
)

// named sends a LeaderAndIsr to a registration of this broker.
func named(t *testing.T, m *Manager, brokerEpoch int64, leader, leaderEpoch int32) {
	t.Helper()
	req := kmsg.NewPtrLeaderAndISRRequest()
	req.Version, req.ControllerEpoch, req.BrokerEpoch = 7, 1, brokerEpoch
	p := kmsg.NewLeaderAndISRRequestTopicPartition()
	p.Leader, p.LeaderEpoch, p.ISR, p.Replicas = leader, leaderEpoch, []int32{leader}, []int32{self, 2}
	req.TopicStates = []kmsg.LeaderAndISRRequestTopicState{{Topic: "t",
		PartitionStates: []kmsg.LeaderAndISRRequestTopicPartition{p}}}
	if resp := m.LeaderAndIsr(req); resp.ErrorCode != 0 {
		t.Fatal(resp.ErrorCode)
	}
}

func TestARoleInDoubtAcknowledgesNothingAlone(t *testing.T) {
	const before, after = 100, 200 // broker epochs
	for _, c := range []struct {
		name string
		told func(*testing.T, *Manager)
		want error // of acks=1
	}{
		{"nothing has come yet", func(*testing.T, *Manager) {}, kerr.NotLeaderOrFollower},
		{"what came was meant for the registration before", func(t *testing.T, m *Manager) { named(t, m, before, self, 5) },
			kerr.NotLeaderOrFollower},
		{"a new epoch for the registration before", func(t *testing.T, m *Manager) { named(t, m, before, self, 6) },
			kerr.NotLeaderOrFollower},
		{"the same leadership is named to the new registration", func(t *testing.T, m *Manager) { named(t, m, after, self, 5) }, nil},
		{"a new leadership is", func(t *testing.T, m *Manager) { named(t, m, after, self, 6) }, nil},
		{"an older epoch says nothing about this one", func(t *testing.T, m *Manager) { named(t, m, after, self, 4) },
			kerr.NotLeaderOrFollower},
		{"another leader in the same epoch neither", func(t *testing.T, m *Manager) { named(t, m, after, 2, 5) },
			kerr.NotLeaderOrFollower},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newManager(t, nil)
			named(t, m, before, self, 5)
			p := m.Partition(t0)
			produce := func(acks int16) error {
				_, err := p.AppendAsLeader(batch(t, "a"), acks, storage.AppendOptions{Origin: storage.Client, ProduceVersion: 9})
				return err
			}
			if err := produce(1); err != nil {
				t.Fatal(err)
			}
			m.Doubt(before)
			c.told(t, m)
			if err := produce(1); !errors.Is(err, c.want) {
				t.Errorf("acks=1: %v, want %v", err, c.want)
			}
			if err := produce(-1); err != nil {
				t.Errorf("acks=all, which waits for the ISR: %v", err)
			}
		})
	}
}

func TestWhatBringsTheLead(t *testing.T) {
	m := newManager(t, nil)
	mustLead(t, m, state{self, 3, []int32{self}, []int32{self, 2}, topic.ID{}})
	request := func(name string, leader int32) *kmsg.LeaderAndISRRequest {
		req := kmsg.NewPtrLeaderAndISRRequest()
		req.Version = 7
		req.TopicStates = []kmsg.LeaderAndISRRequestTopicState{{Topic: name,
			PartitionStates: []kmsg.LeaderAndISRRequestTopicPartition{{Leader: leader}}}}
		return req
	}
	for _, c := range []struct {
		name string
		req  *kmsg.LeaderAndISRRequest
		want bool
	}{
		{"a partition led already", request("t", self), false},
		{"a partition not known here", request("u", self), true},
		{"another's lead", request("u", 2), false},
	} {
		if got := m.BringsLead(c.req); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}
