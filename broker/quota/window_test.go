package quota

import (
	"testing"
	"time"
)

func TestARateIsThatOfTheLastSamples(t *testing.T) {
	type step struct {
		at     time.Duration
		record int64
		rate   float64 // after it
	}
	const s = time.Second
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"nothing", []step{{0, 0, 0}, {5 * s, 0, 0}}},
		{"a burst is not made larger than it was", []step{{0, 500, 500}, {s / 2, 0, 500}}},
		{"it thins out with time", []step{{0, 600, 600}, {2 * s, 0, 300}}},
		{"and is forgotten when its sample is too old", []step{{0, 600, 600}, {3 * s, 0, 0}}},
		{"steady", []step{{0, 100, 100}, {s, 100, 200}, {2 * s, 100, 150}, {3 * s, 100, 150}, {4 * s, 100, 150}}},
		{"a sample lasts a second whatever comes in it", []step{{0, 1, 1}, {s / 2, 1, 2}, {s - 1, 1, 3}, {s, 3, 6}}},
		{"after a pause", []step{{0, 600, 600}, {60 * s, 300, 300}}},
	} {
		w := newWindow(3, s)
		for _, step := range c.steps {
			w.record(step.record, step.at)
			if got := w.rate(step.at); got < step.rate-0.01 || got > step.rate+0.01 {
				t.Errorf("%s: at %v the rate is %v, want %v", c.name, step.at, got, step.rate)
			}
		}
	}
}
