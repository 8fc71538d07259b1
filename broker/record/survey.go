package record

import (
	"math"

	"github.com/zurau/zurau/broker/kerr"
)

// Survey is what one walk over a batch tells about its records.
type Survey struct {
	Count        int32
	NullKeys     int32 // records without a key
	Dense        bool  // offset deltas are 0, 1, 2 ... and the last is the header's
	MinTimestamp int64 // ms, records without timestamp (-1) left out; math.MaxInt64 when all are
	MaxTimestamp int64 // ms, -1 when no record has a later one
}

func newSurvey() Survey {
	return Survey{Dense: true, MinTimestamp: math.MaxInt64, MaxTimestamp: NoTimestamp}
}

// add counts one record in.
func (s *Survey) add(timestamp int64, offsetDelta int32, nullKey bool) {
	if offsetDelta != s.Count {
		s.Dense = false
	}
	if nullKey {
		s.NullKeys++
	}
	s.MaxTimestamp = max(s.MaxTimestamp, timestamp)
	if timestamp < s.MinTimestamp && timestamp != NoTimestamp {
		s.MinTimestamp = timestamp
	}
	s.Count++
}

// Survey walks the records of a magic 2 batch and checks their structure: every length, the count of the header,
// and that nothing is left over. Timestamps are the producer's (base + delta), whatever the batch's TimestampType.
// An uncompressed batch is walked in place without allocation; a compressed one is decoded through a pooled window
// and thrown away, at most limit bytes of it. Errors: kerr.InvalidRecord, kerr.MessageTooLarge beyond limit.
func (b Batch) Survey(limit int64) (Survey, error) {
	s := newSurvey()
	count := b.Count()
	if count < 0 {
		return s, kerr.New(kerr.InvalidRecord, "batch counts %d records", count)
	}
	var err error
	if b.Codec() == None {
		err = s.walkPlain(b, count)
	} else {
		err = s.walkCompressed(b, count, limit)
	}
	if err == nil && s.Count > 0 && s.Count-1 != b.LastOffsetDelta() {
		s.Dense = false
	}
	return s, err
}

func (s *Survey) walkPlain(b Batch, count int32) error {
	rest, base := b.payload(), b.BaseTimestamp()
	if int64(count)*minRecordBytes > int64(len(rest)) {
		return recordError(count-1, badBatchShort)
	}
	var f fields
	for i := range count {
		body, tail, ok := cutRecord(rest)
		if !ok {
			return recordError(i, badLength)
		}
		if problem := f.parse(body); problem != "" {
			return recordError(i, problem)
		}
		s.add(base+f.timestampDelta, f.offsetDelta, f.key == nil)
		rest = tail
	}
	if len(rest) > 0 {
		return recordError(count, badBatchTail)
	}
	return nil
}

func (s *Survey) walkCompressed(b Batch, count int32, limit int64) error {
	surveying <- struct{}{}
	defer func() { <-surveying }()
	in, err := openStream(b.Codec(), 2, b.payload(), limit)
	if err != nil {
		return err
	}
	defer in.close()
	base := b.BaseTimestamp()
	var f fields
	for i := range count {
		n, err := in.recordLength(i)
		if err != nil {
			return err
		}
		problem, nullKey := "", false
		if n <= windowBytes {
			body, err := in.record(i, n)
			if err != nil {
				return err
			}
			problem = f.parse(body)
			nullKey = f.key == nil
		} else if problem, nullKey, err = f.walkLong(in, n); err != nil {
			return err
		}
		if problem != "" {
			return recordError(i, problem)
		}
		s.add(base+f.timestampDelta, f.offsetDelta, nullKey)
	}
	ended, err := in.atEnd()
	if err == nil && !ended {
		err = recordError(count, badBatchTail)
	}
	return err
}
