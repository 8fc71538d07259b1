//go:build interop

package interop

import (
	"strings"
	"testing"
)

func TestTheCheckerFindsEveryClassOfDamage(t *testing.T) {
	drained := func(numbers ...int64) map[int32][]stored {
		var records []stored
		for i, n := range numbers {
			records = append(records, stored{int64(i), 0, n})
		}
		return map[int32][]stored{0: records}
	}
	ack := func(number, offset int64) fate { return fate{0, number, offset, ""} }
	gave := func(number int64) fate { return fate{0, number, 0, "timed out"} }
	for name, c := range map[string]struct {
		fates   []fate
		drained map[int32][]stored
		want    string // the class; "" for none
	}{
		"all is well":                      {[]fate{ack(0, 0), ack(1, 1)}, drained(0, 1), ""},
		"a failed record may be there":     {[]fate{ack(0, 0), gave(1)}, drained(0, 1), ""},
		"a failed record may be missing":   {[]fate{ack(0, 0), gave(1), ack(2, 1)}, drained(0, 2), ""},
		"an acknowledged one is gone":      {[]fate{ack(0, 0), ack(1, 1)}, drained(0), "lost"},
		"an acknowledged one is elsewhere": {[]fate{ack(0, 0), gave(1), ack(2, 1)}, drained(0, 1, 2), "wrong place"},
		"a record is there twice":          {[]fate{ack(0, 0), ack(1, 1)}, drained(0, 1, 1), "duplicate"},
		"two records have changed places":  {[]fate{ack(0, 1), ack(1, 0)}, drained(1, 0), "reorder"},
		"a record nobody sent":             {[]fate{ack(0, 0)}, drained(0, 7), "phantom"},
		"an offset is missing":             {[]fate{ack(0, 1)}, map[int32][]stored{0: {{1, 0, 0}}}, "gap"},
		"a record of another partition":    {[]fate{ack(0, 0)}, map[int32][]stored{0: {{0, 1, 0}}}, "wrong place"},
	} {
		t.Run(name, func(t *testing.T) {
			found := findings(c.fates, c.drained)
			if c.want == "" && len(found) > 0 || c.want != "" && (len(found) == 0 || !strings.HasPrefix(found[0], c.want+": ")) {
				t.Errorf("found %q, want %q", found, c.want)
			}
		})
	}
}
