package storage

import (
	"encoding/binary"
	"fmt"
)

// timeEntry says that no record before base+relative (inclusive) is younger than timestamp, and that the batch
// whose last offset that is has it.
type timeEntry struct {
	timestamp int64 // ms
	relative  int32 // offset - base of the segment
}

// timeIndex finds the place in a segment from which to look for a timestamp (.timeindex; Java: TimeIndex). Its last
// entry tells, once the segment is sealed, the segment's largest timestamp.
type timeIndex struct{ indexFile[timeEntry] }

var timeKind = &indexKind[timeEntry]{
	suffix: ".timeindex",
	size:   12,
	encode: func(b []byte, e timeEntry) {
		binary.BigEndian.PutUint64(b, uint64(e.timestamp))
		binary.BigEndian.PutUint32(b[8:], uint32(e.relative))
	},
	decode: func(b []byte) timeEntry {
		return timeEntry{int64(binary.BigEndian.Uint64(b)), int32(binary.BigEndian.Uint32(b[8:]))}
	},
	after: func(prev, next timeEntry) bool {
		return prev.relative >= 0 && next.timestamp > prev.timestamp && next.relative >= prev.relative
	},
}

func newTimeIndex(disk fileSystem, dir string, base int64, maxBytes int32) timeIndex {
	return timeIndex{indexFile[timeEntry]{
		disk: disk, kind: timeKind, dir: dir, base: base, max: int(maxBytes) / timeKind.size,
	}}
}

// maybeAppend adds (timestamp, offset) if the timestamp is larger than the last one, and tells whether it did.
func (x *timeIndex) maybeAppend(timestamp, offset int64) (bool, error) {
	r, ok := relativeOffset(offset, x.base)
	if !ok {
		return false, fmt.Errorf("BUG: offset %d does not fit a time index with base %d", offset, x.base)
	}
	e := timeEntry{timestamp, r}
	prev, ok, _ := x.last()
	if !ok {
		prev.timestamp = -1 // no timestamp is no entry
	}
	if timestamp <= prev.timestamp {
		return false, nil
	}
	if ok {
		if !x.kind.after(prev, e) {
			return false, fmt.Errorf("BUG: entry %v does not follow %v in the time index with base %d", e, prev, x.base)
		}
	}
	x.add(e)
	return true, nil
}

// lookup returns an offset from which a scan finds the first record with the timestamp or a later one.
func (x *timeIndex) lookup(timestamp int64) (offset int64, err error) {
	e, ok, err := x.floor(func(e timeEntry) bool { return e.timestamp <= timestamp })
	if err != nil || !ok {
		return x.base, err
	}
	return x.base + int64(e.relative), nil
}

// truncate drops the entries for offset and what follows.
func (x *timeIndex) truncate(offset int64) {
	r := offset - x.base
	x.cut(func(e timeEntry) bool { return int64(e.relative) < r })
}
