package record

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/zurau/zurau/broker/kerr"
)

// Positions of the fields of a magic 2 batch, and of the few fields a legacy message shares with it.
const (
	sizeAt            = 8
	leaderEpochAt     = 12
	magicAt           = 16
	crcAt             = 17
	attributesAt      = 21
	lastOffsetDeltaAt = 23
	baseTimestampAt   = 27
	maxTimestampAt    = 35
	producerIDAt      = 43
	producerEpochAt   = 51
	baseSequenceAt    = 53
	countAt           = 57

	legacyCRCAt        = 12
	legacyAttributesAt = 17
	legacyTimestampAt  = 18
)

const (
	// HeaderBytes is the size of a magic 2 header. The accessors of a Batch need no more than this.
	HeaderBytes = 61
	// PrefixBytes is offset and size: what stands before the bytes counted by the size field.
	PrefixBytes = 12
	// MagicEndBytes is how much of a batch tells its size and magic.
	MagicEndBytes = 17

	messageOverheadV0 = 14 // crc, magic, attributes, two lengths
	messageOverheadV1 = 22 // and a timestamp
)

// Attribute bits.
const (
	codecMask         = 0x07
	appendTimeBit     = 0x08
	transactionalBit  = 0x10
	controlBit        = 0x20
	deleteHorizonBit  = 0x40
	knownAttributeBit = codecMask | appendTimeBit | transactionalBit | controlBit | deleteHorizonBit
)

// NoTimestamp and its neighbours stand for an absent value in a batch.
const (
	NoTimestamp   int64 = -1
	NoProducerID  int64 = -1
	NoProducer    int16 = -1 // producer epoch
	NoSequence    int32 = -1
	NoLeaderEpoch int32 = -1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Batch is a view over the bytes of exactly one batch: of magic 2, or one message of magic 0 or 1 (a "batch" of old
// logs). The accessors answer for all three; the setters are for magic 2 alone. Nothing is copied: a Batch lives and
// changes with the bytes under it. Accessors need only the header bytes to be there.
type Batch []byte

// SizeOf tells the size in bytes of the batch whose first bytes are given, 0 when there are too few to know
// (17 always suffice). A size or magic that cannot be is kerr.CorruptMessage.
func SizeOf(head []byte) (int, error) {
	if len(head) < PrefixBytes {
		return 0, nil
	}
	size := int32(binary.BigEndian.Uint32(head[sizeAt:]))
	if size < messageOverheadV0 {
		return 0, kerr.New(kerr.CorruptMessage, "batch size %d is below the smallest message, %d", size, messageOverheadV0)
	}
	if len(head) < MagicEndBytes {
		return 0, nil
	}
	total := int(size) + PrefixBytes
	switch magic := int8(head[magicAt]); magic {
	case 0:
	case 1:
		if size < messageOverheadV1 {
			return 0, kerr.New(kerr.CorruptMessage, "message size %d is below the overhead of magic 1, %d", size,
				messageOverheadV1)
		}
	case 2:
		if total < HeaderBytes {
			return 0, kerr.New(kerr.CorruptMessage, "batch size %d is below a batch header, %d", total, HeaderBytes)
		}
	default:
		return 0, kerr.New(kerr.CorruptMessage, "unknown magic %d", magic)
	}
	return total, nil
}

// Next splits the first batch off b. At the end, or before an incomplete tail, batch is nil and rest is what is left.
// The batch aliases b.
func Next(b []byte) (batch Batch, rest []byte, err error) {
	size, err := SizeOf(b)
	if err != nil {
		return nil, b, err
	}
	if size == 0 || size > len(b) {
		return nil, b, nil
	}
	return Batch(b[:size:size]), b[size:], nil
}

// Magic is 0, 1 or 2.
func (b Batch) Magic() int8 { return int8(b[magicAt]) }

// BaseOffset is the offset of the first record; in a compressed legacy message it is that of the last (FirstOffset
// decodes).
func (b Batch) BaseOffset() int64 { return b.int64(0) }

// SetBaseOffset numbers the records from offset on. Outside the CRC.
func (b Batch) SetBaseOffset(offset int64) { b.putInt64(0, offset) }

// SizeBytes is the size by the header, the 12 bytes of offset and size included.
func (b Batch) SizeBytes() int { return int(b.int32(sizeAt)) + PrefixBytes }

// LeaderEpoch is the epoch of the leader that appended the batch, -1 unknown.
func (b Batch) LeaderEpoch() int32 {
	if b.Magic() < 2 {
		return NoLeaderEpoch
	}
	return b.int32(leaderEpochAt)
}

// SetLeaderEpoch stamps the epoch of the appending leader. Outside the CRC.
func (b Batch) SetLeaderEpoch(epoch int32) { b.putInt32(leaderEpochAt, epoch) }

// CRC is the stored checksum.
func (b Batch) CRC() uint32 {
	if b.Magic() < 2 {
		return binary.BigEndian.Uint32(b[legacyCRCAt:])
	}
	return binary.BigEndian.Uint32(b[crcAt:])
}

// ComputeCRC is the checksum the bytes have.
func (b Batch) ComputeCRC() uint32 {
	if b.Magic() < 2 {
		return crc32.ChecksumIEEE(b[magicAt:])
	}
	return crc32.Checksum(b[attributesAt:], castagnoli)
}

// CheckCRC compares stored and computed checksum; kerr.CorruptMessage when they differ.
func (b Batch) CheckCRC() error {
	if stored, computed := b.CRC(), b.ComputeCRC(); stored != computed {
		return kerr.New(kerr.CorruptMessage, "Record is corrupt (stored crc = %d, computed crc = %d)", stored, computed)
	}
	return nil
}

// UpdateCRC stores the checksum the bytes have, after a change of attributes, timestamps or producer fields.
func (b Batch) UpdateCRC() { binary.BigEndian.PutUint32(b[crcAt:], b.ComputeCRC()) }

// Attributes are the attribute bits, the high byte of magic 2 included.
func (b Batch) Attributes() int16 {
	if b.Magic() < 2 {
		return int16(b[legacyAttributesAt])
	}
	return int16(binary.BigEndian.Uint16(b[attributesAt:]))
}

func (b Batch) setAttributes(a int16) { binary.BigEndian.PutUint16(b[attributesAt:], uint16(a)) }

// Codec is how the records are compressed; it may be an unknown one (see Codec.Known).
func (b Batch) Codec() Codec { return Codec(b.Attributes() & codecMask) }

// TimestampType says who stamped the records.
func (b Batch) TimestampType() TimestampType {
	if b.Magic() > 0 && b.Attributes()&appendTimeBit != 0 {
		return LogAppendTime
	}
	return CreateTime
}

// IsTransactional says whether the records belong to a transaction.
func (b Batch) IsTransactional() bool { return b.Magic() == 2 && b.Attributes()&transactionalBit != 0 }

// IsControl says whether this is a batch of the coordinators' markers and not of user records.
func (b Batch) IsControl() bool { return b.Magic() == 2 && b.Attributes()&controlBit != 0 }

// HasDeleteHorizon says whether the cleaner has put the delete horizon in place of the base timestamp (KIP-534).
func (b Batch) HasDeleteHorizon() bool { return b.Magic() == 2 && b.Attributes()&deleteHorizonBit != 0 }

// LastOffsetDelta is LastOffset - BaseOffset.
func (b Batch) LastOffsetDelta() int32 {
	if b.Magic() < 2 {
		return 0
	}
	return b.int32(lastOffsetDeltaAt)
}

// LastOffset is the offset of the last record, or of the last that was there before compaction.
func (b Batch) LastOffset() int64 { return b.BaseOffset() + int64(b.LastOffsetDelta()) }

// NextOffset is LastOffset + 1.
func (b Batch) NextOffset() int64 { return b.LastOffset() + 1 }

// BaseTimestamp is what the timestamp deltas count from (or the delete horizon), ms.
func (b Batch) BaseTimestamp() int64 {
	if b.Magic() < 2 {
		return b.MaxTimestamp()
	}
	return b.int64(baseTimestampAt)
}

// MaxTimestamp is the largest timestamp of the records, ms, -1 for none (always so in magic 0).
func (b Batch) MaxTimestamp() int64 {
	switch b.Magic() {
	case 0:
		return NoTimestamp
	case 1:
		return b.int64(legacyTimestampAt)
	}
	return b.int64(maxTimestampAt)
}

// SetMaxTimestamp stores kind and largest timestamp of the records and, if that changes anything, a new checksum.
func (b Batch) SetMaxTimestamp(kind TimestampType, ms int64) {
	if b.TimestampType() == kind && b.MaxTimestamp() == ms {
		return
	}
	a := b.Attributes() & (knownAttributeBit &^ appendTimeBit)
	if kind == LogAppendTime {
		a |= appendTimeBit
	}
	b.setAttributes(a)
	b.putInt64(maxTimestampAt, ms)
	b.UpdateCRC()
}

// ProducerID is the id of an idempotent producer, -1 for none.
func (b Batch) ProducerID() int64 {
	if b.Magic() < 2 {
		return NoProducerID
	}
	return b.int64(producerIDAt)
}

// HasProducer says whether an idempotent producer wrote the batch.
func (b Batch) HasProducer() bool { return b.ProducerID() > NoProducerID }

// ProducerEpoch is the epoch of ProducerID, -1 for none.
func (b Batch) ProducerEpoch() int16 {
	if b.Magic() < 2 {
		return NoProducer
	}
	return int16(binary.BigEndian.Uint16(b[producerEpochAt:]))
}

// BaseSequence is the sequence number of the first record, -1 for none.
func (b Batch) BaseSequence() int32 {
	if b.Magic() < 2 {
		return NoSequence
	}
	return b.int32(baseSequenceAt)
}

// LastSequence is the sequence number of the last record, -1 for none; numbers go on at 0 after 2147483647.
func (b Batch) LastSequence() int32 {
	first := b.BaseSequence()
	if first == NoSequence {
		return NoSequence
	}
	return SequenceAfter(first, b.LastOffsetDelta())
}

// SequenceAfter is the sequence number n places after s: 0 follows 2147483647.
func SequenceAfter(s, n int32) int32 { return int32((int64(s) + int64(n)) & 0x7fffffff) }

// Count is the number of records by the header; -1 in a legacy message, which does not tell.
func (b Batch) Count() int32 {
	if b.Magic() < 2 {
		return -1
	}
	return b.int32(countAt)
}

// payload is what stands behind the header: records, plain or compressed.
func (b Batch) payload() []byte { return b[HeaderBytes:] }

func (b Batch) int32(at int) int32 { return int32(binary.BigEndian.Uint32(b[at:])) }
func (b Batch) int64(at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) }

func (b Batch) putInt32(at int, v int32) { binary.BigEndian.PutUint32(b[at:], uint32(v)) }
func (b Batch) putInt64(at int, v int64) { binary.BigEndian.PutUint64(b[at:], uint64(v)) }

// TimestampType says whose clock a record's timestamp is (KIP-32).
type TimestampType int8

// The two kinds of timestamp.
const (
	CreateTime    TimestampType = 0 // the producer's
	LogAppendTime TimestampType = 1 // the broker's, the batch's maxTimestamp for all its records
)

// String is the word of message.timestamp.type.
func (t TimestampType) String() string {
	if t == LogAppendTime {
		return "LogAppendTime"
	}
	return "CreateTime"
}
