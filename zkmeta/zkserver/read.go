package zkserver

import (
	"fmt"
	"strings"
)

// read answers a request that changes nothing but the asker's watches: the body of the reply, appended to e, or why
// there is none. It runs on the loop's goroutine.
func (l *loop) read(c *conn, r *request, e *encoder) code {
	switch r.op {
	case opSync:
		e.string(r.path)
		return ok
	case opExists:
		return l.exists(c, r, e)
	case opGetData, opGetChildren, opGetChildren2:
		return l.get(c, r, e)
	case opGetACL:
		return l.getACL(c, r, e)
	case opAllChildrenNumber:
		n, code := l.readable(r.path, c)
		if n != nil {
			count := int32(-1) // the node itself
			l.tree.walk(r.path, func(string, *node) { count++ })
			e.int32(count)
		}
		return code
	case opGetEphemerals:
		var mine []string
		for _, path := range l.tree.ephemeralsOf(c.session.id) {
			if strings.HasPrefix(path, strings.TrimSpace(r.path)) {
				mine = append(mine, path)
			}
		}
		e.strings(mine)
		return ok
	case opWhoAmI:
		e.int32(int32(len(c.ids)))
		for _, id := range c.ids {
			e.string(id.scheme)
			e.string(id.user())
		}
		return ok
	case opMultiRead:
		for i := range r.ops {
			l.multiReadOne(c, &r.ops[i], e)
		}
		e.multiHeader(opError, true, -1)
		return ok
	case opSetWatches, opSetWatches2:
		l.setWatches(c, r)
		return ok
	case opAddWatch:
		if !l.watches.add(r.path, c, r.mode) {
			return codeMarshallingError
		}
		e.int32(int32(ok))
		return ok
	case opCheckWatches:
		if !l.watches.has(r.path, c, r.mode) {
			return codeNoWatcher
		}
		return ok
	case opRemoveWatches:
		if !l.watches.remove(r.path, c, r.mode) {
			return codeNoWatcher
		}
		return ok
	case opReconfig:
		return codeReconfigDisabled
	}
	return codeUnimplemented
}

// readable finds a node the connection may read.
func (l *loop) readable(path string, c *conn) (*node, code) {
	n := l.tree.nodes[path]
	if n == nil {
		return nil, codeNoNode
	}
	if !allowed(n.acl, permRead, c.ids) {
		return nil, codeNoAuth
	}
	return n, ok
}

// exists sets its watch also, and just then, when there is no node.
func (l *loop) exists(c *conn, r *request, e *encoder) code {
	if strings.Contains(r.path, "\x00") {
		return codeBadArguments
	}
	n, code := l.readable(r.path, c)
	if r.watch && code != codeNoAuth {
		l.watches.data.add(r.path, c, watchOnce)
	}
	if n != nil {
		e.stat(n.stat())
	}
	return code
}

func (l *loop) get(c *conn, r *request, e *encoder) code {
	n, code := l.readable(r.path, c)
	if n == nil {
		return code
	}
	table := l.watches.child
	switch r.op {
	case opGetData:
		table = l.watches.data
		st := n.stat()
		data := n.data
		if quota := l.tree.quotaStats(r.path); quota != nil {
			data, st.dataLength = quota, int32(len(quota))
		}
		e.buffer(data)
		e.stat(st)
	case opGetChildren:
		e.strings(l.tree.children(n))
	case opGetChildren2:
		e.strings(l.tree.children(n))
		e.stat(n.stat())
	}
	if r.watch {
		table.add(r.path, c, watchOnce)
	}
	return ok
}

// getACL shows password hashes only to those who may set the ACL.
func (l *loop) getACL(c *conn, r *request, e *encoder) code {
	n := l.tree.nodes[r.path]
	if n == nil {
		return codeNoNode
	}
	if !allowed(n.acl, permRead|permAdmin, c.ids) {
		return codeNoAuth
	}
	acl := n.acl
	if !allowed(n.acl, permAdmin, c.ids) {
		acl = maskACL(acl)
	}
	e.acl(acl)
	e.stat(n.stat())
	return ok
}

// multiReadOne answers one op of a multiRead; each succeeds or fails for itself.
func (l *loop) multiReadOne(c *conn, r *request, e *encoder) {
	n, code := l.readable(r.path, c)
	if n == nil {
		e.multiError(code)
		return
	}
	e.multiHeader(r.op, false, ok)
	l.get(c, r, e)
}

// setWatches puts back the watches of a client that reconnected. What happened since the zxid it had seen is told at
// once in place of the watch.
func (l *loop) setWatches(c *conn, r *request) {
	tell := func(kind eventKind, path string) { l.deliver(c, encodeEvent(kind, path)) }
	for _, path := range r.rearm.data {
		switch n := l.tree.nodes[path]; {
		case n == nil:
			tell(eventDeleted, path)
		case n.mzxid > r.seen:
			tell(eventDataChanged, path)
		default:
			l.watches.data.add(path, c, watchOnce)
		}
	}
	for _, path := range r.rearm.exist {
		if l.tree.nodes[path] != nil {
			tell(eventCreated, path)
		} else {
			l.watches.data.add(path, c, watchOnce)
		}
	}
	for _, path := range r.rearm.child {
		switch n := l.tree.nodes[path]; {
		case n == nil:
			tell(eventDeleted, path)
		case n.pzxid > r.seen:
			tell(eventChildrenChanged, path)
		default:
			l.watches.child.add(path, c, watchOnce)
		}
	}
	for _, path := range r.rearm.persistent {
		l.watches.add(path, c, addPersistent)
	}
	for _, path := range r.rearm.recursive {
		l.watches.add(path, c, addPersistentRecursive)
	}
}

// encodeResult appends the body of a write's reply.
func (e *encoder) result(r result) {
	switch r.op {
	case opCreate:
		e.string(r.path)
	case opCreate2, opCreateContainer, opCreateTTL:
		e.string(r.path)
		e.stat(r.stat)
	case opSetData, opSetACL:
		e.stat(r.stat)
	case opMulti:
		for _, sub := range r.sub {
			if sub.op == opError {
				e.multiError(sub.code)
				continue
			}
			if sub.op == opCreateContainer || sub.op == opCreateTTL {
				sub.op = opCreate2
			}
			e.multiHeader(sub.op, false, ok)
			e.result(sub)
		}
		e.multiHeader(opError, true, -1)
	}
}

// multiHeader stands before each result of a multi; the one that says done ends the list.
func (e *encoder) multiHeader(op opCode, done bool, c code) {
	e.int32(int32(op))
	e.bool(done)
	e.int32(int32(c))
}

func (e *encoder) multiError(c code) {
	e.multiHeader(opError, false, c)
	e.int32(int32(c))
}

// quotaStats is the data of /zookeeper/quota/PATH/zookeeper_stats: how many nodes and bytes there are from PATH
// down. It is counted when somebody reads it; nil for every other node. Quotas are shown here, not enforced, as in
// ZooKeeper by default.
func (t *tree) quotaStats(path string) []byte {
	of, found := strings.CutSuffix(path, "/zookeeper_stats")
	if !found || !strings.HasPrefix(of, quotaPath) {
		return nil
	}
	of = "/" + strings.TrimPrefix(strings.TrimPrefix(of, quotaPath), "/")
	if t.nodes[of] == nil {
		return nil
	}
	count, size := 0, 0
	t.walk(of, func(_ string, n *node) {
		count++
		size += len(n.data)
	})
	return fmt.Appendf(nil, "count=%d,bytes=%d", count, size)
}
