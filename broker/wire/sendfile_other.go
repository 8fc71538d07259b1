//go:build !linux

package wire

import (
	"errors"
	"net"
	"os"
)

func canSendfile(net.Conn) bool { return false }

func sendfile(net.Conn, *os.File, int64, int, func()) (int, error) { return 0, errors.ErrUnsupported }
