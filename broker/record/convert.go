package record

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/zurau/zurau/broker/kerr"
)

// Transcode gives a batch of magic 2 another compression: its header with the changed codec, its records byte for
// byte. The bytes pass through one window; the result may have maxBytes, else kerr.MessageTooLarge.
func Transcode(b Batch, to Compression, limits Limits, maxBytes int) (Batch, error) {
	n := NewBuilder(to, maxBytes)
	defer n.Discard()
	if n.err != nil {
		return nil, n.err
	}
	copy(n.out.b, b[:HeaderBytes])
	if err := n.copyRecords(b, limits); err != nil {
		return nil, err
	}
	if n.open {
		if n.err = n.enc.Close(); n.fail() != nil {
			return nil, n.err
		}
	}
	h := Batch(n.out.b)
	h.setAttributes(b.Attributes()&^codecMask | int16(to.Codec))
	return seal(n.out.b, 0), nil
}

// copyRecords writes the uncompressed records of src.
func (b *Builder) copyRecords(src Batch, limits Limits) error {
	if src.Codec() == None {
		return b.write(src.payload())
	}
	s, err := openStream(src.Codec(), 2, src.payload(), limits.Bytes)
	if err != nil {
		return err
	}
	defer s.close()
	for {
		s.r, s.w = 0, 0
		if err := s.more(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := b.write(s.buf[:s.w]); err != nil {
			return err
		}
	}
}

// Rebuild makes a batch of magic 2 anew with offset deltas 0, 1, 2 ...: some clients compress wrong ones, and Kafka
// mends them instead of refusing the batch. Header fields other than codec, count and deltas are kept.
func Rebuild(b Batch, to Compression, limits Limits, maxBytes int) (Batch, error) {
	n := NewBuilder(to, maxBytes)
	defer n.Discard()
	it := b.Records(limits)
	defer it.Close()
	for it.Next() {
		r := it.Record()
		f := fields{key: r.Key, value: r.Value, headerCount: r.HeaderCount, headers: r.headers}
		if err := n.appendEncoded(r.Stamp, &f); err != nil {
			return nil, err
		}
	}
	if it.Err() != nil {
		return nil, it.Err()
	}
	out, err := n.Finish(nil)
	if err != nil {
		return nil, err
	}
	copy(out[producerIDAt:countAt], b[producerIDAt:countAt])
	out.setAttributes(b.Attributes()&^codecMask | int16(to.Codec))
	out.UpdateCRC()
	return out, nil
}

// CodecOfSet is the codec of the first message of a set of magic 0 or 1.
func CodecOfSet(set []byte) Codec {
	b, _, err := Next(set)
	if err != nil || b == nil {
		return None
	}
	return b.Codec()
}

// UpConvert makes one batch of magic 2 of a message set of magic 0 or 1, as old producers send it: either plain
// messages or one wrapper. An incomplete last message is dropped. Offsets of the set do not matter. A message of
// magic 0 gets no timestamp. Neither a message nor the batch may be larger than maxBytes. Errors:
// kerr.CorruptMessage, kerr.InvalidRecord, kerr.MessageTooLarge.
func UpConvert(set []byte, to Compression, limits Limits, maxBytes int) (Batch, Survey, error) {
	first, _, err := Next(set)
	if err != nil {
		return nil, Survey{}, err
	}
	if first == nil || first.Magic() > 1 {
		return nil, Survey{}, kerr.New(kerr.InvalidRecord, "no whole message of magic 0 or 1")
	}
	n := NewBuilder(to, maxBytes)
	defer n.Discard()
	for rest := set; ; {
		var b Batch
		if b, rest, err = Next(rest); err != nil {
			return nil, Survey{}, err
		}
		if b == nil {
			break
		}
		if err := checkSetMember(b, first, maxBytes); err != nil {
			return nil, Survey{}, err
		}
		if err := n.appendMessages(b, limits); err != nil {
			return nil, Survey{}, err
		}
	}
	out, err := n.Finish(nil)
	if err == nil && first.TimestampType() == LogAppendTime {
		out.SetMaxTimestamp(LogAppendTime, out.MaxTimestamp())
	}
	return out, n.Survey(), err
}

// checkSetMember refuses large messages, mixed sets and all but one wrapper.
func checkSetMember(b, first Batch, maxBytes int) error {
	switch {
	case len(b) > maxBytes:
		return kerr.New(kerr.MessageTooLarge, "a message of %d bytes, allowed are %d", len(b), maxBytes)
	case b.Magic() != first.Magic():
		return kerr.New(kerr.InvalidRecord, "a message set mixes magic %d and %d", first.Magic(), b.Magic())
	case b.Codec() != None && &b[0] != &first[0], b.Codec() == None && first.Codec() != None:
		return kerr.New(kerr.InvalidRecord, "a message set holds a wrapper message and something else")
	}
	return b.CheckCRC()
}

// appendMessages adds a plain message or the contents of a wrapper.
func (b *Builder) appendMessages(m Batch, limits Limits) error {
	kv, err := parseMessage(m)
	if err != nil {
		return err
	}
	if m.Codec() == None {
		return b.Append(m.MaxTimestamp(), kv.key, kv.value, nil)
	}
	s, err := openStream(m.Codec(), m.Magic(), kv.value, limits.Bytes)
	if err != nil {
		return err
	}
	defer s.close()
	for i := int32(0); ; i++ {
		inner, err := s.nextMessage(i, limits.RecordBytes)
		if err == io.EOF {
			if i == 0 {
				return kerr.New(kerr.InvalidRecord, "a wrapper message without inner messages")
			}
			return nil
		}
		if err != nil {
			return err
		}
		if inner.Magic() != m.Magic() {
			return kerr.New(kerr.InvalidRecord, "a wrapper of magic %d holds magic %d", m.Magic(), inner.Magic())
		}
		kv, err := parseMessage(inner)
		if err != nil {
			return err
		}
		if err := b.Append(inner.MaxTimestamp(), kv.key, kv.value, nil); err != nil {
			return err
		}
	}
}

// DownLimits bound the unpacking of stored batches for old consumers.
var DownLimits = Limits{Bytes: math.MaxInt32, RecordBytes: 128 << 20}

// DownConvert gives old consumers (Fetch 0 to 3) a range of the log as a message set of magic 0 or 1. Batches of
// that magic or below are copied; headers and producer fields are dropped, control batches left out; a codec is
// kept. Messages below fromOffset are left out where the batch is not compressed. An incomplete batch at the end is
// dropped.
//
// The answer has the size of the range, or of the first converted batch if that is larger: it was promised before
// the conversion (Java: LazyDownConversionRecordsSend). It is cut, or filled with the beginning of a message that
// goes on behind it, which consumers take for one cut off. A range without a whole batch is given back as it is, so
// that a consumer sees its fetch size is too small.
//
// Errors: kerr.UnsupportedCompressionType for zstd, which has no old form; those of Iterator.
func DownConvert(batches []byte, magic int8, fromOffset int64) ([]byte, error) {
	out := make([]byte, 0, len(batches))
	rest := batches
	size := len(batches)
	for whole := 0; ; whole++ {
		var b Batch
		var err error
		if b, rest, err = Next(rest); err != nil {
			return nil, err
		}
		if b == nil {
			if whole == 0 {
				return batches, nil
			}
			return padTo(out, size), nil
		}
		empty := len(out) == 0
		if out, err = appendDown(out, b, magic, fromOffset); err != nil {
			return nil, err
		}
		if empty {
			size = max(size, len(out))
		} else if len(out) >= size {
			return padTo(out, size), nil
		}
	}
}

// appendDown converts one batch.
func appendDown(dst []byte, b Batch, magic int8, fromOffset int64) ([]byte, error) {
	if b.Magic() <= magic {
		return append(dst, b...), nil
	}
	if b.IsControl() {
		return dst, nil
	}
	codec := b.Codec()
	if codec == Zstd {
		return dst, kerr.New(kerr.UnsupportedCompressionType, "zstd batches have no form in magic %d", magic)
	}
	if codec != None {
		return appendWrapper(dst, b, magic)
	}
	it := b.Records(DownLimits)
	defer it.Close()
	for it.Next() {
		if r := it.Record(); r.Offset >= fromOffset {
			dst = AppendMessage(dst, magic, r.Offset, None, b.TimestampType(), r.Timestamp, r.Key, r.Value)
		}
	}
	return dst, it.Err()
}

// appendWrapper converts a compressed batch into one wrapper message of the same codec.
func appendWrapper(dst []byte, b Batch, magic int8) ([]byte, error) {
	packed := &sink{max: math.MaxInt32}
	enc, err := openEncoder(Compression{Codec: b.Codec(), Level: DefaultLevel}, magic, packed)
	if err != nil {
		return dst, err
	}
	defer enc.release()
	it := b.Records(DownLimits)
	defer it.Close()
	first, last, latest := int64(-1), int64(-1), NoTimestamp
	var inner []byte
	for it.Next() {
		r := it.Record()
		if first < 0 {
			first = r.Offset
		}
		last, latest = r.Offset, max(latest, r.Timestamp)
		offset := r.Offset
		if magic == 1 {
			offset -= first
		}
		inner = AppendMessage(inner[:0], magic, offset, None, b.TimestampType(), r.Timestamp, r.Key, r.Value)
		if _, err := enc.Write(inner); err != nil {
			return dst, err
		}
	}
	if it.Err() != nil || last < 0 {
		return dst, it.Err()
	}
	if err := enc.Close(); err != nil {
		return dst, err
	}
	return AppendMessage(dst, magic, last, b.Codec(), b.TimestampType(), latest, nil, packed.b), nil
}

// padTo cuts b to size, or fills it up with the beginning of a message that would end behind size.
func padTo(b []byte, size int) []byte {
	gap := size - len(b)
	if gap <= 0 {
		return b[:size]
	}
	b = append(b, make([]byte, gap)...)
	var head [PrefixBytes]byte
	binary.BigEndian.PutUint64(head[:], math.MaxUint64) // offset -1
	binary.BigEndian.PutUint32(head[sizeAt:], uint32(max(gap+1, HeaderBytes)))
	copy(b[size-gap:], head[:])
	return b
}
