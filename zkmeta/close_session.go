package zkmeta

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const passwordSize = 16

// CloseSession ends a session of which id and password are known, by two frames on a connection of its own: connect
// with id and password, then closeSession. All ephemeral znodes of the session are gone when it returns nil. A session
// that the servers no longer know (or whose password is another) also gives nil, for they answer both alike.
//
// servers is a connect string; each is tried until one answers or ctx ends.
func CloseSession(ctx context.Context, servers string, id int64, password []byte) error {
	addresses, _, err := ParseConnectString(servers)
	if err != nil {
		return err
	}
	return closeSession(ctx, newDialer(ctx, nil, 6*time.Second, len(addresses)), addresses, id, password)
}

// closeSession asks again when the connection ends without an answer: the servers know then whether they have done it,
// and a living owner of the session may have taken it back in between.
func closeSession(ctx context.Context, d *dialer, addresses []string, id int64, password []byte) error {
	const attempts = 5
	var failed []error
	for i := range attempts * len(addresses) {
		address := addresses[i%len(addresses)]
		err := closeSessionAt(ctx, d, address, id, password)
		if err == nil {
			return nil
		}
		failed = append(failed, fmt.Errorf("close session %s at %s: %w", sessionText(id), address, err))
		if !errors.Is(err, io.EOF) && i >= len(addresses) || ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}

func closeSessionAt(ctx context.Context, d *dialer, address string, id int64, password []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := d.connect(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	// Both frames at once, so that a living owner of the session has no time to take it back in between.
	frames := appendCloseRequest(appendConnectRequest(nil, id, password, 6*time.Second))
	if _, err := conn.Write(frames); err != nil {
		return err
	}
	answer, err := readFrame(conn, 1024)
	if err != nil {
		return err
	}
	granted, err := parseConnectResponse(answer)
	if err != nil {
		return err
	}
	if granted.sessionID != id {
		return nil // unknown there: expired, closed, or never of this ensemble
	}
	for {
		answer, err := readFrame(conn, maxFrame)
		if err != nil {
			return err
		}
		// Watch events of the old life may come first.
		if len(answer) >= 16 && binary.BigEndian.Uint32(answer) == closeXid {
			if code := int32(binary.BigEndian.Uint32(answer[12:])); code != 0 {
				return fmt.Errorf("the server answered with error %d", code)
			}
			return nil
		}
	}
}

const closeXid = 1

// appendCloseRequest appends the frame of closeSession: xid and operation.
func appendCloseRequest(b []byte) []byte {
	code := int32(opCloseSession)
	b = binary.BigEndian.AppendUint32(b, 8)
	b = binary.BigEndian.AppendUint32(b, closeXid)
	return binary.BigEndian.AppendUint32(b, uint32(code))
}

// appendConnectRequest appends the first frame of a connection: protocol 0, last zxid 0, timeout, id, password, and
// the flag that a read-only server will not do.
func appendConnectRequest(b []byte, id int64, password []byte, timeout time.Duration) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(4+8+4+8+4+len(password)+1))
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint64(b, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(timeout.Milliseconds()))
	b = binary.BigEndian.AppendUint64(b, uint64(id))
	b = binary.BigEndian.AppendUint32(b, uint32(len(password)))
	return append(append(b, password...), 0)
}

// parseConnectResponse reads protocol (int32), timeout in ms (int32), session id (int64, 0 = expired), password
// (length and bytes), and leaves the read-only flag, which old servers do not send.
func parseConnectResponse(b []byte) (handshake, error) {
	if len(b) < 20 {
		return handshake{}, fmt.Errorf("a handshake of %d bytes is too short", len(b))
	}
	h := handshake{
		timeout:   time.Duration(int32(binary.BigEndian.Uint32(b[4:]))) * time.Millisecond,
		sessionID: int64(binary.BigEndian.Uint64(b[8:])),
	}
	n := int32(binary.BigEndian.Uint32(b[16:]))
	if n < 0 || int(n) > len(b)-20 {
		return handshake{}, fmt.Errorf("a handshake with a password of %d bytes in a frame of %d", n, len(b))
	}
	h.password = append([]byte(nil), b[20:20+n]...)
	if h.sessionID != 0 && h.timeout <= 0 {
		return handshake{}, fmt.Errorf("a handshake that grants a session of %v", h.timeout)
	}
	return h, nil
}

func readFrame(conn net.Conn, most uint32) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > most {
		return nil, fmt.Errorf("a frame of %d bytes", n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(conn, b)
	return b, err
}
