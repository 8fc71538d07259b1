//go:build interop

package storage

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/topic"
)

// kit is the folder of scripts that run real Kafka.
func kit() string {
	if dir := os.Getenv("ZURAU_KIT"); dir != "" {
		return dir
	}
	return "../../../shared/kit"
}

// TestJavaReadsWhatWeWrite writes logs with everything in them, stops cleanly, and has the dump tools of two
// versions of Kafka check batches, indexes, snapshots and transaction indexes.
func TestJavaReadsWhatWeWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	writeForJava(t, dir)
	for _, version := range []string{"3.9.1", "2.8.2"} {
		t.Run(version, func(t *testing.T) {
			var logs, others []string
			filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
				switch filepath.Ext(path) {
				case ".log":
					logs = append(logs, path)
				case ".index", ".timeindex", ".snapshot", ".txnindex":
					others = append(others, path)
				}
				return nil
			})
			dump(t, version, "--deep-iteration", "--print-data-log", "--files", strings.Join(logs, ","))
			dump(t, version, "--files", strings.Join(others, ","))
			dump(t, version, "--index-sanity-check", "--files", strings.Join(others, ","))
			dump(t, version, "--verify-index-only", "--files", strings.Join(others, ","))
		})
	}
}

var noise = regexp.MustCompile(`(?m)^SLF4J.*\n`)

func dump(t *testing.T, version string, args ...string) {
	t.Helper()
	out, err := exec.Command(filepath.Join(kit(), "tool"), append([]string{version, "kafka-dump-log"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args[0], err, out)
	}
	text := noise.ReplaceAllString(string(out), "")
	for _, complaint := range []string{"Exception", "isvalid: false", "mismatch", "Mismatch", "Found", "not-found", "Non-consecutive",
		"corrupt", "out of order", "Error", "failed"} {
		if i := strings.Index(text, complaint); i >= 0 {
			t.Errorf("%s: %s complains: ...%s", version, args[0], text[max(0, i-300):min(len(text), i+500)])
		}
	}
	t.Logf("%s %s: %d lines", version, args[0], strings.Count(text, "\n"))
}

func writeForJava(t *testing.T, dir string) {
	c := plain(func(c *config.Topic) { c.SegmentBytes, c.IndexIntervalBytes = 8000, 300 })
	m := openManager(t, c, dir)
	l := createLog(t, m)
	for i := range 200 {
		leaderAppend(t, l, batchOf(1+i%7, 1700000000000+int64(i*10)))
	}
	l.SetHighWatermark(l.View().LogEndOffset)
	if err := l.DeleteRecordsTo(50); err != nil {
		t.Fatal(err)
	}
	txn, err := m.Create(topic.Partition{Topic: "txn", ID: 3}, topic.NewID())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		id := int64(4000 + i%3)
		p := &record.Producer{ID: id, Epoch: 1, BaseSequence: int32(i / 3 * 5), Transactional: true}
		leaderAppend(t, txn, producerBatch(5, 1700000000000, p))
		if i >= 15 && i%3 == 1 {
			leaderMarker(t, txn, id, 1, record.ControlType(i%2))
		}
	}
	truncated, err := m.Create(topic.Partition{Topic: "truncated", ID: 0}, topic.NewID())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		leaderAppend(t, truncated, batchOf(3, 1700000000000+int64(i)))
	}
	if err := truncated.TruncateTo(123); err != nil {
		t.Fatal(err)
	}
	leaderAppend(t, truncated, batchOf(3, 1700000001000))
	if _, err := m.Create(topic.Partition{Topic: "empty", ID: 0}, topic.NewID()); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}
