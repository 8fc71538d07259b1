package config

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/zurau/zurau/broker/ibp"
)

// validator is a bound on the parsed value of a key. The texts are those of Kafka's ConfigDef, which people
// grep.
type validator struct {
	text  string // the bound as Kafka's documentation prints it
	check func(key string, v any) error
}

// words makes a validator of strings from a test and the complaint about what fails it.
func words(text, complaint string, ok func(string) bool) *validator {
	return &validator{text, func(key string, v any) error {
		if s, isString := v.(string); isString && !ok(s) {
			return invalid(key, s, complaint)
		}
		return nil
	}}
}

// bounds makes a validator of numbers from a function that gives the complaint, if any.
func bounds(text string, complaint func(float64) string) *validator {
	return &validator{text, func(key string, v any) error {
		f, shown := 0.0, ""
		switch n := v.(type) {
		case int64:
			f, shown = float64(n), strconv.FormatInt(n, 10)
		case float64:
			f, shown = n, JavaDouble(n)
		default:
			return nil
		}
		if reason := complaint(f); reason != "" {
			return invalid(key, shown, reason)
		}
		return nil
	}}
}

func atLeast(least float64) *validator {
	return bounds("["+plain(least)+",...]", func(f float64) string {
		if f < least {
			return "Value must be at least " + plain(least)
		}
		return ""
	})
}

func between(least, most float64) *validator {
	return bounds("["+plain(least)+",...,"+plain(most)+"]", func(f float64) string {
		switch {
		case f < least:
			return "Value must be at least " + plain(least)
		case f > most:
			return "Value must be no more than " + plain(most)
		}
		return ""
	})
}

// plain prints a bound without an exponent.
func plain(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

var gzipLevel = bounds("[1,...,9] or -1", func(f float64) string {
	if (f < 1 || f > 9) && f != -1 {
		return "Value must be between 1 and 9 or equal to -1"
	}
	return ""
})

// oneOf accepts exactly the listed words.
func oneOf(list ...string) *validator {
	all := strings.Join(list, ", ")
	return words("["+all+"]", "String must be one of: "+all, func(s string) bool { return slices.Contains(list, s) })
}

// oneOfFold accepts the listed words in any case.
func oneOfFold(list ...string) *validator {
	all := strings.Join(list, ", ")
	return words("(case insensitive) ["+all+"]", "String must be one of (case insensitive): "+all,
		func(s string) bool {
			return slices.ContainsFunc(list, func(w string) bool { return strings.EqualFold(s, w) })
		})
}

// eachOf accepts lists of the given words; the complaint names the first wrong one.
func eachOf(list ...string) *validator {
	one := oneOf(list...)
	return &validator{one.text, func(key string, v any) error {
		items, _ := v.([]string)
		for _, item := range items {
			if err := one.check(key, item); err != nil {
				return err
			}
		}
		return nil
	}}
}

var nonEmpty = words("non-empty string", "String must be non-empty", func(s string) bool { return s != "" })

var compressionType = oneOf("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer")

// protocolVersion accepts what Kafka 3.9 knows; whether zurau runs at that level is another question
// (check.go).
var protocolVersion = &validator{"", func(key string, v any) error {
	s, _ := v.(string)
	_, err := ibp.Parse(s)
	var tooOld *ibp.TooOldError
	if err == nil || errors.As(err, &tooOld) {
		return nil
	}
	return invalid(key, s, "Version "+s+" is not a valid version")
}}

const throttledForm = "[partitionId]:[brokerId],[partitionId]:[brokerId],..."

var throttledReplica = regexp.MustCompile(`^[0-9]+:[0-9]+$`)

var throttledReplicas = &validator{throttledForm, func(key string, v any) error {
	items, _ := v.([]string)
	if len(items) == 1 && items[0] == "*" {
		return nil
	}
	for _, item := range items {
		if !throttledReplica.MatchString(item) {
			return invalid(key, "["+strings.Join(items, ", ")+"]",
				key+" must be the literal '*' or a list of replicas in the following format: "+throttledForm)
		}
	}
	return nil
}}
