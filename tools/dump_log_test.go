package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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

func TestDirectoriesOfRealBrokersAreDumpedAsByTheirOwnTool(t *testing.T) {
	dumps := unpackGoldenLogs(t)
	if len(dumps) != 11 {
		t.Fatalf("%d dumps", len(dumps))
	}
	for folder, text := range dumps {
		t.Run(folder, func(t *testing.T) {
			t.Chdir(folder)
			want, version := takeApart(text), folder[:3]
			var complaints []string
			for _, file := range want.files {
				if version == "1.1" && strings.HasPrefix(file, "__consumer_offsets") && strings.HasSuffix(file, ".log") {
					continue // Java's tool broke down there
				}
				lines, said := dumpFile(t, file)
				if version == "1.1" && strings.HasSuffix(file, ".index") {
					said = nil // it indexed first offsets and compares those; 2.8's tool complains of them as ours
				}
				complaints = append(complaints, said...)
				if diff := cmp.Diff(tellable(version, file, want.lines[file]), tellable(version, file, formOf(version, lines))); diff != "" {
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

var horizon = regexp.MustCompile(`deleteHorizonMs: \S+`)

// tellable leaves out what the form of 2.8 does not tell: delete horizons, and internal records as 3.9 decodes them.
func tellable(version, file string, lines []string) (out []string) {
	for _, line := range lines {
		line = horizon.ReplaceAllString(line, "deleteHorizonMs: -")
		if version == "3.9" && strings.HasPrefix(file, "__consumer_offsets") {
			line, _, _ = strings.Cut(line, " key: ")
		}
		out = append(out, line)
	}
	return out
}

// formOf turns our lines, which are in the form of 2.8, into what another version prints of the same facts.
func formOf(version string, lines []string) []string {
	switch version {
	case "3.9":
		return form39(lines)
	case "1.1":
		return form11(lines)
	}
	return lines
}

var (
	batch28  = regexp.MustCompile(`^(baseOffset: .* isControl: \w+)( position: .* compresscodec: )(\w+)( crc: .*)$`)
	record28 = regexp.MustCompile(`^\| offset: (-?\d+) isValid: (\w+) crc: (\w+) keySize: (-?\d+) valueSize: (-?\d+) (\w+): (-?\d+) baseOffset: .* magic: (\d) ` +
		`compressType: (\w+) position: (\d+)(?: sequence: (-?\d+) headerKeys: (\[.*?\]))?(.*)$`)
	producer28 = regexp.MustCompile(`producerId: (-?\d+) producerEpoch: (-?\d+) .* isTransactional: (\w+)`)
	snapshot28 = regexp.MustCompile(`^(producerId: .* currentTxnFirstOffset: )(\S+) (.*timestamp: (-?\d+))?$`)
)

func form39(lines []string) (out []string) {
	for _, line := range lines {
		if strings.HasPrefix(line, "Starting offset") {
			line = "Log starting" + strings.TrimPrefix(line, "Starting")
		} else if m := batch28.FindStringSubmatch(line); m != nil {
			line = m[1] + " deleteHorizonMs: OptionalLong.empty" + m[2] + strings.ToLower(m[3]) + m[4]
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
