package zkmeta

import (
	"context"
	"errors"
)

// readAll reads many znodes, MaxInFlight at a time, under one deadline of a call for each of them, and hands take what
// each holds, in the order of the paths. A znode that is missing is passed over. So is one that this session may not
// read, or that take gives an error for: it is reported by its path and stops nobody else.
func (s *Session) readAll(ctx context.Context, paths []string, take func(i int, data []byte, stat *Stat) error) error {
	full := make([]string, len(paths))
	for i, path := range paths {
		full[i] = s.full(path)
	}
	var failure error
	s.eachAnswer(ctx, full, getData, func(i int, a answered, err error) {
		switch {
		case errors.Is(err, ErrNoNode):
		case errors.Is(err, ErrNoAuth):
			s.client.badZnode(full[i], &Stat{}, err)
		case err != nil:
			if failure == nil {
				failure = err
			}
		case failure == nil:
			if err := take(i, a.data, a.stat); err != nil {
				s.client.badZnode(full[i], a.stat, err)
			}
		}
	})
	return failure
}

// eachAnswer sends a reading request for every path (chroot included) and hands the answers over in the order of the
// paths. Whatever found no answer at the first attempt is asked once more alone, with all the patience of a read.
func (s *Session) eachAnswer(ctx context.Context, paths []string, request readRequest, each func(i int, a answered, err error)) {
	const window = 1024 // requests sent ahead of the answer that is waited for; most wait for a slot
	calls := make([]*call[answered], len(paths))
	for i := 0; i < len(paths); i += window {
		end := min(i+window, len(paths))
		ctx, cancel := s.deadline(ctx)
		for j := i; j < end; j++ {
			calls[j] = start(s, ctx, request.on(paths[j]))
		}
		for j := i; j < end; j++ {
			err := calls[j].wait(ctx)
			var a answered
			if err == nil {
				a = calls[j].value
			} else if isUnknown(err) || errors.Is(err, ErrNotSent) {
				if s.awaitLink(ctx) {
					a, err = read(s, ctx, request.on(paths[j]))
				}
			}
			if err != nil {
				err = &CallError{"read", paths[j], err}
			}
			each(j, a, err)
			calls[j] = nil
		}
		cancel()
	}
}
