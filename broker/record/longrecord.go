package record

import "io"

// longRecord walks one record that is larger than the window, field by field, without holding it.
type longRecord struct {
	in   *stream
	left int // bytes of the record still to come
	err  error
}

// walkLong is parse for a record of n bytes that is only looked at: key, value and headers stay nil.
func (f *fields) walkLong(in *stream, n int) (problem string, nullKey bool, err error) {
	r := longRecord{in: in, left: n}
	*f = fields{}
	var ok bool
	if !r.skip(1) {
		return badDeltas, false, r.err
	}
	if f.timestampDelta, ok = r.varlong(); !ok {
		return badDeltas, false, r.err
	}
	if f.offsetDelta, ok = r.varint(); !ok {
		return badDeltas, false, r.err
	}
	length, ok := r.nullable(-1)
	if !ok {
		return badKey, false, r.err
	}
	nullKey = length < 0
	if _, ok = r.nullable(-1); !ok {
		return badValue, nullKey, r.err
	}
	if f.headerCount, ok = r.varint(); !ok || f.headerCount < 0 {
		return badHeaders, nullKey, r.err
	}
	for range f.headerCount {
		if _, ok = r.nullable(0); !ok {
			return badHeaders, nullKey, r.err
		}
		if _, ok = r.nullable(-1); !ok {
			return badHeaders, nullKey, r.err
		}
	}
	if r.left > 0 {
		return badSurplus, nullKey, nil
	}
	return "", nullKey, nil
}

// nullable passes over bytes with a length of at least least, and answers it.
func (r *longRecord) nullable(least int32) (length int32, ok bool) {
	if length, ok = r.varint(); !ok || length < least {
		return 0, false
	}
	return length, r.skip(int(max(length, 0)))
}

func (r *longRecord) skip(n int) bool {
	if n > r.left {
		return false
	}
	r.left -= n
	return r.ok(r.in.skip(n))
}

func (r *longRecord) varint() (int32, bool) {
	v, n, ok, err := r.in.varint()
	r.left -= n
	return v, r.ok(err) && ok && r.left >= 0
}

func (r *longRecord) varlong() (int64, bool) {
	if err := r.in.fill(10); err != io.EOF && !r.ok(err) {
		return 0, false
	}
	v, next := varlong(r.in.buf[r.in.r:r.in.w], 0)
	if next < 0 {
		return 0, false
	}
	r.in.r += next
	r.left -= next
	return v, r.left >= 0
}

// ok keeps a stream's error; its end inside the record is the record's fault.
func (r *longRecord) ok(err error) bool {
	if err != nil && err != io.EOF {
		r.err = err
	}
	return err == nil
}
