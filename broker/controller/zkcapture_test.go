package controller

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// write is one write into ZooKeeper, captured from Kafka or read from our server's log.
type write struct {
	By     string   // "broker-1" or "tool"
	Under  []string // what was checked in the same transaction: "/controller_epoch version=1"
	Part   string   // "1 of 2": its place among the writes of the transaction
	Op     string   // create, setData, delete, closeSession
	Path   string
	Detail string // persistent, ephemeral, newVersion=3, deletes=/controller /brokers/ids/0
	Data   any    // decoded JSON; the text where it is none; nil is null
}

func (w write) String() string { return w.Op + " " + w.Path }

// placeTransaction gives the writes of one transaction their common fields.
func placeTransaction(by string, under []string, writes []write) []write {
	for i := range writes {
		writes[i].By, writes[i].Under = by, under
		writes[i].Part = fmt.Sprintf("%d of %d", i+1, len(writes))
	}
	return writes
}

// readCapture reads the writes of a phase. The columns are group, by, multi, op, path, detail, data; the ops of a group
// are one transaction. Left out are requests that failed, for they changed nothing (Kafka tries first and asks
// later), and the beginnings of sessions.
func readCapture(t *testing.T, file string, ids identities) []write {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(text)), "\n")[1:]
	var all []write
	for len(rows) > 0 {
		group, by, _ := strings.Cut(rows[0], "\t")
		by, _, _ = strings.Cut(by, "\t")
		n := slices.IndexFunc(rows, func(row string) bool { return !strings.HasPrefix(row, group+"\t") })
		if n < 0 {
			n = len(rows)
		}
		var under []string
		var writes []write
		failed := false
		for _, row := range rows[:n] {
			f := strings.Split(row, "\t")
			op, path, detail, data := f[3], f[4], f[5], f[6]
			w := write{Op: op, Path: path, Detail: strings.TrimPrefix(detail, "-")}
			switch op {
			case "error":
				failed = true
			case "createSession":
			case "check":
				under = append(under, path+" "+detail)
			case "closeSession":
				gone := strings.Fields(strings.TrimPrefix(detail, "deletes="))
				slices.Sort(gone)
				w.Path, w.Detail = "", "deletes="+strings.Join(gone, " ")
				writes = append(writes, w)
			default:
				if given, ok := strings.CutPrefix(data, "text "); ok {
					w.Data = ids.decode(path, given)
				}
				writes = append(writes, w)
			}
		}
		if !failed {
			all = append(all, placeTransaction(by, under, writes)...)
		}
		rows = rows[n:]
	}
	return all
}

// asWrites gives our transactions the form of the captures.
func asWrites(transactions []logged, names map[int64]string, ids identities) []write {
	var all []write
	for _, t := range transactions {
		var under []string
		var writes []write
		for _, o := range t.ops {
			w := write{Op: o.verb, Path: o.path}
			if o.data != nil {
				w.Data = ids.decode(o.path, string(o.data))
			}
			switch o.verb {
			case "check":
				under = append(under, fmt.Sprintf("%s version=%d", o.path, o.version))
				continue
			case "closeSession":
				w.Detail = "deletes=" + strings.Join(o.gone, " ")
			case "setData":
				w.Detail = fmt.Sprintf("newVersion=%d", o.version)
			case "create":
				w.Detail = "persistent"
				if o.ephemeral {
					w.Detail = "ephemeral"
				}
			}
			writes = append(writes, w)
		}
		by, known := names[t.session]
		if !known {
			by = "tool"
		}
		all = append(all, placeTransaction(by, under, writes)...)
	}
	return all
}

// identities number the ids of topics as they are met, so that an id that changes shows although no two runs share one.
type identities map[string]string

// decode reads a znode's data and masks the times and ids in it.
func (ids identities) decode(path, text string) any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var o map[string]any
	if d.Decode(&o) != nil || d.More() {
		return text
	}
	for key, value := range o {
		text, isText := value.(string)
		switch {
		case !isText:
		case key == "timestamp" && allDigits.MatchString(text):
			o[key] = "MS"
		case key == "topic_id" && len(text) == 22, path == "/cluster/id" && key == "id" && len(text) == 22:
			if ids[text] == "" {
				ids[text] = fmt.Sprintf("ID %d", len(ids)+1)
			}
			o[key] = ids[text]
		}
	}
	return o
}

var allDigits = regexp.MustCompile(`^[0-9]+$`)

var stateOf = regexp.MustCompile(`^/brokers/topics/[^/]+/partitions/([0-9]+)/state$`)

// inOurOrder sorts Kafka's writes of states where only a hash map gave them their order: within one batch, which
// is where ours ascend. The batches themselves must follow each other as Kafka's do.
func inOurOrder(want, got []write) []write {
	want = slices.Clone(want)
	for from := 0; from < len(got); {
		to := from + 1
		for to < len(got) && isState(got[to]) && partitionOf(got[to]) > partitionOf(got[to-1]) && isState(got[from]) {
			to++
		}
		if to <= len(want) && !slices.ContainsFunc(want[from:to], func(w write) bool { return !isState(w) }) {
			slices.SortStableFunc(want[from:to], func(a, b write) int { return partitionOf(a) - partitionOf(b) })
		}
		from = to
	}
	return want
}

func isState(w write) bool { return w.Op == "setData" && stateOf.MatchString(w.Path) }

// partitionOf is the number in the path of a state, -1 for other paths.
func partitionOf(w write) int {
	m := stateOf.FindStringSubmatch(w.Path)
	if m == nil {
		return -1
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// difference is a line of testdata/zkops/differences.txt.
type difference struct {
	phase, class, what, reason string
	used                       bool
}

// differences are those of one release.
type differences []*difference

func loadDifferences(t *testing.T, release string) differences {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "zkops", "differences.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var all differences
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		head, reason, ok := strings.Cut(line, " - ")
		f := strings.SplitN(head, " ", 3)
		if !ok || len(f) != 3 || reason == "" || !slices.Contains([]string{"ours", "kafka", "waits"}, f[1]) {
			t.Fatalf("differences.txt: %q is no entry", line)
		}
		of, phase, _ := strings.Cut(f[0], "/")
		if of == release {
			all = append(all, &difference{phase: phase, class: f[1], what: f[2], reason: reason})
		}
	}
	return all
}

// without takes out the writes of a phase that an entry explains.
func (d differences) without(phase, class string, writes []write) []write {
	return slices.DeleteFunc(slices.Clone(writes), func(w write) bool {
		return slices.ContainsFunc(d, func(e *difference) bool {
			match := !e.used && e.phase == phase && e.class == class && e.what == w.String()
			e.used = e.used || match
			return match
		})
	})
}

// waits tells whether a phase is not played.
func (d differences) waits(phase string) bool {
	return slices.ContainsFunc(d, func(e *difference) bool {
		match := e.phase == phase && e.class == "waits"
		e.used = e.used || match
		return match
	})
}

// unneeded fails the test for the entries that explained nothing.
func (d differences) unneeded(t *testing.T, release string) {
	t.Helper()
	for _, e := range d {
		if !e.used {
			t.Errorf("no longer needed: take %s/%s %s %s out of differences.txt", release, e.phase, e.class, e.what)
		}
	}
}
