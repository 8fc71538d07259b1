package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/loglevel"
)

// clusterSize is how many brokers zurau cluster runs.
const clusterSize = 3

// cluster is a ZooKeeper and three brokers, for development, in one terminal. The brokers are processes of their own,
// so that each can be killed, stopped and looked at by its pid; ports and log directories are those of
// server.properties, counted up.
func cluster(ctx context.Context, args []string, io stdio) int {
	conf := confDir()
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		conf, args = args[0], args[1:]
	}
	logger, closeLogs := newServerLogger(io.Out, zapcore.WarnLevel, logDir(), loglevel.New(zapcore.InfoLevel))
	defer closeLogs()
	zk, err := startZooKeeper(filepath.Join(conf, "zookeeper.properties"), logger.Named(zookeeperLogger))
	if err != nil {
		fmt.Fprintln(io.Err, "zurau cluster:", err)
		return 1
	}
	defer func() {
		if err := zk.Close(); err != nil {
			logger.Named(zookeeperLogger).Error("not closed cleanly", zap.Error(err))
		}
	}()
	members, err := startMembers(ctx, conf, args, io.Err)
	if err != nil {
		fmt.Fprintln(io.Err, "zurau cluster:", err)
		return 1
	}
	fmt.Fprint(io.Out, clusterBanner(members))
	ended := make(chan struct{})
	var watching sync.WaitGroup
	for _, m := range members {
		watching.Go(func() {
			err := m.wait()
			if ctx.Err() == nil {
				fmt.Fprintf(io.Out, "   broker %d has ended: %v. Back again with\n   %s\n", m.id, endOf(err), m.again())
			}
		})
	}
	go func() {
		watching.Wait()
		close(ended)
	}()
	select {
	case <-ctx.Done():
	case <-ended:
	}
	stopMembers(members)
	<-ended
	return 0
}

// endOf says how a process ended.
func endOf(err error) string {
	if err == nil {
		return "status 0"
	}
	return err.Error()
}

// member is one broker of the cluster.
type member struct {
	id   int
	addr string
	dirs string
	logs string // its LOG_DIR

	zookeeper string // zookeeper.connect

	cmd   *exec.Cmd
	ready chan struct{} // closed when it has said that it started
	done  chan struct{} // closed when the process has ended; err is set then
	err   error
}

// startMembers starts all brokers at once and returns when all serve. When one does not, none is left running.
func startMembers(ctx context.Context, conf string, overrides []string, said io.Writer) ([]*member, error) {
	var members []*member
	for id := range clusterSize {
		m, err := newMember(id, conf, overrides, said)
		if err == nil {
			err = m.start()
		}
		if err != nil {
			stopMembers(members)
			return nil, err
		}
		members = append(members, m)
	}
	for _, m := range members {
		select {
		case <-m.ready:
		case <-m.done:
			stopMembers(members)
			return nil, fmt.Errorf("broker %d did not start: %v; its logs are in %s", m.id, endOf(m.err), m.logs)
		case <-ctx.Done():
			stopMembers(members)
			return nil, context.Cause(ctx)
		}
	}
	return members, nil
}

// newMember derives a broker from server.properties.
func newMember(id int, conf string, overrides []string, said io.Writer) (*member, error) {
	file := filepath.Join(conf, "server.properties")
	values, err := config.ReadFile(file)
	if err != nil {
		return nil, err
	}
	cfg, _, err := config.New(values)
	if err != nil {
		return nil, err
	}
	if len(cfg.Listeners) != 1 {
		return nil, fmt.Errorf("%s has %d listeners, and a cluster of it can have one", file, len(cfg.Listeners))
	}
	l := cfg.Listeners[0]
	l.Port += int32(id)
	m := &member{id: id, zookeeper: cfg.ZooKeeperConnect, logs: filepath.Join(logDir(), fmt.Sprintf("broker-%d", id)),
		ready: make(chan struct{}), done: make(chan struct{})}
	var dirs []string
	for _, dir := range cfg.LogDirs {
		dirs = append(dirs, fmt.Sprintf("%s-%d", dir, id))
	}
	m.dirs = strings.Join(dirs, ",")
	words := []string{"kafka-server-start", file}
	for _, pair := range []string{
		fmt.Sprintf("broker.id=%d", id), "listeners=" + l.String(), "log.dirs=" + m.dirs,
		"default.replication.factor=3", "offsets.topic.replication.factor=3", "transaction.state.log.replication.factor=3",
		"transaction.state.log.min.isr=2", "controlled.shutdown.retry.backoff.ms=200", // the last has nobody to hand over to
	} {
		words = append(words, "--override", pair)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	l.Host = orDefault(l.Host, "localhost")
	m.addr = l.Address()
	m.cmd = exec.Command(self, append(words, overrides...)...)
	m.cmd.Env = append(os.Environ(), "LOG_DIR="+m.logs)
	m.cmd.Stderr = said
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // ^C is for us: we stop one after the other
	return m, nil
}

func (m *member) start() error {
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := m.cmd.Start(); err != nil {
		return err
	}
	go func() {
		defer close(m.done)
		m.read(out)
		m.err = m.cmd.Wait()
	}()
	return nil
}

// read takes the broker's console, which its log files have as well, and waits in it for the start.
func (m *member) read(out io.Reader) {
	started := fmt.Sprintf("[KafkaServer id=%d] started", m.id)
	lines := bufio.NewScanner(out)
	for up := false; lines.Scan(); {
		if !up && strings.Contains(lines.Text(), started) {
			up = true
			close(m.ready)
		}
	}
	_, _ = io.Copy(io.Discard, out) // after a line too long for the scanner
}

func (m *member) wait() error {
	<-m.done
	return m.err
}

// again is the command that starts the broker once more.
func (m *member) again() string {
	return fmt.Sprintf("LOG_DIR=%s %s", m.logs, strings.Join(m.cmd.Args, " "))
}

// memberStopTimeout bounds the clean stop of one broker.
const memberStopTimeout = 30 * time.Second

// stopMembers stops the brokers one after the other, as a rolling stop does: each hands its leaders to the next.
func stopMembers(members []*member) {
	for _, m := range members {
		if err := m.cmd.Process.Signal(syscall.SIGTERM); errors.Is(err, os.ErrProcessDone) {
			continue
		}
		select {
		case <-m.done:
		case <-time.After(memberStopTimeout):
			_ = m.cmd.Process.Kill()
			<-m.done
		}
	}
}

func clusterBanner(members []*member) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n   zurau %s, speaks as Apache Kafka %s\n\n", version, kafkaVersion)
	var bootstrap []string
	for _, m := range members {
		fmt.Fprintf(&b, "   broker %d   %s   pid %d   records in %s, logs in %s\n", m.id, m.addr, m.cmd.Process.Pid, m.dirs, m.logs)
		bootstrap = append(bootstrap, m.addr)
	}
	fmt.Fprintf(&b, `   zookeeper  %s

   bin/kafka-topics.sh --bootstrap-server %[2]s --create --topic first --partitions 3 --replication-factor 3
   bin/kafka-topics.sh --bootstrap-server %[2]s --describe
   kill -9 %[3]d     and see who leads now
   ^C stops all.

`, members[0].zookeeper, strings.Join(bootstrap, ","), members[0].cmd.Process.Pid)
	return b.String()
}
