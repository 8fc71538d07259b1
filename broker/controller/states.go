package controller

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// The state znodes of partitions, as a term reads and writes them. A partition that fails alone goes into
// failed; what puts the whole term in doubt ends it.

// states are what state znodes say, or shall say.
type states = map[topic.Partition]zkmeta.PartitionState

var errNoState = errors.New("there is no readable state znode")

// readStates reads the state znodes of partitions. Those without a readable one are left out.
func (t *term) readStates(ps []*partition) (found states) {
	tps := make([]topic.Partition, len(ps))
	for i, p := range ps {
		tps[i] = p.Partition
	}
	t.read(func(ctx context.Context) (err error) {
		found, err = t.zk.ReadStates(ctx, tps)
		return err
	})
	return found
}

// readStatesOf is readStates for partitions that should have a state. One that a later controller wrote
// fails: whatever made it so, our view is older.
func (t *term) readStatesOf(ps []*partition, failed failures) states {
	found := t.readStates(ps)
	if !t.alive() {
		return nil
	}
	for _, p := range ps {
		st, ok := found[p.Partition]
		switch {
		case !ok:
			failed[p.Partition] = errNoState
		case st.ControllerEpoch > t.epoch.Epoch:
			failed[p.Partition] = fmt.Errorf("the state znode was written in controller epoch %d", st.ControllerEpoch)
			delete(found, p.Partition)
		}
	}
	return found
}

// createStates creates state znodes and returns those that are now as wanted.
func (t *term) createStates(wanted states, failed failures) states {
	created, _ := t.writeStates(wanted, failed, t.zk.CreateStates)
	return created
}

// updateStates rewrites state znodes that still have the version they were read with. It returns those that
// are now as wanted, with their new version, and the ones that had another version.
func (t *term) updateStates(wanted states, failed failures) (written states, again map[topic.Partition]bool) {
	return t.writeStates(wanted, failed, t.zk.UpdateStates)
}

func (t *term) writeStates(wanted states, failed failures,
	write func(context.Context, zkmeta.Epoch, states) map[topic.Partition]zkmeta.StateResult,
) (written states, again map[topic.Partition]bool) {
	written, again = make(states, len(wanted)), make(map[topic.Partition]bool)
	if len(wanted) == 0 || !t.alive() {
		return written, again
	}
	for tp, result := range write(t.patience(), t.epoch, wanted) {
		switch err := result.Err; {
		case err == nil:
			st := wanted[tp]
			st.ZkVersion = result.ZkVersion
			written[tp] = st
		case errors.Is(err, zkmeta.ErrBadVersion):
			again[tp] = true
		case inDoubt(err):
			t.end(err)
		default:
			failed[tp] = err
		}
	}
	return written, again
}

// topicsAllowUnclean asks the topics' configurations whether an unclean leader is allowed.
func (t *term) topicsAllowUnclean(names []string) map[string]bool {
	allowed := make(map[string]bool, len(names))
	if len(names) == 0 {
		return allowed
	}
	entities := make([]zkmeta.Entity, len(names))
	for i, name := range names {
		entities[i] = zkmeta.TopicEntity(name)
	}
	var found map[zkmeta.Entity]map[string]string
	t.read(func(ctx context.Context) (err error) {
		found, err = t.zk.ReadConfigs(ctx, entities)
		return err
	})
	for i, name := range names {
		configs, readable := found[entities[i]]
		allowed[name] = readable && t.opt.UncleanLeaderElectionEnable()
		if v, ok := configs["unclean.leader.election.enable"]; ok {
			allowed[name], _ = strconv.ParseBool(v)
		}
	}
	return allowed
}
