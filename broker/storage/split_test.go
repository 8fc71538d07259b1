package storage

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/zurau/zurau/broker/record"
)

// overflowed makes a clean directory whose one segment has batches of 2 records at these offsets.
func overflowed(t *testing.T, offsets ...int64) (dir string, content []byte) {
	t.Helper()
	dir = t.TempDir()
	m := openManager(t, plain(), dir)
	l := createLog(t, m)
	for _, offset := range offsets {
		b := record.Batch(batchOf(2, 1700000000000+offset%1000))
		b.SetBaseOffset(offset)
		b.SetLeaderEpoch(3)
		content = append(content, b...)
	}
	path := l.activeLocked().path(logSuffix)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, content
}

func TestASegmentOutOfReachOfItsIndexesIsSplit(t *testing.T) {
	const far = int64(1) << 32
	offsets := []int64{0, 2, 1 << 31, far, far + 2, 3 * far}
	for _, c := range []struct {
		name  string
		spoil func(dir, part string)
	}{
		{"after a kill", func(dir, part string) { os.Remove(filepath.Join(dir, cleanShutdownFile)) }},
		{"after a clean stop, without its index", func(dir, part string) { os.Remove(filepath.Join(part, "00000000000000000000.index")) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, content := overflowed(t, offsets...)
			c.spoil(dir, filepath.Join(dir, tp0.String()))
			m := openManager(t, plain(), dir)
			l := m.Log(tp0)
			if l == nil {
				t.Fatalf("not loaded, offline: %v", m.OfflineDirs())
			}
			if got := l.basesLocked(); !slices.Equal(got, []int64{0, 1 << 31, far, 3 * far}) {
				t.Errorf("segments %v", got)
			}
			if got := visible(t, l); !bytes.Equal(got, content) || l.View().LogEndOffset != 3*far+2 {
				t.Errorf("%d bytes of %d, %+v", len(got), len(content), l.View())
			}
			for _, offset := range offsets {
				r, err := l.Read(offset, 1, l.View().LogEndOffset, true)
				if err != nil {
					t.Fatal(err)
				}
				if b := record.Batch(regionBytes(t, r)); b.BaseOffset() != offset {
					t.Errorf("read of %d gives %d", offset, b.BaseOffset())
				}
			}
			leaderAppendEpoch(t, l, 4)
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			if v := openManager(t, plain(), dir).Log(tp0).View(); v.LogEndOffset <= 3*far+2 {
				t.Errorf("after another start %+v", v)
			}
		})
	}
}

// Offsets have no checksum: one bit makes a batch look far away. What comes behind it tells.
func TestADamagedOffsetIsNoReasonToSplit(t *testing.T) {
	dir, content := overflowed(t, 0, 2, 4+1<<40, 6)
	os.Remove(filepath.Join(dir, cleanShutdownFile))
	l := openManager(t, plain(), dir).Log(tp0)
	if v := l.View(); v.LogEndOffset != 4 || len(visible(t, l)) != len(content)/2 {
		t.Errorf("%+v", v)
	}
}

// A split that is cut short at any step is undone or carried on by the next start.
func TestASplitCutShortLosesNothing(t *testing.T) {
	steps := 0
	for at := 0; ; at++ {
		source, content := overflowed(t, 0, 2, 1<<32, 3<<32)
		os.Remove(filepath.Join(source, cleanShutdownFile))
		disk := newFaultFS(t.TempDir())
		dir := filepath.Join(disk.root, "data")
		copyDir(t, source, dir)
		disk.tree.live["data"] = newDirNode()
		adopt(t, disk, dir)
		n := 0
		disk.fail = func(op string) error {
			if strings.Contains(op, tp0.String()) {
				if n++; n > at {
					return errCrashed
				}
			}
			return nil
		}
		o := managerOptions(t, plain(), dir)
		o.disk, o.Logger = disk, nil
		m, err := Open(o)
		if err == nil {
			whole := m.Log(tp0) != nil
			drop(m)
			if whole {
				break
			}
		}
		steps++
		l := openManager(t, plain(), filepath.Join(disk.afterKill(t), "data")).Log(tp0)
		if got := visible(t, l); !bytes.Equal(got, content) {
			t.Errorf("cut short before operation %d, %d bytes of %d are left", at, len(got), len(content))
		}
	}
	if steps < 10 {
		t.Errorf("only %d steps: was it split at all?", steps)
	}
}

// adopt makes the file system know a tree that was copied into it.
func adopt(t *testing.T, disk *faultFS, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		parent, name := disk.parent(path)
		if parent.live[name] = (&node{}); e.IsDir() {
			parent.live[name] = newDirNode()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
