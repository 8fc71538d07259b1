package zkserver

import (
	"fmt"
	"slices"
	"strings"
)

// Owners that are no session: bits of ephemeralOwner that mark container and TTL nodes (EphemeralType).
const (
	ownerContainer int64 = -1 << 63
	ownerTTL       int64 = -1 << 56
	maxTTLMS       int64 = 1<<40 - 1
)

// record is what a znode holds. It is never changed, only replaced, so that a snapshot may be written from old
// records while the tree goes on.
type record struct {
	data             []byte
	acl              []aclEntry
	czxid, mzxid     int64
	pzxid            int64
	ctimeMS, mtimeMS int64
	version          int32
	creates          int32 // children ever created; clients see it as cversion after stat's arithmetic
	aversion         int32
	owner            int64
}

func (r *record) isEphemeral() bool { return r.owner != 0 && !r.isContainer() && !r.isTTL() }
func (r *record) isContainer() bool { return r.owner == ownerContainer }
func (r *record) isTTL() bool       { return r.owner&ownerTTL == ownerTTL }

// node is a record in its place.
type node struct {
	*record
	children map[string]struct{} // last elements; nil until there is one
	sorted   []string            // the same in order, nil when it has to be made again
}

// stat is the node as clients see it. Deletions are not counted, they follow: every created child that is not there
// any more was deleted.
func (n *node) stat() stat {
	children := int32(len(n.children))
	var owner int64
	if n.isEphemeral() {
		owner = n.owner
	}
	return stat{
		czxid: n.czxid, mzxid: n.mzxid, pzxid: n.pzxid, ctime: n.ctimeMS, mtime: n.mtimeMS,
		version: n.version, cversion: n.creates*2 - children, aversion: n.aversion,
		ephemeralOwner: owner, dataLength: int32(len(n.data)), numChildren: children,
	}
}

// tree is the znodes. It belongs to the loop's goroutine and knows nothing of connections and of the disk.
//
// Laws: the parent of every node is a node; children and nodes agree; ephemerals and swept list exactly the nodes
// with such owners; zxid is that of the last transaction applied.
type tree struct {
	nodes      map[string]*node
	ephemerals map[int64]map[string]struct{} // by session
	swept      map[string]struct{}           // container and TTL nodes
	zxid       int64

	recording bool     // inside a multi
	undo      []func() // takes back, last first, what the multi did so far
}

func newTree() *tree {
	t := &tree{nodes: map[string]*node{}, ephemerals: map[int64]map[string]struct{}{}, swept: map[string]struct{}{}}
	t.nodes["/"] = &node{record: &record{data: []byte{}, acl: openACL}}
	for _, path := range []string{systemPath, quotaPath, configPath} {
		r := &record{data: []byte{}, acl: openACL}
		if path == configPath {
			r.acl, r.aversion = readOnlyACL, -1
		}
		t.insert(path, r)
	}
	return t
}

// insert puts a node below its existing parent.
func (t *tree) insert(path string, r *record) {
	parent := t.nodes[parentPath(path)]
	if parent.children == nil {
		parent.children = map[string]struct{}{}
	}
	parent.children[lastElement(path)] = struct{}{}
	parent.sorted = nil
	t.nodes[path] = &node{record: r}
	t.index(path, r)
	if t.recording {
		t.undo = append(t.undo, func() { t.remove(path) })
	}
}

// remove takes a childless node away.
func (t *tree) remove(path string) {
	r := t.nodes[path].record
	parent := t.nodes[parentPath(path)]
	delete(parent.children, lastElement(path))
	if len(parent.children) == 0 {
		parent.children = nil
	}
	parent.sorted = nil
	delete(t.nodes, path)
	delete(t.swept, path)
	if mine := t.ephemerals[r.owner]; mine != nil {
		if delete(mine, path); len(mine) == 0 {
			delete(t.ephemerals, r.owner)
		}
	}
	if t.recording {
		t.undo = append(t.undo, func() { t.insert(path, r) })
	}
}

// replace gives a node another record of the same owner.
func (t *tree) replace(path string, r *record) {
	n := t.nodes[path]
	old := n.record
	n.record = r
	if t.recording {
		t.undo = append(t.undo, func() { t.nodes[path].record = old })
	}
}

// index enters a new node in the lists by owner.
func (t *tree) index(path string, r *record) {
	switch {
	case r.isContainer() || r.isTTL():
		t.swept[path] = struct{}{}
	case r.isEphemeral():
		mine := t.ephemerals[r.owner]
		if mine == nil {
			mine = map[string]struct{}{}
			t.ephemerals[r.owner] = mine
		}
		mine[path] = struct{}{}
	}
}

// begin makes what follows revocable, until rollback or commit.
func (t *tree) begin() { t.recording = true }

func (t *tree) commit() { t.recording, t.undo = false, nil }

func (t *tree) rollback() {
	undo := t.undo
	t.commit()
	for _, step := range slices.Backward(undo) {
		step()
	}
}

// children lists the last elements of a node's children, sorted. The slice belongs to the tree.
func (t *tree) children(n *node) []string {
	if n.sorted == nil {
		n.sorted = make([]string, 0, len(n.children))
		for name := range n.children {
			n.sorted = append(n.sorted, name)
		}
		slices.Sort(n.sorted)
	}
	return n.sorted
}

// walk calls f for path and every node below it, parents first.
func (t *tree) walk(path string, f func(path string, n *node)) {
	n := t.nodes[path]
	f(path, n)
	for name := range n.children {
		t.walk(strings.TrimSuffix(path, "/")+"/"+name, f)
	}
}

// ephemeralsOf lists the nodes of a session, sorted.
func (t *tree) ephemeralsOf(session int64) []string {
	paths := make([]string, 0, len(t.ephemerals[session]))
	for path := range t.ephemerals[session] {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

// result is what one write did, as the reply tells it.
type result struct {
	op   opCode
	code code
	path string
	stat stat
	sub  []result // multi
}

// change is what watches may be waiting for. The ACLs are those of the node and of its parent: a watcher that may not
// read is not told.
type change struct {
	kind           eventKind // created, deleted or data changed
	path           string
	acl, parentACL []aclEntry
}

// apply carries a transaction out. Fresh from prepare it always fits; read from a log behind a snapshot of a Java
// server, which is written while transactions go on, it may be in the tree already, and then what is done stays.
func (t *tree) apply(h txnHeader, x *txn) (result, []change) {
	var changes []change
	r := t.applyOne(h, x, &changes)
	t.zxid = h.zxid
	return r, changes
}

func (t *tree) applyOne(h txnHeader, x *txn, changes *[]change) result {
	r := result{op: x.op, path: x.path}
	switch x.op {
	case opCreate, opCreate2, opCreateContainer, opCreateTTL:
		t.applyCreate(h, x, changes)
	case opDelete, opDeleteContainer:
		t.applyDelete(h, x.path, changes)
	case opSetData:
		if n := t.nodes[x.path]; n != nil {
			next := *n.record
			next.data, next.version, next.mzxid, next.mtimeMS = x.data, x.version, h.zxid, h.timeMS
			t.replace(x.path, &next)
			*changes = append(*changes, change{eventDataChanged, x.path, n.acl, nil})
		}
	case opSetACL:
		if n := t.nodes[x.path]; n != nil {
			next := *n.record
			next.acl, next.aversion = x.acl, x.version
			t.replace(x.path, &next)
		}
	case opCheck, opError, opCreateSession:
	case opCloseSession:
		paths := x.paths
		if x.all {
			paths = t.ephemeralsOf(h.session)
		}
		for _, path := range paths {
			t.applyDelete(h, path, changes)
		}
	case opMulti:
		if slices.ContainsFunc(x.sub, func(sub txn) bool { return sub.op == opError }) {
			break // a Java server logs what it refused, too
		}
		for i := range x.sub {
			r.sub = append(r.sub, t.applyOne(h, &x.sub[i], changes))
		}
	default:
		panic(fmt.Sprintf("BUG: transaction of type %d", x.op))
	}
	if n := t.nodes[x.path]; n != nil {
		r.stat = n.stat()
	}
	return r
}

func (t *tree) applyCreate(h txnHeader, x *txn, changes *[]change) {
	at := parentPath(x.path)
	parent := t.nodes[at]
	if parent == nil || x.path == "/" {
		return
	}
	creates := x.version
	if creates == -1 {
		creates = parent.creates + 1
	}
	if creates-parent.creates > 0 { // by difference: the count wraps
		next := *parent.record
		next.creates, next.pzxid = creates, h.zxid
		t.replace(at, &next)
	}
	if t.nodes[x.path] != nil {
		return
	}
	r := &record{
		data: x.data, acl: x.acl, czxid: h.zxid, mzxid: h.zxid, pzxid: h.zxid, ctimeMS: h.timeMS, mtimeMS: h.timeMS,
	}
	switch {
	case x.op == opCreateContainer:
		r.owner = ownerContainer
	case x.op == opCreateTTL:
		r.owner = ownerTTL | x.ttlMS
	case x.ephemeral:
		r.owner = h.session
	}
	t.insert(x.path, r)
	*changes = append(*changes, change{eventCreated, x.path, x.acl, parent.acl})
}

func (t *tree) applyDelete(h txnHeader, path string, changes *[]change) {
	at := parentPath(path)
	parent, n := t.nodes[at], t.nodes[path]
	if parent == nil || isSystemPath(path) {
		return
	}
	if h.zxid > parent.pzxid {
		next := *parent.record
		next.pzxid = h.zxid
		t.replace(at, &next)
	}
	if n == nil || len(n.children) > 0 {
		return
	}
	t.remove(path)
	*changes = append(*changes, change{eventDeleted, path, n.acl, parent.acl})
}
