package kerr

import (
	"errors"
	"fmt"
	"testing"
)

func TestCodeOfFindsTheKafkaErrorThroughWrapping(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		code int16
		text string
	}{
		{"nil is no error", nil, 0, UnknownServerError.Text},
		{"a table error is its own code", NotLeaderOrFollower, 6, NotLeaderOrFollower.Text},
		{"own words keep the code", New(TopicAlreadyExists, "Topic '%s' already exists.", "t"), 36, "Topic 't' already exists."},
		{"wrapping keeps code and words", fmt.Errorf("create: %w", New(InvalidPartitions, "none")), 37, "none"},
		{"a foreign error is unknown", errors.New("disk on fire"), -1, UnknownServerError.Text},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := CodeOf(c.err); got != c.code {
				t.Errorf("CodeOf = %d, want %d", got, c.code)
			}
			if got := MessageOf(c.err); c.err != nil && got != c.text {
				t.Errorf("MessageOf = %q, want %q", got, c.text)
			}
		})
	}
}

func TestTableHasEachCodeOnce(t *testing.T) {
	seen := map[int16]string{}
	for _, e := range table {
		if other, ok := seen[e.Code]; ok {
			t.Errorf("code %d is both %s and %s", e.Code, other, e.Name)
		}
		seen[e.Code] = e.Name
		if ForCode(e.Code) != e {
			t.Errorf("ForCode(%d) is not %s", e.Code, e.Name)
		}
	}
	if ForCode(0) != nil || ForCode(9999) != UnknownServerError {
		t.Error("ForCode must map 0 to nil and a foreign code to UNKNOWN_SERVER_ERROR")
	}
}
