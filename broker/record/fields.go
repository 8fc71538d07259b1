package record

import "github.com/zurau/zurau/broker/kerr"

// fields are one record of magic 2 as it lies in the bytes behind its length. The slices alias those bytes.
type fields struct {
	timestampDelta int64
	offsetDelta    int32
	headerCount    int32
	key, value     []byte // nil when null
	headers        []byte // undecoded, checked
}

// minRecordBytes is the smallest record with its length: length, attributes, two deltas, two null lengths, no header.
const minRecordBytes = 7

// What may be wrong with a record, by its place in the layout.
const (
	badLength     = "its length reaches outside the batch"
	badDeltas     = "its deltas are cut or too long"
	badKey        = "its key length is wrong"
	badValue      = "its value length is wrong"
	badHeaders    = "its headers are wrong"
	badSurplus    = "its length counts bytes that belong to no field"
	badOffset     = "its offset delta is out of order"
	badBatchTail  = "bytes remain behind the last record"
	badBatchShort = "the batch ends before the last record"
)

func recordError(index int32, problem string) error {
	return kerr.New(kerr.InvalidRecord, "record %d of the batch is malformed: %s", index, problem)
}

// parse reads the record in b, which must hold its body exactly. It answers what is wrong, "" for nothing.
// Real Kafka takes any negative length as null; here null is -1 alone.
func (f *fields) parse(b []byte) (problem string) {
	var n int32
	i := 1 // attributes: no bit is in use
	if len(b) == 0 {
		return badDeltas
	}
	if f.timestampDelta, i = varlong(b, i); i < 0 {
		return badDeltas
	}
	if f.offsetDelta, i = varint(b, i); i < 0 {
		return badDeltas
	}
	if n, i = varint(b, i); i < 0 || n < -1 || int(n) > len(b)-i {
		return badKey
	}
	f.key = nil
	if n >= 0 {
		f.key = b[i : i+int(n) : i+int(n)]
		i += int(n)
	}
	if n, i = varint(b, i); i < 0 || n < -1 || int(n) > len(b)-i {
		return badValue
	}
	f.value = nil
	if n >= 0 {
		f.value = b[i : i+int(n) : i+int(n)]
		i += int(n)
	}
	if f.headerCount, i = varint(b, i); i < 0 || f.headerCount < 0 {
		return badHeaders
	}
	f.headers = nil
	if f.headerCount == 0 {
		if i != len(b) {
			return badSurplus
		}
		return ""
	}
	f.headers = b[i:]
	return checkHeaders(f.headers, f.headerCount)
}

// checkHeaders walks count headers, which must fill b exactly.
func checkHeaders(b []byte, count int32) (problem string) {
	var n int32
	i := 0
	for ; count > 0; count-- {
		if n, i = varint(b, i); i < 0 || n < 0 || int(n) > len(b)-i {
			return badHeaders
		}
		i += int(n)
		if n, i = varint(b, i); i < 0 || n < -1 || int(n) > len(b)-i {
			return badHeaders
		}
		i += int(max(n, 0))
	}
	if i != len(b) {
		return badSurplus
	}
	return ""
}

// cutRecord splits the first record's body off b, the uncompressed records of a batch.
func cutRecord(b []byte) (body, rest []byte, ok bool) {
	n, i := varint(b, 0)
	if i < 0 || n < 0 || int(n) > len(b)-i {
		return nil, b, false
	}
	end := i + int(n)
	return b[i:end:end], b[end:], true
}
