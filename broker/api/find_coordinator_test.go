package api

import "testing"

// The expected partitions are what Utils.abs(key.hashCode) % partitions gives in Java.
func TestANameFallsOnThePartitionItFallsOnInKafka(t *testing.T) {
	for name, c := range map[string]struct {
		key        string
		partitions int
		want       int32
	}{
		"an empty name":                    {"", 50, 0},
		"one letter":                       {"a", 50, 97 % 50},
		"two letters":                      {"ab", 50, (97*31 + 98) % 50},
		"a negative hash is made positive": {"consumer-group", 50, 1738392088 % 50},
		"a hash without an absolute value": {"polygenelubricants", 50, 0},
		"a letter of two units in UTF-16":  {"\U0001F600", 50, (0xD83D*31 + 0xDE00) % 50},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fallsOn(c.key, c.partitions); got != c.want {
				t.Errorf("%q falls on %d, want %d", c.key, got, c.want)
			}
		})
	}
}
