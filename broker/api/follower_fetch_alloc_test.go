//go:build !race

package api

import (
	"context"
	"testing"
)

// A follower asks many times a second, and mostly nothing has come to most of its partitions.
func TestAFollowersFetchAllocatesNothingForIdlePartitions(t *testing.T) {
	s := openFollowerSession(t, followedBy2(t, 1000), 1000)
	ended, end := context.WithCancel(context.Background())
	end()
	batch := records(t, 100)
	for _, c := range []struct {
		name string
		do   func()
	}{
		{"no partition of a thousand has news, and it waits", func() { s.fetch(ended) }},
		{"one of a thousand has", func() {
			clear(batch[:8]) // the offset a producer sends
			s.produce(0, batch)
			s.fetch(ended, 0)
		}},
	} {
		if n := testing.AllocsPerRun(50, c.do); n > 20 {
			t.Errorf("%s: %v allocations, want at most 20", c.name, n)
		}
	}
}
