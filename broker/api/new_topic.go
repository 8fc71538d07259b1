package api

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/metadata"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// In ZooKeeper mode a topic is made by whoever writes its znodes; the controller finds it by its watch.
// CreateTopics and the automatic creation of Metadata both come here.

// topicWish is what somebody wants a new topic to be.
type topicWish struct {
	name       string
	partitions int32 // -1: num.partitions
	factor     int16 // -1: default.replication.factor
	assignment map[int32][]int32
	configs    map[string]string
}

// newTopic is a topic that can be made: checked, with its replicas placed.
type newTopic struct {
	name       string
	configs    map[string]string
	assignment map[int32][]int32
}

// planTopic checks a wish and places the replicas, with the words and in the order of Kafka's ZkAdminManager.
// It looks at ZooKeeper only where the name could collide with another.
func (h *Handler) planTopic(
	ctx context.Context, s *zkmeta.Session, snapshot *metadata.Snapshot, w topicWish) (newTopic, error) {
	if snapshot.Topic(w.name) != nil {
		return newTopic{}, alreadyExists(w.name)
	}
	if (w.partitions != -1 || w.factor != -1) && len(w.assignment) > 0 {
		return newTopic{}, kerr.New(kerr.InvalidRequest, "Both numPartitions or replicationFactor and "+
			"replicasAssignments were set. Both cannot be used at the same time.")
	}
	t := newTopic{name: w.name, configs: w.configs, assignment: w.assignment}
	if len(w.assignment) == 0 {
		var err error
		if t.assignment, err = placeReplicas(w, h.Config.Broker(), snapshot); err != nil {
			return newTopic{}, err
		}
	}
	if err := topic.ValidateName(w.name); err != nil {
		return newTopic{}, err
	}
	if err := refuseCollision(ctx, s, w.name); err != nil {
		return newTopic{}, err
	}
	if err := checkAssignment(t.assignment); err != nil {
		return newTopic{}, err
	}
	_, err := h.Config.Broker().Topic(t.configs)
	return t, err
}

func alreadyExists(name string) error {
	return kerr.New(kerr.TopicAlreadyExists, "Topic '%s' already exists.", name)
}

// maxPartitions is more than a znode of 1 MiB can list, which is all that ZooKeeper takes. Placing two billion would
// take the broker's memory before ZooKeeper could refuse them.
const maxPartitions = 100_000

func tooManyPartitions(n int32) error {
	return kerr.New(kerr.InvalidPartitions,
		"ZooKeeper cannot hold a topic of %d partitions, at most %d are allowed.", n, maxPartitions)
}

// placeReplicas spreads a topic over the live brokers.
func placeReplicas(w topicWish, c *config.Broker, snapshot *metadata.Snapshot) (map[int32][]int32, error) {
	partitions, factor := w.partitions, int(w.factor)
	if partitions == -1 {
		partitions = c.NumPartitions
	}
	if partitions > maxPartitions {
		return nil, tooManyPartitions(partitions)
	}
	if factor == -1 {
		factor = int(c.DefaultReplicationFactor)
	}
	brokers := racks(snapshot)
	n := max(len(brokers), 1)
	return topic.AssignReplicas(brokers, 0, partitions, factor, rand.IntN(n), rand.IntN(n))
}

// racks are the live brokers as candidates for replicas, by id.
func racks(snapshot *metadata.Snapshot) []topic.BrokerRack {
	var all []topic.BrokerRack
	for _, b := range snapshot.Brokers() {
		r := topic.BrokerRack{ID: b.ID}
		if b.Rack != nil {
			r.Rack = *b.Rack
		}
		all = append(all, r)
	}
	return all
}

// refuseCollision keeps apart names that would be one name in metrics, where '.' and '_' are the same.
func refuseCollision(ctx context.Context, s *zkmeta.Session, name string) error {
	if !strings.ContainsAny(name, "._") {
		return nil
	}
	names, err := s.Topics(ctx)
	if err != nil {
		return err
	}
	if slices.Contains(names, name) {
		return alreadyExists(name)
	}
	colliding := slices.DeleteFunc(names, func(other string) bool { return !topic.Collides(name, other) })
	if len(colliding) > 0 {
		return kerr.New(kerr.InvalidTopicException, "Topic '%s' collides with existing topics: %s",
			name, strings.Join(colliding, ", "))
	}
	return nil
}

// checkAssignment wants partitions 0 to n-1 with equally many different brokers. Whether the brokers exist is not
// asked, as Kafka does not: such a topic waits for them.
func checkAssignment(assignment map[int32][]int32) error {
	factor := len(assignment[0])
	for _, replicas := range assignment {
		if len(replicas) != factor {
			return kerr.New(kerr.InvalidReplicaAssignment, "All partitions should have the same number of replicas")
		}
	}
	for id := range int32(len(assignment)) {
		replicas, ok := assignment[id]
		if !ok {
			return kerr.New(kerr.InvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence")
		}
		if repeats(replicas) {
			return kerr.New(kerr.InvalidReplicaAssignment,
				"Duplicate replica assignment found: partition %d has replicas %s", id, joinIDs(replicas))
		}
	}
	if factor == 0 {
		return kerr.New(kerr.InvalidReplicaAssignment, "Partitions need at least one replica each")
	}
	return nil
}

// repeats tells whether a broker is named twice.
func repeats(replicas []int32) bool {
	sorted := slices.Sorted(slices.Values(replicas))
	return len(slices.Compact(sorted)) < len(replicas)
}

// makeTopic writes the topic to ZooKeeper, under a new id.
func (h *Handler) makeTopic(ctx context.Context, s *zkmeta.Session, t newTopic) (topic.ID, error) {
	a := zkmeta.TopicAssignment{ID: topic.NewID(), Partitions: t.assignment}
	return a.ID, s.CreateTopic(ctx, t.name, t.configs, a)
}

// describe is the topic's configuration as it will be in force.
func (t newTopic) describe(c *config.Dynamic) []config.Entry {
	entries := c.DescribeTopic("") // what a topic without overrides has
	for i := range entries {
		if v, set := t.configs[entries[i].Name]; set {
			entries[i].Value, entries[i].Source = &v, config.TopicSource
		}
	}
	return entries
}

// awaitPicture waits until this broker has been told what done looks for, at most timeoutMS. It returns the last
// picture, fitting or not.
func (h *Handler) awaitPicture(
	ctx context.Context, timeoutMS int32, done func(*metadata.Snapshot) bool) *metadata.Snapshot {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(timeoutMS)*time.Millisecond)
	defer cancel()
	s, err := h.Metadata.Await(ctx, done)
	if err != nil {
		return h.Metadata.Load()
	}
	return s
}

// led tells whether every partition of the assignment has a leader.
func led(s *metadata.Snapshot, name string, assignment map[int32][]int32) bool {
	t := s.Topic(name)
	if t == nil {
		return false
	}
	for id := range assignment {
		if p := t.Partition(id); p == nil || p.Leader < 0 {
			return false
		}
	}
	return true
}
