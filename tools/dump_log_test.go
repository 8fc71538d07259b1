package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/record"
)

// Log directories of real brokers of 1.1.1, 2.8.2 and 3.9.1, and what each version's own tool prints of them.
const goldenLogs = "../broker/record/testdata/logs.tar.gz"

// unpackGoldenLogs makes the folder that holds the directories the working directory, and returns the dumps by folder.
func unpackGoldenLogs(t *testing.T) map[string]string {
	t.Helper()
	f, err := os.Open(goldenLogs)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	dumps := make(map[string]string)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return dumps
		}
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(h.Name, "logs/")
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if folder, ok := strings.CutSuffix(name, ".dump.txt"); ok {
			dumps[folder] = string(content)
		} else if !h.FileInfo().IsDir() {
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// dumped is a dump taken apart: the lines of each file, and the complaints of all.
type dumped struct {
	files      []string
	lines      map[string][]string
	complaints []string
}

// complaint matches the lines the tool prints at its end on stderr.
var complaint = regexp.MustCompile(`^(Mismatches|Found (timestamp|out of)|Non-consecutive|The following|Indexed offset|  )`)

func takeApart(dump string) dumped {
	d, current := dumped{lines: make(map[string][]string)}, ""
	for line := range strings.Lines(dump) {
		line = strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(line, "Dumping "); ok {
			current = name
			d.files = append(d.files, name)
		} else if complaint.MatchString(line) {
			d.complaints = append(d.complaints, line)
		} else {
			d.lines[current] = append(d.lines[current], line)
		}
	}
	slices.Sort(d.complaints) // Java keeps them in hash maps
	return d
}

// dumpFile runs the tool on one file as the dumps were made.
func dumpFile(t *testing.T, file string) (lines, complaints []string) {
	t.Helper()
	args := []string{"--files", file}
	switch {
	case !strings.HasSuffix(file, ".log"):
	case strings.HasPrefix(file, "__consumer_offsets"):
		args = append(args, "--offsets-decoder")
	case strings.HasPrefix(file, "__transaction_state"):
		args = append(args, "--transaction-log-decoder")
	default:
		args = append(args, "--deep-iteration", "--print-data-log")
	}
	out, stderr, status := runDump(t, args...)
	if status != 0 {
		t.Fatalf("%s: exit %d: %s", file, status, stderr)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	d := takeApart(out + strings.ReplaceAll(stderr, here+"/", ""))
	return d.lines[file], d.complaints
}

func runDump(t *testing.T, args ...string) (out, stderr string, status int) {
	t.Helper()
	var o, e strings.Builder
	status = runDumpLog(context.Background(), args, stdio{In: strings.NewReader(""), Out: &o, Err: &e})
	return o.String(), e.String(), status
}

// The forms differ, so the lines are brought to one before they are compared; nothing that a captured line tells is left
// out by it:
//
//   - 3.9 calls the beginning "Log starting offset", writes codecs small, tells of a batch its delete horizon (taken from
//     the file here, as the form of 2.8 has no place for it) and of a record not again what its batch has; of a producer
//     also lastTimestamp. Records of groups are JSON with every field: they are turned into 2.8's text to be compared
//     with ours, and beside that compared field by field with what the record holds.
//   - 1.1 prints no batches, and what it tells of them (producer, transaction, codec, CRC of old messages) in the line of
//     each record; neither key nor value of a record without a value; of an empty index nothing. Its indexes have
//     first offsets, of which it does not complain as 2.8's tool and ours do.
//   - 1.1's tool broke down at the first group it met: its dump of __consumer_offsets ends in the first record.
func TestDirectoriesOfRealBrokersAreDumpedAsByTheirOwnTool(t *testing.T) {
	dumps := unpackGoldenLogs(t)
	if len(dumps) != 11 {
		t.Fatalf("%d dumps", len(dumps))
	}
	for folder, text := range dumps {
		t.Run(folder, func(t *testing.T) {
			t.Chdir(folder)
			want, version := takeApart(text), folder[:3]
			checkAllDumped(t, want.files)
			var complaints []string
			for _, file := range want.files {
				lines, said := dumpFile(t, file)
				expected, got := want.lines[file], formOf(t, version, file, lines)
				ofGroups := strings.HasPrefix(file, "__consumer_offsets") && strings.HasSuffix(file, ".log")
				switch {
				case version == "1.1" && ofGroups:
					expected, got = upToBreakdown(t, file, expected, got)
				case version == "1.1" && strings.HasSuffix(file, ".index"):
					checkFirstOffsets(t, file, said)
					said = nil
				case version == "3.9" && ofGroups:
					checkGroupFields(t, file, expected)
					expected = groups28(t, expected)
				}
				complaints = append(complaints, said...)
				if diff := cmp.Diff(expected, got); diff != "" {
					t.Errorf("%s: %s", file, diff)
				}
			}
			slices.Sort(complaints)
			if diff := cmp.Diff(want.complaints, complaints); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// checkAllDumped wants every file of the working directory that the tool can read among those dumped.
func checkAllDumped(t *testing.T, files []string) {
	t.Helper()
	onDisk, err := filepath.Glob("*/*.*")
	if err != nil || len(onDisk) == 0 {
		t.Fatal(onDisk, err)
	}
	for _, file := range onDisk {
		kinds := []string{".log", ".index", ".timeindex", ".snapshot", ".txnindex"}
		if slices.Contains(kinds, filepath.Ext(file)) && !slices.Contains(files, file) {
			t.Errorf("%s is not in the dump", file)
		}
	}
}

// batchesOf reads a whole log.
func batchesOf(t *testing.T, file string) (batches []record.Batch) {
	t.Helper()
	rest, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for {
		var b record.Batch
		if b, rest, err = record.Next(rest); err != nil || b == nil {
			return batches
		}
		batches = append(batches, b)
	}
}

// upToBreakdown gives what 1.1's tool printed of __consumer_offsets before it broke down, and as much of ours, which must
// reach the end that the snapshot beside the log names.
func upToBreakdown(t *testing.T, file string, expected, got []string) (_, _ []string) {
	t.Helper()
	if len(expected) != 3 || len(got) < 2 || expected[2] != "[stack]" {
		t.Fatalf("%s: %q, ours %q", file, expected, got)
	}
	snapshots, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*.snapshot"))
	if err != nil || len(snapshots) != 1 {
		t.Fatal(snapshots, err)
	}
	end, err := baseOffsetOf(snapshots[0])
	if last := fmt.Sprintf("offset: %d position: ", end-1); err != nil || !strings.HasPrefix(got[len(got)-1], last) {
		t.Errorf("%s: our last line is %q", file, got[len(got)-1])
	}
	printed, _, broke := strings.Cut(expected[1], "Exception in thread")
	contents := strings.Index(got[1], " key: ")
	if !broke || contents < 0 {
		t.Fatalf("%s: %q, ours %q", file, expected[1], got[1])
	}
	return []string{expected[0], printed}, []string{got[0], got[1][:contents]}
}

var wrongOffset = regexp.MustCompile(`^  Index offset: (\d+), log offset: (\d+)$`)

// checkFirstOffsets wants complaints about an index to be that it has the first offset of a batch in place of the last.
func checkFirstOffsets(t *testing.T, file string, said []string) {
	t.Helper()
	first := make(map[string]string)
	for _, b := range batchesOf(t, logOf(file)) {
		it := b.Records(dumpLimits)
		if it.Next() {
			first[strconv.FormatInt(b.LastOffset(), 10)] = strconv.FormatInt(it.Record().Offset, 10)
		}
		it.Close()
	}
	for _, line := range said {
		if m := wrongOffset.FindStringSubmatch(line); m == nil && line != "Mismatches in :"+file || m != nil && first[m[2]] != m[1] {
			t.Errorf("%s: %s", file, line)
		}
	}
}

// groupLine takes a line of 3.9 about a record of a group apart.
var groupLine = regexp.MustCompile(`^(.* offset: (\d+) .*) key: (\{.*\}) payload: (\{.*\})$`)

// What 3.9 prints of the records of groups, apart from its versions.
type (
	commitKey39 struct {
		Group, Topic string
		Partition    int32
	}
	commit39 struct {
		Offset          int64
		LeaderEpoch     int32
		Metadata        string
		CommitTimestamp int64
	}
	group39 struct {
		ProtocolType          string
		Generation            int32
		Protocol, Leader      *string
		CurrentStateTimestamp int64
		Members               []member39
	}
	member39 struct {
		MemberID                         string
		GroupInstanceID                  *string
		ClientID, ClientHost             string
		RebalanceTimeout, SessionTimeout int32
		Subscription                     struct {
			Topics          []string
			UserData        []byte
			OwnedPartitions []partitions39
			GenerationID    int32
			RackID          *string
		}
		Assignment struct {
			AssignedPartitions []partitions39
			UserData           []byte
		}
	}
	partitions39 struct {
		Topic      string
		Partitions []int32
	}
)

// parsed39 reads JSON of 3.9, in which no field may be that is not in T.
func parsed39[T any](t *testing.T, text string) (version string, data T) {
	t.Helper()
	var whole struct {
		Type, Version string
		Data          T
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&whole); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return whole.Type + whole.Version, whole.Data
}

// groups28 turns the JSON of 3.9 into the text of 2.8.
func groups28(t *testing.T, lines []string) (out []string) {
	t.Helper()
	for _, line := range lines {
		m := groupLine.FindStringSubmatch(line)
		if m == nil {
			out = append(out, line)
			continue
		}
		version, key := parsed39[commitKey39](t, m[3])
		if version == "1" {
			_, v := parsed39[commit39](t, m[4])
			line = fmt.Sprintf("%s key: offset_commit::group=%s,partition=%s-%d payload: offset=%d", m[1], key.Group, key.Topic, key.Partition, v.Offset)
			if v.Metadata != "" {
				line += ",metadata=" + v.Metadata
			}
			out = append(out, line)
			continue
		}
		_, v := parsed39[group39](t, m[4])
		protocol, members := "null", []string(nil)
		if v.Protocol != nil {
			protocol = strconv.Quote(*v.Protocol)
		}
		for _, member := range v.Members {
			var assigned []string
			for _, p := range member.Assignment.AssignedPartitions {
				for _, id := range p.Partitions {
					assigned = append(assigned, fmt.Sprintf("%s-%d", p.Topic, id))
				}
			}
			members = append(members, member.MemberID+"=["+strings.Join(assigned, ", ")+"]")
		}
		out = append(out, fmt.Sprintf(`%s key: group_metadata::group=%s payload: {"protocolType":"%s","protocol":%s,"generationId":%d,"assignment":"{%s}"}`,
			m[1], key.Group, v.ProtocolType, protocol, v.Generation, strings.Join(members, ",")))
	}
	return out
}

// checkGroupFields compares what 3.9 prints of the records of groups, but not 2.8, with what the formatters of the console
// consumer and the records have.
func checkGroupFields(t *testing.T, file string, lines []string) {
	t.Helper()
	values := make(map[string][]byte)
	for _, b := range batchesOf(t, file) {
		it := b.Records(dumpLimits)
		for it.Next() {
			values[strconv.FormatInt(it.Record().Offset, 10)] = slices.Clone(it.Record().Value)
		}
		it.Close()
	}
	checked := 0
	for _, line := range lines {
		m := groupLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		checked++
		if kind, _ := parsed39[commitKey39](t, m[3]); kind == "1" {
			_, want := parsed39[commit39](t, m[4])
			var v kmsg.OffsetCommitValue
			err := v.ReadFrom(values[m[2]])
			if got := (commit39{v.Offset, v.LeaderEpoch, v.Metadata, v.CommitTimestamp}); err != nil || got != want {
				t.Errorf("%s: %+v in place of %+v (%v)", line, got, want, err)
			}
			continue
		}
		_, want := parsed39[group39](t, m[4])
		if diff := cmp.Diff(want, groupOf(t, values[m[2]])); diff != "" {
			t.Errorf("%s: %s", line, diff)
		}
	}
	if checked == 0 {
		t.Errorf("%s has no records of groups", file)
	}
}

// groupOf reads the value of a group's record.
func groupOf(t *testing.T, value []byte) group39 {
	t.Helper()
	v := kmsg.NewGroupMetadataValue()
	if err := v.ReadFrom(value); err != nil {
		t.Fatal(err)
	}
	g := group39{ProtocolType: v.ProtocolType, Generation: v.Generation, Protocol: v.Protocol, Leader: v.Leader,
		CurrentStateTimestamp: v.CurrentStateTimestamp, Members: []member39{}}
	for _, m := range v.Members {
		one := member39{MemberID: m.MemberID, GroupInstanceID: m.InstanceID, ClientID: m.ClientID, ClientHost: m.ClientHost,
			RebalanceTimeout: m.RebalanceTimeoutMillis, SessionTimeout: m.SessionTimeoutMillis}
		var s kmsg.ConsumerMemberMetadata
		var a kmsg.ConsumerMemberAssignment
		if err := errors.Join(s.ReadFrom(m.Subscription), a.ReadFrom(m.Assignment)); err != nil {
			t.Fatal(err)
		}
		one.Subscription.Topics, one.Subscription.UserData, one.Subscription.RackID = s.Topics, s.UserData, s.Rack
		one.Subscription.GenerationID, one.Subscription.OwnedPartitions = s.Generation, []partitions39{}
		for _, p := range s.OwnedPartitions {
			one.Subscription.OwnedPartitions = append(one.Subscription.OwnedPartitions, partitions39{p.Topic, p.Partitions})
		}
		one.Assignment.UserData = a.UserData
		for _, p := range a.Topics {
			one.Assignment.AssignedPartitions = append(one.Assignment.AssignedPartitions, partitions39{p.Topic, p.Partitions})
		}
		g.Members = append(g.Members, one)
	}
	return g
}

// formOf turns our lines, which are in the form of 2.8, into what another version prints of the same facts.
func formOf(t *testing.T, version, file string, lines []string) []string {
	t.Helper()
	switch version {
	case "3.9":
		return form39(t, file, lines)
	case "1.1":
		return form11(lines)
	}
	return lines
}

var (
	batch28  = regexp.MustCompile(`^(baseOffset: .* isControl: \w+)( position: .* compresscodec: )(\w+)( crc: .*)$`)
	record28 = regexp.MustCompile(`^\| offset: (-?\d+) isValid: (\w+) crc: (\w+) keySize: (-?\d+) valueSize: (-?\d+) (\w+): (-?\d+) baseOffset: .* magic: (\d) ` +
		`compressType: (\w+) position: (\d+)(?: sequence: (-?\d+) headerKeys: (\[.*?\]))?(.*)$`)
	baseOffset28 = regexp.MustCompile(`^baseOffset: \d+ `)
	producer28   = regexp.MustCompile(`producerId: (-?\d+) producerEpoch: (-?\d+) .* isTransactional: (\w+)`)
	snapshot28   = regexp.MustCompile(`^(producerId: .* currentTxnFirstOffset: )(\S+) (.*timestamp: (-?\d+))?$`)
)

func form39(t *testing.T, file string, lines []string) (out []string) {
	t.Helper()
	horizons := make(map[string]string)
	if strings.HasSuffix(file, ".log") {
		for _, b := range batchesOf(t, file) {
			if b.HasDeleteHorizon() {
				horizons[fmt.Sprintf("baseOffset: %d ", b.BaseOffset())] = fmt.Sprintf("OptionalLong[%d]", b.BaseTimestamp())
			}
		}
	}
	for _, line := range lines {
		if strings.HasPrefix(line, "Starting offset") {
			line = "Log starting" + strings.TrimPrefix(line, "Starting")
		} else if m := batch28.FindStringSubmatch(line); m != nil {
			horizon := "OptionalLong.empty"
			if at, ok := horizons[baseOffset28.FindString(line)]; ok {
				horizon = at
			}
			line = m[1] + " deleteHorizonMs: " + horizon + m[2] + strings.ToLower(m[3]) + m[4]
		} else if m := record28.FindStringSubmatch(line); m != nil {
			line = fmt.Sprintf("| offset: %s %s: %s keySize: %s valueSize: %s sequence: %s headerKeys: %s%s", m[1], m[6], m[7], m[4], m[5], m[11], m[12], m[13])
		} else if m := snapshot28.FindStringSubmatch(line); m != nil {
			open := strings.NewReplacer("None", "OptionalLong.empty", "Some(", "OptionalLong[", ")", "]").Replace(m[2])
			line = m[1] + open + " lastTimestamp: " + m[4] + " " + m[3]
		}
		out = append(out, line)
	}
	return out
}

// form11 has no lines of batches; what they tell is in those of the records.
func form11(lines []string) (out []string) {
	var batch []string
	for _, line := range lines {
		m := record28.FindStringSubmatch(line)
		switch {
		case producer28.MatchString(line) && m == nil:
			batch = producer28.FindStringSubmatch(line)
			continue
		case strings.HasPrefix(line, "offset: ") && strings.Contains(line, " compresscodec: "), strings.HasSuffix(line, " is empty."):
			continue
		case m == nil:
			out = append(out, line)
			continue
		}
		line = fmt.Sprintf("offset: %s position: %s %s: %s isvalid: %s keysize: %s valuesize: %s magic: %s compresscodec: %s", m[1], m[10], m[6], m[7], m[2], m[4], m[5], m[8], m[9])
		if m[8] == "2" {
			line += fmt.Sprintf(" producerId: %s producerEpoch: %s sequence: %s isTransactional: %s headerKeys: %s", batch[1], batch[2], m[11], batch[3], m[12])
		} else {
			line += " crc: " + m[3]
		}
		if m[5] != "-1" {
			line += m[13]
		}
		out = append(out, line)
	}
	return out
}

func TestFlagsOfDumpLog(t *testing.T) {
	unpackGoldenLogs(t)
	t.Chdir("2.8.2-stopped")
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	const segment = "rolled-0/00000000000000000012"
	write := func(name, content string) string {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	whole, err := os.ReadFile(segment + ".log")
	if err != nil {
		t.Fatal(err)
	}
	write("00000000000000000012.log", string(whole[:len(whole)-5]))
	write("00000000000000000012.snapshot", "\x00\x01\x48\x67\x4b\xc7\x00\x00\x00\x01")
	for _, c := range []struct {
		name   string
		args   string
		status int
		out    string // a regular expression for the whole of it
		stderr string
	}{
		{"without a decoder or a flag only batches are printed", "--files " + segment + ".log", 0,
			`Dumping \S+\nStarting offset: 12\n(baseOffset: .* isvalid: true\n)+`, ``},
		{"--deep-iteration alone shows no contents", "--files " + segment + ".log --deep-iteration", 0,
			`Dumping \S+\nStarting offset: 12\n(baseOffset: .* isvalid: true\n(\| offset: .* headerKeys: \[\]\n)+)+`, ``},
		{"--skip-record-metadata shows contents alone", "--files plain-0/00000000000000000000.log --print-data-log --skip-record-metadata", 0,
			`(?s)Dumping .*\nkey: key-b\n payload: no key\n.*`, ``},
		{"--max-bytes ends early and does not complain", "--files " + segment + ".log --max-bytes 200", 0,
			`Dumping \S+\nStarting offset: 12\nbaseOffset: 12 .*\n`, ``},
		{"a torn tail is counted", "--files 00000000000000000012.log", 0, `(?s)Dumping .*\nFound \d+ invalid bytes at the end of 00000000000000000012.log\n`, ``},
		{"--index-sanity-check prints no entries", "--index-sanity-check --files " + segment + ".index," + segment + ".timeindex", 0,
			`Dumping \S+\nrolled\S+.index passed sanity check.\nDumping \S+\nrolled\S+.timeindex passed sanity check.\n`, ``},
		{"--verify-index-only prints no entries", "--verify-index-only --files " + segment + ".index," + segment + ".timeindex", 0,
			`Dumping \S+\nDumping \S+\n`, ``},
		{"a file of another kind is ignored", "--files meta.properties", 0, `Dumping meta.properties\n`, `Ignoring unknown file meta.properties\n`},
		{"a name without an offset is a bad number", "--files none.log", 1, `Dumping none.log\n`,
			`Exception in thread "main" java.lang.NumberFormatException: For input string: "none"\n`},
		{"a missing file is named", "--files 7.log", 1, `Dumping 7.log\n`, `Exception in thread "main" java.nio.file.NoSuchFileException: 7.log\n`},
		{"a snapshot that counts more than it has is reported", "--files 00000000000000000012.snapshot", 0, `Dumping \S+\n`, `Snapshot .*\n`},
		{"--files is needed", "--deep-iteration", 1, ``, `(?s)Missing required argument "\[files\]"\n.*`},
		{"an unknown decoder is a missing class", "--value-decoder-class no.Such --files 7.log", 1, ``,
			`Exception in thread "main" java.lang.ClassNotFoundException: no.Such\n`},
		{"a bad number is reported", "--max-bytes many --files 7.log", 1, ``, `(?s).*Cannot parse argument 'many' of option max-bytes\n.*`},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, stderr, status := runDump(t, strings.Fields(c.args)...)
			stderr = strings.ReplaceAll(stderr, here+"/", "")
			if status != c.status || !regexp.MustCompile(`^(?:`+c.out+`)$`).MatchString(out) || !regexp.MustCompile(`^(?:`+c.stderr+`)$`).MatchString(stderr) {
				t.Errorf("exit %d\n%s--\n%s", status, out, stderr)
			}
		})
	}
}

// TestRubbishIsDumpedWithoutPanic cuts and changes every kind of file.
func TestRubbishIsDumpedWithoutPanic(t *testing.T) {
	unpackGoldenLogs(t)
	t.Chdir("2.8.2-stopped/txn-0")
	files, err := filepath.Glob("0000*")
	if err != nil || len(files) < 8 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		whole, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(whole); i += max(1, len(whole)/40) {
			changed := slices.Clone(whole)
			changed[i] ^= 0x80
			for _, content := range [][]byte{changed, whole[:i]} {
				if err := os.WriteFile(file, content, 0o644); err != nil {
					t.Fatal(err)
				}
				runDump(t, "--print-data-log", "--files", strings.Join(files, ","))
				runDump(t, "--offsets-decoder", "--files", file)
				runDump(t, "--transaction-log-decoder", "--files", file)
			}
		}
		if err := os.WriteFile(file, whole, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
