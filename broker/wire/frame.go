package wire

import (
	"encoding/binary"
	"fmt"
	"io"
)

const (
	// firstStep is how much of a frame gets memory on its announcement alone, in bytes.
	firstStep = 64 << 10
	// growth is by how much the buffer of a large frame grows each time it has been filled.
	growth = 4
)

// frameReader cuts the bytes of one connection into frames. It belongs to the connection's goroutine.
//
// Memory follows the bytes that came and not those announced: a frame starts in at most 64 KiB, and each time
// these are filled it moves to four times as much. Before each step what has come is held against the layout of
// the request, so a hopeless frame is refused early. A connection that has delivered a frame of some size gets
// a buffer of that size at once from then on, up to 2 MiB, so it pays for the moves only once.
type frameReader struct {
	in      io.Reader // buffered
	maxSize int       // socket.request.max.bytes
	trusted int       // the largest frame delivered so far, at most maxPooled
}

// readSize reads the length in front of a frame and judges it.
func (r *frameReader) readSize(prefix *[4]byte) (int, error) {
	if _, err := io.ReadFull(r.in, prefix[:]); err != nil {
		return 0, err
	}
	size := int32(binary.BigEndian.Uint32(prefix[:]))
	switch {
	case size < minFrame:
		return 0, &frameError{fmt.Sprintf("frame of %d bytes", size)}
	case int(size) > r.maxSize:
		return 0, &frameError{fmt.Sprintf("frame of %d bytes is larger than %d", size, r.maxSize)}
	}
	return int(size), nil
}

// read reads the size bytes of a frame into a buffer that goes back with putBuffer.
func (r *frameReader) read(size int) (*[]byte, error) {
	buf := getBuffer(min(size, max(firstStep, r.trusted)))
	have := 0
	for {
		n, err := io.ReadFull(r.in, (*buf)[have:])
		if have += n; err != nil {
			putBuffer(buf)
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		if have == size {
			r.trusted = max(r.trusted, min(size, maxPooled))
			return buf, nil
		}
		if err := checkPrefix(*buf, size-have); err != nil {
			putBuffer(buf)
			return nil, &frameError{err.Error()}
		}
		larger := getBuffer(min(size, have*growth))
		copy(*larger, *buf)
		putBuffer(buf)
		buf = larger
	}
}

// frameError is the client's fault; it costs the connection.
type frameError struct{ reason string }

func (e *frameError) Error() string { return e.reason }
