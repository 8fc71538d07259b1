package record

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/snappy"
)

// The framing of snappy-java (xerial): a header, then chunks of length int32 and a raw snappy block.
const (
	xerialHeaderBytes = 16
	xerialMagic       = "\x82SNAPPY\x00"
	xerialHeader      = xerialMagic + "\x00\x00\x00\x01\x00\x00\x00\x01" // version, oldest compatible version
	xerialChunkBytes  = 32 << 10                                         // input of one chunk, as Java writes it
	xerialRepeat      = 0x82534e41                                       // a chunk length that begins another header
)

var errSnappy = errors.New("corrupt snappy input")

// snappyDecoder reads the xerial framing, and a bare snappy block where the framing is missing.
type snappyDecoder struct {
	src   []byte // what is left
	bare  bool   // src is one raw block
	block []byte // the block decoded last
	out   []byte // what of it is still to be read
	s     *stream
}

func (d *snappyDecoder) reset(src []byte, _ int8, s *stream) error {
	d.src, d.out, d.s = src, nil, s
	d.bare = len(src) < xerialHeaderBytes || string(src[:len(xerialMagic)]) != xerialMagic
	if !d.bare {
		d.src = src[xerialHeaderBytes:]
	} else if len(src) == 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (d *snappyDecoder) drop() {
	d.src, d.out, d.s = nil, nil, nil
	if cap(d.block) > pooledBytes {
		d.block = nil
	}
}

func (d *snappyDecoder) Read(p []byte) (int, error) {
	for len(d.out) == 0 {
		if len(d.src) == 0 {
			return 0, io.EOF
		}
		if err := d.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, d.out)
	d.out = d.out[n:]
	return n, nil
}

// next decodes one block.
func (d *snappyDecoder) next() error {
	chunk := d.src
	if d.bare {
		d.src = nil
	} else {
		if len(d.src) < 4 {
			return io.ErrUnexpectedEOF
		}
		n := binary.BigEndian.Uint32(d.src)
		if n == xerialRepeat && len(d.src) >= xerialHeaderBytes {
			d.src = d.src[xerialHeaderBytes:]
			return nil
		}
		if uint64(n) > uint64(len(d.src)-4) {
			return io.ErrUnexpectedEOF
		}
		chunk, d.src = d.src[4:4+n], d.src[4+n:]
	}
	size, err := snappy.DecodedLen(chunk)
	if err != nil {
		return err
	}
	if size > snappyExpansion*len(chunk) {
		return errSnappy // the length is a lie
	}
	if size > cap(d.block) {
		d.block = nil // not to be held while waiting
		d.block = d.s.buffer(max(size, xerialChunkBytes))
	}
	d.out, err = snappy.Decode(d.block[:cap(d.block)], chunk)
	return err
}

// snappyExpansion is above what a snappy block can expand: 64 bytes from a copy of 3.
const snappyExpansion = 24

// snappyEncoder writes the xerial framing.
type snappyEncoder struct {
	out     *sink
	pending []byte // input of the next chunk
	block   []byte // the encoded chunk with its length
}

func (e *snappyEncoder) reset(out *sink, _ int8) {
	e.out, e.pending = out, e.pending[:0]
	if out != nil {
		out.b = append(out.b, xerialHeader...)
	}
}

func (e *snappyEncoder) Write(p []byte) (int, error) {
	return chunked(p, &e.pending, xerialChunkBytes, e.flush)
}

func (e *snappyEncoder) Close() error { return e.flush() }

func (e *snappyEncoder) flush() error {
	if len(e.pending) == 0 {
		return nil
	}
	if e.block == nil {
		e.block = make([]byte, 4+snappy.MaxEncodedLen(xerialChunkBytes))
	}
	n := len(snappy.Encode(e.block[4:], e.pending))
	binary.BigEndian.PutUint32(e.block, uint32(n))
	e.pending = e.pending[:0]
	_, err := e.out.Write(e.block[:4+n])
	return err
}

// chunked gathers p in pending and calls flush, which empties it, at every size bytes.
func chunked(p []byte, pending *[]byte, size int, flush func() error) (int, error) {
	total := len(p)
	for len(p) > 0 {
		n := min(size-len(*pending), len(p))
		*pending = append(*pending, p[:n]...)
		p = p[n:]
		if len(*pending) == size {
			if err := flush(); err != nil {
				return 0, err
			}
		}
	}
	return total, nil
}
