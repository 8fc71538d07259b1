//go:build race

package main

import "os"

// A program with the race detector naps for a second before it exits, so that its last goroutines may still be caught.
// The tests run some 250 tools as processes of their own; a nap of 20 ms gives most of that for a fiftieth of the time.
func init() {
	os.Setenv("GORACE", "atexit_sleep_ms=20 "+os.Getenv("GORACE"))
}
