//go:build unix

package watchdog

import "syscall"

// apart puts the watchdog into a process group of its own: a ^C in the broker's terminal is not for it.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
