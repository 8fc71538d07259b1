package quota

import (
	"sync"
	"time"
)

// window measures a rate over the last few samples (Kafka: SimpleRate over SampledStat). A sample begins with the first
// record after the one before it was full, so an idle window costs nothing.
type window struct {
	size time.Duration // of a sample
	mu   struct {
		sync.Mutex
		samples []sample // a ring, the oldest at next once it is full
		newest  int
	}
}

// sample is what was recorded from its beginning on, until the next one's.
type sample struct {
	begun time.Duration // as the caller's clock has it
	sum   int64
	used  bool
}

// newWindow makes a window of n samples; both arguments are at least 1 of their kind.
func newWindow(n int, size time.Duration) *window {
	w := &window{size: size}
	w.mu.samples = make([]sample, max(n, 1))
	return w
}

// record adds n at a time that does not go back.
func (w *window) record(n int64, now time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &w.mu.samples[w.mu.newest]
	if s.used && now-s.begun >= w.size {
		w.mu.newest = (w.mu.newest + 1) % len(w.mu.samples)
		s = &w.mu.samples[w.mu.newest]
		s.used = false
	}
	if !s.used {
		*s = sample{begun: now, used: true}
	}
	s.sum += n
}

// rate is the sum of the samples that are not too old, a second. Over less than one sample's time nothing is
// extrapolated.
func (w *window) rate(now time.Duration) float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	oldest, sum := now, int64(0)
	for _, s := range w.mu.samples {
		if s.used && now-s.begun < time.Duration(len(w.mu.samples))*w.size {
			oldest, sum = min(oldest, s.begun), sum+s.sum
		}
	}
	return float64(sum) / max(now-oldest, w.size).Seconds()
}
