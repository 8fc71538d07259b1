package brokertest

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
)

// logBatch is a record batch (magic 2) as it lies in a segment:
//
//	base offset int64 | length int32 | leader epoch int32 | magic int8 | CRC-32C uint32 | attributes int16 |
//	last offset delta int32 | 2 timestamps int64 | producer id int64 | producer epoch int16 | sequence int32 |
//	count int32 | records
type logBatch struct {
	base, last int64 // offsets
	epoch      int32 // of the leader
	intact     bool  // the CRC is right
	raw        []byte
}

const batchHead = 8 + 4 + 4 + 1 + 4 + 2 + 4 + 8 + 8 + 8 + 2 + 4 + 4

// readReplica reads all segments of a partition's directory. The log must not be written to meanwhile.
func readReplica(dir string) ([]logBatch, error) {
	segments, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return nil, err
	}
	slices.Sort(segments)
	var all []logBatch
	for _, path := range segments {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for len(data) > 0 {
			b, rest, err := cutBatch(data)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			all, data = append(all, b), rest
		}
	}
	return all, nil
}

func cutBatch(data []byte) (b logBatch, rest []byte, err error) {
	if len(data) < batchHead {
		return b, nil, fmt.Errorf("%d bytes are left over", len(data))
	}
	size := 12 + int(int32(binary.BigEndian.Uint32(data[8:])))
	if size < batchHead || size > len(data) {
		return b, nil, fmt.Errorf("a batch of %d bytes where %d are left", size, len(data))
	}
	if magic := data[16]; magic != 2 {
		return b, nil, fmt.Errorf("magic %d", magic)
	}
	raw := data[:size]
	b.base = int64(binary.BigEndian.Uint64(raw))
	b.last = b.base + int64(int32(binary.BigEndian.Uint32(raw[23:])))
	b.epoch = int32(binary.BigEndian.Uint32(raw[12:]))
	b.intact = crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)) == binary.BigEndian.Uint32(raw[17:])
	b.raw = raw
	return b, data[size:], nil
}

// values are the records of an uncompressed batch, as far as the checker needs them.
func (b logBatch) values() ([]stored, error) {
	if attributes := binary.BigEndian.Uint16(b.raw[21:]); attributes&7 != 0 {
		return nil, fmt.Errorf("the batch at %d is compressed", b.base)
	}
	var all []stored
	for data := b.raw[batchHead:]; len(data) > 0; {
		size, n := binary.Varint(data)
		if n <= 0 || size < 0 || size > int64(len(data)-n) {
			return nil, fmt.Errorf("the batch at %d ends inside a record", b.base)
		}
		value, delta, ok := recordValue(data[n : n+int(size)])
		if !ok {
			return nil, fmt.Errorf("a record of the batch at %d is malformed", b.base)
		}
		all = append(all, stored{b.base + delta, value})
		data = data[n+int(size):]
	}
	return all, nil
}

// recordValue reads attributes int8, timestamp delta, offset delta, key and value, all lengths and deltas as varints.
func recordValue(r []byte) (value string, delta int64, ok bool) {
	if len(r) == 0 {
		return "", 0, false
	}
	r = r[1:]
	next := func() int64 {
		v, n := binary.Varint(r)
		if ok = n > 0; ok {
			r = r[n:]
		}
		return v
	}
	if next(); !ok {
		return "", 0, false
	}
	if delta = next(); !ok {
		return "", 0, false
	}
	for i := range 2 {
		size := next()
		if !ok || size > int64(len(r)) {
			return "", 0, false
		}
		if size < 0 {
			size = 0
		}
		if i == 1 {
			value = string(r[:size])
		}
		r = r[size:]
	}
	return value, delta, true
}
