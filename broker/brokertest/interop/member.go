//go:build interop

package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ours is the release of a member that is zurau; others name a release of Apache Kafka.
const ours = "ours"

// member is one broker of a mixed cluster, in a process of its own. It keeps its id, port, log directory and
// server.properties whatever program runs it.
type member struct {
	t       *testing.T
	release string
	id      int32
	addr    string
	dir     string // log.dirs
	file    string // server.properties
	log     string // what all its lives have printed
	cmd     *exec.Cmd
}

func (m *member) String() string { return fmt.Sprintf("broker %d (%s)", m.id, m.release) }

// newMember prepares a broker; later properties win.
func newMember(t *testing.T, release string, id int32, zookeeper string, properties ...string) *member {
	t.Helper()
	dir := t.TempDir()
	if keep := os.Getenv("ZURAU_INTEROP_LOGS"); keep != "" {
		dir = filepath.Join(keep, strings.NewReplacer("/", "_", " ", "_").Replace(t.Name()), fmt.Sprintf("%d-%s", id, release))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m := &member{t: t, release: release, id: id, addr: fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0]),
		dir: filepath.Join(dir, "data"), file: filepath.Join(dir, "server.properties"), log: filepath.Join(dir, "server.log")}
	writeFile(t, filepath.Join(dir, "log4j.properties"), log4j)
	writeFile(t, m.file, strings.Join(append([]string{
		fmt.Sprintf("broker.id=%d", id), "zookeeper.connect=" + zookeeper, "log.dirs=" + m.dir, "listeners=PLAINTEXT://" + m.addr,
		"zookeeper.session.timeout.ms=6000", "offsets.topic.replication.factor=1", "offsets.topic.num.partitions=5",
		"transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1", "transaction.state.log.num.partitions=5",
		"group.initial.rebalance.delay.ms=0", "auto.leader.rebalance.enable=false"}, properties...), "\n")+"\n")
	t.Cleanup(func() {
		m.kill()
		if t.Failed() {
			out, _ := os.ReadFile(m.log)
			t.Logf("%v said last:\n%s", m, out[max(0, len(out)-3000):])
		}
	})
	return m
}

// log4j is the configuration of a Java broker's log.
const log4j = `log4j.rootLogger=INFO, O
log4j.appender.O=org.apache.log4j.ConsoleAppender
log4j.appender.O.layout=org.apache.log4j.PatternLayout
log4j.appender.O.layout.ConversionPattern=[%d] %p %m (%c)%n
`

// launch starts the process without waiting for it.
func (m *member) launch() {
	m.t.Helper()
	log, err := os.OpenFile(m.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		m.t.Fatal(err)
	}
	defer log.Close()
	if m.release == ours {
		m.cmd = exec.Command(binary(m.t), "kafka-server-start", m.file)
	} else {
		m.cmd = exec.Command("java", append(append([]string{"-Xmx400m", "-Dlog4j.configuration=file:" +
			filepath.Join(filepath.Dir(m.file), "log4j.properties")}, jvmFlags...), "-cp", jars(m.t, m.release), "kafka.Kafka", m.file)...)
	}
	m.cmd.Stdout, m.cmd.Stderr = log, log
	dieWithUs(m.cmd)
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
}

// awaitUp waits until the broker serves clients.
func (m *member) awaitUp() {
	m.t.Helper()
	await(m.t, javaStart, m.String()+" to start", func() bool { return introduced(m.t, m.addr) })
}

func (m *member) start() { m.t.Helper(); m.launch(); m.awaitUp() }

// kill ends the process as a crash does.
func (m *member) kill() { m.end(syscall.SIGKILL, 0) }

// terminate asks the process to stop and waits until it has.
func (m *member) terminate() { m.t.Helper(); m.end(syscall.SIGTERM, time.Minute) }

func (m *member) end(signal os.Signal, patience time.Duration) {
	m.t.Helper()
	if m.cmd == nil {
		return
	}
	m.cmd.Process.Signal(signal)
	if patience > 0 {
		over := time.AfterFunc(patience, func() {
			m.t.Errorf("%v did not stop within %v", m, patience)
			m.cmd.Process.Kill()
		})
		defer over.Stop()
	}
	m.cmd.Wait()
	m.cmd = nil
}

// freeze stops the process in its tracks until thaw.
func (m *member) freeze() { m.cmd.Process.Signal(syscall.SIGSTOP) }
func (m *member) thaw()   { m.cmd.Process.Signal(syscall.SIGCONT) }
