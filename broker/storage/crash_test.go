package storage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/topic"
)

var errCrashed = errors.New("crashed")

// step is one thing that is done to a log, with what the log holds afterwards.
type step struct {
	name string
	do   func(m *Manager, l *Log) error
}

// lifeOfALog does everything that moves files: appends with rolls, flushes, checkpoints, truncations, deletions.
func lifeOfALog() []step {
	var steps []step
	appendSome := func(n int) {
		for range n {
			steps = append(steps, step{"append", func(m *Manager, l *Log) error {
				p := &record.Producer{ID: 9, Epoch: 0, BaseSequence: int32(l.View().LogEndOffset % 1000)}
				_, err := l.AppendAsLeader(producerBatch(3, 1700000000000, p), AppendOptions{
					LeaderEpoch: int32(l.View().LogEndOffset / 40), ProduceVersion: 9,
				})
				return err
			}})
		}
	}
	add := func(name string, do func(m *Manager, l *Log) error) { steps = append(steps, step{name, do}) }
	flush := func(m *Manager, l *Log) error { return l.Flush() }
	checkpoint := func(m *Manager, l *Log) error { m.CheckpointOffsets(); return l.usable() }
	appendSome(9)
	add("flush", flush)
	add("checkpoint", checkpoint)
	appendSome(7)
	add("truncate into the active segment", func(m *Manager, l *Log) error { return l.TruncateTo(l.View().LogEndOffset - 4) })
	add("truncate across segments", func(m *Manager, l *Log) error { return l.TruncateTo(20) })
	add("checkpoint", checkpoint)
	add("flush", flush)
	add("delete records", func(m *Manager, l *Log) error {
		l.SetHighWatermark(l.View().LogEndOffset)
		return l.DeleteRecordsTo(14)
	})
	add("checkpoint", checkpoint)
	add("retention", func(m *Manager, l *Log) error { _, err := l.DeleteOldSegments(0); return err })
	add("sealed flush", func(m *Manager, l *Log) error { return l.flushSealed() })
	add("checkpoint", checkpoint)
	add("truncate fully", func(m *Manager, l *Log) error { return l.TruncateFullyAndStartAt(100) })
	return steps
}

// crashConfig rolls about every fourth append.
func crashConfig(c *config.Topic) {
	c.SegmentBytes, c.IndexIntervalBytes, c.SegmentIndexBytes = 500, 100, 4096
}

// TestEveryCrashPointLeavesALog ends the process before each single operation on the disk, and looks at what a
// killed process and what a power failure leave.
func TestEveryCrashPointLeavesALog(t *testing.T) {
	points := 0
	for at := 0; ; at++ {
		ended := runUntil(t, at)
		if ended {
			break
		}
		points++
	}
	t.Logf("%d crash points", points)
	if points < 150 {
		t.Errorf("only %d crash points: the life of the log has become short", points)
	}
}

// runUntil lives the life up to disk operation number at and checks what is left. It tells whether the life
// ended before.
func runUntil(t *testing.T, at int) (ended bool) {
	root := t.TempDir()
	disk := newFaultFS(root)
	n := 0
	disk.fail = func(string) error {
		if n >= at {
			return errCrashed
		}
		n++
		return nil
	}
	c := plain(crashConfig)
	dir := filepath.Join(root, "data")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	disk.tree.live["data"] = newDirNode()
	disk.tree.durable["data"] = disk.tree.live["data"]

	o := managerOptions(t, c, dir)
	o.disk, o.Logger = disk, nil
	before, after := []byte(nil), []byte(nil)
	name := "open"
	m, err := Open(o)
	if err == nil {
		defer drop(m)
		var l *Log
		name = "create"
		l, err = m.Create(tp0, topic.NewID())
		for _, s := range lifeOfALog() {
			if err != nil {
				break
			}
			name = s.name
			before = after
			if err = s.do(m, l); err == nil {
				after = visible(t, l)
			}
		}
	}
	if err == nil {
		return true
	}
	if !errors.Is(err, errCrashed) && !strings.Contains(err.Error(), "offline") {
		t.Fatalf("crash point %d (%s): %v", at, name, err)
	}
	what := fmt.Sprintf("crash point %d (%s, before %q)", at, name, last(disk.ops))
	if strings.HasPrefix(name, "truncate") {
		after = nil // of what goes nothing is promised any more; how far it has gone is checked by its batches
	}
	checkAfterCrash(t, what+" killed", filepath.Join(disk.afterKill(t), "data"), before, after, true)
	checkAfterCrash(t, what+" power lost", filepath.Join(disk.afterPowerLoss(t), "data"), before, after, false)
	return false
}

// drop gives everything up without the syncs of a clean stop.
func drop(m *Manager) {
	for _, l := range m.Logs() {
		l.abandon(nil)
	}
	m.unlock()
}

func last(ops []string) string {
	if len(ops) == 0 {
		return ""
	}
	return ops[len(ops)-1]
}

// visible is what a log holds, whole batches from the first segment on.
func visible(t *testing.T, l *Log) []byte {
	var all []byte
	for _, s := range l.state.load().segments {
		b, err := os.ReadFile(s.path(logSuffix))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b[:s.size.Load()]...)
	}
	return all
}

// checkAfterCrash opens what is left. before is what the log held when the step that crashed began, or the step
// before it; the log must now hold a piece of that without holes, and everything that was promised to be
// durable.
func checkAfterCrash(t *testing.T, what, dir string, before, after []byte, killed bool) {
	t.Helper()
	points, err := readOffsets(osFS{}, filepath.Join(dir, recoveryPointCheckpoint))
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
	o := managerOptions(t, plain(crashConfig), dir)
	o.Logger = nil
	m, err := Open(o)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	defer drop(m)
	l := m.Log(tp0)
	if l == nil {
		if killed && len(after) > 0 || points[tp0] > 0 {
			t.Errorf("%s: the log is gone", what)
		}
		return
	}
	v := l.View()
	now := visible(t, l)
	checkChain(t, what, l, now)
	if killed && !bytes.Contains(now, common(before, after)) && !bytes.Contains(after, now) {
		t.Errorf("%s: %d bytes are left of %d, and %d after the step", what, len(now), len(before), len(after))
	}
	if v.LogEndOffset < min(points[tp0], endOf(after)) {
		t.Errorf("%s: the log ends at %d, but was durable up to %d", what, v.LogEndOffset, points[tp0])
	}
	checkProducersAgainstLog(t, what, l)
	if _, err := l.AppendAsLeader(batchOf(2, 1700000000000), AppendOptions{LeaderEpoch: 1000, ProduceVersion: 9}); err != nil {
		t.Errorf("%s: append: %v", what, err)
	}
}

// common is what both contents have, from a batch of their overlap on.
func common(a, b []byte) []byte {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return a[:n]
}

func endOf(content []byte) int64 {
	end := int64(0)
	for {
		b, rest, err := record.Next(content)
		if err != nil || b == nil {
			return end
		}
		end, content = b.NextOffset(), rest
	}
}

// checkChain demands batches without a hole from the first segment's base to the log end, and indexes that agree.
func checkChain(t *testing.T, what string, l *Log, content []byte) {
	t.Helper()
	next := l.state.load().segments[0].base
	rest := content
	for len(rest) > 0 {
		b, tail, err := record.Next(rest)
		if err != nil || b == nil || b.CheckCRC() != nil {
			t.Errorf("%s: the log is not made of whole batches at offset %d: %v", what, next, err)
			return
		}
		if b.BaseOffset() != next {
			t.Errorf("%s: offset %d follows %d", what, b.BaseOffset(), next)
			return
		}
		next, rest = b.NextOffset(), tail
	}
	v := l.View()
	if next != v.LogEndOffset && len(content) > 0 {
		t.Errorf("%s: batches end at %d, the log at %d", what, next, v.LogEndOffset)
	}
	for offset := v.LogStartOffset; offset < v.LogEndOffset; offset += 5 {
		r, err := l.Read(offset, 1, v.LogEndOffset, true)
		if err != nil || r.Region.N == 0 {
			t.Errorf("%s: Read(%d): %d bytes, %v", what, offset, r.Region.N, err)
			return
		}
		if b, _, err := record.Next(regionBytes(t, r)); err != nil || b.BaseOffset() > offset || b.LastOffset() < offset {
			t.Errorf("%s: Read(%d) gives %d to %d, %v", what, offset, b.BaseOffset(), b.LastOffset(), err)
		}
	}
	for i, e := range l.mu.epochs.entries {
		if e.start > v.LogEndOffset || i > 0 && e.epoch <= l.mu.epochs.entries[i-1].epoch {
			t.Errorf("%s: epochs %v in a log that ends at %d", what, l.mu.epochs.entries, v.LogEndOffset)
		}
	}
}

// checkProducersAgainstLog compares the producer state with one built from nothing but the batches.
func checkProducersAgainstLog(t *testing.T, what string, l *Log) {
	t.Helper()
	v := l.View()
	fresh := newProducerState(l.home.disk, l.dir, l.partition, nil)
	if err := l.replayLocked(fresh, v.LogStartOffset, v.LogEndOffset); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	for id, want := range fresh.producers {
		got := l.mu.producers.producers[id]
		if got == nil || got.lastSequence() != want.lastSequence() || got.txnFirstOffset != want.txnFirstOffset {
			t.Errorf("%s: producer %d is %v, the batches say %v", what, id, got, want)
		}
	}
}

// TestATornTailIsCutAtEveryByte cuts the last batch of an unclean log at each of its bytes, and damages each
// byte of it.
func TestATornTailIsCutAtEveryByte(t *testing.T) {
	dir := t.TempDir()
	m := openManager(t, plain(), dir)
	l := createLog(t, m)
	for i := range 3 {
		leaderAppend(t, l, batchOf(2, int64(1700000000000+i)))
	}
	whole := leaderAppend(t, l, batchOf(1, 1700000001000))
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	path := l.activeLocked().path(logSuffix)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	os.Remove(filepath.Join(dir, cleanShutdownFile))
	os.Remove(filepath.Join(dir, recoveryPointCheckpoint))
	start := len(content) - whole.SizeBytes

	reopen := func(what string, damaged []byte, wantEnd int64) {
		t.Helper()
		if err := os.WriteFile(path, damaged, 0o644); err != nil {
			t.Fatal(err)
		}
		m, err := Open(managerOptions(t, plain(), dir))
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		l := m.Log(tp0)
		if got := l.View().LogEndOffset; got != wantEnd {
			t.Errorf("%s: log end %d, want %d", what, got, wantEnd)
		}
		info, err := os.Stat(path)
		if wantEnd < 7 && (err != nil || int(info.Size()) != start) {
			t.Errorf("%s: the file has %d bytes, want %d", what, info.Size(), start)
		}
		checkChain(t, what, l, visible(t, l))
		drop(m)
	}
	for cut := start; cut < len(content); cut++ {
		reopen(fmt.Sprintf("cut at %d", cut), content[:cut], 6)
	}
	for at := start; at < len(content); at++ {
		if in := at - start; in >= 12 && in < 16 || in < 8 {
			continue // base offset and leader epoch are outside of the checksum
		}
		damaged := slices.Clone(content)
		damaged[at] ^= 0x40
		reopen(fmt.Sprintf("bit flipped at %d", at), damaged, 6)
	}
	reopen("zeros behind", append(slices.Clone(content), make([]byte, 5000)...), 7)
	reopen("garbage behind", append(slices.Clone(content), bytes.Repeat([]byte{0xa5}, 777)...), 7)
	reopen("undamaged", content, 7)
}
