package record

import (
	"encoding/binary"
	"math"

	"github.com/zurau/zurau/broker/kerr"
)

// downLimits bound the unpacking of stored batches for old consumers.
var downLimits = Limits{Bytes: math.MaxInt32, RecordBytes: 128 << 20}

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
	it := b.Records(downLimits)
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
	c := Compression{Codec: b.Codec(), Level: DefaultLevel}
	reserved := c.conversionMemory()
	convertBudget.acquire(reserved)
	defer convertBudget.release(reserved)
	enc, err := openEncoder(c, magic, packed)
	if err != nil {
		return dst, err
	}
	defer enc.release()
	it := b.Records(downLimits)
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
