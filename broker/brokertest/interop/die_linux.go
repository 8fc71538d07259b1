//go:build interop

package interop

import (
	"os/exec"
	"syscall"
)

// dieWithUs makes a child end when the test binary does, even by a kill or a panic, when no cleanup runs.
func dieWithUs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
