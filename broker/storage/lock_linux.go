package storage

import (
	"os"

	"golang.org/x/sys/unix"
)

// tryLock takes the record lock that Java's FileChannel.tryLock takes, so that a Java broker and ours exclude each
// other. The kernel drops the lock when the process ends, or closes ANY descriptor of the file.
func tryLock(f *os.File) error {
	return unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
}

// isLocked tells whether an error of tryLock means that somebody else holds the lock.
func isLocked(err error) bool { return err == unix.EAGAIN || err == unix.EACCES }
