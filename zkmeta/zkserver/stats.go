package zkserver

import (
	"strconv"
	"sync/atomic"
	"time"
)

// stats are the figures of srvr, stat and mntr. The committer adds latencies; everybody reads.
type stats struct {
	count, sum, min, max atomic.Int64 // latencies in microseconds
}

// answered counts a request that was answered after d.
func (s *stats) answered(d time.Duration) {
	us := d.Microseconds()
	if s.count.Add(1) == 1 || us < s.min.Load() {
		s.min.Store(us)
	}
	s.sum.Add(us)
	s.max.Store(max(us, s.max.Load()))
}

// hex writes ids and zxids as ZooKeeper's logs and words do.
func hex(v int64) string { return "0x" + strconv.FormatUint(uint64(v), 16) }
