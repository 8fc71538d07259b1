//go:build interop

package interop

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// rec is a record as any client can see it.
type rec struct {
	Offset     int64
	Key, Value []byte // nil is null
	Timestamp  int64  // ms
	Headers    []header
}

type header struct {
	Name  string
	Value []byte
}

// inLine is the record as the client programs of testdata read it.
func (r rec) inLine() string {
	headers := make([]string, len(r.Headers))
	for i, h := range r.Headers {
		headers[i] = h.Name + "=" + encode(h.Value)
	}
	return fmt.Sprintf("%s\t%s\t%d\t%s\n", encode(r.Key), encode(r.Value), r.Timestamp, strings.Join(headers, ","))
}

// parseLine reads what a client program prints for a record.
func parseLine(line string) (r rec, err error) {
	f := strings.Split(line, "\t")
	if len(f) != 5 {
		return r, fmt.Errorf("%q has %d fields", line, len(f))
	}
	if r.Offset, err = strconv.ParseInt(f[0], 10, 64); err != nil {
		return r, err
	}
	if r.Timestamp, err = strconv.ParseInt(f[3], 10, 64); err != nil {
		return r, err
	}
	if r.Key, err = decode(f[1]); err != nil {
		return r, err
	}
	if r.Value, err = decode(f[2]); err != nil {
		return r, err
	}
	if f[4] == "" {
		return r, nil
	}
	for _, h := range strings.Split(f[4], ",") {
		name, value, _ := strings.Cut(h, "=")
		v, err := decode(value)
		if err != nil {
			return r, err
		}
		r.Headers = append(r.Headers, header{name, v})
	}
	return r, nil
}

func encode(b []byte) string {
	if b == nil {
		return "-"
	}
	return base64.StdEncoding.EncodeToString(b)
}

func decode(s string) ([]byte, error) {
	if s == "-" {
		return nil, nil
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if b == nil {
		b = []byte{}
	}
	return b, err
}
