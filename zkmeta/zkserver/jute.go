package zkserver

import (
	"encoding/binary"
	"errors"
)

// errJute is what a decoder reports for bytes that do not hold the record they should.
var errJute = errors.New("malformed jute record")

// encoder appends jute values to b. A nil buffer and a nil vector are written with length -1, as Java's null is.
type encoder struct{ b []byte }

func (e *encoder) int32(v int32) { e.b = binary.BigEndian.AppendUint32(e.b, uint32(v)) }
func (e *encoder) int64(v int64) { e.b = binary.BigEndian.AppendUint64(e.b, uint64(v)) }

func (e *encoder) bool(v bool) {
	if v {
		e.b = append(e.b, 1)
	} else {
		e.b = append(e.b, 0)
	}
}

func (e *encoder) buffer(v []byte) {
	if v == nil {
		e.int32(-1)
		return
	}
	e.int32(int32(len(v)))
	e.b = append(e.b, v...)
}

func (e *encoder) string(v string) {
	e.int32(int32(len(v)))
	e.b = append(e.b, v...)
}

func (e *encoder) strings(v []string) {
	e.int32(int32(len(v)))
	for _, s := range v {
		e.string(s)
	}
}

// decoder reads jute values from b. The first malformed value sets err and empties b; from then on every value is
// zero, so a caller checks err once, at the end. No length is believed before it is compared with the bytes left.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail() { d.b, d.err = nil, errJute }

// take returns the next n bytes of b itself, or nil when there are fewer.
func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.fail()
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) int32() int32 {
	if v := d.take(4); v != nil {
		return int32(binary.BigEndian.Uint32(v))
	}
	return 0
}

func (d *decoder) int64() int64 {
	if v := d.take(8); v != nil {
		return int64(binary.BigEndian.Uint64(v))
	}
	return 0
}

func (d *decoder) bool() bool {
	v := d.take(1)
	return v != nil && v[0] != 0
}

// buffer returns a part of the decoder's own bytes: copy what is kept. Length -1 is nil, length 0 is not.
func (d *decoder) buffer() []byte {
	n := d.int32()
	if n == -1 || d.err != nil {
		return nil
	}
	return d.take(int(n))
}

// string reads a string; a null string is read as "", which is no valid path, scheme or id either.
func (d *decoder) string() string { return string(d.buffer()) }

// count reads the length of a vector whose elements take at least `least` bytes each. A null vector has none.
func (d *decoder) count(least int) int {
	n := int(d.int32())
	if n == -1 || d.err != nil {
		return 0
	}
	if n < 0 || n > len(d.b)/least {
		d.fail()
		return 0
	}
	return n
}

func (d *decoder) strings() []string {
	v := make([]string, d.count(4))
	for i := range v {
		v[i] = d.string()
	}
	return v
}
