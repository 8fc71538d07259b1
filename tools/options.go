package main

import (
	"math"
	"strconv"
	"strings"
)

// The command line of the kafka-* tools, parsed by the rules of jopt-simple 5 with abbreviations switched off, because
// scripts depend on them: flags stand in any order, "--opt v", "--opt=v", "-opt v" and "-opt=v" are one, an option that
// wants a value takes the next word whatever it looks like, stray words are put aside, "--" ends the options. Values
// are converted when they are asked for, so a bad number is reported at the point where the Java tool reports it.

// argumentRule says whether an option takes a value.
type argumentRule int

const (
	noArgument argumentRule = iota
	requiredArgument
	optionalArgument
)

// option is one flag of a tool.
type option struct {
	name        string
	description string
	argument    argumentRule
	placeholder string // what the value is, for the help table
	kind        string // Java's short name of the value type: String, Integer, Long, Double
	defaults    []string
}

// takes makes o want a value, described by placeholder.
func (o *option) takes(placeholder string) *option {
	o.argument, o.placeholder, o.kind = requiredArgument, placeholder, "String"
	return o
}

// mayTake lets o stand alone or be followed by a value.
func (o *option) mayTake(placeholder string) *option {
	o.takes(placeholder)
	o.argument = optionalArgument
	return o
}

// of names the type of the value: "Integer", "Long" or "Double".
func (o *option) of(kind string) *option { o.kind = kind; return o }

// or sets the value that stands when the option is absent, or present without a value.
func (o *option) or(value string) *option { o.defaults = []string{value}; return o }

// optionParser holds the flags of one tool.
type optionParser struct {
	options []*option // in the order of definition
}

// accepts adds a flag without a value; takes and mayTake give it one.
func (p *optionParser) accepts(name, description string) *option {
	o := &option{name: name, description: description}
	p.options = append(p.options, o)
	return o
}

func (p *optionParser) find(name string) *option {
	for _, o := range p.options {
		if o.name == name {
			return o
		}
	}
	return nil
}

// looksLikeOption reports whether an optional value must not be taken from word.
func looksLikeOption(word string) bool {
	return len(word) > 1 && strings.HasPrefix(word, "-")
}

// parse reads args. The error is a *javaError of jopt-simple's own class.
func (p *optionParser) parse(args []string) (*optionSet, error) {
	set := &optionSet{parser: p, values: make(map[*option][]string), given: make(map[*option]bool)}
	for i := 0; i < len(args); i++ {
		word := args[i]
		if word == "--" {
			set.words = append(set.words, args[i+1:]...)
			break
		}
		if !looksLikeOption(word) {
			set.words = append(set.words, word)
			continue
		}
		name, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(word, "-"), "-"), "=")
		o := p.find(name)
		if o == nil {
			if !strings.HasPrefix(word, "--") && name != "" { // one dash: taken for a row of one-letter flags
				name = name[:1]
			}
			return nil, &javaError{class: joptUnrecognized, message: name + " is not a recognized option"}
		}
		set.given[o] = true
		set.order = append(set.order, o)
		switch {
		case o.argument == noArgument:
		case value != "":
			set.values[o] = append(set.values[o], value)
		case o.argument == requiredArgument:
			i++
			if i >= len(args) {
				return nil, &javaError{class: joptMissingArgument, message: "Option " + name + " requires an argument"}
			}
			set.values[o] = append(set.values[o], args[i])
		case i+1 < len(args) && !looksLikeOption(args[i+1]):
			i++
			set.values[o] = append(set.values[o], args[i])
		}
	}
	return set, nil
}

const (
	joptUnrecognized    = "joptsimple.UnrecognizedOptionException"
	joptMissingArgument = "joptsimple.OptionMissingRequiredArgumentException"
	joptConversion      = "joptsimple.OptionArgumentConversionException"
	joptMultiple        = "joptsimple.MultipleArgumentsForOptionException"
)

// optionSet is a parsed command line. The value methods never fail; the first value that could not be given, because it
// does not parse or came twice, is kept in err, as a bufio.Scanner keeps its error.
type optionSet struct {
	parser *optionParser
	values map[*option][]string
	given  map[*option]bool
	order  []*option // the options as they came, repeats included
	words  []string  // what is no option
	err    error
}

// has reports whether the option was given.
func (s *optionSet) has(o *option) bool { return s.given[o] }

// all returns every value of o, or its default.
func (s *optionSet) all(o *option) []string {
	if v := s.values[o]; len(v) > 0 {
		return v
	}
	return o.defaults
}

// one returns the single value of o and whether there is one, the default included.
func (s *optionSet) one(o *option) (string, bool) {
	switch v := s.all(o); len(v) {
	case 0:
		return "", false
	case 1:
		return v[0], true
	default:
		s.fail(&javaError{class: joptMultiple, message: "Found multiple arguments for option " + o.name +
			", but you asked for only one"})
		return "", false
	}
}

// str returns the value of o, "" when there is none.
func (s *optionSet) str(o *option) string {
	v, _ := s.one(o)
	return v
}

// int64 returns the value of o as a number in the range of its Java type, 0 when there is none.
func (s *optionSet) int64(o *option) int64 {
	v, ok := s.one(o)
	if !ok {
		return 0
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || o.kind == "Integer" && (n < math.MinInt32 || n > math.MaxInt32) {
		s.fail(conversionError(o, v))
		return 0
	}
	return n
}

// int returns the value of o as a number, 0 when there is none.
func (s *optionSet) int(o *option) int { return int(s.int64(o)) }

func (s *optionSet) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

func conversionError(o *option, value string) error {
	cause := &javaError{class: "java.lang.NumberFormatException", message: `For input string: "` + value + `"`}
	return &javaError{
		class:   joptConversion,
		message: "Cannot parse argument '" + value + "' of option " + o.name,
		cause: &javaError{
			class:   "joptsimple.internal.ReflectionException",
			message: cause.class + ": " + cause.message,
			cause:   cause,
		},
	}
}
