package main

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zurau/zurau/consumer"
	"github.com/zurau/zurau/producer"
)

// readLines gives the records of an input read with the given reader properties.
func readLines(t *testing.T, input string, properties ...string) ([]producer.Record, error) {
	t.Helper()
	args := []string{"--topic", "t"}
	for _, p := range properties {
		args = append(args, "--property", p)
	}
	o, err := parseConsoleProducerOptions(args)
	if err != nil {
		t.Fatal(err)
	}
	r, err := o.reader(stdio{In: strings.NewReader(input)})
	if err != nil {
		t.Fatal(err)
	}
	var records []producer.Record
	for {
		record, err := r.next(t.Context())
		if err != nil || record == nil {
			r.lines.close()
			return records, err
		}
		records = append(records, *record)
	}
}

func TestLinesBecomeRecords(t *testing.T) {
	record := func(key, value []byte, headers ...producer.Header) producer.Record {
		r := producer.NewRecord("t", key, value)
		r.Headers = headers
		return r
	}
	for name, c := range map[string]struct {
		input      string
		properties []string
		want       []producer.Record
		fails      string
	}{
		"values alone, the last without a newline": {"a\n\nb", nil,
			[]producer.Record{record(nil, []byte("a")), record(nil, []byte{}), record(nil, []byte("b"))}, ""},
		"lines of another system": {"a\r\nb\r\n", nil, []producer.Record{record(nil, []byte("a")), record(nil, []byte("b"))}, ""},
		"keys": {"k\tv\n\tv\n", []string{"parse.key=true"},
			[]producer.Record{record([]byte("k"), []byte("v")), record([]byte{}, []byte("v"))}, ""},
		"a separator of one's own, first one counts": {"k=v=w\n", []string{"parse.key=true", "key.separator=="},
			[]producer.Record{record([]byte("k"), []byte("v=w"))}, ""},
		"a key that is missing": {"k\tv\nnokey\n", []string{"parse.key=true"},
			[]producer.Record{record([]byte("k"), []byte("v"))}, "No key found on line 2: nokey"},
		"a key that may be missing": {"nokey\n", []string{"parse.key=true", "ignore.error=true"},
			[]producer.Record{record(nil, []byte("nokey"))}, ""},
		"headers": {"h:1,i:2\tk\tv\n", []string{"parse.key=true", "parse.headers=true"}, []producer.Record{
			record([]byte("k"), []byte("v"), producer.Header{Key: "h", Value: []byte("1")}, producer.Header{Key: "i", Value: []byte("2")})}, ""},
		"headers that are missing": {"v\n", []string{"parse.headers=true"}, nil, "No headers delimiter found on line number 1: 'v'"},
		"a null marker":            {"N\tN\n", []string{"parse.key=true", "null.marker=N"}, []producer.Record{record(nil, nil)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readLines(t, c.input, c.properties...)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if (err == nil) != (c.fails == "") || err != nil && err.Error() != c.fails {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestRecordsArePrintedInColumns(t *testing.T) {
	r := &consumer.Record{Offset: 5, Key: []byte("k"), Timestamp: 12, Kind: consumer.CreateTime,
		Headers: []consumer.Header{{Key: "h", Value: []byte("x")}, {Key: "i"}}}
	for properties, want := range map[string]string{
		"":                                 "null\n",
		"print.key=true":                   "k\tnull\n",
		"null.literal=<>":                  "<>\n",
		"print.key=true print.value=false": "k\n",
		"print.timestamp=true print.partition=true print.offset=true": "CreateTime:12\tPartition:0\tOffset:5\tnull\n",
		"print.headers=true headers.separator=; key.separator=|":      "h:x;i:null|null\n",
		"print.value=false": "",
		"print.key=true line.separator=! print.timestamp=false print.value=x": "k!",
	} {
		args := []string{"--topic", "t"}
		for p := range strings.FieldsSeq(properties) {
			args = append(args, "--property", p)
		}
		o, err := parseConsoleConsumerOptions(args)
		if err != nil {
			t.Fatal(err)
		}
		f, err := o.newFormatter()
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := f.write(&out, r); err != nil || out.String() != want {
			t.Errorf("%s: %q %v", properties, out.String(), err)
		}
	}
}

func TestDeserializersPrintAsJava(t *testing.T) {
	for _, c := range []struct{ class, bytes, want string }{
		{"StringDeserializer", "é", "é"},
		{"LongDeserializer", "\xff\xff\xff\xff\xff\xff\xff\xfe", "-2"},
		{"IntegerDeserializer", "\x00\x00\x01\x00", "256"},
		{"ShortDeserializer", "\xff\xff", "-1"},
		{"DoubleDeserializer", "\x3f\xf8\x00\x00\x00\x00\x00\x00", "1.5"},
		{"FloatDeserializer", "\x3d\xcc\xcc\xcd", "0.1"},
		{"BytesDeserializer", "a\x01\\", `a\x01\x5C`},
		{"LongDeserializer", "short", "org.apache.kafka.common.errors.SerializationException: Size of data received by LongDeserializer is not 8"},
	} {
		d, err := findDeserializer("org.apache.kafka.common.serialization." + c.class)
		if err != nil {
			t.Fatal(err)
		}
		got, err := d([]byte(c.bytes))
		if err != nil {
			got = throwable(err)
		}
		if got != c.want {
			t.Errorf("%s %q: %s", c.class, c.bytes, got)
		}
	}
	if _, err := findDeserializer("a.b.C"); err == nil || throwable(err) != "java.lang.ClassNotFoundException: a.b.C" {
		t.Error(err)
	}
}

func TestDoublesArePrintedAsJava(t *testing.T) {
	for f, want := range map[float64]string{
		0: "0.0", 1: "1.0", -1.5: "-1.5", 123456: "123456.0", 1e7: "1.0E7", 12345678.9: "1.23456789E7", 0.001: "0.001",
		0.0001: "1.0E-4", math.Inf(1): "Infinity", math.Inf(-1): "-Infinity",
	} {
		if got := javaFloat(f, 64); got != want {
			t.Errorf("%v: %s, not %s", f, got, want)
		}
	}
}

func TestFlagsOfTheConsoleProducerAgainstItsProperties(t *testing.T) {
	for name, c := range map[string]struct {
		args string
		key  string
		want string
	}{
		"a default counts when nothing is said":          {"", "acks", "1"},
		"a property counts when the flag is not given":   {"--producer-property acks=all", "acks", "all"},
		"a flag wins over the property":                  {"--producer-property acks=all --request-required-acks 0", "acks", "0"},
		"no codec is none":                               {"", "compression.type", "none"},
		"a codec without a name is gzip":                 {"--compression-codec", "compression.type", "gzip"},
		"2.8's producer is not idempotent":               {"", "enable.idempotence", "false"},
		"unless a property says so":                      {"--producer-property enable.idempotence=true", "enable.idempotence", "true"},
		"a value may contain an equals sign":             {"--producer-property client.id=a=b", "client.id", "a=b"},
		"--timeout is how long records wait for company": {"--timeout 5", "linger.ms", "5"},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := parseConsoleProducerOptions(append([]string{"--topic", "t"}, strings.Fields(c.args)...))
			if err != nil {
				t.Fatal(err)
			}
			props, err := o.properties("h:1")
			if err != nil || props[c.key] != c.want {
				t.Errorf("%s=%s %v", c.key, props[c.key], err)
			}
		})
	}
}

func TestGroupsAreRefusedByName(t *testing.T) {
	o, err := parseConsoleConsumerOptions(strings.Fields("--topic t --bootstrap-server h:1 --group g"))
	if err != nil {
		t.Fatal(err)
	}
	var usage *usageError
	if _, err := o.job(&strings.Builder{}); !errors.As(err, &usage) || !strings.Contains(err.Error(), "[group]") {
		t.Error(err)
	}
}
