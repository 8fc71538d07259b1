package consumer

import (
	"slices"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/zurau/zurau/broker/topic"
)

// batch makes a record batch of one transaction's records.
func batch(first int64, producer int64, values ...string) *sarama.Records {
	b := &sarama.RecordBatch{FirstOffset: first, Version: 2, ProducerID: producer, IsTransactional: producer >= 0,
		LastOffsetDelta: int32(len(values) - 1), FirstTimestamp: time.UnixMilli(5), MaxTimestamp: time.UnixMilli(9)}
	for i, v := range values {
		b.Records = append(b.Records, &sarama.Record{OffsetDelta: int64(i), Value: []byte(v)})
	}
	return &sarama.Records{RecordBatch: b}
}

// marker ends a transaction: kind 0 aborts, 1 commits.
func marker(at, producer int64, kind byte) *sarama.Records {
	m := batch(at, producer, "")
	m.RecordBatch.Control = true
	m.RecordBatch.Records[0].Key = []byte{0, 0, 0, kind}
	return m
}

func TestRecordsOfTransactions(t *testing.T) {
	block := &sarama.FetchResponseBlock{
		RecordsSet: []*sarama.Records{
			batch(0, -1, "plain"), batch(1, 7, "lost", "lost too"), batch(3, 8, "kept"), marker(4, 7, 0),
			batch(5, 7, "kept as well"), marker(6, 7, 1), marker(7, 8, 1),
		},
		AbortedTransactions: []*sarama.AbortedTransaction{{ProducerID: 7, FirstOffset: 1}},
	}
	for name, c := range map[string]struct {
		committed bool
		from      int64
		want      []string
	}{
		"read_uncommitted sees everything but the markers":    {false, 0, []string{"plain", "lost", "lost too", "kept", "kept as well"}},
		"read_committed leaves out the aborted transaction":   {true, 0, []string{"plain", "kept", "kept as well"}},
		"what lies before the fetch offset is not read again": {false, 2, []string{"lost too", "kept", "kept as well"}},
	} {
		t.Run(name, func(t *testing.T) {
			records, next := recordsOf(topic.Partition{Topic: "t"}, block, c.from, c.committed)
			var got []string
			for _, r := range records {
				got = append(got, string(r.Value))
			}
			if !slices.Equal(got, c.want) || next != 8 {
				t.Errorf("%q, next %d", got, next)
			}
		})
	}
}

func TestTimestampsAndTheirKinds(t *testing.T) {
	stamped := batch(0, -1, "a")
	stamped.RecordBatch.LogAppendTime = true
	old := &sarama.Records{MsgSet: &sarama.MessageSet{Messages: []*sarama.MessageBlock{
		{Offset: 1, Msg: &sarama.Message{Value: []byte("v0")}},
		{Offset: 2, Msg: &sarama.Message{Value: []byte("v1"), Version: 1, Timestamp: time.UnixMilli(3)}},
	}}}
	block := &sarama.FetchResponseBlock{RecordsSet: []*sarama.Records{stamped, old}}
	records, next := recordsOf(topic.Partition{Topic: "t"}, block, 0, true)
	if len(records) != 3 || next != 3 {
		t.Fatalf("%+v, next %d", records, next)
	}
	for i, want := range []struct {
		kind  TimestampKind
		stamp int64
	}{{LogAppendTime, 9}, {NoTimestamp, -1}, {CreateTime, 3}} {
		if records[i].Kind != want.kind || records[i].Timestamp != want.stamp {
			t.Errorf("record %d: %s %d", i, records[i].Kind, records[i].Timestamp)
		}
	}
}

func TestAnEmptyBatchIsStillAStepForward(t *testing.T) {
	empty := batch(4, -1, "x", "y", "z")
	empty.RecordBatch.Records = nil // as the cleaner leaves it
	block := &sarama.FetchResponseBlock{RecordsSet: []*sarama.Records{empty}}
	if records, next := recordsOf(topic.Partition{Topic: "t"}, block, 4, false); len(records) != 0 || next != 7 {
		t.Errorf("%v, next %d", records, next)
	}
}
