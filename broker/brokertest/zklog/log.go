package zklog

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Transaction is one that changed something.
type Transaction struct {
	Session int64
	Ops     []Op
}

// Op is one operation of a transaction.
type Op struct {
	Verb      string // create, setData, delete, check, closeSession
	Path      string
	Data      []byte   // nil is null
	Ephemeral bool     // create
	Version   int32    // the one it left (setData), the one it compared with (check)
	Gone      []string // closeSession: the ephemerals that went with it
}

// Read reads the log files below a server's data directory, in order; the server may run on. Requests that failed and
// sessions that begin are left out. It is for logs a test has just had written: on others it may panic.
func Read(dir string) ([]Transaction, error) {
	files, err := filepath.Glob(filepath.Join(dir, "version-2", "log.*"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("logs below %s: %v, %w", dir, files, err)
	}
	slices.SortFunc(files, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) }) // by zxid
	var all []Transaction
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for b = b[16:]; len(b) > 12; {
			n := int(binary.BigEndian.Uint32(b[8:]))
			if n == 0 {
				break
			}
			if t := transaction(&jute{b[12 : 12+n]}); len(t.Ops) > 0 {
				all = append(all, t)
			}
			b = b[12+n+1:]
		}
	}
	return all, nil
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

func transaction(j *jute) Transaction {
	t := Transaction{Session: int64(binary.BigEndian.Uint64(j.b))}
	j.b = j.b[8+4+8+8:] // session, cxid, zxid, time
	switch op := j.int(); op {
	case 14:
		for range j.int() {
			op := j.int()
			sub, ok := readOp(op, &jute{j.buffer()})
			if !ok {
				return Transaction{} // one of it was refused, so all was
			}
			t.Ops = append(t.Ops, sub)
		}
	default:
		if one, ok := readOp(op, j); ok {
			t.Ops = []Op{one}
		}
	}
	return t
}

// readOp reads one operation; errors, and sessions that begin, are none.
func readOp(op int32, j *jute) (Op, bool) {
	switch op {
	case 1, 15:
		o := Op{Verb: "create", Path: string(j.buffer()), Data: j.buffer()}
		for range j.int() { // ACLs
			j.int()
			j.buffer()
			j.buffer()
		}
		o.Ephemeral = j.b[0] != 0
		return o, true
	case 2:
		return Op{Verb: "delete", Path: string(j.buffer())}, true
	case 5:
		return Op{Verb: "setData", Path: string(j.buffer()), Data: j.buffer(), Version: j.int()}, true
	case 13:
		return Op{Verb: "check", Path: string(j.buffer()), Version: j.int()}, true
	case -11:
		o := Op{Verb: "closeSession"}
		for range j.int() {
			o.Gone = append(o.Gone, string(j.buffer()))
		}
		slices.Sort(o.Gone)
		return o, true
	}
	return Op{}, false
}
