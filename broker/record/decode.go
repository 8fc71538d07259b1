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
	if d.z == nil {
		z, err := gzip.NewReader(&d.src)
		d.z = z
		return noEOF(err)
	}
	return noEOF(d.z.Reset(&d.src))
}

func (d *gzipDecoder) drop() { d.src.Reset(nil) }

func (d *gzipDecoder) Read(p []byte) (int, error) { return d.z.Read(p) }

// A zstd frame names the window its reader has to keep. Readers for windows up to zstdWindow (what every reader
// should have, RFC 8878 section 3.1.1.1.2) are kept; those for the windows of the highest levels are made and dropped.
const (
	zstdWindow    = 8 << 20
	zstdWindowMax = 128 << 20
)

// zstdReaders are idle readers, those that never needed permission for their window and the others. A reader keeps
// the largest window it had, so one is taken out after the permission for it was given, and is back before that ends:
// there are never more with large windows than the budget has room for.
var zstdReaders struct{ small, large sync.Pool }

// zstdDecoder reads zstd frames.
type zstdDecoder struct {
	src  bytes.Reader
	z    *zstd.Decoder // nil between two batches
	home *sync.Pool    // where z goes back to; nil: it is dropped
}

func newZstdDecoder(window uint64) (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(window))
}

func (d *zstdDecoder) reset(src []byte, _ int8, s *stream) error {
	d.src.Reset(src)
	var h zstd.Header
	if err := h.Decode(src); err != nil {
		return noEOF(err)
	}
	window := h.WindowSize
	if h.SingleSegment {
		window = h.FrameContentSize
	}
	s.reserve(int(min(window, zstdWindowMax)))
	most := uint64(zstdWindow)
	switch {
	case window <= freeBytes:
		d.home, most = &zstdReaders.small, freeBytes
	case window <= zstdWindow:
		d.home = &zstdReaders.large
	default:
		most = zstdWindowMax
		s.giant = true
	}
	if d.home != nil {
		d.z, _ = d.home.Get().(*zstd.Decoder)
	}
	if d.z == nil {
		var err error
		if d.z, err = newZstdDecoder(most); err != nil {
			return err
		}
	}
	return d.z.Reset(&d.src)
}

func (d *zstdDecoder) drop() {
	d.src.Reset(nil)
	if d.z != nil && d.home != nil && d.z.Reset(nil) == nil {
		d.home.Put(d.z)
	}
	d.z, d.home = nil, nil
}

func (d *zstdDecoder) Read(p []byte) (int, error) { return d.z.Read(p) }

// noEOF keeps the end of a cut header from being taken for the end of the records.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
