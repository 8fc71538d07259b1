//go:build !linux

package storage

import (
	"os"
	"syscall"
)

// tryLock takes the record lock that Java's FileChannel.tryLock takes.
func tryLock(f *os.File) error {
	return syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK})
}

// isLocked tells whether an error of tryLock means that somebody else holds the lock.
func isLocked(err error) bool { return err == syscall.EAGAIN || err == syscall.EACCES }
