package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// fileSystem is the disk as this package sees it. Everything that must survive a crash goes through these few
// calls, so that a test can record their order, fail any of them, and lose what no sync has covered.
type fileSystem interface {
	OpenFile(name string, flag int) (file, error)
	Rename(oldName, newName string) error
	Remove(name string) error
	RemoveAll(name string) error
	MkdirAll(name string) error
	Stat(name string) (fs.FileInfo, error)
	ReadDir(name string) ([]fs.DirEntry, error) // sorted by name
	SyncDir(name string) error                  // makes creations, renames and removals in a directory durable
}

// file is an open file. Reads and writes carry their own offset: none of its users share a position.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	Stat() (fs.FileInfo, error)
	Sync() error  // data and whatever metadata is needed to read it back
	OS() *os.File // for wire.Region: sendfile needs a real descriptor
}

// osFS is the real disk.
type osFS struct{}

type osFile struct{ *os.File }

func (f osFile) OS() *os.File { return f.File }
func (f osFile) Sync() error  { return syncData(f.File) }

func (osFS) OpenFile(name string, flag int) (file, error) {
	f, err := os.OpenFile(name, flag, 0o644)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFS) Rename(oldName, newName string) error       { return os.Rename(oldName, newName) }
func (osFS) Remove(name string) error                   { return os.Remove(name) }
func (osFS) RemoveAll(name string) error                { return os.RemoveAll(name) }
func (osFS) MkdirAll(name string) error                 { return os.MkdirAll(name, 0o755) }
func (osFS) Stat(name string) (fs.FileInfo, error)      { return os.Stat(name) }
func (osFS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

func (osFS) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// maxSmallFile bounds what readFile takes into memory: checkpoints, snapshots, properties. A producer snapshot of
// five million producers and a checkpoint of a million partitions stay below it.
const maxSmallFile = 256 << 20

// readFile returns the whole of a small file.
func readFile(disk fileSystem, name string) ([]byte, error) {
	f, err := disk.OpenFile(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxSmallFile {
		return nil, fmt.Errorf("%s has %d bytes, such a file may have %d", name, info.Size(), maxSmallFile)
	}
	b := make([]byte, info.Size())
	n, err := f.ReadAt(b, 0)
	if err == io.EOF {
		err = nil
	}
	return b[:n], err
}

// writeFileSynced replaces a small file so that a crash leaves either the old or the new content, never a mixture:
// a temporary file is written and synced, renamed over the target, and the directory synced.
func writeFileSynced(disk fileSystem, name string, content []byte) error {
	tmp := name + ".tmp"
	if err := writeNewFile(disk, tmp, content, true); err != nil {
		return err
	}
	if err := disk.Rename(tmp, name); err != nil {
		return err
	}
	return disk.SyncDir(filepath.Dir(name))
}

// writeNewFile writes a file from scratch, in place.
func writeNewFile(disk fileSystem, name string, content []byte, sync bool) error {
	f, err := disk.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	if len(content) > 0 {
		_, err = f.WriteAt(content, 0)
	}
	if err == nil && sync {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// removeIfExists removes a file that may be gone already.
func removeIfExists(disk fileSystem, name string) error {
	if err := disk.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
