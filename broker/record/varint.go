package record

// Varints of the record format: zigzag, 7 bits a byte, least significant group first, at most 5 bytes for 32 bits
// and 10 for 64 (Java: ByteUtils.writeVarint, writeVarlong). The readers take b from i on and give the position
// behind the number, or -1 when b ends early or the number is too long.

func varint(b []byte, i int) (v int32, next int) {
	if i < len(b) && b[i] < 0x80 {
		return unzigzag32(uint32(b[i])), i + 1
	}
	return varintSlow(b, i)
}

func varintSlow(b []byte, i int) (int32, int) {
	var u uint32
	for shift := 0; shift < 35 && i < len(b); shift += 7 {
		c := b[i]
		i++
		u |= uint32(c&0x7f) << shift
		if c < 0x80 {
			return unzigzag32(u), i
		}
	}
	return 0, -1
}

func varlong(b []byte, i int) (v int64, next int) {
	if i < len(b) && b[i] < 0x80 {
		return unzigzag64(uint64(b[i])), i + 1
	}
	return varlongSlow(b, i)
}

func varlongSlow(b []byte, i int) (int64, int) {
	var u uint64
	for shift := 0; shift < 70 && i < len(b); shift += 7 {
		c := b[i]
		i++
		u |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return unzigzag64(u), i
		}
	}
	return 0, -1
}

func unzigzag32(u uint32) int32 { return int32(u>>1) ^ -int32(u&1) }
func unzigzag64(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

func appendVarint(dst []byte, v int32) []byte {
	return appendUvarint(dst, uint64(uint32(v<<1)^uint32(v>>31)))
}
func appendVarlong(dst []byte, v int64) []byte {
	return appendUvarint(dst, uint64(v<<1)^uint64(v>>63))
}

func appendUvarint(dst []byte, u uint64) []byte {
	for u >= 0x80 {
		dst = append(dst, byte(u)|0x80)
		u >>= 7
	}
	return append(dst, byte(u))
}

func varintBytes(v int32) int  { return uvarintBytes(uint64(uint32(v<<1) ^ uint32(v>>31))) }
func varlongBytes(v int64) int { return uvarintBytes(uint64(v<<1) ^ uint64(v>>63)) }

func uvarintBytes(u uint64) int {
	n := 1
	for u >= 0x80 {
		u >>= 7
		n++
	}
	return n
}
