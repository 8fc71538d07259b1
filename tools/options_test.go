package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sampleParser has one option of each kind.
func sampleParser() (p *optionParser, flag, text, number, optional *option) {
	p = &optionParser{}
	flag = p.accepts("flag", "A flag.")
	text = p.accepts("text", "A text.").takes("word")
	number = p.accepts("number", "A number.").takes("n").of("Integer").or("7")
	optional = p.accepts("optional", "May have a value.").mayTake("v").or("gzip")
	return
}

func TestOptionsAreReadAsJoptSimpleReadsThem(t *testing.T) {
	for name, c := range map[string]struct {
		args  string
		texts []string
		words []string
		flag  bool
	}{
		"two dashes and a blank":                     {"--text a", []string{"a"}, nil, false},
		"two dashes and an equals sign":              {"--text=a", []string{"a"}, nil, false},
		"one dash does as well":                      {"-text a -text=b", []string{"a", "b"}, nil, false},
		"a value may look like an option":            {"--text --flag", []string{"--flag"}, nil, false},
		"an empty value takes the next word":         {"--text= a", []string{"a"}, nil, false},
		"only the first equals sign splits":          {"--text=a=b", []string{"a=b"}, nil, false},
		"a flag ignores a value":                     {"--flag=x", nil, nil, true},
		"stray words are put aside":                  {"a --flag b", nil, []string{"a", "b"}, true},
		"two dashes alone end the options":           {"--flag -- --text", nil, []string{"--text"}, true},
		"a dash alone is a word":                     {"- --flag", nil, []string{"-"}, true},
		"an optional value is not an option":         {"--optional --flag", nil, nil, true},
		"an optional value may be a word that stays": {"--optional x", nil, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			p, flag, text, _, _ := sampleParser()
			set, err := p.parse(strings.Fields(c.args))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.texts, set.all(text)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.words, set.words); diff != "" || set.has(flag) != c.flag {
				t.Error(diff, set.has(flag))
			}
		})
	}
}

func TestWhatTheOptionsComplainAbout(t *testing.T) {
	for args, want := range map[string]string{
		"--nonsense":   "joptsimple.UnrecognizedOptionException: nonsense is not a recognized option",
		"--nonsense=x": "joptsimple.UnrecognizedOptionException: nonsense is not a recognized option",
		"-xyz":         "joptsimple.UnrecognizedOptionException: x is not a recognized option",
		"-=x":          "joptsimple.UnrecognizedOptionException:  is not a recognized option",
		"--text":       "joptsimple.OptionMissingRequiredArgumentException: Option text requires an argument",
	} {
		p, _, _, _, _ := sampleParser()
		_, err := p.parse(strings.Fields(args))
		if err == nil || throwable(err) != want {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestValuesComplainWhenTheyAreAskedFor(t *testing.T) {
	p, _, text, number, optional := sampleParser()
	set, err := p.parse(strings.Fields("--text a --text b --number x"))
	if err != nil {
		t.Fatal(err)
	}
	if set.str(optional) != "gzip" || set.err != nil {
		t.Error("a default is no error:", set.err)
	}
	if set.int(number) != 0 || set.err.Error() != "Cannot parse argument 'x' of option number" {
		t.Error(set.err)
	}
	if trace := stackTrace(set.err); strings.Count(trace, "Caused by: ") != 2 ||
		!strings.HasSuffix(trace, "Caused by: java.lang.NumberFormatException: For input string: \"x\"\n") {
		t.Error(trace)
	}
	if set.str(text); set.err.Error() != "Cannot parse argument 'x' of option number" {
		t.Error("the first error gave way to", set.err)
	}
	again, _ := p.parse(strings.Fields("--text a --text b"))
	if again.str(text); again.err == nil || again.err.Error() != "Found multiple arguments for option text, but you asked for only one" {
		t.Error(again.err)
	}
	large, _ := p.parse([]string{"--number", "3000000000"})
	if large.int(number); large.err == nil {
		t.Error("3000000000 is no Integer")
	}
}

func TestRulesBetweenOptions(t *testing.T) {
	p, flag, text, number, _ := sampleParser()
	set, _ := p.parse(strings.Fields("--flag --text a"))
	var usage *usageError
	if err := set.require(flag, number); !errors.As(err, &usage) || err.Error() != `Missing required argument "[number]"` {
		t.Error(err)
	}
	if err := set.exclude(dialect28, flag, number, text); err == nil || err.Error() != `Option "[flag]" can't be used with option "[text]"` {
		t.Error(err)
	}
	if err := set.exclude(dialect11, flag, text); err == nil || err.Error() != `Option "[flag]" can't be used with option"[text]"` {
		t.Error(err)
	}
	if err := set.exclude(dialect28, number, text); err != nil {
		t.Error("an option that is not there excludes nothing:", err)
	}
}

func TestZooKeeperAmongTheArgumentsChoosesTheDialect(t *testing.T) {
	for args, want := range map[string]dialect{
		"--list --zookeeper h": dialect11, "--zookeeper=h": dialect11, "-zookeeper h": dialect11,
		"--list": dialect28, "--zookeepers h": dialect28, "zookeeper": dialect28,
	} {
		if got := dialectOf(strings.Fields(args)); got != want {
			t.Errorf("%s: %d", args, got)
		}
	}
}

func TestTheHelpTableIsThatOfJoptSimple(t *testing.T) {
	p, _, _, _, _ := sampleParser()
	p.accepts("an-option-with-a-name", "Words that do not fit into what is left of a line of eighty --columns.").
		takes("and a long value")
	var out strings.Builder
	p.printUsage(&out)
	// The layout is that of 3.9.1's kafka-topics --help.
	want := `Option                                   Description
------                                   -----------
--an-option-with-a-name <String: and a   Words that do not fit into what is
  long value>                              left of a line of eighty --columns.
--flag                                   A flag.
--number <Integer: n>                    A number. (default: 7)
--optional [String: v]                   May have a value. (default: gzip)
--text <String: word>                    A text.
`
	if diff := cmp.Diff(trimLines(want), trimLines(out.String())); diff != "" {
		t.Error(diff)
	}
	for line := range strings.Lines(out.String()) {
		if len(line) != 81 {
			t.Errorf("%d columns: %q", len(line)-1, line)
		}
	}
}

func trimLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	return lines
}

func FuzzOptions(f *testing.F) {
	f.Add("--text\na")
	f.Add("-\n--\n-=\n--=")
	f.Fuzz(func(t *testing.T, args string) {
		p, _, text, number, optional := sampleParser()
		set, err := p.parse(strings.Split(args, "\n"))
		if err == nil {
			set.str(text)
			set.int(number)
			set.str(optional)
		}
	})
}
