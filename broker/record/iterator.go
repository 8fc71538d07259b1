package record

import (
	"io"

	"github.com/zurau/zurau/broker/kerr"
)

// Record is one record while an Iterator stands on it: its slices end with the next call of Next.
type Record struct {
	Offset      int64
	Timestamp   int64  // ms, -1 none; the batch's MaxTimestamp with LogAppendTime
	Stamp       int64  // ms, what the record itself says, whatever the batch's TimestampType
	Key, Value  []byte // nil when null
	HeaderCount int32
	headers     []byte
	CRC         uint32 // of a legacy message; magic 2 has none for a record
}

// AppendHeaders decodes the headers behind dst. The values alias the record.
func (r *Record) AppendHeaders(dst []Header) []Header {
	var n int32
	for i, left := 0, r.HeaderCount; left > 0; left-- {
		n, i = varint(r.headers, i)
		h := Header{Key: string(r.headers[i : i+int(n)])}
		i += int(n)
		if n, i = varint(r.headers, i); n >= 0 {
			h.Value = r.headers[i : i+int(n) : i+int(n)]
			i += int(n)
		}
		dst = append(dst, h)
	}
	return dst
}

// Iterator walks the records of one batch of any magic, in order. Without compression it allocates nothing. One
// goroutine must not begin a walk while another of its walks is open: the second may wait for memory the first holds.
//
//	it := batch.Records(limits)
//	defer it.Close()
//	for it.Next() {
//		use(it.Record())
//	}
//	err := it.Err()
type Iterator struct {
	batch  Batch
	limits Limits
	rec    Record
	err    error

	index, count int32   // records given, records there are; count is -1 for a message set
	rest         []byte  // uncompressed records still to come
	stream       *stream // compressed ones
	base         int64   // what a wrapper's inner offsets count from
}

// Records starts a walk. limits bound what a compressed batch may unpack to. A wrapper message of magic 1 is
// unpacked twice, because its last inner offset says what the first one is.
func (b Batch) Records(limits Limits) Iterator {
	it := Iterator{batch: b, limits: limits}
	codec := b.Codec()
	switch {
	case b.Magic() == 2:
		it.count = b.Count()
		it.rest = b.payload()
		if it.count < 0 {
			it.err = kerr.New(kerr.InvalidRecord, "batch counts %d records", it.count)
			return it
		}
	case codec == None:
		it.count, it.rest = 1, b
		return it
	default:
		it.count = -1
		var value message
		if value, it.err = parseMessage(b); it.err != nil {
			return it
		}
		it.rest = value.value
		if it.base, it.err = wrapperBase(b, it.rest, limits); it.err != nil {
			return it
		}
	}
	if codec != None {
		it.stream, it.err = openStream(codec, b.Magic(), it.rest, limits.Bytes)
		it.rest = nil
	}
	return it
}

// Next moves to the next record; false at the end and at an error, which Err tells.
func (it *Iterator) Next() bool {
	more := it.err == nil && it.index != it.count
	if more && it.batch.Magic() == 2 {
		more = it.nextRecord()
	} else if more {
		more = it.nextMessage()
	}
	if !more {
		it.finish()
		return false
	}
	it.index++
	return true
}

// Record is the record Next moved to.
func (it *Iterator) Record() *Record { return &it.rec }

// Err tells why the walk ended early: kerr.InvalidRecord, kerr.CorruptMessage (an inner message's CRC),
// kerr.MessageTooLarge (limits). nil at the regular end.
func (it *Iterator) Err() error { return it.err }

// Close gives back what a compressed batch borrowed; a walk to the end has done it already. The last record's bytes
// end with it.
func (it *Iterator) Close() {
	if it.stream != nil {
		it.stream.close()
		it.stream = nil
	}
}

// finish checks, at the end, that nothing is left over, and gives back what was borrowed.
func (it *Iterator) finish() {
	over := len(it.rest) > 0
	if it.stream != nil && it.err == nil {
		var ended bool
		ended, it.err = it.stream.atEnd()
		over = !ended
	}
	if it.err == nil && over {
		it.err = recordError(it.index, badBatchTail)
	}
	it.Close()
}

func (it *Iterator) nextRecord() bool {
	var body []byte
	if it.stream != nil {
		if body, it.err = it.unpackRecord(); it.err != nil {
			return false
		}
	} else {
		var ok bool
		if body, it.rest, ok = cutRecord(it.rest); !ok {
			it.err = recordError(it.index, badLength)
			return false
		}
	}
	var f fields
	if problem := f.parse(body); problem != "" {
		it.err = recordError(it.index, problem)
		return false
	}
	stamp := it.batch.BaseTimestamp() + f.timestampDelta
	it.rec = Record{
		Offset:      it.batch.BaseOffset() + int64(f.offsetDelta),
		Timestamp:   stamp,
		Stamp:       stamp,
		Key:         f.key,
		Value:       f.value,
		HeaderCount: f.headerCount,
		headers:     f.headers,
	}
	if it.batch.TimestampType() == LogAppendTime {
		it.rec.Timestamp = it.batch.MaxTimestamp()
	}
	return true
}

// unpackRecord decodes the body of the next record, if the limits allow one of its size.
func (it *Iterator) unpackRecord() ([]byte, error) {
	n, err := it.stream.recordLength(it.index)
	if err != nil {
		return nil, err
	}
	if n > it.limits.RecordBytes {
		return nil, kerr.New(kerr.MessageTooLarge, "record %d of the batch unpacks to %d bytes, allowed are %d",
			it.index, n, it.limits.RecordBytes)
	}
	return it.stream.record(it.index, n)
}

// nextMessage takes a message: the batch itself, or the next one in the wrapper.
func (it *Iterator) nextMessage() bool {
	b := Batch(it.rest)
	it.rest = nil
	if it.stream != nil {
		b, it.err = it.stream.nextMessage(it.index, it.limits.RecordBytes)
		if it.err == io.EOF {
			it.err, it.count = nil, it.index
			return false
		}
		if it.err != nil {
			return false
		}
	}
	var m message
	if m, it.err = parseMessage(b); it.err != nil {
		return false
	}
	stamp := b.MaxTimestamp()
	it.rec = Record{
		Offset:    it.base + b.BaseOffset(),
		Timestamp: stamp,
		Stamp:     stamp,
		Key:       m.key,
		Value:     m.value,
		CRC:       b.CRC(),
	}
	if it.batch.TimestampType() == LogAppendTime {
		it.rec.Timestamp = it.batch.MaxTimestamp()
	}
	return true
}
