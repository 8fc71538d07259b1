//go:build !linux

package storage

import "os"

// syncData without fdatasync.
func syncData(f *os.File) error { return f.Sync() }

// usage is not known here; -1 is what Kafka's DescribeLogDirs says then.
func usage(path string) (total, usable int64, err error) { return -1, -1, nil }
