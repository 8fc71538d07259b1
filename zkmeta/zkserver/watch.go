package zkserver

// eventKind is what a watch tells (Watcher.Event.EventType).
type eventKind int32

const (
	eventCreated         eventKind = 1
	eventDeleted         eventKind = 2
	eventDataChanged     eventKind = 3
	eventChildrenChanged eventKind = 4
)

// watchMode says how a watch was set; a path may have several for one connection.
type watchMode uint8

const (
	watchOnce       watchMode = 1 << iota // gone when it fires
	watchPersistent                       // stays
	watchRecursive                        // stays, and is told of every node below too
	watchAny        = watchOnce | watchPersistent | watchRecursive
)

// watchTable is who waits for what. It belongs to the loop's goroutine.
// Laws: byPath and byConn hold the same triples; no mode is 0; recursive counts the triples that have that mode.
type watchTable struct {
	byPath    map[string]map[*conn]watchMode
	byConn    map[*conn]map[string]watchMode
	recursive int
}

func newWatchTable() *watchTable {
	return &watchTable{byPath: map[string]map[*conn]watchMode{}, byConn: map[*conn]map[string]watchMode{}}
}

func (w *watchTable) add(path string, c *conn, mode watchMode) {
	w.put(path, c, w.byPath[path][c]|mode)
}

// remove takes modes of a watch away and tells whether one of them was set.
func (w *watchTable) remove(path string, c *conn, mode watchMode) bool {
	had := w.byPath[path][c]
	w.put(path, c, had&^mode)
	return had&mode != 0
}

func (w *watchTable) has(path string, c *conn, mode watchMode) bool {
	return w.byPath[path][c]&mode != 0
}

func (w *watchTable) put(path string, c *conn, mode watchMode) {
	had := w.byPath[path][c]
	if had == mode {
		return
	}
	w.recursive += int(mode&watchRecursive)/int(watchRecursive) - int(had&watchRecursive)/int(watchRecursive)
	if mode == 0 {
		if delete(w.byPath[path], c); len(w.byPath[path]) == 0 {
			delete(w.byPath, path)
		}
		if delete(w.byConn[c], path); len(w.byConn[c]) == 0 {
			delete(w.byConn, c)
		}
		return
	}
	if w.byPath[path] == nil {
		w.byPath[path] = map[*conn]watchMode{}
	}
	if w.byConn[c] == nil {
		w.byConn[c] = map[string]watchMode{}
	}
	w.byPath[path][c], w.byConn[c][path] = mode, mode
}

// forget drops all watches of a connection that ended.
func (w *watchTable) forget(c *conn) {
	for path := range w.byConn[c] {
		w.put(path, c, 0)
	}
}

func (w *watchTable) count() int {
	n := 0
	for _, paths := range w.byConn {
		n += len(paths)
	}
	return n
}

// fire gives the connections that wait for a change at path, and ends the watches that are for once. Recursive
// watches of path's ancestors are asked too.
func (w *watchTable) fire(path string) []*conn {
	var told []*conn
	for c, mode := range w.byPath[path] {
		told = append(told, c)
		w.put(path, c, mode&^watchOnce)
	}
	for at := path; w.recursive > 0 && at != "/"; {
		at = parentPath(at)
		for c, mode := range w.byPath[at] {
			if mode&watchRecursive != 0 {
				told = append(told, c)
			}
		}
	}
	return told
}

// watches are the two tables of a ZooKeeper server. data holds those of exists and getData, child those of
// getChildren; a persistent watch stands in both, a recursive one in data alone, since the creation and deletion of
// children reach it there.
type watches struct{ data, child *watchTable }

func newWatches() watches { return watches{newWatchTable(), newWatchTable()} }

// event is one notification for one connection.
type event struct {
	conn *conn
	kind eventKind
	path string
}

// fire turns a change into events. A connection is told once, however many of its watches match, except that a
// deletion is told by the node's name and by its parent's. Who may not read the node is not told.
func (w watches) fire(ch change) []event {
	var events []event
	tell := func(kind eventKind, path string, acl []aclEntry, conns []*conn, told map[*conn]bool) {
		for _, c := range conns {
			if !told[c] && allowed(acl, permRead, c.ids) {
				events = append(events, event{c, kind, path})
			}
			if told != nil {
				told[c] = true
			}
		}
	}
	told := map[*conn]bool{}
	tell(ch.kind, ch.path, ch.acl, w.data.fire(ch.path), told)
	switch ch.kind {
	case eventDeleted:
		tell(eventDeleted, ch.path, ch.acl, w.child.fire(ch.path), told)
		fallthrough
	case eventCreated:
		parent := parentPath(ch.path)
		tell(eventChildrenChanged, parent, ch.parentACL, w.child.fire(parent), nil)
	}
	return events
}

func (w watches) forget(c *conn) {
	w.data.forget(c)
	w.child.forget(c)
}

// Modes of an addWatch request (AddWatchMode).
const (
	addPersistent          int32 = 0
	addPersistentRecursive int32 = 1
)

// add sets a watch of an addWatch request; false means there is no such mode.
func (w watches) add(path string, c *conn, mode int32) bool {
	switch mode {
	case addPersistent:
		w.data.add(path, c, watchPersistent)
		w.child.add(path, c, watchPersistent)
	case addPersistentRecursive:
		w.data.add(path, c, watchRecursive)
	default:
		return false
	}
	return true
}

// Kinds of watch in checkWatches and removeWatches (Watcher.WatcherType); the last two came with 3.9.
const (
	typeChildren            int32 = 1
	typeData                int32 = 2
	typeAny                 int32 = 3
	typePersistent          int32 = 4
	typePersistentRecursive int32 = 5
)

// has answers checkWatches; remove does removeWatches. A type nobody knows is never there.
func (w watches) has(path string, c *conn, kind int32) bool {
	return w.each(kind, func(t *watchTable, mode watchMode) bool { return t.has(path, c, mode) })
}

func (w watches) remove(path string, c *conn, kind int32) bool {
	return w.each(kind, func(t *watchTable, mode watchMode) bool { return t.remove(path, c, mode) })
}

// each asks the tables a kind stands for, all of them, and tells whether one said yes.
func (w watches) each(kind int32, f func(*watchTable, watchMode) bool) bool {
	switch kind {
	case typeChildren:
		return f(w.child, watchOnce)
	case typeData:
		return f(w.data, watchOnce)
	case typePersistent:
		a, b := f(w.data, watchPersistent), f(w.child, watchPersistent)
		return a || b
	case typePersistentRecursive:
		return f(w.data, watchRecursive)
	case typeAny:
		a, b := f(w.data, watchAny), f(w.child, watchAny)
		return a || b
	}
	return false
}

func (w watches) count() int { return w.data.count() + w.child.count() }
