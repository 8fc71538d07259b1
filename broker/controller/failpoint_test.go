package controller

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
	"github.com/zurau/zurau/zkmeta/zkserver"
)

// TestAControllerMayDieBetweenAnyTwoWrites kills the controller after each number of ZooKeeper writes of each
// operation that takes several. Whoever is elected next finishes what the first one began (invariant I16,
// scenario B3).
func TestAControllerMayDieBetweenAnyTwoWrites(t *testing.T) {
	ctx := context.Background()
	parts := map[int32][]int32{0: {1, 2}, 1: {2, 1}}
	create := func(s *zkmeta.Session) error {
		return s.CreateTopic(ctx, "t", nil, zkmeta.TopicAssignment{ID: topic.NewID(), Partitions: parts})
	}
	for _, op := range []struct {
		name   string
		before func(*zkmeta.Session) error // done by a healthy controller
		do     func(*zkmeta.Session) error
		after  func(*zkmeta.Session) error // nil when all is as it should be in the end
	}{
		{"create", nil, create, func(s *zkmeta.Session) error { return allLed(s, 2) }},
		{"create by an old tool", nil, func(s *zkmeta.Session) error {
			return s.CreateTopic(ctx, "t", nil, zkmeta.TopicAssignment{Partitions: parts})
		}, func(s *zkmeta.Session) error { return allLed(s, 2) }},
		{"add partitions", create, func(s *zkmeta.Session) error {
			a, err := s.ReadTopic(ctx, "t")
			if err != nil {
				return err
			}
			a.Partitions[2], a.Partitions[3] = []int32{1, 2}, []int32{2, 1}
			return s.AddPartitions(ctx, "t", a)
		}, func(s *zkmeta.Session) error { return allLed(s, 4) }},
		{"delete", create, func(s *zkmeta.Session) error { return s.MarkTopicDeleted(ctx, "t") }, func(s *zkmeta.Session) error {
			for _, path := range []string{zkmeta.TopicPath("t"), "/config/topics/t", zkmeta.DeleteTopicPath("t")} {
				if _, err := s.Exists(ctx, path); !errors.Is(err, zkmeta.ErrNoNode) {
					return fmt.Errorf("%s is still there: %v", path, err)
				}
			}
			return nil
		}},
	} {
		t.Run(op.name, func(t *testing.T) {
			needed := dieAfter(t, -1, op.before, op.do, op.after)
			if needed < 3 {
				t.Fatalf("the operation took %d writes", needed)
			}
			for writes := range needed {
				t.Run(fmt.Sprintf("after %d of %d writes", writes, needed), func(t *testing.T) {
					t.Parallel() // most of the time is spent waiting for the dead
					dieAfter(t, writes, op.before, op.do, op.after)
				})
			}
		})
	}
}

// allLed tells whether topic t has an id and every partition has a leader that is up, which is broker 2 alone
// after broker 1 died.
func allLed(s *zkmeta.Session, partitions int) error {
	a, err := s.ReadTopic(context.Background(), "t")
	if err != nil {
		return err
	}
	if a.ID.IsZero() || len(a.Partitions) != partitions {
		return fmt.Errorf("the topic is %+v", a)
	}
	var tps []topic.Partition
	for _, id := range slices.Sorted(maps.Keys(a.Partitions)) {
		tps = append(tps, topic.Partition{Topic: "t", ID: id})
	}
	found, err := s.ReadStates(context.Background(), tps)
	if err != nil {
		return err
	}
	for _, tp := range tps {
		if st, ok := found[tp]; !ok || !slices.Contains(st.ISR, st.Leader) {
			return fmt.Errorf("%s is %+v, %v", tp, st, ok)
		}
	}
	return nil
}

// dieAfter runs an operation under a controller that is cut off after some writes, starts its broker anew and
// waits for the end of the operation. With less than 0 nobody dies, and it returns how many writes the
// controller needed.
func dieAfter(t *testing.T, writes int, before, do, after func(*zkmeta.Session) error) int {
	server := startZooKeeper(t, zkserver.Options{Addr: "127.0.0.1:0", TickTime: 250 * time.Millisecond})
	t.Cleanup(func() { server.Close() })
	cut := newCutter(t, server.Addr().String())
	one := newPeer(t, cut.addr(), 1, 500*time.Millisecond) // how long the dead one takes to notice
	until(t, "1 is the controller", func() bool { return one.c.IsActive() })
	two := newPeer(t, server.Addr().String(), 2, 3*time.Second)
	s, dead := two.zk.Session(), one.zk.Session()
	until(t, "the controller knows both brokers", func() bool { return one.knows(2) && two.knows(2) })
	if before != nil {
		if err := before(s); err != nil {
			t.Fatal(err)
		}
		until(t, "the topic is there", func() bool { return allLed(s, 2) == nil })
	}
	cut.after(writes)
	if err := do(s); err != nil {
		t.Fatal(err)
	}
	until(t, "the operation is done or cut", func() bool { return cut.happened() || after(s) == nil })
	if !cut.happened() { // asked for, or the first run had to repeat a write
		return cut.passed()
	}
	// The process is gone. The next one of this broker closes its session, as register.go does.
	if err := zkmeta.CloseSession(context.Background(), server.Addr().String(), dead.ID(), dead.Password()); err != nil {
		t.Fatal(err)
	}
	newPeer(t, server.Addr().String(), 1, 3*time.Second)
	var last error
	timeout := time.Now().Add(deadline)
	until(t, "the operation ends", func() bool {
		if last = after(s); last != nil && time.Now().After(timeout.Add(-time.Second)) {
			t.Fatal(last)
		}
		return last == nil
	})
	return writes
}

// cutter is a proxy in front of a ZooKeeper server that stops passing anything after a number of writes.
type cutter struct {
	t        *testing.T
	listener net.Listener
	server   string
	running  sync.WaitGroup
	mu       struct {
		sync.Mutex
		limit int // of writes that may pass; < 0 is none
		count int // of writes that passed
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
			c.kill()
			return
		}
		if _, err := server.Write(frame); err != nil {
			return
		}
	}
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
