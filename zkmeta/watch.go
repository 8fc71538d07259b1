package zkmeta

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
	"go.uber.org/zap"
)

// reconcileEvery is how often armed watches are compared with what there is, for the event that never came.
const reconcileEvery = 20 * time.Second

// Watching
//
// A watch of ZooKeeper fires once, says nothing while the connection is away, and may be lost when a connection is
// replaced. Here it is a hint: fn is called when the path may have changed, with the next watch armed already, so that
// whoever reads after the hint misses nothing. There is one watch at the server for a path and kind, however many
// Watches there are of it. Events come by the library's callback; the channels it makes are left to themselves.
//
//	event, or first watch of the path -> armed=false -> arm (exists or getChildren, with watch) -> armed=true -> fn
//	new connection of the session     -> the library re-arms by setWatches                      -> fn
//	every 20 s: exists without watch, compared with what was seen at arming; another: an event was lost -> arm -> fn

type watchKind int

const (
	nodeWatch  watchKind = iota // created, deleted, data changed
	childWatch                  // children came or went, the znode was created or deleted
)

func (k watchKind) request() readRequest {
	if k == childWatch {
		return watchChildren
	}
	return watchNode
}

type watchKey struct {
	path string // chroot included
	kind watchKind
}

// A Watch is somebody's wish for hints about one path.
type Watch struct {
	session *Session
	key     watchKey
	fn      func()
}

// Stop ends the hints. One that is under way may still come.
func (w *Watch) Stop() {
	if w == nil {
		return
	}
	watching := &w.session.watching
	watching.mu.Lock()
	defer watching.mu.Unlock()
	p := watching.mu.paths[w.key]
	if p == nil {
		return
	}
	p.watches = slices.DeleteFunc(p.watches, func(o *Watch) bool { return o == w })
	// A watch that is armed cannot be taken back; the entry stays until it fires, so that there is never a second one.
	if len(p.watches) == 0 && !p.armed {
		delete(watching.mu.paths, w.key)
	}
}

// A watched path. All fields are guarded by watching.mu.
type watchedPath struct {
	key     watchKey
	watches []*Watch
	armed   bool   // there is a watch at the server, or in the library's setWatches
	events  uint64 // so that an arming does not count that an event has overtaken
	tell    bool   // fn is due
	seen    seen   // at arming
}

// seen is what tells one state of a path from another.
type seen struct {
	exists          bool
	czxid, mzxid    int64
	pzxid, cversion int64 // of a childWatch
}

func seenFrom(kind watchKind, stat *Stat) seen {
	if stat == nil {
		return seen{}
	}
	s := seen{exists: true, czxid: stat.Czxid}
	if kind == childWatch {
		s.pzxid, s.cversion = stat.Pzxid, int64(stat.Cversion)
	} else {
		s.mzxid = stat.Mzxid
	}
	return s
}

// watching is the part of a session that keeps its watches.
type watching struct {
	wake chan struct{}
	mu   struct {
		sync.Mutex
		paths map[watchKey]*watchedPath
		dirty map[watchKey]*watchedPath // to be armed or told
	}
}

func (w *watching) init() {
	w.wake = make(chan struct{}, 1)
	w.mu.paths = map[watchKey]*watchedPath{}
	w.mu.dirty = map[watchKey]*watchedPath{}
}

func (w *watching) wakeUp() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// fired takes an event from the library's reading goroutine, in the order of the server's answers.
func (w *watching) fired(event zk.EventType, path string) {
	kinds := []watchKind{nodeWatch}
	switch event {
	case zk.EventNodeChildrenChanged:
		kinds = []watchKind{childWatch}
	case zk.EventNodeDeleted, zk.EventNodeCreated: // a childWatch of an absent znode waits for it by exists
		kinds = []watchKind{nodeWatch, childWatch}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, kind := range kinds {
		if p := w.mu.paths[watchKey{path, kind}]; p != nil {
			p.events++
			p.armed, p.tell = false, true
			w.mu.dirty[p.key] = p
		}
	}
	w.wakeUp()
}

// anyArmed tells whether there is a watch that a new connection has to be told of.
func (w *watching) anyArmed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.mu.paths {
		if p.armed {
			return true
		}
	}
	return false
}

// reconnected makes every hint due: what happened while the connection was away may have been missed.
func (w *watching) reconnected() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, p := range w.mu.paths {
		p.tell = true
		w.mu.dirty[key] = p
	}
	w.wakeUp()
}

// WatchData has fn called when the znode is created, deleted or its data changes; also once when the watch is armed
// first, and after each reconnection. The znode may be missing yet. fn only says "look again"; it runs on the session's
// watch loop and must not block. The watch ends with the session.
func (s *Session) WatchData(path string, fn func()) *Watch { return s.watch(path, nodeWatch, fn) }

// WatchChildren has fn called when children come or go, and as WatchData says. The znode may be missing yet.
func (s *Session) WatchChildren(path string, fn func()) *Watch { return s.watch(path, childWatch, fn) }

func (s *Session) watch(path string, kind watchKind, fn func()) *Watch {
	w := &Watch{session: s, key: watchKey{s.full(path), kind}, fn: fn}
	watching := &s.watching
	watching.mu.Lock()
	defer watching.mu.Unlock()
	p := watching.add(w)
	p.tell = true
	watching.mu.dirty[p.key] = p
	watching.wakeUp()
	return w
}

func (w *watching) add(watch *Watch) *watchedPath {
	p := w.mu.paths[watch.key]
	if p == nil {
		p = &watchedPath{key: watch.key}
		w.mu.paths[watch.key] = p
	}
	p.watches = append(p.watches, watch)
	return p
}

// WatchDataOf arms watches on many paths, pipelined, and returns when all are armed: whoever reads after that misses
// nothing, so there is no first hint. fn gets the path.
func (s *Session) WatchDataOf(ctx context.Context, paths []string, fn func(path string)) ([]*Watch, error) {
	watching := &s.watching
	watches := make([]*Watch, len(paths))
	var unarmed []*watchedPath
	watching.mu.Lock()
	for i, path := range paths {
		watches[i] = &Watch{session: s, key: watchKey{s.full(path), nodeWatch}, fn: func() { fn(path) }}
		if p := watching.add(watches[i]); !p.armed {
			unarmed = append(unarmed, p)
		}
	}
	watching.mu.Unlock()
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	err := s.arm(ctx, unarmed)
	for isUnknown(err) && s.awaitLink(ctx) {
		err = s.arm(ctx, unarmed)
	}
	if err == nil {
		return watches, nil
	}
	for _, w := range watches {
		w.Stop()
	}
	return nil, err
}

// keepWatches is the watch loop: it arms what is not armed and tells what is due.
func (s *Session) keepWatches() {
	w := &s.watching
	reconcile := time.NewTimer(reconcileEvery/2 + rand.N(reconcileEvery/2))
	defer reconcile.Stop()
	retry := time.NewTimer(time.Hour)
	retry.Stop()
	defer retry.Stop()
	for {
		select {
		case <-w.wake:
		case <-retry.C:
		case <-reconcile.C:
			s.reconcileWatches()
			reconcile.Reset(reconcileEvery/2 + rand.N(reconcileEvery/2))
		case <-s.ctx.Done():
			return
		}
		dirty, unarmed := w.takeDirty()
		pause := 100 * time.Millisecond
		if err := s.arm(s.ctx, unarmed); err != nil && !isUnknown(err) && s.ctx.Err() == nil {
			s.client.log.Warn("a watch is refused and tried again", zap.Error(err))
			pause = 10 * time.Second
		}
		hints, again := w.takeHints(dirty)
		if again {
			retry.Reset(pause)
		}
		for _, fn := range hints {
			fn()
		}
	}
}

// takeDirty gives the paths that something has happened to, and those of them that have to be armed. Paths that nobody
// watches any more are forgotten.
func (w *watching) takeDirty() (dirty, unarmed []*watchedPath) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, p := range w.mu.dirty {
		switch {
		case len(p.watches) == 0 && !p.armed:
			if w.mu.paths[key] == p {
				delete(w.mu.paths, key)
			}
			continue
		case !p.armed:
			unarmed = append(unarmed, p)
		}
		dirty = append(dirty, p)
	}
	clear(w.mu.dirty)
	return dirty, unarmed
}

// takeHints gives the hints that are due for armed paths. What could not be armed is dirty again.
func (w *watching) takeHints(dirty []*watchedPath) (hints []func(), again bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range dirty {
		if !p.armed {
			w.mu.dirty[p.key], again = p, true
			continue
		}
		if p.tell {
			p.tell = false
			for _, watch := range p.watches {
				hints = append(hints, watch.fn)
			}
		}
	}
	return hints, again
}

// arm sets the server's watch on paths that have none, and gives the first failure.
func (s *Session) arm(ctx context.Context, paths []*watchedPath) (failure error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	type arming struct {
		path   *watchedPath
		events uint64
		call   *call[answered]
	}
	const window = 1024
	for len(paths) > 0 {
		n := min(window, len(paths))
		var sent []arming
		for _, p := range paths[:n] {
			s.watching.mu.Lock()
			a, armed := arming{path: p, events: p.events}, p.armed
			s.watching.mu.Unlock()
			if !armed {
				a.call = start(s, ctx, p.key.kind.request().on(p.key.path))
				sent = append(sent, a)
			}
		}
		for _, a := range sent {
			err := a.call.wait(ctx)
			if errors.Is(err, ErrNoNode) { // a childWatch waits for the znode to be created
				a.call = start(s, ctx, readRequest(watchNode).on(a.path.key.path))
				if err = a.call.wait(ctx); err == nil && a.call.value.stat != nil {
					continue // which has happened since: once more
				}
			}
			if err != nil {
				if failure == nil {
					failure = &CallError{"watch", a.path.key.path, err}
				}
				continue
			}
			s.watching.mu.Lock()
			// An event that came in between has used the watch up already.
			if a.path.events == a.events {
				a.path.armed, a.path.seen = true, seenFrom(a.path.key.kind, a.call.value.stat)
			}
			s.watching.mu.Unlock()
		}
		paths = paths[n:]
	}
	return failure
}

// watchNode sets a watch on a znode that may be missing; the stat is nil then.
func watchNode(conn *zk.Conn, full string) (answered, error) {
	found, stat, _, err := conn.ExistsW(full)
	if err != nil || !found {
		return answered{}, err
	}
	return answered{stat: stat}, nil
}

// watchChildren sets a watch on the children of a znode that is there.
func watchChildren(conn *zk.Conn, full string) (answered, error) {
	_, stat, _, err := conn.ChildrenW(full)
	return answered{stat: stat}, err
}

// reconcileWatches looks for changes that no event told.
func (s *Session) reconcileWatches() {
	w := &s.watching
	type compared struct {
		path *watchedPath
		seen seen
	}
	var all []compared
	var paths []string
	w.mu.Lock()
	for key, p := range w.mu.paths {
		if p.armed && len(p.watches) > 0 {
			all = append(all, compared{p, p.seen})
			paths = append(paths, key.path)
		}
	}
	w.mu.Unlock()
	s.eachAnswer(s.ctx, paths, exists, func(i int, a answered, err error) {
		if err != nil && !errors.Is(err, ErrNoNode) {
			return
		}
		p := all[i].path
		now := seenFrom(p.key.kind, a.stat)
		w.mu.Lock()
		defer w.mu.Unlock()
		if p.armed && p.seen == all[i].seen && now != p.seen {
			s.client.log.Debug("a change came without an event", zap.String("path", p.key.path))
			p.armed, p.tell = false, true
			w.mu.dirty[p.key] = p
		}
	})
}
