//go:build interop

package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// jvmFlags make a JVM small and quick to start.
var jvmFlags = []string{"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Djava.awt.headless=true"}

// javaStart bounds the start of a server, which on two busy cores takes a while.
const javaStart = 90 * time.Second

// javaServer is a JVM that runs until the test ends or stop is called.
type javaServer struct {
	cmd *exec.Cmd
	log string
}

// startJava runs class in a JVM and waits until ready says so.
func startJava(t testing.TB, heap, classPath, class string, args []string, ready func() bool) *javaServer {
	t.Helper()
	dir := t.TempDir()
	properties := filepath.Join(dir, "log4j.properties")
	writeFile(t, properties, "log4j.rootLogger=INFO, O\nlog4j.appender.O=org.apache.log4j.ConsoleAppender\n"+
		"log4j.appender.O.layout=org.apache.log4j.PatternLayout\nlog4j.appender.O.layout.ConversionPattern=[%d] %p %m (%c)%n\n")
	s := &javaServer{log: filepath.Join(dir, "log")}
	log, err := os.Create(s.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	line := append(append([]string{"-Xmx" + heap, "-Dlog4j.configuration=file:" + properties}, jvmFlags...), "-cp", classPath, class)
	s.cmd = exec.Command("java", append(line, args...)...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	dieWithUs(s.cmd)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			out, _ := os.ReadFile(s.log)
			t.Logf("%s said last:\n%s", class, out[max(0, len(out)-3000):])
		}
	})
	await(t, javaStart, class+" to start", ready)
	return s
}

// stop ends the JVM with SIGTERM, or SIGKILL when that takes too long.
func (s *javaServer) stop() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Signal(os.Interrupt)
	over := time.AfterFunc(20*time.Second, func() { s.cmd.Process.Kill() })
	s.cmd.Wait()
	over.Stop()
	s.cmd = nil
}

// await polls until done is true.
func await(t testing.TB, limit time.Duration, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", limit, what)
		}
	}
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// freePorts are n ports of the loopback address that nobody uses now.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// startEnsemble runs real ZooKeeper with so many members and returns their addresses as zookeeper.connect takes them.
func startEnsemble(t testing.TB, members int) string {
	t.Helper()
	ports := freePorts(t, 3*members)
	var connect []string
	for i := range members {
		connect = append(connect, fmt.Sprintf("127.0.0.1:%d", ports[i]))
	}
	ready := make(chan struct{}, members)
	for i := range members {
		dir := t.TempDir()
		text := fmt.Sprintf("dataDir=%s\nclientPort=%d\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n"+
			"4lw.commands.whitelist=*\nmaxClientCnxns=0\ntickTime=500\ninitLimit=40\nsyncLimit=20\n"+
			"minSessionTimeout=1000\nmaxSessionTimeout=60000\n", dir, ports[i])
		if members > 1 {
			for j := range members {
				text += fmt.Sprintf("server.%d=127.0.0.1:%d:%d\n", j+1, ports[members+j], ports[2*members+j])
			}
			writeFile(t, filepath.Join(dir, "myid"), fmt.Sprint(i+1))
		}
		file := filepath.Join(dir, "zoo.cfg")
		writeFile(t, file, text)
		// All members must be started before any can be ready.
		startJava(t, "256m", jars(t, kafkaNew), "org.apache.zookeeper.server.quorum.QuorumPeerMain", []string{file},
			func() bool { ready <- struct{}{}; return true })
	}
	for _, addr := range connect {
		await(t, javaStart, "ZooKeeper at "+addr, func() bool { return serves(addr) })
	}
	return strings.Join(connect, ",")
}

// serves asks a ZooKeeper server whether it has found its ensemble.
func serves(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Second))
	io.WriteString(c, "srvr")
	answer, err := io.ReadAll(c)
	return err == nil && bytes.Contains(answer, []byte("Mode: "))
}

// javaBroker is a broker of Apache Kafka.
type javaBroker struct {
	*javaServer
	addr string
	dir  string // log.dirs
}

// startKafka runs a broker of Apache Kafka; later properties win.
func startKafka(t testing.TB, version string, id int, zookeeper string, properties ...string) *javaBroker {
	t.Helper()
	b := &javaBroker{addr: fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0]), dir: t.TempDir()}
	file := filepath.Join(t.TempDir(), "server.properties")
	writeFile(t, file, strings.Join(append([]string{
		fmt.Sprintf("broker.id=%d", id), "zookeeper.connect=" + zookeeper, "log.dirs=" + b.dir, "listeners=PLAINTEXT://" + b.addr,
		"zookeeper.session.timeout.ms=6000", "offsets.topic.replication.factor=1", "offsets.topic.num.partitions=5",
		"transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1", "transaction.state.log.num.partitions=5",
		"group.initial.rebalance.delay.ms=0"}, properties...), "\n"))
	b.javaServer = startJava(t, "400m", jars(t, version), "kafka.Kafka", []string{file}, func() bool {
		return introduced(t, b.addr)
	})
	return b
}

// introduced tells whether a broker answers and knows itself to be in the cluster. Kafka opens its port before that.
func introduced(t testing.TB, addr string) bool {
	c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RequestRetries(0))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	brokers, err := kadm.NewClient(c).ListBrokers(ctx)
	return err == nil && len(brokers) > 0
}

// toolClasses are the classes behind the script names of Kafka's bin folder, newest place first.
var toolClasses = map[string][]string{
	"kafka-topics":              {"org.apache.kafka.tools.TopicCommand", "kafka.admin.TopicCommand"},
	"kafka-configs":             {"kafka.admin.ConfigCommand"},
	"kafka-console-producer":    {"org.apache.kafka.tools.ConsoleProducer", "kafka.tools.ConsoleProducer"},
	"kafka-console-consumer":    {"org.apache.kafka.tools.consumer.ConsoleConsumer", "kafka.tools.ConsoleConsumer"},
	"kafka-dump-log":            {"kafka.tools.DumpLogSegments"},
	"kafka-get-offsets":         {"org.apache.kafka.tools.GetOffsetShell", "kafka.tools.GetOffsetShell"},
	"kafka-delete-records":      {"org.apache.kafka.tools.DeleteRecordsCommand", "kafka.admin.DeleteRecordsCommand"},
	"kafka-reassign-partitions": {"org.apache.kafka.tools.reassign.ReassignPartitionsCommand", "kafka.admin.ReassignPartitionsCommand"},
	"kafka-log-dirs":            {"org.apache.kafka.tools.LogDirsCommand", "kafka.admin.LogDirsCommand"},
	"kafka-broker-api-versions": {"kafka.admin.BrokerApiVersionsCommand"},
	"zookeeper-shell":           {"org.apache.zookeeper.ZooKeeperMain"},
}

// tool is a set of command line tools: Apache Kafka's of some release, or ours.
type tool func(t testing.TB, stdin, name string, args ...string) (stdout string, err error)

// javaTool runs Apache Kafka's.
func javaTool(version string) tool {
	return func(t testing.TB, stdin, name string, args ...string) (string, error) {
		t.Helper()
		var out string
		var err error
		for _, class := range toolClasses[name] {
			out, err = execute(t, stdin, "java", append(append(append([]string{"-Xmx256m"}, jvmFlags...), "-cp", jars(t, version), class), args...)...)
			if err == nil || !strings.Contains(err.Error(), "Could not find or load main class") {
				break
			}
		}
		return out, err
	}
}

// ourTool runs bin/zurau, which `make interop` has built.
func ourTool(t testing.TB, stdin, name string, args ...string) (string, error) {
	t.Helper()
	return execute(t, stdin, binary(t), append([]string{name}, args...)...)
}

// binary is bin/zurau.
func binary(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs("../../../bin/zurau")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func execute(t testing.TB, stdin, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	dieWithUs(cmd)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil {
		err = errors.Join(fmt.Errorf("%s %v: %w", name, args[max(0, len(args)-8):], err), errors.New(stderr.String()))
	}
	return stdout.String(), err
}
