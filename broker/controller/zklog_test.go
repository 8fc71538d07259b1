package controller

import (
	"bytes"
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

// masks hide what differs from run to run.
var masks = []struct {
	re *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`"topic_id":"[^"]{22}"`), `"topic_id":"ID"`},
	{regexp.MustCompile(`"timestamp":"[0-9]+"`), `"timestamp":"MS"`},
}

// writes returns the transactions since the last call, one line each; "checked" are those under
// /controller_epoch.
func (s *stage) writes() []string {
	all := readTransactions(s.t.Fatalf, s.dir)
	fresh := all[s.shown:]
	s.shown = len(all)
	return fresh
}

func readTransactions(fatalf func(string, ...any), dir string) []string {
	files, err := filepath.Glob(filepath.Join(dir, "version-2", "log.*"))
	if err != nil {
		fatalf("%v", err)
	}
	slices.Sort(files)
	var lines []string
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
			if line := transaction(&jute{b[12 : 12+n]}); line != "" {
				lines = append(lines, line)
			}
			b = b[12+n+1:]
		}
	}
	return lines
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
	v := j.b[:n]
	j.b = j.b[n:]
	return v
}

func transaction(j *jute) string {
	j.b = j.b[8+4+8+8:] // session, cxid, zxid, time
	op := j.int()
	if op != 14 {
		return write(op, j)
	}
	n := j.int()
	var parts []string
	for range n {
		op := j.int()
		parts = append(parts, write(op, &jute{j.buffer()}))
	}
	parts = slices.DeleteFunc(parts, func(p string) bool { return p == "" })
	if len(parts) > 0 && parts[0] == "check /controller_epoch" {
		return "checked " + strings.Join(parts[1:], "; ")
	}
	return strings.Join(parts, "; ")
}

// write is one operation; errors, sessions and what is not a write are "".
func write(op int32, j *jute) string {
	text := ""
	switch op {
	case 1, 15:
		text = fmt.Sprintf("create %s %s", j.buffer(), dataText(j.buffer()))
		for range j.int() { // ACLs
			j.int()
			j.buffer()
			j.buffer()
		}
		if j.b[0] != 0 {
			text = strings.Replace(text, "create", "create ephemeral", 1)
		}
	case 2:
		text = fmt.Sprintf("delete %s", j.buffer())
	case 5:
		text = fmt.Sprintf("set %s %s", j.buffer(), dataText(j.buffer()))
	case 13:
		text = fmt.Sprintf("check %s", j.buffer())
	}
	for _, m := range masks {
		text = m.re.ReplaceAllString(text, m.to)
	}
	return text
}

func dataText(b []byte) string {
	if b == nil {
		return "null"
	}
	return string(bytes.ReplaceAll(b, []byte("\n"), []byte(`\n`)))
}
