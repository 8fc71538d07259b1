package metrics

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
)

func TestBucketsAreNarrowAndCoverEverything(t *testing.T) {
	for _, v := range []uint64{0, 1, 15, 16, 17, 31, 32, 33, 100, 1000, 12345, 1 << 20, 1<<40 + 7, 1 << 50} {
		i := bucketOf(v)
		top := bucketTop(i)
		if top < v || float64(top) > float64(v)*1.0626+1 {
			t.Errorf("%d falls into bucket %d, whose largest value is %d", v, i, top)
		}
		if i > 0 && bucketTop(i-1) >= v {
			t.Errorf("%d falls into bucket %d, but bucket %d reaches %d", v, i, i-1, bucketTop(i-1))
		}
	}
	if i := bucketOf(math.MaxUint64); i != bucketCount-1 {
		t.Errorf("the largest value falls into bucket %d", i)
	}
}

func TestQuantilesAreCloseAndSumAndCountExact(t *testing.T) {
	r := New()
	h := r.Histogram("kafka_network_requestmetrics_totaltimems", "Time in the broker.")
	sum := 0.0
	for i := 1; i <= 1000; i++ {
		h.Observe(float64(i))
		sum += float64(i)
	}
	h.ObserveDuration(-time.Second) // a clock that went back counts as nothing
	got := summary(t, r)
	if got.GetSampleCount() != 1001 || got.GetSampleSum() != sum {
		t.Errorf("count %d, sum %v; want 1001 and %v", got.GetSampleCount(), got.GetSampleSum(), sum)
	}
	var at []float64
	for _, q := range got.GetQuantile() {
		at = append(at, q.GetQuantile())
		if exact := q.GetQuantile() * 1000; q.GetValue() < exact*0.99 || q.GetValue() > exact*1.07 {
			t.Errorf("quantile %v is %v, exactly it is %v", q.GetQuantile(), q.GetValue(), exact)
		}
	}
	if diff := cmp.Diff([]float64{0.5, 0.75, 0.95, 0.98, 0.99, 0.999}, at); diff != "" {
		t.Error(diff)
	}
}

func summary(t *testing.T, r *Registry) *dto.Summary {
	t.Helper()
	families, err := r.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "kafka_network_requestmetrics_totaltimems" {
			return f.GetMetric()[0].GetSummary()
		}
	}
	t.Fatal("the histogram is not on the page")
	return nil
}

func TestQuantilesForgetWhatIsTenMinutesOld(t *testing.T) {
	h := &Histogram{}
	var now [bucketCount]uint64
	h.Observe(1000)
	load := func() [bucketCount]uint64 {
		for i := range h.buckets {
			now[i] = h.buckets[i].Load()
		}
		return now
	}
	for range 2 {
		h.mu.rotated = time.Time{} // long ago
		load()
		h.since(now)
	}
	h.Observe(1)
	recent := h.since(load())
	if q := quantile(recent[:], 0.999); q < 1 || q > 1.07 {
		t.Errorf("the largest recent value is %v, want 1", q)
	}
	h.mu.rotated = time.Time{}
	recent = h.since(load())
	if q := quantile(recent[:], 0.999); q < 1 || q > 1.07 {
		t.Errorf("one rotation later it is %v, want 1 still", q)
	}
}

func TestAnEmptyHistogramHasQuantilesOfZero(t *testing.T) {
	if q := quantile(make([]uint64, bucketCount), 0.5); q != 0 {
		t.Errorf("got %v", q)
	}
}

func TestObservingAllocatesNothing(t *testing.T) {
	h := &Histogram{}
	if n := testing.AllocsPerRun(100, func() { h.Observe(3.7) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	h := &Histogram{}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			h.Observe(3.7)
		}
	})
}
