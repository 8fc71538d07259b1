package zkserver

import (
	"os"
	"syscall"
)

// fileDescriptors tells how many files the process has open and how many it may have.
func fileDescriptors() (open int, most uint64) {
	entries, _ := os.ReadDir("/proc/self/fd")
	var limit syscall.Rlimit
	syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	return len(entries), limit.Cur
}
