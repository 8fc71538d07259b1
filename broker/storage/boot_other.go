//go:build !linux

package storage

// bootID is not known here.
func bootID() []byte { return nil }
