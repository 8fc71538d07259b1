package topic

import (
	"slices"

	"github.com/zurau/zurau/broker/kerr"
)

// BrokerRack is a broker that may hold replicas. Rack is "" for none.
type BrokerRack struct {
	ID   int32
	Rack string
}

// AssignReplicas spreads replicas over brokers, partition first and above (first > 0: the topic grows): leaders go
// around the brokers from start, and the followers of a leader shift by one with each round, so that the load of a
// broker that fails spreads as well. With a rack on every broker no rack holds two replicas of a partition while
// another has none (Kafka: AdminUtils.assignReplicasToBrokers, KIP-36). start and shift are drawn by the caller.
//
// INVALID_PARTITIONS and INVALID_REPLICATION_FACTOR say what cannot be.
func AssignReplicas(brokers []BrokerRack, first, partitions int32, factor int, start, shift int) (map[int32][]int32, error) {
	switch {
	case partitions <= 0:
		return nil, kerr.New(kerr.InvalidPartitions, "Number of partitions must be larger than 0.")
	case factor <= 0:
		return nil, kerr.New(kerr.InvalidReplicationFactor, "Replication factor must be larger than 0.")
	case factor > len(brokers):
		return nil, kerr.New(kerr.InvalidReplicationFactor, "Replication factor: %d larger than available brokers: %d.",
			factor, len(brokers))
	}
	ring, racks := ringOf(brokers)
	assigned := make(map[int32][]int32, partitions)
	for p := first; p < first+partitions; p++ {
		if p > 0 && int(p)%len(ring) == 0 {
			shift++
		}
		assigned[p] = spread(ring, racks, factor, (int(p)+start)%len(ring), shift)
	}
	return assigned, nil
}

// spread picks the replicas of one partition, its leader at leader.
func spread(ring []BrokerRack, racks, factor, leader, shift int) []int32 {
	replicas := []int32{ring[leader].ID}
	used := map[string]bool{ring[leader].Rack: true}
	for step := 0; len(replicas) < factor; step++ {
		b := ring[(leader+1+(shift*racks+step)%(len(ring)-1))%len(ring)]
		if slices.Contains(replicas, b.ID) || racks > 1 && used[b.Rack] && len(used) < racks {
			continue
		}
		replicas = append(replicas, b.ID)
		used[b.Rack] = true
	}
	return replicas
}

// ringOf orders the brokers by id, or with racks so that neighbours stand in different ones, and counts the racks; 1
// when racks do not matter.
func ringOf(brokers []BrokerRack) (ring []BrokerRack, racks int) {
	sorted := slices.SortedFunc(slices.Values(brokers), func(a, b BrokerRack) int { return int(a.ID) - int(b.ID) })
	byRack := map[string][]BrokerRack{}
	var names []string
	for _, b := range sorted {
		if b.Rack == "" {
			return sorted, 1
		}
		if byRack[b.Rack] == nil {
			names = append(names, b.Rack)
		}
		byRack[b.Rack] = append(byRack[b.Rack], b)
	}
	slices.Sort(names)
	for i := 0; len(ring) < len(sorted); i++ {
		for _, name := range names {
			if i < len(byRack[name]) {
				ring = append(ring, byRack[name][i])
			}
		}
	}
	return ring, len(names)
}
