package storage

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWhichStartsMayHaveLostATail(t *testing.T) {
	for _, c := range []struct {
		name string
		o    loadOptions
		end  int64
		lost bool
	}{
		{"a clean stop", loadOptions{clean: true, recoveryPoint: 10}, 10, false},
		{"a killed process", loadOptions{sameBoot: true, recoveryPoint: 5}, 10, false},
		{"a machine that went down", loadOptions{recoveryPoint: 5}, 10, true},
		{"a machine that was stopped in order", loadOptions{clean: true, recoveryPoint: 10}, 10, false},
		{"bytes that were flushed are gone", loadOptions{sameBoot: true, recoveryPoint: 11}, 10, true},
		{"the same behind a clean stop", loadOptions{clean: true, recoveryPoint: 11}, 10, true},
		{"it was so before, and nobody has helped", loadOptions{clean: true, sameBoot: true, recoveryPoint: 10, tailWasLost: true}, 10, true},
	} {
		if because := c.o.lostTail(c.end); (because != "") != c.lost {
			t.Errorf("%s: %q", c.name, because)
		}
	}
}

// A tail that is missing stays missing over kills and clean stops, until somebody says that it is back.
func TestALostTailIsRememberedUntilItIsRestored(t *testing.T) {
	dir := t.TempDir()
	l := createLog(t, openManager(t, plain(crashConfig), dir))
	for offset := int64(0); offset < 30; offset += 3 {
		if _, err := l.AppendAsFollower(followerBatch(offset)); err != nil {
			t.Fatal(err)
		}
	}
	dir = killedCopy(t, dir)
	m := openManager(t, plain(crashConfig), dir)
	if m.Log(tp0).TailLost() {
		t.Error("a killed process lost a tail")
	}
	dir = killedCopy(t, dir)
	if err := os.Remove(filepath.Join(dir, bootFile)); err != nil {
		t.Fatal(err)
	}
	for _, start := range []string{"behind a crash of the machine", "behind a kill"} {
		m = openManager(t, plain(crashConfig), dir)
		if !m.Log(tp0).TailLost() || m.LostTails()[tp0] != 30 {
			t.Errorf("%s: %v", start, m.LostTails())
		}
		dir = killedCopy(t, dir)
	}
	m = openManager(t, plain(crashConfig), dir)
	if l := m.Log(tp0); !l.RestoreTail() || l.RestoreTail() || len(m.LostTails()) != 0 {
		t.Error("it is not restored, or was twice")
	}
	m.CheckpointHighWatermarks()
	if openManager(t, plain(crashConfig), killedCopy(t, dir)).Log(tp0).TailLost() {
		t.Error("a restored tail is lost again")
	}
}
