package replica

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/zurau/zurau/broker/topic"
)

// crashed is a manager whose machine went down without a clean stop: its log of t0 holds one record.
func crashed(t *testing.T) *Manager {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "log")
	before := newManager(t, map[string]string{"log.dirs": dir})
	appendOne(t, mustLead(t, before, state{self, 0, []int32{self}, []int32{self, 2}, topic.ID{}}))
	after := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(after, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".zurau_boot", ".lock"} {
		os.Remove(filepath.Join(after, name))
	}
	m := newManager(t, map[string]string{"log.dirs": after})
	if !m.Storage.Log(t0).TailLost() {
		t.Fatal("the log has not lost its tail")
	}
	return m
}

func TestALeaderWithALostTailSaysSoOnce(t *testing.T) {
	for _, replicas := range [][]int32{{self}, {self, 2}} {
		m := crashed(t)
		core, logged := observer.New(zap.ErrorLevel)
		m.state = zap.New(core)
		mustLead(t, m, state{self, 1, []int32{self}, replicas, topic.ID{}})
		mustLead(t, m, state{self, 2, []int32{self}, replicas, topic.ID{}})
		if n := logged.FilterMessageSnippet("may have lost the end of its log").Len(); n != 1 || m.Storage.Log(t0).TailLost() {
			t.Errorf("replicas %d: said %d times", replicas, n)
		}
	}
}

func TestAFollowerGetsItsTailBack(t *testing.T) {
	for _, c := range []struct {
		name     string
		answer   func(*kmsg.FetchResponseTopicPartition)
		restored bool
	}{
		{"nothing more to get", func(a *kmsg.FetchResponseTopicPartition) { a.HighWatermark = 1 }, true},
		{"records of the leader's own epoch", func(a *kmsg.FetchResponseTopicPartition) { a.RecordBatches = inEpoch(t, 1, 4, 2) }, true},
		{"records of an epoch before", func(a *kmsg.FetchResponseTopicPartition) { a.RecordBatches = inEpoch(t, 1, 3, 2) }, false},
		{"the logs went different ways", func(a *kmsg.FetchResponseTopicPartition) {
			a.DivergingEpoch.Epoch, a.DivergingEpoch.EndOffset = 0, 1
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := crashed(t)
			p := mustLead(t, m, state{2, 4, []int32{2}, []int32{self, 2}, topic.ID{}})
			a := kmsg.NewFetchResponseTopicPartition()
			c.answer(&a)
			if err := p.followLeader(p.role.Load(), 1, &a); err != nil {
				t.Fatal(err)
			}
			if p.log.TailLost() == c.restored {
				t.Errorf("the tail is lost: %t", !c.restored)
			}
		})
	}
}
