package zkmeta

import (
	"context"
	"errors"
	"fmt"
)

// Migration is how far a KRaft quorum has come in taking the cluster over. Zurau only reads it: with an epoch that is
// not -1 the cluster belongs to KRaft, and no broker of ours may start.
type Migration struct {
	ControllerID    int32
	ControllerEpoch int32
	MetadataOffset  int64
	MetadataEpoch   int32
}

// Started tells whether a KRaft controller has taken the cluster over.
func (m Migration) Started() bool { return m.ControllerEpoch >= 0 }

// ReadMigration reads /migration; ErrNoNode in a cluster that never thought of it.
func (s *Session) ReadMigration(ctx context.Context) (Migration, error) {
	data, _, err := s.Get(ctx, MigrationPath)
	if err != nil {
		return Migration{}, err
	}
	m, err := decodeMigration(data)
	if err != nil {
		return Migration{}, fmt.Errorf("%s: %w", s.full(MigrationPath), err)
	}
	return m, nil
}

func decodeMigration(data []byte) (m Migration, err error) {
	o, err := parseObject(data)
	if err != nil {
		return m, err
	}
	var errs [4]error
	m.ControllerID, errs[0] = get[int32](o, "kraft_controller_id")
	m.ControllerEpoch, errs[1] = get[int32](o, "kraft_controller_epoch")
	m.MetadataOffset, errs[2] = get[int64](o, "kraft_metadata_offset")
	m.MetadataEpoch, errs[3] = get[int32](o, "kraft_metadata_epoch")
	return m, errors.Join(errs[:]...)
}
