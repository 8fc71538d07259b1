package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zurau/zurau/broker/topic"
)

// Replication throttles of a reassignment (KIP-73): the replicas that copy and those copied from stand in the topic's
// configuration, the rate in that of each broker.

const (
	leaderThrottledReplicas   = "leader.replication.throttled.replicas"
	followerThrottledReplicas = "follower.replication.throttled.replicas"
	leaderThrottledRate       = "leader.replication.throttled.rate"
	followerThrottledRate     = "follower.replication.throttled.rate"
	logDirThrottledRate       = "replica.alter.log.dirs.io.max.bytes.per.second"
)

// throttleRates are in bytes a second; below 0 stands for none.
type throttleRates struct {
	interBroker, logDirs int64
}

func (t throttleRates) any() bool { return t.interBroker >= 0 || t.logDirs >= 0 }

// movement is what a partition is copied from and to.
type movement struct {
	sources, destinations []int32
}

// reassigning is a partition that is on its way.
type reassigning struct {
	replicas         []int32 // the coming and the leaving ones included
	adding, removing []int32
}

func subtract(from, what []int32) []int32 {
	return slices.DeleteFunc(slices.Clone(from), func(id int32) bool { return slices.Contains(what, id) })
}

// movements gives what runs and what is wanted, by partition. A partition that is already on its way is copied from the
// replicas it had before.
func movements(running map[topic.Partition]reassigning, wanted, now assignment) (map[topic.Partition]movement, error) {
	moves := make(map[topic.Partition]movement)
	for p, r := range running {
		moves[p] = movement{subtract(r.replicas, r.adding), r.adding}
	}
	for _, p := range wanted.partitions() {
		sources, ok := now[p]
		if m, moving := moves[p]; moving {
			sources, ok = m.sources, true
		}
		if !ok {
			return nil, &javaError{class: "java.lang.RuntimeException",
				message: fmt.Sprintf("Trying to reassign a topic partition %s with 0 replicas", p)}
		}
		moves[p] = movement{sources, subtract(wanted[p], sources)}
	}
	return moves, nil
}

// movingOnly leaves out the movements that copy nothing. The tool of 1.1 does not throttle their leaders.
func movingOnly(moves map[topic.Partition]movement) map[topic.Partition]movement {
	maps.DeleteFunc(moves, func(_ topic.Partition, m movement) bool { return len(m.destinations) == 0 })
	return moves
}

// throttledReplicas gives the two lists of replicas of each topic, partition:broker with commas.
func throttledReplicas(moves map[topic.Partition]movement) (leaders, followers map[string]string) {
	lists := func(side func(movement) []int32) map[string]string {
		words := make(map[string][]string)
		for _, p := range slices.SortedFunc(maps.Keys(moves), topic.Partition.Compare) {
			list := words[p.Topic]
			for _, id := range slices.SortedFunc(slices.Values(side(moves[p])), cmp.Compare) {
				list = append(list, fmt.Sprintf("%d:%d", p.ID, id))
			}
			words[p.Topic] = list
		}
		joined := make(map[string]string, len(words))
		for name, list := range words {
			joined[name] = strings.Join(list, ",")
		}
		return joined
	}
	return lists(func(m movement) []int32 { return m.sources }), lists(func(m movement) []int32 { return m.destinations })
}

// movingBrokers lists who copies or is copied from, sorted.
func movingBrokers(moves map[topic.Partition]movement) []int32 {
	ids := make(map[int32]bool)
	for _, m := range moves {
		for _, id := range slices.Concat(m.sources, m.destinations) {
			ids[id] = true
		}
	}
	return slices.Sorted(maps.Keys(ids))
}
