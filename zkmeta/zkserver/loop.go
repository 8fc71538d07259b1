package zkserver

import (
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// loop is the one owner of the tree, the sessions and the watches. It takes messages one at a time, changes memory,
// and adds log entries and frames to a batch; the committer makes the batch durable and only then lets its frames go.
// So nobody is told of anything that a crash could take back, whether he wrote it, read it or watched it, and no lock
// is held while the disk works: what arrives meanwhile gathers in the next batch.
type loop struct {
	opts  Options
	log   *zap.Logger
	stats *stats
	// port and connections are for the words; Start sets them before run.
	port        int
	connections func() []*conn

	tree     *tree
	sessions *sessions
	watches  watches
	batch    batch
	unsaved  int         // transactions since the last snapshot
	saving   atomic.Bool // a snapshot is under way; the committer takes it back

	inbox   chan message
	commits chan batch
	stop    chan struct{} // closed to end run
	done    chan struct{} // closed when run has ended
}

// batch is what the loop has done since the committer took the last one.
type batch struct {
	entries    []byte // log entries, framed
	first      int64  // zxid of the first entry
	deliveries []delivery
	snapshot   *snapshot // taken when it was time for one, of a moment within the batch
}

// delivery is a frame for a connection.
type delivery struct {
	conn     *conn
	frame    []byte
	done     int  // size of the request that is answered
	last     bool // the connection ends with it
	received time.Time
}

// restartTxns is how many transactions a start may have to read again; when there are more, the last act of a server
// is a snapshot.
const restartTxns = 5000

// batchLimit is how many bytes of log entries may wait for the disk before the loop waits too.
const batchLimit = 4 << 20

func newLoop(opts Options, stats *stats, log *zap.Logger) *loop {
	return &loop{
		opts: opts, log: log, stats: stats,
		tree: newTree(), sessions: newSessions(opts.TickTime, time.Now()), watches: newWatches(),
		inbox: make(chan message, 64), commits: make(chan batch),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
}

// load takes over what the files held. Sessions get their whole timeout again: their clients could not be heard.
func (l *loop) load(st *state) {
	l.tree, l.unsaved = st.tree, st.replayed
	for id, timeout := range st.sessions {
		l.sessions.add(id, max(timeout, l.opts.MinSessionTimeout))
	}
}

// post hands a message to the loop; false means the loop has ended.
func (l *loop) post(m message) bool {
	select {
	case l.inbox <- m:
		return true
	case <-l.done:
		return false
	}
}

// run works until stop. It closes commits behind the last batch.
func (l *loop) run() {
	defer close(l.commits)
	defer close(l.done)
	ticks := time.NewTicker(l.opts.TickTime)
	defer ticks.Stop()
	sweeps := time.NewTicker(l.opts.ContainerCheckInterval)
	defer sweeps.Stop()
	for {
		l.maybeSnapshot(l.opts.SnapCount)
		inbox, commits, tick := l.inbox, l.commits, ticks.C
		if len(l.batch.deliveries) == 0 && len(l.batch.entries) == 0 {
			commits = nil
		}
		if len(l.batch.entries) > batchLimit {
			inbox, tick = nil, nil // nobody can be heard meanwhile, so nobody expires
		}
		select {
		case m := <-inbox:
			l.handle(m)
		case commits <- l.batch:
			l.batch = batch{}
		case <-tick:
			l.expire()
		case <-sweeps.C:
			l.sweep(time.Now())
		case <-l.stop:
			l.maybeSnapshot(restartTxns)
			l.commits <- l.batch
			return
		}
	}
}

func (l *loop) handle(m message) {
	c := m.conn
	switch {
	case m.gone:
		l.release(c)
	case m.word != "":
		l.dismiss(c, []byte(l.answer(m.word)))
	case m.connect != nil:
		l.connect(m)
	case c.session == nil: // it was closed while the request was on its way
	default:
		l.sessions.touch(c.session)
		l.request(m)
		c.last = lastRequest{m.request.op, m.request.xid, l.tree.zxid, time.Now()}
	}
}

// connect attaches a connection to a new session or to its old one.
func (l *loop) connect(m message) {
	c, r := m.conn, m.connect
	if r.lastZxidSeen > l.tree.zxid {
		l.log.Info("client has seen a later zxid than this server's last, refused",
			zap.String("seen", hex(r.lastZxidSeen)), zap.String("last", hex(l.tree.zxid)))
		l.dismiss(c, nil)
		return
	}
	timeout := time.Duration(r.timeoutMS) * time.Millisecond
	timeout = min(max(timeout, l.opts.MinSessionTimeout), l.opts.MaxSessionTimeout)
	x := l.sessionFor(c, r, timeout)
	if x == nil {
		l.dismiss(c, encodeConnectReply(0, 0, make([]byte, 16), r.hasReadOnly))
		return
	}
	if old := x.conn; old != nil { // the client gave that one up; the server may not have noticed
		l.release(old)
		l.dismiss(old, nil)
	}
	x.conn, c.session = c, x
	x.timeout = timeout
	l.sessions.touch(x)
	c.last = lastRequest{opCreateSession, 0, l.tree.zxid, time.Now()}
	frame := encodeConnectReply(int32(timeout.Milliseconds()), x.id, sessionPassword(x.id), r.hasReadOnly)
	l.batch.deliveries = append(l.batch.deliveries, delivery{conn: c, frame: frame, received: m.received})
}

// sessionFor makes a session or finds the one the client had; nil when that is over or the password is wrong.
func (l *loop) sessionFor(c *conn, r *connectRequest, timeout time.Duration) *session {
	if r.sessionID == 0 {
		x := l.sessions.add(l.sessions.newID(), timeout)
		l.commit(x.id, 0, &txn{op: opCreateSession, timeoutMS: int32(timeout.Milliseconds())})
		return x
	}
	if string(r.password) != string(sessionPassword(r.sessionID)) {
		l.log.Warn("wrong password for session", zap.String("session", hex(r.sessionID)), zap.String("client", c.ip))
		return nil
	}
	return l.sessions.byID[r.sessionID]
}

// release parts a connection from its session and its watches.
func (l *loop) release(c *conn) {
	l.watches.forget(c)
	if c.session != nil {
		c.session.conn, c.session = nil, nil
	}
}

// dismiss ends a connection, behind a last frame if there is one.
func (l *loop) dismiss(c *conn, frame []byte) {
	l.batch.deliveries = append(l.batch.deliveries, delivery{conn: c, frame: frame, last: true})
}

// request answers one request of a connection with a session.
func (l *loop) request(m message) {
	c, r := m.conn, m.request
	if r.broken || r.alien { // ZooKeeper lives on with a client that sends garbage; here the garbage ends it
		l.reply(m, newReply(r.xid, l.tree.zxid, codeMarshallingError, 0), r.broken)
		return
	}
	switch r.op {
	case opPing:
		l.reply(m, newReply(xidPing, l.tree.zxid, ok, 0), false)
	case opAuth:
		l.authenticate(m)
	case opCloseSession:
		l.closeSession(c.session, r.xid)
		l.reply(m, newReply(r.xid, l.tree.zxid, ok, 0), true)
	case opCreate, opCreate2, opCreateContainer, opCreateTTL, opDelete, opSetData, opSetACL, opCheck, opMulti:
		l.write(m)
	default:
		body := &encoder{}
		code := l.read(c, r, body)
		e := newReply(r.xid, l.tree.zxid, code, len(body.b))
		if code == ok {
			e.b = append(e.b, body.b...)
		}
		l.reply(m, e, false)
	}
}

// authenticate adds an identity to the connection, or ends it.
func (l *loop) authenticate(m message) {
	c, r := m.conn, m.request
	id, good := authenticate(r.scheme, r.data, c.ip)
	if !good {
		l.log.Warn("authentication failed", zap.String("scheme", r.scheme), zap.String("client", c.ip))
		l.reply(m, newReply(r.xid, 0, codeAuthFailed, 0), true)
		return
	}
	if !slices.Contains(c.ids, id) {
		c.ids = append(c.ids, id)
	}
	l.reply(m, newReply(r.xid, 0, ok, 0), false)
}

// write carries out a write, logs it, tells the watchers and answers, in this order.
func (l *loop) write(m message) {
	c, r := m.conn, m.request
	h := l.header(c.session.id, r.xid)
	res, t, changes := l.tree.write(r, asker{c.session.id, c.ids}, h)
	if t != nil {
		l.record(h, t)
		l.fire(changes)
	}
	e := newReply(r.xid, l.tree.zxid, res.code, 128)
	if res.code == ok {
		e.result(res)
	}
	l.reply(m, e, false)
}

// closeSession ends a session, and its ephemeral nodes with it. What becomes of its connection is the caller's, but
// its watches are not told any more.
func (l *loop) closeSession(x *session, xid int32) {
	if x.conn != nil {
		l.release(x.conn)
	}
	l.sessions.remove(x)
	l.commit(x.id, xid, &txn{op: opCloseSession, paths: l.tree.ephemeralsOf(x.id)})
}

// expire closes the sessions whose clients were not heard for too long.
func (l *loop) expire() {
	for _, x := range l.sessions.advance() {
		l.log.Info("Expiring session", zap.String("session", hex(x.id)), zap.Duration("timeout", x.timeout))
		c := x.conn
		l.closeSession(x, 0)
		if c != nil {
			l.dismiss(c, nil)
		}
	}
}

// sweep deletes containers that have lost their last child, and TTL nodes without children that nobody has changed
// for longer than their time to live.
func (l *loop) sweep(now time.Time) {
	for path := range l.tree.swept {
		n := l.tree.nodes[path]
		idleMS := now.UnixMilli() - n.mtimeMS
		switch {
		case len(n.children) > 0:
		case n.isContainer() && n.creates == 0:
		case n.isTTL() && idleMS <= n.owner&maxTTLMS:
		default:
			l.commit(0, 0, &txn{op: opDeleteContainer, path: path})
		}
	}
}

// commit carries out a transaction that needs no decision: applies it, logs it, tells the watchers.
func (l *loop) commit(session int64, xid int32, t *txn) {
	h := l.header(session, xid)
	_, changes := l.tree.apply(h, t)
	l.record(h, t)
	l.fire(changes)
}

// header is that of the next transaction.
func (l *loop) header(session int64, xid int32) txnHeader {
	return txnHeader{session, xid, l.tree.zxid + 1, time.Now().UnixMilli()}
}

// record adds an applied transaction to the batch, if there is a log.
func (l *loop) record(h txnHeader, t *txn) {
	if l.opts.Dir == "" {
		return
	}
	if len(l.batch.entries) == 0 {
		l.batch.first = h.zxid
	}
	l.batch.entries = appendEntry(l.batch.entries, h, t)
	l.unsaved++
}

// maybeSnapshot puts a snapshot into the batch when there are so many transactions since the last one, and that one
// is written.
func (l *loop) maybeSnapshot(txns int) {
	if l.unsaved >= txns && l.saving.CompareAndSwap(false, true) {
		l.batch.snapshot = takeSnapshot(l.tree, l.sessions.timeouts())
		l.unsaved = 0
	}
}

func (l *loop) fire(changes []change) {
	for _, ch := range changes {
		for _, ev := range l.watches.fire(ch) {
			l.deliver(ev.conn, encodeEvent(ev.kind, ev.path))
		}
	}
}

// deliver adds a frame that answers nothing.
func (l *loop) deliver(c *conn, frame []byte) {
	l.batch.deliveries = append(l.batch.deliveries, delivery{conn: c, frame: frame})
}

func (l *loop) reply(m message, e *encoder, last bool) {
	l.batch.deliveries = append(l.batch.deliveries,
		delivery{conn: m.conn, frame: e.frame(), done: m.request.size, last: last, received: m.received})
}
