package storage

import (
	"errors"
	"slices"
	"testing"
)

// Each index is asked resident and sealed: the one searches memory, the other its file.

func TestTheOffsetIndexFindsTheLastEntryNotBehindAnOffset(t *testing.T) {
	x := newOffsetIndex(osFS{}, t.TempDir(), 100, 1<<20)
	if err := x.create(); err != nil {
		t.Fatal(err)
	}
	const entries = 2000 // more than one block of the file
	for i := int64(1); i <= entries; i++ {
		if err := x.append(100+10*i, 1000*i); err != nil {
			t.Fatal(err)
		}
	}
	for _, form := range []string{"resident", "sealed"} {
		for _, c := range []struct{ offset, position int64 }{
			{0, 0}, {100, 0}, {109, 0}, {110, 1000}, {119, 1000}, {120, 2000}, {100 + 10*511, 511000}, {100 + 10*512 - 1, 511000},
			{100 + 10*512, 512000}, {100 + 10*513 - 1, 512000}, {100 + 10*entries - 1, 1000 * (entries - 1)},
			{100 + 10*entries, 1000 * entries}, {1 << 40, 1000 * entries},
		} {
			if got, err := x.lookup(c.offset); err != nil || got != c.position {
				t.Errorf("%s: offset %d is looked for from %d on, %v; want %d", form, c.offset, got, err, c.position)
			}
		}
		for _, c := range []struct {
			position, offset int64
			ok               bool
		}{{0, 110, true}, {1000, 110, true}, {1001, 120, true}, {1000 * entries, 100 + 10*entries, true}, {1000*entries + 1, 0, false}} {
			got, ok, err := x.offsetFrom(c.position)
			if err != nil || ok != c.ok || ok && got != c.offset {
				t.Errorf("%s: from position %d on is offset %d, %v, %v; want %d", form, c.position, got, ok, err, c.offset)
			}
		}
		if err := x.seal(); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.load(); err != nil {
		t.Fatal(err)
	}
	x.truncate(120)
	if last, ok, err := x.last(); err != nil || !ok || last != (offsetEntry{10, 1000}) {
		t.Errorf("truncated to 120 the last entry is %+v, %v, %v", last, ok, err)
	}
	if err := x.close(); err != nil {
		t.Error(err)
	}
}

func TestTheTimeIndexFindsTheLastEntryNotYoungerThanATime(t *testing.T) {
	x := newTimeIndex(osFS{}, t.TempDir(), 100, 1<<20)
	if err := x.create(); err != nil {
		t.Fatal(err)
	}
	for i := int64(1); i <= 3; i++ {
		if added, err := x.maybeAppend(1000*i, 100+10*i); err != nil || !added {
			t.Fatal(added, err)
		}
	}
	for _, form := range []string{"resident", "sealed"} {
		for _, c := range []struct{ timestamp, offset int64 }{
			{0, 100}, {999, 100}, {1000, 110}, {1999, 110}, {2000, 120}, {3000, 130}, {1 << 50, 130},
		} {
			if got, err := x.lookup(c.timestamp); err != nil || got != c.offset {
				t.Errorf("%s: time %d is looked for from offset %d on, %v; want %d", form, c.timestamp, got, err, c.offset)
			}
		}
		if err := x.seal(); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.load(); err != nil {
		t.Fatal(err)
	}
	x.truncate(120)
	if last, ok, err := x.last(); err != nil || !ok || last != (timeEntry{1000, 10}) {
		t.Errorf("truncated to 120 the last entry is %+v, %v, %v", last, ok, err)
	}
	if err := x.close(); err != nil {
		t.Error(err)
	}
}

func TestAnIndexWithEntriesOutOfOrderIsNotWrittenTo(t *testing.T) {
	x := newOffsetIndex(osFS{}, t.TempDir(), 0, 1<<20)
	if err := x.create(); err != nil {
		t.Fatal(err)
	}
	x.add(offsetEntry{20, 200})
	x.add(offsetEntry{10, 300})
	if err := x.seal(); err != nil {
		t.Fatal(err)
	}
	if err := x.load(); !errors.Is(err, errCorruptIndex) {
		t.Errorf("loaded: %v", err)
	}
	if err := x.close(); err != nil {
		t.Error(err)
	}
}

func TestTheTransactionIndexGivesWhatOverlapsARange(t *testing.T) {
	x := txnIndex{disk: osFS{}, dir: t.TempDir(), base: 0}
	txns := []AbortedTxn{{1, 10, 19, 20}, {2, 25, 29, 30}, {3, 22, 39, 40}}
	for _, txn := range txns {
		if err := x.append(txn); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name     string
		from, to int64
		want     []AbortedTxn
		complete bool
	}{
		{"all", 0, 100, txns, false},
		{"up to the first of one", 0, 25, txns[:1], true},
		{"with the first of one", 0, 26, txns[:2], true},
		{"from the marker of one", 19, 20, txns[:1], true},
		{"from behind the marker of one", 20, 26, txns[1:2], true},
		{"an end at a last stable offset", 0, 30, txns[:2], true},
		{"an end behind a last stable offset", 0, 31, txns, true},
		{"nothing behind the last marker", 40, 50, nil, false},
	} {
		got, complete, err := x.collect(nil, c.from, c.to)
		if err != nil || !slices.Equal(got, c.want) || complete != c.complete {
			t.Errorf("%s: %+v, complete %v, %v", c.name, got, complete, err)
		}
	}
	if err := x.truncate(29); err != nil {
		t.Fatal(err)
	}
	if got, _, err := x.collect(nil, 0, 100); err != nil || !slices.Equal(got, txns[:1]) {
		t.Errorf("truncated to the offset of a marker: %+v, %v", got, err)
	}
	var b [2 * txnEntrySize]byte
	txns[1].encode(b[:])
	txns[0].encode(b[txnEntrySize:])
	if _, err := decodeAbortedTxns(b[:], 0); !errors.Is(err, errCorruptIndex) {
		t.Errorf("entries out of order: %v", err)
	}
}
