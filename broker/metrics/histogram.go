package metrics

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Histogram counts observations in buckets a sixteenth of their value wide, so a quantile is off by 6 % at
// most. Observe is a few atomic additions and never waits. Quantiles speak of the last five to ten minutes,
// the count and the sum of all time.
type Histogram struct {
	buckets [bucketCount]atomic.Uint64
	sum     atomic.Uint64 // in thousandths
	mu      struct {
		sync.Mutex
		old, mid [bucketCount]uint64 // the buckets as they stood at the last two rotations
		rotated  time.Time
	}
}

const (
	window      = 5 * time.Minute
	fine        = 16 // buckets per power of two
	bucketCount = 50 * fine
)

// quantiles are those of Kafka's Yammer histograms.
var quantiles = []float64{0.5, 0.75, 0.95, 0.98, 0.99, 0.999}

// Observe counts a value of 0 or more; negative values count as 0.
func (h *Histogram) Observe(v float64) {
	thousandths := uint64(max(v, 0) * 1000)
	h.buckets[bucketOf(thousandths)].Add(1)
	h.sum.Add(thousandths)
}

// ObserveSince counts the milliseconds since start.
func (h *Histogram) ObserveSince(start time.Time) { h.ObserveDuration(time.Since(start)) }

// ObserveDuration counts a duration in milliseconds.
func (h *Histogram) ObserveDuration(d time.Duration) {
	h.Observe(float64(d) / float64(time.Millisecond))
}

// bucketOf numbers the buckets: the values below 16 have one each, then 16 buckets for each power of two.
func bucketOf(v uint64) int {
	if v < fine {
		return int(v)
	}
	shift := 63 - 4 - bits.LeadingZeros64(v) // v >> shift lies in 16..31
	return min((shift+1)*fine+int(v>>shift)-fine, bucketCount-1)
}

// bucketTop is the largest value of a bucket.
func bucketTop(i int) uint64 {
	if i < 2*fine {
		return uint64(i)
	}
	shift := i/fine - 1
	return uint64(i%fine+fine+1)<<shift - 1
}

// metric renders the histogram as a summary: name{quantile}, name_sum, name_count.
func (h *Histogram) metric(d *prometheus.Desc) prometheus.Metric {
	var now [bucketCount]uint64
	var total uint64
	for i := range h.buckets {
		now[i] = h.buckets[i].Load()
		total += now[i]
	}
	recent := h.since(now)
	values := make(map[float64]float64, len(quantiles))
	for _, q := range quantiles {
		values[q] = quantile(recent[:], q)
	}
	return prometheus.MustNewConstSummary(d, total, float64(h.sum.Load())/1000, values)
}

// since is what was counted after the older of the two remembered states.
func (h *Histogram) since(now [bucketCount]uint64) [bucketCount]uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := time.Now(); t.Sub(h.mu.rotated) >= window {
		h.mu.old, h.mu.mid, h.mu.rotated = h.mu.mid, now, t
	}
	recent := now
	for i := range recent {
		recent[i] -= h.mu.old[i]
	}
	return recent
}

// quantile is the value below which the share q of the counted observations lies, 0 when there are none.
func quantile(counts []uint64, q float64) float64 {
	var total uint64
	for _, n := range counts {
		total += n
	}
	rank := uint64(math.Ceil(q * float64(total)))
	var seen uint64
	for i, n := range counts {
		if seen += n; n > 0 && seen >= rank {
			return float64(bucketTop(i)) / 1000
		}
	}
	return 0
}
