package zkserver

import (
	"bytes"
	"fmt"
)

// txn is a write that was decided: what the log keeps and the tree applies, first when it happens and again at each
// restart until a snapshot contains it. It says results, not wishes: the full name of a sequential node, the new
// version in place of the expected one. Which fields are set depends on op.
type txn struct {
	op        opCode
	path      string
	data      []byte
	acl       []aclEntry
	ephemeral bool  // create, create2
	ttlMS     int64 // createTTL
	// version is the new version (setData), the new ACL version (setACL) or the count of children ever created
	// below the parent (the creates; -1 in logs of ZooKeeper 3.3: one more than now).
	version   int32
	timeoutMS int32    // createSession
	paths     []string // closeSession: the ephemerals that go with it
	all       bool     // closeSession as written before 3.6: whatever is still there goes
	sub       []txn    // multi
}

// txnHeader stands before each transaction in the log (org.apache.zookeeper.txn.TxnHeader), type apart.
type txnHeader struct {
	session int64
	xid     int32
	zxid    int64
	timeMS  int64 // since 1970
}

// encodeTxn appends header and transaction.
func (e *encoder) txn(h txnHeader, t *txn) {
	e.int64(h.session)
	e.int32(h.xid)
	e.int64(h.zxid)
	e.int64(h.timeMS)
	e.int32(int32(t.op))
	e.txnBody(t)
}

func (e *encoder) txnBody(t *txn) {
	switch t.op {
	case opCreate, opCreate2, opCreateContainer, opCreateTTL:
		e.string(t.path)
		e.buffer(t.data)
		e.acl(t.acl)
		if t.op == opCreate || t.op == opCreate2 {
			e.bool(t.ephemeral)
		}
		e.int32(t.version)
		if t.op == opCreateTTL {
			e.int64(t.ttlMS)
		}
	case opDelete, opDeleteContainer:
		e.string(t.path)
	case opSetData:
		e.string(t.path)
		e.buffer(t.data)
		e.int32(t.version)
	case opSetACL:
		e.string(t.path)
		e.acl(t.acl)
		e.int32(t.version)
	case opCheck:
		e.string(t.path)
		e.int32(t.version)
	case opCreateSession:
		e.int32(t.timeoutMS)
	case opCloseSession:
		e.strings(t.paths)
	case opMulti:
		e.int32(int32(len(t.sub)))
		for i := range t.sub {
			e.int32(int32(t.sub[i].op))
			var body encoder
			body.txnBody(&t.sub[i])
			e.buffer(body.b)
		}
	default:
		panic(fmt.Sprintf("BUG: transaction of type %d", t.op))
	}
}

// decodeTxn reads what encoder.txn or a Java server wrote. Bytes behind the transaction (the digest of ZooKeeper 3.6
// and later) are ignored.
func decodeTxn(b []byte) (txnHeader, *txn, error) {
	d := decoder{b: b}
	h := txnHeader{d.int64(), d.int32(), d.int64(), d.int64()}
	t := &txn{op: opCode(d.int32())}
	if d.err != nil {
		return h, nil, d.err
	}
	body := d.b
	d.txnBody(t, true)
	if d.err != nil && t.op == opCreate { // as written before 3.4: without the parent's count
		*t = txn{op: opCreate}
		d = decoder{b: body}
		d.createBody(t)
		t.version = -1
	}
	if d.err != nil && t.op == opCloseSession {
		*t, d.err = txn{op: opCloseSession, all: true}, nil
	}
	if d.err != nil {
		return h, nil, fmt.Errorf("transaction 0x%x of type %d: %w", h.zxid, t.op, d.err)
	}
	return h, t, nil
}

func (d *decoder) createBody(t *txn) {
	t.path = d.string()
	t.data = bytes.Clone(d.buffer())
	t.acl = decodeACL(d)
	if t.op == opCreate || t.op == opCreate2 {
		t.ephemeral = d.bool()
	}
}

// txnBody reads the body of t.op; only an outer transaction may be a multi or about a session.
func (d *decoder) txnBody(t *txn, outer bool) {
	switch {
	case t.op == opCreate || t.op == opCreate2 || t.op == opCreateContainer || t.op == opCreateTTL:
		d.createBody(t)
		t.version = d.int32()
		if t.op == opCreateTTL {
			t.ttlMS = d.int64()
		}
	case t.op == opDelete || t.op == opDeleteContainer:
		t.path = d.string()
	case t.op == opSetData || t.op == opReconfig:
		t.op = opSetData
		t.path = d.string()
		t.data = bytes.Clone(d.buffer())
		t.version = d.int32()
	case t.op == opSetACL:
		t.path = d.string()
		t.acl = decodeACL(d)
		t.version = d.int32()
	case t.op == opCheck:
		t.path = d.string()
		t.version = d.int32()
	case t.op == opError:
		d.int32()
	case t.op == opCreateSession && outer:
		t.timeoutMS = d.int32()
	case t.op == opCloseSession && outer:
		t.paths = d.strings()
	case t.op == opMulti && outer:
		t.sub = make([]txn, d.count(8))
		for i := range t.sub {
			t.sub[i].op = opCode(d.int32())
			body := decoder{b: d.buffer()}
			body.txnBody(&t.sub[i], false)
			if body.err != nil {
				d.fail()
			}
		}
	default:
		d.fail()
	}
}
