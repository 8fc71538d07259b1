package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand"
	"reflect"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fill sets every field of v to something random: numbers, strings of 0 to 8 bytes, 0 to 3 elements, null now
// and then.
func fill(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if r.Intn(4) == 0 {
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		fill(r, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Name != "Version" && f.Name != "UnknownTags" {
				fill(r, v.Field(i))
			}
		}
	case reflect.Slice:
		n := r.Intn(4)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(r, v.Index(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i))
		}
	case reflect.String:
		b := make([]byte, r.Intn(9))
		r.Read(b)
		v.SetString(string(b))
	case reflect.Bool:
		v.SetBool(r.Intn(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(r.Int63())
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		v.SetUint(uint64(r.Int63()))
	case reflect.Float64:
		v.SetFloat(r.Float64())
	default:
		panic(fmt.Sprintf("a field of kind %v", v.Kind()))
	}
}

// eachRequest calls fn for every key and version of the table.
func eachRequest(fn func(key, version int16)) {
	for key := range bodies {
		if bodies[key].name == "" {
			continue
		}
		for v := int16(0); v <= kmsg.RequestForKey(int16(key)).MaxVersion(); v++ {
			fn(int16(key), v)
		}
	}
}

func randomRequest(r *rand.Rand, key, version int16) kmsg.Request {
	req := kmsg.RequestForKey(key)
	fill(r, reflect.ValueOf(req).Elem())
	req.SetVersion(version)
	return req
}

// What kmsg writes, the guard must walk to the very last byte, whatever the fields hold: this is what shows
// that the generated table says the same as kmsg's decoders, key by key and version by version.
func TestGuardWalksEveryRequestOfEveryVersionToItsLastByte(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	eachRequest(func(key, version int16) {
		for range 50 {
			b := randomRequest(r, key, version).AppendTo(nil)
			w := walker{rest: b, version: version, flexible: version >= bodies[key].flexible, memory: math.MaxInt}
			if err := w.fields(bodies[key].fields); err != nil {
				t.Fatalf("%s v%d: %v\n%x", bodies[key].name, version, err, b)
			}
			if len(w.rest) != 0 {
				t.Fatalf("%s v%d: %d bytes of %d left over\n%x", bodies[key].name, version, len(w.rest), len(b), b)
			}
			if err := guard(key, version, b, 0); err != nil {
				t.Fatalf("guard: %v", err)
			}
			if err := decodeBody(kmsgFor(key, version), b); err != nil {
				t.Fatalf("decode %s v%d: %v", bodies[key].name, version, err)
			}
		}
	})
}

func kmsgFor(key, version int16) kmsg.Request {
	req := kmsg.RequestForKey(key)
	req.SetVersion(version)
	return req
}

func TestGuardAgreesWithKmsgOnFlexibleVersions(t *testing.T) {
	eachRequest(func(key, version int16) {
		if got, want := version >= bodies[key].flexible, kmsgFor(key, version).IsFlexible(); got != want {
			t.Errorf("%s v%d: flexible %v, kmsg says %v", bodies[key].name, version, got, want)
		}
	})
}

// Every proper beginning of a good body is in order so far while the rest is on its way, and refused when
// nothing follows.
func TestGuardTellsATruncatedBodyFromOneOnItsWay(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	eachRequest(func(key, version int16) {
		b := randomRequest(r, key, version).AppendTo(nil)
		for n := range b {
			if err := guard(key, version, b[:n], len(b)-n); err != errMore {
				t.Fatalf("%s v%d: %d of %d bytes: %v, want errMore", bodies[key].name, version, n, len(b), err)
			}
			if err := guard(key, version, b[:n], 0); err == nil || err == errMore {
				t.Fatalf("%s v%d: cut at %d of %d: %v, want a refusal", bodies[key].name, version, n, len(b), err)
			}
		}
	})
}

func TestGuardIgnoresBytesBehindTheBody(t *testing.T) {
	b := append(kmsgFor(3, 12).AppendTo(nil), 1, 2, 3, 4, 5)
	if err := guard(3, 12, b, 0); err != nil {
		t.Error(err)
	}
}

// metadata9 is a Metadata v9 body with the tag section given: no topics, then three bools.
func metadata9(tags []byte) []byte { return append([]byte{1, 1, 0, 0}, tags...) }

func TestGuardRefuses(t *testing.T) {
	arrayLength := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	compact := func(u uint64) []byte { return binary.AppendUvarint(nil, u) }
	tests := []struct {
		name         string
		key, version int16
		body         []byte
	}{
		{"an array of 2^31-1 elements", 3, 1, arrayLength(math.MaxInt32)},
		{"an array of a million elements in no bytes", 3, 1, arrayLength(1000000)},
		{"a compact array of 2^31-1 elements", 3, 9, compact(1 << 31)},
		{"a compact array of 2^32-2 elements", 3, 9, compact(math.MaxUint32)},
		{"a null array where none is allowed", 19, 0, arrayLength(math.MaxUint32)},
		{"a null string where none is allowed", 3, 1, append(arrayLength(1), 0xff, 0xff)},
		{"a varint of six bytes", 3, 9, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0x01}},
		{"a varint beyond 32 bits", 3, 9, []byte{0xff, 0xff, 0xff, 0xff, 0x7f}},
		{"20 million tags", 3, 9, metadata9(compact(20000000))},
		{"a tag longer than the body", 3, 9, metadata9([]byte{1, 99, 50})},
		{"a known tag shorter than its value", 1, 12, append(fetch12(), 1, 1, 2, 0, 0)},
		{"records longer than the body", 0, 3, []byte{0xff, 0xff, 0, 1, 0, 0, 0, 9, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1,
			0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff}},
		{"no body at all", 3, 1, nil},
		{"an unknown key", 99, 0, nil},
		{"a negative key", -1, 0, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := guard(tt.key, tt.version, tt.body, 0)
			if err == nil || errors.Is(err, errMore) && tt.body != nil {
				t.Errorf("got %v, want a refusal that names the reason", err)
			}
		})
	}
}

// fetch12 is a Fetch v12 body up to its tag section.
func fetch12() []byte {
	b := kmsgFor(1, 12).AppendTo(nil)
	return b[:len(b)-1]
}

func TestGuardAcceptsNullAsKafkaDoes(t *testing.T) {
	for _, n := range []uint32{math.MaxUint32, math.MaxUint32 - 1} { // -1, -2
		if err := guard(3, 1, binary.BigEndian.AppendUint32(nil, n), 0); err != nil {
			t.Errorf("length %d of a nullable array: %v", int32(n), err)
		}
	}
}

// A body whose every byte promises as much memory as the format allows must not get past 16 times its size.
func TestGuardBoundsTheMemoryOfDecoding(t *testing.T) {
	const n = 1 << 20
	one := []byte{1, 1, 0} // an empty topic name, no partitions, no tags: 3 bytes for a struct of 56
	tests := []struct {
		name         string
		key, version int16
		body         []byte
	}{
		{"topics of three bytes", 1, 12, append(fetchHead(n), bytes.Repeat(one, n)...)},
		{"resources of one byte", 44, 0, append(binary.BigEndian.AppendUint32(nil, n), make([]byte, n)...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := guard(tt.key, tt.version, tt.body, 0); err == nil {
				t.Error("the guard let it pass")
			}
		})
	}
}

// fetchHead is the beginning of a Fetch v12 body up to and with the count of its topics.
func fetchHead(topics uint64) []byte {
	return binary.AppendUvarint(make([]byte, 4+4+4+4+1+4+4), topics+1)
}

func FuzzGuard(f *testing.F) {
	r := rand.New(rand.NewSource(3))
	eachRequest(func(key, version int16) {
		f.Add(key, version, randomRequest(r, key, version).AppendTo(nil))
	})
	f.Fuzz(func(t *testing.T, key, version int16, b []byte) {
		req := kmsg.RequestForKey(key)
		if req == nil || version < 0 || version > req.MaxVersion() || key >= int16(len(bodies)) {
			return
		}
		req.SetVersion(version)
		if decodeBody(req, b) != nil {
			return
		}
		// What got through has a size that the bytes account for, and can be written again.
		if again := req.AppendTo(nil); len(again) > 16*len(b)+1<<20 {
			t.Errorf("%d bytes decoded became %d", len(b), len(again))
		}
	})
}

func TestGuardBoundsTags(t *testing.T) {
	// topics is a Metadata v9 of n topics without a name, each with some tags that nobody knows and that hold nothing.
	topics := func(n, tags int) []byte {
		b := binary.AppendUvarint(nil, uint64(n+1))
		for range n {
			b = append(b, 1)
			b = binary.AppendUvarint(b, uint64(tags))
			for tag := range tags {
				b = binary.AppendUvarint(b, uint64(100+tag%20))
				b = append(b, 0)
			}
		}
		return append(b, 0, 0, 0, 0)
	}
	for _, c := range []struct {
		name      string
		n, tags   int
		wantError string
	}{
		{"as many as a section may have", 1, maxTags, ""},
		{"one more", 1, maxTags + 1, "257 tagged fields in one section"},
		{"few each, and too many to keep all together", 500, maxTags, "too much memory"},
	} {
		err := guard(3, 9, topics(c.n, c.tags), 0)
		if (err == nil) != (c.wantError == "") || err != nil && !strings.Contains(err.Error(), c.wantError) {
			t.Errorf("%s: %v, want %q", c.name, err, c.wantError)
		}
	}
	// The tags of a header are counted too, and none of them is known.
	head := []byte{0, 3, 0, 9, 0, 0, 0, 1, 0xff, 0xff}
	for _, n := range []int{maxTags, maxTags + 1} {
		frame := binary.AppendUvarint(bytes.Clone(head), uint64(n))
		for range n {
			frame = append(frame, 100, 0)
		}
		if _, _, err := parseHeader(frame); (err == nil) != (n == maxTags) {
			t.Errorf("%d tags in a header: %v", n, err)
		}
	}
}
