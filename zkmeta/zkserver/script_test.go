package zkserver

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// The scripts in testdata/scripts were recorded with a real ZooKeeper 3.8.4 (java -Dzookeeper.extendedTypesEnabled=true
// and -Dznode.container.checkIntervalMs=500). To record anew, with a server that has an empty tree for each script:
//
//	go test -run TestScripts/NAME -zookeeper HOST:PORT -rewrite
var zookeeperAddr = flag.String("zookeeper", "", "run the scripts against this ZooKeeper")

// TestScripts runs each script against a server of its own and compares what the clients see.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		addr := *zookeeperAddr
		if addr == "" {
			s := startServer(t, Options{TickTime: 500 * time.Millisecond, ContainerCheckInterval: 200 * time.Millisecond,
				MinSessionTimeout: time.Second, MaxSessionTimeout: time.Minute})
			addr = s.Addr().String()
		}
		run := &script{addr: addr, clients: map[string]*rawClient{}, zxids: map[int64]string{0: "0", -1: "-1"}}
		defer run.close()
		datadriven.RunTest(t, path, run.command)
	})
}

// script is a run: its clients by name, and names for what differs from run to run.
type script struct {
	addr    string
	clients map[string]*rawClient
	zxids   map[int64]string
}

func (s *script) close() {
	for _, c := range s.clients {
		c.nc.Close()
	}
}

// command carries out one command: a request as client a, or as the one named by as=; open and drop of a client;
// and what a client that holds on sees.
func (s *script) command(t *testing.T, d *datadriven.TestData) string {
	args := parseArgs(d.CmdArgs)
	name := args.get("as", "a")
	c := s.clients[name]
	switch d.Cmd {
	case "open": // open as=b timeout=4000: a new session
		c, err := dialRaw(s.addr, int32(args.int("timeout", 10_000)), 0, nil)
		if err != nil {
			return ending(err)
		}
		s.clients[name] = c
		return fmt.Sprintf("timeout=%d", c.timeout)
	case "reopen": // reopen as=b: its session on another connection; wrong-password does not know it
		password := c.password
		if args.has("wrong-password") {
			password = make([]byte, 16)
		}
		next, err := dialRaw(s.addr, int32(args.int("timeout", 10_000)), c.id, password)
		if err != nil {
			return ending(err)
		}
		if next.id != 0 {
			s.clients[name] = next
		}
		return fmt.Sprintf("timeout=%d same-session=%v password=%v", next.timeout, next.id == c.id,
			!slices.Equal(next.password, make([]byte, 16)))
	case "drop": // drop as=b: the connection goes, the session stays
		c.nc.Close()
		return ""
	case "ended": // ended as=b: wait until the server closes the connection
		c.nc.SetDeadline(time.Now().Add(rawDeadline))
		_, err := c.recv()
		return ending(err)
	case "until-gone": // until-gone /path: wait until there is no such node
		answer := ""
		await(t, args.path+" goes", func() bool {
			var e encoder
			e.string(args.path)
			e.bool(false)
			switch r, err := c.call(opExists, e.b); {
			case err != nil:
				answer = ending(err)
			case r.code == codeNoNode:
				answer = "gone"
			}
			return answer != ""
		})
		return answer
	}
	op, known := scriptOps[d.Cmd]
	if !known {
		t.Fatalf("%s: no such command", d.Cmd)
	}
	var e encoder
	if err := args.encode(&e, op, d.Input); err != nil {
		t.Fatal(err)
	}
	if args.has("cut") { // the body loses its last bytes
		e.b = e.b[:len(e.b)-int(args.int("cut", 0))]
	}
	r, err := c.call(op, e.b)
	var out strings.Builder
	for _, ev := range r.events {
		fmt.Fprintln(&out, ev)
	}
	if err != nil {
		fmt.Fprintln(&out, ending(err))
	} else if r.code != ok {
		fmt.Fprintf(&out, "error %d\n", r.code)
	} else {
		s.print(&out, op, r.body)
	}
	if err == nil && len(r.body.b) > 0 {
		fmt.Fprintf(&out, "%d bytes more\n", len(r.body.b))
	}
	return out.String()
}

// ending tells how a connection ended.
func ending(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection closed"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer"
	}
	return fmt.Sprint(err)
}

// print writes the body of a reply.
func (s *script) print(out *strings.Builder, op opCode, d *decoder) {
	switch op {
	case opCreate, opSync:
		fmt.Fprintln(out, d.string())
	case opCreate2, opCreateContainer, opCreateTTL:
		fmt.Fprintln(out, d.string())
		s.printStat(out, d)
	case opExists, opSetData, opSetACL, opCheck:
		s.printStat(out, d)
	case opGetData:
		data := d.buffer()
		if data == nil {
			fmt.Fprintln(out, "null")
		} else {
			fmt.Fprintf(out, "%q\n", data)
		}
		s.printStat(out, d)
	case opGetChildren, opGetChildren2:
		names := d.strings()
		slices.Sort(names)
		fmt.Fprintln(out, names)
		if op == opGetChildren2 {
			s.printStat(out, d)
		}
	case opGetACL:
		for _, a := range decodeACL(d) {
			var perms strings.Builder
			for i, letter := range permLetters {
				if a.perms&(1<<i) != 0 {
					perms.WriteRune(letter)
				}
			}
			fmt.Fprintf(out, "%s:%s:%s\n", a.scheme, a.id, perms.String())
		}
		s.printStat(out, d)
	case opGetEphemerals:
		paths := d.strings()
		slices.Sort(paths)
		fmt.Fprintln(out, paths)
	case opAllChildrenNumber, opAddWatch:
		fmt.Fprintln(out, d.int32())
	case opWhoAmI:
		var ids []string
		for range d.count(8) {
			ids = append(ids, fmt.Sprintf("%s:%s", d.string(), d.string()))
		}
		slices.Sort(ids)
		fmt.Fprintln(out, ids)
	case opMulti, opMultiRead:
		for {
			sub, done, code := opCode(d.int32()), d.bool(), d.int32()
			if done || d.err != nil {
				fmt.Fprintf(out, "end %d %d %v\n", sub, code, d.err)
				return
			}
			if sub == opError {
				fmt.Fprintf(out, "error %d %d\n", code, d.int32())
				continue
			}
			fmt.Fprintf(out, "op %d: %d\n", sub, code)
			if sub != opDelete && sub != opCheck {
				s.print(out, sub, d)
			}
		}
	default:
		fmt.Fprintln(out, "ok")
	}
}

// printStat names zxids in the order they are seen, and owners by their client, so that runs compare.
func (s *script) printStat(out *strings.Builder, d *decoder) {
	if len(d.b) == 0 {
		fmt.Fprintln(out, "no stat")
		return
	}
	st := d.stat()
	zxid := func(z int64) string {
		if s.zxids[z] == "" {
			s.zxids[z] = fmt.Sprintf("z%d", len(s.zxids)-1)
		}
		return s.zxids[z]
	}
	owner := hex(st.ephemeralOwner)
	for name, c := range s.clients {
		if c.id == st.ephemeralOwner {
			owner = name
		}
	}
	times := "wrong"
	if now := time.Now().UnixMilli(); st.ctime <= st.mtime && st.mtime <= now && (st.ctime == 0 || st.ctime > now-60_000) {
		times = "good"
	}
	fmt.Fprintf(out, "czxid=%s mzxid=%s pzxid=%s times=%s v=%d cv=%d av=%d owner=%s length=%d children=%d\n",
		zxid(st.czxid), zxid(st.mzxid), zxid(st.pzxid), times, st.version, st.cversion, st.aversion, owner,
		st.dataLength, st.numChildren)
}
