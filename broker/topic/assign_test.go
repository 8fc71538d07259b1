package topic

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/zurau/zurau/broker/kerr"
)

func TestLeadersGoAroundAndFollowersShiftEachRound(t *testing.T) {
	brokers := []BrokerRack{{3, ""}, {0, ""}, {2, ""}, {1, ""}, {4, ""}}
	got, err := AssignReplicas(brokers, 0, 10, 3, 0, 0)
	want := map[int32][]int32{0: {0, 1, 2}, 1: {1, 2, 3}, 2: {2, 3, 4}, 3: {3, 4, 0}, 4: {4, 0, 1},
		5: {0, 2, 3}, 6: {1, 3, 4}, 7: {2, 4, 0}, 8: {3, 0, 1}, 9: {4, 1, 2}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// The values are those of Kafka's own test of its rack-aware assignment.
func TestLeadersAlternateBetweenRacksAndFollowersAreElsewhere(t *testing.T) {
	brokers := []BrokerRack{{0, "rack1"}, {1, "rack3"}, {2, "rack3"}, {3, "rack2"}, {4, "rack2"}, {5, "rack1"}}
	got, err := AssignReplicas(brokers, 0, 7, 3, 0, 0)
	want := map[int32][]int32{0: {0, 3, 1}, 1: {3, 1, 5}, 2: {1, 5, 4}, 3: {5, 4, 2}, 4: {4, 2, 0}, 5: {2, 0, 3}, 6: {0, 4, 2}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// As while racks are being introduced, broker by broker. Kafka's tools do the same; its brokers then refuse topics.
func TestARackOnSomeBrokersIsNone(t *testing.T) {
	some, err := AssignReplicas([]BrokerRack{{0, "a"}, {1, "a"}, {2, ""}, {3, "b"}}, 0, 8, 2, 1, 2)
	none, _ := AssignReplicas([]BrokerRack{{0, ""}, {1, ""}, {2, ""}, {3, ""}}, 0, 8, 2, 1, 2)
	if diff := cmp.Diff(none, some); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestWhatCannotBeIsRefusedWithItsCode(t *testing.T) {
	one := []BrokerRack{{ID: 1}}
	for _, c := range []struct {
		partitions int32
		factor     int
		code       int16
	}{{0, 1, 37}, {1, 0, 38}, {1, 2, 38}} {
		if _, err := AssignReplicas(one, 0, c.partitions, c.factor, 0, 0); kerr.CodeOf(err) != c.code {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestReplicasAreDistinctBalancedAndOnAsManyRacksAsThereAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(t, "brokers")
		racks := rapid.IntRange(1, 3).Draw(t, "racks")
		factor := rapid.IntRange(1, n).Draw(t, "factor")
		var brokers []BrokerRack
		rackOf := map[int32]string{}
		present := map[string]bool{}
		for i := range n {
			b := BrokerRack{int32(i), string(rune('a' + i%racks))}
			brokers = append(brokers, b)
			rackOf[b.ID], present[b.Rack] = b.Rack, true
		}
		got, err := AssignReplicas(brokers, rapid.Int32Range(0, 20).Draw(t, "first"), int32(2*n), factor,
			rapid.IntRange(0, n-1).Draw(t, "start"), rapid.IntRange(0, n-1).Draw(t, "shift"))
		if err != nil {
			t.Fatal(err)
		}
		leads := map[int32]int{}
		for p, replicas := range got {
			seen, onRacks := map[int32]bool{}, map[string]bool{}
			for _, b := range replicas {
				seen[b] = true
				onRacks[rackOf[b]] = true
			}
			if len(seen) != factor || len(onRacks) != min(factor, len(present)) {
				t.Fatalf("partition %d: %v on racks %v", p, replicas, onRacks)
			}
			leads[replicas[0]]++
		}
		for b := range rackOf {
			if leads[b] != 2 {
				t.Fatalf("broker %d leads %d of %d partitions", b, leads[b], 2*n)
			}
		}
	})
}
