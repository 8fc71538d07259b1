package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/zurau/zurau/broker/brokertest"
	"github.com/zurau/zurau/zkmeta/zkserver"
	"go.uber.org/goleak"
)

// The replay: every invocation that golden/cli recorded of the tools we have, run again with our tools against our
// broker, must print and return the same. In testdata, cli/VERSION holds the captures of Kafka's own tools, steps.txt what
// happened between them, differences.txt each case that does not come out the same and why, broker_worded.txt the cases
// whose text is a broker's and is therefore compared with the capture of 3.9.1.
//
// With ZURAU_GOLDEN_BOOTSTRAP and ZURAU_GOLDEN_ZK (with its chroot) set the replay runs against that cluster, which must
// be empty and have two brokers; ZURAU_GOLDEN_DATA are their log directories, with a comma between.

// goldenBrokers is how many the captures had.
const goldenBrokers = 2

// goldenTarget is the cluster a replay runs against.
type goldenTarget struct {
	bootstrap string
	zookeeper string              // with chroot
	data      []string            // log directory of each broker, as far as they are known
	brokers   *brokertest.Cluster // nil when they are not ours
}

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
	}
	if dirs := os.Getenv("ZURAU_GOLDEN_DATA"); dirs != "" {
		target.data = strings.Split(dirs, ",")
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
	cluster := brokertest.New(t,
		brokertest.Brokers(goldenBrokers),
		brokertest.ZooKeeper(zk.Addr().String()+"/cli"),
		brokertest.Property("log.index.size.max.bytes", "4096"),
		brokertest.Property("offsets.topic.num.partitions", "3"),
		brokertest.Processes(), // to be paused
		brokertest.Property("auto.leader.rebalance.enable", "false"),
		brokertest.Property("auto.create.topics.enable", "true"))
	for id := range goldenBrokers { // one after the other: broker 0 was controller
		cluster.Node(id).Start()
	}
	target.bootstrap = cluster.Node(0).Addr()
	target.zookeeper = cluster.ZooKeeperConnect()
	target.brokers = cluster
	for id := range goldenBrokers {
		target.data = append(target.data, cluster.Node(id).Dir())
	}
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
			if entry.waits() {
				waiting++
				t.Skip(entry.class, entry.reason)
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
	// Strictly: whatever does not wait for groups counts.
	counted := equal + different
	t.Logf("%s: %d of %d equal, %.1f in 100; %d different, %d wait and are not counted", version, equal, counted,
		100*float64(equal)/float64(max(counted, 1)), different, waiting)
	if only == "" && equal*100 < 95*counted {
		t.Errorf("%d of %d cases are equal: less than 95 of 100", equal, counted)
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
		if !c.reads() || len(steps) > 0 {
			readers.Wait()
		}
		r.runSteps(t, c, steps)
		switch {
		case entries[c.id()].waits():
		case c.reads():
			readers.Go(func() { keep(c, r.execute(t, c)) })
		case c.version == "2.8.2" && waitsLong.MatchString(c.name):
			slow.Go(func() { keep(c, r.execute(t, c)) })
		default:
			keep(c, r.execute(t, c))
		}
	}
	return outcomes
}

// waitsLong matches the cases that wait for their whole timeout: for a broker that is none, or a transaction coordinator.
var waitsLong = regexp.MustCompile(`unknown-broker$|perf-transactional$`)

// reads reports whether a case changes nothing that others see.
func (c *goldenCase) reads() bool { return c.argv[0] == "kafka-console-consumer" }

// replayer runs captures against a target.
type replayer struct {
	target  goldenTarget
	scratch string // stands for DATA
	steps   map[string][]step
}

// runSteps runs what happened before c, so that it finds what it needs.
func (r *replayer) runSteps(t *testing.T, c *goldenCase, steps []step) {
	t.Helper()
	for _, s := range steps {
		switch s.argv[0] {
		case "restart", "stop", "start", "pause", "resume":
			if r.target.brokers == nil {
				t.Log("not our brokers: left out:", s.argv)
				continue
			}
			r.changeBrokers(s.argv[0])
		case "until":
			r.await(t, step{s.argv[1:], ""}, strings.TrimSuffix(s.stdin, "\n"))
		case "lay":
			r.lay(t, c, s.argv[1])
		case "serve":
			r.serve(t, c, s.argv[1], s.argv[2], s.argv[3:])
		case "file":
			if err := os.WriteFile(filepath.Join(r.scratch, s.argv[1]), []byte(s.stdin), 0o600); err != nil {
				t.Fatal(err)
			}
		default:
			r.mustRun(t, s)
		}
	}
}

// changeBrokers restarts both brokers, or does to broker 1 what verb says.
func (r *replayer) changeBrokers(verb string) {
	second := r.target.brokers.Node(1)
	switch verb {
	case "restart":
		for id := range goldenBrokers {
			r.target.brokers.Node(id).Restart()
		}
	case "stop":
		second.Stop()
	case "start":
		second.Start()
	case "pause":
		second.Pause()
	case "resume":
		second.Resume()
	}
}

// stepTimeout bounds how long a step may take.
const stepTimeout = 20 * time.Second

// await runs a step again until it prints what is wanted.
func (r *replayer) await(t *testing.T, s step, wanted string) {
	t.Helper()
	deadline := time.Now().Add(stepTimeout)
	for {
		got := r.execute(t, &goldenCase{argv: s.argv, stdin: s.stdin})
		switch {
		case strings.Contains(got.stdout, wanted):
			return
		case time.Now().After(deadline):
			t.Fatalf("step %v does not print %q:\n%s%s", s.argv, wanted, got.stdout, got.stderr)
		}
	}
}

// mustRun runs a step again until it succeeds: a topic that is being deleted cannot be made yet.
func (r *replayer) mustRun(t *testing.T, s step) {
	t.Helper()
	deadline := time.Now().Add(stepTimeout)
	for {
		got := r.execute(t, &goldenCase{argv: s.argv, stdin: s.stdin})
		switch {
		case got.exit == "0":
			return
		case time.Now().After(deadline):
			t.Fatalf("step %v: exit %s\n%s%s", s.argv, got.exit, got.stdout, got.stderr)
		}
	}
}

// compare gives the difference between what came out and the capture, "" for none.
func (r *replayer) compare(c *goldenCase, got outcome) string {
	m := masker{
		tool:         c.argv[0],
		args:         strings.Join(c.argv, " "),
		brokerWorded: c.brokerWorded,
	}
	return cmp.Diff(m.mask(outcome{c.exit, c.stdout, c.stderr}), m.mask(got), cmp.AllowUnexported(outcome{}))
}

type outcome struct{ exit, stdout, stderr string }

// execute runs our tool for c in a process of its own, so that signals and exit statuses are real.
func (r *replayer) execute(t *testing.T, c *goldenCase) outcome {
	t.Helper()
	server, chroot, _ := strings.Cut(r.target.zookeeper, "/")
	here := strings.NewReplacer(
		"127.0.0.1:20320/cli", r.target.zookeeper, "127.0.0.1:20340/cli", r.target.zookeeper, "127.0.0.1:20320", server,
		"127.0.0.1:20330,127.0.0.1:20331", r.target.bootstrap, "127.0.0.1:20330", r.target.bootstrap,
		"127.0.0.1:20350", r.target.bootstrap,
		"BOOTSTRAP", r.target.bootstrap, "ZOOKEEPER", r.target.zookeeper, "DATA", r.scratch)
	args := make([]string, len(c.argv))
	for i, a := range c.argv {
		args[i] = here.Replace(r.inDataDir(c, a))
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
	err := cmd.Start()
	if err != nil {
		t.Fatal(err)
	}
	if c.signal != 0 {
		defer time.AfterFunc(c.signalAfter, func() { _ = cmd.Process.Signal(c.signal) }).Stop()
	}
	err = cmd.Wait()
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
	names := []string{r.scratch, "DATA", r.target.zookeeper, "127.0.0.1:20320/cli"}
	if c.laid != "" {
		names = append([]string{c.laid, "DATA/0/data"}, names...)
	}
	for id, dir := range r.target.data {
		names = append(names, dir, fmt.Sprintf("DATA/%d/data", id))
	}
	back := strings.NewReplacer(names...)
	return outcome{exit, back.Replace(stdout.String()), back.Replace(stderr.String())}
}

var capturedDataDir = regexp.MustCompile(`DATA/([01])/data(/[^,]*)?`)

// inDataDir turns paths of a captured broker's log directory into ours, of the broker on which the file lies: which of
// two got a partition is chance.
func (r *replayer) inDataDir(c *goldenCase, argument string) string {
	if c.laid != "" {
		return capturedDataDir.ReplaceAllString(argument, c.laid+"$2")
	}
	if len(r.target.data) == 0 {
		return argument
	}
	return capturedDataDir.ReplaceAllStringFunc(argument, func(path string) string {
		m := capturedDataDir.FindStringSubmatch(path)
		for _, dir := range r.target.data {
			if _, err := os.Stat(dir + m[2]); m[2] != "" && err == nil {
				return dir + m[2]
			}
		}
		id := min(int(m[1][0]-'0'), len(r.target.data)-1)
		return r.target.data[id] + m[2]
	})
}

// TestMain lets the test binary stand in for the tools and for the brokers of the replay.
func TestMain(m *testing.M) {
	if os.Getenv("ZURAU_RUN_MAIN") != "" {
		main()
		return
	}
	brokertest.Main(leakChecked{m})
}

// leakChecked runs the tests and sees that they leave no goroutine behind.
type leakChecked struct{ tests *testing.M }

// Run implements what brokertest.Main wants of a testing.M.
func (l leakChecked) Run() int {
	if status := l.tests.Run(); status != 0 {
		return status
	}
	// sarama's metrics keep one goroutine for the life of a process.
	if err := goleak.Find(goleak.IgnoreAnyFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
