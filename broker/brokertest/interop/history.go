//go:build interop

package interop

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// findings are what a drained topic shows against what its producer was told, by the names of failures.md section 5.
// Each is one sentence; none is what we want.
func findings(fates []fate, drained map[int32][]stored) (found []string) {
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	type where struct {
		partition int32
		number    int64
	}
	at := make(map[where][]int64) // the offsets of a value
	for partition, records := range drained {
		last := int64(-1)
		for i, r := range records {
			if r.offset != int64(i) {
				say("gap: partition %d has offset %d where %d was due", partition, r.offset, i)
				break
			}
			if r.partition != partition {
				say("wrong place: partition %d has a record of partition %d at %d", partition, r.partition, r.offset)
			}
			if r.number < last {
				say("reorder: partition %d has record %d at %d, after record %d", partition, r.number, r.offset, last)
			}
			last = r.number
			at[where{partition, r.number}] = append(at[where{partition, r.number}], r.offset)
		}
	}
	sent := make(map[where]bool)
	for _, f := range fates {
		w := where{f.partition, f.number}
		sent[w] = true
		if f.failed != "" {
			continue // it may be there or not
		}
		if offsets := at[w]; len(offsets) == 0 {
			say("lost: record %d of partition %d, acknowledged at %d; the partition ends at %d", f.number, f.partition, f.offset,
				len(drained[f.partition]))
		} else if f.offset >= 0 && !slices.Contains(offsets, f.offset) {
			say("wrong place: record %d of partition %d, acknowledged at %d, is at %d", f.number, f.partition, f.offset, offsets)
		}
	}
	for w, offsets := range at {
		if len(offsets) > 1 {
			say("duplicate: record %d of partition %d at %d", w.number, w.partition, offsets)
		}
		if !sent[w] {
			say("phantom: record %d of partition %d at %d was never sent", w.number, w.partition, offsets)
		}
	}
	return found
}

// stored is one record of a load as a reader saw it.
type stored struct {
	offset    int64
	partition int32 // by its value
	number    int64
}

// drain reads a topic from its beginning to its end.
func drain(t *testing.T, bootstrap []string, topic string) map[int32][]stored {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
	defer cancel()
	c, err := kgo.NewClient(kgo.SeedBrokers(bootstrap...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ends, err := kadm.NewClient(c).ListEndOffsets(ctx, topic)
	if err != nil || ends.Error() != nil {
		t.Fatal(err, ends.Error())
	}
	left := int64(0)
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset })
	drained := make(map[int32][]stored)
	for left > 0 {
		fetches := c.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%s: %d records did not come: %v", topic, left, fetches.Err())
		}
		fetches.EachRecord(func(r *kgo.Record) {
			s := stored{offset: r.Offset, partition: -1, number: -1}
			if part := strings.Split(string(r.Value), "/"); len(part) == 3 && part[0] == topic {
				p, _ := strconv.Atoi(part[1])
				s.partition = int32(p)
				s.number, _ = strconv.ParseInt(part[2], 10, 64)
			}
			drained[r.Partition] = append(drained[r.Partition], s)
			left--
		})
	}
	return drained
}
