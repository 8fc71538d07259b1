package main

import (
	"bytes"
	"context"
	"io"
	"strings"
)

// inputBlock is how many bytes of the input are read at once.
const inputBlock = 64 << 10

// inputLines are the lines of a tool's input. They are read by a goroutine of their own, because a read of stdin cannot
// be interrupted: at a signal the tool ends and leaves it behind. It hands over all lines that one read brought, so that
// a pipe pays once for thousands of them and what a person types arrives line by line.
type inputLines struct {
	arrived <-chan []string // closed at the end of the input
	stop    chan struct{}   // closed by close
	ready   []string        // of the last hand-over
	failed  error           // why the input ended, when not at its end; read after arrived is closed
}

// newInputLines begins to read in. A line ends with \n or \r\n, the last one also with the input.
func newInputLines(in io.Reader) *inputLines {
	arrived := make(chan []string, 1)
	l := &inputLines{arrived: arrived, stop: make(chan struct{})}
	go l.read(in, arrived)
	return l
}

func (l *inputLines) read(in io.Reader, arrived chan<- []string) {
	defer close(arrived)
	block := make([]byte, inputBlock)
	var begun []byte // of a line whose end has not been read
	for {
		n, err := in.Read(block)
		got := block[:n]
		if end := bytes.LastIndexByte(got, '\n'); end >= 0 {
			text := string(begun) + string(got[:end])
			if !l.hand(arrived, splitLines(text)) {
				return
			}
			begun, got = begun[:0], got[end+1:]
		}
		begun = append(begun, got...)
		if err == nil {
			continue
		}
		if len(begun) > 0 {
			l.hand(arrived, splitLines(string(begun)))
		}
		if err != io.EOF {
			l.failed = err
		}
		return
	}
}

// splitLines splits text that ends without its last newline.
func splitLines(text string) []string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, "\r")
	}
	return lines
}

// hand reports whether somebody still takes lines.
func (l *inputLines) hand(arrived chan<- []string, lines []string) bool {
	select {
	case arrived <- lines:
		return true
	case <-l.stop:
		return false
	}
}

// next waits for a line. At the end of the input ok is false, and err says why when it is not the end.
func (l *inputLines) next(ctx context.Context) (line string, ok bool, err error) {
	if ctx.Err() != nil {
		return "", false, context.Cause(ctx)
	}
	if len(l.ready) == 0 {
		select {
		case <-ctx.Done():
			return "", false, context.Cause(ctx)
		case lines, more := <-l.arrived:
			if !more {
				return "", false, l.failed
			}
			l.ready = lines
		}
	}
	line, l.ready = l.ready[0], l.ready[1:]
	return line, true, nil
}

// close lets the reading end as soon as its read returns.
func (l *inputLines) close() { close(l.stop) }
