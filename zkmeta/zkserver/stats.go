package zkserver

import (
	"strconv"
	"sync/atomic"
	"time"
)

// stats are figures of the server or of one connection. Latencies are added by the committer alone; anybody reads.
type stats struct {
	begin                      time.Time
	received, sent             atomic.Int64 // server only: packets of connections that have ended
	count, sum, min, max, last atomic.Int64 // latencies in microseconds
}

// answered counts a request that was answered after d.
func (s *stats) answered(d time.Duration) {
	us := d.Microseconds()
	if s.count.Add(1) == 1 || us < s.min.Load() {
		s.min.Store(us)
	}
	s.sum.Add(us)
	s.max.Store(max(us, s.max.Load()))
	s.last.Store(us)
}

// latencyMS gives milliseconds, as the words do.
func (s *stats) latencyMS() (low int64, mean float64, high int64) {
	return s.min.Load() / 1000, float64(s.sum.Load()) / float64(max(1, s.count.Load())) / 1000, s.max.Load() / 1000
}

func (s *stats) uptime() time.Duration { return time.Since(s.begin) }

// hex writes ids and zxids as ZooKeeper's logs and words do.
func hex(v int64) string { return "0x" + strconv.FormatUint(uint64(v), 16) }
