package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
)

// errCorruptIndex marks an index file that cannot be what it says; the index is then built again from the batches.
var errCorruptIndex = errors.New("corrupt index")

// indexKind says how the entries of one kind of index look.
type indexKind[E any] struct {
	suffix string
	size   int // bytes of an entry
	encode func([]byte, E)
	decode func([]byte) E
	after  func(prev, next E) bool // may next follow prev?
}

// indexFile is a sorted run of entries of one size, in a file of nothing else.
//
// While its segment is written to, the index is resident: the entries are in memory and go to the file when
// somebody calls save (roll, flush, stop), so that an append costs no second system call and a partition no
// second descriptor. A crash in between is no loss: recovery builds the index again. A sealed index is not in
// memory at all; a lookup reads a few entries and one block, which is small against any fetch. So is opening
// it: the file is not touched before the first lookup.
type indexFile[E any] struct {
	disk fileSystem
	kind *indexKind[E]
	dir  string
	base int64
	max  int // entries that may be in the file (segment.index.bytes)

	mu struct {
		sync.RWMutex
		retired  bool // the segment was removed: open no file
		resident bool
		entries  []E // all of them, while resident
		saved    int // so many of entries are in the file
		known    bool
		count    int  // entries in the file, while not resident; once known
		file     file // of a sealed index, nil until somebody needs it
	}
}

const indexBlock = 4096

var indexBlocks = sync.Pool{New: func() any { return new([indexBlock]byte) }}

func (x *indexFile[E]) path() string { return segmentPath(x.dir, x.base, x.kind.suffix) }

// create starts a resident index without entries, in an empty file.
func (x *indexFile[E]) create() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closeLocked()
	f, err := x.disk.OpenFile(x.path(), os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	x.mu.resident, x.mu.known = true, false
	x.mu.entries, x.mu.saved = nil, 0
	return f.Close()
}

// openLocked opens the file and counts its entries, if that has not been done.
func (x *indexFile[E]) openLocked() error {
	if x.mu.file == nil {
		if x.mu.retired {
			return fs.ErrNotExist
		}
		f, err := x.disk.OpenFile(x.path(), os.O_RDWR)
		if err != nil {
			return err
		}
		x.mu.file = f
	}
	if !x.mu.known {
		info, err := x.mu.file.Stat()
		if err != nil {
			return err
		}
		if info.Size()%int64(x.kind.size) != 0 {
			return fmt.Errorf("%w: the %d bytes of %s are no multiple of %d", errCorruptIndex, info.Size(), x.path(), x.kind.size)
		}
		x.mu.count, x.mu.known = int(info.Size()/int64(x.kind.size)), true
	}
	return nil
}

// load makes a sealed index resident, because its segment will be written to. Every entry is checked.
func (x *indexFile[E]) load() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.mu.resident {
		return nil
	}
	if err := x.openLocked(); err != nil {
		return err
	}
	b := make([]byte, x.mu.count*x.kind.size)
	if _, err := x.mu.file.ReadAt(b, 0); err != nil && err != io.EOF {
		return err
	}
	entries := make([]E, x.mu.count)
	for i := range entries {
		entries[i] = x.kind.decode(b[i*x.kind.size:])
		if i > 0 && !x.kind.after(entries[i-1], entries[i]) {
			return fmt.Errorf("%w: entry %d of %s does not follow the one before it", errCorruptIndex, i, x.path())
		}
	}
	x.mu.entries, x.mu.saved, x.mu.resident = entries, len(entries), true
	return x.closeLocked()
}

// add appends an entry; the index must be resident and the entry must follow the last one.
func (x *indexFile[E]) add(e E) {
	x.mu.Lock()
	x.mu.entries = append(x.mu.entries, e)
	x.mu.Unlock()
}

// full tells whether no more than spare entries fit.
func (x *indexFile[E]) full(spare int) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.mu.entries)+spare >= x.max
}

func (x *indexFile[E]) lenLocked() int {
	if x.mu.resident {
		return len(x.mu.entries)
	}
	return x.mu.count
}

// last returns the newest entry, if there is one.
func (x *indexFile[E]) last() (e E, ok bool, err error) {
	if err := x.rLock(); err != nil {
		return e, false, err
	}
	defer x.mu.RUnlock()
	n := x.lenLocked()
	if n == 0 {
		return e, false, nil
	}
	e, err = x.atLocked(n - 1)
	return e, err == nil, err
}

// floor returns the last entry for which upTo is true; upTo must be true for a prefix of the entries and false for
// the rest.
func (x *indexFile[E]) floor(upTo func(E) bool) (e E, ok bool, err error) {
	if err := x.rLock(); err != nil {
		return e, false, err
	}
	defer x.mu.RUnlock()
	i, err := x.searchLocked(upTo)
	if err != nil || i == 0 {
		return e, false, err
	}
	e, err = x.atLocked(i - 1)
	return e, err == nil, err
}

// ceiling returns the first entry for which upTo is false.
func (x *indexFile[E]) ceiling(upTo func(E) bool) (e E, ok bool, err error) {
	if err := x.rLock(); err != nil {
		return e, false, err
	}
	defer x.mu.RUnlock()
	i, err := x.searchLocked(upTo)
	if err != nil || i == x.lenLocked() {
		return e, false, err
	}
	e, err = x.atLocked(i)
	return e, err == nil, err
}

// rLock locks the index for reading with its entries in reach: in memory, or in a file that is open. A roll may seal
// the index between the opening and the locking, so it looks again.
func (x *indexFile[E]) rLock() error {
	for {
		x.mu.RLock()
		if x.mu.resident || x.mu.file != nil && x.mu.known {
			return nil
		}
		x.mu.RUnlock()
		if err := x.open(); err != nil {
			return err
		}
	}
}

// open opens the file of a sealed index.
func (x *indexFile[E]) open() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.mu.resident {
		return nil
	}
	return x.openLocked()
}

// searchLocked returns how many entries satisfy upTo.
func (x *indexFile[E]) searchLocked(upTo func(E) bool) (int, error) {
	low, high := 0, x.lenLocked() // entries below low satisfy it, entries from high on do not
	if x.mu.resident {
		for low < high {
			mid := int(uint(low+high) / 2)
			if upTo(x.mu.entries[mid]) {
				low = mid + 1
			} else {
				high = mid
			}
		}
		return low, nil
	}
	block := indexBlocks.Get().(*[indexBlock]byte)
	defer indexBlocks.Put(block)
	size := x.kind.size
	for high-low > indexBlock/size {
		mid := int(uint(low+high) / 2)
		if _, err := x.mu.file.ReadAt(block[:size], int64(mid)*int64(size)); err != nil {
			return 0, err
		}
		if upTo(x.kind.decode(block[:size])) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	run := block[:(high-low)*size]
	if _, err := x.mu.file.ReadAt(run, int64(low)*int64(size)); err != nil && len(run) > 0 {
		return 0, err
	}
	first := low
	for low < high {
		mid := int(uint(low+high) / 2)
		if upTo(x.kind.decode(run[(mid-first)*size:])) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, nil
}

func (x *indexFile[E]) atLocked(i int) (e E, err error) {
	if x.mu.resident {
		return x.mu.entries[i], nil
	}
	block := indexBlocks.Get().(*[indexBlock]byte)
	defer indexBlocks.Put(block)
	b := block[:x.kind.size]
	if _, err := x.mu.file.ReadAt(b, int64(i)*int64(x.kind.size)); err != nil {
		return e, err
	}
	return x.kind.decode(b), nil
}

// cut drops the entries that do not satisfy upTo; the index must be resident. The file follows at the next save.
func (x *indexFile[E]) cut(upTo func(E) bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	n, _ := x.searchLocked(upTo)
	x.mu.entries = x.mu.entries[:n]
	x.mu.saved = min(x.mu.saved, n)
}

// save brings the file of a resident index up to date: it holds the entries and nothing else afterwards.
func (x *indexFile[E]) save() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.mu.resident {
		return nil
	}
	if x.mu.retired {
		return fs.ErrNotExist
	}
	f, err := x.disk.OpenFile(x.path(), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	return errors.Join(x.writeLocked(f), f.Close())
}

func (x *indexFile[E]) writeLocked(f file) error {
	size := x.kind.size
	if fresh := x.mu.entries[x.mu.saved:]; len(fresh) > 0 {
		b := make([]byte, len(fresh)*size)
		for i, e := range fresh {
			x.kind.encode(b[i*size:], e)
		}
		if _, err := f.WriteAt(b, int64(x.mu.saved)*int64(size)); err != nil {
			return err
		}
	}
	if err := f.Truncate(int64(len(x.mu.entries)) * int64(size)); err != nil {
		return err
	}
	x.mu.saved = len(x.mu.entries)
	return nil
}

// sync makes what save wrote durable.
func (x *indexFile[E]) sync() error {
	x.mu.RLock()
	retired := x.mu.retired
	x.mu.RUnlock()
	if retired {
		return fs.ErrNotExist
	}
	return syncPath(x.disk, x.path())
}

// seal saves a resident index and forgets its entries: nothing will be added for now.
func (x *indexFile[E]) seal() error {
	if err := x.save(); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.mu.resident {
		x.mu.count, x.mu.known = len(x.mu.entries), true
		x.mu.entries, x.mu.saved, x.mu.resident = nil, 0, false
	}
	return nil
}

// retire forbids to open the file again: another segment may have its name by then.
func (x *indexFile[E]) retire() {
	x.mu.Lock()
	x.mu.retired = true
	x.mu.Unlock()
}

// close closes the file without saving.
func (x *indexFile[E]) close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.closeLocked()
}

func (x *indexFile[E]) closeLocked() error {
	if x.mu.file == nil {
		return nil
	}
	err := x.mu.file.Close()
	x.mu.file = nil
	return err
}
