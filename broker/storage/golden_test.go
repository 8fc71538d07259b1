package storage

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/topic"
)

// testdata/logs.tar.gz holds log directories as real brokers of 1.1.1, 2.8.2 and 3.9.1 left them, and beside
// each what kafka-dump-log of the same version printed about it (without the records).

// unpackGolden unpacks the directories and returns where they are.
func unpackGolden(t testing.TB) string {
	t.Helper()
	f, err := os.Open("testdata/logs.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return filepath.Join(root, "logs")
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(root, h.Name)
		if h.FileInfo().IsDir() {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		content, err := io.ReadAll(r)
		if err == nil {
			err = os.WriteFile(path, content, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// goldenConfig is that of the brokers which wrote the directories.
func goldenConfig(c *config.Topic) { c.IndexIntervalBytes, c.SegmentIndexBytes = 200, 480 }

// readDump returns the lines of a dump by the file they are about, "topic-0/00000000000000000000.log".
func readDump(t testing.TB, path string) map[string][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dump, name := make(map[string][]string), ""
	for s := bufio.NewScanner(f); s.Scan(); {
		if n, ok := strings.CutPrefix(s.Text(), "Dumping "); ok {
			name = n
			if dump[name] != nil {
				name = "decoded " + n // internal topics appear again, with their records
			}
			dump[name] = []string{}
			continue
		}
		dump[name] = append(dump[name], s.Text())
	}
	return dump
}

var batchLine = regexp.MustCompile(`^baseOffset: (\d+) lastOffset: (\d+) count: (\d+) baseSequence: (-?\d+) lastSequence: (-?\d+) producerId: (-?\d+) ` +
	`producerEpoch: (-?\d+) partitionLeaderEpoch: (-?\d+) isTransactional: (true|false) isControl: (true|false) .*position: (\d+) .*size: (\d+) magic: (\d)`)

func TestDirectoriesOfRealBrokersOpenAsTheirDumpsSay(t *testing.T) {
	root := unpackGolden(t)
	dumps, _ := filepath.Glob(filepath.Join(root, "*.dump.txt"))
	if len(dumps) != 11 {
		t.Fatalf("%d dumps", len(dumps))
	}
	for _, path := range dumps {
		dir := strings.TrimSuffix(path, ".dump.txt")
		t.Run(filepath.Base(dir), func(t *testing.T) {
			dump := readDump(t, path)
			t.Run("files", func(t *testing.T) { checkFiles(t, dir, dump) })
			t.Run("first open", func(t *testing.T) { checkLogs(t, dir, dump) })
			t.Run("after our clean stop", func(t *testing.T) { checkLogs(t, dir, dump) })
			if err := os.Remove(filepath.Join(dir, cleanShutdownFile)); err != nil {
				t.Fatal(err)
			}
			os.WriteFile(filepath.Join(dir, recoveryPointCheckpoint), nil, 0o644)
			t.Run("recovered from offset 0", func(t *testing.T) { checkLogs(t, dir, dump) })
		})
	}
}

// checkFiles reads indexes and snapshots by themselves.
func checkFiles(t *testing.T, dir string, dump map[string][]string) {
	killed := strings.Contains(dir, "killed") || strings.Contains(dir, "epochs") // indexes are longer than their content
	for name, want := range dump {
		path := filepath.Join(dir, name)
		base, _ := parseBase(filepath.Base(name))
		if len(want) == 1 && strings.HasSuffix(want[0], "is empty.") {
			want = nil
		}
		var got []string
		switch filepath.Ext(name) {
		case ".index":
			if killed {
				continue
			}
			x := newOffsetIndex(osFS{}, filepath.Dir(path), base, 480)
			if err := x.load(); err != nil {
				t.Error(err)
			}
			for _, e := range x.mu.entries {
				got = append(got, fmt.Sprintf("offset: %d position: %d", base+int64(e.relative), e.position))
			}
			x.close()
		case ".timeindex":
			if killed {
				continue
			}
			x := newTimeIndex(osFS{}, filepath.Dir(path), base, 480)
			if err := x.load(); err != nil {
				t.Error(err)
			}
			for _, e := range x.mu.entries {
				got = append(got, fmt.Sprintf("timestamp: %d offset: %d", e.timestamp, base+int64(e.relative)))
			}
			x.close()
		case ".snapshot":
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			entries, err := decodeSnapshot(content)
			if err != nil {
				t.Error(name, err)
			}
			for _, e := range entries {
				got = append(got, snapshotLine(e))
			}
			want = slices.Clone(want)
			for i := range want {
				want[i] = normalizeSnapshot(want[i])
			}
		case ".txnindex":
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			txns, err := decodeAbortedTxns(content, base)
			if err != nil {
				t.Error(name, err)
			}
			for _, x := range txns {
				got = append(got, fmt.Sprintf("version: 0 producerId: %d firstOffset: %d lastOffset: %d lastStableOffset: %d",
					x.ProducerID, x.FirstOffset, x.LastOffset, x.LastStableOffset))
			}
		default:
			continue
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-Java +ours):\n%s", name, diff)
		}
	}
}

func snapshotLine(e snapshotEntry) string {
	last := sentBatch{lastSequence: -1, lastOffset: -1, timestamp: e.lastTimestamp}
	first := int32(-1)
	if b := e.last(); b != nil {
		last, first = *b, b.firstSequence()
	}
	return fmt.Sprintf("producerId: %d producerEpoch: %d coordinatorEpoch: %d txn: %d firstSequence: %d lastSequence: %d "+
		"lastOffset: %d offsetDelta: %d timestamp: %d", e.producerID, e.epoch, e.coordinatorEpoch, e.txnFirstOffset, first,
		last.lastSequence, last.lastOffset, last.offsetDelta, last.timestamp)
}

var (
	openTxnWords  = regexp.MustCompile(`currentTxnFirstOffset: (?:OptionalLong\[|Some\()(\d+)[\])]`)
	noTxnWords    = regexp.MustCompile(`currentTxnFirstOffset: (OptionalLong.empty|None)`)
	lastTimeWords = regexp.MustCompile(` lastTimestamp: \d+`)
)

// normalizeSnapshot brings the dumps of all versions into one form.
func normalizeSnapshot(line string) string {
	line = openTxnWords.ReplaceAllString(line, "txn: $1")
	line = noTxnWords.ReplaceAllString(line, "txn: -1")
	return lastTimeWords.ReplaceAllString(line, "")
}

// checkLogs opens the directory as a broker would and compares what the logs say with the dump.
func checkLogs(t *testing.T, dir string, dump map[string][]string) {
	o := managerOptions(t, plain(goldenConfig), dir)
	o.ClusterID = ""
	m, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for name, lines := range dump {
		topicDir, file, _ := strings.Cut(name, "/")
		if filepath.Ext(file) != ".log" || strings.HasPrefix(name, "decoded") {
			continue
		}
		base, _ := parseBase(file)
		l := logOfDir(m, topicDir)
		if l == nil {
			t.Fatalf("no log of %s", topicDir)
		}
		checkSegment(t, l, base, lines)
	}
	for _, l := range m.Logs() {
		checkEpochs(t, l)
		checkTxns(t, l, dump)
	}
}

func logOfDir(m *Manager, name string) *Log {
	for _, l := range m.Logs() {
		if l.Partition().String() == name {
			return l
		}
	}
	return nil
}

// checkSegment compares the batches of one segment with the dump's lines.
func checkSegment(t *testing.T, l *Log, base int64, lines []string) {
	t.Helper()
	i := slices.IndexFunc(l.mu.segments, func(s *segment) bool { return s.base == base })
	if i < 0 {
		t.Errorf("%s has no segment %d", l.partition, base)
		return
	}
	s := l.mu.segments[i]
	f, err := s.handle()
	if err != nil {
		t.Fatal(err)
	}
	r := batchReader{f: f, end: s.size.Load(), check: true}
	next := base
	for _, line := range lines {
		m := batchLine.FindStringSubmatch(line)
		if m == nil {
			continue // a record's line, as all are in 1.1.1
		}
		b, position, err := r.next()
		if err != nil || b == nil {
			t.Fatalf("%s segment %d: %v where the dump has %s", l.partition, base, err, line)
		}
		got := []any{b.BaseOffset(), b.LastOffset(), b.Count(), b.BaseSequence(), b.LastSequence(), b.ProducerID(), b.ProducerEpoch(),
			b.LeaderEpoch(), b.IsTransactional(), b.IsControl(), position, len(b), b.Magic()}
		for j, want := range m[1:] {
			if fmt.Sprint(got[j]) != want {
				t.Errorf("%s segment %d: field %d is %v in %s", l.partition, base, j, got[j], line)
			}
		}
		next = b.NextOffset()
	}
	if len(lines) > 0 && batchLine.FindString(lines[0]) == "" {
		if topic.IsInternal(l.partition.Topic) {
			return // its records were decoded and are not in the dump
		}
		next = lastRecordOffset(t, lines) + 1
	} else if b, _, err := r.next(); b != nil || err != nil {
		t.Errorf("%s segment %d goes on behind the dump: %v %v", l.partition, base, b, err)
	}
	v := l.View()
	if i == len(l.mu.segments)-1 && v.LogEndOffset != next {
		t.Errorf("%s: log end %d, the dump says %d", l.partition, v.LogEndOffset, next)
	}
	if i == len(l.mu.segments)-1 {
		checkReads(t, l)
	}
}

func lastRecordOffset(t *testing.T, lines []string) int64 {
	offset, err := strconv.ParseInt(strings.Fields(lines[len(lines)-1])[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return offset
}

// checkReads reads from every offset and finds the batch that holds it, or the next one.
func checkReads(t *testing.T, l *Log) {
	v := l.View()
	for offset := v.LogStartOffset; offset < v.LogEndOffset; offset++ {
		r, err := l.Read(offset, 1, v.LogEndOffset, true)
		if err != nil || r.Region.N == 0 {
			t.Fatalf("%s: Read(%d) = %+v, %v", l.partition, offset, r.Region, err)
		}
		b, _, err := record.Next(regionBytes(t, r))
		if err != nil || b == nil || b.LastOffset() < offset {
			t.Fatalf("%s: Read(%d) gives a batch to %d, %v", l.partition, offset, b.LastOffset(), err)
		}
	}
	if r, err := l.Read(v.LogEndOffset, 1, v.LogEndOffset, true); err != nil || r.Region.N != 0 {
		t.Errorf("%s: a read at the end gives %d bytes, %v", l.partition, r.Region.N, err)
	}
}

// checkEpochs compares the epochs in memory with Java's file, which in every golden directory is complete.
func checkEpochs(t *testing.T, l *Log) {
	content, err := os.ReadFile(filepath.Join(l.dir, leaderEpochCheckpoint))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	want, err := parseEpochs(content)
	if err != nil {
		t.Fatal(err)
	}
	if l.View().LogEndOffset > 0 && !slices.Equal(want, l.mu.epochs.entries) {
		t.Errorf("%s: epochs %v, Java's file has %v", l.partition, l.mu.epochs.entries, want)
	}
}

// checkTxns compares transaction indexes and the producers at the log end with the dump.
func checkTxns(t *testing.T, l *Log, dump map[string][]string) {
	for name, lines := range dump {
		if filepath.Dir(name) != l.partition.String() {
			continue
		}
		base, _ := parseBase(filepath.Base(name))
		switch filepath.Ext(name) {
		case ".txnindex":
			i := slices.IndexFunc(l.mu.segments, func(s *segment) bool { return s.base == base })
			txns, _, err := l.mu.segments[i].txns.collect(nil, 0, 1<<62)
			if err != nil || len(txns) != len(lines) {
				t.Errorf("%s: %v, %v where the dump has %v", name, txns, err, lines)
			}
		case ".snapshot":
			if base != l.View().LogEndOffset {
				continue
			}
			var got []string
			content := l.mu.producers.encodeSnapshot()
			entries, err := decodeSnapshot(content)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				got = append(got, snapshotLine(e))
			}
			var want []string
			for _, line := range lines {
				want = append(want, normalizeSnapshot(line))
			}
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: producers at the log end (-Java +ours):\n%s", l.partition, diff)
			}
		}
	}
}
