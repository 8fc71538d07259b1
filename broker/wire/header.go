package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	keyProduce            = 0
	keyFetch              = 1
	keyControlledShutdown = 7
	keyApiVersions        = 18
)

// minFrame is the least size a request header can have: key, version and correlation id.
const minFrame = 8

// maxHeader is more than any honest header needs: the longest client id and a few tags. A header that is
// longer is refused before the rest of its frame is read.
const maxHeader = 40 << 10

// header is what stands before the body of a request.
//
//	v0  key int16, version int16, correlation id int32   (ControlledShutdown v0 only)
//	v1  v0, client id nullable string
//	v2  v1, tags                                          (flexible versions, KIP-482)
//
// The client id keeps its int16 length in v2, so that a broker can read it before it knows the version.
type header struct {
	key           int16
	version       int16
	correlationID int32
	clientID      []byte // points into the frame; nil for null
}

// parseHeader reads the header at the beginning of frame and returns what follows it. errMore means that the
// header is longer than frame. Any negative length of a client id is null, as Kafka reads it. Tags are skipped:
// none is defined.
func parseHeader(frame []byte) (header, []byte, error) {
	if len(frame) < minFrame {
		return header{}, nil, errMore
	}
	h := header{
		key:           int16(binary.BigEndian.Uint16(frame)),
		version:       int16(binary.BigEndian.Uint16(frame[2:])),
		correlationID: int32(binary.BigEndian.Uint32(frame[4:])),
	}
	if h.key < 0 || int(h.key) >= len(bodies) || bodies[h.key].name == "" {
		return h, nil, fmt.Errorf("unknown api key %d", h.key)
	}
	rest := frame[minFrame:]
	if h.key == keyControlledShutdown && h.version == 0 {
		return h, rest, nil
	}
	if len(rest) < 2 {
		return h, nil, errMore
	}
	n := int(int16(binary.BigEndian.Uint16(rest)))
	rest = rest[2:]
	if n > len(rest) {
		return h, nil, errMore
	}
	if n >= 0 {
		h.clientID, rest = rest[:n:n], rest[n:]
	}
	if h.version >= bodies[h.key].flexible {
		var err error
		if rest, err = skipTags(rest); err != nil {
			return h, nil, err
		}
	}
	return h, rest, nil
}

// skipTags steps over a tag section.
func skipTags(b []byte) ([]byte, error) {
	count, n, err := uvarint(b)
	if err != nil {
		return nil, err
	}
	if b = b[n:]; count > maxTags {
		return nil, fmt.Errorf("%d tagged fields in the header", count)
	}
	for range count {
		_, n, err := uvarint(b) // the tag
		if err != nil {
			return nil, err
		}
		b = b[n:]
		size, n, err := uvarint(b)
		if err != nil {
			return nil, err
		}
		if b = b[n:]; int(size) > len(b) {
			return nil, errMore
		}
		b = b[size:]
	}
	return b, nil
}

// checkPrefix judges the beginning of a frame of which missing bytes have not come: an error means that whatever
// follows, the frame will be refused.
func checkPrefix(prefix []byte, missing int) error {
	h, body, err := parseHeader(prefix)
	switch {
	case err == errMore && len(prefix) > maxHeader:
		return errors.New("request header too long")
	case err == errMore:
		return nil
	case err != nil:
		return err
	}
	if err := guard(h.key, h.version, body, missing); err != nil && err != errMore {
		return err
	}
	return nil
}

// appendRequestHeader appends the header of req, which our own client sends.
func appendRequestHeader(b []byte, req kmsg.Request, correlationID int32, clientID string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(req.Key()))
	b = binary.BigEndian.AppendUint16(b, uint16(req.GetVersion()))
	b = binary.BigEndian.AppendUint32(b, uint32(correlationID))
	if req.Key() == keyControlledShutdown && req.GetVersion() == 0 {
		return b
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(clientID)))
	b = append(b, clientID...)
	if req.IsFlexible() {
		b = append(b, 0) // no tags
	}
	return b
}

// flexibleResponse tells whether the response to a request carries header v1, which has tags. Answers to
// ApiVersions never do: a client that asks for too new a version could not read them.
func flexibleResponse(key, version int16) bool {
	return key != keyApiVersions && version >= bodies[key].flexible
}
