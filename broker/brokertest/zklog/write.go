package zklog

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Write is one write into ZooKeeper, captured from Kafka or read from our server's log.
type Write struct {
	By     string   // "broker-1" or "tool"
	Under  []string // what was checked in the same transaction: "/controller_epoch version=1"
	Part   string   // "1 of 2": its place among the writes of the transaction
	Op     string   // create, setData, delete, closeSession
	Path   string
	Detail string // persistent, ephemeral, newVersion=3, deletes=/controller /brokers/ids/0
	Data   any    // decoded JSON; the text where it is none; nil is null
}

func (w Write) String() string { return w.Op + " " + w.Path }

// placeTransaction gives the writes of one transaction their common fields.
func placeTransaction(by string, under []string, writes []Write) []Write {
	for i := range writes {
		writes[i].By, writes[i].Under = by, under
		writes[i].Part = fmt.Sprintf("%d of %d", i+1, len(writes))
	}
	return writes
}

// ReadCapture reads the writes of a phase from a file of golden/zkops. The columns are group, by, multi, op, path, detail, data; the ops of a group
// are one transaction. Left out are requests that failed, for they changed nothing (Kafka tries first and asks
// later), and the beginnings of sessions.
func ReadCapture(file string, ids Identities) ([]Write, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	rows := strings.Split(strings.TrimSpace(string(text)), "\n")[1:]
	var all []Write
	for len(rows) > 0 {
		group, by, _ := strings.Cut(rows[0], "\t")
		by, _, _ = strings.Cut(by, "\t")
		n := slices.IndexFunc(rows, func(row string) bool { return !strings.HasPrefix(row, group+"\t") })
		if n < 0 {
			n = len(rows)
		}
		var under []string
		var writes []Write
		failed := false
		for _, row := range rows[:n] {
			f := strings.Split(row, "\t")
			op, path, detail, data := f[3], f[4], f[5], f[6]
			w := Write{Op: op, Path: path, Detail: strings.TrimPrefix(detail, "-")}
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
	return all, nil
}

// Writes gives transactions the form of the captures. A session that has no name is that of a tool.
func Writes(transactions []Transaction, names map[int64]string, ids Identities) []Write {
	var all []Write
	for _, t := range transactions {
		var under []string
		var writes []Write
		for _, o := range t.Ops {
			w := Write{Op: o.Verb, Path: o.Path}
			if o.Data != nil {
				w.Data = ids.decode(o.Path, string(o.Data))
			}
			switch o.Verb {
			case "check":
				under = append(under, fmt.Sprintf("%s version=%d", o.Path, o.Version))
				continue
			case "closeSession":
				w.Detail = "deletes=" + strings.Join(o.Gone, " ")
			case "setData":
				w.Detail = fmt.Sprintf("newVersion=%d", o.Version)
			case "create":
				w.Detail = "persistent"
				if o.Ephemeral {
					w.Detail = "ephemeral"
				}
			}
			writes = append(writes, w)
		}
		by, known := names[t.Session]
		if !known {
			by = "tool"
		}
		all = append(all, placeTransaction(by, under, writes)...)
	}
	return all
}

var stateOf = regexp.MustCompile(`^/brokers/topics/[^/]+/partitions/([0-9]+)/state$`)

// InOurOrder sorts Kafka's writes of states where only a hash map gave them their order: within one batch, which
// is where ours ascend. The batches themselves must follow each other as Kafka's do.
func InOurOrder(want, got []Write) []Write {
	want = slices.Clone(want)
	for from := 0; from < len(got); {
		to := from + 1
		for to < len(got) && IsState(got[to]) && PartitionOf(got[to]) > PartitionOf(got[to-1]) && IsState(got[from]) {
			to++
		}
		if to <= len(want) && !slices.ContainsFunc(want[from:to], func(w Write) bool { return !IsState(w) }) {
			slices.SortStableFunc(want[from:to], func(a, b Write) int { return PartitionOf(a) - PartitionOf(b) })
		}
		from = to
	}
	return want
}

// IsState tells a new state of a partition.
func IsState(w Write) bool { return w.Op == "setData" && stateOf.MatchString(w.Path) }

// PartitionOf is the number in the path of a state, -1 for other paths.
func PartitionOf(w Write) int {
	m := stateOf.FindStringSubmatch(w.Path)
	if m == nil {
		return -1
	}
	n, _ := strconv.Atoi(m[1])
	return n
}
