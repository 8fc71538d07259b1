package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// serverStop is kafka-server-stop: it signals every broker of this machine and does not wait for them.
func serverStop(_ context.Context, args []string, io stdio) int {
	return stopServers([]string{"kafka-server-start", "run"}, "No kafka server to stop", args, io)
}

// zookeeperServerStop is zookeeper-server-stop.
func zookeeperServerStop(_ context.Context, args []string, io stdio) int {
	return stopServers([]string{"zookeeper-server-start"}, "No zookeeper server to stop", args, io)
}

// stopServers sends the signal named by SIGNAL, TERM if there is none, to all processes that run one of the
// tools.
func stopServers(tools []string, none string, args []string, io stdio) int {
	if len(args) > 0 { // 3.9 chooses by KRaft role and node; stopping all in place of some would be worse than nothing
		fmt.Fprintln(io.Err, "No arguments are known here: "+strings.Join(args, " "))
		return 1
	}
	signal := unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(orDefault(os.Getenv("SIGNAL"), "TERM")), "SIG"))
	if signal == 0 {
		fmt.Fprintf(io.Err, "unknown signal %s\n", os.Getenv("SIGNAL"))
		return 1
	}
	all, err := processes()
	if err != nil {
		fmt.Fprintln(io.Err, err)
		return 1
	}
	targets := slices.DeleteFunc(all, func(p process) bool {
		return p.pid == os.Getpid() || !slices.Contains(tools, p.tool())
	})
	if len(targets) == 0 {
		fmt.Fprintln(io.Out, none)
		return 1
	}
	return signalAll(targets, func(pid int) error { return unix.Kill(pid, signal) }, io)
}

// signalAll sends a signal to each of the processes; the status is 0 when one of them got it. One that has ended
// meanwhile needs none.
func signalAll(targets []process, send func(pid int) error, io stdio) int {
	status := 1
	for _, p := range targets {
		if err := send(p.pid); err != nil && err != unix.ESRCH {
			fmt.Fprintf(io.Err, "kill %d: %v\n", p.pid, err)
			continue
		}
		status = 0
	}
	return status
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// process is one running program: its number and its words.
type process struct {
	pid  int
	args []string
}

// tool is the name of our tool that a process runs, "" for a process that is none of ours. Kafka's own
// scripts run java, so that a real broker on the same machine is not taken for ours.
func (p process) tool() string {
	if len(p.args) == 0 {
		return ""
	}
	words := p.args
	c, ok := findCommand(filepath.Base(words[0]))
	if !ok && filepath.Base(words[0]) == "zurau" && len(words) > 1 {
		words = words[1:]
		c, ok = findCommand(words[0])
	}
	if ok && c.Name == "kafka-run-class" {
		for _, word := range words[1:] {
			if named, found := findClass(word); found {
				c = named
				break
			}
		}
	}
	if !ok {
		return ""
	}
	return c.Name
}
