//go:build interop

package interop

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zurau/zurau/broker/brokertest"
)

// probeSections are those parts of testdata/probe/probe.py whose requests we serve, in the order in which they ran
// against Apache Kafka. Left out are groups and txn.
var probeSections = []string{"framing", "prod", "fet", "lo", "metad", "admin", "more"}

// probeTimeout bounds the whole probe, which waits for answers that must not come.
const probeTimeout = 5 * time.Minute

// TestOddRequestsAreAnsweredAsKafkaDoes sends several hundred requests, most of them wrong in some way, to a fresh
// broker and compares each answer with that of Apache Kafka 3.9.1 in testdata/probe/3.9.1. What differs is listed with
// its reason in testdata/probe/differences.txt: name, class and reason, between TABs. The classes:
//
//	better  we do better on purpose
//	later   it needs a request that we do not serve yet
//	own     ids, the order of a hash map, bytes of a compressor: a run's or a library's own
//	timing  as own, but chance can make it equal; only these may be listed and not differ
func TestOddRequestsAreAnsweredAsKafkaDoes(t *testing.T) {
	dir := t.TempDir()
	golden, ours := filepath.Join(dir, "golden.txt"), filepath.Join(dir, "ours.txt")
	var all []byte
	for _, section := range probeSections {
		text, err := os.ReadFile(filepath.Join("testdata/probe/3.9.1", section+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	writeFile(t, golden, string(all))
	c := brokertest.Start(t, brokertest.Property("broker.id", "1"), brokertest.Property("group.initial.rebalance.delay.ms", "0"))
	_, port, _ := strings.Cut(c.Bootstrap()[0], ":")
	writeFile(t, ours, probe(t, append([]string{port}, probeSections...)...))

	accepted := acceptedDifferences(t)
	different := map[string][2]string{}
	// The report has three lines for each difference and a last one with their number.
	lines := strings.Split(strings.TrimSpace(probe(t, "--diff", golden, ours)), "\n")
	for i := 0; i+2 < len(lines); i += 3 {
		different[lines[i]] = [2]string{strings.TrimSpace(lines[i+1]), strings.TrimSpace(lines[i+2])}
	}
	t.Logf("%s; %d are accepted", lines[len(lines)-1], len(accepted))
	for name, answers := range different {
		if _, ok := accepted[name]; !ok {
			t.Errorf("%s\nKafka answers %s\nwe answer     %s", name, answers[0], answers[1])
		}
	}
	for name, class := range accepted {
		if _, ok := different[name]; !ok && class != "timing" {
			t.Errorf("%q is listed as different (%s), but is answered as Kafka does", name, class)
		}
	}
}

// probe runs the program; that it finds differences is no error.
func probe(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), probeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, python(t), append([]string{"testdata/probe/probe.py"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	dieWithUs(cmd)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !(args[0] == "--diff" && errors.As(err, &exit) && exit.ExitCode() == 1) {
		t.Fatalf("probe.py: %v\n%s", err, stderr.Bytes())
	}
	return string(out)
}

// acceptedDifferences are the names and classes in testdata/probe/differences.txt.
func acceptedDifferences(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/probe/differences.txt")
	if err != nil {
		t.Fatal(err)
	}
	accepted := map[string]string{}
	for i, line := range strings.Split(string(text), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 3 || !slices.Contains([]string{"better", "later", "own", "timing"}, f[1]) || f[2] == "" {
			t.Fatal("testdata/probe/differences.txt:" + strconv.Itoa(i+1) + " is not name, class, reason")
		}
		if _, twice := accepted[f[0]]; twice {
			t.Fatalf("%q is listed twice", f[0])
		}
		accepted[f[0]] = f[1]
	}
	return accepted
}
