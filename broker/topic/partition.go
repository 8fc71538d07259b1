// Package topic says what a topic and a partition are called, in memory, on the wire and on disk, and how the replicas
// of a new one are spread.
package topic

import (
	"fmt"
	"strconv"
	"strings"
)

// Partition names one partition of a topic.
type Partition struct {
	Topic string
	ID    int32
}

// String is the partition's directory name and its name in every log line, "orders-0".
func (p Partition) String() string { return p.Topic + "-" + strconv.Itoa(int(p.ID)) }

// Compare orders partitions by topic, then by number.
func (p Partition) Compare(o Partition) int {
	if c := strings.Compare(p.Topic, o.Topic); c != 0 {
		return c
	}
	return int(p.ID) - int(o.ID)
}

// ParseDir reads a live partition directory's name back; the topic itself may hold dashes.
func ParseDir(name string) (Partition, error) {
	i := strings.LastIndexByte(name, '-')
	if i <= 0 || i == len(name)-1 {
		return Partition{}, fmt.Errorf("%q is not of the form topic-partition", name)
	}
	id, err := strconv.ParseUint(name[i+1:], 10, 31) // without a sign: "t-+1" is not how we write t-1
	if err != nil {
		return Partition{}, fmt.Errorf("%q does not end in a partition number", name)
	}
	return Partition{Topic: name[:i], ID: int32(id)}, nil
}
