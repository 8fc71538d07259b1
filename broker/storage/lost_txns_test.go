package storage

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/record"
)

// Aborted transactions stay invisible when the file that lists them went away between a clean stop and the start.
func TestALostTransactionIndexIsNoticed(t *testing.T) {
	dir := t.TempDir()
	m := openManager(t, plain(func(c *config.Topic) { c.SegmentBytes = 400 }), dir)
	l := createLog(t, m)
	for _, txn := range []struct {
		producer int64
		end      record.ControlType
	}{{4, record.Abort}, {5, record.Commit}, {6, record.Abort}} {
		if _, err := send(l, txn.producer, 0, 0, 3, true); err != nil {
			t.Fatal(err)
		}
		leaderAppend(t, l, batchOf(3, 1700000000000)) // between it and its marker the segment is rolled once
		leaderMarker(t, l, txn.producer, 0, txn.end)
	}
	l.SetHighWatermark(l.View().LogEndOffset)
	want := abortedIn(t, l)
	if len(want) != 2 || len(l.basesLocked()) < 2 {
		t.Fatalf("aborted %v in segments %v", want, l.basesLocked())
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		lose func(path string) error
	}{
		{"gone", os.Remove},
		{"emptied", func(path string) error { return os.Truncate(path, 0) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := killedCopy(t, dir)
			indexes, err := filepath.Glob(filepath.Join(dir, tp0.String(), "*"+txnIndexSuffix))
			if err != nil || len(indexes) == 0 {
				t.Fatal(indexes, err)
			}
			for _, path := range indexes {
				if err := c.lose(path); err != nil {
					t.Fatal(err)
				}
			}
			l := openManager(t, plain(), dir).Log(tp0)
			l.SetHighWatermark(l.View().LogEndOffset)
			if got := abortedIn(t, l); !slices.Equal(got, want) {
				t.Errorf("aborted %v, were %v", got, want)
			}
		})
	}
}

// abortedIn is what a read_committed consumer is told about a whole log.
func abortedIn(t *testing.T, l *Log) (txns []AbortedTxn) {
	t.Helper()
	for offset := int64(0); offset < l.View().LogEndOffset; {
		r, err := l.Read(offset, 1<<20, l.View().LogEndOffset, true)
		if err != nil {
			t.Fatal(err)
		}
		found, err := l.AbortedTxns(offset, r)
		if err != nil {
			t.Fatal(err)
		}
		for _, txn := range found {
			if !slices.Contains(txns, txn) {
				txns = append(txns, txn)
			}
		}
		offset = endOf(regionBytes(t, r))
	}
	return txns
}
