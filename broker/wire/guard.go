package wire

//go:generate go run ./internal/guardgen

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The guard stands before kmsg. kmsg makes an array as soon as it has read the count, if the body has a byte
// left for each element, and keeps tags it does not know in a map: a body of 100 MB could claim gigabytes
// (CVE-2026-111108 and CVE-2026-111115 are Kafka's own cases). So each body is walked once without allocating:
// every length is held against the bytes that are left, and what kmsg would allocate is added up.
//
// The walk knows the layouts from guard_table.go and works on the beginning of a body as well, so a frame whose
// first kilobytes already lie is refused before the rest of it has been read.

const (
	// maxTags is how many tags one section may hold. Kafka's own messages define three at most.
	maxTags = 256
	// memoryFactor and memorySlack bound what decoding may allocate: factor times the body plus the slack, in
	// bytes.
	memoryFactor = 16
	memorySlack  = 1 << 20
	// tagMemory is about what kmsg's map takes for a tag it does not know, in bytes.
	tagMemory = 64
	// stringMemory is what a nullable string takes beside its text, in bytes.
	stringMemory = 16
)

// never is a version that no request has.
const never = math.MaxInt16

// body is the layout of one request.
type body struct {
	name     string
	flexible int16 // first version with compact lengths and tags; never if there is none
	fields   []field
}

type kind uint8

const (
	kindFixed  kind = iota // size bytes
	kindString             // int16 or uvarint length
	kindBytes              // int32 or uvarint length
	kindArray              // int32 or uvarint count; elem or fields say of what, size is an element's size in memory
	kindStruct             // fields
)

// field is one field of a layout, in versions from <= v < until (until 0: no end).
type field struct {
	kind        kind
	from, until int16
	nullable    bool
	nullFrom    int16 // first version in which null is allowed, if nullable
	tagged      bool  // lives in the tag section under tag
	tag         uint32
	size        int
	elem        *field  // an array of scalars
	fields      []field // a struct, or an array of them
}

func (f *field) in(version int16) bool {
	return version >= f.from && (f.until == 0 || version < f.until)
}

// errMore says that what is there of a body is in order but its end is missing.
var errMore = errors.New("the body ends before its last field")

// decodeBody decodes body into req, whose version is set, if the guard lets it pass. Record bytes point into body.
// Strings do so in Produce and Fetch alone, which are decoded a hundred thousand times a second and whose handlers
// know it; the names in all other requests end up in maps and logs of every room and are worth their copy.
func decodeBody(req kmsg.Request, body []byte) error {
	if err := guard(req.Key(), req.GetVersion(), body, 0); err != nil {
		return err
	}
	body = toKmsg(req.Key(), req.GetVersion(), body)
	if u, ok := req.(kmsg.UnsafeReadFrom); ok && (req.Key() == keyProduce || req.Key() == keyFetch) {
		return u.UnsafeReadFrom(body)
	}
	return req.ReadFrom(body)
}

// aliasing tells of each key whether a decoded request points into its body.
var aliasing = func() (all [len(bodies)]bool) {
	for key := range bodies {
		all[key] = key == keyProduce || key == keyFetch || slices.ContainsFunc(bodies[key].fields, holdsBytes)
	}
	return all
}()

// holdsBytes tells whether a field is bytes or has some in it.
func holdsBytes(f field) bool {
	return f.kind == kindBytes || f.elem != nil && holdsBytes(*f.elem) || slices.ContainsFunc(f.fields, holdsBytes)
}

// guard walks the body of a request, of which missing bytes have not come yet. It returns nil if the body is
// whole and in order (bytes behind its end are ignored, as Kafka does), errMore if it is in order so far, and any
// other error if no further byte can mend it. It allocates only for an error.
func guard(key, version int16, b []byte, missing int) error {
	if key < 0 || int(key) >= len(bodies) || bodies[key].name == "" {
		return fmt.Errorf("request of unknown key %d", key)
	}
	layout := &bodies[key]
	w := walker{
		rest:     b,
		missing:  missing,
		version:  version,
		flexible: version >= layout.flexible,
		memory:   memoryFactor*(len(b)+missing) + memorySlack,
	}
	if err := w.fields(layout.fields); err != nil {
		if err == errMore && missing > 0 {
			return errMore
		}
		return fmt.Errorf("%s request v%d: %w", layout.name, version, err)
	}
	return nil
}

// walker goes through a body once.
type walker struct {
	rest     []byte
	missing  int // bytes that will follow rest
	version  int16
	flexible bool
	memory   int // bytes kmsg may still allocate
}

func (w *walker) fields(fields []field) error {
	for i := range fields {
		f := &fields[i]
		if f.tagged || !f.in(w.version) {
			continue
		}
		if err := w.field(f); err != nil {
			return err
		}
	}
	if w.flexible {
		return w.tags(fields)
	}
	return nil
}

func (w *walker) field(f *field) error {
	switch f.kind {
	case kindFixed:
		return w.skip(f.size)
	case kindStruct:
		return w.fields(f.fields)
	}
	n, err := w.length(f)
	if err != nil {
		return err
	}
	switch f.kind {
	case kindString:
		if f.nullable {
			if err := w.charge(stringMemory, 1); err != nil {
				return err
			}
		}
		return w.skip(n)
	case kindBytes:
		return w.skip(n)
	case kindArray:
		return w.array(f, n)
	}
	panic("BUG: a field of no kind")
}

// length reads what stands before a string, bytes or an array. A null counts as 0.
func (w *walker) length(f *field) (int, error) {
	var n int
	switch {
	case w.flexible:
		u, err := w.uvarint()
		if err != nil {
			return 0, err
		}
		n = int(u) - 1
	case f.kind == kindString:
		if len(w.rest) < 2 {
			return 0, errMore
		}
		n = int(int16(binary.BigEndian.Uint16(w.rest)))
		w.rest = w.rest[2:]
	default:
		if len(w.rest) < 4 {
			return 0, errMore
		}
		n = int(int32(binary.BigEndian.Uint32(w.rest)))
		w.rest = w.rest[4:]
	}
	if n < 0 {
		if !f.nullable || w.version < f.nullFrom {
			return 0, fmt.Errorf("length %d where null is not allowed", n)
		}
		return 0, nil
	}
	if n > len(w.rest)+w.missing {
		return 0, fmt.Errorf("length %d with %d bytes left", n, len(w.rest)+w.missing)
	}
	return n, nil
}

func (w *walker) array(f *field, n int) error {
	if err := w.charge(f.size, n); err != nil {
		return err
	}
	if f.elem != nil && f.elem.kind == kindFixed {
		return w.skip(n * f.elem.size)
	}
	for range n {
		var err error
		if f.elem != nil {
			err = w.field(f.elem)
		} else {
			err = w.fields(f.fields)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tags walks a tag section. Those the layout knows are walked in their own bytes, the others are skipped.
func (w *walker) tags(known []field) error {
	n, err := w.uvarint()
	if err != nil {
		return err
	}
	if n > maxTags {
		return fmt.Errorf("%d tagged fields in one section", n)
	}
	for range n {
		tag, err := w.uvarint()
		if err != nil {
			return err
		}
		size, err := w.uvarint()
		if err != nil {
			return err
		}
		if int(size) > len(w.rest)+w.missing {
			return fmt.Errorf("tag %d of %d bytes with %d left", tag, size, len(w.rest)+w.missing)
		}
		if err := w.tag(known, tag, int(size)); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) tag(known []field, tag uint32, size int) error {
	for i := range known {
		f := &known[i]
		if !f.tagged || f.tag != tag {
			continue
		}
		if size > len(w.rest) {
			return errMore
		}
		inner := walker{rest: w.rest[:size], version: w.version, flexible: w.flexible, memory: w.memory}
		if err := inner.field(f); err != nil {
			return fmt.Errorf("tag %d: %w", tag, err)
		}
		w.memory = inner.memory
		return w.skip(size)
	}
	if err := w.charge(tagMemory, 1); err != nil {
		return err
	}
	return w.skip(size)
}

// skip steps over n bytes, of which some may not have come.
func (w *walker) skip(n int) error {
	if n > len(w.rest) {
		if n > len(w.rest)+w.missing {
			return fmt.Errorf("%d bytes wanted with %d left", n, len(w.rest)+w.missing)
		}
		return errMore
	}
	w.rest = w.rest[n:]
	return nil
}

// charge takes n times size bytes from what decoding may allocate.
func (w *walker) charge(size, n int) error {
	if w.memory -= size * n; w.memory < 0 {
		return errors.New("decoding would take too much memory")
	}
	return nil
}

// uvarint reads an unsigned varint of at most 32 bits.
func (w *walker) uvarint() (uint32, error) {
	u, n, err := uvarint(w.rest)
	w.rest = w.rest[n:]
	return u, err
}

// uvarint reads an unsigned varint of at most 32 bits from the beginning of b and says how many bytes it took.
func uvarint(b []byte) (uint32, int, error) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint32(b[0]), 1, nil
	}
	u, n := binary.Uvarint(b)
	switch {
	case n == 0:
		if len(b) >= 5 {
			return 0, 0, errors.New("varint longer than five bytes")
		}
		return 0, 0, errMore
	case n < 0 || n > 5 || u > math.MaxUint32:
		return 0, 0, errors.New("varint beyond 32 bits")
	}
	return uint32(u), n, nil
}
