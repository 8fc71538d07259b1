package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// faultFS is a real directory that remembers what a power failure would leave of it, writes down what is done
// to it in order, and fails on demand. A file's bytes are durable when they were synced, a name when its
// directory was.
type faultFS struct {
	osFS
	root string
	mu   sync.Mutex
	tree *node
	ops  []string
	fail func(op string) error // asked before each operation that changes something
}

// node is a file or a directory, with its two lives.
type node struct {
	live, durable map[string]*node // of a directory
	bytes         []byte           // of a file: as of its last sync
	isDir         bool
}

func newDirNode() *node {
	return &node{isDir: true, live: map[string]*node{}, durable: map[string]*node{}}
}

func newFaultFS(root string) *faultFS {
	return &faultFS{root: root, tree: newDirNode(), fail: func(string) error { return nil }}
}

func (f *faultFS) parts(name string) []string {
	rel, err := filepath.Rel(f.root, name)
	if err != nil || strings.HasPrefix(rel, "..") {
		panic("outside of the file system: " + name)
	}
	if rel == "." {
		return nil
	}
	return strings.Split(rel, string(filepath.Separator))
}

// find returns the node of a name as it is now, nil when there is none.
func (f *faultFS) find(name string) *node {
	n := f.tree
	for _, part := range f.parts(name) {
		if n = n.live[part]; n == nil {
			return nil
		}
	}
	return n
}

func (f *faultFS) parent(name string) (*node, string) {
	return f.find(filepath.Dir(name)), filepath.Base(name)
}

// begin notes an operation and asks whether it fails. It returns with the lock held when it does not.
func (f *faultFS) begin(format string, args ...any) error {
	f.mu.Lock()
	for i, a := range args {
		if s, ok := a.(string); ok && strings.HasPrefix(s, f.root) {
			args[i] = strings.TrimPrefix(strings.TrimPrefix(s, f.root), "/")
		}
	}
	op := fmt.Sprintf(format, args...)
	if err := f.fail(op); err != nil {
		f.mu.Unlock()
		return &fs.PathError{Op: op, Err: err}
	}
	f.ops = append(f.ops, op)
	return nil
}

func (f *faultFS) OpenFile(name string, flag int) (file, error) {
	_, statErr := os.Stat(name)
	fresh := errors.Is(statErr, fs.ErrNotExist)
	if flag&(os.O_CREATE|os.O_TRUNC) != 0 && (fresh || flag&os.O_TRUNC != 0) {
		if err := f.begin("create %s", name); err != nil {
			return nil, err
		}
		defer f.mu.Unlock()
	} else {
		f.mu.Lock()
		defer f.mu.Unlock()
	}
	opened, err := f.osFS.OpenFile(name, flag)
	if err != nil {
		return nil, err
	}
	if fresh {
		dir, base := f.parent(name)
		dir.live[base] = &node{}
	}
	return &faultFile{file: opened, fs: f, name: name, node: f.find(name)}, nil
}

type faultFile struct {
	file
	fs   *faultFS
	name string
	node *node
}

func (x *faultFile) WriteAt(b []byte, off int64) (int, error) {
	if err := x.fs.begin("write %s %d+%d", x.name, off, len(b)); err != nil {
		if short, ok := asShortWrite(err); ok {
			n, _ := x.file.WriteAt(b[:min(short.n, len(b))], off)
			return n, short.err
		}
		return 0, err
	}
	defer x.fs.mu.Unlock()
	return x.file.WriteAt(b, off)
}

// shortWrite is a failure that lets the first bytes through, as a full disk does.
type shortWrite struct {
	n   int
	err error
}

func (s *shortWrite) Error() string { return s.err.Error() }

func (x *faultFile) Truncate(size int64) error {
	if info, err := x.file.Stat(); err == nil && info.Size() == size {
		return nil
	}
	if err := x.fs.begin("truncate %s %d", x.name, size); err != nil {
		return err
	}
	defer x.fs.mu.Unlock()
	return x.file.Truncate(size)
}

func (x *faultFile) Sync() error {
	if err := x.fs.begin("sync %s", x.name); err != nil {
		return err
	}
	defer x.fs.mu.Unlock()
	info, err := x.file.Stat()
	if err != nil {
		return err
	}
	b := make([]byte, info.Size())
	if _, err := x.file.ReadAt(b, 0); err != nil && len(b) > 0 {
		return err
	}
	x.node.bytes = b
	return nil
}

func (f *faultFS) Rename(oldName, newName string) error {
	if _, err := os.Stat(oldName); err != nil {
		return err
	}
	if err := f.begin("rename %s %s", oldName, newName); err != nil {
		return err
	}
	defer f.mu.Unlock()
	if err := f.osFS.Rename(oldName, newName); err != nil {
		return err
	}
	from, oldBase := f.parent(oldName)
	to, newBase := f.parent(newName)
	to.live[newBase] = from.live[oldBase]
	delete(from.live, oldBase)
	return nil
}

func (f *faultFS) Remove(name string) error {
	if _, err := os.Stat(name); err != nil {
		return err
	}
	if err := f.begin("remove %s", name); err != nil {
		return err
	}
	defer f.mu.Unlock()
	dir, base := f.parent(name)
	delete(dir.live, base)
	return f.osFS.Remove(name)
}

func (f *faultFS) RemoveAll(name string) error {
	if err := f.begin("removeall %s", name); err != nil {
		return err
	}
	defer f.mu.Unlock()
	dir, base := f.parent(name)
	delete(dir.live, base)
	return f.osFS.RemoveAll(name)
}

func (f *faultFS) MkdirAll(name string) error {
	if err := f.begin("mkdir %s", name); err != nil {
		return err
	}
	defer f.mu.Unlock()
	n := f.tree
	for _, part := range f.parts(name) {
		if n.live[part] == nil {
			n.live[part] = newDirNode()
		}
		n = n.live[part]
	}
	return f.osFS.MkdirAll(name)
}

func (f *faultFS) SyncDir(name string) error {
	if err := f.begin("syncdir %s", name); err != nil {
		return err
	}
	defer f.mu.Unlock()
	n := f.find(name)
	if n == nil {
		return &fs.PathError{Op: "sync", Path: name, Err: fs.ErrNotExist}
	}
	n.durable = maps.Clone(n.live)
	return nil
}

// afterPowerLoss writes what is durable into a new directory.
func (f *faultFS) afterPowerLoss(t testing.TB) string {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	to := t.TempDir()
	writeDurable(t, f.tree, to)
	return to
}

func writeDurable(t testing.TB, n *node, to string) {
	for name, child := range n.durable {
		path := filepath.Join(to, name)
		var err error
		if child.isDir {
			if err = os.Mkdir(path, 0o755); err == nil {
				writeDurable(t, child, path)
			}
		} else {
			err = os.WriteFile(path, child.bytes, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// afterKill copies the directory as the page cache has it.
func (f *faultFS) afterKill(t testing.TB) string {
	t.Helper()
	to := t.TempDir()
	copyDir(t, f.root, to)
	return to
}

func asShortWrite(err error) (*shortWrite, bool) {
	var s *shortWrite
	return s, errors.As(err, &s)
}
