// Package kerr is the Kafka error table: each error's wire code, its name, and whether a client may retry it.
//
// Rooms below the api return ordinary Go errors that wrap one of these where Kafka has a code; CodeOf at the edge of
// package api is the only translation back to the wire.
package kerr

import (
	"errors"
	"fmt"
)

// Error is one row of Kafka's error table (Java: org.apache.kafka.common.protocol.Errors).
type Error struct {
	Code      int16
	Name      string // e.g. NOT_LEADER_OR_FOLLOWER
	Retriable bool   // as Java's client sees it
	Text      string // the default error message on the wire
}

// Error implements error with the default text.
func (e *Error) Error() string { return e.Text }

// detailed is a table error with words of its own.
type detailed struct {
	base *Error
	text string
}

func (d *detailed) Error() string { return d.text }
func (d *detailed) Unwrap() error { return d.base }

// New gives an error with the code of e and its own text.
func New(e *Error, format string, args ...any) error {
	return &detailed{e, fmt.Sprintf(format, args...)}
}

var byCode = func() map[int16]*Error {
	m := make(map[int16]*Error, len(table))
	for _, e := range table {
		m[e.Code] = e
	}
	return m
}()

// ForCode returns the error of a wire code: nil for 0, UnknownServerError for a code outside the table.
func ForCode(code int16) *Error {
	if code == 0 {
		return nil
	}
	if e, ok := byCode[code]; ok {
		return e
	}
	return UnknownServerError
}

// CodeOf returns the wire code for err: 0 for nil, -1 when no Kafka error is wrapped in it.
func CodeOf(err error) int16 {
	if err == nil {
		return 0
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return UnknownServerError.Code
}

// MessageOf returns the text for an error_message field: the specific words given to New, else the table's text.
// Words that belong to nobody's contract (wrapping, paths) stay off the wire.
func MessageOf(err error) string {
	var d *detailed
	if errors.As(err, &d) {
		return d.text
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Text
	}
	return UnknownServerError.Text
}
