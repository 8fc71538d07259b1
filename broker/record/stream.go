package record

import (
	"errors"
	"io"
	"runtime"
	"sync"

	"github.com/zurau/zurau/broker/kerr"
)

// Limits bound what compressed records may unpack to.
type Limits struct {
	Bytes       int64 // of one batch, all together
	RecordBytes int   // of one record that has to be in memory as a whole
}

// stream decodes compressed records through one window of memory. It belongs to one goroutine; close gives window
// and decoder back to their pools.
type stream struct {
	codec    Codec
	src      decoder
	buf      []byte // the window; buf[r:w] is decoded and not yet taken
	r, w     int
	left     int64   // bytes that may still come out
	reserved int     // bytes held of decodeBudget
	large    *[]byte // the decoder's buffer, if it is to go back to largeBuffers
	giant    bool    // memory was taken that is never kept
}

// decoder is a decompressor that can be used again: Read after reset, as io.Reader.
type decoder interface {
	io.Reader
	// reset begins with src, which may be empty or nil.
	reset(src []byte, magic int8, s *stream) error
	// drop lets go of the source and of large memory. It may follow a reset that failed.
	drop()
}

var streams = sync.Pool{New: func() any { return &stream{buf: make([]byte, windowBytes)} }}

// openStream decodes src. magic is that of the batch or wrapper message.
func openStream(codec Codec, magic int8, src []byte, limit int64) (*stream, error) {
	if codec == None || !codec.Known() || magic < 2 && codec == Zstd {
		return nil, kerr.New(kerr.InvalidRecord, "unknown compression codec %d for magic %d", codec, magic)
	}
	s := streams.Get().(*stream)
	s.codec, s.r, s.w, s.left = codec, 0, 0, limit
	s.src = decoders[codec].Get().(decoder)
	if err := s.src.reset(src, magic, s); err != nil {
		s.close()
		return nil, s.wrap(err)
	}
	return s, nil
}

// close ends the stream; it must not be used afterwards.
func (s *stream) close() {
	s.src.drop()
	s.dropBuffer()
	decoders[s.codec].Put(s.src)
	s.src = nil
	if len(s.buf) > pooledBytes {
		s.buf = make([]byte, windowBytes)
	}
	if s.giant { // whoever comes next with such a batch, which no honest producer sends, would double what lies here
		s.giant = false
		runtime.GC()
	}
	s.release()
	streams.Put(s)
}

// reserve is called before n bytes are made for one buffer, and may wait when that is much.
func (s *stream) reserve(n int) {
	if n <= freeBytes || n <= s.reserved {
		return
	}
	s.release()
	decodeBudget.acquire(n)
	s.reserved = n
}

func (s *stream) release() {
	if s.reserved > 0 {
		decodeBudget.release(s.reserved)
		s.reserved = 0
	}
}

// wrap gives a decoder's error its Kafka code.
func (s *stream) wrap(err error) error {
	var k *kerr.Error
	if errors.As(err, &k) {
		return err
	}
	return kerr.New(kerr.InvalidRecord, "%s records do not unpack: %v", s.codec, err)
}

// more decodes at least one byte into the free part of the window. At the end it returns io.EOF.
func (s *stream) more() error {
	for range 100 {
		n, err := s.src.Read(s.buf[s.w:])
		s.w += n
		s.left -= int64(n)
		switch {
		case s.left < 0:
			return kerr.New(kerr.MessageTooLarge, "%s records unpack to more than the allowed size", s.codec)
		case n > 0:
			return nil
		case err == io.EOF:
			return io.EOF
		case err != nil:
			return s.wrap(err)
		}
	}
	return s.wrap(io.ErrNoProgress)
}

// fill makes the next n bytes lie in the window, which grows to n as they really arrive. When the stream ends
// earlier it returns io.EOF.
func (s *stream) fill(n int) error {
	if s.w-s.r >= n {
		return nil
	}
	if s.r > 0 {
		copy(s.buf, s.buf[s.r:s.w])
		s.w -= s.r
		s.r = 0
	}
	for s.w < n {
		if s.w == len(s.buf) {
			size := min(n, 2*len(s.buf))
			s.reserve(size)
			s.giant = s.giant || size > 1<<maxLargeBits
			bigger := make([]byte, size)
			copy(bigger, s.buf)
			s.buf = bigger
		}
		if err := s.more(); err != nil {
			return err
		}
	}
	return nil
}

// take returns the next n bytes, which must be in the window, and moves behind them.
func (s *stream) take(n int) []byte {
	b := s.buf[s.r : s.r+n : s.r+n]
	s.r += n
	return b
}

// skip moves n bytes on without holding them.
func (s *stream) skip(n int) error {
	for n > s.w-s.r {
		n -= s.w - s.r
		s.r, s.w = 0, 0
		if err := s.more(); err != nil {
			return err
		}
	}
	s.r += n
	return nil
}

// varint takes a number; ok is false when it is cut or too long.
func (s *stream) varint() (v int32, n int, ok bool, err error) {
	if err := s.fill(5); err != nil && err != io.EOF {
		return 0, 0, false, err
	}
	v, next := varint(s.buf[s.r:s.w], 0)
	if next < 0 {
		return 0, 0, false, nil
	}
	s.r += next
	return v, next, true, nil
}

// atEnd says whether everything was taken and the stream ends there, checksums of the codec included.
func (s *stream) atEnd() (bool, error) {
	if s.w > s.r {
		return false, nil
	}
	s.r, s.w = 0, 0
	switch err := s.more(); err {
	case io.EOF:
		return true, nil
	case nil:
		return false, nil
	default:
		return false, err
	}
}

// recordLength takes the length in front of a record's body. index is for the error.
func (s *stream) recordLength(index int32) (int, error) {
	n, _, ok, err := s.varint()
	if err != nil {
		return 0, err
	}
	if !ok || n < 0 {
		return 0, recordError(index, badLength)
	}
	return int(n), nil
}

// record makes the next n bytes, the body of record index, lie in the window and takes them.
func (s *stream) record(index int32, n int) ([]byte, error) {
	if err := s.fill(n); err == io.EOF {
		return nil, recordError(index, badBatchShort)
	} else if err != nil {
		return nil, err
	}
	return s.take(n), nil
}
