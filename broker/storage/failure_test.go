package storage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
)

// faulty opens a manager of two directories on one fault file system and creates tp0 in one of them.
func faulty(t *testing.T, c *config.Topic) (*faultFS, *Manager, *Log, chan string) {
	t.Helper()
	disk := newFaultFS(t.TempDir())
	failed := make(chan string, 2)
	o := managerOptions(t, c, filepath.Join(disk.root, "a"), filepath.Join(disk.root, "b"))
	o.disk, o.OnDirFailure = disk, func(dir string, err error) { failed <- filepath.Base(dir) }
	for _, dir := range o.Dirs {
		if err := disk.MkdirAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	m, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return disk, m, createLog(t, m), failed
}

// failOn makes operations fail that begin with prefix and contain part.
func (f *faultFS) failOn(prefix, part string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = func(op string) error {
		if strings.HasPrefix(op, prefix) && strings.Contains(op, part) {
			return err
		}
		return nil
	}
}

func TestAFullDiskTakesTheDirectoryOfflineAndLeavesNothingTorn(t *testing.T) {
	disk, m, l, failed := faulty(t, plain())
	first := batchOf(5, 1700000000000)
	leaderAppend(t, l, first)
	disk.failOn("write", ".log", &shortWrite{50, syscall.ENOSPC})
	_, err := l.AppendAsLeader(batchOf(5, 1700000000000), AppendOptions{ProduceVersion: 9})
	if !errors.Is(err, kerr.KafkaStorageError) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%v", err)
	}
	if v := l.View(); v.LogEndOffset != 5 {
		t.Errorf("%+v", v)
	}
	content, err := os.ReadFile(l.activeLocked().path(logSuffix))
	if err != nil || !bytes.Equal(content, first) {
		t.Errorf("the file has %d bytes, %d were acknowledged; %v", len(content), len(first), err)
	}
	if got := await(t, failed); got != filepath.Base(l.Dir()) || !slices.Equal(m.OfflineDirs(), []string{l.Dir()}) {
		t.Errorf("reported %s, offline %v", got, m.OfflineDirs())
	}
	disk.failOn("never", "", nil)
	if _, err := l.AppendAsLeader(batchOf(1, 1700000000000), AppendOptions{ProduceVersion: 9}); !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("an append after the failure: %v", err)
	}
	if _, err := l.Read(0, 100, 5, true); !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("a read after the failure: %v", err)
	}
	other, err := m.Create(topic.Partition{Topic: "other", ID: 0}, topic.ID{})
	if err != nil || other.Dir() == l.Dir() {
		t.Fatalf("a new log: %v", err)
	}
	leaderAppend(t, other, batchOf(1, 1700000000000))
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	for _, dir := range []string{"a", "b"} {
		_, err := os.Stat(filepath.Join(disk.root, dir, cleanShutdownFile))
		if online := filepath.Join(disk.root, dir) != l.Dir(); online != (err == nil) {
			t.Errorf("clean marker in %s (online %v): %v", dir, online, err)
		}
	}
	again := openManager(t, plain(), filepath.Join(disk.root, "a"), filepath.Join(disk.root, "b"))
	leaderAppend(t, again.Log(tp0), batchOf(1, 1700000000000))
	if v := again.Log(tp0).View(); v.LogEndOffset != 6 {
		t.Errorf("with room again, after a restart: %+v", v)
	}
}

func TestEveryKindOfIOErrorTakesTheDirectoryOffline(t *testing.T) {
	rolling := plain(crashConfig)
	for _, c := range []struct {
		name         string
		prefix, part string
		do           func(l *Log) error
	}{
		{"write of the log", "write", ".log", func(l *Log) error { return appendOne(l, 0) }},
		{"sync of the log", "sync", ".log", (*Log).Flush},
		{"sync of an index", "sync", ".index", (*Log).Flush},
		{"write of an index", "write", ".index", (*Log).Flush},
		{"sync of the directory", "syncdir", "t-0", (*Log).Flush},
		{"creation of a segment", "create", ".log", func(l *Log) error { return appendUntilRolled(l) }},
		{"write of a snapshot", "create", ".snapshot", func(l *Log) error { return appendUntilRolled(l) }},
		{"write of the epochs", "write", "leader-epoch", func(l *Log) error { return appendOne(l, 9) }},
		{"rename of the epochs", "rename", "leader-epoch", func(l *Log) error { return appendOne(l, 9) }},
		{"sync of the epochs", "sync", "leader-epoch", func(l *Log) error { return appendOne(l, 9) }},
		{"truncation", "truncate", ".log", func(l *Log) error { return l.TruncateTo(4) }},
		{"rename of a deleted segment", "rename", ".deleted", func(l *Log) error { return l.TruncateTo(4) }},
		{"rename of a deleted log", "rename", "-delete", func(l *Log) error { return l.delete() }},
		{"write of the recovery points", "write", "recovery-point", func(l *Log) error { return l.TruncateTo(4) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk, _, l, failed := faulty(t, rolling)
			for range 11 {
				if err := appendOne(l, 0); err != nil {
					t.Fatal(err)
				}
			}
			disk.failOn(c.prefix, c.part, syscall.EIO)
			if err := c.do(l); !errors.Is(err, kerr.KafkaStorageError) {
				t.Errorf("%v", err)
			}
			disk.failOn("never", "", nil)
			if await(t, failed); l.home.failed() == nil || appendOne(l, 9) == nil {
				t.Error("the directory is still in use")
			}
		})
	}
}

func appendOne(l *Log, epoch int32) error {
	_, err := l.AppendAsLeader(batchOf(3, 1700000000000), AppendOptions{ProduceVersion: 9, LeaderEpoch: epoch})
	return err
}

func appendUntilRolled(l *Log) error {
	for range 5 {
		if err := appendOne(l, 0); err != nil {
			return err
		}
	}
	return nil
}

func TestRunningOutOfDescriptorsPasses(t *testing.T) {
	disk, m, l, _ := faulty(t, plain(crashConfig))
	disk.failOn("create", ".log", syscall.EMFILE)
	if err := appendUntilRolled(l); !errors.Is(err, kerr.KafkaStorageError) || !errors.Is(err, syscall.EMFILE) {
		t.Errorf("%v", err)
	}
	end := l.View().LogEndOffset
	disk.failOn("never", "", nil)
	if err := appendUntilRolled(l); err != nil || len(m.OfflineDirs()) != 0 {
		t.Errorf("%v, offline %v", err, m.OfflineDirs())
	}
	if v := l.View(); v.LogEndOffset != end+15 {
		t.Errorf("%+v, was at %d", v, end)
	}
	checkChain(t, "after the descriptors came back", l, visible(t, l))
}

func TestALogThatBreaksALawGoesOfflineAlone(t *testing.T) {
	_, m, l, _ := faulty(t, plain())
	broken := make(chan error, 1)
	l.home.onLogFailure = func(_ topic.Partition, err error) { broken <- err }
	l.mu.view.HighWatermark = 99 // beyond the log end
	err := appendOne(l, 0)
	if !errors.Is(err, kerr.KafkaStorageError) || !errors.Is(appendOne(l, 0), kerr.KafkaStorageError) {
		t.Errorf("%v", err)
	}
	if err := await(t, broken); !strings.Contains(err.Error(), "log start <= LSO <= HW <= LEO") || len(m.OfflineDirs()) != 0 {
		t.Errorf("%v, offline %v", err, m.OfflineDirs())
	}
}

// TestTheOrderOfAFlush pins that data is durable before anything says so (I14).
func TestTheOrderOfAFlush(t *testing.T) {
	disk, m, l, _ := faulty(t, plain())
	leaderAppend(t, l, batchOf(5, 1700000000000))
	disk.ops = nil
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	m.CheckpointOffsets()
	dir := filepath.Base(l.Dir())
	want := slices.DeleteFunc(slices.Clone(disk.ops), func(op string) bool { return !strings.Contains(op, dir+"/") && op != "syncdir "+dir })
	got := strings.Join(want, "\n")
	order := []string{
		"sync " + dir + "/t-0/00000000000000000000.log",
		"sync " + dir + "/t-0/00000000000000000000.index",
		"sync " + dir + "/t-0/00000000000000000000.timeindex",
		"syncdir " + dir + "/t-0",
		"write " + dir + "/recovery-point-offset-checkpoint.tmp",
		"sync " + dir + "/recovery-point-offset-checkpoint.tmp",
		"rename " + dir + "/recovery-point-offset-checkpoint.tmp",
		"syncdir " + dir,
	}
	at := 0
	for _, op := range order {
		i := strings.Index(got[at:], op)
		if i < 0 {
			t.Fatalf("%q does not come after what precedes it in:\n%s", op, got)
		}
		at += i + len(op)
	}
}

// TestEverythingAtOnce appends, reads, flushes, truncates, searches and deletes at the same time; under the
// race detector it says whether readers need no lock.
func TestEverythingAtOnce(t *testing.T) {
	m := openManager(t, plain(crashConfig, func(c *config.Topic) { c.RetentionBytes, c.FileDeleteDelayMS = 3000, 0 }), t.TempDir())
	m.Start()
	l := createLog(t, m)
	const appends = 2000
	var writers, others sync.WaitGroup
	stop := make(chan struct{})
	until := func(what string, f func() error) {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := f(); err != nil && !errors.Is(err, kerr.OffsetOutOfRange) {
					t.Errorf("%s: %v", what, err)
					return
				}
			}
		})
	}
	writers.Go(func() {
		for i := range appends {
			if err := appendOne(l, int32(i/100)); err != nil {
				t.Error(err)
				return
			}
			l.SetHighWatermark(l.View().LogEndOffset)
			switch i % 300 {
			case 100:
				if err := l.DeleteRecordsTo(l.View().HighWatermark - 3); err != nil {
					t.Error(err)
				}
			case 200, 201, 202:
				if err := l.TruncateFullyAndStartAt(l.View().LogEndOffset + 5); err != nil {
					t.Error(err)
				}
			case 299:
				if err := l.TruncateTo(l.View().LogEndOffset - 7); err != nil {
					t.Error(err)
				}
			}
		}
	})
	until("read", func() error {
		v := l.View()
		r, err := l.Read(max(v.LogStartOffset, v.HighWatermark-20), 4000, v.HighWatermark, true)
		if err != nil || r.Region.N == 0 {
			return err
		}
		defer r.Region.Release.Release()
		_, err = l.AbortedTxns(v.LogStartOffset, r)
		return err
	})
	until("see", func() error {
		if v := l.View(); !v.ordered() {
			return fmt.Errorf("torn view %+v", v)
		}
		return nil
	})
	until("read from the start", func() error {
		r, err := l.Read(l.View().LogStartOffset, 4000, 1<<40, true)
		if err == nil && r.Region.N > 0 {
			r.Region.Release.Release()
		}
		return err
	})
	until("flush", l.Flush)
	until("search", func() error { _, err := l.OffsetForTimestamp(1700000000001, 1<<40); return err })
	until("retention", func() error {
		_, err := l.DeleteOldSegments(0)
		l.home.sweep(time.Now())
		return err
	})
	until("checkpoint", func() error { m.CheckpointOffsets(); m.CheckpointHighWatermarks(); return nil })
	writers.Wait()
	close(stop)
	others.Wait()
	checkChain(t, "in the end", l, visible(t, l))
}

// await takes what a hook reports.
func await[T any](t *testing.T, c chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		t.Error("nothing was reported")
	}
	return v
}
