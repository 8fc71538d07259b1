package config

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/zurau/zurau/broker/kerr"
)

// Error is a refused configuration. Text is Kafka's own wherever Kafka has one.
type Error struct {
	Class string // the Java exception Kafka stops with, which people find in logs
	Text  string
}

func (e *Error) Error() string { return e.Text }

// Unwrap gives the error its code and text on the wire.
func (e *Error) Unwrap() error { return kerr.New(kerr.InvalidConfig, "%s", e.Text) }

const (
	configException      = "org.apache.kafka.common.config.ConfigException"
	illegalArgument      = "java.lang.IllegalArgumentException"
	invalidConfiguration = "org.apache.kafka.common.errors.InvalidConfigurationException"
)

func refuse(format string, args ...any) error {
	return &Error{configException, fmt.Sprintf(format, args...)}
}

func illegal(format string, args ...any) error {
	return &Error{illegalArgument, fmt.Sprintf(format, args...)}
}

// require refuses when a rule among several keys is broken.
func require(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return illegal("requirement failed: "+format, args...)
}

func invalid(name, value, reason string) error {
	return refuse("Invalid value %s for configuration %s: %s", value, name, reason)
}

// parse gives the value of a key as bool, int64, float64, string or []string, or nil for null, and checks its
// bounds.
func (k *Key) parse(text string) (any, error) {
	if text == null {
		return nil, nil
	}
	v, reason := parseType(k.Type, text)
	if reason == "" && k.Type == Class && v != "" && v != k.Default {
		reason = fmt.Sprintf("Class %s could not be found.", v) // nor can any other plugin of a JVM
	}
	if reason != "" {
		return nil, invalid(k.Name, k.shown(text), reason)
	}
	if k.Valid != nil {
		if err := k.Valid.check(k.Name, v); err != nil {
			return nil, err
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

// text is the canonical text of a parsed value, as Kafka describes it; ok is false for null.
func (k *Key) text(v any) (text string, ok bool) {
	switch v := v.(type) {
	case nil:
		return "", false
	case []string:
		return strings.Join(v, ","), true
	case float64:
		return JavaDouble(v), true
	default:
		return fmt.Sprint(v), true
	}
}

// JavaDouble prints as Double.toString of Java.
func JavaDouble(f float64) string {
	if a := math.Abs(f); a != 0 && (a < 1e-3 || a >= 1e7) {
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'E', -1, 64), "E")
		if !strings.Contains(mantissa, ".") {
			mantissa += ".0"
		}
		n, _ := strconv.Atoi(exponent)
		return fmt.Sprintf("%sE%d", mantissa, n)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
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

// csv splits at commas and leaves out empty words, as Kafka does for listeners and log.dirs.
func csv(text string) []string {
	var words []string
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word != "" {
			words = append(words, word)
		}
	}
	return words
}

// fill sets every field of the struct that names a key in its tag `config:"key"` from values, which come from
// parse. A time.Duration field takes a key in milliseconds; what does not fit becomes the longest duration.
func fill(target any, values map[string]any) {
	s := reflect.ValueOf(target).Elem()
	for i := range s.NumField() {
		name := s.Type().Field(i).Tag.Get("config")
		if name == "" {
			continue
		}
		f := s.Field(i)
		switch v := values[name].(type) {
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
