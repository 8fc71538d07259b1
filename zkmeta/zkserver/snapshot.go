package zkserver

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// aclOpen is the number in a snapshot for openACL (ReferenceCountedACLCache).
const aclOpen int64 = -1

// snapshot is the state of the server behind the transaction zxid. Its records are shared with the living tree, which
// never changes them; so taking a snapshot is quick and writing it disturbs nobody.
type snapshot struct {
	zxid     int64
	sessions map[int64]time.Duration // timeout by id
	nodes    []snapshotNode
}

type snapshotNode struct {
	path string
	*record
}

func takeSnapshot(t *tree, sessions map[int64]time.Duration) *snapshot {
	sn := &snapshot{zxid: t.zxid, sessions: sessions, nodes: make([]snapshotNode, 0, len(t.nodes))}
	for path, n := range t.nodes {
		sn.nodes = append(sn.nodes, snapshotNode{path, n.record})
	}
	return sn
}

// writeTo writes the snapshot in ZooKeeper's format: parents first, the root as "", then a checksum.
func (sn *snapshot) writeTo(w io.Writer) error {
	slices.SortFunc(sn.nodes, func(a, b snapshotNode) int { return strings.Compare(a.path, b.path) })
	sum := adler32.New()
	out := bufio.NewWriterSize(io.MultiWriter(w, sum), 64<<10)

	e := encoder{appendFileHeader(nil, snapshotMagic)}
	e.int32(int32(len(sn.sessions)))
	for _, id := range slices.Sorted(maps.Keys(sn.sessions)) {
		e.int64(id)
		e.int32(int32(sn.sessions[id].Milliseconds()))
	}
	numbers := e.aclTable(sn.nodes)
	for _, n := range sn.nodes {
		if n.path == "/" {
			e.string("")
		} else {
			e.string(n.path)
		}
		e.buffer(n.data)
		e.int64(numbers[aclKey(n.acl)])
		e.recordStat(n.record)
		if _, err := out.Write(e.b); err != nil {
			return err
		}
		e.b = e.b[:0]
	}
	e.string("/")
	if _, err := out.Write(e.b); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	e.b = e.b[:0]
	e.int64(int64(sum.Sum32()))
	e.string("/")
	_, err := w.Write(e.b)
	return err
}

// aclTable appends every ACL but the open one once, and returns their numbers.
func (e *encoder) aclTable(nodes []snapshotNode) map[string]int64 {
	numbers := map[string]int64{aclKey(openACL): aclOpen}
	var table encoder
	for _, n := range nodes {
		if _, known := numbers[aclKey(n.acl)]; !known {
			number := int64(len(numbers))
			numbers[aclKey(n.acl)] = number
			table.int64(number)
			table.acl(n.acl)
		}
	}
	e.int32(int32(len(numbers) - 1))
	e.b = append(e.b, table.b...)
	return numbers
}

// aclKey tells ACLs apart.
func aclKey(acl []aclEntry) string {
	var e encoder
	e.acl(acl)
	return string(e.b)
}

func (e *encoder) recordStat(r *record) {
	e.int64(r.czxid)
	e.int64(r.mzxid)
	e.int64(r.ctimeMS)
	e.int64(r.mtimeMS)
	e.int32(r.version)
	e.int32(r.creates)
	e.int32(r.aversion)
	e.int64(r.owner)
	e.int64(r.pzxid)
}

// readSnapshot reads what writeTo or a Java server wrote; zxid comes from the file's name. The digest ZooKeeper 3.6
// and later put behind the checksum is ignored.
func readSnapshot(file []byte, zxid int64) (*tree, map[int64]time.Duration, error) {
	d := &decoder{b: file}
	if err := checkFileHeader(d, snapshotMagic); err != nil {
		return nil, nil, err
	}
	sessions := map[int64]time.Duration{}
	for range d.count(12) {
		id := d.int64()
		sessions[id] = time.Duration(d.int32()) * time.Millisecond
	}
	acls := map[int64][]aclEntry{aclOpen: openACL}
	for range d.count(12) {
		number := d.int64()
		acls[number] = decodeACL(d)
	}
	t := &tree{nodes: map[string]*node{}, ephemerals: map[int64]map[string]struct{}{}, swept: map[string]struct{}{}}
	t.zxid = zxid
	for d.err == nil {
		path := d.string()
		if path == "/" {
			break
		}
		if err := d.snapshotNode(t, path, acls); err != nil {
			return nil, nil, err
		}
	}
	sum := adler32.Checksum(file[:len(file)-len(d.b)])
	want := d.int64()
	if end := d.string(); d.err == nil && (want != int64(sum) || end != "/") {
		return nil, nil, errors.New("checksum does not match")
	}
	if d.err == nil && t.nodes["/"] == nil {
		return nil, nil, errors.New("no root")
	}
	return t, sessions, d.err
}

// snapshotNode reads one node and puts it into the tree.
func (d *decoder) snapshotNode(t *tree, path string, acls map[int64][]aclEntry) error {
	r := &record{data: bytes.Clone(d.buffer())}
	number := d.int64()
	r.czxid, r.mzxid, r.ctimeMS, r.mtimeMS = d.int64(), d.int64(), d.int64(), d.int64()
	r.version, r.creates, r.aversion = d.int32(), d.int32(), d.int32()
	r.owner, r.pzxid = d.int64(), d.int64()
	if d.err != nil {
		return d.err
	}
	acl, known := acls[number]
	if !known {
		return fmt.Errorf("node %q has ACL %d, which is not in the table", path, number)
	}
	r.acl = acl
	switch {
	case path == "" && t.nodes["/"] == nil:
		t.nodes["/"] = &node{record: r}
	case !strings.HasPrefix(path, "/") || lastElement(path) == "",
		t.nodes[path] != nil, t.nodes[parentPath(path)] == nil:
		return fmt.Errorf("node %q is out of place", path)
	default:
		t.insert(path, r)
	}
	return nil
}

// save writes the snapshot into dir; until it is whole and durable it has another name.
func (sn *snapshot) save(dir string) (err error) {
	name := fileName("snapshot", sn.zxid)
	temporary := filepath.Join(dir, temporaryPrefix+name)
	file, err := os.Create(temporary)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(temporary)
		}
	}()
	err = sn.writeTo(file)
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncDir(dir)
}
