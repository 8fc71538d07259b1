package controller

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
)

// cutter is a proxy in front of a ZooKeeper server that stops passing anything after a number of writes.
type cutter struct {
	t        *testing.T
	listener net.Listener
	server   string
	running  sync.WaitGroup
	mu       struct {
		sync.Mutex
		limit int  // of writes that may pass; < 0 is none
		carry bool // whether the next write is still carried out, and only its answer lost
		count int  // of writes that passed
		dead  bool
		conns []net.Conn
	}
}

func newCutter(t *testing.T, server string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{t: t, listener: l, server: server}
	c.mu.limit = -1
	c.running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.running.Go(func() { c.pass(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		c.kill()
		c.running.Wait()
	})
	return c
}

func (c *cutter) addr() string { return c.listener.Addr().String() }

func (c *cutter) after(writes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.limit, c.mu.count = writes, 0
}

// afterLosing is after, but the next write is carried out and its answer lost.
func (c *cutter) afterLosing(writes int) {
	c.after(writes)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.carry = true
}

func (c *cutter) passed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.count
}

func (c *cutter) happened() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.dead
}

func (c *cutter) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.dead = true
	for _, conn := range c.mu.conns {
		conn.Close()
	}
}

// keep notes a connection to be cut; false means it came too late.
func (c *cutter) keep(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.conns = append(c.mu.conns, conn)
	return !c.mu.dead
}

func (c *cutter) pass(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", c.server)
	if err != nil {
		return
	}
	defer server.Close()
	if !c.keep(client) || !c.keep(server) {
		return
	}
	c.running.Go(func() { io.Copy(client, server) })
	for first := true; ; first = false {
		frame := make([]byte, 4)
		if _, err := io.ReadFull(client, frame); err != nil {
			return
		}
		frame = append(frame, make([]byte, binary.BigEndian.Uint32(frame))...)
		if _, err := io.ReadFull(client, frame[4:]); err != nil {
			return
		}
		if !first && c.isLast(binary.BigEndian.Uint32(frame[8:])) {
			if c.carries() {
				client.Close()
				server.Write(frame)
				server.(*net.TCPConn).CloseWrite()
				io.Copy(io.Discard, server) // until it has been read and the connection is closed there too
			}
			c.kill()
			return
		}
		if _, err := server.Write(frame); err != nil {
			return
		}
	}
}

func (c *cutter) carries() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.carry
}

// isLast counts a request if it writes, and tells whether it must not pass any more.
func (c *cutter) isLast(op uint32) bool {
	switch op {
	case 1, 2, 5, 14, 15: // create, delete, setData, multi, create2
	default:
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.count == c.mu.limit {
		return true
	}
	c.mu.count++
	return false
}
