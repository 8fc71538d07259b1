package record

import (
	"io"

	"github.com/zurau/zurau/broker/kerr"
)

// Transcode gives a batch of magic 2 another compression: its header with the changed codec, its records byte for
// byte. The bytes pass through one window; the result may have maxBytes, else kerr.MessageTooLarge.
func Transcode(b Batch, to Compression, limits Limits, maxBytes int) (Batch, error) {
	n := newConversion(to, maxBytes)
	defer n.Discard()
	if n.err != nil {
		return nil, n.err
	}
	copy(n.out.b, b[:HeaderBytes])
	if err := n.copyRecords(b, limits); err != nil {
		return nil, err
	}
	if err := n.flush(); err != nil {
		return nil, err
	}
	h := Batch(n.out.b)
	h.setAttributes(b.Attributes()&^codecMask | int16(to.Codec))
	return seal(n.out.b, 0), nil
}

// copyRecords writes the uncompressed records of src.
func (b *Builder) copyRecords(src Batch, limits Limits) error {
	if src.Codec() == None {
		return b.write(src.payload())
	}
	s, err := openStream(src.Codec(), 2, src.payload(), limits.Bytes)
	if err != nil {
		return err
	}
	defer s.close()
	for {
		s.r, s.w = 0, 0
		if err := s.more(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := b.write(s.buf[:s.w]); err != nil {
			return err
		}
	}
}

// Rebuild makes a batch of magic 2 anew with offset deltas 0, 1, 2 ...: some clients compress wrong ones, and Kafka
// mends them instead of refusing the batch. Header fields other than codec, count and deltas are kept.
func Rebuild(b Batch, to Compression, limits Limits, maxBytes int) (Batch, error) {
	n := newConversion(to, maxBytes)
	defer n.Discard()
	it := b.Records(limits)
	defer it.Close()
	for it.Next() {
		r := it.Record()
		f := fields{key: r.Key, value: r.Value, headerCount: r.HeaderCount, headers: r.headers}
		if err := n.append(r.Stamp, f); err != nil {
			return nil, err
		}
	}
	if it.Err() != nil {
		return nil, it.Err()
	}
	out, err := n.Finish(nil)
	if err != nil {
		return nil, err
	}
	copy(out[producerIDAt:countAt], b[producerIDAt:countAt])
	out.setAttributes(b.Attributes()&^codecMask | int16(to.Codec))
	out.UpdateCRC()
	return out, nil
}

// CodecOfSet is the codec of the first message of a set of magic 0 or 1.
func CodecOfSet(set []byte) Codec {
	b, _, err := Next(set)
	if err != nil || b == nil {
		return None
	}
	return b.Codec()
}

// UpConvert makes one batch of magic 2 of a message set of magic 0 or 1, as old producers send it: either plain
// messages or one wrapper. An incomplete last message is dropped. Offsets of the set do not matter. A message of
// magic 0 gets no timestamp. Neither a message nor the batch may be larger than maxBytes. Errors:
// kerr.CorruptMessage, kerr.InvalidRecord, kerr.MessageTooLarge.
func UpConvert(set []byte, to Compression, limits Limits, maxBytes int) (Batch, Survey, error) {
	first, _, err := Next(set)
	if err != nil {
		return nil, Survey{}, err
	}
	if first == nil || first.Magic() > 1 {
		return nil, Survey{}, kerr.New(kerr.InvalidRecord, "no whole message of magic 0 or 1")
	}
	n := newConversion(to, maxBytes)
	defer n.Discard()
	for rest := set; ; {
		var b Batch
		if b, rest, err = Next(rest); err != nil {
			return nil, Survey{}, err
		}
		if b == nil {
			break
		}
		if err := checkSetMember(b, first, maxBytes); err != nil {
			return nil, Survey{}, err
		}
		if err := n.appendMessages(b, limits); err != nil {
			return nil, Survey{}, err
		}
	}
	out, err := n.Finish(nil)
	if err == nil && first.TimestampType() == LogAppendTime {
		out.SetMaxTimestamp(LogAppendTime, out.MaxTimestamp())
	}
	return out, n.Survey(), err
}

// checkSetMember refuses large messages, mixed sets and all but one wrapper.
func checkSetMember(b, first Batch, maxBytes int) error {
	switch {
	case len(b) > maxBytes:
		return kerr.New(kerr.MessageTooLarge, "a message of %d bytes, allowed are %d", len(b), maxBytes)
	case b.Magic() != first.Magic():
		return kerr.New(kerr.InvalidRecord, "a message set mixes magic %d and %d", first.Magic(), b.Magic())
	case b.Codec() != None && &b[0] != &first[0], b.Codec() == None && first.Codec() != None:
		return kerr.New(kerr.InvalidRecord, "a message set holds a wrapper message and something else")
	}
	return b.CheckCRC()
}

// appendMessages adds a plain message or the contents of a wrapper.
func (b *Builder) appendMessages(m Batch, limits Limits) error {
	kv, err := parseMessage(m)
	if err != nil {
		return err
	}
	if m.Codec() == None {
		return b.Append(m.MaxTimestamp(), kv.key, kv.value, nil)
	}
	s, err := openStream(m.Codec(), m.Magic(), kv.value, limits.Bytes)
	if err != nil {
		return err
	}
	defer s.close()
	for i := int32(0); ; i++ {
		inner, err := s.nextMessage(i, limits.RecordBytes)
		if err == io.EOF {
			if i == 0 {
				return kerr.New(kerr.InvalidRecord, "a wrapper message without inner messages")
			}
			return nil
		}
		if err != nil {
			return err
		}
		if inner.Magic() != m.Magic() {
			return kerr.New(kerr.InvalidRecord, "a wrapper of magic %d holds magic %d", m.Magic(), inner.Magic())
		}
		kv, err := parseMessage(inner)
		if err != nil {
			return err
		}
		if err := b.Append(inner.MaxTimestamp(), kv.key, kv.value, nil); err != nil {
			return err
		}
	}
}
