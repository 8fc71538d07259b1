package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
)

// epochEntry says that a leader epoch's first record has, or would have, this offset.
type epochEntry struct {
	epoch int32
	start int64
}

// undefinedEpoch and undefinedOffset are what EndOffsetForEpoch answers when it does not know.
const (
	undefinedEpoch  int32 = -1
	undefinedOffset int64 = -1
)

// epochCache knows where each leader epoch of a log begins; followers truncate by its answers (KIP-101, KIP-279).
// Its law: epochs and start offsets are both strictly increasing. It lives in leader-epoch-checkpoint.
//
// The owner is Log.mu. Java: LeaderEpochFileCache.
type epochCache struct {
	disk    fileSystem
	dir     string // the partition's directory
	entries []epochEntry
}

// loadEpochCache reads the checkpoint of a partition directory. A file that does not parse is an error: the caller
// decides whether it can be built again from the batches.
func loadEpochCache(disk fileSystem, dir string) (*epochCache, error) {
	c := &epochCache{disk: disk, dir: dir}
	path := filepath.Join(dir, leaderEpochCheckpoint)
	content, err := readFile(disk, path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	entries, err := parseEpochs(content)
	if err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	c.entries = entries
	return c, nil
}

func parseEpochs(content []byte) ([]epochEntry, error) {
	var entries []epochEntry
	err := parseCheckpoint(content, 2, func(f []string) error {
		epoch, err := strconv.ParseInt(f[0], 10, 32)
		if err != nil {
			return err
		}
		start, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			return err
		}
		if n := len(entries); n > 0 && (int32(epoch) <= entries[n-1].epoch || start <= entries[n-1].start) {
			return errors.New("epochs and offsets must increase")
		}
		entries = append(entries, epochEntry{int32(epoch), start})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

func formatEpochs(entries []epochEntry) []byte {
	b := append([]byte(checkpointVersion+"\n"), strconv.Itoa(len(entries))...)
	b = append(b, '\n')
	for _, e := range entries {
		b = strconv.AppendInt(b, int64(e.epoch), 10)
		b = append(b, ' ')
		b = strconv.AppendInt(b, e.start, 10)
		b = append(b, '\n')
	}
	return b
}

// save writes the checkpoint and syncs it.
func (c *epochCache) save() error {
	return writeFileSynced(c.disk, filepath.Join(c.dir, leaderEpochCheckpoint), formatEpochs(c.entries))
}

// latest returns the newest epoch, or -1.
func (c *epochCache) latest() int32 {
	if len(c.entries) == 0 {
		return undefinedEpoch
	}
	return c.entries[len(c.entries)-1].epoch
}

// assign notes that epoch starts at offset and reports whether anything changed. What contradicts the new entry
// (a later epoch, or one that starts at or behind it) is dropped.
func (c *epochCache) assign(epoch int32, start int64) bool {
	if epoch < 0 || start < 0 {
		return false
	}
	if n := len(c.entries); n > 0 {
		last := c.entries[n-1]
		if epoch == last.epoch && start >= last.start {
			return false
		}
	}
	c.entries = slices.DeleteFunc(c.entries, func(e epochEntry) bool { return e.epoch >= epoch || e.start >= start })
	c.entries = append(c.entries, epochEntry{epoch, start})
	return true
}

// truncateEnd forgets the epochs that start at or behind offset and reports whether there were any.
func (c *epochCache) truncateEnd(offset int64) bool {
	i := len(c.entries)
	for i > 0 && c.entries[i-1].start >= offset {
		i--
	}
	if i == len(c.entries) {
		return false
	}
	c.entries = slices.Delete(c.entries, i, len(c.entries))
	return true
}

// truncateStart moves the beginning to offset: the epoch that holds it now starts there, older ones are forgotten.
func (c *epochCache) truncateStart(offset int64) bool {
	i := 0 // the number of entries that start at or before offset
	for i < len(c.entries) && c.entries[i].start <= offset {
		i++
	}
	if i == 0 || i == 1 && c.entries[0].start == offset {
		return false
	}
	c.entries = slices.Delete(c.entries, 0, i-1)
	c.entries[0].start = offset
	return true
}

// clear forgets everything, as a log does that holds messages from before epochs.
func (c *epochCache) clear() bool {
	had := len(c.entries) > 0
	c.entries = nil
	return had
}

// at returns the epoch in which the record at offset was written, or -1.
func (c *epochCache) at(offset int64) int32 {
	for i := len(c.entries) - 1; i >= 0; i-- {
		if c.entries[i].start <= offset {
			return c.entries[i].epoch
		}
	}
	return undefinedEpoch
}

// endOffset answers OffsetForLeaderEpoch: the largest epoch not above the one asked for, and where it ends
// (exclusive). An epoch newer than all we know has no answer; one older than all of them ends where the first
// begins.
func (c *epochCache) endOffset(epoch int32, leo int64) (int32, int64) {
	if epoch == undefinedEpoch {
		return undefinedEpoch, undefinedOffset
	}
	if epoch == c.latest() {
		return epoch, leo
	}
	i := 0 // the first entry with a higher epoch
	for i < len(c.entries) && c.entries[i].epoch <= epoch {
		i++
	}
	switch {
	case i == len(c.entries):
		return undefinedEpoch, undefinedOffset
	case i == 0:
		return epoch, c.entries[0].start
	}
	return c.entries[i-1].epoch, c.entries[i].start
}
