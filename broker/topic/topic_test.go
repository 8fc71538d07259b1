package topic

import (
	"strings"
	"testing"

	"github.com/zurau/zurau/broker/kerr"
)

func TestParseDirReadsBackWhatStringWrites(t *testing.T) {
	for _, p := range []Partition{{"t", 0}, {"a-b-c", 12}, {"a.b_c", 2147483647}, {"t-", 1}} {
		got, err := ParseDir(p.String())
		if err != nil || got != p {
			t.Errorf("ParseDir(%q) = %v, %v", p.String(), got, err)
		}
	}
	for _, bad := range []string{"", "t", "-0", "t-", "t-x", "t-2147483648", "t-+1", "lost+found"} {
		if got, err := ParseDir(bad); err == nil {
			t.Errorf("ParseDir(%q) = %v, want an error", bad, got)
		}
	}
}

func TestValidateName(t *testing.T) {
	for name, ok := range map[string]bool{
		"orders": true, "a.b_c-D9": true, strings.Repeat("x", 249): true,
		"": false, ".": false, "..": false, "a/b": false, "../x": false, "ä": false, "a b": false, strings.Repeat("x", 250): false,
	} {
		if err := ValidateName(name); (err == nil) != ok || (err != nil && kerr.CodeOf(err) != 17) {
			t.Errorf("ValidateName(%q) = %v", name, err)
		}
	}
	if !Collides("a.b", "a_b") || Collides("a.b", "a.b") || Collides("a.b", "a-b") {
		t.Error("only different names that are equal after '.' -> '_' collide")
	}
}

func TestIDTextGoesBothWays(t *testing.T) {
	for range 1000 {
		id := NewID()
		back, err := ParseID(id.String())
		if err != nil || back != id || len(id.String()) != 22 || id.String()[0] == '-' || id.IsZero() {
			t.Fatalf("%v -> %q -> %v, %v", [16]byte(id), id, back, err)
		}
	}
	for _, bad := range []string{"", "abc", strings.Repeat("!", 22), strings.Repeat("A", 23)} {
		if _, err := ParseID(bad); err == nil {
			t.Errorf("ParseID(%q) passed", bad)
		}
	}
}

func TestPartitionsAreOrderedByTopicAndThenByNumber(t *testing.T) {
	sorted := []Partition{{"a", 0}, {"a", 2}, {"a", 10}, {"b", 1}}
	for i, p := range sorted {
		for j, q := range sorted {
			if got := p.Compare(q); got < 0 != (i < j) || got > 0 != (i > j) {
				t.Errorf("%v against %v: %d", p, q, got)
			}
		}
	}
}

func TestTheBrokersOwnTopicsAreTwo(t *testing.T) {
	for name, internal := range map[string]bool{"__consumer_offsets": true, "__transaction_state": true, "__mine": false, "t": false} {
		if IsInternal(name) != internal {
			t.Errorf("%s is internal: %v", name, !internal)
		}
	}
}
