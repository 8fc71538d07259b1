package zkmeta

import (
	"context"
	"errors"
)

// Every write of a controller is a transaction of two: check that /controller_epoch has the version the controller was
// elected at, and the write. startChecked sends one, and checkedError tells the two refusals apart.

func (s *Session) startChecked(ctx context.Context, epoch Epoch, o op) pendingWrite[[]*Stat] {
	return s.startMulti(ctx, checkOp(ControllerEpochPath, epoch.ZkVersion), o)
}

// checkedError turns a refusal of the check into ErrControllerMoved, and leaves other outcomes as they are.
func checkedError(err error) error {
	var refused *multiError
	if errors.As(err, &refused) && refused.index == 0 {
		return ErrControllerMoved
	}
	return err
}

// checked writes one operation, and settles unknown outcomes by applied (nil: repeating does no harm).
func (s *Session) checked(ctx context.Context, epoch Epoch, o op, applied func() (bool, error)) ([]*Stat, error) {
	return s.settleChecked(ctx, epoch, o, s.startChecked(ctx, epoch, o), applied)
}

// settleChecked is checked for an operation that has been sent already.
func (s *Session) settleChecked(ctx context.Context, epoch Epoch, o op, first pendingWrite[[]*Stat],
	applied func() (bool, error)) (stats []*Stat, err error) {
	pending := first
	err = s.settle(ctx, func() error {
		if pending.call == nil {
			pending = s.startChecked(ctx, epoch, o)
		}
		var err error
		stats, err = pending.wait(ctx)
		pending.call = nil
		return checkedError(err)
	}, applied)
	return stats, err
}

// setChecked replaces a znode's data whatever its version.
func (s *Session) setChecked(ctx context.Context, epoch Epoch, path string, data []byte) error {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	_, err := s.checked(ctx, epoch, setOp(path, data, AnyVersion), nil)
	return err
}

// removeChecked deletes a znode; one that is gone already is removed.
func (s *Session) removeChecked(ctx context.Context, epoch Epoch, path string) error {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	_, err := s.checked(ctx, epoch, deleteOp(path, AnyVersion), nil)
	if errors.Is(err, ErrNoNode) {
		return nil
	}
	return err
}

// removeAllChecked deletes many znodes in the given order, pipelined.
func (s *Session) removeAllChecked(ctx context.Context, epoch Epoch, paths []string) error {
	ops := make([]op, len(paths))
	for i, path := range paths {
		ops[i] = deleteOp(path, AnyVersion)
	}
	for _, err := range s.allChecked(ctx, epoch, ops, nil) {
		if err.err != nil && !errors.Is(err.err, ErrNoNode) {
			return err.err
		}
	}
	return nil
}

// An outcome of one of many checked writes.
type outcome struct {
	stat *Stat // of a setData
	err  error
}

// allChecked sends many checked writes, each its own transaction, in the given order and without waiting for answers
// between them. applied settles the unknown outcome of the i-th (nil: repeating does no harm).
func (s *Session) allChecked(ctx context.Context, epoch Epoch, ops []op, applied func(i int) (bool, error)) []outcome {
	outcomes := make([]outcome, len(ops))
	const window = 1024
	for begin := 0; begin < len(ops); begin += window {
		batch := ops[begin:min(begin+window, len(ops))]
		ctx, cancel := s.deadline(ctx)
		pending := make([]pendingWrite[[]*Stat], len(batch))
		for i, o := range batch {
			pending[i] = s.startChecked(ctx, epoch, o)
		}
		for i, o := range batch {
			var settled func() (bool, error)
			if applied != nil {
				settled = func() (bool, error) { return applied(begin + i) }
			}
			stats, err := s.settleChecked(ctx, epoch, o, pending[i], settled)
			outcomes[begin+i] = outcome{err: err}
			if err == nil && len(stats) == 2 {
				outcomes[begin+i].stat = stats[1]
			}
		}
		cancel()
	}
	return outcomes
}
