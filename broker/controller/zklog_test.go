package controller

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/zurau/zurau/broker/brokertest/zklog"
)

// masks hide what differs from run to run.
var masks = []struct {
	re *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`"topic_id":"[^"]{22}"`), `"topic_id":"ID"`},
	{regexp.MustCompile(`"timestamp":"[0-9]+"`), `"timestamp":"MS"`},
}

// transactions returns what was written into ZooKeeper since the last call.
func (s *stage) transactions() []zklog.Transaction {
	all, err := zklog.Read(s.dir)
	s.must(err)
	fresh := all[s.shown:]
	s.shown = len(all)
	return fresh
}

// writes returns the transactions since the last call, one line each; "checked" are those under
// /controller_epoch.
func (s *stage) writes() []string {
	var lines []string
	for _, t := range s.transactions() {
		if line := scriptLine(t); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// scriptLine is a transaction as the scripts show it; that of a session's end is "".
func scriptLine(t zklog.Transaction) string {
	var parts []string
	for _, o := range t.Ops {
		switch o.Verb {
		case "create":
			verb := "create"
			if o.Ephemeral {
				verb += " ephemeral"
			}
			parts = append(parts, fmt.Sprintf("%s %s %s", verb, o.Path, dataText(o.Data)))
		case "setData":
			parts = append(parts, fmt.Sprintf("set %s %s", o.Path, dataText(o.Data)))
		case "delete", "check":
			parts = append(parts, o.Verb+" "+o.Path)
		}
	}
	if len(parts) > 0 && parts[0] == "check /controller_epoch" {
		return "checked " + strings.Join(parts[1:], "; ")
	}
	return strings.Join(parts, "; ")
}

func dataText(b []byte) string {
	if b == nil {
		return "null"
	}
	text := strings.ReplaceAll(string(b), "\n", `\n`)
	for _, m := range masks {
		text = m.re.ReplaceAllString(text, m.to)
	}
	return text
}
