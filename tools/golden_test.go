package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/zurau/zurau/broker/brokertest"
	"github.com/zurau/zurau/zkmeta/zkserver"
)

// The replay: every invocation that golden/cli recorded of the tools we have, run again with our tools against our
// broker, must print and return the same. testdata/cli/VERSION holds the captures of Kafka's own tools;
// testdata/cli/steps.txt what happened between them; testdata/differences.txt each case that does not come out the same
// and why, testdata/broker_worded.txt the cases whose text is a broker's and is therefore compared with the 3.9.1 capture.
//
// With ZURAU_GOLDEN_BOOTSTRAP and ZURAU_GOLDEN_ZK (with its chroot) set the replay runs against that cluster, which must
// be empty; ZURAU_GOLDEN_DATA is its log directory, ZURAU_GOLDEN_BROKERS the number of its brokers.

// goldenTarget is the cluster a replay runs against.
type goldenTarget struct {
	bootstrap string
	zookeeper string // with chroot
	data      string // log directory of broker 0
	brokers   int
	restart   func() // stops and starts the broker; nil when it is not ours
}

// goldenCase is one capture.
type goldenCase struct {
	version, name  string
	argv           []string
	stdin          string
	exit           string
	stdout, stderr string
	signal         syscall.Signal
	signalAfter    time.Duration
	brokerWorded   bool
}

func (c *goldenCase) id() string { return c.version + "/" + c.name[:3] }

func TestGoldenCLI(t *testing.T) {
	for _, version := range []string{"2.8.2", "1.1.1"} {
		t.Run(version, func(t *testing.T) {
			target := goldenTargetFor(t)
			replay(t, version, target)
		})
	}
}

// goldenTargetFor names the cluster of the environment, else starts one as the captures had it.
func goldenTargetFor(t *testing.T) goldenTarget {
	t.Helper()
	target := goldenTarget{
		bootstrap: os.Getenv("ZURAU_GOLDEN_BOOTSTRAP"),
		zookeeper: os.Getenv("ZURAU_GOLDEN_ZK"),
		data:      os.Getenv("ZURAU_GOLDEN_DATA"),
		brokers:   1,
	}
	if n, err := strconv.Atoi(os.Getenv("ZURAU_GOLDEN_BROKERS")); err == nil {
		target.brokers = n
	}
	if target.bootstrap != "" {
		return target
	}
	zk, err := zkserver.NewServer(zkserver.Options{Addr: "127.0.0.1:0", TickTime: 500 * time.Millisecond})
	if err == nil {
		err = zk.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { zk.Close() })
	cluster := brokertest.Start(t,
		brokertest.ZooKeeper(zk.Addr().String()+"/cli"),
		brokertest.Property("log.index.size.max.bytes", "4096"),
		brokertest.Property("offsets.topic.num.partitions", "3"),
		brokertest.Property("auto.create.topics.enable", "true"))
	target.bootstrap = strings.Join(cluster.Bootstrap(), ",")
	target.zookeeper = cluster.ZooKeeperConnect()
	target.data = cluster.Node(0).Dir()
	target.restart = cluster.Node(0).Restart
	return target
}

// replay runs the cases of a version in order and judges each by testdata/differences.txt.
func replay(t *testing.T, version string, target goldenTarget) {
	entries := loadDifferences(t)
	only := os.Getenv("ZURAU_GOLDEN_ONLY")
	cases := slices.DeleteFunc(loadGoldenCases(t, version), func(c *goldenCase) bool {
		return only != "" && !regexp.MustCompile(only).MatchString(c.name)
	})
	r := &replayer{target: target, scratch: t.TempDir(), steps: loadSteps(t)}
	outcomes := r.runAll(t, cases, entries)
	equal, different, waiting := 0, 0, 0
	for _, c := range cases {
		entry := entries[c.id()]
		t.Run(c.name, func(t *testing.T) {
			if entry.class == "waits" {
				waiting++
				t.Skip("waits", entry.reason)
			}
			diff := r.compare(c, outcomes[c])
			switch {
			case diff == "" && entry.class == "different":
				t.Errorf("no longer differs: take %s out of testdata/differences.txt", c.id())
			case diff == "":
				equal++
			case entry.class == "different":
				different++
				t.Logf("differs: %s", entry.reason)
			default:
				different++
				t.Errorf("%s\n%s", strings.Join(c.argv, " "), diff)
			}
		})
	}
	t.Logf("%s: %d equal, %d different, %d wait", version, equal, different, waiting)
	if only == "" && equal*100 < 95*(equal+different) {
		t.Errorf("%d of %d cases are equal: less than 95 of 100", equal, equal+different)
	}
}

// runAll runs the cases in order and gives what came out of those that do not wait. Cases that only read run beside
// each other, and one that takes half a minute beside all that follow.
func (r *replayer) runAll(t *testing.T, cases []*goldenCase, entries map[string]difference) map[*goldenCase]outcome {
	t.Helper()
	var mu sync.Mutex
	outcomes := make(map[*goldenCase]outcome)
	keep := func(c *goldenCase, o outcome) {
		mu.Lock()
		defer mu.Unlock()
		outcomes[c] = o
	}
	var readers, slow sync.WaitGroup
	defer slow.Wait()
	defer readers.Wait()
	for _, c := range cases {
		steps := r.steps[c.id()]
		if entries[c.id()].class == "waits" {
			steps = append(slices.Clip(steps), r.steps[c.id()+"!"]...)
		}
		if !c.reads() || len(steps) > 0 {
			readers.Wait()
		}
		r.runSteps(t, steps)
		switch {
		case entries[c.id()].class == "waits":
		case c.reads():
			readers.Go(func() { keep(c, r.execute(t, c)) })
		case strings.HasSuffix(c.name, "unknown-broker") && c.version == "2.8.2":
			slow.Go(func() { keep(c, r.execute(t, c)) })
		default:
			keep(c, r.execute(t, c))
		}
	}
	return outcomes
}

// reads reports whether a case changes nothing that others see.
func (c *goldenCase) reads() bool { return c.argv[0] == "kafka-console-consumer" }

// loadGoldenCases reads the captures of a version in the order in which they were taken.
func loadGoldenCases(t *testing.T, version string) []*goldenCase {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "cli", version, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures of %s (%v)", version, err)
	}
	worded := loadWords(t, "broker_worded.txt")
	var cases []*goldenCase
	for _, file := range files {
		c := readGoldenCase(t, version, file)
		if line, ok := worded[c.id()]; ok {
			newer := readGoldenCase(t, "3.9.1", filepath.Join("testdata", "cli", "3.9.1", strings.Fields(line)[0]+".txt"))
			c.exit, c.stdout, c.stderr, c.brokerWorded = newer.exit, newer.stdout, newer.stderr, true
		}
		cases = append(cases, c)
	}
	return cases
}

var signalNote = regexp.MustCompile(`SIG(INT|TERM) sent after (\d+) s`)

func readGoldenCase(t *testing.T, version, file string) *goldenCase {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c := &goldenCase{version: version, name: strings.TrimSuffix(filepath.Base(file), ".txt")}
	notes := ""
	for _, f := range archive.Files {
		text := string(f.Data)
		switch f.Name {
		case "argv":
			c.argv = strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		case "stdin":
			c.stdin = text
		case "exit":
			c.exit = strings.TrimSpace(text)
		case "stdout":
			c.stdout = text
		case "stderr":
			c.stderr = text
		case "notes":
			notes = text
		}
	}
	if strings.Contains(notes, "stdin has no newline at its end") {
		c.stdin = strings.TrimSuffix(c.stdin, "\n")
	}
	if strings.Contains(notes, "stdout has no newline at its end") {
		c.stdout = strings.TrimSuffix(c.stdout, "\n")
	}
	if m := signalNote.FindStringSubmatch(notes); m != nil {
		c.signal = map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM}[m[1]]
		c.signalAfter = 2 * time.Second
	}
	return c
}

// loadWords reads a file of testdata whose lines are a case and what is said of it; # begins a comment.
func loadWords(t *testing.T, name string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	words := make(map[string]string)
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		id, rest, ok := strings.Cut(line, " ")
		if !ok || words[id] != "" {
			t.Fatalf("%s: bad or second line %q", name, line)
		}
		words[id] = strings.TrimSpace(rest)
	}
	return words
}

// difference is an entry of testdata/differences.txt.
type difference struct {
	class  string // "different" or "waits"
	reason string
}

func loadDifferences(t *testing.T) map[string]difference {
	t.Helper()
	entries := make(map[string]difference)
	for id, text := range loadWords(t, "differences.txt") {
		class, reason, _ := strings.Cut(text, " ")
		if class != "different" && class != "waits" || reason == "" {
			t.Fatalf("differences.txt: %s needs a class (different, waits) and a reason", id)
		}
		entries[id] = difference{class, reason}
	}
	return entries
}

// step is a command that ran between two captures.
type step struct {
	argv  []string
	stdin string
}

// loadSteps reads testdata/steps.txt: "VERSION/NNN argv... < stdin", in which \n and \t stand for themselves. A step
// "instead" of a waiting case is marked with a ! behind the number.
func loadSteps(t *testing.T) map[string][]step {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "steps.txt"))
	if err != nil {
		t.Fatal(err)
	}
	steps := make(map[string][]step)
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		command, stdin, _ := strings.Cut(line, " < ")
		words := strings.Fields(command)
		steps[words[0]] = append(steps[words[0]], step{words[1:], strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(stdin)})
	}
	return steps
}

// replayer runs captures against a target.
type replayer struct {
	target  goldenTarget
	scratch string // stands for DATA
	steps   map[string][]step
}

// runSteps runs what happened before a case, or what stands in for one that waits so that those after it find what
// they need.
func (r *replayer) runSteps(t *testing.T, steps []step) {
	t.Helper()
	for _, s := range steps {
		if s.argv[0] == "restart" {
			if r.target.restart != nil {
				r.target.restart()
			}
			continue
		}
		if s.argv[0] == "file" {
			if err := os.WriteFile(filepath.Join(r.scratch, s.argv[1]), []byte(s.stdin), 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		c := &goldenCase{argv: s.argv, stdin: s.stdin}
		got := r.execute(t, c)
		if got.exit != "0" {
			t.Fatalf("step %v: exit %s\n%s%s", s.argv, got.exit, got.stdout, got.stderr)
		}
	}
}

// compare gives the difference between what came out and the capture, "" for none.
func (r *replayer) compare(c *goldenCase, got outcome) string {
	m := masker{tool: c.argv[0], args: strings.Join(c.argv, " "), oneBroker: r.target.brokers == 1, brokerWorded: c.brokerWorded}
	return cmp.Diff(m.mask(outcome{c.exit, c.stdout, c.stderr}), m.mask(got), cmp.AllowUnexported(outcome{}))
}

type outcome struct{ exit, stdout, stderr string }

var goldenAddress = regexp.MustCompile(`127\.0\.0\.1:20[0-9]{3}`)

// execute runs our tool for c in a process of its own, so that signals and exit statuses are real.
func (r *replayer) execute(t *testing.T, c *goldenCase) outcome {
	t.Helper()
	server, chroot, _ := strings.Cut(r.target.zookeeper, "/")
	here := strings.NewReplacer(
		"127.0.0.1:20320/cli", r.target.zookeeper, "127.0.0.1:20340/cli", r.target.zookeeper, "127.0.0.1:20320", server,
		"127.0.0.1:20330,127.0.0.1:20331", r.target.bootstrap, "127.0.0.1:20330", r.target.bootstrap,
		"127.0.0.1:20350", r.target.bootstrap,
		"BOOTSTRAP", r.target.bootstrap, "ZOOKEEPER", r.target.zookeeper,
		"DATA/0/data", r.target.data, "DATA/1/data", r.target.data, "DATA", r.scratch)
	args := make([]string, len(c.argv))
	for i, a := range c.argv {
		args[i] = here.Replace(a)
	}
	if args[0] == "GetOffsetShell" {
		args = append([]string{"kafka-run-class", "kafka.tools.GetOffsetShell"}, args[1:]...)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), "ZURAU_RUN_MAIN=1")
	cmd.Stdin = strings.NewReader(strings.ReplaceAll(c.stdin, "/cli", "/"+chroot))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if c.signal != 0 {
		time.AfterFunc(c.signalAfter, func() { _ = cmd.Process.Signal(c.signal) })
	}
	err := cmd.Run()
	exit := "0"
	var ee *exec.ExitError
	switch {
	case ctx.Err() != nil:
		exit = "none"
	case errors.As(err, &ee):
		exit = strconv.Itoa(ee.ExitCode())
	case err != nil:
		t.Error(err)
	}
	back := strings.NewReplacer(r.target.data, "DATA/0/data", r.scratch, "DATA", r.target.zookeeper, "127.0.0.1:20320/cli")
	if r.target.data == "" {
		back = strings.NewReplacer(r.scratch, "DATA", r.target.zookeeper, "127.0.0.1:20320/cli")
	}
	return outcome{exit, back.Replace(stdout.String()), back.Replace(stderr.String())}
}

// masker makes equal what may differ from run to run.
type masker struct {
	tool, args   string
	oneBroker    bool
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
	{regexp.MustCompile(`larger than available brokers: \d+`), "larger than available brokers: N"},
	{regexp.MustCompile(`/s-\d{10}`), "/s-SEQUENCE"},
	{regexp.MustCompile(`correlation id \d+`), "correlation id ID"},
	{regexp.MustCompile(`^\[usage follows\]$`), "[usage]"},
	{regexp.MustCompile(`^offset: \d+ position: \d+$`), indexRow},
	{regexp.MustCompile(`^timestamp TIME offset: \d+$`), timeIndexRow},
}

var (
	brokerIDList  = regexp.MustCompile(`(Replicas|Isr): ([\d,]*)`)
	brokerID      = regexp.MustCompile(`\d+`)
	perfNumber    = regexp.MustCompile(`\d+(\.\d+)?`)
	toolLogger39  = regexp.MustCompile(`\(org\.apache\.kafka\.tools\.(consumer\.)?(\w+)\)`)
	describedPart = regexp.MustCompile(`ReplicationFactor: ?\d+`)
)

func (m *masker) mask(o outcome) outcome {
	stdout, stderr := m.text(o.stdout), m.text(o.stderr)
	switch {
	case m.tool == "zookeeper-shell":
		stdout = eventsFirst(stdout)
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
		case strings.HasPrefix(line, "ZooKeeper -server") || strings.HasPrefix(line, "usage: producer-performance"):
			inUsage = true
			lines = append(lines, "[usage]\n")
			continue
		case strings.HasPrefix(line, "Command not found") || strings.HasPrefix(line, "producer-performance: error"):
			inUsage = false
		}
		if inUsage || line == "[stack]" {
			continue
		}
		line = m.line(line)
		if strings.HasPrefix(line, "[TIME] WARN") || line == indexRow || line == timeIndexRow { // how often depends on the clock
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
		list = brokerID.ReplaceAllString(list, "#")
		if m.oneBroker {
			list = strings.ReplaceAll(list, "#,#", "#")
		}
		return list
	})
	if m.oneBroker {
		line = describedPart.ReplaceAllString(line, "ReplicationFactor: N")
	}
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

var configList = regexp.MustCompile(`(Configs: ?|Configs for topic '.*' are )(\S+)$`)
var configStart = regexp.MustCompile(`,[a-z.]+=`)

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

// TestMain lets the test binary stand in for the tools.
func TestMain(m *testing.M) {
	if os.Getenv("ZURAU_RUN_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}
