package zkserver

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	gocmp "github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
)

var update = flag.Bool("update", false, "rewrite golden files")

var openZK = zk.WorldACL(zk.PermAll)

// connectZK gives a client library's connection until the test ends.
func connectZK(t testing.TB, addr string) *zk.Conn {
	t.Helper()
	c, events, err := zk.Connect([]string{addr}, 5*time.Second, zk.WithLogger(zapLogger{zap.NewNop()}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	awaitState(t, events, zk.StateHasSession)
	return c
}

type zapLogger struct{ *zap.Logger }

func (zapLogger) Printf(string, ...any) {}

func awaitState(t testing.TB, events <-chan zk.Event, want zk.State) {
	t.Helper()
	deadline := time.After(rawDeadline)
	for {
		select {
		case ev := <-events:
			if ev.State == want {
				return
			}
		case <-deadline:
			t.Fatalf("state %v did not come", want)
		}
	}
}

// await repeats a question until it is answered yes.
func await(t testing.TB, what string, ask func() bool) {
	t.Helper()
	for deadline := time.Now().Add(rawDeadline); !ask(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: did not happen", what)
		}
	}
}

func TestARestartKeepsNodesSessionsAndEphemerals(t *testing.T) {
	for name, end := range map[string]func(*Server){
		"after a clean end": func(s *Server) { s.Close() }, "after a loss of power": (*Server).Kill,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := startServer(t, Options{Dir: dir})
			addr := s.Addr().String()
			c := connectZK(t, addr)
			must := func(_ any, err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			must(c.Create("/a", []byte("1"), 0, openZK))
			must(c.Create("/a/e", nil, zk.FlagEphemeral, openZK))
			must(c.Set("/a", []byte("2"), 0))
			must(c.SetACL("/a/e", zk.DigestACL(zk.PermAll, "u", "p"), -1))
			must(c.Create("/a/s-", nil, zk.FlagSequence, openZK))
			must(nil, c.Delete("/a/s-0000000001", -1))
			_, before, err := c.Get("/a")
			must(nil, err)
			session := c.SessionID()
			end(s)

			startServer(t, Options{Dir: dir, Addr: addr})
			await(t, "reconnection", func() bool { _, _, err := c.Get("/a"); return err == nil })
			if c.SessionID() != session {
				t.Errorf("session %x became %x", session, c.SessionID())
			}
			data, after, err := c.Get("/a")
			must(nil, err)
			if diff := gocmp.Diff(before, after); diff != "" || string(data) != "2" {
				t.Errorf("data %q, stat %s", data, diff)
			}
			_, st, err := c.Exists("/a/e")
			if err != zk.ErrNoAuth {
				t.Errorf("the ACL is gone: %v %v", st, err)
			}
			if path, err := c.Create("/a/s-", nil, zk.FlagSequence, openZK); path != "/a/s-0000000002" {
				t.Errorf("the count of children went on with %s %v", path, err)
			}
			c.Close()
			await(t, "end of the ephemeral node", func() bool {
				r := mustRaw(t, addr)
				defer r.nc.Close()
				var e encoder
				e.string("/a/e")
				e.bool(false)
				reply, err := r.call(opExists, e.b)
				return err == nil && reply.code == codeNoNode
			})
		})
	}
}

// A client that is told yes may rely on it, whenever the power goes.
func TestNoAcknowledgedWriteIsLost(t *testing.T) {
	dir := t.TempDir()
	var mu sync.Mutex
	acked := map[string]bool{}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(acked)
	}
	rounds := 8
	for round := range rounds {
		s := startServer(t, Options{Dir: dir, SnapCount: 40 + round, SnapRetainCount: 3})
		var clients sync.WaitGroup
		for client := range 4 {
			c := mustRaw(t, s.Addr().String())
			clients.Go(func() {
				for i := 0; ; i++ {
					var e encoder
					path := fmt.Sprintf("/r%d-c%d-%d", round, client, i)
					scriptArgs{path: path}.encode(&e, opCreate, "")
					if r, err := c.call(opCreate, e.b); err != nil || r.code != ok {
						return
					}
					mu.Lock()
					acked[path] = true
					mu.Unlock()
				}
			})
		}
		enough := count() + 20 + rand.IntN(200)
		await(t, "writes", func() bool { return count() >= enough })
		s.Kill()
		clients.Wait()
	}
	store, st, err := openStore(dir, dir, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer store.close()
	for path := range acked {
		if st.tree.nodes[path] == nil {
			t.Errorf("%s was acknowledged and is gone", path)
		}
	}
	if extra := len(st.tree.nodes) - len(acked); extra > 4+4*rounds {
		t.Errorf("%d nodes nobody created", extra)
	}
	snapshots, _ := listFiles(store.snapDir, "snapshot")
	if len(snapshots) < 2 || len(snapshots) > 3 {
		t.Errorf("%d snapshots are kept in place of 3", len(snapshots))
	}
}

// describe is a state as text, for comparisons.
func describe(st *state) string {
	var out strings.Builder
	paths := make([]string, 0, len(st.tree.nodes))
	for path := range st.tree.nodes {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	fmt.Fprintf(&out, "zxid %x\n", st.tree.zxid)
	for _, path := range paths {
		n := st.tree.nodes[path]
		fmt.Fprintf(&out, "%s %q null=%v %v %+v %v\n", path, n.data, n.data == nil, n.acl, n.stat(), st.tree.children(n))
	}
	for _, id := range sortedKeys(st.tree.ephemerals) {
		fmt.Fprintf(&out, "ephemerals of %x: %v\n", id, st.tree.ephemeralsOf(id))
	}
	fmt.Fprintf(&out, "swept: %v\n", sortedKeys(st.tree.swept))
	for _, id := range sortedKeys(st.sessions) {
		fmt.Fprintf(&out, "session %x: %v\n", id, st.sessions[id])
	}
	return out.String()
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	var keys []K
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// history is a short life of a server: its log entries and what the state is behind each.
func history() (entries [][]byte, states []string) {
	st := &state{tree: newTree(), sessions: map[int64]time.Duration{}}
	closed := []aclEntry{{permRead, identity{"digest", "u:x"}}, {permAll, identity{"ip", "10.0.0.0/8"}}}
	states = append(states, describe(st))
	for i, x := range []txn{
		{op: opCreateSession, timeoutMS: 4000},
		{op: opCreate, path: "/a", data: []byte("x"), acl: openACL, version: 1},
		{op: opCreate2, path: "/a/e", acl: closed, version: 1, ephemeral: true},
		{op: opSetData, path: "/a", data: []byte{}, version: 1},
		{op: opMulti, sub: []txn{
			{op: opCreateContainer, path: "/box", data: []byte("box"), acl: openACL, version: 2},
			{op: opCheck, path: "/a", version: 1},
			{op: opCreateTTL, path: "/box/ttl", acl: openACL, version: 1, ttlMS: 12345},
			{op: opDelete, path: "/box/ttl"},
		}},
		{op: opSetACL, path: "/a", acl: closed, version: 1},
		{op: opCreate, path: "/b", data: bytes.Repeat([]byte("long"), 5), acl: closed, version: 3},
		{op: opDeleteContainer, path: "/box"},
		{op: opCloseSession, paths: []string{"/a/e"}},
	} {
		h := txnHeader{session: 0x1234, xid: int32(i), zxid: int64(i + 1), timeMS: 1_700_000_000_000 + int64(i)}
		entries = append(entries, appendEntry(nil, h, &x))
		st.apply(h, &x)
		states = append(states, describe(st))
	}
	return entries, states
}

// newDir gives a data directory with a log of these bytes.
func newDir(t *testing.T, log []byte) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, versionDir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, versionDir, "log.1"), log, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestATornLogIsCutAtItsLastWholeEntry(t *testing.T) {
	entries, states := history()
	log := appendFileHeader(nil, logMagic)
	wholeAt := []int{len(log)}
	for _, e := range entries {
		log = append(log, e...)
		wholeAt = append(wholeAt, len(log))
	}
	check := func(file []byte, want int, goOn bool, note string) {
		t.Helper()
		dir := newDir(t, file)
		store, st, err := openStore(dir, dir, zap.NewNop())
		if err != nil {
			t.Fatalf("%s: %v", note, err)
		}
		defer func() { store.close() }()
		if got := describe(st); got != states[want] {
			t.Fatalf("%s: %s", note, gocmp.Diff(states[want], got))
		}
		if !goOn {
			return
		}
		zxid := st.tree.zxid + 1
		next := appendEntry(nil, txnHeader{zxid: zxid}, &txn{op: opCreate, path: "/next", acl: openACL, version: -1})
		if err := store.log.append(zxid, next); err != nil {
			t.Fatalf("%s: %v", note, err)
		}
		store.close()
		if store, st, err = openStore(dir, dir, zap.NewNop()); err != nil {
			t.Fatalf("%s: %v", note, err)
		}
		if st.tree.nodes["/next"] == nil || st.tree.zxid != zxid {
			t.Fatalf("%s: the entry behind the cut is lost", note)
		}
	}
	for size := range len(log) + 1 {
		want := 0
		for want+1 < len(wholeAt) && wholeAt[want+1] <= size {
			want++
		}
		check(log[:size], want, size%10 == 0 || size == wholeAt[want], fmt.Sprintf("cut to %d bytes", size))
		if size < len(log) && size > wholeAt[0] {
			flipped := bytes.Clone(log)
			flipped[size] ^= 0x40
			for want+1 < len(wholeAt) && wholeAt[want+1] <= size {
				want++
			}
			check(flipped, want, false, fmt.Sprintf("byte %d flipped", size))
		}
	}
	check(append(bytes.Clone(log), make([]byte, 1000)...), len(entries), true, "filled up with zeros")
	check(make([]byte, 1000), 0, true, "zeros alone")
}

func TestASnapshotReadsAsItWasWritten(t *testing.T) {
	entries, states := history()
	st := &state{tree: newTree(), sessions: map[int64]time.Duration{}}
	for i, e := range entries {
		h, x, err := decodeTxn(e[entryHead : len(e)-1])
		if err != nil {
			t.Fatal(err)
		}
		st.apply(h, x)
		var file bytes.Buffer
		if err := takeSnapshot(st.tree, st.sessions).writeTo(&file); err != nil {
			t.Fatal(err)
		}
		tree, sessions, err := readSnapshot(file.Bytes(), h.zxid)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(states[i+1], describe(&state{tree: tree, sessions: sessions})); diff != "" {
			t.Fatal(diff)
		}
		for size := range file.Len() {
			if _, _, err := readSnapshot(file.Bytes()[:size], h.zxid); err == nil {
				t.Fatalf("a snapshot cut to %d of %d bytes is taken for whole", size, file.Len())
			}
		}
	}
}

func TestADamagedSnapshotIsReplacedByTheOneBefore(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, Options{Dir: dir, SnapCount: 10})
	c := mustRaw(t, s.Addr().String())
	for i := range 35 {
		var e encoder
		scriptArgs{path: fmt.Sprintf("/n%d", i)}.encode(&e, opCreate, "")
		if r, err := c.call(opCreate, e.b); err != nil || r.code != ok {
			t.Fatal(r, err)
		}
	}
	s.Close()
	snapshots, err := listFiles(filepath.Join(dir, versionDir), "snapshot")
	if err != nil || len(snapshots) < 2 {
		t.Fatalf("%d snapshots, %v", len(snapshots), err)
	}
	newest := filepath.Join(dir, versionDir, fileName("snapshot", snapshots[len(snapshots)-1]))
	if err := os.Truncate(newest, 100); err != nil {
		t.Fatal(err)
	}
	store, st, err := openStore(dir, dir, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer store.close()
	if len(st.tree.nodes) != 4+35 {
		t.Errorf("%d nodes in place of 39", len(st.tree.nodes))
	}
}

func TestAHoleInTheLogStopsTheStart(t *testing.T) {
	entries, _ := history()
	dir := newDir(t, append(appendFileHeader(nil, logMagic), bytes.Join(entries[:3], nil)...))
	behind := append(appendFileHeader(nil, logMagic), bytes.Join(entries[5:], nil)...)
	if err := os.WriteFile(filepath.Join(dir, versionDir, "log.6"), behind, 0o644); err != nil {
		t.Fatal(err)
	}
	_, _, err := openStore(dir, dir, zap.NewNop())
	if err == nil || !strings.Contains(err.Error(), "transactions 0x4 to 0x5 are missing") {
		t.Errorf("started with a hole: %v", err)
	}
}

func TestTwoServersDoNotShareAFolder(t *testing.T) {
	dir := t.TempDir()
	startServer(t, Options{Dir: dir})
	s, err := NewServer(Options{Dir: dir, Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err == nil || !strings.Contains(err.Error(), "in use by another server") {
		t.Errorf("the second server starts: %v", err)
	}
}

func TestAFailingDiskEndsTheServerAndAcknowledgesNothing(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, Options{Dir: dir})
	if err := os.RemoveAll(filepath.Join(dir, versionDir)); err != nil {
		t.Fatal(err)
	}
	if _, err := dialRaw(s.Addr().String(), 10_000, 0, nil); err == nil {
		t.Error("a session was promised that no disk holds")
	}
	<-s.Done()
	if err := s.Close(); err == nil {
		t.Error("the server ended without a reason")
	}
}

// The files in testdata/java were written by ZooKeeper 3.8.4 under the scripts multi and ephemeral.
func TestTheFilesOfAJavaServerAreRead(t *testing.T) {
	for name, without := range map[string]string{
		"from its snapshot": "", "from its log alone": "snapshot.a", "without any snapshot": "snapshot.*",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS("testdata/java")); err != nil {
				t.Fatal(err)
			}
			files, _ := filepath.Glob(filepath.Join(dir, versionDir, without))
			for _, file := range files {
				os.Remove(file)
			}
			store, st, err := openStore(dir, dir, zap.NewNop())
			if err != nil {
				t.Fatal(err)
			}
			defer store.close()
			golden := filepath.Join("testdata", "java.txt")
			got := describe(st)
			if *update {
				os.WriteFile(golden, []byte(got), 0o644)
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
