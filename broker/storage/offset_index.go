package storage

import (
	"encoding/binary"
	"fmt"
	"math"
)

// offsetEntry says that a batch which contains any offset from base+relative on starts at position or behind it.
// The offset is the LAST one of the append that made the entry and the position is the append's start, so an
// entry's offset is in general not the base offset of the batch at its position.
type offsetEntry struct {
	relative int32 // offset - base of the segment
	position int32 // byte position in the .log
}

// offsetIndex finds the place in a segment from which to scan for an offset (.index; Java: OffsetIndex).
type offsetIndex struct{ indexFile[offsetEntry] }

var offsetKind = &indexKind[offsetEntry]{
	suffix: ".index",
	size:   8,
	encode: func(b []byte, e offsetEntry) {
		binary.BigEndian.PutUint32(b, uint32(e.relative))
		binary.BigEndian.PutUint32(b[4:], uint32(e.position))
	},
	decode: func(b []byte) offsetEntry {
		return offsetEntry{int32(binary.BigEndian.Uint32(b)), int32(binary.BigEndian.Uint32(b[4:]))}
	},
	after: func(prev, next offsetEntry) bool {
		return prev.relative >= 0 && prev.position >= 0 && next.relative > prev.relative && next.position > prev.position
	},
}

func newOffsetIndex(disk fileSystem, dir string, base int64, maxBytes int32) offsetIndex {
	return offsetIndex{indexFile[offsetEntry]{
		disk: disk, kind: offsetKind, dir: dir, base: base, max: int(maxBytes) / offsetKind.size,
	}}
}

// maxRelative is how far an entry reaches behind its segment's base.
const maxRelative = math.MaxInt32

// relativeOffset turns an offset into one that fits an entry; false when it is out of an entry's reach.
func relativeOffset(offset, base int64) (int32, bool) {
	d := offset - base
	return int32(d), d >= 0 && d <= maxRelative
}

// append adds an entry unless it says nothing new.
func (x *offsetIndex) append(offset, position int64) error {
	r, ok := relativeOffset(offset, x.base)
	if !ok || position < 0 || position > math.MaxInt32 {
		return fmt.Errorf("BUG: entry (%d, %d) does not fit an index with base %d", offset, position, x.base)
	}
	e := offsetEntry{r, int32(position)}
	if prev, ok, _ := x.last(); ok && !x.kind.after(prev, e) {
		return fmt.Errorf("BUG: entry %v does not follow %v in the index with base %d", e, prev, x.base)
	}
	x.add(e)
	return nil
}

// lookup returns the position from which a scan finds the batch that contains offset.
func (x *offsetIndex) lookup(offset int64) (position int64, err error) {
	if offset <= x.base {
		return 0, nil
	}
	r := offset - x.base
	e, ok, err := x.floor(func(e offsetEntry) bool { return int64(e.relative) <= r })
	if err != nil || !ok {
		return 0, err
	}
	return int64(e.position), nil
}

// offsetFrom returns the offset of the first entry whose position is at or behind the given one.
func (x *offsetIndex) offsetFrom(position int64) (offset int64, ok bool, err error) {
	e, ok, err := x.ceiling(func(e offsetEntry) bool { return int64(e.position) < position })
	return x.base + int64(e.relative), ok, err
}

// truncate drops the entries for offset and what follows.
func (x *offsetIndex) truncate(offset int64) {
	r := offset - x.base
	x.cut(func(e offsetEntry) bool { return int64(e.relative) < r })
}
