package controller

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/zurau/zurau/broker/brokertest/zklog"
)

// difference is a line of testdata/zkops/differences.txt.
type difference struct {
	phase, class, what, reason string
	used                       bool
}

// differences are those of one release.
type differences []*difference

func loadDifferences(t *testing.T, release string) differences {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "zkops", "differences.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var all differences
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		head, reason, ok := strings.Cut(line, " - ")
		f := strings.SplitN(head, " ", 3)
		if !ok || len(f) != 3 || reason == "" || !slices.Contains([]string{"ours", "kafka", "waits"}, f[1]) {
			t.Fatalf("differences.txt: %q is no entry", line)
		}
		of, phase, _ := strings.Cut(f[0], "/")
		if of == release {
			all = append(all, &difference{phase: phase, class: f[1], what: f[2], reason: reason})
		}
	}
	return all
}

// without takes out the writes of a phase that an entry explains.
func (d differences) without(phase, class string, writes []zklog.Write) []zklog.Write {
	return slices.DeleteFunc(slices.Clone(writes), func(w zklog.Write) bool {
		return slices.ContainsFunc(d, func(e *difference) bool {
			match := !e.used && e.phase == phase && e.class == class && e.what == w.String()
			e.used = e.used || match
			return match
		})
	})
}

// waits tells whether a phase is not played.
func (d differences) waits(phase string) bool {
	return slices.ContainsFunc(d, func(e *difference) bool {
		match := e.phase == phase && e.class == "waits"
		e.used = e.used || match
		return match
	})
}

// unneeded fails the test for the entries that explained nothing.
func (d differences) unneeded(t *testing.T, release string) {
	t.Helper()
	for _, e := range d {
		if !e.used {
			t.Errorf("no longer needed: take %s/%s %s %s out of differences.txt", release, e.phase, e.class, e.what)
		}
	}
}
