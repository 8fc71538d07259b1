package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// The command line of the few tools that use argparse4j instead of jopt-simple. Usage and complaints are laid out as it
// does: 75 columns, broken lines filled up with blanks.

const argparseWidth = 75

// argument is one flag.
type argument struct {
	name     string
	help     string
	required bool
	flag     bool   // takes no value
	many     bool   // takes all words up to the next flag
	number   string // Java's type of a value that is a number: Long or Integer
	fallback string
	against  string // a flag it must not stand beside; one of the two is needed
}

// argparser holds the flags of one tool.
type argparser struct {
	program, description string
	arguments            []argument
}

// arguments is a parsed command line.
type arguments map[string][]string

func (a arguments) has(name string) bool { return len(a[name]) > 0 }

func (a arguments) str(name string) string {
	if a.has(name) {
		return a[name][0]
	}
	return ""
}

func (a arguments) int64(name string) int64 {
	n, _ := strconv.ParseInt(a.str(name), 10, 64) // parse has checked it
	return n
}

// argumentError ends a tool with usage and a complaint on stderr, status 1.
type argumentError string

func (e argumentError) Error() string { return string(e) }

func (p *argparser) find(word string) *argument {
	for i := range p.arguments {
		if p.arguments[i].name == word {
			return &p.arguments[i]
		}
	}
	return nil
}

// parse reads args.
func (p *argparser) parse(args []string) (arguments, error) {
	values := make(arguments)
	for i := 0; i < len(args); i++ {
		word, value, joined := strings.Cut(args[i], "=")
		a := p.find(word)
		if a == nil {
			return nil, argumentError("unrecognized arguments: '" + args[i] + "'")
		}
		if a.against != "" && values.has(a.against) {
			return nil, argumentError("argument " + a.name + ": not allowed with argument " + a.against)
		}
		switch {
		case a.flag:
			values[a.name] = []string{"true"}
			continue
		case joined:
			values[a.name] = []string{value}
			continue
		}
		begin := i + 1
		for i+1 < len(args) && !strings.HasPrefix(args[i+1], "--") && (a.many || i < begin) {
			i++
		}
		if i < begin {
			return nil, argumentError("argument " + a.name + ": expected one argument")
		}
		values[a.name] = args[begin : i+1]
	}
	return values, p.complete(values)
}

// complete adds the defaults and complains about what is missing or no number.
func (p *argparser) complete(values arguments) error {
	for _, a := range p.arguments {
		switch {
		case values.has(a.name):
			if !a.accepts(values.str(a.name)) {
				return argumentError("argument " + a.name + ": could not convert '" + values.str(a.name) + "' to " + a.number)
			}
		case a.required:
			return argumentError("argument " + a.name + " is required")
		case a.against != "" && !values.has(a.against):
			return argumentError("one of the arguments " + a.against + " " + a.name + " is required")
		case a.fallback != "":
			values[a.name] = []string{a.fallback}
		}
	}
	return nil
}

// accepts reports whether value is of the argument's type.
func (a *argument) accepts(value string) bool {
	bits := 64
	switch a.number {
	case "":
		return true
	case "Integer":
		bits = 32
	}
	_, err := strconv.ParseInt(value, 10, bits)
	return err == nil
}

// fail prints usage and the complaint, filled to the width.
func (p *argparser) fail(w io.Writer, err error) {
	p.printUsage(w)
	fmt.Fprint(w, justify(p.program+": error: "+err.Error(), argparseWidth))
}

func (p *argparser) printUsage(w io.Writer) {
	line := "usage: " + p.program + " [-h]"
	indent := strings.Repeat(" ", len("usage: "+p.program))
	for _, a := range p.arguments {
		word := a.name
		if !a.flag {
			word += " " + a.metavar()
		}
		if !a.required {
			word = "[" + word + "]"
		}
		if len(line)+1+len(word) > argparseWidth {
			fmt.Fprintln(w, line)
			line = indent
		}
		line += " " + word
	}
	fmt.Fprintln(w, line)
}

// printHelp prints usage, the purpose and every flag.
func (p *argparser) printHelp(w io.Writer) {
	p.printUsage(w)
	fmt.Fprintf(w, "\n%s\n\nnamed arguments:\n", p.description)
	for _, a := range p.arguments {
		name := a.name
		if !a.flag {
			name += " " + a.metavar()
		}
		help := a.help
		if a.fallback != "" {
			help += " (default: " + a.fallback + ")"
		}
		fmt.Fprintf(w, "  %s\n", name)
		for _, line := range wrap(help, argparseWidth-24) {
			fmt.Fprintf(w, "%24s%s\n", "", strings.TrimSpace(line))
		}
	}
}

func (a *argument) metavar() string {
	word := strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(strings.TrimPrefix(a.name, "--")))
	if a.many {
		return word + " [" + word + " ...]"
	}
	return word
}

// justify breaks text into lines of width; every line but the last is filled to it, the blanks spread over the gaps in
// the middle first.
func justify(text string, width int) string {
	var out strings.Builder
	var line []string
	length := -1 // of line joined by single blanks
	for _, word := range strings.Fields(text) {
		if length+1+len(word) > width && len(line) > 0 {
			out.WriteString(fill(line, width-length) + "\n")
			line, length = nil, -1
		}
		line = append(line, word)
		length += 1 + len(word)
	}
	out.WriteString(strings.Join(line, " ") + "\n")
	return out.String()
}

// fill joins words by blanks, extra ones more than one a gap.
func fill(words []string, extra int) string {
	gaps := len(words) - 1
	if gaps == 0 {
		return words[0]
	}
	blanks := slices.Repeat([]int{1 + extra/gaps}, gaps)
	rest := extra % gaps
	for i := range rest {
		blanks[(gaps-rest+1)/2+i]++
	}
	var out strings.Builder
	for i, word := range words {
		out.WriteString(word)
		if i < gaps {
			out.WriteString(strings.Repeat(" ", blanks[i]))
		}
	}
	return out.String()
}
