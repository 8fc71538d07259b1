package api

import "testing"

func TestRepeated(t *testing.T) {
	twice := repeated([]string{"a", "b", "a", "c", "a"}, func(s *string) string { return *s })
	for key, want := range map[string]bool{"a": true, "b": false, "c": false, "nobody": false} {
		if twice[key] != want {
			t.Errorf("%s: %v", key, twice[key])
		}
	}
}
