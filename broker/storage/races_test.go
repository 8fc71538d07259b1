package storage

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/topic"
)

// What is appended between the judgement of retention and the deletion is young and stays.
func TestRetentionKeepsWhatIsAppendedWhileItDecides(t *testing.T) {
	l := createLog(t, openManager(t, plain(func(c *config.Topic) { c.RetentionMS = 1000 }), t.TempDir()))
	leaderAppend(t, l, batchOf(5, 1700000000000))
	l.SetHighWatermark(5)
	judged := l.state.load()
	leaderAppend(t, l, batchOf(1, 1700000001000))
	l.SetHighWatermark(6)
	n, err := l.deleteOldest(judged.segments, judged.LogEndOffset, "retention time breach", l.Config())
	if err != nil || n != 0 || l.View().LogStartOffset != 0 {
		t.Errorf("%d segments went, the log is %+v, %v", n, l.View(), err)
	}
	if n, err := l.DeleteOldSegments(1900000000000); err != nil || n != 1 || l.View().LogStartOffset != 6 {
		t.Errorf("with nothing in between: %d segments went, the log is %+v, %v", n, l.View(), err)
	}
}

// A Create during a Delete of the same partition waits for the directory's name to be free.
func TestALogMadeDuringItsDeletionIsANewOne(t *testing.T) {
	disk, m, l, _ := faulty(t, plain())
	leaderAppend(t, l, batchOf(5, 1700000000000))
	renaming, carryOn := make(chan struct{}), make(chan struct{})
	disk.mu.Lock()
	disk.fail = func(op string) error {
		if strings.HasPrefix(op, "rename") && strings.Contains(op, "-delete") {
			disk.mu.Unlock()
			close(renaming)
			<-carryOn
			disk.mu.Lock()
		}
		return nil
	}
	disk.mu.Unlock()
	deleted, made := make(chan error, 1), make(chan *Log, 1)
	go func() { deleted <- m.Delete(tp0) }()
	await(t, renaming)
	go func() {
		fresh, err := m.Create(tp0, topic.NewID())
		if err != nil {
			t.Error(err)
		}
		made <- fresh
	}()
	select {
	case fresh := <-made:
		t.Errorf("made while the old directory is there, with %+v", fresh.View())
		close(carryOn)
		return
	case <-time.After(50 * time.Millisecond): // nothing may happen, so there is nothing to wait for
	}
	close(carryOn)
	if err := await(t, deleted); err != nil {
		t.Fatal(err)
	}
	fresh := await(t, made)
	if v := fresh.View(); v.LogEndOffset != 0 {
		t.Errorf("the new log begins with the old records: %+v", v)
	}
	leaderAppend(t, fresh, batchOf(3, 1700000000000))
	if info, err := os.Stat(filepath.Join(fresh.dir, "00000000000000000000.log")); err != nil || info.Size() == 0 {
		t.Errorf("the records are not under the partition's name: %v", err)
	}
}

// A truncation to where everything was durable is not durable itself: a clean stop has to make it so.
func TestATruncationSurvivesACleanStopAndAPowerFailure(t *testing.T) {
	disk, m, l, _ := faulty(t, plain())
	for range 4 {
		leaderAppend(t, l, batchOf(5, 1700000000000))
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := l.TruncateTo(10); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Base(l.Dir())
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	after := openManager(t, plain(), filepath.Join(powerLoss(t, disk), dir)).Log(tp0)
	if v := after.View(); v.LogEndOffset != 10 {
		t.Errorf("what was truncated is back: %+v", v)
	}
}

// abortOne leaves a log with one aborted transaction of producer 4 at 0 to 3.
func abortOne(t *testing.T, l *Log) {
	t.Helper()
	if _, err := send(l, 4, 0, 0, 3, true); err != nil {
		t.Fatal(err)
	}
	leaderMarker(t, l, 4, 0, record.Abort)
}

// The transaction index comes to be long after its directory was synced; its name must be made durable too.
func TestATransactionIndexIsDurableWithTheRecoveryPoint(t *testing.T) {
	disk, m, l, _ := faulty(t, plain())
	leaderAppend(t, l, batchOf(1, 1700000000000))
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	abortOne(t, l)
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	m.CheckpointOffsets()
	dir := filepath.Base(l.Dir())
	if _, err := os.Stat(filepath.Join(powerLoss(t, disk), dir, tp0.String(), "00000000000000000000.txnindex")); err != nil {
		t.Error(err)
	}
}

// Entries that were cut off must not come back behind the recovery point.
func TestATransactionThatWasCutOffStaysGone(t *testing.T) {
	disk, m, l, _ := faulty(t, plain())
	leaderAppend(t, l, batchOf(1, 1700000000000))
	abortOne(t, l)
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := l.TruncateTo(1); err != nil {
		t.Fatal(err)
	}
	leaderAppend(t, l, batchOf(9, 1700000000000))
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	m.CheckpointOffsets()
	dir := filepath.Base(l.Dir())
	b, err := os.ReadFile(filepath.Join(powerLoss(t, disk), dir, tp0.String(), "00000000000000000000.txnindex"))
	if err == nil && len(b) > 0 {
		t.Errorf("%d bytes of a transaction index are back", len(b))
	}
}

// Without a descriptor to be had a flush fails and may be repeated; what it had taken on itself is still to do.
func TestAFlushThatFoundNoDescriptorLosesNoTransaction(t *testing.T) {
	disk, m, l, _ := faulty(t, plain())
	abortOne(t, l)
	disk.failOn("sync", ".txnindex", syscall.EMFILE)
	if err := l.Flush(); err == nil {
		t.Fatal("no error")
	}
	disk.failOn("never", "", nil)
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	m.CheckpointOffsets()
	dir := filepath.Base(l.Dir())
	b, err := os.ReadFile(filepath.Join(powerLoss(t, disk), dir, tp0.String(), "00000000000000000000.txnindex"))
	if err != nil || len(b) != txnEntrySize {
		t.Errorf("%d bytes of the transaction index are durable, %v", len(b), err)
	}
}

// Background work that finds no descriptor comes again; it is no reason to give up a disk.
func TestBackgroundWorkWithoutADescriptorPasses(t *testing.T) {
	c := plain(crashConfig, func(c *config.Topic) { c.RetentionMS = 1 })
	disk, m, l, _ := faulty(t, c)
	for range 12 {
		leaderAppend(t, l, batchOf(3, 1700000000000))
	}
	l.SetHighWatermark(l.View().LogEndOffset)
	disk.failOn("create", "checkpoint", syscall.EMFILE)
	m.CheckpointOffsets()
	m.CheckpointHighWatermarks()
	disk.failOn("create", ".log", syscall.EMFILE)
	if _, err := l.DeleteOldSegments(1800000000000); err == nil {
		t.Error("no error")
	}
	disk.failOn("never", "", nil)
	if offline := m.OfflineDirs(); len(offline) > 0 {
		t.Fatalf("%v went offline", offline)
	}
	if n, err := l.DeleteOldSegments(1800000000000); err != nil || n == 0 {
		t.Errorf("afterwards: %d, %v", n, err)
	}
}

// An empty segment takes a batch that is larger than a segment, unless its offsets do not fit it.
func TestALargeBatchFarBehindAnEmptySegmentRolls(t *testing.T) {
	_, m, l, _ := faulty(t, plain(crashConfig))
	far := record.Batch(batchOf(40, 1700000000000))
	far.SetBaseOffset(1 << 33)
	if _, err := l.AppendAsFollower(far); err != nil {
		t.Error(err)
	}
	if v := l.View(); v.LogEndOffset != 1<<33+40 || len(m.OfflineDirs()) > 0 {
		t.Errorf("%+v, offline %v", v, m.OfflineDirs())
	}
}

// powerLoss is what is left of the two directories, whose own names are durable.
func powerLoss(t *testing.T, disk *faultFS) string {
	t.Helper()
	if err := disk.SyncDir(disk.root); err != nil {
		t.Fatal(err)
	}
	return disk.afterPowerLoss(t)
}

// A lookup that meets the sealing of its index, at the end of a segment, finds what it looks for.
func TestALookupDuringTheSealingOfItsIndex(t *testing.T) {
	x := filledIndex(t, t.TempDir(), 100, false)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, ok, err := x.last(); err != nil || !ok {
					t.Errorf("no last entry, %v", err)
					return
				}
				if _, ok, err := x.offsetFrom(1); err != nil || !ok {
					t.Errorf("no entry, %v", err)
					return
				}
			}
		})
	}
	for range 3000 {
		if err := errors.Join(x.seal(), x.close(), x.load()); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	readers.Wait()
}

// A leader's compacted log may have a gap that no segment can bridge, inside one answer.
func TestAFollowerTakesBatchesOneSegmentCannotHoldOneAfterTheOther(t *testing.T) {
	_, m, l, _ := faulty(t, plain())
	near, far := followerBatch(0), followerBatch(1<<33)
	both := slices.Concat(near, far)
	info, err := l.AppendAsFollower(both)
	if err != nil || info.LastOffset != 2 || info.SizeBytes != len(near) {
		t.Fatalf("%+v, %v, offline %v", info, err, m.OfflineDirs())
	}
	if info, err = l.AppendAsFollower(both[info.SizeBytes:]); err != nil || info.LastOffset != 1<<33+2 {
		t.Fatalf("%+v, %v", info, err)
	}
}

// Every fetch of a follower asks these, and an append holds the lock while it writes.
func TestWhatEveryFetchAsksWaitsForNoAppend(t *testing.T) {
	l := createLog(t, openManager(t, plain(), t.TempDir()))
	if err := l.SetLeaderEpochStart(7, 0); err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		epoch, end := l.EndOffsetForEpoch(7)
		if epoch != 7 || end != 0 || l.LatestEpoch() != 7 || l.TopicID().IsZero() || l.View().LogEndOffset != 0 {
			t.Errorf("epoch %d ends at %d; the latest is %d, the topic's id %s", epoch, end, l.LatestEpoch(), l.TopicID())
		}
	}()
	select {
	case <-answered:
	case <-time.After(10 * time.Second):
		t.Error("a question waits for the lock of appends")
	}
}
