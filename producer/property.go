package producer

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Reading Java's client properties; package consumer has its own table and reads it by the same rules.

// ConfigError says which property is wrong, in the words of Java's ConfigException.
type ConfigError struct{ Name, Value, Reason string }

func (e *ConfigError) Error() string {
	return fmt.Sprintf("Invalid value %s for configuration %s: %s", e.Value, e.Name, e.Reason)
}

// Property is a Java client property that a configuration honours. Set gets the given value or the default and returns
// what is wrong with it, "" if nothing.
type Property struct {
	Default string
	Set     func(value string) (reason string)
}

// ReadProperties sets every property of table, to its value in props or its default. A name in props that is not in
// the table is an error.
func ReadProperties(table map[string]Property, props map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(props)) {
		if _, ok := table[name]; !ok {
			return &ConfigError{name, props[name], "this client does not honour it"}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		value, given := props[name]
		if !given {
			value = table[name].Default
		}
		if reason := table[name].Set(strings.TrimSpace(value)); reason != "" {
			return &ConfigError{name, value, reason}
		}
	}
	return nil
}

// Number makes a Set for a 32-bit number of at least least, kept at the given place.
func Number[T int | int32 | int64](least int64, place *T) func(string) string {
	return func(v string) string {
		n, err := strconv.ParseInt(v, 10, 64)
		switch {
		case err != nil || n > math.MaxInt32:
			return "Not a number of type INT"
		case n < least:
			return fmt.Sprintf("Value must be at least %d", least)
		}
		*place = T(n)
		return ""
	}
}

// Millis makes a Set for a time in milliseconds, kept at the given place.
func Millis(place *time.Duration) func(string) string {
	return func(v string) string {
		n, err := strconv.ParseInt(v, 10, 64)
		switch {
		case err != nil:
			return "Not a number of type LONG"
		case n < 0:
			return "Value must be at least 0"
		}
		*place = time.Duration(min(n, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
		return ""
	}
}

// Text makes a Set that keeps the value as it is.
func Text(place *string) func(string) string {
	return func(v string) string {
		*place = v
		return ""
	}
}

// Only makes a Set that accepts one value, for properties of which nothing else is built yet.
func Only(value string) func(string) string {
	return func(v string) string {
		if v != value {
			return "this client does not honour it yet"
		}
		return ""
	}
}

// List splits a comma list, leaving out blanks and empty words.
func List(text string) []string {
	var words []string
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word != "" {
			words = append(words, word)
		}
	}
	return words
}
