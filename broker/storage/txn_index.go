package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
)

// AbortedTxn is a transaction whose records a read_committed consumer must skip.
type AbortedTxn struct {
	ProducerID       int64
	FirstOffset      int64
	LastOffset       int64 // of the ABORT marker
	LastStableOffset int64 // of the log, right after the marker
}

const (
	txnIndexSuffix = ".txnindex"
	txnEntrySize   = 34
)

func (t AbortedTxn) encode(b []byte) {
	binary.BigEndian.PutUint16(b, 0)
	binary.BigEndian.PutUint64(b[2:], uint64(t.ProducerID))
	binary.BigEndian.PutUint64(b[10:], uint64(t.FirstOffset))
	binary.BigEndian.PutUint64(b[18:], uint64(t.LastOffset))
	binary.BigEndian.PutUint64(b[26:], uint64(t.LastStableOffset))
}

// decodeAbortedTxns reads the whole of a transaction index and checks what can be checked.
func decodeAbortedTxns(b []byte, base int64) ([]AbortedTxn, error) {
	if len(b)%txnEntrySize != 0 {
		return nil, fmt.Errorf("%w: %d bytes are no multiple of %d", errCorruptIndex, len(b), txnEntrySize)
	}
	txns := make([]AbortedTxn, 0, len(b)/txnEntrySize)
	for ; len(b) > 0; b = b[txnEntrySize:] {
		t := AbortedTxn{
			ProducerID:       int64(binary.BigEndian.Uint64(b[2:])),
			FirstOffset:      int64(binary.BigEndian.Uint64(b[10:])),
			LastOffset:       int64(binary.BigEndian.Uint64(b[18:])),
			LastStableOffset: int64(binary.BigEndian.Uint64(b[26:])),
		}
		if v := binary.BigEndian.Uint16(b); v != 0 {
			return nil, fmt.Errorf("%w: version %d of an aborted transaction", errCorruptIndex, v)
		}
		inOrder := len(txns) == 0 || t.LastOffset > txns[len(txns)-1].LastOffset
		if t.LastOffset < base || t.FirstOffset > t.LastOffset || !inOrder {
			return nil, fmt.Errorf("%w: aborted transaction %+v in a segment with base %d", errCorruptIndex, t, base)
		}
		txns = append(txns, t)
	}
	return txns, nil
}

// txnIndex lists the transactions that were aborted by a marker in this segment (.txnindex; Java:
// TransactionIndex). The file comes to be with the first of them; most segments never have one. Once read the
// list stays in memory.
type txnIndex struct {
	disk fileSystem
	dir  string
	base int64

	mu struct {
		sync.Mutex
		loaded  bool
		txns    []AbortedTxn
		retired bool // the segment was removed: its file is not ours any more
		dirty   bool // written to since the last sync
		proven  bool // the list is known to be that of the segment's markers
	}
}

func (x *txnIndex) path() string { return segmentPath(x.dir, x.base, txnIndexSuffix) }

func (x *txnIndex) loadLocked() error {
	if x.mu.loaded {
		return nil
	}
	if x.mu.retired {
		return fs.ErrNotExist
	}
	b, err := readFile(x.disk, x.path())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	txns, err := decodeAbortedTxns(b, x.base)
	if err != nil {
		return fmt.Errorf("%s: %w", x.path(), err)
	}
	x.mu.txns, x.mu.loaded = txns, true
	return nil
}

func (x *txnIndex) retire() {
	x.mu.Lock()
	x.mu.retired = true
	x.mu.Unlock()
}

// check reads the file and reports whether it is sound.
func (x *txnIndex) check() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.loadLocked()
}

// doubtful tells whether the index lists nothing, while nobody has looked whether that is right.
func (x *txnIndex) doubtful() (bool, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.mu.proven {
		return false, nil
	}
	if err := x.loadLocked(); err != nil {
		return false, err
	}
	x.mu.proven = len(x.mu.txns) > 0
	return !x.mu.proven, nil
}

func (x *txnIndex) listsSome() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.mu.txns) > 0
}

func (x *txnIndex) prove() {
	x.mu.Lock()
	x.mu.proven = true
	x.mu.Unlock()
}

// append adds an aborted transaction; markers come in order, so must the entries.
func (x *txnIndex) append(t AbortedTxn) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.loadLocked(); err != nil {
		return err
	}
	n := len(x.mu.txns)
	if n > 0 && t.LastOffset <= x.mu.txns[n-1].LastOffset {
		return fmt.Errorf("BUG: aborted transaction %+v after %+v", t, x.mu.txns[n-1])
	}
	var b [txnEntrySize]byte
	t.encode(b[:])
	f, err := x.disk.OpenFile(x.path(), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b[:], int64(n)*txnEntrySize)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	x.mu.txns, x.mu.dirty = append(x.mu.txns, t), true
	return nil
}

// collect adds to found the transactions that overlap [from, to), and tells whether later segments cannot have any:
// an entry whose last stable offset is at or behind to ends the search.
func (x *txnIndex) collect(found []AbortedTxn, from, to int64) (_ []AbortedTxn, complete bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.loadLocked(); err != nil {
		return found, false, err
	}
	for _, t := range x.mu.txns {
		if t.LastOffset >= from && t.FirstOffset < to {
			found = append(found, t)
		}
		if t.LastStableOffset >= to {
			return found, true, nil
		}
	}
	return found, false, nil
}

// truncate drops the transactions that were ended at offset or behind it.
func (x *txnIndex) truncate(offset int64) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.loadLocked(); err != nil {
		return err
	}
	n := len(x.mu.txns)
	for n > 0 && x.mu.txns[n-1].LastOffset >= offset {
		n--
	}
	if n == len(x.mu.txns) {
		return nil
	}
	x.mu.txns, x.mu.dirty = x.mu.txns[:n], true
	f, err := x.disk.OpenFile(x.path(), os.O_RDWR)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(int64(n)*txnEntrySize), f.Close())
}

// reset forgets all transactions, because the segment is read through again.
func (x *txnIndex) reset() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.mu.txns, x.mu.loaded, x.mu.dirty, x.mu.proven = nil, true, false, true
	return removeIfExists(x.disk, x.path())
}

// sync makes the entries durable, and that entries are gone.
func (x *txnIndex) sync() error {
	x.mu.Lock()
	dirty := x.mu.dirty && !x.mu.retired
	x.mu.dirty = false
	x.mu.Unlock()
	if !dirty {
		return nil
	}
	err := syncPath(x.disk, x.path())
	if err != nil {
		x.mu.Lock()
		x.mu.dirty = true // without a descriptor to be had the next flush tries again
		x.mu.Unlock()
	}
	return err
}
