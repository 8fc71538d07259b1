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
// be empty; ZURAU_GOLDEN_DATA is its log directory, ZURAU_GOLDEN_BROKERS the number of its brokers.

// goldenTarget is the cluster a replay runs against.
type goldenTarget struct {
	bootstrap string
	zookeeper string // with chroot
	data      string // log directory of broker 0
	brokers   int
	restart   func() // stops and starts the broker; nil when it is not ours
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
			if entry.waits(target) {
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
		if entries[c.id()].waits(r.target) {
			steps = append(slices.Clip(steps), r.steps[c.id()+"!"]...)
		}
		if !c.reads() || len(steps) > 0 {
			readers.Wait()
		}
		r.runSteps(t, steps)
		switch {
		case entries[c.id()].waits(r.target):
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
	m := masker{
		tool:         c.argv[0],
		args:         strings.Join(c.argv, " "),
		oneBroker:    r.target.brokers == 1,
		brokerWorded: c.brokerWorded,
	}
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

// TestMain lets the test binary stand in for the tools, and sees that no test leaves a goroutine behind.
func TestMain(m *testing.M) {
	if os.Getenv("ZURAU_RUN_MAIN") != "" {
		main()
		return
	}
	// sarama's metrics keep one goroutine for the life of a process.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}
