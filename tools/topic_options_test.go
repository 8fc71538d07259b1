package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReplicaAssignments(t *testing.T) {
	for text, want := range map[string]string{
		"0:1,1:0": "",
		"3":       "",
		"0:0":     "kafka.common.AdminCommandFailedException: Partition replica lists may not contain duplicate entries: 0",
		"0:1,1":   "kafka.admin.AdminOperationException: Partition 1 has different replication factor: [1]",
		"x":       `java.lang.NumberFormatException: For input string: "x"`,
		"":        `java.lang.NumberFormatException: For input string: ""`,
	} {
		_, err := parseAssignment(text)
		if (err == nil) != (want == "") || err != nil && throwable(err) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
	got, _ := parseAssignment("0:1,1:0")
	if diff := cmp.Diff([][]int32{{0, 1}, {1, 0}}, got); diff != "" {
		t.Error(diff)
	}
}

func TestTopicExpressions(t *testing.T) {
	for _, c := range []struct {
		expression, name string
		want             bool
	}{
		{"t1", "t1", true}, {"t1", "t12", false}, {"t.*", "t12", true}, {"a,b", "b", true}, {" a | b ", "a", true},
		{"'a.b'", "a.b", true}, {`"x"`, "x", true}, {"[ct]1", "c1", true}, {"", "x", false},
	} {
		keep, err := topicFilter(c.expression, true)
		if err != nil || keep(c.name) != c.want {
			t.Errorf("%q on %q: %v", c.expression, c.name, err)
		}
	}
	if keep, _ := topicFilter("", false); !keep("anything") {
		t.Error("no expression must match everything")
	}
	if _, err := topicFilter("[", true); err == nil || err.Error() != "[ is an invalid regex." {
		t.Error(err)
	}
}

func TestPartitionRules(t *testing.T) {
	for rule, want := range map[string]string{"": "0123", "2": "2", "1-3": "12", "2-": "23", "-2": "01"} {
		within, err := parsePartitionRange(rule)
		got := ""
		for id := range int32(4) {
			if err == nil && within(id) {
				got += string('0' + id)
			}
		}
		if got != want {
			t.Errorf("%q: %s %v", rule, got, err)
		}
	}
	if _, err := parsePartitionRange("a-b"); err == nil {
		t.Error("a-b was accepted")
	}
}

func TestShellLines(t *testing.T) {
	for line, want := range map[string][]string{
		`set /a "two words" 'and more'`: {"set", "/a", "two words", "and more"},
		"  ls   / ":                     {"ls", "/"},
		"":                              nil,
	} {
		if diff := cmp.Diff(want, splitShellLine(line)); diff != "" {
			t.Errorf("%q: %s", line, diff)
		}
	}
	acl, err := parseACL("world:anyone:cdrwa,digest:u:pass=:r")
	if err != nil || len(acl) != 2 || acl[0].Perms != 31 || acl[1].Perms != 1 || acl[1].ID != "u:pass=" {
		t.Errorf("%+v %v", acl, err)
	}
	if _, err := parseACL("world:anyone"); err == nil {
		t.Error("an entry without permissions was accepted")
	}
}
