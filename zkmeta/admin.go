package zkmeta

import (
	"context"
	"errors"
	"fmt"

	"github.com/zurau/zurau/broker/topic"
)

// A Reassignment is one line of /admin/reassign_partitions.
type Reassignment struct {
	Partition topic.Partition
	Replicas  []int32 // the target, as somebody wrote it: perhaps empty, with repeats or negative ids
}

func encodeReassignments(list []Reassignment) []byte {
	o := append(appendKey(appendIntField([]byte("{"), "version", 1), "partitions"), '[')
	for i, r := range list {
		if i > 0 {
			o = append(o, ',')
		}
		o = appendStringField(append(o, '{'), "topic", r.Partition.Topic)
		o = appendIntField(o, "partition", int64(r.Partition.ID))
		o = append(appendIDs(appendKey(o, "replicas"), r.Replicas), '}')
	}
	return append(o, ']', '}')
}

func decodeReassignments(data []byte) ([]Reassignment, error) {
	o, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	objects, err := o.subs("partitions")
	if err != nil {
		return nil, err
	}
	list := make([]Reassignment, len(objects))
	for i, e := range objects {
		if list[i].Partition, err = decodePartition(e); err != nil {
			return nil, err
		}
		if list[i].Replicas, err = get[[]int32](e, "replicas"); err != nil {
			return nil, fmt.Errorf("replicas of %v: %w", list[i].Partition, err)
		}
	}
	return list, nil
}

// ReadReassignments reads what is asked for by /admin/reassign_partitions; nothing when it does not exist.
func (s *Session) ReadReassignments(ctx context.Context) ([]Reassignment, error) {
	data, _, err := s.Get(ctx, ReassignPath)
	if errors.Is(err, ErrNoNode) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := decodeReassignments(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.full(ReassignPath), err)
	}
	return list, nil
}

// RequestReassignments asks for reassignments, as tools do. ErrNodeExists: others are running.
func (s *Session) RequestReassignments(ctx context.Context, list []Reassignment) error {
	return s.createNew(ctx, ReassignPath, encodeReassignments(list))
}

// SetReassignments leaves what is not finished yet in /admin/reassign_partitions, which goes with its last line.
func (s *Session) SetReassignments(ctx context.Context, epoch Epoch, list []Reassignment) error {
	if len(list) == 0 {
		return s.removeChecked(ctx, epoch, ReassignPath)
	}
	return s.setChecked(ctx, epoch, ReassignPath, encodeReassignments(list))
}

// ReadPreferredElection reads for which partitions a preferred leader election is asked; nothing when there is none.
func (s *Session) ReadPreferredElection(ctx context.Context) ([]topic.Partition, error) {
	data, _, err := s.Get(ctx, PreferredElectionPath)
	if errors.Is(err, ErrNoNode) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := decodePartitions(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.full(PreferredElectionPath), err)
	}
	return list, nil
}

// RequestPreferredElection asks for preferred leader elections, as tools do. ErrNodeExists: others are running.
func (s *Session) RequestPreferredElection(ctx context.Context, partitions []topic.Partition) error {
	return s.createNew(ctx, PreferredElectionPath, encodePartitions(partitions))
}

// RemovePreferredElection ends a preferred leader election. Kafka's controller does it at every failover too.
func (s *Session) RemovePreferredElection(ctx context.Context, epoch Epoch) error {
	return s.removeChecked(ctx, epoch, PreferredElectionPath)
}
