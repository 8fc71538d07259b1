package zkmeta

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// ProducerIDBlockSize is how many ids a block has.
const ProducerIDBlockSize = 1000

// A ProducerIDBlock is a run of producer ids that belongs to one broker alone.
type ProducerIDBlock struct {
	BrokerID    int32
	First, Last int64 // inclusive
}

func encodeProducerIDBlock(b ProducerIDBlock) []byte {
	o := appendIntField([]byte("{"), "version", 1)
	o = appendIntField(o, "broker", int64(b.BrokerID))
	o = appendStringField(o, "block_start", strconv.FormatInt(b.First, 10))
	o = appendStringField(o, "block_end", strconv.FormatInt(b.Last, 10))
	return append(o, '}')
}

func decodeProducerIDBlock(data []byte) (b ProducerIDBlock, err error) {
	o, err := parseObject(data)
	if err != nil {
		return b, err
	}
	if b.BrokerID, err = get[int32](o, "broker"); err != nil {
		return b, err
	}
	if b.First, err = getText(o, "block_start"); err != nil {
		return b, err
	}
	if b.Last, err = getText(o, "block_end"); err != nil {
		return b, err
	}
	if b.First < 0 || b.Last < b.First {
		err = fmt.Errorf("the block %d to %d", b.First, b.Last)
	}
	return b, err
}

// NextProducerIDBlock takes the next block for a broker. A block is given to one broker once: when the outcome of the
// write is unknown it is read again, and at worst a block is lost.
func (s *Session) NextProducerIDBlock(ctx context.Context, brokerID int32) (ProducerIDBlock, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	for {
		data, stat, err := s.Get(ctx, ProducerIDBlockPath)
		if err != nil {
			return ProducerIDBlock{}, err
		}
		next := ProducerIDBlock{brokerID, 0, ProducerIDBlockSize - 1}
		if len(data) > 0 {
			last, err := decodeProducerIDBlock(data)
			if err != nil {
				return ProducerIDBlock{}, fmt.Errorf("%s: %w", s.full(ProducerIDBlockPath), err)
			}
			if last.Last > math.MaxInt64-ProducerIDBlockSize {
				return ProducerIDBlock{}, fmt.Errorf("all producer ids are used up, the last block ends at %d", last.Last)
			}
			next.First, next.Last = last.Last+1, last.Last+ProducerIDBlockSize
		}
		_, err = s.setVersion(ctx, ProducerIDBlockPath, encodeProducerIDBlock(next), stat.Version)
		if !errors.Is(err, ErrBadVersion) {
			return next, err
		}
	}
}
