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

// appendHeader begins a batch behind dst.
func appendHeader(dst []byte) []byte { return append(dst, emptyHeader[:]...) }

// seal ends the batch that begins at start and reaches to the end of dst: size and CRC.
func seal(dst []byte, start int) []byte {
	b := Batch(dst[start:])
	b.putInt32(sizeAt, int32(len(b)-PrefixBytes))
	b.UpdateCRC()
	return dst
}

// appendRecord encodes one record of magic 2 with its length.
func appendRecord(dst []byte, timestampDelta int64, offsetDelta int32, key, value []byte, headers []Header) []byte {
	dst = appendVarint(dst, int32(recordBodyBytes(timestampDelta, offsetDelta, key, value, headers)))
	dst = append(dst, 0)
	dst = appendVarlong(dst, timestampDelta)
	dst = appendVarint(dst, offsetDelta)
	dst = appendNullable(dst, key)
	dst = appendNullable(dst, value)
	dst = appendVarint(dst, int32(len(headers)))
	for _, h := range headers {
		dst = appendVarint(dst, int32(len(h.Key)))
		dst = append(dst, h.Key...)
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

// recordBodyBytes is the size of a record without its length.
func recordBodyBytes(timestampDelta int64, offsetDelta int32, key, value []byte, headers []Header) int {
	n := 1 + varlongBytes(timestampDelta) + varintBytes(offsetDelta) + nullableBytes(key) + nullableBytes(value) +
		varintBytes(int32(len(headers)))
	for _, h := range headers {
		n += varintBytes(int32(len(h.Key))) + len(h.Key) + nullableBytes(h.Value)
	}
	return n
}
