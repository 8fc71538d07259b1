package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// validator is a bound on the parsed value of a key. The texts are those of Kafka's ConfigDef, which people grep.
type validator struct {
	text  string // the range as Kafka's documentation prints it
	check func(v any) string
}

func atLeast(least float64) *validator {
	text := "[" + bound(least) + ",...]"
	return &validator{text, func(v any) string {
		if f, ok := number(v); ok && f < least {
			return "Value must be at least " + bound(least)
		}
		return ""
	}}
}

func between(least, most float64) *validator {
	text := "[" + bound(least) + ",...," + bound(most) + "]"
	return &validator{text, func(v any) string {
		f, ok := number(v)
		switch {
		case ok && f < least:
			return "Value must be at least " + bound(least)
		case ok && f > most:
			return "Value must be no more than " + bound(most)
		}
		return ""
	}}
}

// oneOf accepts exactly the listed words.
func oneOf(words ...string) *validator {
	list := strings.Join(words, ", ")
	return &validator{"[" + list + "]", func(v any) string {
		s, _ := v.(string)
		for _, w := range words {
			if s == w {
				return ""
			}
		}
		return "String must be one of: " + list
	}}
}

// oneOfFold accepts the listed words in any case.
func oneOfFold(words ...string) *validator {
	list := strings.Join(words, ", ")
	return &validator{"(case insensitive) [" + list + "]", func(v any) string {
		s, _ := v.(string)
		for _, w := range words {
			if strings.EqualFold(s, w) {
				return ""
			}
		}
		return "String must be one of (case insensitive): " + list
	}}
}

// eachOf accepts lists of the given words.
func eachOf(words ...string) *validator {
	one := oneOf(words...)
	return &validator{one.text, func(v any) string {
		items, _ := v.([]string)
		for _, item := range items {
			if text := one.check(item); text != "" {
				return text
			}
		}
		return ""
	}}
}

var nonEmpty = &validator{"non-empty string", func(v any) string {
	if s, ok := v.(string); ok && s == "" {
		return "String must be non-empty"
	}
	return ""
}}

var notNull = &validator{"non-null string", func(v any) string {
	if v == nil {
		return "entry must be non null"
	}
	return ""
}}

var gzipLevel = &validator{"[1,...,9] or -1", func(v any) string {
	if f, ok := number(v); ok && (f < 1 || f > 9) && f != -1 {
		return "Value must be between 1 and 9 or equal to -1"
	}
	return ""
}}

var compressionType = oneOf("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer")

var protocolVersion = &validator{"", func(v any) string { return "" }}

var throttledReplicas = &validator{"[partitionId]:[brokerId],[partitionId]:[brokerId],...", func(v any) string { return "" }}

const maxLong = "9223372036854775807"

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}

func bound(f float64) string {
	if f == math.Trunc(f) {
		return strconv.FormatInt(int64(f), 10)
	}
	return fmt.Sprint(f)
}
