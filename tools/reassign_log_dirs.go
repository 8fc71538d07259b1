package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
)

// Moves of replicas between the log directories of a broker (KIP-113), as far as kafka-reassign-partitions asks for them.

// replicaPlace is where a replica lies: in no living directory when current is "", on its way when future is not.
type replicaPlace struct {
	current, future string
}

// moveState says how far the move of a replica to dir is, and whether it is over.
func moveState(r partitionReplica, at replicaPlace, dir string) (text string, done bool) {
	switch {
	case at.current == "":
		return fmt.Sprintf("Partition %s is not found in any live log dir on broker %d. There is likely an offline log "+
			"directory on the broker.", r.Partition, r.broker), true
	case at.future == dir:
		return fmt.Sprintf("Reassignment of replica %s is still in progress.", r), false
	case at.future != "":
		return fmt.Sprintf("Partition %s on broker %d is being moved to log dir %s instead of %s.",
			r.Partition, r.broker, at.future, dir), false
	case at.current == dir:
		return fmt.Sprintf("Reassignment of replica %s completed successfully.", r), true
	}
	return fmt.Sprintf("Partition %s on broker %d is not being moved from log dir %s to %s.",
		r.Partition, r.broker, at.current, dir), true
}

// replicaPlaces asks the brokers where replicas lie. One that is nowhere has the zero place.
func (a *adminClient) replicaPlaces(
	ctx context.Context, of map[partitionReplica]string,
) (map[partitionReplica]replicaPlace, error) {
	places := make(map[partitionReplica]replicaPlace, len(of))
	for _, id := range brokersOf(of) {
		resp, err := askBroker[*kmsg.DescribeLogDirsResponse](ctx, a, id, kmsg.NewPtrDescribeLogDirsRequest())
		if err != nil {
			return nil, err
		}
		for _, d := range resp.Dirs {
			if d.ErrorCode != 0 {
				continue
			}
			for _, t := range d.Topics {
				for _, p := range t.Partitions {
					r := partitionReplica{topic.Partition{Topic: t.Topic, ID: p.Partition}, id}
					at := places[r]
					if p.IsFuture {
						at.future = d.Dir
					} else {
						at.current = d.Dir
					}
					places[r] = at
				}
			}
		}
	}
	return places, nil
}

func brokersOf(replicas map[partitionReplica]string) []int32 {
	ids := make(map[int32]bool)
	for r := range replicas {
		ids[r.broker] = true
	}
	return slices.Sorted(maps.Keys(ids))
}

// moveReplicas asks the brokers to move replicas and gives those whose move has begun. A replica that is not there yet
// is no error.
func (a *adminClient) moveReplicas(ctx context.Context, to map[partitionReplica]string) ([]partitionReplica, error) {
	var begun []partitionReplica
	for _, id := range brokersOf(to) {
		req := kmsg.NewPtrAlterReplicaLogDirsRequest()
		dirs := make(map[string]map[string][]int32)
		for r, dir := range to {
			if r.broker != id {
				continue
			}
			if dirs[dir] == nil {
				dirs[dir] = make(map[string][]int32)
			}
			dirs[dir][r.Topic] = append(dirs[dir][r.Topic], r.ID)
		}
		for dir, topics := range dirs {
			asked := kmsg.AlterReplicaLogDirsRequestDir{Dir: dir}
			for name, ids := range topics {
				asked.Topics = append(asked.Topics, kmsg.AlterReplicaLogDirsRequestDirTopic{Topic: name, Partitions: ids})
			}
			req.Dirs = append(req.Dirs, asked)
		}
		resp, err := askBroker[*kmsg.AlterReplicaLogDirsResponse](ctx, a, id, req)
		if err != nil {
			return nil, err
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				r := partitionReplica{topic.Partition{Topic: t.Topic, ID: p.Partition}, id}
				err := brokerError(p.ErrorCode, nil)
				switch {
				case err == nil:
					begun = append(begun, r)
				case !isKafkaError(err, kerr.ReplicaNotAvailable):
					return nil, &javaError{class: commandFailedException, message: "Failed to alter dir for " + r.String(), cause: err}
				}
			}
		}
	}
	slices.SortFunc(begun, compareReplicas)
	return begun, nil
}

// moveRetry is how long to wait for a broker that has not got the replica yet.
const moveRetry = 100 * time.Millisecond

// errMovesLate says that moves have not begun in time.
var errMovesLate = errors.New("moves have not begun in time")

// startMoves asks until every move has begun; a replica that comes to a broker only now can move no earlier.
// report is told of each round's; those left over come with errMovesLate.
func (a *adminClient) startMoves(
	ctx context.Context, to map[partitionReplica]string, timeout time.Duration, report func([]partitionReplica),
) (late []partitionReplica, err error) {
	pending := maps.Clone(to)
	deadline := time.Now().Add(timeout)
	for {
		begun, err := a.moveReplicas(ctx, pending)
		if err != nil {
			return nil, err
		}
		if len(begun) > 0 {
			report(begun)
		}
		for _, r := range begun {
			delete(pending, r)
		}
		switch {
		case len(pending) == 0:
			return nil, nil
		case !time.Now().Before(deadline):
			return slices.SortedFunc(maps.Keys(pending), compareReplicas), errMovesLate
		}
		if err := pause(ctx, moveRetry); err != nil {
			return nil, err
		}
	}
}

// joinAny is words with commas between.
func joinAny[T fmt.Stringer](values []T) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = v.String()
	}
	return strings.Join(words, ",")
}
