package zkserver

import (
	"fmt"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawWrite makes a write that has fair chances to succeed: few paths, few versions.
func drawWrite(t *rapid.T) request {
	r := request{
		op: rapid.SampledFrom([]opCode{
			opCreate, opCreate2, opCreateContainer, opCreateTTL, opDelete, opSetData, opSetACL, opCheck,
		}).Draw(t, "op"),
		path:    rapid.SampledFrom([]string{"/a", "/a/b", "/a/b/c", "/a/d", "/e", "/a/b/c", "/none/x", "bad"}).Draw(t, "path"),
		data:    []byte(rapid.StringN(0, 3, 9).Draw(t, "data")),
		acl:     openACL,
		version: rapid.SampledFrom([]int32{-1, -1, -1, 0, 1}).Draw(t, "version"),
		ttlMS:   -1,
	}
	switch r.op {
	case opCreate, opCreate2:
		r.flags = rapid.Int32Range(0, 3).Draw(t, "flags")
	case opCreateContainer:
		r.flags = flagContainer
	case opCreateTTL:
		r.flags, r.ttlMS = flagPersistentTTL, 1000
	}
	return r
}

// A tree that is worked on, one that is read back from the log, and one that comes from a snapshot with the rest of
// the log are the same; a multi that fails has changed nothing; the laws hold throughout.
func TestTreesByAnyWayAreTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const session = 99
		live, replayed := newTree(), newTree()
		for i := range rapid.IntRange(1, 40).Draw(t, "writes") {
			h := txnHeader{session, int32(i), live.zxid + 1, 1_700_000_000_000 + int64(i)}
			r := request{op: opMulti}
			for range rapid.IntRange(1, 4).Draw(t, "ops") {
				r.ops = append(r.ops, drawWrite(t))
			}
			if len(r.ops) == 1 {
				r = r.ops[0]
			}
			before := describe(&state{tree: live})
			_, x, changes := live.write(&r, asker{session: session}, h)
			if x == nil {
				if diff := gocmp.Diff(before, describe(&state{tree: live})); diff != "" || len(changes) > 0 {
					t.Fatalf("a refused write leaves %d changes: %s", len(changes), diff)
				}
				continue
			}
			entry := appendEntry(nil, h, x)
			h2, x2, err := decodeTxn(entry[entryHead : len(entry)-1])
			if err != nil {
				t.Fatal(err)
			}
			replayed.apply(h2, x2)
			if diff := gocmp.Diff(describe(&state{tree: live}), describe(&state{tree: replayed})); diff != "" {
				t.Fatalf("behind %+v: %s", x, diff)
			}
			checkLaws(t, live)
		}
		x := txn{op: opCloseSession, paths: live.ephemeralsOf(session)}
		live.apply(txnHeader{session: session, zxid: live.zxid + 1}, &x)
		if len(live.ephemerals) > 0 {
			t.Fatalf("the session is gone and left %v", live.ephemerals)
		}
		checkLaws(t, live)
	})
}

func checkLaws(t *rapid.T, tree *tree) {
	children := 0
	for path, n := range tree.nodes {
		children += len(n.children)
		if path != "/" && tree.nodes[parentPath(path)] == nil {
			t.Fatalf("%s has no parent", path)
		}
		for name := range n.children {
			if tree.nodes[joinPath(path, name)] == nil {
				t.Fatalf("%s lists %s, which is not there", path, name)
			}
		}
		if _, listed := tree.ephemerals[n.owner][path]; listed != n.isEphemeral() {
			t.Fatalf("%s: ephemeral %v, listed %v", path, n.isEphemeral(), listed)
		}
		if _, listed := tree.swept[path]; listed != (n.isContainer() || n.isTTL()) {
			t.Fatalf("%s: swept %v", path, listed)
		}
	}
	if children != len(tree.nodes)-1 {
		t.Fatalf("%d children of %d nodes", children, len(tree.nodes))
	}
	if tree.recording || tree.undo != nil {
		t.Fatal("a multi is still open")
	}
}

func joinPath(path, name string) string {
	if path == "/" {
		return "/" + name
	}
	return path + "/" + name
}

func TestPaths(t *testing.T) {
	for path, want := range map[string]bool{
		"/": true, "/a": true, "/a/b.c": true, "/a/.b": true, "/a/...": true, "/ä/€": true,
		"": false, "a": false, "/a/": false, "//": false, "/a//b": false, "/.": false, "/a/..": false, "/../a": false,
		"/a\x00": false, "/a\x1f": false, "/\u0085": false, "/\ue000": false, "/\ufff0": false, "/😀": false,
		"/\xff": false,
	} {
		if got := validPath(path); got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
}

func TestQuotaStatsCountTheSubtree(t *testing.T) {
	tree := newTree()
	for i, path := range []string{"/q", "/q/a", "/q/a/b", "/qq", "/zookeeper/quota/q", "/zookeeper/quota/q/zookeeper_stats"} {
		tree.apply(txnHeader{zxid: int64(i + 1)}, &txn{op: opCreate, path: path, data: []byte("12345"), version: -1})
	}
	for path, want := range map[string]string{
		"/zookeeper/quota/q/zookeeper_stats":    "count=3,bytes=15",
		"/zookeeper/quota/none/zookeeper_stats": "",
		"/q/zookeeper_stats":                    "",
	} {
		if got := string(tree.quotaStats(path)); got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
}

func TestVersionsSkipTheOneThatMeansAny(t *testing.T) {
	for v, want := range map[int32]int32{0: 1, 41: 42, -3: -2, -2: 0, 1<<31 - 1: -1 << 31} {
		if got := nextVersion(v); got != want {
			t.Errorf("behind %d comes %d", v, got)
		}
	}
}

// A hundred thousand children must not make each creation, or each reading of the list, slow.
func TestAWideNodeStaysQuick(t *testing.T) {
	tree := newTree()
	begin := time.Now()
	for i := range int64(100_000) {
		tree.apply(txnHeader{zxid: i + 1}, &txn{op: opCreate, path: fmt.Sprintf("/n%d", i), acl: openACL, version: -1})
	}
	for range 1000 {
		tree.children(tree.nodes["/"])
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}
