package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// allLines reads in to its end.
func allLines(in io.Reader) (lines []string, err error) {
	l := newInputLines(in)
	defer l.close()
	for {
		line, ok, err := l.next(context.Background())
		if !ok {
			return lines, err
		}
		lines = append(lines, line)
	}
}

func TestLinesAreTheSameHoweverTheyArrive(t *testing.T) {
	long := strings.Repeat("x", 3*inputBlock)
	for name, c := range map[string]struct {
		input string
		want  []string
	}{
		"an empty input has no line":         {"", nil},
		"the last line may lack its end":     {"a\nb", []string{"a", "b"}},
		"a newline at the end begins none":   {"a\nb\n", []string{"a", "b"}},
		"empty lines count":                  {"\n\na\n\n", []string{"", "", "a", ""}},
		"carriage returns belong to the end": {"a\r\nb\r\n\r\nc\r", []string{"a", "b", "", "c"}},
		"a line longer than a block is one":  {"a\n" + long + "\nb", []string{"a", long, "b"}},
		"a block that ends with a newline":   {long[:inputBlock-1] + "\nb\n", []string{long[:inputBlock-1], "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, in := range []io.Reader{
				strings.NewReader(c.input), iotest.OneByteReader(strings.NewReader(c.input)),
				iotest.DataErrReader(strings.NewReader(c.input)),
			} {
				if got, err := allLines(in); err != nil || !slices.Equal(got, c.want) {
					t.Errorf("%T: %d lines, %.80q, %v", in, len(got), got, err)
				}
			}
		})
	}
}

func TestAnInputThatFailsSaysSoBehindItsLines(t *testing.T) {
	broken := errors.New("input/output error")
	got, err := allLines(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)))
	if !slices.Equal(got, []string{"a", "b"}) || !errors.Is(err, broken) {
		t.Errorf("%q, %v", got, err)
	}
}

// The goroutine of an input nobody wants any more is looked for by goleak in TestMain.
func TestLinesNobodyTakesHoldNothingUp(t *testing.T) {
	l := newInputLines(iotest.OneByteReader(strings.NewReader("a\nb\nc\nd\n")))
	if line, ok, err := l.next(t.Context()); line != "a" || !ok || err != nil {
		t.Errorf("%q %t %v", line, ok, err)
	}
	l.close()
	silent, write := io.Pipe()
	defer write.Close()
	l = newInputLines(silent)
	defer l.close()
	stop := errors.New("a signal")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	if _, ok, err := l.next(ctx); ok || !errors.Is(err, stop) {
		t.Errorf("%t %v", ok, err)
	}
}
