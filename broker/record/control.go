package record

import (
	"encoding/binary"

	"github.com/zurau/zurau/broker/kerr"
)

// ControlType is the kind of a control record. Readers ignore those they do not know.
type ControlType int16

// The control records a broker of ZooKeeper mode writes.
const (
	Abort  ControlType = 0
	Commit ControlType = 1
)

// String is the name in dumps.
func (t ControlType) String() string {
	switch t {
	case Abort:
		return "ABORT"
	case Commit:
		return "COMMIT"
	}
	return "UNKNOWN"
}

// ParseControlKey reads the key of a control record: version int16, type int16.
func ParseControlKey(key []byte) (ControlType, error) {
	if len(key) < 4 {
		return 0, kerr.New(kerr.InvalidRecord, "control record key has %d bytes, needs 4", len(key))
	}
	if version := int16(binary.BigEndian.Uint16(key)); version < 0 {
		return 0, kerr.New(kerr.InvalidRecord, "control record key of version %d", version)
	}
	return ControlType(binary.BigEndian.Uint16(key[2:])), nil
}

// EndTxnMarker ends a transaction of one producer in one partition (KIP-98).
type EndTxnMarker struct {
	ProducerID       int64
	ProducerEpoch    int16
	Type             ControlType // Commit or Abort
	CoordinatorEpoch int32
	Timestamp        int64 // ms, the coordinator's clock
}

// endTxnMarkerBytes is the size of the only form a marker batch has.
const endTxnMarkerBytes = 78

// Append puts the marker's batch behind dst: offset 0, leader epoch -1, CRC in place.
func (m EndTxnMarker) Append(dst []byte) []byte {
	start := len(dst)
	dst = beginBatch(dst)
	b := Batch(dst[start:])
	b.setAttributes(transactionalBit | controlBit)
	b.putInt64(baseTimestampAt, m.Timestamp)
	b.putInt64(maxTimestampAt, m.Timestamp)
	b.putInt64(producerIDAt, m.ProducerID)
	binary.BigEndian.PutUint16(b[producerEpochAt:], uint16(m.ProducerEpoch))
	b.putInt32(countAt, 1)

	key := binary.BigEndian.AppendUint16(make([]byte, 0, 4), 0)
	key = binary.BigEndian.AppendUint16(key, uint16(m.Type))
	value := binary.BigEndian.AppendUint16(make([]byte, 0, 6), 0)
	value = binary.BigEndian.AppendUint32(value, uint32(m.CoordinatorEpoch))
	return seal((&fields{key: key, value: value}).append(dst), start)
}

// ParseEndTxnMarker reads a control batch. ok is false for a control batch of another type, which readers pass over.
func ParseEndTxnMarker(b Batch) (m EndTxnMarker, ok bool, err error) {
	if !b.IsControl() || b.Count() != 1 || b.Codec() != None {
		return m, false, kerr.New(kerr.InvalidRecord, "not a control batch of one plain record")
	}
	body, _, whole := cutRecord(b.payload())
	if !whole {
		return m, false, recordError(0, badLength)
	}
	var f fields
	if problem := f.parse(body); problem != "" {
		return m, false, recordError(0, problem)
	}
	m = EndTxnMarker{ProducerID: b.ProducerID(), ProducerEpoch: b.ProducerEpoch(),
		Timestamp: b.BaseTimestamp() + f.timestampDelta}
	if m.Type, err = ParseControlKey(f.key); err != nil {
		return m, false, err
	}
	if m.Type != Commit && m.Type != Abort {
		return m, false, nil
	}
	if len(f.value) < 6 {
		return m, false, kerr.New(kerr.InvalidRecord, "end transaction marker has %d bytes, needs 6", len(f.value))
	}
	m.CoordinatorEpoch = int32(binary.BigEndian.Uint32(f.value[2:]))
	return m, true, nil
}
