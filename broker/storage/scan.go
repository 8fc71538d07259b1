package storage

import (
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/record"
)

// scanBlock is how much a headerScan reads at once. Small batches come several to a block; of large ones only the
// block with the header is read.
const scanBlock = 4096

// headerScan walks the batches of a log file between two positions by their headers alone. It comes from a
// pool: call done, and use no header after that.
type headerScan struct {
	f        file
	position int64 // of the next batch
	end      int64
	bufStart int64
	buf      []byte // what has been read, from bufStart on
	block    [scanBlock]byte
}

var headerScans = sync.Pool{New: func() any { return new(headerScan) }}

func scanHeaders(f file, from, end int64) *headerScan {
	s := headerScans.Get().(*headerScan)
	s.f, s.position, s.end, s.buf = f, from, end, nil
	return s
}

func (s *headerScan) done() {
	s.f = nil
	headerScans.Put(s)
}

// next returns the header at the current position, the position, and moves on behind the batch. The header is
// nil at the end; an incomplete batch is the end too. It is valid until the next call.
func (s *headerScan) next() (header record.Batch, position int64, err error) {
	head, err := s.peek(record.HeaderBytes)
	if err != nil {
		return nil, s.position, err
	}
	size, err := record.SizeOf(head)
	if err != nil {
		return nil, s.position, fmt.Errorf("at position %d: %w", s.position, err)
	}
	if size == 0 || s.position+int64(size) > s.end {
		return nil, s.position, nil
	}
	header = record.Batch(head)
	if err := checkOffsets(header); err != nil {
		return nil, s.position, fmt.Errorf("at position %d: %w", s.position, err)
	}
	position = s.position
	s.position += int64(size)
	return header, position, nil
}

// checkOffsets refuses the offsets that no batch in a log can have.
func checkOffsets(b record.Batch) error {
	if b.BaseOffset() < 0 || b.LastOffset() < b.BaseOffset() {
		return kerr.New(kerr.CorruptMessage, "a batch cannot go from offset %d to %d", b.BaseOffset(), b.LastOffset())
	}
	return nil
}

// peek returns up to n bytes at the current position.
func (s *headerScan) peek(n int) ([]byte, error) {
	n = int(min(int64(n), s.end-s.position))
	if n <= 0 {
		return nil, nil
	}
	if at := s.position - s.bufStart; at >= 0 && at+int64(n) <= int64(len(s.buf)) {
		return s.buf[at : at+int64(n)], nil
	}
	want := min(int64(scanBlock), s.end-s.position)
	got, err := s.f.ReadAt(s.block[:want], s.position)
	if err != nil && err != io.EOF {
		return nil, err
	}
	s.bufStart, s.buf = s.position, s.block[:got]
	return s.buf[:min(n, got)], nil
}

// place is where a batch was found.
type place struct {
	position   int64 // in the .log
	size       int   // bytes of the batch
	lastOffset int64
}

// findOffset scans for the first batch that ends at offset or behind it.
func findOffset(f file, from, end, offset int64) (p place, ok bool, err error) {
	scan := scanHeaders(f, from, end)
	defer scan.done()
	for {
		h, position, err := scan.next()
		if err != nil || h == nil {
			return place{}, false, err
		}
		if last := h.LastOffset(); last >= offset {
			return place{position, h.SizeBytes(), last}, true, nil
		}
	}
}

// batchReader reads whole batches of a file one after the other and checks each checksum. It is for recovery
// and for replaying batches, where every byte counts; its memory is bounded whatever a header claims.
type batchReader struct {
	f        file
	position int64
	end      int64
	check    bool // compare checksums
	buffered int  // bytes of the largest batch that is returned whole; 0 for maxBuffered
	bufStart int64
	buf      []byte
}

const (
	readAhead   = 256 << 10
	maxBuffered = 4 << 20
)

// next returns the batch at the current position and moves on behind it; nil at the end. Of a batch larger than
// maxBuffered only the header is returned, its checksum having been verified piece by piece. Valid until the
// next call.
func (r *batchReader) next() (batch record.Batch, position int64, err error) {
	position = r.position
	head, err := r.fill(record.HeaderBytes)
	if err != nil {
		return nil, position, err
	}
	size, err := record.SizeOf(head)
	if err != nil {
		return nil, position, err
	}
	if size == 0 || position+int64(size) > r.end {
		return nil, position, nil
	}
	batch = record.Batch(head[:min(size, len(head))])
	if err := checkOffsets(batch); err != nil {
		return nil, position, err
	}
	if size <= max(r.buffered, maxBuffered) {
		whole, err := r.fill(size)
		if err != nil || len(whole) < size {
			return nil, position, err
		}
		batch = record.Batch(whole[:size:size])
		if r.check {
			if err := batch.CheckCRC(); err != nil {
				return nil, position, err
			}
		}
	} else if r.check {
		if err := r.checkLarge(batch, size); err != nil {
			return nil, position, err
		}
		if head, err = r.fill(record.HeaderBytes); err != nil {
			return nil, position, err
		}
		batch = record.Batch(head)
	}
	r.position += int64(size)
	return batch, position, nil
}

// checkLarge computes the checksum of a batch that is not taken into memory as a whole.
func (r *batchReader) checkLarge(header record.Batch, size int) error {
	table, skip, want := castagnoli, int64(21), header.CRC()
	if header.Magic() < 2 {
		table, skip = crc32.IEEETable, 16
	}
	sum := uint32(0)
	piece := make([]byte, readAhead)
	for at, end := r.position+skip, r.position+int64(size); at < end; {
		n, err := r.f.ReadAt(piece[:min(int64(len(piece)), end-at)], at)
		if err != nil && err != io.EOF {
			return err
		}
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
		sum = crc32.Update(sum, table, piece[:n])
		at += int64(n)
	}
	if sum != want {
		return kerr.New(kerr.CorruptMessage, "Record is corrupt (stored crc = %d, computed crc = %d)", want, sum)
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// fill returns n bytes at the current position, or what there is.
func (r *batchReader) fill(n int) ([]byte, error) {
	n = int(min(int64(n), r.end-r.position))
	at := r.position - r.bufStart
	if at >= 0 && at+int64(n) <= int64(len(r.buf)) {
		return r.buf[at:], nil
	}
	want := int(min(int64(max(n, readAhead)), r.end-r.position))
	if want <= 0 {
		return nil, nil
	}
	if cap(r.buf) < want {
		r.buf = make([]byte, want)
	}
	got, err := r.f.ReadAt(r.buf[:want], r.position)
	if err != nil && err != io.EOF {
		return nil, err
	}
	r.bufStart, r.buf = r.position, r.buf[:got]
	return r.buf, nil
}
