package zkserver

import "fmt"

// asker is on whose behalf a write is asked for.
type asker struct {
	session int64
	ids     []identity
}

// prepare decides a write: the transaction that carries it out, or why not. The order of its checks is that of
// PrepRequestProcessor, so that a request with two faults is refused with the same code. The tree is only read.
func (t *tree) prepare(r *request, by asker) (txn, code) {
	switch r.op {
	case opCreate, opCreate2, opCreateContainer, opCreateTTL:
		return t.prepareCreate(r, by)
	case opDelete:
		return t.prepareDelete(r, by)
	case opSetData:
		n, c := t.writable(r.path, permWrite, by)
		if c == ok {
			c = checkVersion(n.version, r.version)
		}
		if c != ok {
			return txn{}, c
		}
		return txn{op: opSetData, path: r.path, data: r.data, version: nextVersion(n.version)}, ok
	case opSetACL:
		return t.prepareSetACL(r, by)
	case opCheck:
		n, c := t.writable(r.path, permRead, by)
		if c == ok {
			c = checkVersion(n.version, r.version)
		}
		return txn{op: opCheck, path: r.path, version: r.version}, c
	}
	panic(fmt.Sprintf("BUG: request of type %d is no write", r.op))
}

// writable finds the node of a write and checks the asker's permission on it.
func (t *tree) writable(path string, perm int32, by asker) (*node, code) {
	if !validPath(path) {
		return nil, codeBadArguments
	}
	n := t.nodes[path]
	if n == nil {
		return nil, codeNoNode
	}
	if !allowed(n.acl, perm, by.ids) {
		return nil, codeNoAuth
	}
	return n, ok
}

// checkVersion compares the version a client expects with the one there is; -1 expects any.
func checkVersion(current, expected int32) code {
	if expected != -1 && expected != current {
		return codeBadVersion
	}
	return ok
}

// nextVersion counts on and leaves out -1, which could never be expected.
func nextVersion(v int32) int32 {
	if v == -2 {
		return 0
	}
	return v + 1
}

func (t *tree) prepareCreate(r *request, by asker) (txn, code) {
	x := txn{op: r.op, path: r.path, data: r.data, ttlMS: r.ttlMS}
	sequential := false
	switch r.flags {
	case flagPersistent, flagContainer, flagPersistentTTL:
	case flagEphemeral:
		x.ephemeral = true
	case flagEphemeralSequential:
		x.ephemeral, sequential = true, true
	case flagPersistentSequential, flagPersistentSequentialTTL:
		sequential = true
	default:
		return txn{}, codeBadArguments
	}
	if r.flags == flagContainer {
		x.op = opCreateContainer
	}
	ttl := r.flags == flagPersistentTTL || r.flags == flagPersistentSequentialTTL
	if ttl != (r.op == opCreateTTL) || ttl && (r.ttlMS <= 0 || r.ttlMS > maxTTLMS) {
		return txn{}, codeBadArguments
	}
	if !hasParent(r.path) {
		return txn{}, codeBadArguments
	}
	acl, c := fixACL(r.acl, by.ids)
	if c != ok {
		return txn{}, c
	}
	parent := t.nodes[parentPath(r.path)]
	if parent == nil {
		return txn{}, codeNoNode
	}
	if !allowed(parent.acl, permCreate, by.ids) {
		return txn{}, codeNoAuth
	}
	if sequential {
		x.path += fmt.Sprintf("%010d", parent.creates)
	}
	switch {
	case !validPath(x.path):
		return txn{}, codeBadArguments
	case t.nodes[x.path] != nil:
		return txn{}, codeNodeExists
	case parent.isEphemeral():
		return txn{}, codeNoChildrenForEphemeral
	}
	x.acl, x.version = acl, parent.creates+1
	return x, ok
}

func (t *tree) prepareDelete(r *request, by asker) (txn, code) {
	if !hasParent(r.path) || isSystemPath(r.path) {
		return txn{}, codeBadArguments
	}
	parent := t.nodes[parentPath(r.path)]
	if parent == nil {
		return txn{}, codeNoNode
	}
	if !allowed(parent.acl, permDelete, by.ids) {
		return txn{}, codeNoAuth
	}
	n := t.nodes[r.path]
	if n == nil {
		return txn{}, codeNoNode
	}
	if c := checkVersion(n.version, r.version); c != ok {
		return txn{}, c
	}
	if len(n.children) > 0 {
		return txn{}, codeNotEmpty
	}
	return txn{op: opDelete, path: r.path}, ok
}

func (t *tree) prepareSetACL(r *request, by asker) (txn, code) {
	if !validPath(r.path) {
		return txn{}, codeBadArguments
	}
	acl, c := fixACL(r.acl, by.ids)
	if c != ok {
		return txn{}, c
	}
	n, c := t.writable(r.path, permAdmin, by)
	if c == ok {
		c = checkVersion(n.aversion, r.version)
	}
	if c != ok {
		return txn{}, c
	}
	return txn{op: opSetACL, path: r.path, acl: acl, version: nextVersion(n.aversion)}, ok
}

// write decides and carries out one write, a multi as a whole or not at all. The transaction is nil when nothing was
// done; the results of a refused multi name the first fault.
func (t *tree) write(r *request, by asker, h txnHeader) (result, *txn, []change) {
	if r.op == opMulti {
		return t.writeMulti(r, by, h)
	}
	x, c := t.prepare(r, by)
	if c != ok {
		return result{op: r.op, code: c}, nil, nil
	}
	res, changes := t.apply(h, &x)
	res.op = r.op
	return res, &x, changes
}

func (t *tree) writeMulti(r *request, by asker, h txnHeader) (result, *txn, []change) {
	all := &txn{op: opMulti}
	res := result{op: opMulti}
	var changes []change
	t.begin()
	for i := range r.ops {
		x, c := t.prepare(&r.ops[i], by)
		if c != ok {
			t.rollback()
			return result{op: opMulti, sub: refusals(len(r.ops), i, c)}, nil, nil
		}
		done := t.applyOne(h, &x, &changes)
		done.op = r.ops[i].op
		res.sub = append(res.sub, done)
		all.sub = append(all.sub, x)
	}
	t.commit()
	t.zxid = h.zxid
	return res, all, changes
}

// refusals are the results of a multi of n ops whose op `at` failed: none before it happened, none behind it was
// tried.
func refusals(n, at int, c code) []result {
	sub := make([]result, n)
	for i := range sub {
		sub[i].op = opError
		if i == at {
			sub[i].code = c
		} else if i > at {
			sub[i].code = codeRuntimeInconsistency
		}
	}
	return sub
}
