package zkserver

import (
	"bytes"
	"testing"
	"time"
)

// FuzzRequest gives frames to the decoder, and what it makes of them to a tree.
func FuzzRequest(f *testing.F) {
	for _, op := range scriptOps {
		var e encoder
		e.int32(1)
		e.int32(int32(op))
		args := scriptArgs{path: "/a", values: map[string][]string{"data": {"x"}, "acl": {"digest:a:b:r", "ip:10.0.0.0/8:w"}}}
		args.encode(&e, op, "create /x data=1\nset /x version=0\ncheck /x\ndelete /x")
		f.Add(e.b)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		decodeConnect(frame)
		r, err := decodeRequest(frame)
		if err != nil || r.broken {
			return
		}
		tree := newTree()
		tree.apply(txnHeader{zxid: 1}, &txn{op: opCreate, path: "/a", acl: openACL, version: -1})
		switch r.op {
		case opCreate, opCreate2, opCreateContainer, opCreateTTL, opDelete, opSetData, opSetACL, opCheck, opMulti:
			h := txnHeader{session: 1, zxid: 2}
			before := describe(&state{tree: tree})
			_, x, _ := tree.write(r, asker{session: 1, ids: []identity{{"ip", "127.0.0.1"}}}, h)
			if x == nil {
				if describe(&state{tree: tree}) != before {
					t.Fatal("a refused write changed the tree")
				}
				return
			}
			entry := appendEntry(nil, h, x)
			if _, _, err := decodeTxn(entry[entryHead : len(entry)-1]); err != nil {
				t.Fatalf("what was logged cannot be read: %v", err)
			}
		}
	})
}

// FuzzLog reads logs; what is read of them, written again, reads the same.
func FuzzLog(f *testing.F) {
	entries, _ := history()
	log := appendFileHeader(nil, logMagic)
	f.Add(log)
	for _, e := range entries {
		log = append(log, e...)
		f.Add(bytes.Clone(log))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		st := &state{tree: newTree(), sessions: map[int64]time.Duration{}}
		again := appendFileHeader(nil, logMagic)
		whole, _, err := readLog(bytes.NewReader(file), int64(len(file)), func(h txnHeader, x *txn) error {
			st.apply(h, x)
			again = appendEntry(again, h, x)
			return nil
		})
		if whole > int64(len(file)) {
			t.Fatalf("%d of %d bytes are whole", whole, len(file))
		}
		if err != nil || whole == 0 {
			return
		}
		other := &state{tree: newTree(), sessions: map[int64]time.Duration{}}
		if _, torn, err := readLog(bytes.NewReader(again), int64(len(again)), func(h txnHeader, x *txn) error {
			other.apply(h, x)
			return nil
		}); torn || err != nil || describe(st) != describe(other) {
			t.Fatalf("written again it reads otherwise: %v %v", torn, err)
		}
	})
}

// FuzzTxn leaves out the checksum, which would keep the fuzzer from the decoder.
func FuzzTxn(f *testing.F) {
	entries, _ := history()
	for _, e := range entries {
		f.Add(e[entryHead : len(e)-1])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, x, err := decodeTxn(b); err == nil {
			newTree().apply(h, x)
		}
	})
}

// FuzzSnapshot reads snapshots; what is read, written again, reads the same.
func FuzzSnapshot(f *testing.F) {
	entries, _ := history()
	st := &state{tree: newTree(), sessions: map[int64]time.Duration{}}
	for _, e := range entries {
		h, x, _ := decodeTxn(e[entryHead : len(e)-1])
		st.apply(h, x)
		var file bytes.Buffer
		takeSnapshot(st.tree, st.sessions).writeTo(&file)
		f.Add(file.Bytes())
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		tree, sessions, err := readSnapshot(file, 1)
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := takeSnapshot(tree, sessions).writeTo(&again); err != nil {
			t.Fatal(err)
		}
		tree2, sessions2, err := readSnapshot(again.Bytes(), 1)
		first, second := &state{tree: tree, sessions: sessions}, &state{tree: tree2, sessions: sessions2}
		if err != nil || describe(first) != describe(second) {
			t.Fatalf("written again it reads otherwise: %v", err)
		}
	})
}
