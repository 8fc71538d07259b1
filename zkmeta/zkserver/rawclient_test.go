package zkserver

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// rawClient speaks the protocol frame by frame, so that tests can ask what no client library asks.
type rawClient struct {
	nc       net.Conn
	xid      int32
	id       int64
	password []byte
	timeout  int32
}

const rawDeadline = 10 * time.Second

// dialRaw connects and asks for a session: a new one for id 0.
func dialRaw(addr string, timeoutMS int32, id int64, password []byte) (*rawClient, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	nc.SetDeadline(time.Now().Add(rawDeadline))
	c := &rawClient{nc: nc}
	e := newFrame(44)
	e.int32(0)
	e.int64(0)
	e.int32(timeoutMS)
	e.int64(id)
	e.buffer(append(make([]byte, 0, 16), password...))
	e.bool(false)
	if _, err := nc.Write(e.frame()); err != nil {
		return nil, err
	}
	body, err := c.recv()
	if err != nil {
		nc.Close()
		return nil, err
	}
	d := decoder{b: body}
	d.int32()
	c.timeout, c.id, c.password = d.int32(), d.int64(), d.buffer()
	d.bool()
	return c, d.err
}

func (c *rawClient) recv() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(c.nc, head[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err := io.ReadFull(c.nc, body)
	return body, err
}

func (c *rawClient) send(xid int32, op opCode, body []byte) error {
	e := newFrame(8 + len(body))
	e.int32(xid)
	e.int32(int32(op))
	e.b = append(e.b, body...)
	_, err := c.nc.Write(e.frame())
	return err
}

// rawReply is a reply and the events that came before it.
type rawReply struct {
	events []string
	xid    int32
	zxid   int64
	code   code
	body   *decoder
}

// call sends a request and reads until its reply.
func (c *rawClient) call(op opCode, body []byte) (*rawReply, error) {
	xid := xidPing
	switch op {
	case opPing:
	case opAuth:
		xid = -4
	default:
		c.xid++
		xid = c.xid
	}
	c.nc.SetDeadline(time.Now().Add(rawDeadline))
	if err := c.send(xid, op, body); err != nil {
		return nil, err
	}
	r := &rawReply{}
	for {
		frame, err := c.recv()
		if err != nil {
			return r, err
		}
		d := &decoder{b: frame}
		r.xid, r.zxid, r.code, r.body = d.int32(), d.int64(), code(d.int32()), d
		if r.xid != xidNotification {
			if r.xid != xid {
				return r, fmt.Errorf("reply to xid %d in place of %d", r.xid, xid)
			}
			return r, d.err
		}
		kind, state, path := d.int32(), d.int32(), d.string()
		r.events = append(r.events, fmt.Sprintf("event %s %s state=%d zxid=%d", eventNames[kind], path, state, r.zxid))
	}
}

var eventNames = map[int32]string{1: "created", 2: "deleted", 3: "changed", 4: "children"}

// scriptOps are the commands of a script that are requests.
var scriptOps = map[string]opCode{
	"create": opCreate, "create2": opCreate2, "createContainer": opCreateContainer, "createTTL": opCreateTTL,
	"delete": opDelete, "exists": opExists, "get": opGetData, "set": opSetData, "getACL": opGetACL, "setACL": opSetACL,
	"children": opGetChildren, "children2": opGetChildren2, "sync": opSync, "ping": opPing, "check": opCheck,
	"multi": opMulti, "multiRead": opMultiRead, "auth": opAuth, "setWatches": opSetWatches, "setWatches2": opSetWatches2,
	"ephemerals": opGetEphemerals, "count": opAllChildrenNumber, "addWatch": opAddWatch, "whoami": opWhoAmI,
	"checkWatches": opCheckWatches, "removeWatches": opRemoveWatches, "reconfig": opReconfig, "close": opCloseSession,
	"notification": 0, "sasl": 102, "op99": 99,
}

// scriptArgs are the arguments of a command: one path, key=value pairs, bare words.
type scriptArgs struct {
	path   string
	values map[string][]string
}

func parseArgs(args []datadriven.CmdArg) scriptArgs {
	a := scriptArgs{values: map[string][]string{}}
	for _, arg := range args {
		if len(arg.Vals) == 0 && a.path == "" && a.values["path"] == nil && strings.ContainsAny(arg.Key, "/\\") {
			a.path = strings.ReplaceAll(arg.Key, `\0`, "\x00")
			continue
		}
		a.values[arg.Key] = append([]string{}, arg.Vals...)
	}
	if v, has := a.values["path"]; has {
		a.path = strings.Join(v, "")
	}
	return a
}

func (a scriptArgs) has(key string) bool { return a.values[key] != nil }

func (a scriptArgs) get(key, or string) string {
	if v := a.values[key]; len(v) > 0 {
		return v[0]
	}
	return or
}

func (a scriptArgs) int(key string, or int64) (n int64) {
	if _, err := fmt.Sscan(a.get(key, fmt.Sprint(or)), &n); err != nil {
		panic(fmt.Sprintf("%s: %v", key, err))
	}
	return n
}

func (a scriptArgs) data() []byte {
	switch v := a.get("data", "null"); v {
	case "null":
		return nil
	case "empty":
		return []byte{}
	default:
		return []byte(v)
	}
}

var scriptFlags = map[string]int32{
	"persistent": 0, "ephemeral": 1, "sequential": 2, "ephemeral-sequential": 3, "container": 4, "ttl": 5,
	"ttl-sequential": 6, "bad": 77,
}

const permLetters = "rwcda"

func (a scriptArgs) acl() []aclEntry {
	if !a.has("acl") {
		return openACL
	}
	var acl []aclEntry
	for _, v := range a.values["acl"] {
		if v == "" {
			continue
		}
		first, last := strings.Index(v, ":"), strings.LastIndex(v, ":")
		entry := aclEntry{identity: identity{v[:first], v[first+1 : last]}}
		for _, letter := range v[last+1:] {
			entry.perms |= 1 << strings.IndexRune(permLetters, letter)
		}
		acl = append(acl, entry)
	}
	return acl
}

// encode appends the body of a request.
func (a scriptArgs) encode(e *encoder, op opCode, input string) error {
	switch op {
	case opCreate, opCreate2, opCreateContainer, opCreateTTL:
		e.string(a.path)
		e.buffer(a.data())
		e.acl(a.acl())
		flags := map[opCode]string{opCreateContainer: "container", opCreateTTL: "ttl"}[op]
		if flags == "" {
			flags = "persistent"
		}
		e.int32(scriptFlags[a.get("flags", flags)])
		if op == opCreateTTL {
			e.int64(a.int("ttl", 100))
		}
	case opDelete, opCheck:
		e.string(a.path)
		e.int32(int32(a.int("version", -1)))
	case opSetData:
		e.string(a.path)
		e.buffer(a.data())
		e.int32(int32(a.int("version", -1)))
	case opSetACL:
		e.string(a.path)
		e.acl(a.acl())
		e.int32(int32(a.int("version", -1)))
	case opExists, opGetData, opGetChildren, opGetChildren2:
		e.string(a.path)
		e.bool(a.has("watch"))
	case opGetACL, opSync, opAllChildrenNumber, opGetEphemerals:
		e.string(a.path)
	case opCheckWatches, opRemoveWatches, opAddWatch:
		e.string(a.path)
		e.int32(int32(a.int("mode", 0)))
	case opAuth:
		e.int32(0)
		e.string(a.get("scheme", "digest"))
		e.buffer([]byte(a.get("credential", "")))
	case opSetWatches, opSetWatches2:
		e.int64(a.int("seen", 1<<40))
		e.strings(a.values["data"])
		e.strings(a.values["exist"])
		e.strings(a.values["child"])
		if op == opSetWatches2 {
			e.strings(a.values["persistent"])
			e.strings(a.values["recursive"])
		}
	case opMulti, opMultiRead:
		for line := range strings.Lines(input) {
			name, args, err := datadriven.ParseLine(strings.TrimSpace(line))
			if err != nil {
				return err
			}
			e.multiHeader(scriptOps[name], false, -1)
			if err := parseArgs(args).encode(e, scriptOps[name], ""); err != nil {
				return err
			}
		}
		e.multiHeader(opError, true, -1)
	case opReconfig:
		e.string("")
		e.string("")
		e.string("")
		e.int64(-1)
	}
	return nil
}

func (d *decoder) stat() stat {
	return stat{
		czxid: d.int64(), mzxid: d.int64(), ctime: d.int64(), mtime: d.int64(), version: d.int32(), cversion: d.int32(),
		aversion: d.int32(), ephemeralOwner: d.int64(), dataLength: d.int32(), numChildren: d.int32(), pzxid: d.int64(),
	}
}

// mustRaw is dialRaw for tests that need a session.
func mustRaw(t testing.TB, addr string) *rawClient {
	t.Helper()
	c, err := dialRaw(addr, 10_000, 0, nil)
	if err != nil || c.id == 0 {
		t.Fatalf("no session: %v", err)
	}
	t.Cleanup(func() { c.nc.Close() })
	return c
}
