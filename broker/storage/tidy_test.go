package storage

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/zurau/zurau/broker/config"
)

// TestLeftoversOfACrashAreFinishedOrUndone puts the files of each moment of a deletion or a compaction into a partition's directory.
// Contents: a segment at 0 with offsets 0..11, one at 12 with 12..23, and so on.
func TestLeftoversOfACrashAreFinishedOrUndone(t *testing.T) {
	source := t.TempDir()
	m := openManager(t, plain(crashConfig), source)
	l := createLog(t, m)
	for range 14 {
		leaderAppend(t, l, batchOf(3, 1700000000000))
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	const seg0, seg12, seg24, seg36 = "00000000000000000000", "00000000000000000012", "00000000000000000024", "00000000000000000036"
	for _, c := range []struct {
		name   string
		rename map[string]string // "copy:" in front copies
		bases  []int64
		end    int64
	}{
		{"nothing happened", nil, []int64{0, 12, 24, 36}, 42},
		{"a deletion has begun", map[string]string{seg0 + ".log": seg0 + ".log.deleted"}, []int64{12, 24, 36}, 42},
		{"a compaction was writing", map[string]string{"copy:" + seg0 + ".log": seg0 + ".log.cleaned"}, []int64{0, 12, 24, 36}, 42},
		{"a compaction had not renamed all it wrote", map[string]string{
			"copy:" + seg0 + ".log": seg0 + ".log.cleaned", "copy:" + seg12 + ".log": seg12 + ".log.swap",
		}, []int64{0, 12, 24, 36}, 42},
		{"a compaction was ready, its files take over", map[string]string{
			seg0 + ".log": seg0 + ".log.swap", seg0 + ".index": seg0 + ".index.swap", "copy:" + seg12 + ".log": seg12 + ".log.swap",
		}, []int64{0, 12, 24, 36}, 42},
		{"a compaction had installed its log but not the index", map[string]string{seg12 + ".index": seg12 + ".index.swap"},
			[]int64{0, 12, 24, 36}, 42},
		{"an index lost its log", map[string]string{seg36 + ".log": seg36 + ".log.deleted"}, []int64{0, 12, 24}, 36},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			copyDir(t, source, dir)
			os.Remove(filepath.Join(dir, cleanShutdownFile))
			part := filepath.Join(dir, tp0.String())
			for from, to := range c.rename {
				name, keep := strings.CutPrefix(from, "copy:")
				b, err := os.ReadFile(filepath.Join(part, name))
				if err == nil {
					err = os.WriteFile(filepath.Join(part, to), b, 0o644)
				}
				if err == nil && !keep {
					err = os.Remove(filepath.Join(part, name))
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			compacted := plain(crashConfig, func(c *config.Topic) { c.CleanupCompact = true })
			l := openManager(t, compacted, dir).Log(tp0)
			if got := l.basesLocked(); !slices.Equal(got, c.bases) || l.View().LogEndOffset != c.end {
				t.Errorf("segments %v, log end %d", got, l.View().LogEndOffset)
			}
			entries, err := os.ReadDir(part)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if ext := filepath.Ext(e.Name()); ext == deletedSuffix || ext == cleanedSuffix || ext == swapSuffix {
					t.Errorf("%s is still there", e.Name())
				}
			}
			checkChain(t, c.name, l, visible(t, l))
		})
	}
}
