package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

const lockFileName = ".lock"

// dirLock is the claim of one process on one log directory.
type dirLock struct {
	path string
	file *os.File
}

// held are the directories this process has locked. A record lock belongs to the process, so a second
// Manager in the same process would pass tryLock, and closing its descriptor would end the lock of the first.
var held struct {
	sync.Mutex
	dirs map[string]bool
}

// lockDir claims dir for this process, or says with Kafka's words that another one has it.
func lockDir(dir string) (*dirLock, error) {
	path := filepath.Join(dir, lockFileName)
	taken := fmt.Errorf("Failed to acquire lock on file .lock in %s. A Kafka instance in another process or thread is "+
		"using this directory.", dir)

	held.Lock()
	defer held.Unlock()
	if held.dirs[path] {
		return nil, taken
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := tryLock(f); err != nil {
		f.Close()
		if isLocked(err) {
			return nil, taken
		}
		return nil, &os.PathError{Op: "lock", Path: path, Err: err}
	}
	if held.dirs == nil {
		held.dirs = make(map[string]bool)
	}
	held.dirs[path] = true
	return &dirLock{path, f}, nil
}

// release gives the directory back. The file is removed while the lock is still held: whoever opens the path
// after that makes a new file, and whoever has the old one open gets a lock on a file without a name, which
// excludes nobody, as with Java.
func (l *dirLock) release() error {
	held.Lock()
	defer held.Unlock()
	delete(held.dirs, l.path)
	return errors.Join(os.Remove(l.path), l.file.Close())
}
