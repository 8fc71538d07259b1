package main

import (
	"regexp"
	"slices"
	"strings"
)

// masker makes equal what may differ from run to run.
type masker struct {
	tool, args   string
	brokerWorded bool
}

// Rows of index files: where they stand depends on how the producer fills its batches.
const (
	indexRow     = "offset: N position: N"
	timeIndexRow = "timestamp TIME offset: N"
)

// masks are applied to stdout and stderr line by line, in order.
var masks = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\]`), "[TIME]"},
	{regexp.MustCompile(`^(c|m)time = .*`), "${1}time = TIME"},
	{regexp.MustCompile(`^(c|m|p)Zxid = 0x[0-9a-f]+`), "${1}Zxid = ID"},
	{regexp.MustCompile(`(CreateTime|LogAppendTime|timestamp): ?\d+`), "$1 TIME"},
	{regexp.MustCompile(`TopicId: [A-Za-z0-9_-]{22}`), "TopicId: ID"},
	{regexp.MustCompile(`"topic_id":"[A-Za-z0-9_-]{22}"`), `"topic_id":"ID"`},
	{regexp.MustCompile(`\(Commit:[0-9a-f]+\)`), "(Commit:ID)"},
	{regexp.MustCompile(`different replication factor: \S+`), "different replication factor: ID"},
	{regexp.MustCompile(`console-consumer-\d+`), "console-consumer-ID"},
	{regexp.MustCompile(`crc: \d+`), "crc: ID"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "HOST:PORT"},
	{regexp.MustCompile(`DATA/[01]/data`), "DATA/N/data"},
	{regexp.MustCompile(`Leader: \d+`), "Leader: N"},
	{regexp.MustCompile(`"(\d+)":\[\d+\]`), `"$1":[N]`}, // a partition and its only replica
	{regexp.MustCompile(`larger than available brokers: \d+`), "larger than available brokers: N"},
	{regexp.MustCompile(`/s-\d{10}`), "/s-SEQUENCE"},
	{regexp.MustCompile(`correlation id \d+`), "correlation id ID"},
	{regexp.MustCompile(`salt=[\w+/]+=*,stored_key=([\w+/]{43}=|[\w+/]{86}==),server_key=([\w+/]{43}=|[\w+/]{86}==),iterations=`),
		"salt=S,stored_key=K,server_key=K,iterations:"},
	{regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}:`), "TIME:"},
	{regexp.MustCompile(`^\[usage follows\]$`), "[usage]"},
	{regexp.MustCompile(`^offset: \d+ position: \d+$`), indexRow},
	{regexp.MustCompile(`^timestamp TIME offset: \d+$`), timeIndexRow},
}

var (
	brokerIDList = regexp.MustCompile(`(Replicas|Isr): ([\d,]*)`)
	brokerID     = regexp.MustCompile(`\d+`)
	perfNumber   = regexp.MustCompile(`\d+(\.\d+)?`)
	toolLogger39 = regexp.MustCompile(`\(org\.apache\.kafka\.tools\.(consumer\.)?(\w+)\)`)
)

func (m *masker) mask(o outcome) outcome {
	stdout, stderr := m.text(o.stdout), m.text(o.stderr)
	switch {
	case m.tool == "zookeeper-shell":
		stdout = eventsFirst(stdout)
	case m.tool == "kafka-reassign-partitions" && strings.Contains(m.args, "--generate"):
		stdout = maskProposal(stdout)
	case m.tool == "kafka-verifiable-producer":
		stdout = m.maskEvents(stdout)
	case m.tool == "kafka-replica-verification":
		stdout = maskLags(stdout)
	case strings.HasSuffix(m.tool, "-election"):
		stdout = sortElected(stdout)
	case m.tool == "kafka-reassign-partitions":
		stdout = sortPlan(stdout)
	case m.tool == "kafka-log-dirs":
		stdout = mergeLogDirs(stdout)
	case m.unordered():
		stdout = sortLines(stdout)
	}
	return outcome{o.exit, stdout, stderr}
}

// unordered reports whether Kafka prints the rows of this tool in the order of a hash map.
func (m *masker) unordered() bool {
	return strings.Contains(m.args, "--describe") || m.tool == "kafka-delete-records"
}

func (m *masker) text(text string) string {
	var lines []string
	seen := make(map[string]bool)
	inUsage := false
	for line := range strings.Lines(text) {
		whole := line
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "Option ") && strings.HasSuffix(strings.TrimRight(line, " "), "Description"):
			inUsage = true
			if m.args == m.tool { // nothing but the tool's name: the captures leave out its purpose
				lines = nil
			}
			lines = append(lines, "[usage]\n")
			continue
		case strings.HasPrefix(line, "ZooKeeper -server") || strings.HasPrefix(line, "usage: producer-performance") ||
			strings.HasPrefix(line, "usage: verifiable-producer"):
			inUsage = true
			lines = append(lines, "[usage]\n")
			continue
		case strings.HasPrefix(line, "Command not found") || strings.HasPrefix(line, "producer-performance: error") ||
			strings.HasPrefix(line, "verifiable-producer: error"):
			inUsage = false
		}
		if inUsage || line == "[stack]" {
			continue
		}
		line = m.line(line)
		// How often these come depends on the clock.
		if strings.HasPrefix(line, "[TIME] WARN") || line == indexRow || line == timeIndexRow {
			if seen[line] {
				continue
			}
			seen[line] = true
		}
		lines = append(lines, line+whole[len(strings.TrimRight(whole, "\n")):])
	}
	return strings.Join(lines, "")
}

func (m *masker) line(line string) string {
	for _, mask := range masks {
		line = mask.pattern.ReplaceAllString(line, mask.with)
	}
	line = brokerIDList.ReplaceAllStringFunc(line, func(list string) string {
		return brokerID.ReplaceAllString(list, "#")
	})
	if m.brokerWorded {
		line = toolLogger39.ReplaceAllString(line, "(kafka.admin.$2$$)")
	}
	line = sortConfigs(line)
	if strings.Contains(line, "records sent, ") {
		line = perfNumber.ReplaceAllString(line, "N")
	}
	return line
}

func sortLines(text string) string {
	lines := slices.Collect(strings.Lines(text))
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// eventsFirst takes the session's event out of the shell's output, which prints it on a thread of its own.
func eventsFirst(text string) string {
	const event = "WatchedEvent state:SyncConnected type:None path:null\n"
	var rest []string
	connected := ""
	for line := range strings.Lines(text) {
		switch line {
		case "\n", "WATCHER::\n":
		case event:
			connected = event
		default:
			rest = append(rest, line)
		}
	}
	return connected + strings.Join(rest, "")
}

var reportedPartition = regexp.MustCompile(`\{"partition":"[^}]*\}`)

// mergeLogDirs keeps the partitions of a report and forgets which broker holds them.
func mergeLogDirs(text string) string {
	head, report, found := strings.Cut(text, "{")
	if !found {
		return text
	}
	head = regexp.MustCompile(`from brokers [\d,]+`).ReplaceAllString(head, "from brokers N")
	partitions := reportedPartition.FindAllString(report, -1)
	slices.Sort(partitions)
	return head + strings.Join(slices.Compact(partitions), "\n")
}

var configList = regexp.MustCompile(`(Configs: ?|Configs for .* are )(\S+)$`)
var configStart = regexp.MustCompile(`,([a-z.]+|[a-z]+_byte_rate|SCRAM-SHA-\d+)=`)

// sortConfigs puts a list of k=v, in which values may have commas, in order.
func sortConfigs(line string) string {
	m := configList.FindStringSubmatchIndex(line)
	if m == nil {
		return line
	}
	list := line[m[4]:m[5]]
	var entries []string
	begin := 0
	for _, at := range configStart.FindAllStringIndex(list, -1) {
		entries = append(entries, list[begin:at[0]])
		begin = at[0] + 1
	}
	entries = append(entries, list[begin:])
	slices.Sort(entries)
	return line[:m[4]] + strings.Join(entries, ",")
}

var planEntry = regexp.MustCompile(`\{"topic":[^}]*\}`)

// sortPlan puts the partitions of a plan in order.
func sortPlan(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if entries := planEntry.FindAllString(line, -1); entries != nil {
			slices.Sort(entries)
			line = `{"version":1,"partitions":[` + strings.Join(entries, ",") + "]}\n"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "")
}

var plannedReplicas = regexp.MustCompile(`"replicas":\[[\d,]*\]`)

// maskProposal forgets to which brokers a proposal, which is drawn by lot, moves the partitions.
func maskProposal(text string) string {
	current, proposed, found := strings.Cut(sortPlan(text), "Proposed")
	if !found {
		return text
	}
	proposed = plannedReplicas.ReplaceAllStringFunc(proposed, func(list string) string {
		return brokerID.ReplaceAllString(list, "#")
	})
	return current + "Proposed" + proposed
}

var electedList = regexp.MustCompile(`( for partitions (?:Hash)?(?:Set\()?| election path with )([^()\n]+)`)

// sortElected puts the partitions of an election in order.
func sortElected(text string) string {
	return electedList.ReplaceAllStringFunc(text, func(list string) string {
		m := electedList.FindStringSubmatch(list)
		names := strings.FieldsFunc(m[2], func(r rune) bool { return strings.ContainsRune(", ", r) })
		slices.Sort(names)
		return m[1] + strings.Join(names, ",")
	})
}

var (
	eventNumber = regexp.MustCompile(`"(timestamp|offset|partition|avg_throughput)":[\d.E-]+`)
	eventCount  = regexp.MustCompile(`"(value|sent|acked)":"?\d+"?`)
)

// maskEvents forgets where records came to lie and in which order, and of a run that was stopped how many they were.
func (m *masker) maskEvents(text string) string {
	text = eventNumber.ReplaceAllString(text, `"$1":N`)
	if !strings.Contains(m.args, "--max-messages") {
		text = eventCount.ReplaceAllString(text, `"$1":N`)
	}
	return unique(sortLines(text))
}

var laggingPartition = regexp.MustCompile(`partition m2-\d`)

// maskLags forgets how often replicas were found equal, and of which partition it was told.
func maskLags(text string) string {
	return unique(laggingPartition.ReplaceAllString(text, "partition m2-N"))
}

// unique leaves out lines that repeat the one before.
func unique(text string) string {
	return strings.Join(slices.Compact(slices.Collect(strings.Lines(text))), "")
}
