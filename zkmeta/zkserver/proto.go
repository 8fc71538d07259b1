package zkserver

import (
	"bytes"
	"slices"
)

// opCode is the type of a request (ZooDefs.OpCode), of a result in a multi, and of a transaction in the log.
type opCode int32

const (
	opCreate            opCode = 1
	opDelete            opCode = 2
	opExists            opCode = 3
	opGetData           opCode = 4
	opSetData           opCode = 5
	opGetACL            opCode = 6
	opSetACL            opCode = 7
	opGetChildren       opCode = 8
	opSync              opCode = 9
	opPing              opCode = 11
	opGetChildren2      opCode = 12
	opCheck             opCode = 13
	opMulti             opCode = 14
	opCreate2           opCode = 15
	opReconfig          opCode = 16
	opCheckWatches      opCode = 17
	opRemoveWatches     opCode = 18
	opCreateContainer   opCode = 19
	opDeleteContainer   opCode = 20
	opCreateTTL         opCode = 21
	opMultiRead         opCode = 22
	opAuth              opCode = 100
	opSetWatches        opCode = 101
	opGetEphemerals     opCode = 103
	opAllChildrenNumber opCode = 104
	opSetWatches2       opCode = 105
	opAddWatch          opCode = 106
	opWhoAmI            opCode = 107
	opCreateSession     opCode = -10
	opCloseSession      opCode = -11
	opError             opCode = -1
)

// opNames are the four letters `cons` and `stat` show for the last operation of a connection.
var opNames = map[opCode]string{
	opCreate: "CREA", opCreate2: "CREA", opCreateContainer: "CREA", opCreateTTL: "CREA", opDelete: "DELE",
	opExists: "EXIS", opGetData: "GETD", opSetData: "SETD", opGetACL: "GETA", opSetACL: "SETA", opGetChildren: "GETC",
	opGetChildren2: "GETC", opAllChildrenNumber: "GETACN", opSync: "SYNC", opPing: "PING", opCheck: "CHEC",
	opMulti: "MULT", opMultiRead: "MLTR", opCheckWatches: "CHKW", opRemoveWatches: "REMW", opSetWatches: "SETW",
	opSetWatches2: "STW2", opAddWatch: "ADDW", opWhoAmI: "HOMI", opGetEphemerals: "GETE", opCreateSession: "SESS",
	opCloseSession: "CLOS", opAuth: "AUTH",
}

// code is a result as the reply header carries it (KeeperException.Code).
type code int32

const (
	ok                         code = 0
	codeRuntimeInconsistency   code = -2
	codeMarshallingError       code = -5
	codeUnimplemented          code = -6
	codeBadArguments           code = -8
	codeNoNode                 code = -101
	codeNoAuth                 code = -102
	codeBadVersion             code = -103
	codeNoChildrenForEphemeral code = -108
	codeNodeExists             code = -110
	codeNotEmpty               code = -111
	codeInvalidACL             code = -114
	codeAuthFailed             code = -115
	codeNoWatcher              code = -121
	codeReconfigDisabled       code = -123
)

// Xids the protocol reserves; clients count their own from 1.
const (
	xidNotification int32 = -1
	xidPing         int32 = -2
)

// Flags of a create request (CreateMode).
const (
	flagPersistent              int32 = 0
	flagEphemeral               int32 = 1
	flagPersistentSequential    int32 = 2
	flagEphemeralSequential     int32 = 3
	flagContainer               int32 = 4
	flagPersistentTTL           int32 = 5
	flagPersistentSequentialTTL int32 = 6
)

// connectRequest is the first frame of a connection.
type connectRequest struct {
	lastZxidSeen int64
	timeoutMS    int32
	sessionID    int64
	password     []byte
	// hasReadOnly tells clients since 3.4, whose frame ends with a read-only flag and who expect one back.
	hasReadOnly bool
}

func decodeConnect(frame []byte) (*connectRequest, error) {
	d := decoder{b: frame}
	var r connectRequest
	d.int32() // protocol version: every client sends 0
	r.lastZxidSeen = d.int64()
	r.timeoutMS = d.int32()
	r.sessionID = d.int64()
	r.password = bytes.Clone(d.buffer())
	if r.hasReadOnly = len(d.b) > 0; r.hasReadOnly {
		d.bool()
	}
	return &r, d.err
}

// encodeConnectReply is the answer to a connect request. A refused session is told by all zeros.
func encodeConnectReply(timeoutMS int32, sessionID int64, password []byte, withReadOnly bool) []byte {
	e := newFrame(64)
	e.int32(0)
	e.int32(timeoutMS)
	e.int64(sessionID)
	e.buffer(password)
	if withReadOnly {
		e.bool(false)
	}
	return e.frame()
}

// request is any request after the first frame. Which fields are set depends on op; see decodeBody.
type request struct {
	xid     int32
	op      opCode
	path    string
	data    []byte // of create, set and auth; a copy, free to be kept
	acl     []aclEntry
	flags   int32 // create
	ttlMS   int64 // createTTL, else -1
	version int32
	watch   bool
	mode    int32     // addWatch: AddWatchMode; checkWatches, removeWatches: WatcherType
	scheme  string    // auth
	seen    int64     // setWatches: the last zxid the client has seen
	rearm   *watchSet // setWatches
	ops     []request
	size    int  // bytes of the frame
	broken  bool // the header was read, the body was not
	alien   bool // a multi with an op that cannot stand in it; ops ends before it
}

// watchSet is what a client had set when it lost its connection.
type watchSet struct {
	data, exist, child, persistent, recursive []string
}

// decodeRequest reads a frame after the first. An error means not even the header could be read.
func decodeRequest(frame []byte) (*request, error) {
	d := decoder{b: frame}
	r := &request{xid: d.int32(), op: opCode(d.int32()), size: len(frame)}
	if d.err != nil {
		return nil, d.err
	}
	r.decodeBody(&d)
	r.broken = d.err != nil
	return r, nil
}

// decodeBody reads the body that goes with r.op. An op it does not know has no body it could read.
func (r *request) decodeBody(d *decoder) {
	r.ttlMS = -1
	switch r.op {
	case opCreate, opCreate2, opCreateContainer, opCreateTTL:
		r.path = d.string()
		r.data = bytes.Clone(d.buffer())
		r.acl = decodeACL(d)
		r.flags = d.int32()
		if r.op == opCreateTTL {
			r.ttlMS = d.int64()
		}
	case opDelete, opCheck:
		r.path = d.string()
		r.version = d.int32()
	case opSetData:
		r.path = d.string()
		r.data = bytes.Clone(d.buffer())
		r.version = d.int32()
	case opSetACL:
		r.path = d.string()
		r.acl = decodeACL(d)
		r.version = d.int32()
	case opExists, opGetData, opGetChildren, opGetChildren2:
		r.path = d.string()
		r.watch = d.bool()
	case opGetACL, opSync, opAllChildrenNumber, opGetEphemerals:
		r.path = d.string()
	case opCheckWatches, opRemoveWatches, opAddWatch:
		r.path = d.string()
		r.mode = d.int32()
	case opSetWatches, opSetWatches2:
		r.seen = d.int64()
		r.rearm = &watchSet{data: d.strings(), exist: d.strings(), child: d.strings()}
		if r.op == opSetWatches2 {
			r.rearm.persistent, r.rearm.recursive = d.strings(), d.strings()
		}
	case opAuth:
		d.int32()
		r.scheme = d.string()
		r.data = bytes.Clone(d.buffer())
	case opMulti:
		r.decodeMulti(d, opCreate, opCreate2, opCreateContainer, opCreateTTL, opDelete, opSetData, opCheck)
	case opMultiRead:
		r.decodeMulti(d, opGetChildren, opGetData)
	}
}

// decodeMulti reads the list of ops of a multi, each behind a header {type, done, err}; the last header says done.
// Another op than the allowed ones ends the reading, since nobody knows its length.
func (r *request) decodeMulti(d *decoder, allowed ...opCode) {
	for d.err == nil {
		op, done := opCode(d.int32()), d.bool()
		d.int32()
		if done || d.err != nil {
			return
		}
		sub := request{xid: r.xid, op: op}
		if !slices.Contains(allowed, op) {
			r.alien = true
			return
		}
		sub.decodeBody(d)
		r.ops = append(r.ops, sub)
	}
}

// stat is what clients are told of a znode (org.apache.zookeeper.data.Stat).
type stat struct {
	czxid, mzxid   int64
	ctime, mtime   int64 // milliseconds since 1970
	version        int32
	cversion       int32
	aversion       int32
	ephemeralOwner int64
	dataLength     int32
	numChildren    int32
	pzxid          int64
}

func (e *encoder) stat(s stat) {
	e.int64(s.czxid)
	e.int64(s.mzxid)
	e.int64(s.ctime)
	e.int64(s.mtime)
	e.int32(s.version)
	e.int32(s.cversion)
	e.int32(s.aversion)
	e.int64(s.ephemeralOwner)
	e.int32(s.dataLength)
	e.int32(s.numChildren)
	e.int64(s.pzxid)
}

// newFrame starts a frame: the length is filled in by frame.
func newFrame(sizeHint int) *encoder { return &encoder{b: make([]byte, 4, 4+sizeHint)} }

func (e *encoder) frame() []byte {
	n := len(e.b) - 4
	e.b[0], e.b[1], e.b[2], e.b[3] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	return e.b
}

// newReply starts a reply frame with its header.
func newReply(xid int32, zxid int64, c code, sizeHint int) *encoder {
	e := newFrame(16 + sizeHint)
	e.int32(xid)
	e.int64(zxid)
	e.int32(int32(c))
	return e
}

// stateSyncConnected is what every event says of the connection (Watcher.Event.KeeperState).
const stateSyncConnected int32 = 3

// encodeEvent is the frame of a watch event.
func encodeEvent(kind eventKind, path string) []byte {
	e := newReply(xidNotification, -1, ok, 16+len(path))
	e.int32(int32(kind))
	e.int32(stateSyncConnected)
	e.string(path)
	return e.frame()
}
