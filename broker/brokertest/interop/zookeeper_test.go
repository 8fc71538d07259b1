//go:build interop

package interop

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/zurau/zurau/zkmeta/zkserver"
)

// suiteTimeout bounds a suite of ours that runs on real ZooKeeper.
const suiteTimeout = 5 * time.Minute

// failures are the lines of a test's output that say what failed, and where.
var failures = regexp.MustCompile(`(?m)^ *(--- FAIL|panic:|[a-z_]+_test\.go:).*\n`)

// The suites that talk to ZooKeeper run once more, on a real ensemble of three and below a chroot.
func TestTheSuitesRunOnARealEnsemble(t *testing.T) {
	ensemble := startEnsemble(t, 3)
	for dir, variable := range map[string]string{"../../brokertest": "ZURAU_TEST_ZOOKEEPER", "../../../zkmeta": "ZURAU_ZK"} {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			binary := filepath.Join(t.TempDir(), "suite.test")
			if err := run(dir, "go", "test", "-c", "-tags", "interop", "-o", binary, "."); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), binary, "-test.timeout="+suiteTimeout.String())
			cmd.Dir, cmd.Env = dir, append(os.Environ(), variable+"="+ensemble)
			dieWithUs(cmd)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s\n%s", err, bytes.Join(failures.FindAll(out, -1), nil), out[max(0, len(out)-8000):])
			}
		})
	}
}

// Apache Kafka's brokers start on our ZooKeeper server, work, and survive its kill -9 and restart.
func TestKafkaBrokersLiveOnOurZooKeeper(t *testing.T) {
	for _, version := range []string{kafkaOld, kafkaNew} {
		t.Run(version, func(t *testing.T) {
			zk := startZooKeeperProcess(t)
			b := startKafka(t, version, 3, zk.addr+"/kafka")
			roundTrip(t, b.addr, "before")
			zk.kill()
			roundTrip(t, b.addr, "before") // no topic is made, so no ZooKeeper is needed
			zk.start(t)
			roundTrip(t, b.addr, "after")
			b.stop()
		})
	}
}

// A cluster of an old and a new broker of Apache Kafka lives on our ZooKeeper server: the controller is killed while
// ZooKeeper is, and the other broker takes over all that was acknowledged.
func TestAKafkaClusterFailsOverOnOurZooKeeper(t *testing.T) {
	zk := startZooKeeperProcess(t)
	brokers := []*javaBroker{
		startKafka(t, kafkaOld, 0, zk.addr+"/kafka", "inter.broker.protocol.version=2.8"),
		startKafka(t, kafkaNew, 1, zk.addr+"/kafka", "inter.broker.protocol.version=2.8"),
	}
	admin := adminOf(t, brokers[1].addr)
	if _, err := admin.CreateTopic(t.Context(), 1, 2, map[string]*string{"min.insync.replicas": kadm.StringPtr("1")}, "both"); err != nil {
		t.Fatal(err)
	}
	records := sample("franz-go", "none")
	for i, offset := range franzWriter().write(t, brokers[1].addr, "both", "none", records) {
		records[i].Offset = offset
	}
	zk.kill()
	brokers[0].cmd.Process.Kill() // the first to start is the controller
	zk.start(t)
	await(t, javaStart, "the other broker to take over", func() bool {
		m, err := admin.Metadata(t.Context(), "both")
		return err == nil && m.Controller == 1 && m.Topics["both"].Partitions[0].Leader == 1
	})
	if diff := cmp.Diff(records, franzReader().read(t, brokers[1].addr, "both", len(records))); diff != "" {
		t.Errorf("written (-) and read (+) differ:\n%s", diff)
	}
	roundTrip(t, brokers[1].addr, "after")
}

// zooKeeperProcess is bin/zurau as a ZooKeeper server, in a process that can be killed.
type zooKeeperProcess struct {
	addr string
	file string // zookeeper.properties
	logs string
	cmd  *exec.Cmd
}

func startZooKeeperProcess(t *testing.T) *zooKeeperProcess {
	t.Helper()
	port := freePorts(t, 1)[0]
	z := &zooKeeperProcess{addr: fmt.Sprintf("127.0.0.1:%d", port), logs: t.TempDir()}
	z.file = filepath.Join(z.logs, "zookeeper.properties")
	writeFile(t, z.file, fmt.Sprintf("dataDir=%s\nclientPort=%d\nclientPortAddress=127.0.0.1\ntickTime=500\nmaxClientCnxns=0\n", t.TempDir(), port))
	t.Cleanup(z.kill)
	z.start(t)
	return z
}

// start brings the server up, also after kill.
func (z *zooKeeperProcess) start(t *testing.T) {
	t.Helper()
	z.cmd = exec.Command(binary(t), "zookeeper-server-start", z.file)
	z.cmd.Env = append(os.Environ(), "LOG_DIR="+z.logs)
	dieWithUs(z.cmd)
	if err := z.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, javaStart, "our ZooKeeper", func() bool { return serves(z.addr) })
}

// kill is kill -9.
func (z *zooKeeperProcess) kill() {
	z.cmd.Process.Kill()
	z.cmd.Wait()
}

// roundTrip produces to a topic, which is made if it is not there, and reads the record back.
func roundTrip(t *testing.T, bootstrap, topic string) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(-1))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	value := fmt.Sprint(time.Now().UnixNano())
	if err := c.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	c.AddConsumeTopics(topic)
	for {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		for _, r := range fetches.Records() {
			if string(r.Value) == value {
				return
			}
		}
	}
}

// startOurZooKeeper runs our server until the test ends.
func startOurZooKeeper(t *testing.T, options zkserver.Options) *zkserver.Server {
	t.Helper()
	zk, err := zkserver.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	if err := zk.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { zk.Close() })
	return zk
}

// kazoo's recipes lean on sessions, sequence numbers, watches and transactions. ZURAU_INTEROP_ZOOKEEPER names another
// ZooKeeper, to see that a test agrees with the real one.
func TestKazooRecipesWorkOnOurZooKeeper(t *testing.T) {
	for _, recipe := range []string{"lock", "election", "counter", "watchers", "transactions", "others"} {
		t.Run(recipe, func(t *testing.T) {
			addr := os.Getenv("ZURAU_INTEROP_ZOOKEEPER")
			if addr == "" {
				addr = startOurZooKeeper(t, zkserver.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0", TickTime: 500 * time.Millisecond}).Addr().String()
			}
			output(t, nil, python(t), "testdata/zookeeper/recipes.py", addr, recipe)
		})
	}
}

// shellMasks hide what differs between two runs of ZooKeeper's shell.
var shellMasks = []struct{ from, to string }{
	// A refused write takes a transaction number from the real server and none from ours.
	{`(?m)^([cmp]Zxid) = 0x[0-9a-f]+$`, "$1 = ZXID"},
	{`(?m)^([cm]time) = .*$`, "$1 = TIME"},
	{`0x[0-9a-f]{12,}`, "SESSION"},
	{`(127\.0\.0\.1|localhost)(/127\.0\.0\.1)?:\d+`, "ADDRESS"},
	{`(?m)^.*(WARN|INFO|DEBUG|log4j:).*\n`, ""},
	{`\nWATCHER::\n\nWatchedEvent state:Closed type:None path:null\n`, ""}, // the shell may be gone before it says so
}

// Java's ZooKeeper shells say the same on our server as on the real one.
func TestJavaZooKeeperShellsFindNoDifference(t *testing.T) {
	script, err := os.ReadFile("testdata/zookeeper/shell.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(string(script), "")
	session := func(version, addr string) []string {
		ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
		defer cancel()
		cmd := exec.CommandContext(ctx, "java", append(jvmFlags[:len(jvmFlags):len(jvmFlags)], "-cp", jars(t, version),
			"org.apache.zookeeper.ZooKeeperMain", "-server", addr)...)
		cmd.Stdin = strings.NewReader(lines)
		dieWithUs(cmd)
		said, err := cmd.CombinedOutput() // what goes wrong is said on stderr, and is compared too
		if err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		out := string(said)
		for _, mask := range shellMasks {
			out = regexp.MustCompile(mask.from).ReplaceAllString(out, mask.to)
		}
		return strings.Split(out, "\n")
	}
	for _, version := range []string{kafkaOld, kafkaNew} {
		t.Run(version, func(t *testing.T) {
			theirs := session(version, startEnsemble(t, 1))
			ours := session(version, startOurZooKeeper(t, zkserver.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0"}).Addr().String())
			if len(theirs) < len(strings.Split(lines, "\n")) {
				t.Errorf("the shell said little:\n%s", strings.Join(theirs, "\n"))
			}
			if diff := cmp.Diff(theirs, ours); diff != "" {
				t.Errorf("on real ZooKeeper (-) and on ours (+):\n%s", diff)
			}
		})
	}
}
