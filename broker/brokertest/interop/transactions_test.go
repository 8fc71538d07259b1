//go:build interop

package interop

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const transactions = 90 // a third of them is aborted

// TestTransactionsOfAJavaCoordinator has a Java producer's transactions decided by a coordinator of Kafka and kept by our
// brokers as leaders and followers. One of ours crashes on the way. Readers of both kinds see what was committed, and
// all of it, in order.
func TestTransactionsOfAJavaCoordinator(t *testing.T) {
	zookeeper := startEnsemble(t, 1)
	for i, mix := range mixes[1:] {
		t.Run(mix.name, func(t *testing.T) {
			c := startMixed(t, fmt.Sprintf("%s/txn-%d", zookeeper, i), mix.releases, "inter.broker.protocol.version="+mix.level)
			kafkas := fmt.Sprint(c.members[len(c.members)-1].id)
			for _, internal := range []string{"__transaction_state", "__consumer_offsets"} {
				c.createOn(internal, strings.Join(slices.Repeat([]string{kafkas}, 5), ","), "--config", "cleanup.policy=compact",
					"--config", "min.insync.replicas=1")
			}
			c.createOn("txn", "0:1:2,1:2:0,2:0:1")
			c.transact()
			want := make([]string, 0, transactions)
			for n := range transactions {
				if n%3 != 2 {
					want = append(want, fmt.Sprint(n))
				}
			}
			for name, got := range map[string]map[int32][]string{"Java": c.readCommittedJava(), "franz-go": c.readCommitted()} {
				for p := range int32(3) {
					if diff := cmp.Diff(want, got[p]); diff != "" {
						t.Errorf("partition %d, read by %s, want (-) and got (+):\n%s", p, name, diff)
					}
				}
			}
		})
	}
}

// createOn makes a topic with these replicas ("1:2,2:0").
func (c *mixedCluster) createOn(name, replicas string, more ...string) {
	c.t.Helper()
	if _, err := ourTool(c.t, "", "kafka-topics", append([]string{"--bootstrap-server", c.members[0].addr, "--create", "--topic", name,
		"--replica-assignment", replicas}, more...)...); err != nil {
		c.t.Fatal(err)
	}
}

// transact writes the transactions; after a third of them a broker of ours crashes and comes back.
func (c *mixedCluster) transact() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), clientTimeout)
	defer cancel()
	cmd := c.transactProgram(ctx, "write", "txn", "3", fmt.Sprint(transactions))
	out, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; n < transactions && lines.Scan(); n++ {
		word := "commit"
		if n%3 == 2 {
			word = "abort"
		}
		if want := fmt.Sprintf("%s %d", word, n); lines.Text() != want {
			c.t.Errorf("the producer says %q, want %q", lines.Text(), want)
		}
		if n == transactions/3 {
			c.members[0].kill()
			c.members[0].start()
		}
	}
	if err := cmd.Wait(); err != nil {
		c.t.Fatalf("the producer: %v\n%s", err, cmd.Stderr)
	}
}

// transactProgram is Transact.java on the clients of 3.9.
func (c *mixedCluster) transactProgram(ctx context.Context, verb string, args ...string) *exec.Cmd {
	c.t.Helper()
	source, err := filepath.Abs("testdata/load/Transact.java")
	if err != nil {
		c.t.Fatal(err)
	}
	classes, libs := c.t.TempDir(), clientJars(c.t, kafkaNew)
	if err := run(classes, "javac", "-nowarn", "-cp", libs, "-d", classes, source); err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "java", append(append([]string{"-Xmx128m"}, jvmFlags...), append([]string{"-cp",
		libs + string(os.PathListSeparator) + classes, "Transact", verb, strings.Join(c.bootstrap(), ",")}, args...)...)...)
	dieWithUs(cmd)
	cmd.Stderr = &strings.Builder{}
	return cmd
}

// readCommittedJava gives the values a Java consumer sees, by partition.
func (c *mixedCluster) readCommittedJava() map[int32][]string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), clientTimeout)
	defer cancel()
	cmd := c.transactProgram(ctx, "read", "txn", "3")
	out, err := cmd.Output()
	if err != nil {
		c.t.Fatalf("the reader: %v\n%s", err, cmd.Stderr)
	}
	got := make(map[int32][]string)
	for line := range strings.Lines(string(out)) {
		var p int32
		var value string
		if _, err := fmt.Sscan(line, &p, &value); err != nil {
			c.t.Fatalf("the reader says %q", line)
		}
		got[p] = append(got[p], value)
	}
	return got
}

// readCommitted gives the values franz-go sees, by partition.
func (c *mixedCluster) readCommitted() map[int32][]string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), clientTimeout)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.bootstrap()...), kgo.ConsumeTopics("txn"), kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		c.t.Fatal(err)
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListCommittedOffsets(ctx, "txn")
	if err != nil || ends.Error() != nil {
		c.t.Fatal(err, ends.Error())
	}
	got, open := make(map[int32][]string), 3
	for open > 0 && ctx.Err() == nil {
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				got[r.Partition] = append(got[r.Partition], string(r.Value))
			}
			if end, _ := ends.Lookup("txn", r.Partition); r.Offset == end.Offset-1 {
				open--
			}
		})
	}
	return got
}
