package record

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testdata/logs.tar.gz holds log directories of real brokers, and beside each what that broker's own reader prints of
// its files and their records.

// golden reads the archive: contents by path, "3.9.1-stopped/plain-0/00000000000000000000.log".
func golden(t *testing.T) map[string][]byte {
	f, err := os.Open("testdata/logs.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[strings.TrimPrefix(h.Name, "logs/")], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

var wide = Limits{Bytes: 1 << 30, RecordBytes: 1 << 30}

// TestSegmentsOfKafka39ReadLikeItsOwnDump prints every batch and record of magic 2 as DumpLogSegments 3.9 does.
func TestSegmentsOfKafka39ReadLikeItsOwnDump(t *testing.T) {
	read := eachDumped(t, "3.9.1-", func(t *testing.T, segment []byte, want []string) {
		var got []string
		eachBatch(t, segment, func(b Batch, position int) {
			got = append(got, batchLine(b, position))
			got = append(got, recordLines(t, b)...)
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	if read < 50 {
		t.Errorf("only %d segments were found", read)
	}
}

// TestSegmentsOfKafka11ReadLikeItsOwnDump does the same for magic 0, 1 and 2 in the deep form of DumpLogSegments 1.1.
func TestSegmentsOfKafka11ReadLikeItsOwnDump(t *testing.T) {
	read := eachDumped(t, "1.1.1-", func(t *testing.T, segment []byte, want []string) {
		var got []string
		eachBatch(t, segment, func(b Batch, position int) { got = append(got, deepLines(t, b, position)...) })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	if read < 30 {
		t.Errorf("only %d segments were found", read)
	}
}

// eachDumped calls test for each segment of the versions with this prefix, and counts them. Internal topics are left
// out: their records are printed decoded.
func eachDumped(t *testing.T, prefix string, test func(t *testing.T, segment []byte, want []string)) (read int) {
	files := golden(t)
	for path, text := range files {
		folder, ok := strings.CutSuffix(path, ".dump.txt")
		if !ok || !strings.HasPrefix(path, prefix) {
			continue
		}
		dumped, current := map[string][]string{}, ""
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSuffix(line, "\n")
			if name, ok := strings.CutPrefix(line, "Dumping "); ok {
				current = name
			} else if strings.HasPrefix(line, "Non-consecutive") {
				current = "" // what follows is no more about one file
			} else if !strings.Contains(line, "tarting offset: ") {
				dumped[current] = append(dumped[current], line)
			}
		}
		for name, want := range dumped {
			if !strings.HasSuffix(name, ".log") || strings.HasPrefix(name, "__") {
				continue
			}
			read++
			t.Run(folder+"/"+name, func(t *testing.T) { test(t, files[folder+"/"+name], want) })
		}
	}
	return read
}

// eachBatch walks a segment, whose batches must all be whole.
func eachBatch(t *testing.T, segment []byte, each func(b Batch, position int)) {
	t.Helper()
	for rest := segment; len(rest) > 0; {
		position := len(segment) - len(rest)
		b, next, err := Next(rest)
		if err != nil || b == nil {
			t.Fatalf("at %d: %v", position, err)
		}
		if err := b.CheckCRC(); err != nil {
			t.Fatalf("at %d: %v", position, err)
		}
		each(b, position)
		rest = next
	}
}

func batchLine(b Batch, position int) string {
	horizon := "OptionalLong.empty"
	if b.HasDeleteHorizon() {
		horizon = fmt.Sprintf("OptionalLong[%d]", b.BaseTimestamp())
	}
	return fmt.Sprintf("baseOffset: %d lastOffset: %d count: %d baseSequence: %d lastSequence: %d producerId: %d "+
		"producerEpoch: %d partitionLeaderEpoch: %d isTransactional: %t isControl: %t deleteHorizonMs: %s position: %d "+
		"%s: %d size: %d magic: %d compresscodec: %s crc: %d isvalid: true", b.BaseOffset(), b.LastOffset(), b.Count(),
		b.BaseSequence(), b.LastSequence(), b.ProducerID(), b.ProducerEpoch(), b.LeaderEpoch(), b.IsTransactional(),
		b.IsControl(), horizon, position, b.TimestampType(), b.MaxTimestamp(), b.SizeBytes(), b.Magic(), b.Codec(), b.CRC())
}

func recordLines(t *testing.T, b Batch) (lines []string) {
	it := b.Records(wide)
	defer it.Close()
	for it.Next() {
		r := it.Record()
		sequence := NoSequence
		if b.HasProducer() && b.BaseSequence() >= 0 {
			sequence = SequenceAfter(b.BaseSequence(), int32(r.Offset-b.BaseOffset()))
		}
		lines = append(lines, fmt.Sprintf("| offset: %d %s: %d keySize: %d valueSize: %d sequence: %d headerKeys: [%s]",
			r.Offset, b.TimestampType(), r.Timestamp, size(r.Key), size(r.Value), sequence, headerKeys(r))+contents(t, b, r))
	}
	if it.Err() != nil {
		t.Fatal(it.Err())
	}
	return lines
}

func deepLines(t *testing.T, b Batch, position int) (lines []string) {
	it := b.Records(wide)
	defer it.Close()
	for it.Next() {
		r := it.Record()
		kind := b.TimestampType().String()
		if b.Magic() == 0 {
			kind = "NoTimestampType"
		}
		line := fmt.Sprintf("offset: %d position: %d %s: %d isvalid: true keysize: %d valuesize: %d magic: %d compresscodec: %s",
			r.Offset, position, kind, r.Timestamp, size(r.Key), size(r.Value), b.Magic(), strings.ToUpper(b.Codec().String()))
		if b.Magic() == 2 {
			sequence := NoSequence
			if b.HasProducer() && b.BaseSequence() >= 0 {
				sequence = SequenceAfter(b.BaseSequence(), int32(r.Offset-b.BaseOffset()))
			}
			line += fmt.Sprintf(" producerId: %d producerEpoch: %d sequence: %d isTransactional: %t headerKeys: [%s]",
				b.ProducerID(), b.ProducerEpoch(), sequence, b.IsTransactional(), headerKeys(r))
		} else {
			line += fmt.Sprintf(" crc: %d", r.CRC)
		}
		if r.Value != nil { // that reader shows the key only beside a value
			line += contents(t, b, r)
		}
		lines = append(lines, line)
	}
	if it.Err() != nil {
		t.Fatal(it.Err())
	}
	return lines
}

func contents(t *testing.T, b Batch, r *Record) (text string) {
	if b.IsControl() {
		m, ok, err := ParseEndTxnMarker(b)
		if err != nil || !ok {
			t.Fatalf("marker at %d: %v", b.BaseOffset(), err)
		}
		return fmt.Sprintf(" endTxnMarker: %s coordinatorEpoch: %d", m.Type, m.CoordinatorEpoch)
	}
	if r.Key != nil {
		text = " key: " + string(r.Key)
	}
	if r.Value != nil {
		text += " payload: " + string(r.Value)
	}
	return text
}

func headerKeys(r *Record) string {
	var keys []string
	for _, h := range r.AppendHeaders(nil) {
		keys = append(keys, h.Key)
	}
	return strings.Join(keys, ",")
}

func size(b []byte) int {
	if b == nil {
		return -1
	}
	return len(b)
}
