package zkmeta

import (
	"bytes"
	"context"
	"errors"
	"strings"
)

// createNew makes a persistent znode that must be new, and settles an unknown outcome: a znode that holds exactly data
// and was never changed is taken for our own. Missing parents are made, as Kafka does: first the path itself, then,
// when its parent is missing, the parents, then the path again.
func (s *Session) createNew(ctx context.Context, path string, data []byte) error {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	create := func() error {
		_, err := s.Create(ctx, path, data, Persistent)
		return err
	}
	return s.settle(ctx, func() error {
		err := create()
		if parent := parentOf(path); errors.Is(err, ErrNoNode) && parent != "" {
			if err := s.ensurePath(ctx, parent); err != nil {
				return err
			}
			err = create()
		}
		return err
	}, func() (bool, error) { return s.wasCreated(ctx, path, data) })
}

// wasCreated tells whether a znode exists with exactly this data at its first version; it refuses when it is another's.
func (s *Session) wasCreated(ctx context.Context, path string, data []byte) (bool, error) {
	found, stat, err := s.getSettled(ctx, path)
	switch {
	case errors.Is(err, ErrNoNode):
		return false, nil
	case err != nil:
		return false, err
	case stat.Version == 0 && bytes.Equal(found, data):
		return true, nil
	}
	return false, &CallError{"create", s.full(path), ErrNodeExists}
}

// ensurePath makes a persistent znode without data, and its parents, where they are missing.
func (s *Session) ensurePath(ctx context.Context, path string) error {
	err := s.createNew(ctx, path, nil)
	if errors.Is(err, ErrNodeExists) {
		return nil
	}
	return err
}

// createChroot makes the root of everything else. It is the one path that does not lie below the chroot.
func (s *Session) createChroot(ctx context.Context) error {
	chroot := s.client.chroot
	for i := 1; i <= len(chroot); i++ {
		if i < len(chroot) && chroot[i] != '/' {
			continue
		}
		_, err := s.createAt(ctx, chroot[:i], nil, Persistent, s.aclFor("/"))
		switch {
		case err == nil && i == len(chroot):
			s.client.log.Info("Created zookeeper path " + chroot)
		case errors.Is(err, ErrNodeExists):
		case errors.Is(err, ErrNoAuth) && i < len(chroot): // a parent that others made and guard
		case err != nil:
			return err
		}
	}
	return nil
}

// parentOf is "" for a znode directly below the root.
func parentOf(path string) string { return path[:strings.LastIndexByte(path, '/')] }

// setVersion replaces a znode's data at a known version and gives the new one. An unknown outcome is settled by version
// and content: exactly our data one version later is our own write.
func (s *Session) setVersion(ctx context.Context, path string, data []byte, version int32) (int32, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	err := s.settle(ctx, func() error {
		_, err := s.Set(ctx, path, data, version)
		return err
	}, func() (bool, error) { return s.wasSet(ctx, path, data, version) })
	if err != nil {
		return 0, err
	}
	return version + 1, nil
}

// wasSet tells whether a setData with an expected version took place. It refuses when another write did.
func (s *Session) wasSet(ctx context.Context, path string, data []byte, version int32) (bool, error) {
	found, stat, err := s.getSettled(ctx, path)
	switch {
	case err != nil:
		return false, err
	case stat.Version == version:
		return false, nil
	case stat.Version == version+1 && bytes.Equal(found, data):
		return true, nil
	}
	return false, &CallError{"setData", s.full(path), ErrBadVersion}
}

// setLast replaces a znode's data whatever its version: the last writer wins, so repeating it is harmless.
func (s *Session) setLast(ctx context.Context, path string, data []byte) error {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	return s.settle(ctx, func() error {
		_, err := s.Set(ctx, path, data, AnyVersion)
		return err
	}, nil)
}

// remove deletes a znode whatever its version; one that is gone already is removed.
func (s *Session) remove(ctx context.Context, path string) error {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	err := s.settle(ctx, func() error { return s.Delete(ctx, path, AnyVersion) }, nil)
	if errors.Is(err, ErrNoNode) {
		return nil
	}
	return err
}

// createSequential makes a persistent znode with a number at its end. After an unknown outcome it may exist twice,
// which notifications may.
func (s *Session) createSequential(ctx context.Context, prefix string, data []byte) (string, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	var created string
	err := s.settle(ctx, func() (err error) {
		created, err = s.Create(ctx, prefix, data, PersistentSequential)
		return err
	}, nil)
	return created, err
}
