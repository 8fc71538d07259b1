package record

import (
	"io"
	"math"
	"sync"
	"weak"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/zurau/zurau/broker/kerr"
)

// DefaultLevel leaves the level to the codec.
const DefaultLevel = math.MinInt32

// Compression is a codec and how hard it tries. Levels are those of Kafka's compression.*.level keys (KIP-390): gzip
// -1 and 1..9, lz4 1..17 (9 is the fast compressor), zstd -131072..22. They choose the nearest level our libraries
// have; snappy has none.
type Compression struct {
	Codec Codec
	Level int
}

// memory is about what a compressor of c holds, in bytes.
func (c Compression) memory() int {
	switch c.Codec {
	case None:
		return 0
	case Snappy:
		return 128 << 10
	case Zstd:
		return zstdEncoderMemory[zstdLevel(c.Level)]
	default:
		return 1 << 20
	}
}

// conversionMemory is what a conversion to c asks of convertBudget, in bytes: the compressor, and a result as large as
// topics of the default size allow, with what lies about when it has grown to that.
func (c Compression) conversionMemory() int { return c.memory() + 4<<20 }

// Compress appends src, compressed, to dst. magic is that of the batch or wrapper message that will hold it.
func Compress(dst []byte, c Compression, magic int8, src []byte) ([]byte, error) {
	if c.Codec == None {
		return append(dst, src...), nil
	}
	out := &sink{b: dst, max: math.MaxInt}
	e, err := openEncoder(c, magic, out)
	if err != nil {
		return dst, err
	}
	defer e.release()
	if _, err := e.Write(src); err != nil {
		return dst, err
	}
	if err := e.Close(); err != nil {
		return dst, err
	}
	return out.b, nil
}

// Decompress appends what src unpacks to behind dst, at most maxOut bytes of it. magic is that of the batch or
// wrapper message that holds src.
func Decompress(dst []byte, codec Codec, magic int8, src []byte, maxOut int) ([]byte, error) {
	if codec == None {
		if len(src) > maxOut {
			return dst, kerr.New(kerr.MessageTooLarge, "%d bytes of records, allowed are %d", len(src), maxOut)
		}
		return append(dst, src...), nil
	}
	s, err := openStream(codec, magic, src, int64(maxOut))
	if err != nil {
		return dst, err
	}
	defer s.close()
	for {
		s.r, s.w = 0, 0
		switch err := s.more(); err {
		case nil:
			dst = append(dst, s.buf[:s.w]...)
		case io.EOF:
			return dst, nil
		default:
			return dst, err
		}
	}
}

// sink gathers output up to max bytes; beyond them writing is kerr.MessageTooLarge.
type sink struct {
	b   []byte
	max int
}

func (s *sink) Write(p []byte) (int, error) {
	if len(p) > s.max-len(s.b) {
		return 0, kerr.New(kerr.MessageTooLarge, "the batch would be larger than the allowed %d bytes", s.max)
	}
	s.b = append(s.b, p...)
	return len(p), nil
}

// compressor is a codec's writer that can be used again. Close ends the stream.
type compressor interface {
	io.WriteCloser
	// reset begins a stream to out; with nil it lets go of the last one.
	reset(out *sink, magic int8)
}

// encoder is a compressor borrowed from its pool.
type encoder struct {
	compressor
	pool encoders
}

// encoders keep idle compressors, as a sync.Pool does.
type encoders interface {
	Get() any
	Put(any)
}

func (e encoder) release() {
	e.reset(nil, 2)
	e.pool.Put(e.compressor)
}

// openEncoder borrows the compressor for c and begins a stream to out.
func openEncoder(c Compression, magic int8, out *sink) (encoder, error) {
	if magic < 2 && c.Codec == Zstd || c.Codec == None || !c.Codec.Known() {
		return encoder{}, kerr.New(kerr.UnsupportedCompressionType, "codec %s cannot be written in magic %d", c.Codec,
			magic)
	}
	pool := encoderPool(c)
	e := encoder{pool.Get().(compressor), pool}
	e.reset(out, magic)
	return e, nil
}

// Pools of idle compressors, by codec and library level.
var (
	snappyEncoders = sync.Pool{New: func() any { return new(snappyEncoder) }}
	gzipEncoders   = levelPools(gzip.BestCompression+1, newGzipEncoder)
	lz4Encoders    = levelPools(10, newLZ4Encoder)
	zstdEncoders   = levelPools(int(zstd.SpeedBestCompression), newZstdEncoder)
	bestZstd       bestZstdEncoder
)

// levelPools makes a pool for each level below n.
func levelPools(n int, newEncoder func(level int) compressor) []sync.Pool {
	pools := make([]sync.Pool, n)
	for level := range pools {
		pools[level].New = func() any { return newEncoder(level) }
	}
	return pools
}

func encoderPool(c Compression) encoders {
	switch c.Codec {
	case Gzip:
		if c.Level < gzip.BestSpeed { // -1, the default
			return &gzipEncoders[0]
		}
		return &gzipEncoders[min(c.Level, gzip.BestCompression)]
	case LZ4:
		if c.Level < 1 || c.Level == 9 {
			return &lz4Encoders[0]
		}
		return &lz4Encoders[min(c.Level, 9)]
	case Zstd:
		level := zstdLevel(c.Level)
		if level == zstd.SpeedBestCompression {
			return &bestZstd
		}
		return &zstdEncoders[level]
	default:
		return &snappyEncoders
	}
}

// gzipEncoder and zstdEncoder fit the libraries' writers to compressor.
type gzipEncoder struct{ *gzip.Writer }

func newGzipEncoder(level int) compressor {
	if level == 0 {
		level = gzip.DefaultCompression
	}
	z, err := gzip.NewWriterLevel(io.Discard, level)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return gzipEncoder{z}
}

func (e gzipEncoder) reset(out *sink, _ int8) { e.Reset(writerOf(out)) }

type zstdEncoder struct{ *zstd.Encoder }

// zstdEncoderWindow is enough for any batch worth compressing, and bounds what an idle encoder holds.
const zstdEncoderWindow = 512 << 10

// zstdEncoderMemory is about what an encoder holds, by the library's level: its tables and twice the window.
var zstdEncoderMemory = [...]int{
	zstd.SpeedFastest:           2 << 20,
	zstd.SpeedDefault:           3 << 20,
	zstd.SpeedBetterCompression: 8 << 20,
	zstd.SpeedBestCompression:   40 << 20,
}

// zstdLevel is the library's level for one of Kafka's.
func zstdLevel(level int) zstd.EncoderLevel {
	if level == DefaultLevel {
		return zstd.SpeedDefault
	}
	return zstd.EncoderLevelFromZstd(level)
}

func newZstdEncoder(level int) compressor {
	if level == 0 { // the zero of zstd.EncoderLevel is no level
		level = int(zstd.SpeedDefault)
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevel(level)), zstd.WithEncoderConcurrency(1),
		zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(zstdEncoderWindow), zstd.WithEncoderCRC(false),
		zstd.WithZeroFrames(true))
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return zstdEncoder{z}
}

func (e zstdEncoder) reset(out *sink, _ int8) { e.Reset(writerOf(out)) }

// bestZstdEncoder keeps the last idle encoder of the highest level until the next collection: a sync.Pool would keep
// one for every processor, of 40 MiB each, while the budget lets one work.
type bestZstdEncoder struct {
	mu struct {
		sync.Mutex
		idle weak.Pointer[zstd.Encoder]
	}
}

func (p *bestZstdEncoder) Get() any {
	p.mu.Lock()
	defer p.mu.Unlock()
	z := p.mu.idle.Value()
	p.mu.idle = weak.Pointer[zstd.Encoder]{}
	if z == nil {
		return newZstdEncoder(int(zstd.SpeedBestCompression))
	}
	return zstdEncoder{z}
}

func (p *bestZstdEncoder) Put(e any) {
	p.mu.Lock()
	p.mu.idle = weak.Make(e.(zstdEncoder).Encoder)
	p.mu.Unlock()
}

func newLZ4Encoder(level int) compressor {
	if level == 0 {
		return new(lz4Encoder)
	}
	return &lz4Encoder{level: lz4.CompressionLevel(1 << (8 + level))}
}

// writerOf keeps a nil sink from becoming a writer that is not nil.
func writerOf(out *sink) io.Writer {
	if out == nil {
		return io.Discard
	}
	return out
}
