package storage

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/topic"
)

func TestWhatIsAppendedIsReadBackAcrossSegments(t *testing.T) {
	l := createLog(t, openManager(t, plain(crashConfig), t.TempDir()))
	var want []byte
	for i := range 50 {
		b := batchOf(1+i%4, 1700000000000)
		info := leaderAppend(t, l, b)
		if int(info.LastOffset-info.FirstOffset) != i%4 {
			t.Fatalf("append %d went to %d..%d", i, info.FirstOffset, info.LastOffset)
		}
		want = append(want, b...)
	}
	if n := len(l.mu.segments); n < 5 {
		t.Errorf("only %d segments", n)
	}
	if got := readAll(t, l, 0); !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, appended %d", len(got), len(want))
	}
	if l.SizeBytes() != int64(len(want)) {
		t.Errorf("SizeBytes %d, appended %d", l.SizeBytes(), len(want))
	}
}

func TestReadKeepsItsLimits(t *testing.T) {
	l := createLog(t, openManager(t, plain(), t.TempDir()))
	size := 0
	for range 10 {
		size = leaderAppend(t, l, batchOf(2, 1700000000000)).SizeBytes
	}
	for _, c := range []struct {
		name     string
		offset   int64
		max      int
		upTo     int64
		one      bool
		want     int
		wantCode int16
	}{
		{"everything", 0, 1 << 20, 20, false, 10 * size, 0},
		{"from the middle of a batch the whole batch comes", 5, 1 << 20, 20, false, 8 * size, 0},
		{"up to a high watermark between batches", 0, 1 << 20, 6, false, 3 * size, 0},
		{"a high watermark inside a batch hides the batch", 0, 1 << 20, 7, false, 3 * size, 0},
		{"cut in the middle of a batch", 0, size + 10, 20, false, size + 10, 0},
		{"one batch whole although it is too large", 0, 10, 20, true, size, 0},
		{"no batch when it is too large and need not come", 0, 0, 20, false, 0, 0},
		{"at the limit", 6, 1 << 20, 6, true, 0, 0},
		{"beyond the limit", 8, 1 << 20, 6, true, 0, 0},
		{"at the log end", 20, 1 << 20, 20, true, 0, 0},
		{"a limit beyond the log end counts as the log end", 18, 1 << 20, 99, true, size, 0},
		{"beyond the log end", 21, 1 << 20, 20, true, 0, kerr.OffsetOutOfRange.Code},
		{"before the log start", -1, 1 << 20, 20, true, 0, kerr.OffsetOutOfRange.Code},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := l.Read(c.offset, c.max, c.upTo, c.one)
			if kerr.CodeOf(err) != c.wantCode || r.Region.N != c.want {
				t.Fatalf("%d bytes, %v", r.Region.N, err)
			}
			if r.Region.N > 0 {
				if r.FirstBatchSize != size {
					t.Errorf("first batch of %d bytes, want %d", r.FirstBatchSize, size)
				}
				r.Region.Release.Release()
			}
		})
	}
}

func TestTheHighWatermarkStaysWithinTheLogAndNeverGoesBack(t *testing.T) {
	l := createLog(t, openManager(t, plain(), t.TempDir()))
	leaderAppend(t, l, batchOf(10, 1700000000000))
	for _, c := range []struct {
		set   int64
		moved bool
		want  int64
	}{{0, false, 0}, {4, true, 4}, {3, false, 4}, {4, false, 4}, {99, true, 10}, {-5, false, 10}} {
		if moved := l.SetHighWatermark(c.set); moved != c.moved || l.View().HighWatermark != c.want {
			t.Errorf("after SetHighWatermark(%d): moved %v, at %d, want %v, %d", c.set, moved, l.View().HighWatermark, c.moved, c.want)
		}
	}
	if err := l.TruncateTo(6); err != nil {
		t.Fatal(err)
	}
	if v := l.View(); v.HighWatermark != 6 || v.LogEndOffset != 6 {
		t.Errorf("truncated to 6: %+v", v)
	}
}

func TestASegmentIsRolled(t *testing.T) {
	const hour = 3600000
	for _, c := range []struct {
		name   string
		config func(*config.Topic)
		stamps []int64 // of batches of one record, in hours
		want   int     // segments
	}{
		{"not without a reason", func(*config.Topic) {}, []int64{0, 1, 2, 3}, 1},
		{"when the next batch does not fit", func(c *config.Topic) { c.SegmentBytes = 200 }, []int64{0, 0, 0, 0}, 2},
		{"when the records span segment.ms", func(c *config.Topic) { c.SegmentMS = 2 * hour }, []int64{0, 1, 2, 3, 4}, 2},
		{"not when records are older than the first", func(c *config.Topic) { c.SegmentMS = 2 * hour }, []int64{9, 1, 0, 3}, 1},
		{"when max.compaction.lag.ms is over, if compacted", func(c *config.Topic) {
			c.CleanupCompact, c.MaxCompactionLagMS = true, hour
		}, []int64{0, 1, 2}, 2},
		{"when the offset index is full", func(c *config.Topic) { c.SegmentIndexBytes, c.IndexIntervalBytes = 36, 0 },
			[]int64{0, 0, 0, 0, 0, 0}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := createLog(t, openManager(t, plain(c.config), t.TempDir()))
			for _, hours := range c.stamps {
				leaderAppend(t, l, batchOf(1, 1700000000000+hours*hour))
			}
			if n := len(l.mu.segments); n != c.want {
				t.Errorf("%d segments, want %d", n, c.want)
			}
		})
	}
}

func TestAFollowerRollsBeforeAnOffsetThatDoesNotFitTheSegment(t *testing.T) {
	l := createLog(t, openManager(t, plain(), t.TempDir()))
	for _, base := range []int64{0, math.MaxInt32, math.MaxInt32 + 1, 1 << 40} {
		b := record.Batch(batchOf(1, 1700000000000))
		b.SetBaseOffset(base)
		if _, err := l.AppendAsFollower(b); err != nil {
			t.Fatal(err)
		}
	}
	if got := l.basesLocked(); !slices.Equal(got, []int64{0, math.MaxInt32 + 1, 1 << 40}) {
		t.Errorf("segments at %v", got)
	}
}

func TestAFollowerRefusesWhatItsLeaderCannotHaveSent(t *testing.T) {
	good := func(base int64) record.Batch {
		b := record.Batch(batchOf(2, 1700000000000))
		b.SetBaseOffset(base)
		return b
	}
	broken := good(4)
	broken[len(broken)-1] ^= 1
	for _, c := range []struct {
		name    string
		records []byte
		code    int16
		end     int64
	}{
		{"two batches in order", slices.Concat(good(4), good(6)), 0, 8},
		{"a gap, as compaction leaves it", slices.Concat(good(4), good(16)), 0, 18},
		{"an incomplete tail is left out", slices.Concat(good(4), good(6)[:50]), 0, 6},
		{"nothing", nil, 0, 4},
		{"a bad checksum", broken, kerr.CorruptMessage.Code, 4},
		{"a batch that begins with the last offset of the one before", slices.Concat(good(4), good(5)),
			kerr.CorruptMessage.Code, 4},
		{"offsets that go back", slices.Concat(good(6), good(4)), kerr.CorruptMessage.Code, 4},
		{"an offset that is there already", good(3), kerr.OffsetOutOfRange.Code, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := createLog(t, openManager(t, plain(), t.TempDir()))
			if _, err := l.AppendAsFollower(slices.Concat(good(0), good(2))); err != nil {
				t.Fatal(err)
			}
			_, err := l.AppendAsFollower(c.records)
			if kerr.CodeOf(err) != c.code || l.View().LogEndOffset != c.end {
				t.Errorf("%v, log end %d", err, l.View().LogEndOffset)
			}
		})
	}
}

func TestOfBatchesWithTheSameTimestampTheFirstCounts(t *testing.T) {
	later := record.Batch(batchOf(2, 1700000000000))
	later.SetBaseOffset(6)
	both := slices.Concat(batchOf(2, 1700000000000), later)
	_, a, err := inspect(both)
	if err != nil || a.maxTimestamp != 1700000000001 || a.maxTimestampOffset != 1 {
		t.Errorf("%+v, %v", a, err)
	}
	l := createLog(t, openManager(t, plain(), t.TempDir()))
	if _, err := l.AppendAsFollower(both); err != nil {
		t.Fatal(err)
	}
	if _, err := l.mu.segments[0].recover(l.Config(), nil, nil); err != nil {
		t.Fatal(err)
	}
	if timestamp, offset, err := l.mu.segments[0].maxTimestamp(); err != nil || timestamp != 1700000000001 || offset != 1 {
		t.Errorf("after recovery: %d at %d, %v", timestamp, offset, err)
	}
}

func TestAnEmptyFollowerTakesABatchThatBeginsBeforeItsLogStart(t *testing.T) {
	l := createLog(t, openManager(t, plain(), t.TempDir()))
	if err := l.TruncateFullyAndStartAt(15); err != nil {
		t.Fatal(err)
	}
	b := record.Batch(batchOf(10, 1700000000000))
	b.SetBaseOffset(10)
	if _, err := l.AppendAsFollower(b); err != nil {
		t.Fatal(err)
	}
	if v := l.View(); v.LogEndOffset != 20 || v.LogStartOffset != 10 || l.mu.segments[0].base != 10 {
		t.Errorf("%+v, first segment %d", v, l.mu.segments[0].base)
	}

	l = createLog(t, openManager(t, plain(), t.TempDir()))
	if err := l.TruncateFullyAndStartAt(20); err != nil {
		t.Fatal(err)
	}
	if _, err := l.AppendAsFollower(b); !errors.Is(err, kerr.OffsetOutOfRange) || l.View().LogEndOffset != 20 {
		t.Errorf("a batch that ends before the log start: %v, %+v", err, l.View())
	}
}

func TestALeaderOfAnOldEpochAppendsNothing(t *testing.T) {
	l := createLog(t, openManager(t, plain(), t.TempDir()))
	if err := l.SetLeaderEpochStart(5, 0); err != nil {
		t.Fatal(err)
	}
	_, err := l.AppendAsLeader(batchOf(1, 1700000000000), AppendOptions{LeaderEpoch: 4, ProduceVersion: 9})
	if !errors.Is(err, kerr.NotLeaderOrFollower) || l.View().LogEndOffset != 0 {
		t.Errorf("%v, log end %d", err, l.View().LogEndOffset)
	}
	if _, err := l.AppendAsLeader(batchOf(1, 1700000000000), AppendOptions{LeaderEpoch: 5, ProduceVersion: 9}); err != nil {
		t.Error(err)
	}
}

func TestTruncation(t *testing.T) {
	for _, c := range []struct {
		name     string
		to       int64
		wantEnd  int64 // of the batches that stay
		wantLast int64 // base of the last segment
	}{
		{"behind the end changes nothing", 99, 60, 48},
		{"at the end changes nothing", 60, 60, 48},
		{"between batches of the active segment", 54, 54, 48},
		{"inside a batch takes the batch", 55, 54, 48},
		{"at the base of the active segment", 48, 48, 48},
		{"at a base in the middle", 24, 24, 24},
		{"inside an old segment", 20, 18, 12},
		{"everything", 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			m := openManager(t, plain(crashConfig), dir)
			l := createLog(t, m)
			var all []byte
			for range 20 {
				b := batchOf(3, 1700000000000)
				leaderAppend(t, l, b)
				all = append(all, b...)
			}
			if got := l.basesLocked(); !slices.Equal(got, []int64{0, 12, 24, 36, 48}) {
				t.Fatalf("segments at %v", got)
			}
			if err := l.TruncateTo(c.to); err != nil {
				t.Fatal(err)
			}
			end := min(c.to, 60)
			if v := l.View(); v.LogEndOffset != end || l.activeLocked().base != c.wantLast {
				t.Errorf("%+v, active segment at %d", v, l.activeLocked().base)
			}
			if got := readAll(t, l, 0); int64(len(got)) != c.wantEnd/3*int64(len(all)/20) || !bytes.HasPrefix(all, got) {
				t.Errorf("%d of %d bytes are left", len(got), len(all))
			}
			if info := leaderAppend(t, l, batchOf(1, 1700000000000)); info.FirstOffset != end {
				t.Errorf("the next record got offset %d, want %d", info.FirstOffset, end)
			}
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			again := openManager(t, plain(crashConfig), dir).Log(tp0)
			if v := again.View(); v.LogEndOffset != end+1 {
				t.Errorf("after a restart: %+v", v)
			}
		})
	}
}

func TestTruncationCutsEpochsAndProducers(t *testing.T) {
	l := createLog(t, openManager(t, plain(), t.TempDir()))
	for i := range 10 {
		p := &record.Producer{ID: int64(i % 2), BaseSequence: int32(i / 2)}
		if _, err := l.AppendAsLeader(producerBatch(1, 1700000000000, p), AppendOptions{LeaderEpoch: int32(i / 3), ProduceVersion: 9}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.TruncateTo(5); err != nil {
		t.Fatal(err)
	}
	if want := []epochEntry{{0, 0}, {1, 3}}; !slices.Equal(l.mu.epochs.entries, want) {
		t.Errorf("epochs %v", l.mu.epochs.entries)
	}
	got := l.ActiveProducers()
	if len(got) != 2 || got[0].LastSequence != 2 || got[1].LastSequence != 1 {
		t.Errorf("producers %+v", got)
	}
	checkProducersAgainstLog(t, "after truncation", l)
}

func TestDeleteRecordsRaisesTheLogStart(t *testing.T) {
	dir := t.TempDir()
	m := openManager(t, plain(crashConfig), dir)
	l := createLog(t, m)
	for range 20 {
		leaderAppend(t, l, batchOf(3, 1700000000000))
	}
	l.SetHighWatermark(40)
	if err := l.DeleteRecordsTo(41); !errors.Is(err, kerr.OffsetOutOfRange) {
		t.Errorf("beyond the high watermark: %v", err)
	}
	if err := l.DeleteRecordsTo(26); err != nil {
		t.Fatal(err)
	}
	if err := l.DeleteRecordsTo(20); err != nil || l.View().LogStartOffset != 26 {
		t.Errorf("the log start went back to %d, %v", l.View().LogStartOffset, err)
	}
	if _, err := l.Read(25, 100, 60, true); !errors.Is(err, kerr.OffsetOutOfRange) {
		t.Errorf("read below the log start: %v", err)
	}
	n, err := l.DeleteOldSegments(0)
	if err != nil || n != 2 || l.mu.segments[0].base != 24 || l.View().LogStartOffset != 26 {
		t.Errorf("%d segments deleted, first is %d, %v", n, l.mu.segments[0].base, err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if v := openManager(t, plain(crashConfig), dir).Log(tp0).View(); v.LogStartOffset != 26 || v.HighWatermark != 40 || v.LogEndOffset != 60 {
		t.Errorf("after a restart: %+v", v)
	}
}

func TestAReadUnderWaySurvivesTheDeletionOfItsSegment(t *testing.T) {
	l := createLog(t, openManager(t, plain(crashConfig), t.TempDir()))
	first := batchOf(3, 1700000000000)
	leaderAppend(t, l, first)
	for range 9 {
		leaderAppend(t, l, batchOf(3, 1700000000000))
	}
	r, err := l.Read(0, len(first), 30, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.TruncateFullyAndStartAt(100); err != nil {
		t.Fatal(err)
	}
	l.home.sweep(time.Now().Add(time.Hour))
	if got := regionBytes(t, r); !bytes.Equal(got, first) {
		t.Error("other bytes than were planned to be read")
	}
	if entries, _ := os.ReadDir(l.dir); slices.ContainsFunc(entries, func(e os.DirEntry) bool { return filepath.Ext(e.Name()) == deletedSuffix }) {
		t.Errorf("deleted files are still there: %v", entries)
	}
}

func TestACompactedTopicKeepsEverythingUntilItsCleanerExists(t *testing.T) {
	c := plain(crashConfig, func(c *config.Topic) {
		c.CleanupDelete, c.CleanupCompact, c.RetentionBytes, c.RetentionMS = false, true, 1, 1
	})
	l := createLog(t, openManager(t, c, t.TempDir()))
	for range 20 {
		leaderAppend(t, l, batchOf(3, 1700000000000))
	}
	l.SetHighWatermark(60)
	if n, err := l.DeleteOldSegments(time.Now().UnixMilli()); n != 0 || err != nil {
		t.Errorf("%d segments deleted, %v", n, err)
	}
}

func TestRetentionOfEverythingRollsAnEmptySegment(t *testing.T) {
	c := plain(crashConfig, func(c *config.Topic) { c.RetentionMS = 1000 })
	l := createLog(t, openManager(t, c, t.TempDir()))
	for range 20 {
		leaderAppend(t, l, batchOf(3, 1700000000000))
	}
	l.SetHighWatermark(60)
	if n, err := l.DeleteOldSegments(1700000009000); n != 5 || err != nil {
		t.Errorf("%d segments deleted, %v", n, err)
	}
	if v := l.View(); v.LogStartOffset != 60 || v.LogEndOffset != 60 || l.SizeBytes() != 0 {
		t.Errorf("%+v, %d bytes", v, l.SizeBytes())
	}
	if info := leaderAppend(t, l, batchOf(1, 1700000000000)); info.FirstOffset != 60 {
		t.Errorf("the next offset is %d", info.FirstOffset)
	}
}

func TestSearchesByTime(t *testing.T) {
	l := createLog(t, openManager(t, plain(crashConfig), t.TempDir()))
	// Batches of two records; times rise, but for one that is ahead of its time: 1000, 1001, 1010, 1011, ...
	for i := range 40 {
		ts := int64(1000 + i*10)
		if i == 20 {
			ts = 5000
		}
		leaderAppend(t, l, batchOf(2, ts))
	}
	for _, c := range []struct {
		ts         int64
		upTo       int64
		wantOffset int64
		wantTime   int64
	}{
		{0, 80, 0, 1000}, {1000, 80, 0, 1000}, {1001, 80, 1, 1001}, {1002, 80, 2, 1010}, {1195, 80, 40, 5000},
		{1191, 80, 39, 1191}, {1300, 80, 40, 5000}, {5001, 80, 41, 5001}, {5002, 80, -1, -1}, {1191, 39, -1, -1}, {1191, 40, 39, 1191},
	} {
		got, err := l.OffsetForTimestamp(c.ts, c.upTo)
		if err != nil || got.Offset != c.wantOffset || got.Timestamp != c.wantTime {
			t.Errorf("OffsetForTimestamp(%d, %d) = %+v, %v, want offset %d, time %d", c.ts, c.upTo, got, err, c.wantOffset, c.wantTime)
		}
	}
	if got, err := l.OffsetOfMaxTimestamp(80); err != nil || got != (Stamp{41, 5001, 0}) {
		t.Errorf("OffsetOfMaxTimestamp = %+v, %v", got, err)
	}
	l.SetHighWatermark(80)
	if err := l.DeleteRecordsTo(11); err != nil {
		t.Fatal(err)
	}
	if got, err := l.OffsetForTimestamp(0, 80); err != nil || got != (Stamp{11, 1051, 0}) {
		t.Errorf("after DeleteRecords: %+v, %v", got, err)
	}
}

func TestOffsetsBeforeATimeForOldClients(t *testing.T) {
	l := createLog(t, openManager(t, plain(crashConfig), t.TempDir()))
	for range 20 {
		leaderAppend(t, l, batchOf(3, 1000))
	}
	for i, s := range l.mu.segments {
		at := time.UnixMilli(int64(i * 1000))
		if err := os.Chtimes(s.path(logSuffix), at, at); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		ts   int64
		max  int
		want []int64
	}{
		{LatestTime, 1, []int64{60}}, {1 << 60, 2, []int64{60, 48}}, {LatestTime, 10, []int64{60, 48, 36, 24, 12, 0}}, {EarliestTime, 1, []int64{0}},
		{2500, 10, []int64{24, 12, 0}}, {2500, 2, []int64{24, 12}}, {-5, 1, nil}, {1000, 0, nil},
	} {
		got, err := l.SegmentOffsetsBefore(c.ts, c.max)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("SegmentOffsetsBefore(%d, %d) = %v, %v, want %v", c.ts, c.max, got, err, c.want)
		}
	}
}

func TestTheTopicIDIsKeptAndNeverChanges(t *testing.T) {
	dir := t.TempDir()
	m := openManager(t, plain(), dir)
	l := createLog(t, m)
	id := l.TopicID()
	if err := l.AssignTopicID(id); err != nil {
		t.Error(err)
	}
	if err := l.AssignTopicID(topic.NewID()); !errors.Is(err, kerr.InconsistentTopicID) {
		t.Errorf("another id: %v", err)
	}
	if _, err := m.Create(tp0, topic.NewID()); !errors.Is(err, kerr.InconsistentTopicID) {
		t.Errorf("Create with another id: %v", err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if got := openManager(t, plain(), dir).Log(tp0).TopicID(); got != id {
		t.Errorf("after a restart %v, want %v", got, id)
	}
}

func TestTheTopicIDIsDurableBeforeTheFirstRecord(t *testing.T) {
	l := createLog(t, openManager(t, plain(), t.TempDir()))
	leaderAppend(t, l, batchOf(1, 1700000000000))
	if id, err := readPartitionMetadata(osFS{}, l.dir); err != nil || id != l.TopicID() || id.IsZero() {
		t.Errorf("the file has topic id %v, the log %v, %v", id, l.TopicID(), err)
	}
}

func TestPreallocatedSegmentsAreTrimmed(t *testing.T) {
	dir := t.TempDir()
	c := plain(func(c *config.Topic) { c.Preallocate, c.SegmentBytes = true, 10000 })
	m := openManager(t, c, dir)
	l := createLog(t, m)
	size := int64(0)
	for range 3 {
		size += int64(leaderAppend(t, l, batchOf(3, 1700000000000)).SizeBytes)
	}
	path := l.activeLocked().path(logSuffix)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != size {
		t.Errorf("the file has %d bytes, its batches %d; %v", info.Size(), size, err)
	}
	if v := openManager(t, c, dir).Log(tp0).View(); v.LogEndOffset != 9 {
		t.Errorf("after a restart: %+v", v)
	}
}

func TestFlushMessagesMakesAnAppendDurable(t *testing.T) {
	c := plain(func(c *config.Topic) { c.FlushMessages = 3 })
	l := createLog(t, openManager(t, c, t.TempDir()))
	for i, want := range []int64{0, 0, 3, 3, 3, 6} {
		leaderAppend(t, l, batchOf(1, 1700000000000))
		if got := l.RecoveryPoint(); got != want {
			t.Errorf("recovery point %d after %d records, want %d", got, i+1, want)
		}
	}
}
