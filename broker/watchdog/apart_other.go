//go:build !unix

package watchdog

import "syscall"

func apart() *syscall.SysProcAttr { return nil }
