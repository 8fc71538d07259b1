//go:build interop && !linux

package interop

import (
	"os/exec"
	"syscall"
)

// dieWithUs is a wish that only Linux grants.
func dieWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{} }
