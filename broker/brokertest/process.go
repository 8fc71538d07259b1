package brokertest

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
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/zurau/zurau/broker"
	"github.com/zurau/zurau/broker/config"
)

// Process is a broker in a process of its own, which can be killed as a machine's crash would: no deferred call runs.
// The process is the test binary itself; its TestMain must call RunChild first.
type Process struct {
	t    testing.TB
	file string         // server.properties
	cmd  *exec.Cmd      // nil while no process runs
	stop io.WriteCloser // the process's standard input: it ends the broker cleanly by its end
	log  string         // what the broker has logged, over all its lives
}

// childVariable carries the path of server.properties to the child.
const childVariable = "ZURAU_BROKERTEST_CHILD"

// RunChild turns this process into a broker if a test asked for one, and returns at once if not. Call it first thing
// in TestMain of a package that uses StartProcess.
func RunChild() {
	path := os.Getenv(childVariable)
	if path == "" {
		return
	}
	if err := child(path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// child runs until its standard input ends, then stops cleanly. A broker that fails ends the process with status 1.
func child(path string) error {
	cfg, _, err := config.Load(path, nil)
	if err != nil {
		return err
	}
	encoder := zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig())
	logger := zap.New(zapcore.NewCore(encoder, zapcore.Lock(os.Stderr), zap.InfoLevel))
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	b := broker.New(cfg, logger)
	if err := b.Start(ctx); err != nil {
		return err
	}
	fmt.Println("started")
	ended := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	select {
	case <-ended:
	case err = <-b.Failed():
	}
	b.Stop(context.Background())
	return err
}

// StartProcess runs a broker with these properties; listeners, log.dirs and zookeeper.connect must be among them.
func StartProcess(t testing.TB, properties map[string]string) *Process {
	t.Helper()
	p := NewProcess(t, properties)
	p.Start()
	return p
}

// NewProcess prepares a broker that Start or TryStart runs.
func NewProcess(t testing.TB, properties map[string]string) *Process {
	t.Helper()
	dir := t.TempDir()
	p := &Process{t: t, file: filepath.Join(dir, "server.properties"), log: filepath.Join(dir, "server.log")}
	var text strings.Builder
	for key, value := range properties {
		fmt.Fprintf(&text, "%s=%s\n", key, value)
	}
	if err := os.WriteFile(p.file, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd != nil {
			p.Kill()
		}
		if t.Failed() {
			out, _ := os.ReadFile(p.log)
			t.Logf("the broker's last words:\n%s", out[max(0, len(out)-4000):])
		}
	})
	return p
}

// Start runs the broker (again) and returns when it is registered.
func (p *Process) Start() {
	p.t.Helper()
	if err := p.TryStart(); err != nil {
		said := p.Log()
		p.t.Fatalf("the broker did not start: %v\n%s", err, said[max(0, len(said)-4000):])
	}
}

// TryStart is Start for a broker that may refuse to run. When it does, the process has ended and the error is its
// *exec.ExitError; what it said is in Log.
func (p *Process) TryStart() error {
	p.t.Helper()
	self, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command(self)
	p.cmd.Env = append(os.Environ(), childVariable+"="+p.file)
	p.cmd.Stderr = log
	if p.stop, err = p.cmd.StdinPipe(); err != nil {
		p.t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	began := make(chan error, 1)
	go func() {
		_, err := bufio.NewReader(out).ReadString('\n')
		began <- err
	}()
	select {
	case err = <-began:
	case <-time.After(startTimeout):
		err = context.DeadlineExceeded
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF):
		err = p.Wait(startTimeout)
	default:
		p.Kill()
	}
	return err
}

// Stop ends the broker cleanly and waits until it is gone.
func (p *Process) Stop() error {
	p.t.Helper()
	p.stop.Close()
	return p.Wait(startTimeout)
}

// Wait waits until the process has ended by itself; a status other than 0 is an *exec.ExitError.
func (p *Process) Wait(limit time.Duration) error {
	p.t.Helper()
	pid := p.cmd.Process
	timer := time.AfterFunc(limit, func() { pid.Kill() })
	err := p.cmd.Wait()
	p.cmd = nil
	if !timer.Stop() {
		p.t.Fatalf("the broker was still running after %v", limit)
	}
	return err
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends the process with SIGKILL and waits until it is gone.
func (p *Process) Kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
	p.cmd = nil
}

// Log is what the broker has logged so far.
func (p *Process) Log() string {
	out, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(out)
}
