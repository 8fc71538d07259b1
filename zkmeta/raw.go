package zkmeta

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
)

// Stat is what ZooKeeper keeps about a znode. Zero times and owners mean none; times are in ms since 1970.
type Stat = zk.Stat

// ACL is one entry of a znode's access list.
type ACL = zk.ACL

// Mode says what kind of znode to create.
type Mode int32

const (
	Persistent           Mode = zk.FlagPersistent
	Ephemeral            Mode = zk.FlagEphemeral
	PersistentSequential Mode = zk.FlagSequence
	EphemeralSequential  Mode = zk.FlagEphemeralSequential
)

// AnyVersion makes a write or delete unconditional.
const AnyVersion = -1

// full is a path as ZooKeeper knows it.
func (s *Session) full(path string) string {
	if s.client.chroot == "" {
		return path
	}
	if path == "/" {
		return s.client.chroot
	}
	return s.client.chroot + path
}

// An answered is what a read of one znode gives.
type answered struct {
	data     []byte
	children []string
	acl      []ACL
	stat     *Stat
}

// A readRequest is one reading request about a path, chroot included.
type readRequest func(conn *zk.Conn, full string) (answered, error)

func getData(conn *zk.Conn, full string) (answered, error) {
	data, stat, err := conn.Get(full)
	return answered{data: data, stat: stat}, err
}

func exists(conn *zk.Conn, full string) (answered, error) {
	found, stat, err := conn.Exists(full)
	if err == nil && !found {
		err = zk.ErrNoNode
	}
	return answered{stat: stat}, err
}

func getChildren(conn *zk.Conn, full string) (answered, error) {
	children, stat, err := conn.Children(full)
	return answered{children: children, stat: stat}, err
}

func getACL(conn *zk.Conn, full string) (answered, error) {
	acl, stat, err := conn.GetACL(full)
	return answered{acl: acl, stat: stat}, err
}

func syncPath(conn *zk.Conn, full string) (answered, error) {
	_, err := conn.Sync(full)
	return answered{}, err
}

// on binds a request to its path.
func (r readRequest) on(full string) func(*zk.Conn) (answered, error) {
	return func(conn *zk.Conn) (answered, error) { return r(conn, full) }
}

// ask reads, with a deadline and as many attempts as fit into it.
func (s *Session) ask(ctx context.Context, op, path string, request readRequest) (answered, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	full := s.full(path)
	a, err := read(s, ctx, request.on(full))
	if err != nil {
		return answered{}, &CallError{op, full, err}
	}
	return a, nil
}

// Get reads a znode's data (nil when it has none) and Stat. The server that answers may lag behind others.
func (s *Session) Get(ctx context.Context, path string) ([]byte, *Stat, error) {
	a, err := s.ask(ctx, "getData", path, getData)
	return a.data, a.stat, err
}

// getSettled reads what the ensemble agrees on now: everything that was answered before the call, to anybody. The read
// follows its sync at once, for a server answers a session's requests in their order.
func (s *Session) getSettled(ctx context.Context, path string) ([]byte, *Stat, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	full := s.full(path)
	for {
		_, linkChanged := s.link.state()
		synced := start(s, ctx, readRequest(syncPath).on(full))
		got := start(s, ctx, readRequest(getData).on(full))
		err := synced.wait(ctx)
		if err == nil {
			err = got.wait(ctx)
		}
		select {
		case <-linkChanged: // it may be another server that answered than the one that caught up
			err = unknown(zk.ErrConnectionClosed)
		default:
		}
		if err == nil {
			return got.value.data, got.value.stat, nil
		}
		if !isUnknown(err) || !s.awaitLink(ctx) {
			return nil, nil, &CallError{"getData", full, err}
		}
	}
}

// Exists gives the Stat of a znode, or ErrNoNode.
func (s *Session) Exists(ctx context.Context, path string) (*Stat, error) {
	a, err := s.ask(ctx, "exists", path, exists)
	return a.stat, err
}

// Children gives the names of a znode's children in no order.
func (s *Session) Children(ctx context.Context, path string) ([]string, *Stat, error) {
	a, err := s.ask(ctx, "getChildren", path, getChildren)
	return a.children, a.stat, err
}

// childrenOf is Children of a parent that may be missing, which then has none.
func (s *Session) childrenOf(ctx context.Context, path string) ([]string, error) {
	names, _, err := s.Children(ctx, path)
	if errors.Is(err, ErrNoNode) {
		return nil, nil
	}
	return names, err
}

// Sync waits until the server of this session has seen everything that was agreed on before the call.
func (s *Session) Sync(ctx context.Context, path string) error {
	_, err := s.ask(ctx, "sync", path, syncPath)
	return err
}

// GetACL reads a znode's access list.
func (s *Session) GetACL(ctx context.Context, path string) ([]ACL, *Stat, error) {
	a, err := s.ask(ctx, "getACL", path, getACL)
	return a.acl, a.stat, err
}

// SetACL replaces a znode's access list, if its ACL version (Stat.Aversion) is the given one or version is AnyVersion.
func (s *Session) SetACL(ctx context.Context, path string, acl []ACL, version int32) (*Stat, error) {
	full := s.full(path)
	return write(s, ctx, "setACL", full, 0, func(conn *zk.Conn) (*Stat, error) { return conn.SetACL(full, acl, version) })
}

// write makes one attempt at a request that changes something. An answer to it has passed the ensemble's leader, and
// so proves the lease.
func write[T any](s *Session, ctx context.Context, op, full string, size int, request func(*zk.Conn) (T, error)) (T, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	p := startWrite(s, ctx, op, full, size, request)
	return p.wait(ctx)
}

// A pendingWrite is a write that has been sent.
type pendingWrite[T any] struct {
	call     *call[T]
	op, full string
	sent     time.Time
}

func startWrite[T any](s *Session, ctx context.Context, op, full string, size int, request func(*zk.Conn) (T, error)) pendingWrite[T] {
	p := pendingWrite[T]{op: op, full: full, sent: time.Now()}
	if size > maxRequest {
		p.call = &call[T]{session: s, ended: make(chan struct{}), err: fmt.Errorf("%w (%d bytes of %d)", ErrTooLarge, size, maxRequest)}
		close(p.call.ended)
		return p
	}
	p.call = start(s, ctx, request)
	return p
}

func (p pendingWrite[T]) wait(ctx context.Context) (T, error) {
	if err := p.call.wait(ctx); err != nil {
		var zero T
		return zero, &CallError{p.op, p.full, err}
	}
	p.call.session.lease.prove(p.sent)
	return p.call.value, nil
}

// Create makes a znode with the access list its path calls for, and gives its path, which for a sequential znode has a
// number at its end. One attempt: the outcome may be unknown.
func (s *Session) Create(ctx context.Context, path string, data []byte, mode Mode) (string, error) {
	return s.CreateACL(ctx, path, data, mode, s.aclFor(path))
}

// CreateACL is Create with an access list of the caller's choice.
func (s *Session) CreateACL(ctx context.Context, path string, data []byte, mode Mode, acl []ACL) (string, error) {
	created, err := s.createAt(ctx, s.full(path), data, mode, acl)
	return strings.TrimPrefix(created, s.client.chroot), err
}

func (s *Session) createAt(ctx context.Context, full string, data []byte, mode Mode, acl []ACL) (string, error) {
	return write(s, ctx, "create", full, len(full)+len(data), func(conn *zk.Conn) (string, error) {
		return conn.Create(full, data, int32(mode), acl)
	})
}

// Set replaces a znode's data if its version is the given one or version is AnyVersion. One attempt.
func (s *Session) Set(ctx context.Context, path string, data []byte, version int32) (*Stat, error) {
	full := s.full(path)
	return write(s, ctx, "setData", full, len(full)+len(data), func(conn *zk.Conn) (*Stat, error) {
		return conn.Set(full, data, version)
	})
}

// Delete removes a znode without children if its version is the given one or version is AnyVersion. One attempt.
func (s *Session) Delete(ctx context.Context, path string, version int32) error {
	full := s.full(path)
	_, err := write(s, ctx, "delete", full, len(full), func(conn *zk.Conn) (struct{}, error) {
		return struct{}{}, conn.Delete(full, version)
	})
	return err
}

// An op is one operation of a multi, on a path below the chroot.
type op struct {
	kind    string
	path    string
	data    []byte
	mode    Mode
	version int32
}

func createOp(path string, data []byte, mode Mode) op {
	return op{kind: "create", path: path, data: data, mode: mode}
}
func setOp(path string, data []byte, version int32) op {
	return op{kind: "setData", path: path, data: data, version: version}
}
func deleteOp(path string, version int32) op { return op{kind: "delete", path: path, version: version} }
func checkOp(path string, version int32) op  { return op{kind: "check", path: path, version: version} }

func (s *Session) request(o op) any {
	switch full := s.full(o.path); o.kind {
	case "create":
		return &zk.CreateRequest{Path: full, Data: o.data, Acl: s.aclFor(o.path), Flags: int32(o.mode)}
	case "setData":
		return &zk.SetDataRequest{Path: full, Data: o.data, Version: o.version}
	case "delete":
		return &zk.DeleteRequest{Path: full, Version: o.version}
	}
	return &zk.CheckVersionRequest{Path: s.full(o.path), Version: o.version}
}

// A multiError says which operation of a multi was refused; nothing of it was applied.
type multiError struct {
	index int
	err   error
}

func (e *multiError) Error() string { return e.err.Error() }
func (e *multiError) Unwrap() error { return e.err }

// startMulti sends operations that are applied together or not at all. The answer is the Stat of each setData.
func (s *Session) startMulti(ctx context.Context, ops ...op) pendingWrite[[]*Stat] {
	requests, size := make([]any, len(ops)), 0
	for i, o := range ops {
		requests[i] = s.request(o)
		size += len(o.path) + len(o.data) + 64
	}
	last := ops[len(ops)-1]
	return startWrite(s, ctx, "multi "+last.kind, s.full(last.path), size, func(conn *zk.Conn) ([]*Stat, error) {
		answers, err := conn.Multi(requests...)
		if err != nil {
			// Operations before the refused one show no error and those behind it a general one.
			for i, answer := range answers {
				if answer.Error != nil {
					if refused := outcomeOf(answer.Error); answer.Error == err && !isUnknown(refused) {
						return nil, &multiError{i, refused}
					}
					break
				}
			}
			return nil, err
		}
		stats := make([]*Stat, len(answers))
		for i, answer := range answers {
			stats[i] = answer.Stat
		}
		return stats, nil
	})
}

func (s *Session) multi(ctx context.Context, ops ...op) ([]*Stat, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	return s.startMulti(ctx, ops...).wait(ctx)
}
