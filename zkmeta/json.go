package zkmeta

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// An object is a JSON object as Kafka's decoders see it: keys are found by their exact name, unknown ones are ignored,
// and of a key that comes twice the last counts. (encoding/json would also take "Leader" for "leader".)
type object map[string]json.RawMessage

// maxDepth bounds the nesting of what is read; znodes of Kafka have four levels.
const maxDepth = 64

func parseObject(data []byte) (object, error) {
	if len(data) == 0 {
		return nil, errors.New("it has no data")
	}
	if depth(data) > maxDepth {
		return nil, errors.New("its JSON is nested too deep")
	}
	if !utf8.Valid(data) {
		return nil, errors.New("it is not UTF-8")
	}
	var o object
	if err := json.Unmarshal(data, &o); err != nil {
		return nil, err
	}
	if o == nil {
		return nil, errors.New("it is null")
	}
	return o, nil
}

// depth is the most brackets open at a time, strings aside.
func depth(data []byte) int {
	open, most, inString := 0, 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			open++
			most = max(most, open)
		case c == '}' || c == ']':
			open--
		}
	}
	return most
}

var jsonNull = []byte("null")

func (o object) has(key string) bool {
	raw, ok := o[key]
	return ok && !bytes.Equal(raw, jsonNull)
}

// get reads a key that must be there, into what its type is.
func get[T any](o object, key string) (T, error) {
	var v T
	raw, ok := o[key]
	if !ok {
		return v, fmt.Errorf("%q is missing", key)
	}
	if bytes.Equal(raw, jsonNull) {
		return v, fmt.Errorf("%q is null", key)
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return v, fmt.Errorf("%q: %w", key, err)
	}
	return v, nil
}

// getOr reads a key that may be missing or null.
func getOr[T any](o object, key string, otherwise T) (T, error) {
	if !o.has(key) {
		return otherwise, nil
	}
	return get[T](o, key)
}

// getText reads a number that Kafka keeps as a JSON string.
func getText(o object, key string) (int64, error) {
	text, err := get[string](o, key)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q: %q is not a number", key, text)
	}
	return n, nil
}

// sub reads a key whose value is an object.
func (o object) sub(key string) (object, error) {
	if !o.has(key) {
		return nil, fmt.Errorf("%q is missing", key)
	}
	v, err := parseObject(o[key])
	if err != nil {
		return nil, fmt.Errorf("%q: %w", key, err)
	}
	return v, nil
}

// subs reads a key whose value is a list of objects.
func (o object) subs(key string) ([]object, error) {
	list, err := get[[]json.RawMessage](o, key)
	if err != nil {
		return nil, err
	}
	objects := make([]object, len(list))
	for i, raw := range list {
		if objects[i], err = parseObject(raw); err != nil {
			return nil, fmt.Errorf("%q[%d]: %w", key, i, err)
		}
	}
	return objects, nil
}

// ids reads a list of broker ids: none negative, none twice.
func ids(raw json.RawMessage) ([]int32, error) {
	var list []int32
	if bytes.Equal(raw, jsonNull) {
		return nil, errors.New("null is not a list of broker ids")
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	for i, id := range list {
		if id < 0 || slices.Contains(list[:i], id) {
			return nil, fmt.Errorf("%v is not a list of broker ids", list)
		}
	}
	if list == nil {
		list = []int32{}
	}
	return list, nil
}

// partitionNumber reads a partition as a key of an object: its canonical decimal form only.
func partitionNumber(key string) (int32, error) {
	n, err := strconv.ParseInt(key, 10, 32)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != key {
		return 0, fmt.Errorf("%q is not a partition", key)
	}
	return int32(n), nil
}

func parseInt32(data []byte) (int32, error) {
	n, err := strconv.ParseInt(string(data), 10, 32)
	if err != nil || n < math.MinInt32 {
		return 0, fmt.Errorf("%q is not a number", data)
	}
	return int32(n), nil
}

// appendString appends a JSON string as Jackson writes it: non-ASCII as it is, control characters escaped.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, '\\', 'b')
		case '\t':
			b = append(b, '\\', 't')
		case '\n':
			b = append(b, '\\', 'n')
		case '\f':
			b = append(b, '\\', 'f')
		case '\r':
			b = append(b, '\\', 'r')
		default:
			if c < 0x20 {
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
				continue
			}
			b = append(b, c)
		}
	}
	return append(b, '"')
}

func appendKey(b []byte, key string) []byte {
	if n := len(b); n > 0 && b[n-1] != '{' {
		b = append(b, ',')
	}
	return append(appendString(b, key), ':')
}

func appendIntField(b []byte, key string, v int64) []byte {
	return strconv.AppendInt(appendKey(b, key), v, 10)
}

func appendStringField(b []byte, key, v string) []byte { return appendString(appendKey(b, key), v) }

func appendIDs(b []byte, ids []int32) []byte {
	b = append(b, '[')
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(id), 10)
	}
	return append(b, ']')
}

// appendReplicas appends replica lists by partition, in the order of the partitions.
func appendReplicas(b []byte, partitions map[int32][]int32) []byte {
	b = append(b, '{')
	for i, p := range sortedKeys(partitions) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, strconv.Itoa(int(p))), ':')
		b = appendIDs(b, partitions[p])
	}
	return append(b, '}')
}

// appendStrings appends an object of strings, in the order of propertiesOrder.
func appendStrings(b []byte, m map[string]string) []byte {
	b = append(b, '{')
	for _, key := range propertiesOrder(m) {
		b = appendStringField(b, key, m[key])
	}
	return append(b, '}')
}

// propertiesOrder is the order in which a java.util.Properties gives its keys: by bucket of a hash table that starts
// with 16 of them and doubles when three quarters full. Keys of one bucket, which Java keeps as they came, are sorted.
func propertiesOrder(m map[string]string) []string {
	size := int32(16)
	for int32(len(m)) >= size/4*3 {
		size *= 2
	}
	bucket := func(key string) int32 {
		var h int32
		for _, unit := range utf16.Encode([]rune(key)) {
			h = 31*h + int32(unit)
		}
		return (h ^ int32(uint32(h)>>16)) & (size - 1)
	}
	keys := sortedKeys(m)
	slices.SortStableFunc(keys, func(a, b string) int { return int(bucket(a) - bucket(b)) })
	return keys
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
