package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zurau/zurau/broker/topic"
)

// The JSON files of kafka-reassign-partitions: which replicas partitions shall have and in which directories they shall
// lie, and which topics to propose something for.

// anyLogDir stands in a file for a directory that the broker may choose.
const anyLogDir = "any"

// assignment says which brokers hold which partition, the preferred leader first.
type assignment map[topic.Partition][]int32

// partitionReplica is a partition on one broker.
type partitionReplica struct {
	topic.Partition
	broker int32
}

func (r partitionReplica) String() string { return fmt.Sprintf("%s-%d", r.Partition, r.broker) }

// compareReplicas orders by broker, then by partition, as Kafka reports them.
func compareReplicas(a, b partitionReplica) int {
	return cmp.Or(cmp.Compare(a.broker, b.broker), a.Partition.Compare(b.Partition))
}

// plannedPartition is an entry of a plan.
type plannedPartition struct {
	topic.Partition
	replicas []int32
}

// reassignmentPlan is a --reassignment-json-file.
type reassignmentPlan struct {
	partitions []plannedPartition          // in the order of the file, repeats kept
	logDirs    map[partitionReplica]string // of the replicas for which a directory is named
}

// parsePlan reads a plan in Kafka's JSON; only version 1 exists.
func parsePlan(data []byte) (*reassignmentPlan, error) {
	file, err := parseJSON(data)
	if err != nil {
		return nil, &javaError{class: adminOperationException, message: err.Error(), cause: err}
	}
	plan := &reassignmentPlan{logDirs: make(map[partitionReplica]string)}
	entries, ok, err := versionOne(file, "partitions")
	if err != nil || !ok {
		return plan, err
	}
	list, err := entries.list()
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		if err := plan.add(e); err != nil {
			return nil, err
		}
	}
	return plan, nil
}

// versionOne gives a member of a file that has no version or version 1.
func versionOne(file jsonValue, member string) (entries jsonValue, ok bool, err error) {
	version, ok, err := file.member("version")
	if err != nil {
		return jsonValue{}, false, err
	}
	if ok {
		n, err := version.int32()
		if err != nil {
			return jsonValue{}, false, err
		}
		if n != 1 {
			return jsonValue{}, false, adminOperation(fmt.Sprintf("Not supported version field value %d", n))
		}
	}
	return file.member(member)
}

// parsePartition reads the members topic and partition.
func parsePartition(e jsonValue) (p topic.Partition, err error) {
	name, err := e.need("topic")
	if err == nil {
		p.Topic, err = name.str()
	}
	if err != nil {
		return p, err
	}
	id, err := e.need("partition")
	if err == nil {
		p.ID, err = id.int32()
	}
	return p, err
}

func (plan *reassignmentPlan) add(e jsonValue) error {
	p, err := parsePartition(e)
	if err != nil {
		return err
	}
	list, err := e.need("replicas")
	if err != nil {
		return err
	}
	replicas, err := eachOf(list, jsonValue.int32)
	if err != nil {
		return err
	}
	plan.partitions = append(plan.partitions, plannedPartition{p, replicas})
	list, ok, err := e.member("log_dirs")
	if err != nil || !ok {
		return err
	}
	dirs, err := eachOf(list, jsonValue.str)
	if err != nil {
		return err
	}
	if len(dirs) != len(replicas) {
		return commandFailed("Size of replicas list %s is different from size of log dirs list %s for partition %s",
			scalaList("List", replicas), scalaList("List", dirs), p)
	}
	for i, dir := range dirs {
		if dir != anyLogDir {
			plan.logDirs[partitionReplica{p, replicas[i]}] = dir
		}
	}
	return nil
}

// scalaList is a collection as Scala prints it: List(1, 2).
func scalaList[T any](kind string, values []T) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = fmt.Sprint(v)
	}
	return kind + "(" + strings.Join(words, ", ") + ")"
}

const (
	adminOperationException = "kafka.admin.AdminOperationException"
	commandFailedException  = "kafka.common.AdminCommandFailedException"
)

// commandFailed is an error of Kafka's class for a tool that gives up.
func commandFailed(format string, args ...any) error {
	return &javaError{class: commandFailedException, message: fmt.Sprintf(format, args...)}
}

// check refuses a plan that cannot be executed, whatever the cluster looks like. empty is what an empty one is told.
func (plan *reassignmentPlan) check(empty string) error {
	if len(plan.partitions) == 0 {
		return commandFailed("%s", empty)
	}
	var partitions []string
	var doubled []string
	for _, p := range plan.partitions {
		if len(p.replicas) == 0 {
			return commandFailed("Partition replica list cannot be empty")
		}
		partitions = append(partitions, p.Partition.String())
		if twice := duplicates(p.replicas); len(twice) > 0 {
			doubled = append(doubled, fmt.Sprintf("%s contains multiple entries for %s", p.Partition, joinIDs(twice)))
		}
	}
	if twice := duplicates(partitions); len(twice) > 0 {
		return commandFailed("Partition reassignment contains duplicate topic partitions: %s", strings.Join(twice, ","))
	}
	if len(doubled) > 0 {
		return commandFailed("Partition replica lists may not contain duplicate entries: %s", strings.Join(doubled, ". "))
	}
	return nil
}

// duplicates gives what stands in a list more than once, sorted.
func duplicates[T cmp.Ordered](list []T) []T {
	count := make(map[T]int)
	for _, e := range list {
		count[e]++
	}
	maps.DeleteFunc(count, func(_ T, n int) bool { return n == 1 })
	return slices.Sorted(maps.Keys(count))
}

// assignment is what the plan wants, each partition once.
func (plan *reassignmentPlan) assignment() assignment {
	wanted := make(assignment, len(plan.partitions))
	for _, p := range plan.partitions {
		wanted[p.Partition] = p.replicas
	}
	return wanted
}

// partitions lists what is assigned, sorted.
func (a assignment) partitions() []topic.Partition {
	return slices.SortedFunc(maps.Keys(a), topic.Partition.Compare)
}

// topics names the topics, sorted.
func (a assignment) topics() []string {
	names := make(map[string]bool)
	for p := range a {
		names[p.Topic] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// brokers lists who holds anything, sorted.
func (a assignment) brokers() []int32 {
	ids := make(map[int32]bool)
	for _, replicas := range a {
		for _, id := range replicas {
			ids[id] = true
		}
	}
	return slices.Sorted(maps.Keys(ids))
}

// only keeps the partitions that stand in other too.
func (a assignment) only(other assignment) assignment {
	kept := maps.Clone(a)
	maps.DeleteFunc(kept, func(p topic.Partition, _ []int32) bool { _, ok := other[p]; return !ok })
	return kept
}

// MarshalJSON writes the assignment as a plan that leaves the directories open.
func (a assignment) MarshalJSON() ([]byte, error) {
	type partition struct {
		Topic     string   `json:"topic"`
		Partition int32    `json:"partition"`
		Replicas  []int32  `json:"replicas"`
		LogDirs   []string `json:"log_dirs"`
	}
	plan := struct {
		Version    int         `json:"version"`
		Partitions []partition `json:"partitions"`
	}{Version: 1, Partitions: []partition{}}
	for _, p := range a.partitions() {
		plan.Partitions = append(plan.Partitions,
			partition{p.Topic, p.ID, a[p], slices.Repeat([]string{anyLogDir}, len(a[p]))})
	}
	return json.Marshal(plan)
}

// String is the assignment as a line of JSON.
func (a assignment) String() string {
	line, err := a.MarshalJSON()
	if err != nil {
		return err.Error()
	}
	return string(line)
}

// parseTopicsToMove reads a --topics-to-move-json-file.
func parseTopicsToMove(data []byte) ([]string, error) {
	file, err := parseJSON(data)
	if err != nil {
		return nil, adminOperation("The input string is not a valid JSON")
	}
	entries, ok, err := versionOne(file, "topics")
	if err != nil || !ok {
		return nil, err
	}
	return eachOf(entries, func(e jsonValue) (string, error) {
		name, err := e.need("topic")
		if err != nil {
			return "", err
		}
		return name.str()
	})
}
