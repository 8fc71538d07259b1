package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// The help table, laid out as jopt-simple's BuiltinHelpFormatter does: 80 columns wide, two blanks between the columns,
// options in alphabetical order, continued lines indented by two, every line padded to its full width.
const (
	usageWidth     = 80
	usageSeparator = 2
	usageIndent    = 2
)

type usageRow struct{ option, description string }

// printUsage writes the option table of p.
func (p *optionParser) printUsage(w io.Writer) {
	rows := []usageRow{{"Option", "Description"}, {"------", "-----------"}}
	sorted := slices.Clone(p.options)
	slices.SortFunc(sorted, func(a, b *option) int { return strings.Compare(a.name, b.name) })
	for _, o := range sorted {
		rows = append(rows, usageRow{o.display(), o.describe()})
	}
	widest := 0
	for _, r := range rows {
		widest = max(widest, len(r.option))
	}
	left := min((usageWidth-usageSeparator)/2, widest)
	right := usageWidth - left - usageSeparator
	for _, r := range rows {
		options, descriptions := wrap(r.option, left), wrap(r.description, right)
		for i := range max(len(options), len(descriptions)) {
			fmt.Fprintf(w, "%-*s%*s%-*s\n", left, lineAt(options, i), usageSeparator, "", right, lineAt(descriptions, i))
		}
	}
}

func lineAt(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

// display is the left column: the name and what kind of value it takes.
func (o *option) display() string {
	if o.argument == noArgument {
		return "--" + o.name
	}
	value := o.kind
	if o.placeholder != "" {
		value += ": " + o.placeholder
	}
	if o.argument == optionalArgument {
		return "--" + o.name + " [" + value + "]"
	}
	return "--" + o.name + " <" + value + ">"
}

// describe is the right column.
func (o *option) describe() string {
	if len(o.defaults) == 0 {
		return o.description
	}
	return strings.TrimSpace(o.description + " (default: " + o.defaults[0] + ")")
}

// breakable finds the pieces between which a line may break: after blanks and hyphens (Java: BreakIterator).
var breakable = regexp.MustCompile(`[^ -]*[ -]+|[^ -]+`)

// wrap breaks text so that no line is longer than width where that can be had; lines after the first of a paragraph are
// indented.
func wrap(text string, width int) []string {
	var lines []string
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		line := ""
		for _, word := range breakable.FindAllString(paragraph, -1) {
			if len(line)+len(word) > width {
				lines = append(lines, strings.TrimRight(line, " "))
				line = strings.Repeat(" ", usageIndent)
			}
			line += word
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
