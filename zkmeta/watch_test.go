package zkmeta

import (
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

func TestAWatchTellsOfEveryChangeForEver(t *testing.T) {
	zk := startServer(t)
	s, other := session(t, connect(t, zk.String())), session(t, connect(t, zk.String()))
	ctx := t.Context()
	var data, children bell
	s.WatchData("/a", data.ring)
	s.WatchChildren("/a", children.ring) // both of a znode that does not exist
	await(t, "the first hints", func() bool { return data.rung() == 1 && children.rung() == 1 })

	change := func(what string, b *bell, change func()) {
		t.Helper()
		before := b.rung()
		change()
		await(t, what, func() bool { return b.rung() > before })
	}
	for range 3 {
		change("creation is told to a data watch", &data, func() { must(t, other.createNew(ctx, "/a", nil)) })
		for i := range 3 {
			change("data", &data, func() { must(t, other.setLast(ctx, "/a", []byte(strconv.Itoa(i)))) })
			change("a new child", &children, func() { must(t, other.createNew(ctx, "/a/b", nil)) })
			change("a lost child", &children, func() { must(t, other.remove(ctx, "/a/b")) })
		}
		before := children.rung()
		change("deletion is told to a data watch", &data, func() { must(t, other.remove(ctx, "/a")) })
		await(t, "deletion is told to a child watch", func() bool { return children.rung() > before })
	}
	before := children.rung()
	must(t, other.createNew(ctx, "/a", nil))
	await(t, "creation is told to a child watch", func() bool { return children.rung() > before })
}

func TestWhoeverReadsAfterAHintMissesNothing(t *testing.T) {
	zk := startServer(t)
	s, other := session(t, connect(t, zk.String())), session(t, connect(t, zk.String()))
	must(t, other.createNew(t.Context(), "/n", []byte("0")))
	hint := make(chan struct{}, 1)
	s.WatchData("/n", func() {
		select {
		case hint <- struct{}{}:
		default:
		}
	})
	const last = 500
	go func() {
		for i := 1; i <= last; i++ {
			if other.setLast(t.Context(), "/n", []byte(strconv.Itoa(i))) != nil {
				return
			}
		}
	}()
	for deadline := time.After(patience); ; {
		select {
		case <-hint:
		case <-deadline:
			t.Fatal("the last change was never seen")
		}
		data, _, err := s.Get(t.Context(), "/n")
		must(t, err)
		if string(data) == strconv.Itoa(last) {
			return
		}
	}
}

func TestAReconnectionIsAHint(t *testing.T) {
	zk := startServer(t)
	p := startProxy(t, zk.addr)
	s, other := session(t, connect(t, zk.at(p.addr()))), session(t, connect(t, zk.String()))
	var b bell
	must(t, other.createNew(t.Context(), "/n", nil))
	s.WatchData("/n", b.ring)
	s.WatchChildren("/n", b.ring)
	await(t, "the first hints", func() bool { return b.rung() == 2 })
	p.cut()
	await(t, "hints after the cut", func() bool { return b.rung() >= 4 })
	// And the watches work on the new connection.
	await(t, "the connection", func() bool { up, _ := s.link.state(); return up })
	before := b.rung()
	must(t, other.setLast(t.Context(), "/n", []byte("x")))
	await(t, "a change after the cut", func() bool { return b.rung() > before })
	if s.ctx.Err() != nil {
		t.Error("the session did not survive a cut")
	}
}

// An event that is lost, as when the library's setWatches fails silently, is made up for by comparing.
func TestALostEventIsFoundByReconciling(t *testing.T) {
	z := startServer(t)
	s, other := session(t, connect(t, z.String())), session(t, connect(t, z.String()))
	ctx := t.Context()
	must(t, other.createNew(ctx, "/n", nil))
	var data, children bell
	s.WatchData("/n", data.ring)
	s.WatchChildren("/n", children.ring)
	await(t, "the first hints", func() bool { return data.rung() == 1 && children.rung() == 1 })
	armed := func() bool {
		s.watching.mu.Lock()
		defer s.watching.mu.Unlock()
		return s.watching.mu.paths[watchKey{s.full("/n"), nodeWatch}].armed &&
			s.watching.mu.paths[watchKey{s.full("/n"), childWatch}].armed
	}
	lie := func(key watchKey) { // as if the event for the present state had been lost
		s.watching.mu.Lock()
		defer s.watching.mu.Unlock()
		p := s.watching.mu.paths[key]
		p.seen.czxid--
	}
	await(t, "the arming", armed)
	s.reconcileWatches()
	lie(watchKey{s.full("/n"), nodeWatch})
	lie(watchKey{s.full("/n"), childWatch})
	s.reconcileWatches()
	s.watching.wakeUp()
	await(t, "hints about what was missed", func() bool { return data.rung() == 2 && children.rung() == 2 })
	await(t, "the arming", armed)
	if data.rung() != 2 || children.rung() != 2 {
		t.Error("comparing gave hints without a change")
	}
}

func TestManyWatchesOfAPathShareOneAtTheServer(t *testing.T) {
	z := startServer(t)
	s, other := session(t, connect(t, z.String())), session(t, connect(t, z.String()))
	ctx := t.Context()
	must(t, other.createNew(ctx, "/n", nil))
	var kept, stopped bell
	var watches []*Watch
	for range 10 {
		s.WatchData("/n", kept.ring)
		watches = append(watches, s.WatchData("/n", stopped.ring))
	}
	await(t, "the first hints", func() bool { return kept.rung() >= 10 && stopped.rung() >= 10 })
	for _, w := range watches {
		w.Stop()
		w.Stop()
	}
	keptBefore, stoppedBefore := kept.rung(), stopped.rung()
	must(t, other.setLast(ctx, "/n", []byte("x")))
	await(t, "hints", func() bool { return kept.rung() == keptBefore+10 })
	if stopped.rung() != stoppedBefore {
		t.Error("a stopped watch was told")
	}
}

func TestManyPathsAreArmedBeforeTheyAreRead(t *testing.T) {
	z := startServer(t)
	s, other := session(t, connect(t, z.String())), session(t, connect(t, z.String()))
	ctx := t.Context()
	must(t, s.createNew(ctx, "/p", nil))
	var paths []string
	for i := range 3000 {
		paths = append(paths, "/p/"+strconv.Itoa(i))
	}
	told := struct {
		sync.Mutex
		paths []string
	}{}
	watches, err := s.WatchDataOf(ctx, paths, func(path string) {
		told.Lock()
		defer told.Unlock()
		told.paths = append(told.paths, path)
	})
	must(t, err)
	if len(watches) != len(paths) {
		t.Fatalf("%d watches", len(watches))
	}
	must(t, other.createNew(ctx, paths[17], nil))
	await(t, "a hint about the one path", func() bool { told.Lock(); defer told.Unlock(); return len(told.paths) > 0 })
	told.Lock()
	defer told.Unlock()
	if !slices.Equal(told.paths, []string{paths[17]}) {
		t.Errorf("told of %v", told.paths)
	}
}

// The library's callback is never blocked, however many events come.
func TestEventsNeverBlockTheirSource(t *testing.T) {
	s := session(t, connect(t, startServer(t).String()))
	block := make(chan struct{})
	s.WatchData("/n", func() { <-block })
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 100_000 {
			s.onEvent(zk.Event{Type: zk.EventNodeDataChanged, Path: s.full("/n")})
		}
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Error("events wait for a subscriber")
	}
	close(block)
}
