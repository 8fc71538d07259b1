package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/zurau/zurau/consumer"
)

// How the console consumer prints records.

// formatter prints one record.
type formatter interface {
	write(w io.Writer, r *consumer.Record) error
}

// noOpFormatter prints nothing (Kafka: NoOpMessageFormatter).
type noOpFormatter struct{}

func (noOpFormatter) write(io.Writer, *consumer.Record) error { return nil }

// defaultFormatter prints the chosen columns of a record (Kafka: DefaultMessageFormatter).
type defaultFormatter struct {
	timestamp, partition, offset, headers, key, value     bool
	separator, lineSeparator, headersSeparator, nullText  string
	keyDeserializer, valueDeserializer, headerDeserialize deserializer
}

// newFormatter makes the formatter the flags name.
func (o *consoleConsumerOptions) newFormatter() (formatter, error) {
	class := o.str(o.formatter)
	if f, ok := coordinatorFormatters[class]; ok {
		return f, nil
	}
	switch strings.TrimPrefix(strings.TrimPrefix(class, "kafka.tools."), "org.apache.kafka.tools.consumer.") {
	case "NoOpMessageFormatter":
		return noOpFormatter{}, nil
	case "DefaultMessageFormatter", "LoggingMessageFormatter": // the log of the second is INFO, which tools do not show
	default:
		return nil, &javaError{class: "java.lang.ClassNotFoundException", message: class}
	}
	props, err := o.clientProperties(o.formatterConfig, o.property)
	if err != nil {
		return nil, err
	}
	for name, flag := range map[string]*option{
		"key.deserializer":   o.keyDeserializer,
		"value.deserializer": o.valueDeserializer,
	} {
		if o.has(flag) {
			props[name] = o.str(flag)
		}
	}
	is := func(name string) bool { return strings.EqualFold(strings.TrimSpace(props[name]), "true") }
	get := func(name, fallback string) string {
		if v, ok := props[name]; ok {
			return v
		}
		return fallback
	}
	_, valueSaid := props["print.value"]
	f := &defaultFormatter{
		timestamp:        is("print.timestamp"),
		partition:        is("print.partition"),
		offset:           is("print.offset"),
		headers:          is("print.headers"),
		key:              is("print.key"),
		value:            is("print.value") || !valueSaid,
		separator:        get("key.separator", "\t"),
		lineSeparator:    get("line.separator", "\n"),
		headersSeparator: get("headers.separator", ","),
		nullText:         get("null.literal", "null"),
	}
	for name, d := range map[string]*deserializer{
		"key.deserializer":     &f.keyDeserializer,
		"value.deserializer":   &f.valueDeserializer,
		"headers.deserializer": &f.headerDeserialize,
	} {
		if *d, err = findDeserializer(strings.TrimSpace(props[name])); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *defaultFormatter) write(w io.Writer, r *consumer.Record) error {
	var columns []string
	if f.timestamp {
		stamp := r.Kind.String()
		if r.Kind != consumer.NoTimestamp {
			stamp += ":" + strconv.FormatInt(r.Timestamp, 10)
		}
		columns = append(columns, stamp)
	}
	if f.partition {
		columns = append(columns, fmt.Sprintf("Partition:%d", r.ID))
	}
	if f.offset {
		columns = append(columns, fmt.Sprintf("Offset:%d", r.Offset))
	}
	if f.headers {
		text, err := f.headerText(r.Headers)
		if err != nil {
			return err
		}
		columns = append(columns, text)
	}
	for _, column := range []struct {
		shown bool
		bytes []byte
		as    deserializer
	}{{f.key, r.Key, f.keyDeserializer}, {f.value, r.Value, f.valueDeserializer}} {
		if !column.shown {
			continue
		}
		text, err := f.text(column.bytes, column.as)
		if err != nil {
			return err
		}
		columns = append(columns, text)
	}
	if len(columns) == 0 {
		return nil
	}
	_, err := io.WriteString(w, strings.Join(columns, f.separator)+f.lineSeparator)
	return err
}

func (f *defaultFormatter) headerText(headers []consumer.Header) (string, error) {
	if len(headers) == 0 {
		return "NO_HEADERS", nil
	}
	pairs := make([]string, len(headers))
	for i, h := range headers {
		text, err := f.text(h.Value, f.headerDeserialize)
		if err != nil {
			return "", err
		}
		pairs[i] = h.Key + ":" + text
	}
	return strings.Join(pairs, f.headersSeparator), nil
}

func (f *defaultFormatter) text(b []byte, as deserializer) (string, error) {
	if b == nil {
		return f.nullText, nil
	}
	return as(b)
}

// deserializer turns the bytes of a key or value into what Java prints for them.
type deserializer func([]byte) (string, error)

// deserializers are Java's, by class name without the package.
var deserializers = map[string]deserializer{
	"":                       asBytes,
	"ByteArrayDeserializer":  asBytes,
	"ByteBufferDeserializer": asBytes,
	"StringDeserializer":     asBytes,
	"BytesDeserializer":      func(b []byte) (string, error) { return javaBytes(b), nil },
	"ShortDeserializer": sized("ShortDeserializer", 2, func(b []byte) string {
		return strconv.Itoa(int(int16(binary.BigEndian.Uint16(b))))
	}),
	"IntegerDeserializer": sized("IntegerDeserializer", 4, func(b []byte) string {
		return strconv.Itoa(int(int32(binary.BigEndian.Uint32(b))))
	}),
	"LongDeserializer": sized("LongDeserializer", 8, func(b []byte) string {
		return strconv.FormatInt(int64(binary.BigEndian.Uint64(b)), 10)
	}),
	"FloatDeserializer": sized("Deserializer", 4, func(b []byte) string {
		return javaFloat(float64(math.Float32frombits(binary.BigEndian.Uint32(b))), 32)
	}),
	"DoubleDeserializer": sized("Deserializer", 8, func(b []byte) string {
		return javaFloat(math.Float64frombits(binary.BigEndian.Uint64(b)), 64)
	}),
	"UUIDDeserializer": asBytes, // the text of a UUID is what is stored
}

func findDeserializer(class string) (deserializer, error) {
	d, ok := deserializers[strings.TrimPrefix(class, "org.apache.kafka.common.serialization.")]
	if !ok {
		return nil, &javaError{class: "java.lang.ClassNotFoundException", message: class}
	}
	return d, nil
}

func asBytes(b []byte) (string, error) { return string(b), nil }

// sized wants exactly n bytes; name is what Kafka's message calls itself.
func sized(name string, n int, text func([]byte) string) deserializer {
	return func(b []byte) (string, error) {
		if len(b) != n {
			return "", &javaError{
				class:   kafkaErrors + "SerializationException",
				message: fmt.Sprintf("Size of data received by %s is not %d", name, n),
			}
		}
		return text(b), nil
	}
}

// javaBytes is the text of org.apache.kafka.common.utils.Bytes: printable ASCII as it is, the rest as \xNN.
func javaBytes(b []byte) string {
	var text strings.Builder
	for _, c := range b {
		if c >= ' ' && c <= '~' && c != '\\' {
			text.WriteByte(c)
		} else {
			text.WriteString(`\x` + strings.ToUpper(hex.EncodeToString([]byte{c})))
		}
	}
	return text.String()
}

// javaFloat is Double.toString: at least one digit behind the point, and an exponent from 1E7 up and below 1E-3.
func javaFloat(f float64, bits int) string {
	switch a := math.Abs(f); {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 0):
		return strings.TrimPrefix(strconv.FormatFloat(f, 'f', -1, bits), "+") + "inity"
	case a != 0 && (a >= 1e7 || a < 1e-3):
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, bits), "e")
		n, _ := strconv.Atoi(exponent)
		return withPoint(mantissa) + "E" + strconv.Itoa(n)
	}
	return withPoint(strconv.FormatFloat(f, 'f', -1, bits))
}

func withPoint(digits string) string {
	if strings.Contains(digits, ".") {
		return digits
	}
	return digits + ".0"
}
