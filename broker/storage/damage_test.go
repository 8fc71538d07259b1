package storage

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/topic"
)

// TestAuxiliaryFilesAreOnlyASaving damages each file beside the batches, after a clean stop and after a crash. The log must come up as it
// was: nothing but the batches themselves is the truth.
func TestAuxiliaryFilesAreOnlyASaving(t *testing.T) {
	dir := t.TempDir()
	m := openManager(t, plain(crashConfig), dir)
	l := createLog(t, m)
	for i := range int32(30) {
		p := &record.Producer{ID: int64(i % 3), BaseSequence: i / 3 * 2, Transactional: i%3 == 1}
		opt := AppendOptions{ProduceVersion: 9, LeaderEpoch: i / 7, TransactionVerified: true}
		if _, err := l.AppendAsLeader(producerBatch(2, 1700000000000+int64(i)*1000, p), opt); err != nil {
			t.Fatal(err)
		}
		if i == 20 {
			marker := record.EndTxnMarker{ProducerID: 1, Type: record.Abort, Timestamp: 1700000005000}.Append(nil)
			if _, err := l.AppendAsLeader(marker, AppendOptions{Origin: Coordinator, LeaderEpoch: i / 7}); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := lookAt(t, l)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	damages := map[string]func(path string, b []byte) error{
		"deleted":   func(path string, b []byte) error { return os.Remove(path) },
		"emptied":   func(path string, b []byte) error { return os.WriteFile(path, nil, 0o644) },
		"zeroed":    func(path string, b []byte) error { return os.WriteFile(path, make([]byte, len(b)), 0o644) },
		"enlarged":  func(path string, b []byte) error { return os.WriteFile(path, append(b, make([]byte, 24*34)...), 0o644) },
		"truncated": func(path string, b []byte) error { return os.WriteFile(path, b[:max(0, len(b)-3)], 0o644) },
	}
	kinds := []string{"*.index", "*.timeindex", "*.txnindex", "*.snapshot", leaderEpochCheckpoint, "../" + recoveryPointCheckpoint,
		"../" + logStartCheckpoint, "../" + highWatermarkCheckpoint, "../" + cleanerCheckpoint}
	for _, clean := range []bool{true, false} {
		for _, kind := range kinds {
			for how, damage := range damages {
				if kind == "*.txnindex" && clean && (how == "deleted" || how == "emptied") {
					continue // most segments have none: this cannot be seen without reading every batch, in Java too
				}
				what := kind + " " + how
				broken := t.TempDir()
				copyDir(t, dir, broken)
				if !clean {
					what += " and a crash"
					os.Remove(filepath.Join(broken, cleanShutdownFile))
					os.WriteFile(filepath.Join(broken, recoveryPointCheckpoint), nil, 0o644)
				}
				paths, _ := filepath.Glob(filepath.Join(broken, tp0.String(), kind))
				for _, path := range paths {
					b, err := os.ReadFile(path)
					if err == nil {
						err = damage(path, b)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				m, err := Open(managerOptions(t, plain(crashConfig), broken))
				if err != nil {
					t.Errorf("%s: %v", what, err)
					continue
				}
				got := lookAt(t, m.Log(tp0))
				if got.view != want.view || got.stamp != want.stamp || !slices.Equal(got.epochs, want.epochs) ||
					!slices.Equal(got.producers, want.producers) || !slices.Equal(got.aborted, want.aborted) {
					t.Errorf("%s:\n%+v, want\n%+v", what, got, want)
				}
				checkChain(t, what, m.Log(tp0), visible(t, m.Log(tp0)))
				leaderAppendEpoch(t, m.Log(tp0), 9)
				if err := m.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// looks is everything one can ask of a log.
type looks struct {
	view      View
	stamp     Stamp
	epochs    []epochEntry
	producers []ProducerInfo
	aborted   []AbortedTxn
}

func lookAt(t *testing.T, l *Log) looks {
	t.Helper()
	var o looks
	var err error
	if o.stamp, err = l.OffsetForTimestamp(1700000015000, 1<<40); err != nil {
		t.Error(err)
	}
	l.SetHighWatermark(l.View().LogEndOffset)
	o.view, o.epochs, o.producers = l.View(), slices.Clone(l.mu.epochs.entries), l.ActiveProducers()
	for _, s := range l.state.load().segments {
		if o.aborted, _, err = s.txns.collect(o.aborted, 0, 1<<40); err != nil {
			t.Error(err)
		}
	}
	return o
}

func leaderAppendEpoch(t *testing.T, l *Log, epoch int32) {
	t.Helper()
	if _, err := l.AppendAsLeader(batchOf(1, 1700000000000), AppendOptions{ProduceVersion: 9, LeaderEpoch: epoch}); err != nil {
		t.Error(err)
	}
}

// TestARottenBatchInAnOldSegment flips a bit in an old segment: recovery from the beginning ends the log there, and says so; a
// recovery point behind it leaves it alone, as Kafka does.
func TestARottenBatchInAnOldSegment(t *testing.T) {
	dir := t.TempDir()
	m := openManager(t, plain(crashConfig), dir)
	l, err := m.Create(tp0, topic.NewID())
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		leaderAppend(t, l, batchOf(3, 1700000000000))
	}
	path := l.mu.segments[1].path(logSuffix)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[200] ^= 1 // in the second batch of the segment with base 12
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	os.Remove(filepath.Join(dir, cleanShutdownFile))
	behind := t.TempDir()
	copyDir(t, dir, behind)
	if v := openManager(t, plain(crashConfig), behind).Log(tp0).View(); v.LogEndOffset != 60 {
		t.Errorf("recovery point behind it: %+v", v)
	}
	os.Remove(filepath.Join(dir, recoveryPointCheckpoint))
	l = openManager(t, plain(crashConfig), dir).Log(tp0)
	if v := l.View(); v.LogEndOffset != 15 || len(l.mu.segments) != 2 {
		t.Errorf("recovered from the beginning: %+v, %d segments", v, len(l.mu.segments))
	}
}
