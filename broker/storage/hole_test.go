package storage

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/record"
)

// followerBatch is a batch of 3 records at an offset, of 101 to 200 bytes: four of them fill a segment of crashConfig.
func followerBatch(offset int64) record.Batch {
	b := record.Batch(batchOf(3, 1700000000000))
	b.SetBaseOffset(offset)
	b.SetLeaderEpoch(1)
	return b
}

// TestGapsThatAreAsTheyShouldBeSurviveAKill follows leaders whose logs have gaps, and dies at each log's worst moment: nothing
// flushed, no checkpoint written.
func TestGapsThatAreAsTheyShouldBeSurviveAKill(t *testing.T) {
	follow := func(offsets ...int64) func(*testing.T, *Log) {
		return func(t *testing.T, l *Log) {
			for _, offset := range offsets {
				if _, err := l.AppendAsFollower(followerBatch(offset)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	dense := func(from, to int64) (offsets []int64) {
		for ; from < to; from += 3 {
			offsets = append(offsets, from)
		}
		return offsets
	}
	for _, c := range []struct {
		name     string
		life     func(*testing.T, *Log)
		rebooted bool // the log itself says that its gaps are as they should be
	}{
		{"gaps inside segments and between them", follow(0, 7, 20, 40, 60, 80, 100, 120, 140, 160, 180), true},
		{"one gap, between segments", follow(append(dense(0, 12), dense(50, 80)...)...), false},
		{"a jump out of reach of the index", follow(append(dense(0, 6), dense(1<<33, 1<<33+30)...)...), true},
		{"a start behind deleted records", func(t *testing.T, l *Log) {
			if err := l.TruncateFullyAndStartAt(1000); err != nil {
				t.Fatal(err)
			}
			follow(dense(1000, 1060)...)(t, l)
			l.SetHighWatermark(1060)
			if err := l.DeleteRecordsTo(1031); err != nil {
				t.Fatal(err)
			}
			if _, err := l.DeleteOldSegments(0); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"a truncation into a batch, and a roll right behind", func(t *testing.T, l *Log) {
			follow(dense(0, 15)...)(t, l)
			if err := l.TruncateTo(10); err != nil { // the last batch that stays ends at 9
				t.Fatal(err)
			}
			l.mu.Lock()
			err := l.rollLocked(10, l.Config())
			l.mu.Unlock()
			if err != nil {
				t.Fatal(err)
			}
			follow(dense(10, 40)...)(t, l)
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			l := createLog(t, openManager(t, plain(crashConfig), dir))
			c.life(t, l)
			want, end := visible(t, l), l.View().LogEndOffset
			check := func(t *testing.T, dir string) {
				l := openManager(t, plain(crashConfig), dir).Log(tp0)
				if got := visible(t, l); len(got) != len(want) || l.View().LogEndOffset != end {
					t.Errorf("%d bytes of %d are left, log end %d of %d", len(got), len(want), l.View().LogEndOffset, end)
				}
			}
			killed := killedCopy(t, dir)
			check(t, killed)
			if !c.rebooted {
				return
			}
			t.Run("and a restart of the machine", func(t *testing.T) {
				dir := killedCopy(t, dir)
				if err := os.Remove(filepath.Join(dir, bootFile)); err != nil {
					t.Fatal(err)
				}
				check(t, dir)
			})
		})
	}
}

// A log without gaps has lost its tail to a power failure where one appears: it ends there, and its leader sends
// the rest once more.
func TestALostTailEndsTheLog(t *testing.T) {
	dir := t.TempDir()
	l := createLog(t, openManager(t, plain(crashConfig), dir))
	for offset := int64(0); offset < 60; offset += 3 {
		if _, err := l.AppendAsFollower(followerBatch(offset)); err != nil {
			t.Fatal(err)
		}
	}
	dir = killedCopy(t, dir)
	if err := os.Remove(filepath.Join(dir, bootFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, tp0.String(), "00000000000000000012.log"), int64(len(followerBatch(0)))); err != nil {
		t.Fatal(err)
	}
	l = openManager(t, plain(crashConfig, func(c *config.Topic) { c.RetentionMS = -1 }), dir).Log(tp0)
	if v := l.View(); v.LogEndOffset != 15 {
		t.Errorf("%+v", v)
	}
}
