package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// The JSON files of the tools, read with the complaints of Kafka's own reader (Kafka: utils.Json over Jackson). Members
// that nobody asks for are let be.

// jsonValue is a value of a file.
type jsonValue struct{ value any }

const (
	jacksonEnd   = "com.fasterxml.jackson.core.io.JsonEOFException"
	jacksonParse = "com.fasterxml.jackson.core.JsonParseException"
)

// parseJSON reads the first value of data. The error is Jackson's.
func parseJSON(data []byte) (jsonValue, error) {
	if len(data) == 0 {
		return jsonValue{}, &javaError{class: jacksonParse, message: "The input string shouldn't be empty"}
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return jsonValue{}, jacksonError(data, err)
	}
	return jsonValue{v}, nil
}

// jacksonError says where data ceases to be JSON.
func jacksonError(data []byte, err error) error {
	class, message, at := jacksonParse, err.Error(), len(data)
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		class, message = jacksonEnd, "Unexpected end-of-input within/between "+innermost(data)+" entries"
	case errors.As(err, &syntax):
		at = max(0, int(syntax.Offset)-1)
		message = fmt.Sprintf("Unexpected character ('%c' (code %d))", data[at], data[at])
	}
	line := 1 + bytes.Count(data[:at], []byte("\n"))
	column := at - bytes.LastIndexByte(data[:at], '\n')
	return &javaError{class: class, message: fmt.Sprintf("%s\n at [Source: (String)\"%s\"; line: %d, column: %d]",
		message, data, line, column)}
}

// innermost is what is open at the end of a piece of JSON: "Object" or "Array".
func innermost(data []byte) string {
	decoder := json.NewDecoder(bytes.NewReader(data))
	var open []json.Delim
	for {
		token, err := decoder.Token()
		if err != nil {
			break
		}
		switch d, _ := token.(json.Delim); d {
		case '{', '[':
			open = append(open, d)
		case '}', ']':
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 && open[len(open)-1] == '[' {
		return "Array"
	}
	return "Object"
}

func (v jsonValue) String() string {
	text, err := json.Marshal(v.value)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (v jsonValue) expected(what string) error {
	return jsonMapping("Expected " + what + ", received " + v.String())
}

// member gives a member of an object and whether there is one.
func (v jsonValue) member(name string) (jsonValue, bool, error) {
	object, ok := v.value.(map[string]any)
	if !ok {
		return jsonValue{}, false, v.expected("JSON object")
	}
	m, ok := object[name]
	return jsonValue{m}, ok, nil
}

// need is member that must be there.
func (v jsonValue) need(name string) (jsonValue, error) {
	m, ok, err := v.member(name)
	if err == nil && !ok {
		err = jsonMapping("No such field exists: `" + name + "`")
	}
	return m, err
}

// list gives the values of an array.
func (v jsonValue) list() ([]jsonValue, error) {
	array, ok := v.value.([]any)
	if !ok {
		return nil, v.expected("JSON array")
	}
	values := make([]jsonValue, len(array))
	for i, e := range array {
		values[i] = jsonValue{e}
	}
	return values, nil
}

func (v jsonValue) str() (string, error) {
	text, ok := v.value.(string)
	if !ok {
		return "", v.expected("`String` value")
	}
	return text, nil
}

func (v jsonValue) int32() (int32, error) {
	number, ok := v.value.(json.Number)
	n, err := strconv.ParseInt(string(number), 10, 32)
	if !ok || err != nil {
		return 0, v.expected("`Integer` value")
	}
	return int32(n), nil
}

// eachOf reads every value of an array by read.
func eachOf[T any](v jsonValue, read func(jsonValue) (T, error)) ([]T, error) {
	values, err := v.list()
	if err != nil {
		return nil, err
	}
	list := make([]T, len(values))
	for i, e := range values {
		if list[i], err = read(e); err != nil {
			return nil, err
		}
	}
	return list, nil
}
