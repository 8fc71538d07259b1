package zkmeta

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/zurau/zurau/broker/topic"
)

// PartitionState is what the state znode of a partition says.
type PartitionState struct {
	Leader              int32 // -1 = none
	LeaderEpoch         int32
	ControllerEpoch     int32 // of the controller that wrote it
	ISR                 []int32
	LeaderRecoveryState int8 // 0 = recovered, 1 = recovering (KIP-704)

	ZkVersion int32 // the znode's version, which the protocol calls partition epoch
}

// NoLeader stands for a partition without a leader.
const NoLeader = -1

func (s *Session) encodeState(p PartitionState) []byte {
	return encodeState(p, s.client.currentLevel().LeaderRecoveryState())
}

func encodeState(p PartitionState, recovery bool) []byte {
	o := appendIntField([]byte("{"), "controller_epoch", int64(p.ControllerEpoch))
	o = appendIntField(o, "leader", int64(p.Leader))
	o = appendIntField(o, "version", 1)
	if recovery && p.LeaderRecoveryState != 0 {
		o = appendIntField(o, "leader_recovery_state", int64(p.LeaderRecoveryState))
	}
	o = appendIntField(o, "leader_epoch", int64(p.LeaderEpoch))
	o = appendIDs(appendKey(o, "isr"), p.ISR)
	return append(o, '}')
}

func decodeState(data []byte, stat *Stat) (PartitionState, error) {
	o, err := parseObject(data)
	if err != nil {
		return PartitionState{}, err
	}
	p := PartitionState{ZkVersion: stat.Version}
	for key, field := range map[string]*int32{"leader": &p.Leader, "leader_epoch": &p.LeaderEpoch, "controller_epoch": &p.ControllerEpoch} {
		if *field, err = get[int32](o, key); err != nil {
			return PartitionState{}, err
		}
	}
	if p.Leader < NoLeader || p.LeaderEpoch < 0 {
		return PartitionState{}, fmt.Errorf("leader %d in epoch %d", p.Leader, p.LeaderEpoch)
	}
	raw, ok := o["isr"]
	if !ok {
		return PartitionState{}, errors.New(`"isr" is missing`)
	}
	if p.ISR, err = ids(raw); err != nil {
		return PartitionState{}, fmt.Errorf(`"isr": %w`, err)
	}
	p.LeaderRecoveryState, err = getOr(o, "leader_recovery_state", int8(0))
	if err == nil && p.LeaderRecoveryState != 0 && p.LeaderRecoveryState != 1 {
		err = fmt.Errorf("leader_recovery_state %d", p.LeaderRecoveryState)
	}
	if err != nil {
		return PartitionState{}, err
	}
	return p, nil
}

// ReadStates reads the states of partitions. One that has none is left out; one that cannot be read too, and is
// reported.
func (s *Session) ReadStates(ctx context.Context, partitions []topic.Partition) (map[topic.Partition]PartitionState, error) {
	paths := make([]string, len(partitions))
	for i, p := range partitions {
		paths[i] = StatePath(p)
	}
	states := make(map[topic.Partition]PartitionState, len(partitions))
	err := s.readAll(ctx, paths, func(i int, data []byte, stat *Stat) error {
		state, err := decodeState(data, stat)
		if err == nil {
			states[partitions[i]] = state
		}
		return err
	})
	return states, err
}

// A StateResult is the outcome of one write of a state.
type StateResult struct {
	// ZkVersion is the znode's new version, if Err is nil.
	ZkVersion int32
	// Err is nil, ErrNodeExists (of a creation: the partition is initialised already), ErrBadVersion (of an update:
	// read it again), ErrNoNode, ErrControllerMoved, or ErrUnknown.
	Err error
}

// CreateStates makes the states of new partitions: for each topic its parent, then all partitions, then all states, in
// the order of topic and partition, each its own checked transaction.
func (s *Session) CreateStates(ctx context.Context, epoch Epoch, states map[topic.Partition]PartitionState) map[topic.Partition]StateResult {
	partitions := slices.SortedFunc(maps.Keys(states), topic.Partition.Compare)
	results := make(map[topic.Partition]StateResult, len(states))
	var parents, nodes, datas []op
	for i, p := range partitions {
		if i == 0 || partitions[i-1].Topic != p.Topic {
			parents = append(parents, createOp(PartitionsPath(p.Topic), nil, Persistent))
		}
		nodes = append(nodes, createOp(PartitionPath(p), nil, Persistent))
		datas = append(datas, createOp(StatePath(p), s.encodeState(states[p]), Persistent))
	}
	for _, ops := range [][]op{parents, nodes} {
		for _, out := range s.allChecked(ctx, epoch, ops, nil) {
			if errors.Is(out.err, ErrControllerMoved) {
				for _, p := range partitions {
					results[p] = StateResult{Err: out.err}
				}
				return results
			}
			// Any other failure shows again at the state below.
		}
	}
	outcomes := s.allChecked(ctx, epoch, datas, func(i int) (bool, error) {
		return s.wasCreated(ctx, datas[i].path, datas[i].data)
	})
	for i, out := range outcomes {
		results[partitions[i]] = StateResult{Err: out.err}
	}
	return results
}

// UpdateStates rewrites states, each if it still has the ZkVersion that is given with it, each its own checked
// transaction. An unknown outcome is settled by content and version, never by one alone.
func (s *Session) UpdateStates(ctx context.Context, epoch Epoch, states map[topic.Partition]PartitionState) map[topic.Partition]StateResult {
	partitions := slices.SortedFunc(maps.Keys(states), topic.Partition.Compare)
	ops := make([]op, len(partitions))
	for i, p := range partitions {
		ops[i] = setOp(StatePath(p), s.encodeState(states[p]), states[p].ZkVersion)
	}
	outcomes := s.allChecked(ctx, epoch, ops, func(i int) (bool, error) {
		return s.wasSet(ctx, ops[i].path, ops[i].data, ops[i].version)
	})
	results := make(map[topic.Partition]StateResult, len(states))
	for i, out := range outcomes {
		result := StateResult{ZkVersion: ops[i].version + 1, Err: out.err}
		if out.err != nil {
			result.ZkVersion = 0
		}
		results[partitions[i]] = result
	}
	return results
}

// Equal tells whether two states say the same, versions aside.
func (p PartitionState) Equal(o PartitionState) bool {
	return bytes.Equal(encodeState(p, true), encodeState(o, true))
}
