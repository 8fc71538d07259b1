package zkserver

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"os"
	"path/filepath"
)

const (
	logMagic      = 0x5A4B4C47 // "ZKLG"
	snapshotMagic = 0x5A4B534E // "ZKSN"
	fileVersion   = 2
	headerSize    = 16 // magic, version, database id
	entryHead     = 12 // checksum, length
	entryEnd      = 'B'
)

func appendFileHeader(b []byte, magic uint32) []byte {
	e := encoder{b}
	e.int32(int32(magic))
	e.int32(fileVersion)
	e.int64(0)
	return e.b
}

func checkFileHeader(d *decoder, magic uint32) error {
	m, v := uint32(d.int32()), d.int32()
	d.int64()
	switch {
	case d.err != nil:
		return d.err
	case m != magic:
		return fmt.Errorf("magic 0x%08x in place of 0x%08x", m, magic)
	case v != fileVersion:
		return fmt.Errorf("version %d in place of %d", v, fileVersion)
	}
	return nil
}

// appendEntry appends a log entry.
func appendEntry(b []byte, h txnHeader, t *txn) []byte {
	start := len(b)
	e := encoder{append(b, make([]byte, entryHead)...)}
	e.txn(h, t)
	body := e.b[start+entryHead:]
	binary.BigEndian.PutUint64(e.b[start:], uint64(adler32.Checksum(body)))
	binary.BigEndian.PutUint32(e.b[start+8:], uint32(len(body)))
	return append(e.b, entryEnd)
}

// readLog calls each for the entries of a log file of the given size and returns the length of the part that is
// whole. Behind it lie nothing, the zeros Java fills files up with, or what was being written at a crash: torn is
// true for the last. An error is one of reading, or a whole entry nobody can understand.
func readLog(r io.Reader, size int64, each func(txnHeader, *txn) error) (whole int64, torn bool, err error) {
	in := bufio.NewReaderSize(r, 64<<10)
	head := make([]byte, headerSize)
	if n, err := io.ReadFull(in, head); err != nil {
		return 0, n > 0, ignoreEOF(err)
	}
	if err := checkFileHeader(&decoder{b: head}, logMagic); err != nil {
		if isZero(head) {
			return 0, true, nil
		}
		return 0, false, err
	}
	whole = headerSize
	var body []byte
	for {
		if n, err := io.ReadFull(in, head[:entryHead]); err != nil {
			return whole, n > 0 && !isZero(head[:n]), ignoreEOF(err)
		}
		sum, n := binary.BigEndian.Uint64(head), int64(binary.BigEndian.Uint32(head[8:]))
		if n == 0 {
			return whole, sum != 0, nil
		}
		if n > size-whole-entryHead-1 {
			return whole, true, nil
		}
		if int64(cap(body)) < n+1 {
			body = make([]byte, n+1)
		}
		body = body[:n+1]
		if _, err := io.ReadFull(in, body); err != nil {
			return whole, true, ignoreEOF(err)
		}
		if body[n] != entryEnd || sum != uint64(adler32.Checksum(body[:n])) {
			return whole, true, nil
		}
		h, t, err := decodeTxn(body[:n])
		if err == nil {
			err = each(h, t)
		}
		if err != nil {
			return whole, false, err
		}
		whole += entryHead + n + 1
	}
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

func isZero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

// txnLog writes the transaction log: one file after the other, each named by its first zxid. It belongs to the
// committer's goroutine.
type txnLog struct {
	dir    string
	file   *os.File // nil until there is something to write
	size   int64
	synced int64 // how much of the file is known to be on the disk
}

// append writes entries, the first of zxid first, and returns when they are on the disk.
func (l *txnLog) append(first int64, entries []byte) error {
	created := l.file == nil
	if created {
		file, err := os.OpenFile(filepath.Join(l.dir, fileName("log", first)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		l.file, l.size, l.synced = file, 0, 0
		entries = append(appendFileHeader(make([]byte, 0, headerSize+len(entries)), logMagic), entries...)
	}
	n, err := l.file.Write(entries)
	l.size += int64(n)
	if err != nil {
		return err
	}
	if err := l.file.Sync(); err != nil {
		return err
	}
	l.synced = l.size
	if created {
		return syncDir(l.dir)
	}
	return nil
}

// roll ends the file; the next entry begins another.
func (l *txnLog) roll() error {
	if l.file == nil {
		return nil
	}
	file := l.file
	l.file = nil
	return file.Close()
}

// crash is roll after a loss of power: what was not synced is gone.
func (l *txnLog) crash() {
	if l.file != nil {
		l.file.Truncate(l.synced)
		l.roll()
	}
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
