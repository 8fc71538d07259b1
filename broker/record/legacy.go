package record

import (
	"encoding/binary"
	"hash/crc32"
	"io"

	"github.com/zurau/zurau/broker/kerr"
)

// message is the key and value of one message of magic 0 or 1, aliasing its bytes; nil when null.
type message struct{ key, value []byte }

// parseMessage reads the fields of a message whose frame is checked. It must fill its frame.
func parseMessage(b Batch) (m message, err error) {
	rest := b[legacyTimestampAt:]
	if b.Magic() == 1 {
		rest = rest[8:]
	}
	var ok bool
	if m.key, rest, ok = cutNullable(rest); !ok {
		return m, kerr.New(kerr.InvalidRecord, "message of magic %d has a wrong key length", b.Magic())
	}
	if m.value, rest, ok = cutNullable(rest); !ok || len(rest) > 0 {
		return m, kerr.New(kerr.InvalidRecord, "message of magic %d has a wrong value length", b.Magic())
	}
	return m, nil
}

// cutNullable splits bytes with an int32 length, -1 for null, off b.
func cutNullable(b []byte) (field, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, b, false
	}
	n := int(int32(binary.BigEndian.Uint32(b)))
	b = b[4:]
	if n < -1 || n > len(b) {
		return nil, b, false
	}
	if n == -1 {
		return nil, b, true
	}
	return b[:n:n], b[n:], true
}

// nextMessage takes the next inner message of a wrapper, with its CRC checked; io.EOF at the end.
func (s *stream) nextMessage(index int32, limit int) (Batch, error) {
	switch err := s.fill(MagicEndBytes); {
	case err == io.EOF && s.w == s.r:
		return nil, io.EOF
	case err == io.EOF:
		return nil, recordError(index, badBatchShort)
	case err != nil:
		return nil, err
	}
	size, err := SizeOf(s.buf[s.r:s.w])
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, kerr.New(kerr.MessageTooLarge, "message %d of the wrapper unpacks to %d bytes, allowed are %d",
			index, size, limit)
	}
	if err := s.fill(size); err == io.EOF {
		return nil, recordError(index, badBatchShort)
	} else if err != nil {
		return nil, err
	}
	b := Batch(s.take(size))
	if b.Magic() > 1 {
		return nil, kerr.New(kerr.InvalidRecord, "a wrapper message holds magic %d", b.Magic())
	}
	if b.Codec() != None {
		return nil, kerr.New(kerr.InvalidRecord, "Inner message must not be compressed")
	}
	return b, b.CheckCRC()
}

// wrapperBase is what the inner offsets of a wrapper count from: 0 in magic 0, where they are absolute. In magic 1
// the wrapper's own offset is that of the last one, save 0, which some librdkafka versions sent.
func wrapperBase(wrapper Batch, value []byte, limits Limits) (int64, error) {
	if wrapper.Magic() == 0 || wrapper.BaseOffset() == 0 {
		return 0, nil
	}
	s, err := openStream(wrapper.Codec(), wrapper.Magic(), value, limits.Bytes)
	if err != nil {
		return 0, err
	}
	defer s.close()
	last := int64(-1)
	for i := int32(0); ; i++ {
		inner, err := s.nextMessage(i, limits.RecordBytes)
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
		last = inner.BaseOffset()
	}
	if last < 0 || last > wrapper.BaseOffset() {
		return 0, kerr.New(kerr.InvalidRecord, "wrapper offset %d, last inner offset %d", wrapper.BaseOffset(), last)
	}
	return wrapper.BaseOffset() - last, nil
}

// FirstOffset is the offset of the first record. Only a compressed legacy message has to be unpacked for it.
func (b Batch) FirstOffset(limits Limits) (int64, error) {
	if b.Magic() == 2 || b.Codec() == None {
		return b.BaseOffset(), nil
	}
	it := b.Records(limits)
	defer it.Close()
	if !it.Next() {
		if it.Err() != nil {
			return 0, it.Err()
		}
		return 0, kerr.New(kerr.InvalidRecord, "a wrapper message without inner messages")
	}
	return it.Record().Offset, nil
}

// AppendMessage encodes a message of magic 0 or 1 behind dst, CRC in place. codec is that of value, for a wrapper.
// Magic 0 has no timestamp and no kind of it.
func AppendMessage(dst []byte, magic int8, offset int64, codec Codec, kind TimestampType, timestamp int64,
	key, value []byte) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint64(dst, uint64(offset))
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0) // size and CRC
	attributes := byte(codec)
	if magic > 0 && kind == LogAppendTime {
		attributes |= appendTimeBit
	}
	dst = append(dst, byte(magic), attributes)
	if magic > 0 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(timestamp))
	}
	dst = appendLong(appendLong(dst, key), value)
	b := dst[start:]
	binary.BigEndian.PutUint32(b[sizeAt:], uint32(len(b)-PrefixBytes))
	binary.BigEndian.PutUint32(b[legacyCRCAt:], crc32.ChecksumIEEE(b[magicAt:]))
	return dst
}

// appendLong writes bytes with an int32 length, -1 for nil.
func appendLong(dst, b []byte) []byte {
	if b == nil {
		return append(dst, 0xff, 0xff, 0xff, 0xff)
	}
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(b))), b...)
}
