package main

import (
	"cmp"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/zurau/zurau/broker/topic"
)

// kafka-reassign-partitions --generate: proposes an assignment as if the topics were made anew on the given brokers.

// proposal is what --generate is asked for.
type proposal struct {
	topics  []string
	brokers []int32
}

// parseProposal reads the file of topics and the list of brokers.
func parseProposal(data []byte, brokers string) (*proposal, error) {
	p := &proposal{}
	for word := range strings.SplitSeq(brokers, ",") {
		id, err := strconv.ParseInt(word, 10, 32)
		if err != nil {
			return nil, &javaError{class: "java.lang.NumberFormatException", message: `For input string: "` + word + `"`}
		}
		p.brokers = append(p.brokers, int32(id))
	}
	if twice := duplicates(p.brokers); len(twice) > 0 {
		return nil, commandFailed("Broker list contains duplicate entries: %s", joinIDs(twice))
	}
	var err error
	if p.topics, err = parseTopicsToMove(data); err != nil {
		return nil, err
	}
	if twice := duplicates(p.topics); len(twice) > 0 {
		return nil, commandFailed("List of topics to reassign contains duplicate entries: %s", strings.Join(twice, ","))
	}
	return p, nil
}

// propose spreads the partitions of current over those of the proposal's brokers that live. A topic keeps the number of
// replicas of its first partition.
func (p *proposal) propose(current assignment, live []topic.BrokerRack) (assignment, error) {
	brokers := slices.DeleteFunc(slices.Clone(live), func(b topic.BrokerRack) bool {
		return !slices.Contains(p.brokers, b.ID)
	})
	if err := checkRacks(brokers); err != nil {
		return nil, err
	}
	proposed := make(assignment, len(current))
	partitions := current.partitions()
	for len(partitions) > 0 {
		first := partitions[0]
		n := slices.IndexFunc(partitions, func(p topic.Partition) bool { return p.Topic != first.Topic })
		if n < 0 {
			n = len(partitions)
		}
		replicas, err := spreadAnywhere(brokers, n, len(current[first]))
		if err != nil {
			return nil, err
		}
		for id, r := range replicas {
			proposed[topic.Partition{Topic: first.Topic, ID: id}] = r
		}
		partitions = partitions[n:]
	}
	return proposed, nil
}

// spreadAnywhere assigns the replicas of a new topic, beginning at any broker.
func spreadAnywhere(brokers []topic.BrokerRack, partitions, factor int) (map[int32][]int32, error) {
	most := max(len(brokers), 1)
	return topic.AssignReplicas(brokers, 0, int32(partitions), factor, rand.IntN(most), rand.IntN(most))
}

// checkRacks wants a rack on every broker or on none.
func checkRacks(brokers []topic.BrokerRack) error {
	racks := 0
	for _, b := range brokers {
		if b.Rack != "" {
			racks++
		}
	}
	if racks > 0 && racks < len(brokers) {
		return adminOperation("Not all brokers have rack information. Add --disable-rack-aware in command line to make " +
			"replica assignment without rack information.")
	}
	return nil
}

// print writes both assignments of a proposal, whose brokers may be in any order.
func (p *proposal) print(out io.Writer, current assignment, live []topic.BrokerRack) error {
	slices.SortFunc(live, func(a, b topic.BrokerRack) int { return cmp.Compare(a.ID, b.ID) })
	proposed, err := p.propose(current, live)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Current partition replica assignment\n%s\n\nProposed partition reassignment configuration\n%s\n",
		current, proposed)
	return nil
}
