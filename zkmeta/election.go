package zkmeta

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// An Epoch is what a controller was elected with. ZkVersion is the version of /controller_epoch, which every write of
// the controller checks, so that a deposed one can write nothing.
type Epoch struct {
	Epoch     int32
	ZkVersion int32
}

// A Controller is what /controller says.
type Controller struct {
	BrokerID   int32
	Timestamp  int64 // ms since 1970
	KRaftEpoch int32 // -1, or the epoch of a KRaft controller that is taking the cluster over

	Owner     int64 // the session; 0 = the znode is persistent
	ZkVersion int32
}

// KRaft tells whether the cluster is migrating to KRaft: a broker must then never become controller.
func (c Controller) KRaft() bool { return c.KRaftEpoch >= 0 || c.Owner == 0 }

// A LostError says that another broker is controller.
type LostError struct {
	ActiveID int32 // -1 = it vanished again
	KRaft    bool  // a KRaft controller holds the cluster
}

func (e *LostError) Error() string {
	if e.KRaft {
		return fmt.Sprintf("a KRaft controller (%d) holds /controller: the cluster is migrating to KRaft", e.ActiveID)
	}
	return fmt.Sprintf("broker %d was elected as controller", e.ActiveID)
}
func (e *LostError) Unwrap() error { return ErrControllerMoved }

func encodeController(version int, id int32, timestamp int64) []byte {
	o := appendIntField([]byte("{"), "version", int64(version))
	o = appendIntField(o, "brokerid", int64(id))
	o = appendStringField(o, "timestamp", strconv.FormatInt(timestamp, 10))
	if version >= 2 {
		o = appendIntField(o, "kraftControllerEpoch", -1)
	}
	return append(o, '}')
}

func decodeController(data []byte, stat *Stat) (Controller, error) {
	o, err := parseObject(data)
	if err != nil {
		return Controller{}, err
	}
	c := Controller{Owner: stat.EphemeralOwner, ZkVersion: stat.Version}
	if c.BrokerID, err = get[int32](o, "brokerid"); err != nil {
		return Controller{}, err
	}
	if c.KRaftEpoch, err = getOr(o, "kraftControllerEpoch", int32(-1)); err != nil {
		return Controller{}, err
	}
	if o.has("timestamp") {
		c.Timestamp, _ = getText(o, "timestamp")
	}
	return c, nil
}

// ReadController reads who is controller; ErrNoNode when nobody is.
func (s *Session) ReadController(ctx context.Context) (Controller, error) {
	data, stat, err := s.Get(ctx, ControllerPath)
	if err != nil {
		return Controller{}, err
	}
	c, err := decodeController(data, stat)
	if err != nil {
		return Controller{}, fmt.Errorf("%s: %w", s.full(ControllerPath), err)
	}
	return c, nil
}

// ReadControllerEpoch reads the epoch of the last election; ErrNoNode before the first.
func (s *Session) ReadControllerEpoch(ctx context.Context) (Epoch, error) {
	data, stat, err := s.Get(ctx, ControllerEpochPath)
	if err != nil {
		return Epoch{}, err
	}
	return s.decodeEpoch(data, stat)
}

func (s *Session) decodeEpoch(data []byte, stat *Stat) (Epoch, error) {
	n, err := parseInt32(data)
	if err != nil {
		return Epoch{}, fmt.Errorf("%s: %w", s.full(ControllerEpochPath), err)
	}
	return Epoch{n, stat.Version}, nil
}

// Elect stands for controller. The election and the new epoch are one transaction: /controller is made with its final
// data and /controller_epoch raised by one. A *LostError names the winner. An epoch returned with nil is ours, also
// when the answer to the transaction was lost on the way.
func (s *Session) Elect(ctx context.Context, id int32, timestamp int64) (Epoch, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	if err := s.lost(ctx); err != nil {
		return Epoch{}, err
	}
	last, err := s.ReadControllerEpoch(ctx)
	if errors.Is(err, ErrNoNode) {
		err = s.createNew(ctx, ControllerEpochPath, []byte("0"))
		if errors.Is(err, ErrNodeExists) || err == nil {
			last, err = s.ReadControllerEpoch(ctx)
		}
	}
	if err != nil {
		return Epoch{}, err
	}
	data := encodeController(s.client.currentLevel().ControllerZnodeVersion(), id, timestamp)
	next := Epoch{last.Epoch + 1, last.ZkVersion + 1}
	err = s.settle(ctx, func() error {
		stats, err := s.multi(ctx, createOp(ControllerPath, data, Ephemeral),
			setOp(ControllerEpochPath, strconv.AppendInt(nil, int64(next.Epoch), 10), last.ZkVersion))
		if err == nil {
			next.ZkVersion = stats[1].Version
		}
		return err
	}, func() (bool, error) { return s.wasElected(ctx, &next) })
	if errors.Is(err, ErrNodeExists) || errors.Is(err, ErrBadVersion) {
		// Kafka's rule 6: perhaps it was an earlier attempt of ours that won.
		if mine, readErr := s.wasElected(ctx, &next); readErr != nil {
			return Epoch{}, readErr
		} else if !mine {
			if err := s.lost(ctx); err != nil {
				return Epoch{}, err
			}
			return Epoch{}, &LostError{ActiveID: -1}
		}
		return next, nil
	}
	if err != nil {
		return Epoch{}, err
	}
	return next, nil
}

// lost gives a *LostError if there is a controller.
func (s *Session) lost(ctx context.Context) error {
	active, err := s.ReadController(ctx)
	if errors.Is(err, ErrNoNode) {
		return nil
	}
	if err != nil {
		return err
	}
	return &LostError{active.BrokerID, active.KRaft()}
}

// wasElected tells whether /controller belongs to this session and the epoch is the one it wanted.
func (s *Session) wasElected(ctx context.Context, want *Epoch) (bool, error) {
	_, stat, err := s.getSettled(ctx, ControllerPath)
	if errors.Is(err, ErrNoNode) {
		return false, nil
	}
	if err != nil || stat.EphemeralOwner != s.id {
		return false, err
	}
	data, stat, err := s.getSettled(ctx, ControllerEpochPath)
	if err != nil {
		return false, err
	}
	found, err := s.decodeEpoch(data, stat)
	if err != nil || found.Epoch != want.Epoch {
		return false, err
	}
	*want = found
	return true, nil
}

// Resign gives the controller's place up: /controller goes, if the epoch is still ours.
func (s *Session) Resign(ctx context.Context, epoch Epoch) error {
	return s.removeChecked(ctx, epoch, ControllerPath)
}
