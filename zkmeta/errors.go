package zkmeta

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-zookeeper/zk"

	"github.com/zurau/zurau/broker/kerr"
)

// Refusals: the server answered and nothing was changed.
var (
	ErrNoNode     = errors.New("no such znode")
	ErrNodeExists = errors.New("the znode exists")
	ErrBadVersion = errors.New("the znode has another version")
	ErrNotEmpty   = errors.New("the znode has children")
	ErrNoAuth     = errors.New("ZooKeeper permits it not to this session")
	ErrAuthFailed = errors.New("ZooKeeper refuses the credentials")
	ErrTooLarge   = errors.New("the request is larger than ZooKeeper takes")
	ErrBadRequest = errors.New("ZooKeeper calls the request malformed")

	// ErrNotSent means that the request never left: the session had ended, or no slot came free in time.
	ErrNotSent = errors.New("the request was not sent")

	// ErrControllerMoved means that /controller_epoch is not the one the writer was elected with.
	ErrControllerMoved = kerr.New(kerr.NotController, "the controller moved to another broker")
)

// ErrUnknown means that the request may have been applied, or may still be: whoever needs to know must read again.
var ErrUnknown = errors.New("outcome unknown")

// A CallError is what every failed call gives: which request on which path (chroot included), and why.
type CallError struct {
	Op   string // ZooKeeper's name of the request, "setData"
	Path string
	Err  error // one of the outcomes above, perhaps with a cause behind it
}

func (e *CallError) Error() string { return fmt.Sprintf("zookeeper %s %s: %v", e.Op, e.Path, e.Err) }
func (e *CallError) Unwrap() error { return e.Err }

// refusals maps the answers of a server that changed nothing. All other errors of the library leave the outcome open.
var refusals = map[error]error{
	zk.ErrNoNode:                  ErrNoNode,
	zk.ErrNodeExists:              ErrNodeExists,
	zk.ErrBadVersion:              ErrBadVersion,
	zk.ErrNotEmpty:                ErrNotEmpty,
	zk.ErrNoAuth:                  ErrNoAuth,
	zk.ErrAuthFailed:              ErrAuthFailed,
	zk.ErrInvalidACL:              ErrBadRequest,
	zk.ErrInvalidPath:             ErrBadRequest,
	zk.ErrInvalidFlags:            ErrBadRequest,
	zk.ErrBadArguments:            ErrBadRequest,
	zk.ErrNoChildrenForEphemerals: ErrBadRequest,
}

// outcomeOf turns an error of go-zookeeper into one of the three outcomes (nil is done).
func outcomeOf(err error) error {
	if err == nil {
		return nil
	}
	var inMulti *multiError
	if errors.As(err, &inMulti) {
		return err
	}
	if refused, ok := refusals[err]; ok {
		if refused == ErrBadRequest {
			return fmt.Errorf("%w (%v)", refused, err)
		}
		return refused
	}
	return unknown(err)
}

func unknown(cause error) error { return fmt.Errorf("%w: %w", ErrUnknown, cause) }

func isUnknown(err error) bool { return errors.Is(err, ErrUnknown) }

// cause is why a context ended, in words fit for a log line.
func cause(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return ctx.Err()
}
