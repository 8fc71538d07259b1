package wire

import (
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// sendfileChunk is how much one call of sendfile is asked for, so that the write deadline is looked at in between.
const sendfileChunk = 4 << 20

// canSendfile tells whether the kernel can write files to the connection itself.
func canSendfile(nc net.Conn) bool {
	_, ok := nc.(*net.TCPConn)
	return ok
}

// sendfile writes n bytes of f from offset to the socket without copying them. It gives the kernel the offset
// rather than use the one of f, which other readers share, and never asks for more than is there: a count
// beyond the end of the file would hold the tail back (golang/go #61530). arm is called before each chunk.
func sendfile(nc net.Conn, f *os.File, offset int64, n int, arm func()) (sent int, err error) {
	raw, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	in := int(f.Fd())
	for sent < n {
		arm()
		var got int
		var failed error
		err := raw.Write(func(out uintptr) bool {
			for {
				got, failed = unix.Sendfile(int(out), in, &offset, min(n-sent, sendfileChunk))
				if failed != unix.EINTR {
					return failed != unix.EAGAIN
				}
			}
		})
		switch {
		case err != nil:
			return sent, err
		case failed != nil:
			return sent, fmt.Errorf("sendfile: %w", failed)
		case got == 0:
			return sent, fmt.Errorf("sendfile: the file ends at %d: %w", offset, io.ErrUnexpectedEOF)
		}
		sent += got
	}
	return sent, nil
}
