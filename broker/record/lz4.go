package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/pierrec/lz4/v4"
)

// The LZ4 frame format as Kafka uses it (Java: Lz4BlockInputStream, Lz4BlockOutputStream). The frame is read and
// written here, over lz4's block functions, because Kafka has rules of its own: dependent blocks are refused, the
// header checksum of magic 0 covers the frame magic too and is not looked at, the content checksum is skipped. It
// also keeps a batch that announces 4 MiB blocks (sarama, franz-go) from costing 4 MiB.
const (
	lz4Magic         = 0x184d2204
	lz4MinHeader     = 7 // magic, FLG, BD, HC
	lz4Raw           = 1 << 31
	lz4BlockBytes    = 64 << 10 // what we write
	lz4FirstBuffer   = 64 << 10
	lz4WriterHeader  = "\x04\x22\x4d\x18\x60\x40\x82" // version 1, independent blocks of 64 KiB, no checksums
	lz4WriterHeader0 = "\x04\x22\x4d\x18\x60\x40\x1a" // the same with the checksum of magic 0
)

// Bits of FLG.
const (
	lz4ContentChecksum = 1 << 2
	lz4ContentSize     = 1 << 3
	lz4BlockChecksum   = 1 << 4
	lz4Independent     = 1 << 5
)

// lz4Decoder reads one frame.
type lz4Decoder struct {
	src       []byte // what is left
	blockMax  int
	checksums bool   // of blocks
	ended     bool   // the end mark was read
	buf       []byte // the block decoded last
	out       []byte // what of it is still to be read
	s         *stream
}

func (d *lz4Decoder) reset(src []byte, magic int8, s *stream) error {
	d.src, d.out, d.s, d.ended = nil, nil, s, false
	if len(src) < lz4MinHeader {
		return io.ErrUnexpectedEOF
	}
	if m := binary.LittleEndian.Uint32(src); m != lz4Magic {
		return fmt.Errorf("not an lz4 frame: magic %#x", m)
	}
	flg, bd := src[4], src[5]
	end := 6
	if flg&lz4ContentSize != 0 {
		end += 8
	}
	switch {
	case flg>>6 != 1:
		return fmt.Errorf("lz4 frame version %d", flg>>6)
	case flg&3 != 0 || bd&0x8f != 0:
		return errors.New("reserved bits of the lz4 frame are set")
	case bd>>4 < 4:
		return fmt.Errorf("lz4 block size code %d", bd>>4)
	case flg&lz4Independent == 0:
		return errors.New("dependent lz4 blocks are not supported")
	case len(src) <= end:
		return io.ErrUnexpectedEOF
	case magic > 0 && src[end] != byte(xxh32(src[4:end])>>8):
		return errors.New("lz4 header checksum differs")
	}
	d.blockMax = 1 << (8 + 2*(bd>>4))
	d.checksums = flg&lz4BlockChecksum != 0
	d.src = src[end+1:]
	return nil
}

func (d *lz4Decoder) drop() {
	d.src, d.out, d.s = nil, nil, nil
	if cap(d.buf) > pooledBytes {
		d.buf = nil
	}
}

func (d *lz4Decoder) Read(p []byte) (int, error) {
	for len(d.out) == 0 {
		if d.ended {
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

// next decodes one block. What follows the end mark is not looked at.
func (d *lz4Decoder) next() error {
	if len(d.src) < 4 {
		return io.ErrUnexpectedEOF
	}
	word := binary.LittleEndian.Uint32(d.src)
	if word == 0 {
		d.ended = true
		return nil
	}
	n := int(word &^ lz4Raw)
	if n > d.blockMax {
		return fmt.Errorf("lz4 block of %d bytes in a frame of blocks up to %d", n, d.blockMax)
	}
	end := 4 + n
	if d.checksums {
		end += 4
	}
	if end > len(d.src) {
		return io.ErrUnexpectedEOF
	}
	block := d.src[4 : 4+n]
	if d.checksums && binary.LittleEndian.Uint32(d.src[4+n:]) != xxh32(block) {
		return errors.New("lz4 block checksum differs")
	}
	d.src = d.src[end:]
	if word&lz4Raw != 0 {
		d.out = block
		return nil
	}
	return d.unpack(block)
}

// unpack decodes block into a buffer that grows to the frame's block size only when it must.
func (d *lz4Decoder) unpack(block []byte) error {
	if d.buf == nil {
		d.buf = make([]byte, lz4FirstBuffer)
	}
	for {
		n, err := lz4.UncompressBlock(block, d.buf)
		if err == nil {
			d.out = d.buf[:min(n, d.blockMax)]
			if n > d.blockMax {
				return fmt.Errorf("lz4 block unpacks to %d bytes in a frame of blocks up to %d", n, d.blockMax)
			}
			return nil
		}
		size := freeBytes
		if len(d.buf) >= freeBytes {
			size = d.blockMax
		}
		if len(d.buf) >= min(size, d.blockMax) {
			return err
		}
		d.buf = nil // not to be held while waiting
		d.buf = d.s.buffer(size)
	}
}

// lz4Encoder writes the frame Java writes.
type lz4Encoder struct {
	level   lz4.CompressionLevel // 0 is the fast compressor
	fast    lz4.Compressor
	high    lz4.CompressorHC
	out     *sink
	pending []byte // input of the next block
	block   []byte // the encoded block with its length
}

func (e *lz4Encoder) reset(out *sink, magic int8) {
	e.out, e.pending = out, e.pending[:0]
	if out == nil {
		return
	}
	if magic == 0 {
		out.b = append(out.b, lz4WriterHeader0...)
	} else {
		out.b = append(out.b, lz4WriterHeader...)
	}
}

func (e *lz4Encoder) Write(p []byte) (int, error) {
	return chunked(p, &e.pending, lz4BlockBytes, e.flush)
}

func (e *lz4Encoder) Close() error {
	if err := e.flush(); err != nil {
		return err
	}
	_, err := e.out.Write([]byte{0, 0, 0, 0})
	return err
}

func (e *lz4Encoder) flush() error {
	if len(e.pending) == 0 {
		return nil
	}
	if e.block == nil {
		e.block = make([]byte, 4+lz4.CompressBlockBound(lz4BlockBytes))
	}
	var n int
	var err error
	if e.level == lz4.Fast {
		n, err = e.fast.CompressBlock(e.pending, e.block[4:])
	} else {
		e.high.Level = e.level
		n, err = e.high.CompressBlock(e.pending, e.block[4:])
	}
	if err != nil {
		return err
	}
	word := uint32(n)
	if n == 0 || n >= len(e.pending) {
		n = copy(e.block[4:], e.pending)
		word = uint32(n) | lz4Raw
	}
	binary.LittleEndian.PutUint32(e.block, word)
	e.pending = e.pending[:0]
	_, err = e.out.Write(e.block[:4+n])
	return err
}

// xxh32 is the XXH32 hash with seed 0, which the frame format uses for its checksums.
func xxh32(b []byte) uint32 {
	const (
		p1 uint32 = 2654435761
		p2 uint32 = 2246822519
		p3 uint32 = 3266489917
		p4 uint32 = 668265263
		p5 uint32 = 374761393
	)
	h := p5 + uint32(len(b))
	if len(b) >= 16 {
		v := [4]uint32{0: p2, 1: p2, 3: 0}
		v[0] += p1
		v[3] -= p1
		n := uint32(len(b))
		for ; len(b) >= 16; b = b[16:] {
			for i := range v {
				v[i] = bits.RotateLeft32(v[i]+binary.LittleEndian.Uint32(b[4*i:])*p2, 13) * p1
			}
		}
		h = n + bits.RotateLeft32(v[0], 1) + bits.RotateLeft32(v[1], 7) + bits.RotateLeft32(v[2], 12) +
			bits.RotateLeft32(v[3], 18)
	}
	for ; len(b) >= 4; b = b[4:] {
		h = bits.RotateLeft32(h+binary.LittleEndian.Uint32(b)*p3, 17) * p4
	}
	for _, c := range b {
		h = bits.RotateLeft32(h+uint32(c)*p5, 11) * p1
	}
	h = (h ^ h>>15) * p2
	h = (h ^ h>>13) * p3
	return h ^ h>>16
}
