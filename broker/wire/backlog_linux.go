package wire

import (
	"net"

	"golang.org/x/sys/unix"
)

// setBacklog changes how many connections may wait to be accepted. Go asks for the system's maximum when it
// binds; a second listen on the same socket only changes the number.
func setBacklog(l *net.TCPListener, n int) error {
	raw, err := l.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.Listen(int(fd), n) }); err != nil {
		return err
	}
	return failed
}
