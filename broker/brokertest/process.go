package brokertest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/watchdog"
)

// childVariable carries the path of server.properties to the child, guardedVariable whether the child shall have a
// watchdog, and watchdogVariable the zookeeper.connect for a process that is one.
const (
	childVariable    = "ZURAU_BROKERTEST_CHILD"
	guardedVariable  = "ZURAU_BROKERTEST_GUARDED"
	watchdogVariable = "ZURAU_BROKERTEST_WATCHDOG"
)

// mainCalled tells that this binary can be run as a broker; without it the child would run the tests again.
var mainCalled atomic.Bool

// Main is the TestMain of a package that uses Processes:
//
//	func TestMain(m *testing.M) { brokertest.Main(m) }
//
// It runs the tests, or the broker a test has asked for, and ends the process.
func Main(m interface{ Run() int }) {
	path, servers := os.Getenv(childVariable), os.Getenv(watchdogVariable)
	var err error
	switch {
	case servers != "":
		err = watchdog.Run(os.Stdin, servers)
	case path != "":
		err = child(path)
	default:
		mainCalled.Store(true)
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// child runs until SIGTERM, or the end of its standard input, and then stops cleanly. A broker that fails ends the process with status 1.
func child(path string) error {
	cfg, _, err := config.Load(path, nil)
	if err != nil {
		return err
	}
	encoder := zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig())
	logger := zap.New(zapcore.NewCore(encoder, zapcore.Lock(os.Stderr), zap.InfoLevel))
	var guard *watchdog.Watchdog // nil takes what it is told
	if os.Getenv(guardedVariable) != "" {
		if guard, err = startWatchdog(cfg.ZooKeeperConnect); err != nil {
			return err
		}
	}
	b, err := run(cfg, logger, guard.Tell)
	if err != nil {
		return errors.Join(err, guard.Close())
	}
	fmt.Println(b.Addr(cfg.Listeners[0].Name))
	ended := make(chan os.Signal, 2)
	signal.Notify(ended, syscall.SIGTERM)
	go func() {
		io.Copy(io.Discard, os.Stdin) // the test's process has ended
		ended <- syscall.SIGTERM
	}()
	select {
	case <-ended:
	case err = <-b.Failed():
	}
	b.Stop(context.Background())
	return errors.Join(err, guard.Close())
}

// startWatchdog runs this binary once more, as the watchdog of this process.
func startWatchdog(servers string) (*watchdog.Watchdog, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if err := os.Setenv(watchdogVariable, servers); err != nil { // for the process to be started
		return nil, err
	}
	defer os.Unsetenv(watchdogVariable)
	return watchdog.Start(self)
}

// process is the place of a broker in a process of its own, over all its lives.
type process struct {
	t       testing.TB
	file    string    // server.properties
	guarded bool      // by a watchdog
	log     string    // what the broker has logged
	cmd     *exec.Cmd // of the last life
}

func newProcess(t testing.TB, guarded bool) *process {
	t.Helper()
	dir := tempDir(t)
	p := &process{t: t, guarded: guarded, file: filepath.Join(dir, "server.properties"), log: filepath.Join(dir, "server.log")}
	t.Cleanup(func() {
		if t.Failed() {
			said := p.said()
			t.Logf("the last words of %s:\n%s", p.file, said[max(0, len(said)-4000):])
		}
	})
	return p
}

// processLife is one run of the process.
type processLife struct {
	cmd     *exec.Cmd
	stdin   io.WriteCloser // open as long as this process lives
	address string
}

// start runs the broker and returns when it serves clients, or has ended.
func (p *process) start(properties map[string]string) (life, error) {
	var text strings.Builder
	for key, value := range properties {
		fmt.Fprintf(&text, "%s=%s\n", key, value)
	}
	if err := os.WriteFile(p.file, []byte(text.String()), 0o644); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = exec.Command(self)
	p.cmd.Env = append(os.Environ(), childVariable+"="+p.file)
	if p.guarded {
		p.cmd.Env = append(p.cmd.Env, guardedVariable+"=1")
	}
	p.cmd.Stderr = log
	l := &processLife{cmd: p.cmd}
	if l.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	return l, l.awaitAddress(out)
}

// awaitAddress reads the line that says where the broker listens. When it does not come the process has ended.
func (l *processLife) awaitAddress(out io.Reader) error {
	limit := time.AfterFunc(startTimeout+5*time.Second, func() { l.cmd.Process.Kill() })
	defer limit.Stop()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil {
		l.address = strings.TrimSpace(line)
		return nil
	}
	return errors.Join(l.wait(startTimeout), fmt.Errorf("the broker did not start: %w", err))
}

func (l *processLife) addr() string { return l.address }

func (l *processLife) stop() error {
	if err := l.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return l.wait(2 * startTimeout)
}

// wait waits until the process has ended; a status other than 0 is an *exec.ExitError.
func (l *processLife) wait(limit time.Duration) error {
	late := time.AfterFunc(limit, func() { l.cmd.Process.Kill() })
	err := l.cmd.Wait()
	if !late.Stop() {
		return fmt.Errorf("the process still ran after %v", limit)
	}
	return err
}

func (l *processLife) end() {
	l.cmd.Process.Kill()
	l.cmd.Wait()
}

// said is what the broker has logged so far.
func (p *process) said() string {
	text, err := os.ReadFile(p.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.t.Error(err)
	}
	return string(text)
}
