package storage

import (
	"slices"
	"strings"
	"testing"

	"github.com/zurau/zurau/broker/topic"
)

func TestDeletable(t *testing.T) {
	// Four segments of 100 bytes and 10 offsets, the last one active, a second apart.
	four := func() []segmentFacts {
		return []segmentFacts{{10, 100, 1000}, {20, 100, 2000}, {30, 100, 3000}, {40, 100, 4000}}
	}
	all := retentionFacts{highWatermark: 40, nowMS: 10000, retentionMS: -1, bytes: -1, deletes: true}
	for _, c := range []struct {
		name  string
		facts func(*retentionFacts)
		edit  func([]segmentFacts)
		want  int
	}{
		{"nothing without limits", func(f *retentionFacts) {}, nil, 0},
		{"segments that end at or before the log start", func(f *retentionFacts) { f.logStart = 20 }, nil, 2},
		{"not a segment that the log start is in", func(f *retentionFacts) { f.logStart = 19 }, nil, 1},
		{"by log start whatever the policy", func(f *retentionFacts) { f.logStart, f.deletes = 20, false }, nil, 2},
		{"by log start never the active segment", func(f *retentionFacts) { f.logStart = 40 }, nil, 3},
		{"by size until the rest is not too small", func(f *retentionFacts) { f.bytes = 250 }, nil, 1},
		{"by size exactly", func(f *retentionFacts) { f.bytes = 200 }, nil, 2},
		{"by size everything", func(f *retentionFacts) { f.bytes = 0 }, nil, 4},
		{"by size only with policy delete", func(f *retentionFacts) { f.bytes, f.deletes = 0, false }, nil, 0},
		{"by time what is older", func(f *retentionFacts) { f.retentionMS = 7500 }, nil, 2},
		{"by time not what is exactly as old", func(f *retentionFacts) { f.retentionMS = 8000 }, nil, 1},
		{"by time everything", func(f *retentionFacts) { f.retentionMS = 0 }, nil, 4},
		{"by time only with policy delete", func(f *retentionFacts) { f.retentionMS, f.deletes = 0, false }, nil, 0},
		{"a young segment protects those behind it", func(f *retentionFacts) { f.retentionMS = 7500 },
			func(s []segmentFacts) { s[0].largestTimestamp = 99999 }, 0},
		{"nothing at or behind the high watermark", func(f *retentionFacts) { f.retentionMS, f.highWatermark = 0, 25 }, nil, 2},
		{"not a segment that ends one behind the high watermark",
			func(f *retentionFacts) { f.retentionMS, f.highWatermark = 0, 29 }, nil, 2},
		{"an empty active segment stays", func(f *retentionFacts) { f.retentionMS = 0 },
			func(s []segmentFacts) { s[3].size = 0 }, 3},
		{"size counts what the log start leaves", func(f *retentionFacts) { f.logStart, f.bytes = 20, 200 }, nil, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			facts, segments := all, four()
			c.facts(&facts)
			if c.edit != nil {
				c.edit(segments)
			}
			if n, why := deletable(segments, facts); n != c.want || (n > 0) != (why != "") {
				t.Errorf("%d segments (%s), want %d", n, why, c.want)
			}
		})
	}
}

func TestEpochCacheAssign(t *testing.T) {
	start := []epochEntry{{2, 6}, {3, 10}, {5, 20}}
	for _, c := range []struct {
		name   string
		epoch  int32
		offset int64
		want   []epochEntry
	}{
		{"the same epoch goes on", 5, 30, start},
		{"a new epoch", 6, 30, []epochEntry{{2, 6}, {3, 10}, {5, 20}, {6, 30}}},
		{"a new epoch without a record of the last one", 6, 20, []epochEntry{{2, 6}, {3, 10}, {6, 20}}},
		{"a new epoch that begins earlier", 6, 9, []epochEntry{{2, 6}, {6, 9}}},
		{"an older epoch takes back the newer ones", 3, 12, []epochEntry{{2, 6}, {3, 12}}},
		{"an epoch in between", 4, 15, []epochEntry{{2, 6}, {3, 10}, {4, 15}}},
		{"no epoch", -1, 30, start},
	} {
		t.Run(c.name, func(t *testing.T) {
			cache := epochCache{entries: slices.Clone(start)}
			changed := cache.assign(c.epoch, c.offset)
			if !slices.Equal(cache.entries, c.want) || changed == slices.Equal(c.want, start) {
				t.Errorf("%v, changed %v", cache.entries, changed)
			}
		})
	}
}

func TestEpochCacheTruncates(t *testing.T) {
	start := []epochEntry{{2, 6}, {3, 10}, {5, 20}}
	for _, c := range []struct {
		name      string
		end, from int64
		want      []epochEntry
	}{
		{"the end behind everything", 21, -1, start},
		{"the end at an epoch's start", 20, -1, start[:2]},
		{"the end inside an epoch", 11, -1, start[:2]},
		{"the end at the beginning", 0, -1, nil},
		{"the start before everything", -1, 5, start},
		{"the start at the first entry", -1, 6, start},
		{"the start inside an epoch moves it", -1, 12, []epochEntry{{3, 12}, {5, 20}}},
		{"the start behind everything", -1, 30, []epochEntry{{5, 30}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cache := epochCache{entries: slices.Clone(start)}
			changed := false
			if c.end >= 0 {
				changed = cache.truncateEnd(c.end)
			} else {
				changed = cache.truncateStart(c.from)
			}
			if !slices.Equal(cache.entries, c.want) || changed == slices.Equal(c.want, start) {
				t.Errorf("%v, changed %v", cache.entries, changed)
			}
		})
	}
}

func TestEndOffsetForEpoch(t *testing.T) {
	cache := epochCache{entries: []epochEntry{{2, 6}, {3, 10}, {5, 20}}}
	for _, c := range []struct {
		epoch     int32
		wantEpoch int32
		wantEnd   int64
	}{
		{-1, -1, -1}, {0, 0, 6}, {1, 1, 6}, {2, 2, 10}, {3, 3, 20}, {4, 3, 20}, {5, 5, 30}, {6, -1, -1},
	} {
		if epoch, end := cache.endOffset(c.epoch, 30); epoch != c.wantEpoch || end != c.wantEnd {
			t.Errorf("endOffset(%d) = %d, %d, want %d, %d", c.epoch, epoch, end, c.wantEpoch, c.wantEnd)
		}
	}
	empty := epochCache{}
	if epoch, end := empty.endOffset(3, 30); epoch != -1 || end != -1 {
		t.Errorf("an empty cache says %d, %d", epoch, end)
	}
}

func TestCheckpointsReadBackAndRefuseWhatIsNotExact(t *testing.T) {
	offsets := map[topic.Partition]int64{{Topic: "a-b", ID: 3}: 7, {Topic: "c", ID: 0}: 1 << 40}
	back, err := parseOffsets(formatOffsets(offsets))
	if err != nil || len(back) != 2 || back[topic.Partition{Topic: "a-b", ID: 3}] != 7 {
		t.Errorf("%v, %v", back, err)
	}
	for _, c := range []struct {
		content string
		ok      bool
	}{
		{"", true}, {"0\n0\n", true}, {"0\n1\nt 0 5\n", true}, {"0\n1\nt  0\t5\n", true}, {"0\n1\r\nt 0 5\r\n", true},
		{"1\n0\n", false}, {"0\n", false}, {"0", false}, {"0\n2\nt 0 5\n", false}, {"0\n1\nt 0 5\nu 0 5\n", false},
		{"0\n1\nt 0\n", false}, {"0\n1\nt 0 5 6\n", false}, {"0\n1\nt x 5\n", false}, {"0\n1\nt 0 5\n\n", false},
		{"0\n-1\n", false}, {"0\n99999999999\n", false}, {"0\n1\nt 0 99999999999999999999\n", false},
	} {
		if _, err := parseOffsets([]byte(c.content)); (err == nil) != c.ok {
			t.Errorf("%q: %v", c.content, err)
		}
	}
}

func TestNamesOfPartitionDirectories(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef"
	for _, c := range []struct {
		name string
		want partitionDir
		ok   bool
	}{
		{"orders-0", partitionDir{kind: liveDir, partition: topic.Partition{Topic: "orders", ID: 0}}, true},
		{"a-b.c-12", partitionDir{kind: liveDir, partition: topic.Partition{Topic: "a-b.c", ID: 12}}, true},
		{"orders-1." + id + "-delete", partitionDir{kind: deleteDir, partition: topic.Partition{Topic: "orders", ID: 1}}, true},
		{"or.ders-1." + id + "-future", partitionDir{kind: futureDir, partition: topic.Partition{Topic: "or.ders", ID: 1}}, true},
		{"orders-1." + id + "-stray", partitionDir{kind: strayDir, partition: topic.Partition{Topic: "orders", ID: 1}}, true},
		{"remote-log-index-cache", partitionDir{kind: ignoredDir}, true},
		{"__cluster_metadata-0", partitionDir{kind: ignoredDir}, true},
		{"lost+found", partitionDir{}, false},
		{"orders", partitionDir{}, false},
		{"orders-x", partitionDir{}, false},
		{"orders-1-delete", partitionDir{}, false},
		{"-1", partitionDir{}, false},
	} {
		got, err := parsePartitionDir("/data", c.name)
		c.want.name = c.name
		if (err == nil) != c.ok || c.ok && got != c.want {
			t.Errorf("%q = %+v, %v", c.name, got, err)
		}
		if err != nil && !strings.Contains(err.Error(), "is not in the form of topic-partition") {
			t.Errorf("%q: %v", c.name, err)
		}
	}
	long := deletedName(topic.Partition{Topic: strings.Repeat("x", 249), ID: 12345})
	if d, err := parsePartitionDir("/data", long); len(long) > 255 || err != nil || d.kind != deleteDir || d.partition.ID != 12345 {
		t.Errorf("%q (%d bytes) = %+v, %v", long, len(long), d, err)
	}
}
