package record

import "strconv"

// Codec is how the records of a batch are compressed, as in the low three attribute bits.
type Codec int8

// The codecs of the format. 5 to 7 can be written in the bits and mean nothing.
const (
	None   Codec = 0
	Gzip   Codec = 1
	Snappy Codec = 2
	LZ4    Codec = 3
	Zstd   Codec = 4 // magic 2 only (KIP-110)
)

var codecNames = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}

// Known says whether c is one of the five.
func (c Codec) Known() bool { return c >= None && c <= Zstd }

// String is the codec's name in configurations and dumps.
func (c Codec) String() string {
	if c.Known() {
		return codecNames[c]
	}
	return "unknown(" + strconv.Itoa(int(c)) + ")"
}

// ParseCodec knows the names of compression.type; "uncompressed" is None too. It does not know "producer".
func ParseCodec(name string) (c Codec, ok bool) {
	switch name {
	case "none", "uncompressed":
		return None, true
	case "gzip":
		return Gzip, true
	case "snappy":
		return Snappy, true
	case "lz4":
		return LZ4, true
	case "zstd":
		return Zstd, true
	}
	return None, false
}
