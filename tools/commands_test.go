package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAToolIsFoundByItsNames(t *testing.T) {
	for name, want := range map[string]string{
		"kafka-topics": "kafka-topics", "kafka-topics.sh": "kafka-topics", "topics": "kafka-topics",
		"zookeeper-server-start.sh": "zookeeper-server-start", "run": "run", "zurau": "", "kafka-": "", "": "", ".sh": "",
	} {
		c, ok := findCommand(name)
		if c.Name != want || ok != (want != "") {
			t.Errorf("%q is %q (%v), want %q", name, c.Name, ok, want)
		}
	}
}

func TestNoTwoToolsShareAName(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range commands {
		short := strings.TrimPrefix(c.Name, "kafka-")
		if seen[short] {
			t.Errorf("%s appears twice", c.Name)
		}
		seen[short] = true
		if c.Summary == "" || c.Run == nil {
			t.Errorf("%s lacks a summary or a function", c.Name)
		}
	}
}

// capture runs the program as called by args[0] and gives what it printed.
func capture(args ...string) (status int, stdout, stderr string) {
	var out, err bytes.Buffer
	status = dispatch(context.Background(), args, stdio{strings.NewReader(""), &out, &err})
	return status, out.String(), err.String()
}

func TestTheProgramIsDispatchedByNameAndByFirstWord(t *testing.T) {
	for _, args := range [][]string{
		{"/opt/bin/kafka-server-start.sh", "--version"}, {"zurau", "kafka-server-start", "--version"},
		{"zurau", "server-start", "--version"}, {"zurau", "kafka-run-class", "kafka.Kafka", "--version"},
		{"kafka-run-class.sh", "-loggc", "-name", "x", "kafka.Kafka", "--version"},
	} {
		if status, out, err := capture(args...); status != 0 || out != kafkaVersion+"\n" || err != "" {
			t.Errorf("%v: status %d, %q, %q", args, status, out, err)
		}
	}
}

func TestTheProgramHelps(t *testing.T) {
	for _, args := range [][]string{{"zurau"}, {"zurau", "help"}, {"zurau", "--help"}, {"zurau", "-h"}} {
		status, out, _ := capture(args...)
		if status != 0 || !strings.Contains(out, "kafka-topics") || !strings.Contains(out, "start a broker") {
			t.Errorf("%v: status %d and\n%s", args, status, out)
		}
	}
	if status, out, _ := capture("zurau", "--version"); status != 0 || !strings.Contains(out, version) {
		t.Errorf("--version: status %d, %q", status, out)
	}
	if status, _, err := capture("zurau", "nothing"); status != 1 || !strings.Contains(err, "no tool is called nothing") {
		t.Errorf("an unknown tool: status %d, %q", status, err)
	}
}

func TestRunClassKnowsWhatItCannotRun(t *testing.T) {
	if status, out, _ := capture("kafka-run-class.sh"); status != 1 || !strings.HasPrefix(out, "USAGE: ") {
		t.Errorf("no class: status %d, %q", status, out)
	}
	want := "Error: Could not find or load main class com.acme.Main\n"
	if status, _, err := capture("kafka-run-class.sh", "com.acme.Main"); status != 1 || err != want {
		t.Errorf("a foreign class: status %d, %q", status, err)
	}
}

func TestLinksAreMadeForEveryScript(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // the second time over the first
		if status, _, err := capture("zurau", "link", dir); status != 0 {
			t.Fatalf("status %d, %s", status, err)
		}
	}
	for _, name := range []string{"kafka-topics", "kafka-topics.sh", "zookeeper-server-start.sh"} {
		if target, err := os.Readlink(filepath.Join(dir, name)); err != nil || target != "zurau" {
			t.Errorf("%s leads to %q (%v)", name, target, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "run")); err == nil {
		t.Error("our own commands have no script")
	}
	if status, _, _ := capture("zurau", "link", filepath.Join(dir, "missing")); status != 1 {
		t.Errorf("a missing folder: status %d", status)
	}
}

func TestStopFindsOurServersAndNobodyElses(t *testing.T) {
	for line, want := range map[string]string{
		"bin/kafka-server-start.sh conf/server.properties":               "kafka-server-start",
		"kafka-server-start conf/server-1.properties --override a=b":     "kafka-server-start",
		"/opt/zurau/bin/zurau kafka-server-start conf/server.properties": "kafka-server-start",
		"zurau server-start conf/server.properties":                      "kafka-server-start",
		"bin/kafka-run-class.sh -name kafkaServer kafka.Kafka conf/s":    "kafka-server-start",
		"zurau run": "run",
		"bin/zookeeper-server-start.sh conf/zookeeper.properties": "zookeeper-server-start",
		"bash bin/kafka-server-start.sh config/server.properties": "",
		"java -Xmx1G kafka.Kafka config/server.properties":        "",
		"vi kafka-server-start.sh":                                "",
		"zurau":                                                   "",
		"grep kafka-server-start":                                 "",
	} {
		if got := (process{1, strings.Fields(line)}).tool(); got != want {
			t.Errorf("%q runs %q, want %q", line, got, want)
		}
	}
}

func TestProcessesIncludeThisOne(t *testing.T) {
	all, err := processes()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.pid == os.Getpid() {
			return
		}
	}
	t.Errorf("%d processes, and this one is not among them", len(all))
}

func TestStopRefusesWhatItDoesNotUnderstand(t *testing.T) {
	if status, _, err := capture("kafka-server-stop.sh", "--process-role=broker"); status != 1 || err == "" {
		t.Errorf("an argument: status %d, %q", status, err)
	}
	t.Setenv("SIGNAL", "NONSENSE")
	if status, _, err := capture("kafka-server-stop.sh"); status != 1 || !strings.Contains(err, "NONSENSE") {
		t.Errorf("a signal nobody knows: status %d, %q", status, err)
	}
}

func TestStopSignalsEveryServerItMay(t *testing.T) {
	three := []process{{pid: 1}, {pid: 2}, {pid: 3}}
	for name, c := range map[string]struct {
		answers map[int]error
		status  int
		stderr  string
	}{
		"all of them":                     {nil, 0, ""},
		"one that has ended is no matter": {map[int]error{2: unix.ESRCH}, 0, ""},
		"another person's is named":       {map[int]error{1: unix.EPERM}, 0, "kill 1: operation not permitted\n"},
		"only other persons'": {map[int]error{1: unix.EPERM, 2: unix.EPERM, 3: unix.EPERM}, 1,
			"kill 1: operation not permitted\nkill 2: operation not permitted\nkill 3: operation not permitted\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			var asked []int
			status := signalAll(three, func(pid int) error {
				asked = append(asked, pid)
				return c.answers[pid]
			}, stdio{Err: &stderr})
			if status != c.status || stderr.String() != c.stderr || !slices.Equal(asked, []int{1, 2, 3}) {
				t.Errorf("status %d, %q, %v were signalled", status, stderr.String(), asked)
			}
		})
	}
}

func TestProgressIsSilentOnAPipe(t *testing.T) {
	var err bytes.Buffer
	p := newProgress(&err, "records", 10)
	p.add(5)
	p.done()
	if err.Len() > 0 {
		t.Errorf("wrote %q", err.String())
	}
}
