package config

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Error is a refused configuration. Its text is that of Kafka's ConfigException.
type Error struct{ Text string }

func (e *Error) Error() string { return e.Text }

func refuse(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

func invalid(name, value, reason string) error {
	return refuse("Invalid value %s for configuration %s: %s", value, name, reason)
}

// parse gives the value of a key as bool, int64, float64, string or []string, or nil for null, and checks its bounds.
func (k *Key) parse(text string) (any, error) {
	if text == null {
		return nil, nil
	}
	v, reason := parseType(k.Type, text)
	if reason == "" && k.Type == Class && text != k.Default {
		reason = "Class " + text + " could not be found." // we are not a JVM: no plugin is better than a deaf one
	}
	if reason != "" {
		return nil, invalid(k.Name, k.shown(text), reason)
	}
	if k.Valid != nil {
		if reason := k.Valid.check(v); reason != "" {
			return nil, invalid(k.Name, k.shown(text), reason)
		}
	}
	return v, nil
}

// shown is a value as it may appear in a message.
func (k *Key) shown(text string) string {
	if k.Sensitive() {
		return "[hidden]"
	}
	return text
}

var listSeparator = regexp.MustCompile(`\s*,\s*`)

// parseType follows ConfigDef.parseType of Java; the second result says what is wrong.
func parseType(t Type, text string) (any, string) {
	s := strings.TrimSpace(text)
	switch t {
	case Boolean:
		switch strings.ToLower(s) {
		case "true":
			return true, ""
		case "false":
			return false, ""
		}
		return nil, "Expected value to be either true or false"
	case Short, Int, Long:
		n, err := strconv.ParseInt(s, 10, map[Type]int{Short: 16, Int: 32, Long: 64}[t])
		if err != nil {
			return nil, "Not a number of type " + t.String()
		}
		return n, ""
	case Double:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return nil, "Not a number of type DOUBLE"
		}
		return f, ""
	case List:
		if s == "" {
			return []string{}, ""
		}
		return listSeparator.Split(s, -1), ""
	default:
		return s, ""
	}
}

// fill sets every field of the struct that names a key in its tag `config:"key"` from values, which come from parse.
// A time.Duration field takes a key in milliseconds; what does not fit becomes the longest duration.
func fill(target any, values func(name string) any) {
	s := reflect.ValueOf(target).Elem()
	for i := range s.NumField() {
		name := s.Type().Field(i).Tag.Get("config")
		if name == "" {
			continue
		}
		f := s.Field(i)
		switch v := values(name).(type) {
		case nil:
		case int64:
			if f.Type() == reflect.TypeFor[time.Duration]() {
				f.SetInt(int64(milliseconds(v)))
			} else {
				f.SetInt(v)
			}
		default:
			f.Set(reflect.ValueOf(v))
		}
	}
}

func milliseconds(ms int64) time.Duration {
	if ms > math.MaxInt64/int64(time.Millisecond) {
		return math.MaxInt64
	}
	return time.Duration(ms) * time.Millisecond
}
