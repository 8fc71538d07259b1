package main

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/zurau/zurau/broker/record"
)

// The files beside a log, as package storage draws them.
const (
	offsetEntryBytes   = 8  // relative offset int32, position int32
	timeEntryBytes     = 12 // timestamp int64, relative offset int32
	txnEntryBytes      = 34 // version int16, producer id, first offset, last offset, last stable offset int64
	snapshotHeadBytes  = 10 // version int16, CRC-32C of what follows, count int32
	snapshotEntryBytes = 46
)

// offsetEntry says that a batch with an offset of at least Offset begins at Position or behind it.
type offsetEntry struct{ Offset, Position int64 }

// readOffsetIndex reads the entries up to the zeros of a file that was not trimmed. The first entry may be all zero.
func readOffsetIndex(file string) (entries []offsetEntry, base int64, raw []byte, err error) {
	if base, err = baseOffsetOf(file); err != nil {
		return nil, 0, nil, err
	}
	if raw, err = os.ReadFile(file); err != nil {
		return nil, base, nil, openError(file, err)
	}
	for b := raw; len(b) >= offsetEntryBytes; b = b[offsetEntryBytes:] {
		relative := int64(int32(binary.BigEndian.Uint32(b)))
		if relative == 0 && len(entries) > 0 {
			break
		}
		entries = append(entries, offsetEntry{base + relative, int64(int32(binary.BigEndian.Uint32(b[4:])))})
	}
	return entries, base, raw, nil
}

// logOf names the log that an index belongs to.
func logOf(index string) string { return strings.TrimSuffix(index, filepath.Ext(index)) + ".log" }

func (d *dumper) dumpOffsetIndex(file string) error {
	log, err := openSegment(logOf(file), math.MaxInt64)
	if err != nil {
		return err
	}
	defer log.close()
	entries, base, raw, err := readOffsetIndex(file)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		fmt.Fprintf(d.out, "%s is empty.\n", file)
		return nil
	}
	if d.sanityOnly {
		if len(raw)%offsetEntryBytes != 0 {
			return corruptIndex("Index file %s is corrupt, found %d bytes which is neither positive nor a multiple of %d.",
				file, len(raw), offsetEntryBytes)
		}
		if last := base + int64(int32(binary.BigEndian.Uint32(raw[len(raw)-offsetEntryBytes:]))); last < base {
			return corruptIndex("Corrupt index found, index file (%s) has non-zero size but the last offset is %d which "+
				"is less than the base offset %d.", file, last, base)
		}
		fmt.Fprintf(d.out, "%s passed sanity check.\n", file)
		return nil
	}
	for _, e := range entries {
		found := int64(-1)
		b, err := log.headAt(e.Position)
		if err != nil {
			return err
		}
		if b != nil {
			found = b.LastOffset()
		}
		if found != e.Offset {
			d.complaints.wrongOffset(file, e.Offset, found)
		}
		if !d.verifyOnly {
			fmt.Fprintf(d.out, "offset: %d position: %d\n", e.Offset, e.Position)
		}
	}
	return nil
}

func corruptIndex(format string, args ...any) error {
	return &javaError{class: "kafka.log.CorruptIndexException", message: fmt.Sprintf(format, args...)}
}

func (d *dumper) dumpTimeIndex(file string) error {
	base, err := baseOffsetOf(file)
	if err != nil {
		return err
	}
	log, err := openSegment(logOf(file), math.MaxInt64)
	if err != nil {
		return err
	}
	defer log.close()
	offsets, _, _, err := readOffsetIndex(strings.TrimSuffix(file, ".timeindex") + ".index")
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return openError(file, err)
	}
	if d.sanityOnly {
		if len(raw)%timeEntryBytes != 0 {
			return corruptIndex("Time index file %s is corrupt, found %d bytes which is neither positive nor a multiple "+
				"of %d.", file, len(raw), timeEntryBytes)
		}
		fmt.Fprintf(d.out, "%s passed sanity check.\n", file)
		return nil
	}
	before := record.NoTimestamp
	for i := 0; len(raw) >= timeEntryBytes; i, raw = i+1, raw[timeEntryBytes:] {
		timestamp := int64(binary.BigEndian.Uint64(raw))
		relative := int64(int32(binary.BigEndian.Uint32(raw[8:])))
		if relative == 0 && i > 0 {
			break // the zeros of a file that was not trimmed
		}
		if err := d.checkTime(file, log, offsets, base+relative, timestamp, before); err != nil {
			return err
		}
		if !d.verifyOnly {
			fmt.Fprintf(d.out, "timestamp: %d offset: %d\n", timestamp, base+relative)
		}
		before = timestamp
	}
	return nil
}

// checkTime compares an entry of a time index with the log: the batch that ends at offset must have timestamp as its
// largest. before is the entry before it.
func (d *dumper) checkTime(file string, log *segmentFile, offsets []offsetEntry,
	offset, timestamp, before int64) error {
	position := int64(0)
	if i := sort.Search(len(offsets), func(i int) bool { return offsets[i].Offset > offset }); i > 0 {
		position = offsets[i-1].Position
	}
	for {
		b, err := log.headAt(position)
		if err != nil {
			return err
		}
		if b == nil {
			d.complaints.notFound(file, offset, -1)
			return nil
		}
		if b.LastOffset() < offset {
			position += int64(b.SizeBytes())
			continue
		}
		if b.LastOffset() != offset {
			d.complaints.notFound(file, offset, b.LastOffset())
			return nil
		}
		break
	}
	b, err := log.batchAt(position)
	if err != nil {
		return err
	}
	largest := record.NoTimestamp
	it := b.Records(dumpLimits)
	defer it.Close()
	for it.Next() {
		largest = max(largest, it.Record().Timestamp)
	}
	if it.Err() != nil {
		return invalidRecord(it.Err())
	}
	if largest != timestamp {
		d.complaints.wrongTime(file, timestamp, largest)
	}
	if before >= timestamp {
		d.complaints.timeOrder(file, timestamp, before)
	}
	return nil
}

func (d *dumper) dumpTxnIndex(file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return openError(file, err)
	}
	for ; len(raw) >= txnEntryBytes; raw = raw[txnEntryBytes:] {
		at := func(i int) int64 { return int64(binary.BigEndian.Uint64(raw[i:])) }
		fmt.Fprintf(d.out, "version: %d producerId: %d firstOffset: %d lastOffset: %d lastStableOffset: %d\n",
			int16(binary.BigEndian.Uint16(raw)), at(2), at(10), at(18), at(26))
	}
	return nil
}

// dumpSnapshot prints a producer snapshot; one that a broker would not take is only reported.
func (d *dumper) dumpSnapshot(file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return openError(file, err)
	}
	entries, problem := snapshotEntries(raw)
	if problem != "" {
		fmt.Fprintf(d.err, "Snapshot %s %s\n", file, problem)
		return nil
	}
	for ; len(entries) > 0; entries = entries[snapshotEntryBytes:] {
		i16 := func(i int) int16 { return int16(binary.BigEndian.Uint16(entries[i:])) }
		i32 := func(i int) int32 { return int32(binary.BigEndian.Uint32(entries[i:])) }
		i64 := func(i int) int64 { return int64(binary.BigEndian.Uint64(entries[i:])) }
		open := "None"
		if first := i64(38); first >= 0 {
			open = fmt.Sprintf("Some(%d)", first)
		}
		fmt.Fprintf(d.out, "producerId: %d producerEpoch: %d coordinatorEpoch: %d currentTxnFirstOffset: %s ", i64(0),
			i16(8), i32(34), open)
		lastSequence, lastOffset, delta := i32(10), i64(14), i32(22)
		if lastOffset >= 0 { // else the producer has a marker and no batch
			fmt.Fprintf(d.out, "firstSequence: %d lastSequence: %d lastOffset: %d offsetDelta: %d timestamp: %d",
				record.SequenceAfter(lastSequence, -delta), lastSequence, lastOffset, delta, i64(26))
		}
		fmt.Fprintln(d.out)
	}
	return nil
}

// snapshotEntries checks a snapshot and returns its entries, or what is wrong with it.
func snapshotEntries(raw []byte) (entries []byte, problem string) {
	if len(raw) < snapshotHeadBytes {
		return nil, "is cut off"
	}
	if version := int16(binary.BigEndian.Uint16(raw)); version != 1 {
		return nil, fmt.Sprintf("contained an unknown file version %d", version)
	}
	stored, computed := binary.BigEndian.Uint32(raw[2:]), crc32.Checksum(raw[6:], crc32.MakeTable(crc32.Castagnoli))
	if stored != computed {
		return nil, fmt.Sprintf("is corrupt (CRC is no longer valid). Stored crc: %d. Computed crc: %d", stored, computed)
	}
	entries = raw[snapshotHeadBytes:]
	count := int64(int32(binary.BigEndian.Uint32(raw[6:])))
	if count < 0 || count*snapshotEntryBytes != int64(len(entries)) {
		return nil, fmt.Sprintf("counts %d producers in %d bytes", count, len(entries))
	}
	return entries, ""
}

// complaints are what did not fit together, by file, to be told at the end on stderr.
type complaints struct {
	wrongOffsets, wrongTimes, timeOrders, missing, gaps byFile
}

// byFile keeps lines by file, in the order in which the files came.
type byFile struct {
	files []string
	lines map[string][]string
}

func (b *byFile) add(file, line string, front bool) {
	if abs, err := filepath.Abs(file); err == nil {
		file = abs
	}
	if b.lines == nil {
		b.lines = make(map[string][]string)
	}
	if _, ok := b.lines[file]; !ok {
		b.files = append(b.files, file)
	}
	if front {
		b.lines[file] = append([]string{line}, b.lines[file]...)
	} else {
		b.lines[file] = append(b.lines[file], line)
	}
}

func (b *byFile) print(w io.Writer, title func(file string) string) {
	for _, file := range b.files {
		fmt.Fprintln(w, title(file))
		for _, line := range b.lines[file] {
			fmt.Fprintln(w, line)
		}
	}
}

// The tool of 2.8 tells offset mismatches and gaps from the last to the first, the rest as they were found.

func (c *complaints) wrongOffset(file string, index, log int64) {
	c.wrongOffsets.add(file, fmt.Sprintf("  Index offset: %d, log offset: %d", index, log), true)
}

func (c *complaints) gap(file string, first, second int64) {
	c.gaps.add(file, fmt.Sprintf("  %d is followed by %d", first, second), true)
}

func (c *complaints) wrongTime(file string, index, log int64) {
	c.wrongTimes.add(file, fmt.Sprintf("  Index timestamp: %d, log timestamp: %d", index, log), false)
}

func (c *complaints) timeOrder(file string, index, before int64) {
	c.timeOrders.add(file, fmt.Sprintf("  Index timestamp: %d, Previously indexed timestamp: %d", index, before), false)
}

func (c *complaints) notFound(file string, index, log int64) {
	c.missing.add(file, fmt.Sprintf("Indexed offset: %d, found log offset: %d", index, log), false)
}

func (c *complaints) print(w io.Writer) {
	c.wrongOffsets.print(w, func(file string) string { return "Mismatches in :" + file })
	c.wrongTimes.print(w, func(file string) string { return "Found timestamp mismatch in :" + file })
	c.timeOrders.print(w, func(file string) string { return "Found out of order timestamp in :" + file })
	c.missing.print(w, func(string) string { return "The following indexed offsets are not found in the log." })
	c.gaps.print(w, func(file string) string { return "Non-consecutive offsets in " + file })
}
