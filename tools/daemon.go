package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// startDaemon runs a tool as a process of its own session, with its output in LOG_DIR/<name>.out, and returns
// at once, as the -daemon of Kafka's scripts. The arguments stay visible in the process list, where people
// look for them.
func startDaemon(tool, name string, args []string, io stdio) int {
	if err := detach(tool, filepath.Join(logDir(), name+".out"), args); err != nil {
		fmt.Fprintf(io.Err, "%s: %v\n", tool, err)
		return 1
	}
	return 0
}

func detach(tool, output string, args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(output), 0o755); err != nil {
		return err
	}
	out, err := os.Create(output)
	if err != nil {
		return err
	}
	defer out.Close()
	c := exec.Command(self)
	c.Args = append([]string{tool}, args...)
	c.Stdout, c.Stderr = out, out
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return err
	}
	return c.Process.Release()
}
