package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// What the replay reads from testdata.

// goldenCase is one capture.
type goldenCase struct {
	version, name  string
	argv           []string
	stdin          string
	exit           string
	stdout, stderr string
	signal         syscall.Signal
	signalAfter    time.Duration
	brokerWorded   bool
	laid           string // stands for the log directories of the brokers, see replayer.lay; "" for those themselves
}

func (c *goldenCase) id() string { return c.version + "/" + c.name[:3] }

// loadGoldenCases reads the captures of a version in the order in which they were taken.
func loadGoldenCases(t *testing.T, version string) []*goldenCase {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "cli", version, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures of %s (%v)", version, err)
	}
	worded := loadWords(t, "broker_worded.txt")
	var cases []*goldenCase
	for _, file := range files {
		c := readGoldenCase(t, version, file)
		if line, ok := worded[c.id()]; ok {
			newer := readGoldenCase(t, "3.9.1", filepath.Join("testdata", "cli", "3.9.1", strings.Fields(line)[0]+".txt"))
			c.exit, c.stdout, c.stderr, c.brokerWorded = newer.exit, newer.stdout, newer.stderr, true
		}
		cases = append(cases, c)
	}
	return cases
}

var signalNote = regexp.MustCompile(`SIG(INT|TERM) sent after (\d+) s`)

func readGoldenCase(t *testing.T, version, file string) *goldenCase {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c := &goldenCase{version: version, name: strings.TrimSuffix(filepath.Base(file), ".txt")}
	notes := ""
	for _, f := range archive.Files {
		text := string(f.Data)
		switch f.Name {
		case "argv":
			c.argv = strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		case "stdin":
			c.stdin = text
		case "exit":
			c.exit = strings.TrimSpace(text)
		case "stdout":
			c.stdout = text
		case "stderr":
			c.stderr = text
		case "notes":
			notes = text
		}
	}
	if strings.Contains(notes, "stdin has no newline at its end") {
		c.stdin = strings.TrimSuffix(c.stdin, "\n")
	}
	if strings.Contains(notes, "stdout has no newline at its end") {
		c.stdout = strings.TrimSuffix(c.stdout, "\n")
	}
	if m := signalNote.FindStringSubmatch(notes); m != nil {
		c.signal = map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM}[m[1]]
		c.signalAfter = 2 * time.Second
		if c.argv[0] == "kafka-replica-verification" { // reports for the first time then, at the soonest
			c.signalAfter = 4 * time.Second
		}
	}
	return c
}

// loadWords reads a file of testdata whose lines are a case and what is said of it; # begins a comment.
func loadWords(t *testing.T, name string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	words := make(map[string]string)
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		id, rest, ok := strings.Cut(line, " ")
		if !ok || words[id] != "" {
			t.Fatalf("%s: bad or second line %q", name, line)
		}
		words[id] = strings.TrimSpace(rest)
	}
	return words
}

// difference is an entry of testdata/differences.txt.
type difference struct {
	class  string // "different" or "waits"
	reason string
}

// waits reports whether a case is neither run nor counted.
func (d difference) waits() bool { return d.class == "waits" }

// mayWaitFor is what the issue lets a case wait for; a case that waits for anything else is different.
var mayWaitFor = regexp.MustCompile(`^for (groups|ZooKeeper's consumer groups)\b`)

func loadDifferences(t *testing.T) map[string]difference {
	t.Helper()
	entries := make(map[string]difference)
	for id, text := range loadWords(t, "differences.txt") {
		class, reason, _ := strings.Cut(text, " ")
		switch {
		case class != "different" && class != "waits" || reason == "":
			t.Fatalf("differences.txt: %s needs a class, different or waits, and a reason", id)
		case class == "waits" && !mayWaitFor.MatchString(reason):
			t.Fatalf("differences.txt: %s may not wait %q: it is different", id, reason)
		}
		entries[id] = difference{class, reason}
	}
	return entries
}

// step is a command that ran between two captures.
type step struct {
	argv  []string
	stdin string
}

// loadSteps reads testdata/steps.txt: "VERSION/NNN argv... < stdin", in which \n and \t stand for themselves.
func loadSteps(t *testing.T) map[string][]step {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "steps.txt"))
	if err != nil {
		t.Fatal(err)
	}
	steps := make(map[string][]step)
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		command, stdin, _ := strings.Cut(line, " < ")
		words := strings.Fields(command)
		steps[words[0]] = append(steps[words[0]], step{words[1:], strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(stdin)})
	}
	return steps
}
