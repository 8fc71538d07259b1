package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/zurau/zurau/broker/topic"
)

// The checkpoint files of a log directory. Each maps partitions to offsets; see doc.go for the framing.
const (
	recoveryPointCheckpoint = "recovery-point-offset-checkpoint" // first offset not known to be on the platter
	logStartCheckpoint      = "log-start-offset-checkpoint"      // only where it is above the first segment's base
	highWatermarkCheckpoint = "replication-offset-checkpoint"
	cleanerCheckpoint       = "cleaner-offset-checkpoint" // first offset the cleaner has not looked at
	leaderEpochCheckpoint   = "leader-epoch-checkpoint"   // in each partition's directory
)

const checkpointVersion = "0"

// parseCheckpoint reads the framing shared by all five kinds: a version line, a count line, and as many lines of
// fields between white space. An empty file has no entries. Everything else that is not exact is an error.
func parseCheckpoint(content []byte, fields int, each func([]string) error) error {
	if len(content) == 0 {
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	if v := strings.TrimSpace(lines[0]); v != checkpointVersion {
		return fmt.Errorf("Unrecognized version of the checkpoint file: %q", v)
	}
	if len(lines) < 2 {
		return errors.New("the checkpoint file ends before the number of its entries")
	}
	count, err := strconv.ParseInt(strings.TrimSpace(lines[1]), 10, 32)
	if err != nil || count < 0 {
		return fmt.Errorf("%q is not a number of entries", lines[1])
	}
	entries := lines[2:]
	if int(count) != len(entries) {
		return fmt.Errorf("Expected %d entries in checkpoint file, but found only %d", count, len(entries))
	}
	for i, line := range entries {
		f := strings.Fields(line)
		if len(f) != fields {
			return fmt.Errorf("Malformed line in checkpoint file: line %d %q", i+3, line)
		}
		if err := each(f); err != nil {
			return fmt.Errorf("Malformed line in checkpoint file: line %d %q: %w", i+3, line, err)
		}
	}
	return nil
}

// parseOffsets decodes an offset checkpoint.
func parseOffsets(content []byte) (map[topic.Partition]int64, error) {
	offsets := make(map[topic.Partition]int64)
	err := parseCheckpoint(content, 3, func(f []string) error {
		id, err := strconv.ParseInt(f[1], 10, 32)
		if err != nil {
			return err
		}
		offset, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			return err
		}
		offsets[topic.Partition{Topic: f[0], ID: int32(id)}] = offset
		return nil
	})
	if err != nil {
		return nil, err
	}
	return offsets, nil
}

// formatOffsets encodes an offset checkpoint.
func formatOffsets(offsets map[topic.Partition]int64) []byte {
	b := make([]byte, 0, 16+32*len(offsets))
	b = append(b, checkpointVersion+"\n"...)
	b = strconv.AppendInt(b, int64(len(offsets)), 10)
	b = append(b, '\n')
	for tp, offset := range offsets {
		b = append(b, tp.Topic...)
		b = append(b, ' ')
		b = strconv.AppendInt(b, int64(tp.ID), 10)
		b = append(b, ' ')
		b = strconv.AppendInt(b, offset, 10)
		b = append(b, '\n')
	}
	return b
}

// readOffsets loads an offset checkpoint; one that does not exist is empty.
func readOffsets(disk fileSystem, path string) (map[topic.Partition]int64, error) {
	content, err := readFile(disk, path)
	if errors.Is(err, fs.ErrNotExist) {
		return map[topic.Partition]int64{}, nil
	}
	if err != nil {
		return nil, err
	}
	offsets, err := parseOffsets(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return offsets, nil
}
