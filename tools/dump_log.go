package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/zurau/zurau/broker/record"
)

// kafka-dump-log (Kafka: DumpLogSegments) prints segments, their indexes and producer snapshots as text, in the form
// of 2.8. It only reads, needs no broker, and looks at what a running one has written.

type dumpOptions struct {
	*optionSet

	common                          commonOptions
	files, maxBytes                 *option
	printData, deep, skipMetadata   *option
	verifyOnly, sanityOnly          *option
	keyDecoder, valueDecoder        *option
	offsets, transactions, metadata *option
}

const stringDecoder = "kafka.serializer.StringDecoder"

func parseDumpOptions(args []string) (*dumpOptions, error) {
	p := &optionParser{}
	o := &dumpOptions{common: p.acceptCommon()}
	o.files = p.accepts("files", "Comma list of the log, index and snapshot files to print.").takes("file1, file2, ...")
	o.printData = p.accepts("print-data-log", "Print the contents of the records too; every decoder implies it.")
	o.deep = p.accepts("deep-iteration", "Print the records too, and not only their batches.")
	o.skipMetadata = p.accepts("skip-record-metadata", "Of a record, print its contents alone.")
	o.verifyOnly = p.accepts("verify-index-only", "Compare indexes with their logs without printing them.")
	o.sanityOnly = p.accepts("index-sanity-check", "Make the check a broker makes when it opens an index, and no other.")
	p.accepts("max-message-size", "Accepted without effect.").takes("size").of("Integer").or("5242880")
	o.maxBytes = p.accepts("max-bytes", "How much of a log to read.").takes("bytes").of("Integer").
		or(strconv.Itoa(math.MaxInt32))
	o.keyDecoder = p.accepts("key-decoder-class", "How to read keys: a Decoder of kafka.serializer.").
		mayTake("class").or(stringDecoder)
	o.valueDecoder = p.accepts("value-decoder-class", "How to read values: a Decoder of kafka.serializer.").
		mayTake("class").or(stringDecoder)
	o.offsets = p.accepts("offsets-decoder", "Read the records of __consumer_offsets.")
	o.transactions = p.accepts("transaction-log-decoder", "Read the records of __transaction_state.")
	o.metadata = p.accepts("cluster-metadata-decoder", "Refused: in ZooKeeper mode there is no metadata log.")
	set, err := p.parse(args)
	o.optionSet = set
	return o, err
}

// dumper prints files, and remembers what does not fit together until the end.
type dumper struct {
	ctx          context.Context
	out, err     io.Writer
	deep         bool
	withData     bool
	skipMetadata bool
	verifyOnly   bool
	sanityOnly   bool
	maxBytes     int64
	decode       recordDecoder
	complaints   complaints
}

func runDumpLog(ctx context.Context, args []string, io stdio) int {
	o, err := parseDumpOptions(args)
	if err != nil {
		return exitStatus(io.Err, err)
	}
	const purpose = "Prints the contents of log segments and the files beside them."
	if done, err := o.checkCommon(o.common, args, purpose, io.Out); done {
		return exitStatus(io.Err, err)
	}
	if err := o.require(o.files); err != nil {
		return exitStatus(io.Err, err)
	}
	out := bufio.NewWriter(io.Out)
	d := &dumper{
		ctx: ctx, out: out, err: io.Err, skipMetadata: o.has(o.skipMetadata), verifyOnly: o.has(o.verifyOnly),
		sanityOnly: o.has(o.sanityOnly), maxBytes: o.int64(o.maxBytes),
	}
	d.withData = slices.ContainsFunc([]*option{o.printData, o.offsets, o.transactions, o.keyDecoder, o.valueDecoder}, o.has)
	d.deep = d.withData || o.has(o.deep)
	if d.decode, err = o.decoder(); err == nil {
		err = o.err
	}
	for _, file := range strings.Split(o.str(o.files), ",") {
		if err != nil || ctx.Err() != nil {
			break
		}
		err = d.dump(strings.TrimSpace(file))
		out.Flush()
	}
	if ctx.Err() != nil {
		return signalStatus(ctx)
	}
	if err == nil {
		d.complaints.print(io.Err)
	}
	return exitStatus(io.Err, err)
}

// decoder chooses how keys and values are read.
func (o *dumpOptions) decoder() (recordDecoder, error) {
	switch {
	case o.has(o.metadata):
		return nil, illegalArgument("A cluster of ZooKeeper mode has no metadata log to decode.")
	case o.has(o.offsets):
		return decodeOffsetRecord, nil
	case o.has(o.transactions):
		return decodeTransactionRecord, nil
	}
	key, err := fieldDecoderOf(o.str(o.keyDecoder))
	if err != nil {
		return nil, err
	}
	value, err := fieldDecoderOf(o.str(o.valueDecoder))
	if err != nil {
		return nil, err
	}
	return decodeFields(key, value), nil
}

// dump prints one file by what its name says it is.
func (d *dumper) dump(file string) error {
	fmt.Fprintf(d.out, "Dumping %s\n", file)
	switch filepath.Ext(file) {
	case ".log":
		return d.dumpLog(file)
	case ".index":
		return d.dumpOffsetIndex(file)
	case ".timeindex":
		return d.dumpTimeIndex(file)
	case ".snapshot":
		return d.dumpSnapshot(file)
	case ".txnindex":
		return d.dumpTxnIndex(file)
	}
	fmt.Fprintf(d.err, "Ignoring unknown file %s\n", file)
	return nil
}

// baseOffsetOf is the offset a file of a segment is named by.
func baseOffsetOf(file string) (int64, error) {
	name, _, _ := strings.Cut(filepath.Base(file), ".")
	base, err := strconv.ParseInt(name, 10, 64)
	if err != nil {
		return 0, &javaError{class: "java.lang.NumberFormatException", message: `For input string: "` + name + `"`}
	}
	return base, nil
}

// openError is the exception Java meets when a file cannot be opened.
func openError(file string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &javaError{class: "java.nio.file.NoSuchFileException", message: file}
	}
	return &javaError{class: "java.io.IOException", message: err.Error()}
}

func (d *dumper) dumpLog(file string) error {
	base, err := baseOffsetOf(file)
	if err != nil {
		return err
	}
	log, err := openSegment(file, d.maxBytes)
	if err != nil {
		return err
	}
	defer log.close()
	fmt.Fprintf(d.out, "Starting offset: %d\n", base)
	last, position := int64(-1), int64(0)
	for d.ctx.Err() == nil {
		b, err := log.batchAt(position)
		if err != nil {
			return err
		}
		if b == nil {
			break
		}
		d.printBatch(b, position)
		if d.deep {
			if last, err = d.printRecords(file, b, position, last); err != nil {
				return err
			}
		}
		position += int64(len(b))
	}
	if rest := log.size - position; rest > 0 && d.maxBytes == math.MaxInt32 && d.ctx.Err() == nil {
		fmt.Fprintf(d.out, "Found %d invalid bytes at the end of %s\n", rest, filepath.Base(file))
	}
	return nil
}

// timestampWord is how the kind of a batch's timestamps is printed.
func timestampWord(b record.Batch) string {
	if b.Magic() == 0 {
		return "NoTimestampType"
	}
	return b.TimestampType().String()
}

func codecWord(b record.Batch) string { return strings.ToUpper(b.Codec().String()) }

func (d *dumper) printBatch(b record.Batch, position int64) {
	if b.Magic() >= 2 {
		fmt.Fprintf(d.out, "baseOffset: %d lastOffset: %d count: %d baseSequence: %d lastSequence: %d producerId: %d "+
			"producerEpoch: %d partitionLeaderEpoch: %d isTransactional: %t isControl: %t", b.BaseOffset(), b.LastOffset(),
			b.Count(), b.BaseSequence(), b.LastSequence(), b.ProducerID(), b.ProducerEpoch(), b.LeaderEpoch(),
			b.IsTransactional(), b.IsControl())
	} else {
		fmt.Fprintf(d.out, "offset: %d", b.LastOffset())
	}
	fmt.Fprintf(d.out, " position: %d %s: %d size: %d magic: %d compresscodec: %s crc: %d isvalid: %t\n", position,
		timestampWord(b), b.MaxTimestamp(), len(b), b.Magic(), codecWord(b), b.CRC(), b.CheckCRC() == nil)
}

// dumpLimits let the tool read whatever a broker may have stored.
var dumpLimits = record.Limits{Bytes: math.MaxInt32, RecordBytes: math.MaxInt32}

// printRecords prints the records of one batch and returns the offset of the last. last is that of the record before.
func (d *dumper) printRecords(file string, b record.Batch, position, last int64) (int64, error) {
	first, err := b.FirstOffset(dumpLimits)
	if err != nil {
		return last, invalidRecord(err)
	}
	it := b.Records(dumpLimits)
	defer it.Close()
	for it.Next() {
		r := it.Record()
		if last >= 0 && r.Offset != last+1 {
			d.complaints.gap(file, last, r.Offset)
		}
		last = r.Offset
		separator := ""
		if !d.skipMetadata {
			d.printRecord(b, r, first, position)
			separator = " "
		}
		if d.withData && !b.IsControl() {
			key, value := d.decode(r)
			if key != nil {
				fmt.Fprintf(d.out, "%skey: %s", separator, *key)
			}
			if value != nil {
				fmt.Fprintf(d.out, " payload: %s", *value)
			}
		}
		fmt.Fprintln(d.out)
	}
	if it.Err() != nil {
		return last, invalidRecord(it.Err())
	}
	return last, nil
}

func invalidRecord(err error) error {
	return &javaError{class: "org.apache.kafka.common.InvalidRecordException", message: err.Error()}
}

// printRecord prints what there is to tell about a record besides its contents. first is the batch's first offset.
func (d *dumper) printRecord(b record.Batch, r *record.Record, first, position int64) {
	crc, valid := "null", true
	if b.Magic() < 2 {
		crc, valid = strconv.FormatUint(uint64(r.CRC), 10), b.Codec() != record.None || b.CheckCRC() == nil
	}
	fmt.Fprintf(d.out, "| offset: %d isValid: %t crc: %s keySize: %d valueSize: %d %s: %d", r.Offset, valid, crc,
		sizeOf(r.Key), sizeOf(r.Value), timestampWord(b), r.Timestamp)
	fmt.Fprintf(d.out, " baseOffset: %d lastOffset: %d baseSequence: %d lastSequence: %d producerEpoch: %d "+
		"partitionLeaderEpoch: %d batchSize: %d magic: %d compressType: %s position: %d", first, b.LastOffset(),
		b.BaseSequence(), b.LastSequence(), b.ProducerEpoch(), b.LeaderEpoch(), len(b), b.Magic(), codecWord(b), position)
	if b.Magic() < 2 {
		return
	}
	sequence := record.NoSequence
	if b.BaseSequence() != record.NoSequence {
		sequence = record.SequenceAfter(b.BaseSequence(), int32(r.Offset-b.BaseOffset()))
	}
	var keys []string
	for _, h := range r.AppendHeaders(nil) {
		keys = append(keys, h.Key)
	}
	fmt.Fprintf(d.out, " sequence: %d headerKeys: [%s]", sequence, strings.Join(keys, ","))
	if !b.IsControl() {
		return
	}
	if m, ok, err := record.ParseEndTxnMarker(b); err == nil && ok {
		fmt.Fprintf(d.out, " endTxnMarker: %s coordinatorEpoch: %d", m.Type, m.CoordinatorEpoch)
	} else if t, err := record.ParseControlKey(r.Key); err == nil {
		fmt.Fprintf(d.out, " controlType: %s(%d)", t, t)
	}
}

// sizeOf is the size Java prints of a field, -1 for null.
func sizeOf(b []byte) int {
	if b == nil {
		return -1
	}
	return len(b)
}

// segmentFile reads the batches of a .log file.
type segmentFile struct {
	f    *os.File
	size int64
	buf  []byte
}

// openSegment opens at most limit bytes of a .log file.
func openSegment(file string, limit int64) (*segmentFile, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, openError(file, err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, openError(file, err)
	}
	return &segmentFile{f: f, size: min(info.Size(), limit)}, nil
}

func (s *segmentFile) close() { s.f.Close() }

// batchAt reads the batch at position; nil where none begins, at the end or because what is there is none. The batch
// holds until the next call.
func (s *segmentFile) batchAt(position int64) (record.Batch, error) {
	head, err := s.headAt(position)
	if head == nil || err != nil {
		return nil, err
	}
	size := head.SizeBytes()
	if cap(s.buf) < size {
		s.buf = make([]byte, size)
	}
	if _, err := s.f.ReadAt(s.buf[:size], position); err != nil {
		return nil, openError(s.f.Name(), err)
	}
	return record.Batch(s.buf[:size]), nil
}

// headAt reads the header alone of a batch that lies wholly in the file.
func (s *segmentFile) headAt(position int64) (record.Batch, error) {
	head := make([]byte, min(record.HeaderBytes, max(0, s.size-position)))
	if _, err := s.f.ReadAt(head, position); err != nil && err != io.EOF {
		return nil, openError(s.f.Name(), err)
	}
	size, err := record.SizeOf(head)
	if err != nil || size == 0 || int64(size) > s.size-position {
		return nil, nil
	}
	return head, nil
}
