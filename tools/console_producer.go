package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strconv"
	"strings"

	"github.com/zurau/zurau/producer"
	"golang.org/x/term"
)

// kafka-console-producer (Kafka: ConsoleProducer of 2.8): each line of stdin is a record.

type consoleProducerOptions struct {
	*optionSet

	common                             commonOptions
	topic, brokerList, bootstrap, sync *option
	compression, lineReader            *option
	property, producerProperty         *option
	producerConfig, readerConfig       *option
	forwarded                          map[string]*option // by the producer property the flag stands for
}

func parseConsoleProducerOptions(args []string) (*consoleProducerOptions, error) {
	p := &optionParser{}
	o := &consoleProducerOptions{common: p.acceptCommon()}
	o.topic = p.accepts("topic", "The topic to send to.").takes("topic")
	o.brokerList = p.accepts("broker-list", "The old name of --bootstrap-server.").takes("servers")
	o.bootstrap = p.accepts("bootstrap-server", "Brokers to start from, host:port list.").takes("servers")
	o.sync = p.accepts("sync", "Wait for each record's acknowledgement before the next.")
	o.compression = p.accepts("compression-codec", "none, gzip, snappy, lz4 or zstd; gzip when nothing is said.").
		mayTake("codec")
	o.lineReader = p.accepts("line-reader", "How lines become records; LineMessageReader is the only way here.").
		takes("class").or("kafka.tools.ConsoleProducer$LineMessageReader")
	o.property = p.accepts("property", "For the reader: parse.key, key.separator, ignore.error, parse.headers, "+
		"headers.delimiter, headers.separator, headers.key.separator, null.marker.").takes("name=value")
	o.readerConfig = p.accepts("reader-config", "File of properties for the reader.").takes("file")
	o.producerProperty = p.accepts("producer-property", "A property for the producer.").takes("name=value")
	o.producerConfig = p.accepts("producer.config", "File of properties for the producer.").takes("file")
	p.accepts("batch-size", "Accepted; batches are measured in bytes, see --max-partition-memory-bytes.").
		takes("records").of("Integer").or("200")
	o.forwarded = map[string]*option{
		"linger.ms": p.accepts("timeout", "How long a record may wait for company, in ms.").
			takes("ms").of("Integer").or("100"), // Kafka's 1000 would hold up each --sync record and the end of the input
		"acks": p.accepts("request-required-acks", "Who must have a record before it counts as sent: 0, 1 or all.").
			takes("acks").or("1"),
		"request.timeout.ms": p.accepts("request-timeout-ms", "How long a broker may take.").
			takes("ms").of("Integer").or("1500"),
		"retries": p.accepts("message-send-max-retries", "How often a refused record is sent again.").
			takes("times").of("Integer").or("3"),
		"retry.backoff.ms": p.accepts("retry-backoff-ms", "The pause before it is.").takes("ms").of("Integer").or("100"),
		"send.buffer.bytes": p.accepts("socket-buffer-size", "Bytes the socket may hold.").
			takes("bytes").of("Integer").or("102400"),
		"buffer.memory": p.accepts("max-memory-bytes", "Bytes of records that may wait.").
			takes("bytes").of("Long").or("33554432"),
		"batch.size": p.accepts("max-partition-memory-bytes", "Bytes of a batch.").takes("bytes").of("Long").or("16384"),
		"metadata.max.age.ms": p.accepts("metadata-expiry-ms", "How old metadata may be.").
			takes("ms").of("Long").or("300000"),
		"max.block.ms": p.accepts("max-block-ms", "How long a record may wait for metadata or memory.").
			takes("ms").of("Long").or("60000"),
	}
	set, err := p.parse(args)
	o.optionSet = set
	if err != nil {
		return o, &usageError{p, err.Error()}
	}
	return o, nil
}

// servers checks and returns the brokers to start from.
func (o *consoleProducerOptions) servers() (string, error) {
	if err := o.require(o.topic); err != nil {
		return "", err
	}
	list := o.str(o.bootstrap)
	if list == "" {
		list = o.str(o.brokerList)
	}
	if list == "" {
		return "", &usageError{o.parser, "Missing required option(s) [bootstrap-server]"}
	}
	return list, o.checkServers(list)
}

// checkServers wants host:port words (Kafka: ToolsUtils.validatePortOrDie).
func (s *optionSet) checkServers(list string) error {
	for server := range strings.SplitSeq(list, ",") {
		_, port, _ := cutLast(server, ":")
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return &usageError{s.parser, "Please provide valid host:port like host1:9091,host2:9092\n "}
		}
	}
	return nil
}

func cutLast(s, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(s, separator); i >= 0 {
		return s[:i], s[i+len(separator):], true
	}
	return s, "", false
}

// properties are the producer's: a flag counts against the file only when it was given.
func (o *consoleProducerOptions) properties(servers string) (map[string]string, error) {
	props, err := o.clientProperties(o.producerConfig, o.producerProperty)
	if err != nil {
		return nil, err
	}
	props["bootstrap.servers"] = servers
	props["compression.type"] = o.str(o.compression)
	switch props["compression.type"] {
	case "":
		props["compression.type"] = "none"
		if o.has(o.compression) {
			props["compression.type"] = "gzip"
		}
	case "none", "gzip", "snappy", "lz4", "zstd":
	default:
		return nil, &javaError{
			class: "org.apache.kafka.common.KafkaException", message: "Failed to construct kafka producer",
			cause: illegalArgument("Unknown compression name: %s", props["compression.type"]),
		}
	}
	for name, flag := range o.forwarded {
		if _, set := props[name]; !set || o.has(flag) {
			props[name] = o.str(flag)
		}
	}
	for name, value := range map[string]string{"client.id": "console-producer", "enable.idempotence": "false"} {
		if _, set := props[name]; !set {
			props[name] = value
		}
	}
	return props, o.err
}

// clientProperties merges a file of properties and the name=value words laid over it.
func (s *optionSet) clientProperties(file, words *option) (map[string]string, error) {
	loaded, err := loadProperties(s.str(file))
	if err != nil {
		return nil, err
	}
	props := loaded.Map()
	maps.Copy(props, keyValues(s.all(words)))
	return props, nil
}

// keyValues reads name=value words; a word without = names a property that is empty.
func keyValues(words []string) map[string]string {
	m := make(map[string]string, len(words))
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		m[name] = value
	}
	return m
}

func runConsoleProducer(ctx context.Context, args []string, io stdio) int {
	o, err := parseConsoleProducerOptions(args)
	if err != nil {
		return exitStatus(io.Err, err)
	}
	if done, err := o.checkCommon(o.common, args, "Sends each line of its input to a topic.", io.Out); done {
		return exitStatus(io.Err, err)
	}
	servers, err := o.servers()
	if err != nil {
		return exitStatus(io.Err, err)
	}
	collectLess()
	if err := o.produce(ctx, io, servers); err != nil {
		if ctx.Err() != nil {
			return signalStatus(ctx)
		}
		fmt.Fprint(io.Err, stackTrace(err))
		return 1
	}
	return 0
}

func (o *consoleProducerOptions) produce(ctx context.Context, io stdio, servers string) (err error) {
	props, err := o.properties(servers)
	if err != nil {
		return err
	}
	config, err := producer.NewConfig(props)
	if err != nil {
		return err
	}
	config.Logger = newToolLogger(io.Err)
	reader, err := o.reader(io)
	if err != nil {
		return err
	}
	defer reader.lines.close()
	p, err := producer.New(config)
	if err != nil {
		return err
	}
	counter := progress{}
	if !onTerminal(io.In) { // a person who types knows how far the input is
		counter = newProgress(io.Err, "records", -1)
	}
	defer func() {
		err = errors.Join(err, closeProducer(ctx, p))
		counter.done()
	}()
	for {
		record, err := reader.next(ctx)
		if err != nil || record == nil {
			return err
		}
		counter.add(1)
		if o.has(o.sync) {
			if _, err := p.SendSync(ctx, *record); err != nil {
				return executionError(err)
			}
			continue
		}
		p.Send(ctx, *record, func(_ producer.Position, err error) {
			if err != nil {
				logSendError(io.Err, *record, err)
			}
		})
	}
}

// logSendError logs a record that was lost (Kafka: ErrorLoggingCallback).
func logSendError(w io.Writer, r producer.Record, err error) {
	size := func(b []byte) string {
		if b == nil {
			return "null"
		}
		return strconv.Itoa(len(b)) + " bytes"
	}
	logLine(w, "ERROR", "org.apache.kafka.clients.producer.internals.ErrorLoggingCallback", fmt.Sprintf(
		"Error when sending message to topic %s with key: %s, value: %s with error:", r.Topic, size(r.Key), size(r.Value)))
	fmt.Fprint(w, stackTrace(err))
}

// lineReader makes records of lines (Kafka: LineMessageReader). The headers and the null marker are those of 3.9.
type lineReader struct {
	topic                          string
	parseKey, parseHeaders         bool
	ignoreError                    bool
	keySeparator, headersDelimiter string
	headersSeparator, headerKeySep string
	nullMarker                     string
	prompt                         io.Writer // nil: none

	lines *inputLines
	line  int // number of the last one
}

func (o *consoleProducerOptions) reader(io stdio) (*lineReader, error) {
	class := o.str(o.lineReader)
	if short := class[strings.LastIndexAny(class, ".$")+1:]; short != "LineMessageReader" {
		return nil, &javaError{class: "java.lang.ClassNotFoundException", message: class}
	}
	props, err := o.clientProperties(o.readerConfig, o.property)
	if err != nil {
		return nil, err
	}
	get := func(name, fallback string) string {
		if v, ok := props[name]; ok {
			return v
		}
		return fallback
	}
	is := func(name string) bool { return strings.EqualFold(strings.TrimSpace(props[name]), "true") }
	r := &lineReader{
		topic:            o.str(o.topic),
		parseKey:         is("parse.key"),
		parseHeaders:     is("parse.headers"),
		ignoreError:      is("ignore.error"),
		keySeparator:     get("key.separator", "\t"),
		headersDelimiter: get("headers.delimiter", "\t"),
		headersSeparator: get("headers.separator", ","),
		headerKeySep:     get("headers.key.separator", ":"),
		nullMarker:       get("null.marker", ""),
	}
	if onTerminal(io.In) && onTerminal(io.Out) {
		r.prompt = io.Out
	}
	r.lines = newInputLines(io.In)
	return r, nil
}

// onTerminal reports whether a stream of a tool is a person's.
func onTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// next returns the record of the next line, nil at the end of the input.
func (r *lineReader) next(ctx context.Context) (*producer.Record, error) {
	if r.prompt != nil {
		fmt.Fprint(r.prompt, ">")
	}
	line, ok, err := r.lines.next(ctx)
	if !ok {
		return nil, err
	}
	r.line++
	return r.record(line)
}

// record takes headers and key off the front of a line; what is left is the value.
func (r *lineReader) record(line string) (*producer.Record, error) {
	rest := line
	var headers []producer.Header
	if r.parseHeaders {
		text, after, err := r.cut(rest, r.headersDelimiter, "No headers delimiter found on line number %d: '%s'")
		if err != nil {
			return nil, err
		}
		if headers, err = r.headers(text); err != nil {
			return nil, err
		}
		rest = after
	}
	var key []byte
	if r.parseKey {
		before, after, found := strings.Cut(rest, r.keySeparator)
		switch {
		case found:
			key, rest = r.bytes(before), after
		case !r.ignoreError:
			return nil, &javaError{class: "org.apache.kafka.common.KafkaException",
				message: fmt.Sprintf("No key found on line %d: %s", r.line, line)}
		}
	}
	record := producer.NewRecord(r.topic, key, r.bytes(rest))
	record.Headers = headers
	return &record, nil
}

// cut splits text at the separator; one that is missing is an error unless errors are to be ignored.
func (r *lineReader) cut(text, separator, complaint string) (before, after string, err error) {
	before, after, found := strings.Cut(text, separator)
	if found {
		return before, after, nil
	}
	if r.ignoreError {
		return "", text, nil
	}
	return "", "", &javaError{class: "org.apache.kafka.common.KafkaException", message: fmt.Sprintf(complaint, r.line, text)}
}

func (r *lineReader) headers(text string) ([]producer.Header, error) {
	if text == "" || text == r.nullMarker {
		return nil, nil
	}
	var headers []producer.Header
	for pair := range strings.SplitSeq(text, r.headersSeparator) {
		key, value, err := r.cut(pair, r.headerKeySep, "No header key separator found in pair on line number %d: '%s'")
		if err != nil {
			return nil, err
		}
		headers = append(headers, producer.Header{Key: key, Value: r.bytes(value)})
	}
	return headers, nil
}

// bytes is text as it is sent: nothing at all for the null marker.
func (r *lineReader) bytes(text string) []byte {
	if r.nullMarker != "" && text == r.nullMarker {
		return nil
	}
	return []byte(text)
}
