//go:build !race

package api

import (
	"testing"

	"github.com/zurau/zurau/broker/topic"
)

func TestTheDataPathAllocatesLittle(t *testing.T) {
	h := data(t, 100)
	one, hundred := produceTo(t, 1, 100), produceTo(t, 100, 100)
	buf := make([]byte, len(hundred))
	produce := func(body []byte) func() {
		return func() { produceBody(t, h, buf[:copy(buf, body)]) }
	}
	fetch1, fetch100 := fetchOf(1), fetchOf(100)
	produce(hundred)()
	tp := topic.Partition{Topic: "t", ID: 7}
	for _, c := range []struct {
		name string
		most float64
		do   func()
	}{
		{"a produce to one partition", 5, produce(one)},
		{"a produce to a hundred partitions", 12, produce(hundred)},
		{"a fetch of one partition, planned and laid out", 9, func() { planFetch(t, h, fetch1) }},
		{"a fetch of a hundred partitions", 9, func() { planFetch(t, h, fetch100) }},
		{"finding a partition and its leader", 0, func() {
			if h.Replicas.Partition(tp) == nil || h.Metadata.Load().Partition(tp) == nil {
				t.Fatal("not found")
			}
		}},
	} {
		if n := testing.AllocsPerRun(100, c.do); n > c.most {
			t.Errorf("%s: %v allocations, want at most %v", c.name, n, c.most)
		}
	}
}
