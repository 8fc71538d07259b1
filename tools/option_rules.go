package main

import (
	"io"
	"runtime/debug"
)

// Rules between options, and the ends they lead to (Kafka: CommandLineUtils, CommandDefaultOptions).

// The two dialects of the tools: the words, flags and exit codes of Kafka 1.1 when --zookeeper is among the arguments,
// those of 2.8 otherwise.
type dialect int

const (
	dialect28 dialect = iota
	dialect11
)

// dialectOf chooses the dialect of a command line.
func dialectOf(args []string) dialect {
	for _, a := range args {
		if flagIs(a, "zookeeper") {
			return dialect11
		}
	}
	return dialect28
}

// flagIs reports whether word is the flag name in any of its spellings.
func flagIs(word, name string) bool {
	for _, form := range []string{"--" + name, "-" + name} {
		if word == form || len(word) > len(form) && word[:len(form)+1] == form+"=" {
			return true
		}
	}
	return false
}

// usageError ends a tool with a message and its option table on stderr, status 1.
type usageError struct {
	parser  *optionParser
	message string
}

func (e *usageError) Error() string { return e.message }

// commonOptions are the two flags every tool of 2.8 knows.
type commonOptions struct {
	help, version *option
}

func (p *optionParser) acceptCommon() commonOptions {
	return commonOptions{
		help:    p.accepts("help", "Show how the tool is used."),
		version: p.accepts("version", "Show the Kafka version whose tools this one speaks like."),
	}
}

// checkCommon handles a command line that asks for help or version, or is empty. done reports that the tool has ended.
func (s *optionSet) checkCommon(c commonOptions, args []string, purpose string, out io.Writer) (done bool, err error) {
	if len(args) == 0 || s.has(c.help) {
		return true, &usageError{s.parser, purpose}
	}
	if s.has(c.version) {
		_, err := io.WriteString(out, toolVersion()+"\n")
		return true, err
	}
	return false, nil
}

// toolVersion is the line --version prints: the Kafka version of the dialect, and the revision of this program where
// Kafka shows its own.
func toolVersion() string {
	commit := "0000000000000000"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 16 {
				commit = s.Value[:16]
			}
		}
	}
	return "2.8.2 (Commit:" + commit + ")"
}

// require ends in a usage error when one of the options is missing.
func (s *optionSet) require(options ...*option) error {
	for _, o := range options {
		if !s.has(o) {
			return &usageError{s.parser, `Missing required argument "[` + o.name + `]"`}
		}
	}
	return nil
}

// exclude ends in a usage error when used and one of others are given together. 1.1 leaves out the last blank.
func (s *optionSet) exclude(d dialect, used *option, others ...*option) error {
	if !s.has(used) {
		return nil
	}
	with := `" can't be used with option "[`
	if d == dialect11 {
		with = `" can't be used with option"[`
	}
	for _, o := range others {
		if s.has(o) {
			return &usageError{s.parser, `Option "[` + used.name + `]` + with + o.name + `]"`}
		}
	}
	return nil
}
