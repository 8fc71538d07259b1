package zkmeta

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
)

// EnsurePaths makes the parents of everything else, as every broker does at its start.
func (s *Session) EnsurePaths(ctx context.Context) error {
	for _, path := range brokerPaths {
		if err := s.ensurePath(ctx, path); err != nil {
			return err
		}
	}
	return nil
}

func encodeClusterID(id string) []byte {
	return append(appendStringField(appendStringField([]byte("{"), "version", "1"), "id", id), '}')
}

func decodeClusterID(data []byte) (string, error) {
	o, err := parseObject(data)
	if err != nil {
		return "", err
	}
	id, err := get[string](o, "id")
	if err == nil && id == "" {
		err = errors.New("the id is empty")
	}
	return id, err
}

// ClusterID reads the cluster's id, or draws one where there is none yet. Of several brokers that draw at the same time
// one wins, and all get its id.
func (s *Session) ClusterID(ctx context.Context) (string, error) {
	for {
		data, _, err := s.Get(ctx, ClusterIDPath)
		if err == nil {
			id, err := decodeClusterID(data)
			if err != nil {
				return "", fmt.Errorf("%s: %w", s.full(ClusterIDPath), err)
			}
			return id, nil
		}
		if !errors.Is(err, ErrNoNode) {
			return "", err
		}
		id := newClusterID()
		err = s.createNew(ctx, ClusterIDPath, encodeClusterID(id))
		if err == nil {
			return id, nil
		}
		if !errors.Is(err, ErrNodeExists) {
			return "", err
		}
	}
}

// newClusterID is a random UUID in 22 characters of url-safe base64.
func newClusterID() string {
	var id [16]byte
	rand.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return base64.RawURLEncoding.EncodeToString(id[:])
}
