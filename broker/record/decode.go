package record

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// decoders holds idle decompressors, by codec.
var decoders = [...]*sync.Pool{
	Gzip:   {New: func() any { return new(gzipDecoder) }},
	Snappy: {New: func() any { return new(snappyDecoder) }},
	LZ4:    {New: func() any { return new(lz4Decoder) }},
	Zstd:   {New: func() any { return new(zstdDecoder) }},
}

// gzipDecoder reads one or more RFC 1952 members.
type gzipDecoder struct {
	src bytes.Reader
	z   *gzip.Reader
}

func (d *gzipDecoder) reset(src []byte, _ int8, _ *stream) error {
	d.src.Reset(src)
	if src == nil {
		return nil
	}
	if d.z == nil {
		z, err := gzip.NewReader(&d.src)
		d.z = z
		return noEOF(err)
	}
	return noEOF(d.z.Reset(&d.src))
}

func (d *gzipDecoder) Read(p []byte) (int, error) { return d.z.Read(p) }

// A zstd frame names the window its reader has to keep. Decoders for windows up to zstdWindow (what every reader
// should have, RFC 8878 section 3.1.1.1.2) are kept; those for the windows of the highest levels are made and dropped.
const (
	zstdWindow    = 8 << 20
	zstdWindowMax = 128 << 20
)

// zstdDecoder reads zstd frames.
type zstdDecoder struct {
	src  bytes.Reader
	z    *zstd.Decoder // the usual one, kept
	wide *zstd.Decoder // for one large window, dropped after it
}

func newZstdDecoder(window uint64) (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(window))
}

func (d *zstdDecoder) reset(src []byte, _ int8, s *stream) error {
	d.src.Reset(src)
	if src == nil {
		d.wide = nil
		if d.z != nil {
			return d.z.Reset(nil)
		}
		return nil
	}
	var h zstd.Header
	if err := h.Decode(src); err != nil {
		return noEOF(err)
	}
	var err error
	window := h.WindowSize
	if h.SingleSegment {
		window = h.FrameContentSize
	}
	s.reserve(int(min(window, zstdWindowMax)))
	if window > zstdWindow {
		if d.wide, err = newZstdDecoder(zstdWindowMax); err != nil {
			return err
		}
		return d.wide.Reset(&d.src)
	}
	if d.z == nil {
		if d.z, err = newZstdDecoder(zstdWindow); err != nil {
			return err
		}
	}
	return d.z.Reset(&d.src)
}

func (d *zstdDecoder) Read(p []byte) (int, error) {
	if d.wide != nil {
		return d.wide.Read(p)
	}
	return d.z.Read(p)
}

// noEOF keeps the end of a cut header from being taken for the end of the records.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
