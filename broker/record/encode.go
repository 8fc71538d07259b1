package record

import (
	"encoding/binary"
	"math"
)

// Header is one record header (KIP-82). A nil Value is null.
type Header struct {
	Key   string
	Value []byte
}

// emptyHeader is the header of a batch without records, producer or offsets.
var emptyHeader = func() (h [HeaderBytes]byte) {
	b := Batch(h[:])
	b[magicAt] = 2
	b.SetLeaderEpoch(NoLeaderEpoch)
	b.putInt64(baseTimestampAt, NoTimestamp)
	b.putInt64(maxTimestampAt, NoTimestamp)
	b.putInt64(producerIDAt, NoProducerID)
	binary.BigEndian.PutUint16(b[producerEpochAt:], math.MaxUint16)
	b.putInt32(baseSequenceAt, NoSequence)
	return h
}()

// beginBatch begins a batch behind dst.
func beginBatch(dst []byte) []byte { return append(dst, emptyHeader[:]...) }

// seal ends the batch that begins at start and reaches to the end of dst: size and CRC.
func seal(dst []byte, start int) []byte {
	b := Batch(dst[start:])
	b.putInt32(sizeAt, int32(len(b)-PrefixBytes))
	b.UpdateCRC()
	return dst
}

// append puts the record behind dst, with its length: the inverse of parse.
func (f *fields) append(dst []byte) []byte {
	body := 1 + varlongBytes(f.timestampDelta) + varintBytes(f.offsetDelta) + nullableBytes(f.key) +
		nullableBytes(f.value) + varintBytes(f.headerCount) + len(f.headers)
	dst = append(appendVarint(dst, int32(body)), 0)
	dst = appendVarint(appendVarlong(dst, f.timestampDelta), f.offsetDelta)
	dst = appendNullable(appendNullable(dst, f.key), f.value)
	return append(appendVarint(dst, f.headerCount), f.headers...)
}

func appendHeaders(dst []byte, headers []Header) []byte {
	for _, h := range headers {
		dst = append(appendVarint(dst, int32(len(h.Key))), h.Key...)
		dst = appendNullable(dst, h.Value)
	}
	return dst
}

func appendNullable(dst, b []byte) []byte {
	if b == nil {
		return append(dst, 1) // -1 in zigzag
	}
	return append(appendVarint(dst, int32(len(b))), b...)
}

func nullableBytes(b []byte) int {
	if b == nil {
		return 1
	}
	return varintBytes(int32(len(b))) + len(b)
}
