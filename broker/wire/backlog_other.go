//go:build !linux

package wire

import "net"

func setBacklog(*net.TCPListener, int) error { return nil }
