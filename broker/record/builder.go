package record

import (
	"encoding/binary"
	"errors"
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
	scratch []byte  // one encoded record
	survey  Survey
	base    int64 // timestamp of the first record
	err     error
}

// NewBuilder begins a batch. Appending fails with kerr.MessageTooLarge once it is larger than maxBytes.
func NewBuilder(c Compression, maxBytes int) *Builder {
	b := &Builder{codec: c.Codec, survey: newSurvey(), out: sink{max: maxBytes}}
	b.out.b = appendHeader(nil)
	if c.Codec != None {
		b.enc, b.err = openEncoder(c, 2, &b.out)
		b.open = b.err == nil
	}
	return b
}

// Append adds a record with the next offset. timestampMS may be -1.
func (b *Builder) Append(timestampMS int64, key, value []byte, headers []Header) error {
	if err := b.begin(timestampMS); err != nil {
		return err
	}
	b.scratch = appendRecord(b.scratch[:0], timestampMS-b.base, b.survey.Count, key, value, headers)
	return b.end(timestampMS, key == nil)
}

// appendEncoded adds the record f, whose headers stay as they are.
func (b *Builder) appendEncoded(timestampMS int64, f *fields) error {
	if err := b.begin(timestampMS); err != nil {
		return err
	}
	delta := timestampMS - b.base
	body := 1 + varlongBytes(delta) + varintBytes(b.survey.Count) + nullableBytes(f.key) + nullableBytes(f.value) +
		varintBytes(f.headerCount) + len(f.headers)
	s := appendVarint(b.scratch[:0], int32(body))
	s = append(s, 0)
	s = appendVarint(appendVarlong(s, delta), b.survey.Count)
	s = appendNullable(appendNullable(s, f.key), f.value)
	b.scratch = append(appendVarint(s, f.headerCount), f.headers...)
	return b.end(timestampMS, f.key == nil)
}

func (b *Builder) begin(timestampMS int64) error {
	if b.err == nil && b.survey.Count == math.MaxInt32 {
		b.err = kerr.New(kerr.MessageTooLarge, "a batch cannot hold more than %d records", math.MaxInt32)
	}
	if b.survey.Count == 0 {
		b.base = timestampMS
	}
	return b.err
}

func (b *Builder) end(timestampMS int64, nullKey bool) error {
	b.survey.add(timestampMS, b.survey.Count, nullKey)
	return b.write(b.scratch)
}

// write puts encoded records behind the others.
func (b *Builder) write(p []byte) error {
	if b.codec == None {
		_, b.err = b.out.Write(p)
	} else {
		_, b.err = b.enc.Write(p)
	}
	return b.fail()
}

// fail gives an error of the output its Kafka code.
func (b *Builder) fail() error {
	if errors.Is(b.err, errSinkFull) {
		b.err = kerr.New(kerr.MessageTooLarge, "the batch would be larger than the allowed %d bytes", b.out.max)
	}
	return b.err
}

// Survey is what was appended so far.
func (b *Builder) Survey() Survey { return b.survey }

// Finish ends the batch: offset 0, leader epoch -1, CreateTime, CRC in place. p is nil without a producer.
func (b *Builder) Finish(p *Producer) (Batch, error) {
	if b.open && b.err == nil {
		b.err = b.enc.Close()
	}
	b.Discard()
	if b.fail() != nil {
		return nil, b.err
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
}
