package brokertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/zkmeta"
)

// elect asks a broker for elections of t-0; all means every partition there is. The answer is the code of t-0, or -2
// when it is not mentioned.
func elect(t *testing.T, addr string, unclean, all bool) int16 {
	t.Helper()
	req := kmsg.NewPtrElectLeadersRequest()
	req.Version, req.TimeoutMillis = 1, 20000
	if unclean {
		req.ElectionType = 1
	}
	if !all {
		req.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: "t", Partitions: []int32{0}}}
	}
	resp := ask[*kmsg.ElectLeadersResponse](t, addr, req)
	if resp.ErrorCode != 0 {
		t.Fatalf("error %d", resp.ErrorCode)
	}
	for _, rt := range resp.Topics {
		if rt.Topic == "t" {
			return rt.Partitions[0].ErrorCode
		}
	}
	return -2
}

// awaitInSync waits until the ISR of t-0 is what it should be, as a broker was told.
func awaitInSync(t *testing.T, addr string, want ...int32) {
	t.Helper()
	eventually(t, fmt.Sprintf("the ISR is %v", want), func() error {
		partitions := metadataOf(t, addr, "t", false).Partitions
		if len(partitions) == 0 {
			return errors.New("the broker has not heard of the topic")
		}
		if isr := partitions[0].ISR; !slices.Equal(slices.Sorted(slices.Values(isr)), want) {
			return fmt.Errorf("it is %v", isr)
		}
		return nil
	})
}

func leaderOf(t *testing.T, addr string) int32 {
	t.Helper()
	return metadataOf(t, addr, "t", false).Partitions[0].Leader
}

func TestElectLeaders(t *testing.T) {
	c := Start(t, Brokers(3), quickStops, Property("auto.leader.rebalance.enable", "false"))
	first, _ := controllerOf(t, c.session())
	others := slices.DeleteFunc([]int{0, 1, 2}, func(id int) bool { return id == first })
	a, b := c.Node(others[0]), c.Node(others[1])
	createAssigned(t, c, assignment{{int32(a.id), int32(b.id)}}, nil)
	controller := c.Node(first).Addr()
	both := []int32{int32(a.id), int32(b.id)}

	a.Restart()
	awaitInSync(t, controller, both...)
	if leader := leaderOf(t, controller); leader != int32(b.id) {
		t.Fatalf("broker %d leads after the restart of %d", leader, a.id)
	}
	if code := elect(t, a.Addr(), false, false); code != kerr.NotController.Code {
		t.Errorf("asked elsewhere: error %d", code)
	}
	if code := elect(t, controller, false, true); code != 0 {
		t.Errorf("a preferred leader for all: error %d", code)
	}
	if leader := leaderOf(t, controller); leader != int32(a.id) {
		t.Errorf("the answer came before broker %d was told of its new leader %d: it knows %d", first, a.id, leader)
	}
	if code := elect(t, controller, false, false); code != kerr.ElectionNotNeeded.Code {
		t.Errorf("once more: error %d", code)
	}
	if code := elect(t, controller, false, true); code != -2 {
		t.Errorf("once more for all: error %d", code)
	}

	b.Stop()
	awaitInSync(t, controller, int32(a.id))
	a.Stop()
	b.Start()
	if code := elect(t, controller, false, false); code != kerr.PreferredLeaderNotAvailable.Code {
		t.Errorf("the preferred leader is away: error %d", code)
	}
	if code := elect(t, controller, true, false); code != 0 {
		t.Errorf("an unclean leader: error %d", code)
	}
	if leader := leaderOf(t, controller); leader != int32(b.id) {
		t.Errorf("broker %d leads", leader)
	}
	if code := elect(t, controller, true, false); code != kerr.ElectionNotNeeded.Code {
		t.Errorf("an unclean leader once more: error %d", code)
	}
}

// The last of the ISR is gone. The operator allows the topic an unclean leader, and it has one.
func TestAnUncleanLeaderOnceTheTopicAllowsIt(t *testing.T) {
	c := Start(t, Brokers(3), quickStops)
	s := c.session()
	first, _ := controllerOf(t, s)
	others := slices.DeleteFunc([]int{0, 1, 2}, func(id int) bool { return id == first })
	a, b := c.Node(others[0]), c.Node(others[1])
	createAssigned(t, c, assignment{{int32(a.id), int32(b.id)}}, nil)
	controller := c.Node(first).Addr()
	b.Stop()
	a.Stop()
	b.Start()
	if leader := leaderOf(t, controller); leader != -1 {
		t.Fatalf("broker %d leads without being asked", leader)
	}
	config := map[string]string{"unclean.leader.election.enable": "true"}
	if err := s.WriteConfig(context.Background(), zkmeta.TopicEntity("t"), config); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is a leader", func() error {
		if leader := leaderOf(t, controller); leader != int32(b.id) {
			return fmt.Errorf("broker %d leads", leader)
		}
		return nil
	})
}

// auto.leader.rebalance.enable: the leader comes back without anybody asking.
func TestLeadersGoBackByThemselves(t *testing.T) {
	c := Start(t, Brokers(3), quickStops, Property("leader.imbalance.check.interval.seconds", "1"))
	createAssigned(t, c, assignment{{1, 2}}, nil)
	c.Node(1).Restart()
	eventually(t, "broker 1 leads again", func() error {
		if leader := leaderOf(t, c.Node(0).Addr()); leader != 1 {
			return fmt.Errorf("broker %d leads", leader)
		}
		return nil
	})
}
