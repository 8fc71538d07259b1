package controller

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// The ordered writes of a cluster are read from the transaction log of the ZooKeeper server, the way
// the captures of Apache Kafka's were made.

// logged is one transaction that changed something.
type logged struct {
	session int64
	ops     []loggedOp
}

// loggedOp is one operation of a transaction.
type loggedOp struct {
	verb      string // create, setData, delete, check, closeSession
	path      string
	data      []byte   // nil is null
	ephemeral bool     // create
	version   int32    // the one it left (setData), the one it compared with (check)
	gone      []string // closeSession: the ephemerals that went with it
}

// masks hide what differs from run to run.
var masks = []struct {
	re *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`"topic_id":"[^"]{22}"`), `"topic_id":"ID"`},
	{regexp.MustCompile(`"timestamp":"[0-9]+"`), `"timestamp":"MS"`},
}

// transactions returns those since the last call.
func (s *stage) transactions() []logged {
	all := readTransactions(s.t.Fatalf, s.dir)
	fresh := all[s.shown:]
	s.shown = len(all)
	return fresh
}

// writes returns the transactions since the last call, one line each; "checked" are those under
// /controller_epoch.
func (s *stage) writes() []string {
	var lines []string
	for _, t := range s.transactions() {
		if line := t.line(); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// readTransactions reads the log files of a server that runs on; failed requests and new sessions are left out.
func readTransactions(fatalf func(string, ...any), dir string) []logged {
	files, err := filepath.Glob(filepath.Join(dir, "version-2", "log.*"))
	if err != nil {
		fatalf("%v", err)
	}
	slices.Sort(files)
	var all []logged
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			fatalf("%v", err)
		}
		for b = b[16:]; len(b) > 12; {
			n := int(binary.BigEndian.Uint32(b[8:]))
			if n == 0 {
				break
			}
			if t := readTransaction(&jute{b[12 : 12+n]}); len(t.ops) > 0 {
				all = append(all, t)
			}
			b = b[12+n+1:]
		}
	}
	return all
}

// jute reads the encoding of ZooKeeper's records.
type jute struct{ b []byte }

func (j *jute) int() int32 {
	v := int32(binary.BigEndian.Uint32(j.b))
	j.b = j.b[4:]
	return v
}

func (j *jute) buffer() []byte {
	n := j.int()
	if n < 0 {
		return nil
	}
	v := j.b[:n:n]
	j.b = j.b[n:]
	return v
}

func readTransaction(j *jute) logged {
	t := logged{session: int64(binary.BigEndian.Uint64(j.b))}
	j.b = j.b[8+4+8+8:] // session, cxid, zxid, time
	switch op := j.int(); op {
	case 14:
		for range j.int() {
			op := j.int()
			sub, ok := readOp(op, &jute{j.buffer()})
			if !ok {
				return logged{} // one of it was refused, so all was
			}
			t.ops = append(t.ops, sub)
		}
	default:
		if one, ok := readOp(op, j); ok {
			t.ops = []loggedOp{one}
		}
	}
	return t
}

// readOp reads one operation; errors, and sessions that begin, are none.
func readOp(op int32, j *jute) (loggedOp, bool) {
	switch op {
	case 1, 15:
		o := loggedOp{verb: "create", path: string(j.buffer()), data: j.buffer()}
		for range j.int() { // ACLs
			j.int()
			j.buffer()
			j.buffer()
		}
		o.ephemeral = j.b[0] != 0
		return o, true
	case 2:
		return loggedOp{verb: "delete", path: string(j.buffer())}, true
	case 5:
		return loggedOp{verb: "setData", path: string(j.buffer()), data: j.buffer(), version: j.int()}, true
	case 13:
		return loggedOp{verb: "check", path: string(j.buffer()), version: j.int()}, true
	case -11:
		o := loggedOp{verb: "closeSession"}
		for range j.int() {
			o.gone = append(o.gone, string(j.buffer()))
		}
		slices.Sort(o.gone)
		return o, true
	}
	return loggedOp{}, false
}

// line is a transaction as the scripts show it; that of a session's end is "".
func (t logged) line() string {
	var parts []string
	for _, o := range t.ops {
		switch o.verb {
		case "create":
			verb := "create"
			if o.ephemeral {
				verb += " ephemeral"
			}
			parts = append(parts, fmt.Sprintf("%s %s %s", verb, o.path, dataText(o.data)))
		case "setData":
			parts = append(parts, fmt.Sprintf("set %s %s", o.path, dataText(o.data)))
		case "delete", "check":
			parts = append(parts, o.verb+" "+o.path)
		}
	}
	if len(parts) > 0 && parts[0] == "check /controller_epoch" {
		return "checked " + strings.Join(parts[1:], "; ")
	}
	return strings.Join(parts, "; ")
}

func dataText(b []byte) string {
	if b == nil {
		return "null"
	}
	text := strings.ReplaceAll(string(b), "\n", `\n`)
	for _, m := range masks {
		text = m.re.ReplaceAllString(text, m.to)
	}
	return text
}
