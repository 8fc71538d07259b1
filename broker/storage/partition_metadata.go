package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/zurau/zurau/broker/topic"
)

const partitionMetadataFile = "partition.metadata"

var metadataSeparator = regexp.MustCompile(`:\s+`)

// readPartitionMetadata returns the topic id in a partition's directory, zero when there is no file.
func readPartitionMetadata(disk fileSystem, dir string) (topic.ID, error) {
	path := filepath.Join(dir, partitionMetadataFile)
	content, err := readFile(disk, path)
	if errors.Is(err, fs.ErrNotExist) {
		return topic.ID{}, nil
	}
	if err != nil {
		return topic.ID{}, err
	}
	id, err := parsePartitionMetadata(content)
	if err != nil {
		return topic.ID{}, fmt.Errorf("%s: %w", path, err)
	}
	return id, nil
}

// parsePartitionMetadata decodes "version: 0" and "topic_id: <22 characters>".
func parsePartitionMetadata(content []byte) (topic.ID, error) {
	lines := strings.Split(strings.TrimRight(string(content), "\r\n"), "\n")
	if len(lines) < 2 {
		return topic.ID{}, errors.New("partition.metadata needs two lines")
	}
	version := metadataSeparator.Split(strings.TrimSpace(lines[0]), -1)
	if len(version) != 2 || version[0] != "version" {
		return topic.ID{}, fmt.Errorf("malformed line in partition.metadata: %q", lines[0])
	}
	if n, err := strconv.ParseInt(version[1], 10, 32); err != nil || n < 0 {
		return topic.ID{}, fmt.Errorf("Unrecognized version of partition.metadata: %q", version[1])
	}
	words := metadataSeparator.Split(strings.TrimSpace(lines[1]), -1)
	if len(words) != 2 || words[0] != "topic_id" {
		return topic.ID{}, fmt.Errorf("malformed line in partition.metadata: %q", lines[1])
	}
	id, err := topic.ParseID(words[1])
	if err != nil {
		return topic.ID{}, err
	}
	if id.IsZero() {
		return topic.ID{}, fmt.Errorf("Invalid topic ID in partition.metadata: %s", id)
	}
	return id, nil
}

// writePartitionMetadata makes the topic id durable.
func writePartitionMetadata(disk fileSystem, dir string, id topic.ID) error {
	return writeFileSynced(disk, filepath.Join(dir, partitionMetadataFile), []byte("version: 0\ntopic_id: "+id.String()))
}
