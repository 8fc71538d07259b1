package record

import (
	"encoding/binary"
	"math"

	"github.com/zurau/zurau/broker/kerr"
)

// Producer is what an idempotent or transactional producer puts into its batches (KIP-98).
type Producer struct {
	ID            int64
	Epoch         int16
	BaseSequence  int32
	Transactional bool
}

// Builder makes one batch of magic 2, record by record, compressing as it goes. It belongs to one goroutine and is
// used up by Finish or Discard.
type Builder struct {
	out     sink
	codec   Codec
	enc     encoder // unless codec is None
	open    bool    // enc is borrowed
	headers []byte  // those of the current record, encoded
	scratch []byte  // the current record, encoded
	survey  Survey
	base    int64 // timestamp of the first record
	err     error

	reserved int // bytes held of convertBudget
}

// NewBuilder begins a batch. Appending fails with kerr.MessageTooLarge once it is larger than maxBytes.
func NewBuilder(c Compression, maxBytes int) *Builder {
	b := &Builder{codec: c.Codec, survey: newSurvey(), out: sink{max: maxBytes}}
	b.out.b = beginBatch(nil)
	if c.Codec != None {
		b.enc, b.err = openEncoder(c, 2, &b.out)
		b.open = b.err == nil
	}
	return b
}

// newConversion is NewBuilder for what clients make us convert, any number of them at once: it waits for its share of
// the memory there is for that. One goroutine must have only one, and no walk open when it begins it.
func newConversion(c Compression, maxBytes int) *Builder {
	reserved := c.conversionMemory()
	convertBudget.acquire(reserved)
	b := NewBuilder(c, maxBytes)
	b.reserved = reserved
	return b
}

// Append adds a record with the next offset. timestampMS may be -1.
func (b *Builder) Append(timestampMS int64, key, value []byte, headers []Header) error {
	b.headers = appendHeaders(b.headers[:0], headers)
	return b.append(timestampMS, fields{key: key, value: value, headerCount: int32(len(headers)), headers: b.headers})
}

// append adds the record f, whose deltas it sets.
func (b *Builder) append(timestampMS int64, f fields) error {
	if b.err == nil && b.survey.Count == math.MaxInt32 {
		b.err = kerr.New(kerr.MessageTooLarge, "a batch cannot hold more than %d records", math.MaxInt32)
	}
	if b.err != nil {
		return b.err
	}
	if b.survey.Count == 0 {
		b.base = timestampMS
	}
	f.timestampDelta, f.offsetDelta = timestampMS-b.base, b.survey.Count
	b.survey.add(timestampMS, f.offsetDelta, f.key == nil)
	b.scratch = f.append(b.scratch[:0])
	return b.write(b.scratch)
}

// write puts encoded records behind the others.
func (b *Builder) write(p []byte) error {
	if b.codec == None {
		_, b.err = b.out.Write(p)
	} else {
		_, b.err = b.enc.Write(p)
	}
	return b.err
}

// flush ends the compressed stream and gives the compressor back.
func (b *Builder) flush() error {
	if b.open && b.err == nil {
		b.err = b.enc.Close()
	}
	b.Discard()
	return b.err
}

// Survey is what was appended so far.
func (b *Builder) Survey() Survey { return b.survey }

// Finish ends the batch: offset 0, leader epoch -1, CreateTime, CRC in place. p is nil without a producer.
func (b *Builder) Finish(p *Producer) (Batch, error) {
	if err := b.flush(); err != nil {
		return nil, err
	}
	h := Batch(b.out.b)
	attributes := int16(b.codec)
	if p != nil {
		h.putInt64(producerIDAt, p.ID)
		binary.BigEndian.PutUint16(h[producerEpochAt:], uint16(p.Epoch))
		h.putInt32(baseSequenceAt, p.BaseSequence)
		if p.Transactional {
			attributes |= transactionalBit
		}
	}
	h.setAttributes(attributes)
	if b.survey.Count > 0 {
		h.putInt64(baseTimestampAt, b.base)
		h.putInt32(lastOffsetDeltaAt, b.survey.Count-1)
	}
	h.putInt64(maxTimestampAt, b.survey.MaxTimestamp)
	h.putInt32(countAt, b.survey.Count)
	return seal(b.out.b, 0), nil
}

// Discard gives back what the builder borrowed. It may be called after Finish.
func (b *Builder) Discard() {
	if b.open {
		b.open = false
		b.enc.release()
	}
	if b.reserved > 0 {
		convertBudget.release(b.reserved)
		b.reserved = 0
	}
}
