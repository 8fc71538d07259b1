package consumer

import (
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/zurau/zurau/broker/topic"
)

// Record is what was read. A nil Key or Value is Kafka's null. The bytes belong to the receiver.
type Record struct {
	topic.Partition
	Offset    int64
	Key       []byte
	Value     []byte
	Headers   []Header
	Timestamp int64 // ms since 1970, -1 when there is none
	Kind      TimestampKind
}

// Header is one header of a record.
type Header struct {
	Key   string
	Value []byte
}

// TimestampKind says whose clock a timestamp is from.
type TimestampKind int8

// The kinds of org.apache.kafka.common.record.TimestampType.
const (
	NoTimestamp TimestampKind = iota
	CreateTime
	LogAppendTime
)

// recordsOf decodes what a fetch returned for a partition, from offset from on, and gives the offset to go on from.
// Control records and, when committedOnly, the records of aborted transactions are left out.
func recordsOf(tp topic.Partition, block *sarama.FetchResponseBlock, from int64, committedOnly bool) ([]Record, int64) {
	aborted := abortedTransactions{open: make(map[int64]bool)}
	if committedOnly {
		aborted.ahead = slices.Clone(block.AbortedTransactions)
		slices.SortFunc(aborted.ahead, func(a, b *sarama.AbortedTransaction) int { return int(a.FirstOffset - b.FirstOffset) })
	}
	var records []Record
	next := from
	for _, set := range block.RecordsSet {
		switch {
		case set.RecordBatch != nil:
			b := set.RecordBatch
			if !aborted.hides(b) && !b.Control {
				records = appendBatch(records, tp, b, from)
			}
			if !b.PartialTrailingRecord {
				next = max(next, b.LastOffset()+1)
			}
		case set.MsgSet != nil:
			records = appendMessages(records, tp, set.MsgSet, from)
			if len(records) > 0 {
				next = max(next, records[len(records)-1].Offset+1)
			}
		}
	}
	return records, next
}

// abortedTransactions follows which producers' records are to be hidden while batches go by in order of offset.
type abortedTransactions struct {
	ahead []*sarama.AbortedTransaction // not reached yet, by first offset
	open  map[int64]bool               // producers in an aborted transaction
}

// hides reports whether b belongs to an aborted transaction; the marker that ends one is seen here too.
func (a *abortedTransactions) hides(b *sarama.RecordBatch) bool {
	for len(a.ahead) > 0 && a.ahead[0].FirstOffset <= b.LastOffset() {
		a.open[a.ahead[0].ProducerID] = true
		a.ahead = a.ahead[1:]
	}
	if b.Control && isAbortMarker(b) {
		delete(a.open, b.ProducerID)
	}
	return b.IsTransactional && a.open[b.ProducerID]
}

// isAbortMarker reads the type out of a control batch: the second int16 of its record's key (Kafka: ControlRecordType).
func isAbortMarker(b *sarama.RecordBatch) bool {
	return len(b.Records) == 1 && len(b.Records[0].Key) >= 4 && b.Records[0].Key[2] == 0 && b.Records[0].Key[3] == 0
}

func appendBatch(records []Record, tp topic.Partition, b *sarama.RecordBatch, from int64) []Record {
	for _, r := range b.Records {
		offset := b.FirstOffset + r.OffsetDelta
		if offset < from {
			continue
		}
		record := Record{Partition: tp, Offset: offset, Key: r.Key, Value: r.Value, Kind: CreateTime}
		record.Timestamp = milliseconds(b.FirstTimestamp.Add(r.TimestampDelta))
		if b.LogAppendTime {
			record.Timestamp, record.Kind = milliseconds(b.MaxTimestamp), LogAppendTime
		}
		for _, h := range r.Headers {
			record.Headers = append(record.Headers, Header{string(h.Key), h.Value})
		}
		records = append(records, record)
	}
	return records
}

// appendMessages decodes the formats before 0.11: a wrapper message may hold others, with relative offsets from v1 on.
func appendMessages(records []Record, tp topic.Partition, set *sarama.MessageSet, from int64) []Record {
	for _, block := range set.Messages {
		inner := block.Messages()
		for _, m := range inner {
			offset, stamp := m.Offset, m.Msg.Timestamp
			record := Record{Partition: tp, Key: m.Msg.Key, Value: m.Msg.Value, Kind: NoTimestamp, Timestamp: -1}
			if m.Msg.Version >= 1 {
				offset += block.Offset - inner[len(inner)-1].Offset
				record.Kind = CreateTime
				if m.Msg.LogAppendTime {
					record.Kind, stamp = LogAppendTime, block.Msg.Timestamp
				}
				record.Timestamp = milliseconds(stamp)
			}
			if record.Offset = offset; offset >= from {
				records = append(records, record)
			}
		}
	}
	return records
}

func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return -1
	}
	return t.UnixMilli()
}

// String is the name a timestamp of this kind is printed under.
func (k TimestampKind) String() string {
	return [...]string{"NO_TIMESTAMP", "CreateTime", "LogAppendTime"}[k]
}

// Header looks up a header by its key, without regard to case.
func (r *Record) Header(key string) ([]byte, bool) {
	for _, h := range r.Headers {
		if strings.EqualFold(h.Key, key) {
			return h.Value, true
		}
	}
	return nil, false
}
