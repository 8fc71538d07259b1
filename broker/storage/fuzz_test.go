package storage

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/topic"
)

// fuzzDir gives a target a directory that it may use again and again.
func fuzzDir(f *testing.F) string {
	dir, err := os.MkdirTemp("", "storage-fuzz")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// FuzzOffsetIndex demands that whatever the file holds, a lookup neither fails nor points behind what a plain
// search would find in a sound file, and that what loads is sound and is saved as it was.
func FuzzOffsetIndex(f *testing.F) {
	f.Add([]byte{}, int64(5))
	f.Add(unhex(f, "0000000500000064000000090000012c"), int64(7))
	f.Add(unhex(f, "00000005000000640000000000000000"), int64(7))
	f.Add(unhex(f, "000000"), int64(7))
	dir := fuzzDir(f)
	f.Fuzz(func(t *testing.T, content []byte, offset int64) {
		x := newOffsetIndex(osFS{}, dir, 0, 1<<20)
		defer func() { x.close() }()
		if err := os.WriteFile(x.path(), content, 0o644); err != nil {
			t.Fatal(err)
		}
		position, err := x.lookup(offset)
		if (err != nil) != (len(content)%8 != 0 && offset > 0) {
			t.Fatalf("lookup: %v", err)
		}
		if x.load() != nil {
			return
		}
		best := int64(0)
		for _, e := range x.mu.entries {
			if int64(e.relative) <= offset {
				best = int64(e.position)
			}
		}
		if offset > 0 && position != best {
			t.Fatalf("lookup(%d) = %d, entries %v", offset, position, x.mu.entries)
		}
		x.mu.saved = 0
		if err := x.seal(); err != nil {
			t.Fatal(err)
		}
		if back, err := os.ReadFile(x.path()); err != nil || !bytes.Equal(back, content) {
			t.Fatalf("%x was saved as %x, %v", content, back, err)
		}
		if again, err := x.lookup(offset); err != nil || offset > 0 && again != best {
			t.Fatalf("sealed: lookup(%d) = %d, %v", offset, again, err)
		}
	})
}

// FuzzTimeIndex does the same for timestamps.
func FuzzTimeIndex(f *testing.F) {
	f.Add([]byte{}, int64(5))
	f.Add(unhex(f, "000000000000000500000001000000000000000900000001"), int64(7))
	f.Add(unhex(f, "000000000000000500000001000000000000000000000000"), int64(7))
	dir := fuzzDir(f)
	f.Fuzz(func(t *testing.T, content []byte, ts int64) {
		x := newTimeIndex(osFS{}, dir, 0, 1<<20)
		defer func() { x.close() }()
		if err := os.WriteFile(x.path(), content, 0o644); err != nil {
			t.Fatal(err)
		}
		offset, err := x.lookup(ts)
		if (err != nil) != (len(content)%12 != 0) {
			t.Fatalf("lookup: %v", err)
		}
		if x.load() != nil {
			return
		}
		best := int64(0)
		for _, e := range x.mu.entries {
			if e.timestamp <= ts {
				best = int64(e.relative)
			}
		}
		if offset != best {
			t.Fatalf("lookup(%d) = %d, entries %v", ts, offset, x.mu.entries)
		}
		x.mu.saved = 0
		if err := x.seal(); err != nil {
			t.Fatal(err)
		}
		if back, err := os.ReadFile(x.path()); err != nil || !bytes.Equal(back, content) {
			t.Fatalf("%x was saved as %x, %v", content, back, err)
		}
	})
}

func FuzzTxnIndex(f *testing.F) {
	f.Add([]byte{}, int64(0))
	one := make([]byte, txnEntrySize)
	AbortedTxn{7, 3, 9, 10}.encode(one)
	f.Add(one, int64(2))
	f.Fuzz(func(t *testing.T, content []byte, base int64) {
		txns, err := decodeAbortedTxns(content, base)
		if err != nil {
			return
		}
		var back []byte
		for _, x := range txns {
			b := make([]byte, txnEntrySize)
			x.encode(b)
			back = append(back, b...)
		}
		if !bytes.Equal(back, content) {
			t.Fatalf("%x decodes and encodes to %x", content, back)
		}
	})
}

func FuzzSnapshot(f *testing.F) {
	f.Add(unhex(f, "000148674bc700000000"))
	f.Add(unhex(f, "000198cffc68000000010000000000000fa0000200000009000000000000006d000000090000018bcfe56800ffffffffffffffffffffffff"))
	f.Fuzz(func(t *testing.T, content []byte) {
		entries, err := decodeSnapshot(content)
		if err != nil {
			return
		}
		p := producerState{}
		p.adopt(entries, 0, 0, 1<<62)
		again, err := decodeSnapshot(p.encodeSnapshot())
		if err != nil || len(again) != len(p.producers) {
			t.Fatalf("%d producers, then %d, %v", len(p.producers), len(again), err)
		}
		for _, e := range again {
			if *p.producers[e.producerID] != e.producerEntry {
				t.Fatalf("%+v is read back as %+v", p.producers[e.producerID], e)
			}
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	f.Add([]byte("0\n2\nt 0 5\nu-v 1 7\n"))
	f.Add([]byte("0\n2\n0 0\n3 17\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if offsets, err := parseOffsets(content); err == nil {
			again, err := parseOffsets(formatOffsets(offsets))
			if err != nil || len(again) != len(offsets) {
				t.Fatalf("%v is read back as %v, %v", offsets, again, err)
			}
		}
		if epochs, err := parseEpochs(content); err == nil {
			if again, err := parseEpochs(formatEpochs(epochs)); err != nil || !slices.Equal(again, epochs) {
				t.Fatalf("%v is read back as %v, %v", epochs, again, err)
			}
		}
	})
}

func FuzzMetaProperties(f *testing.F) {
	f.Add([]byte("#\n#Sat Nov 21 09:55:19 UTC 2026\nbroker.id=7\nversion=0\ncluster.id=I_Cdgjb0SAKB4V5I4ecyeg\n"))
	f.Add([]byte("broker.id = 7\\\n8\nodd\\ key:\\u00e4 ${x}\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		m, err := parseMeta(content)
		if err != nil {
			return
		}
		again, err := parseMeta(m.format(testTime))
		if err != nil || again.BrokerID != m.BrokerID || again.ClusterID != m.ClusterID || again.Version != m.Version || len(again.Other) != len(m.Other) {
			t.Fatalf("%+v is read back as %+v, %v", m, again, err)
		}
		for key, value := range m.Other {
			if again.Other[key] != value {
				t.Fatalf("%q=%q is read back as %q", key, value, again.Other[key])
			}
		}
		parsePartitionMetadata(content)
	})
}

// FuzzSegmentRecover starts on a segment of any content, after a crash. Whatever is left must be whole sound
// batches, and the log must go on behind them.
func FuzzSegmentRecover(f *testing.F) {
	good := record.Batch(batchOf(2, 1700000000000))
	next := record.Batch(batchOf(1, 1700000000000))
	next.SetBaseOffset(2)
	f.Add([]byte(slices.Concat(good, next)))
	f.Add([]byte(slices.Concat(good, next[:70])))
	f.Add([]byte(slices.Concat(good, make([]byte, 100))))
	far := record.Batch(batchOf(1, 1700000000000))
	far.SetBaseOffset(1 << 40) // sound, and to be split off
	f.Add([]byte(slices.Concat(good, far)))
	f.Add(unhex(f, "0000000000000005000000420000000302e3e276810030000000000000018bcfe568000000018bcfe568000000000000000fa00002ffffffff000000012000000008000000010c00000000000700"))
	f.Add(unhex(f, "00000000000000000000001839268c3301000000018bcfe56800000000016b0000000176"))
	dir := fuzzDir(f)
	f.Fuzz(func(t *testing.T, content []byte) {
		home := newLogDir(dir, osFS{}, testLogger(t))
		path := filepath.Join(dir, "t-0")
		os.RemoveAll(path)
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		file := segmentPath(path, 0, logSuffix)
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
		l, err := loadLog(home, path, topic.Partition{Topic: "t"}, plain(crashConfig), loadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer l.abandon(nil)
		kept := visible(t, l)
		if !bytes.HasPrefix(content, kept) {
			t.Fatalf("kept %x of %x", kept, content)
		}
		end := int64(0)
		for rest := kept; len(rest) > 0; {
			b, tail, err := record.Next(rest)
			if err != nil || b == nil || b.CheckCRC() != nil || b.LastOffset() < end {
				t.Fatalf("kept something that is no batch behind offset %d: %v", end, err)
			}
			end, rest = b.NextOffset(), tail
		}
		if v := l.View(); v.LogEndOffset != end {
			t.Fatalf("%+v, the batches end at %d", v, end)
		}
		if info, err := l.AppendAsLeader(batchOf(1, 1700000000000), AppendOptions{ProduceVersion: 9, LeaderEpoch: 1<<31 - 1}); err != nil || info.FirstOffset != end {
			t.Fatalf("the next append went to %+v, %v", info, err)
		}
	})
}
