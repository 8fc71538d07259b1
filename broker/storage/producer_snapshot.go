package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
)

// A producer snapshot (<offset>.snapshot): version, checksum of what follows it, number of producers, and for
// each of them what is left of a producerEntry when only the newest batch is kept.
const (
	snapshotSuffix     = ".snapshot"
	snapshotVersion    = 1
	snapshotHeaderSize = 10
	snapshotCRCEnd     = 6
	snapshotEntrySize  = 46
)

type snapshotEntry struct {
	producerID int64
	producerEntry
}

// encodeSnapshot gives the file's content, producers in the order of their ids.
func (p *producerState) encodeSnapshot() []byte {
	b := make([]byte, 0, snapshotHeaderSize+len(p.producers)*snapshotEntrySize)
	b = binary.BigEndian.AppendUint16(b, snapshotVersion)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(p.producers)))
	for _, id := range slices.Sorted(maps.Keys(p.producers)) {
		e := p.producers[id]
		last := sentBatch{lastOffset: noOffset, lastSequence: e.lastSequence()}
		if newest := e.last(); newest != nil {
			last = *newest
		}
		b = binary.BigEndian.AppendUint64(b, uint64(id))
		b = binary.BigEndian.AppendUint16(b, uint16(e.epoch))
		b = binary.BigEndian.AppendUint32(b, uint32(last.lastSequence))
		b = binary.BigEndian.AppendUint64(b, uint64(last.lastOffset))
		b = binary.BigEndian.AppendUint32(b, uint32(last.offsetDelta))
		b = binary.BigEndian.AppendUint64(b, uint64(e.lastTimestamp))
		b = binary.BigEndian.AppendUint32(b, uint32(e.coordinatorEpoch))
		b = binary.BigEndian.AppendUint64(b, uint64(e.txnFirstOffset))
	}
	binary.BigEndian.PutUint32(b[2:], crc32.Checksum(b[snapshotCRCEnd:], castagnoli))
	return b
}

var errCorruptSnapshot = errors.New("corrupt producer snapshot")

// decodeSnapshot reads a snapshot file. Anything that is not exactly one is refused, and built again from the log.
func decodeSnapshot(b []byte) ([]snapshotEntry, error) {
	if len(b) < snapshotHeaderSize {
		return nil, fmt.Errorf("%w: %d bytes", errCorruptSnapshot, len(b))
	}
	if v := binary.BigEndian.Uint16(b); v != snapshotVersion {
		return nil, fmt.Errorf("%w: version %d", errCorruptSnapshot, v)
	}
	if want, got := binary.BigEndian.Uint32(b[2:]), crc32.Checksum(b[snapshotCRCEnd:], castagnoli); want != got {
		return nil, fmt.Errorf("%w: checksum %08x where the file has %08x", errCorruptSnapshot, want, got)
	}
	count := int64(binary.BigEndian.Uint32(b[6:]))
	if count*snapshotEntrySize != int64(len(b)-snapshotHeaderSize) {
		return nil, fmt.Errorf("%w: %d producers in %d bytes", errCorruptSnapshot, count, len(b))
	}
	entries := make([]snapshotEntry, 0, count)
	for b = b[snapshotHeaderSize:]; len(b) > 0; b = b[snapshotEntrySize:] {
		s := snapshotEntry{producerID: int64(binary.BigEndian.Uint64(b))}
		s.epoch = int16(binary.BigEndian.Uint16(b[8:]))
		last := sentBatch{
			lastSequence: int32(binary.BigEndian.Uint32(b[10:])),
			lastOffset:   int64(binary.BigEndian.Uint64(b[14:])),
			offsetDelta:  int32(binary.BigEndian.Uint32(b[22:])),
			timestamp:    int64(binary.BigEndian.Uint64(b[26:])),
		}
		s.lastTimestamp = last.timestamp
		s.coordinatorEpoch = int32(binary.BigEndian.Uint32(b[34:]))
		s.txnFirstOffset = int64(binary.BigEndian.Uint64(b[38:]))
		if s.txnFirstOffset < 0 {
			s.txnFirstOffset = noOffset
		}
		if last.lastOffset >= 0 {
			s.batches[0], s.count = last, 1
		}
		entries = append(entries, s)
	}
	return entries, nil
}
