package api_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/brokertest"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/topic"
)

// batch makes a batch of records with keys k and these values.
func batch(t testing.TB, c record.Codec, p *record.Producer, values ...string) []byte {
	t.Helper()
	at := int64(1700000000000)
	if p != nil {
		at = time.Now().UnixMilli() // a producer is forgotten a day after its last record's time
	}
	b := record.NewBuilder(record.Compression{Codec: c}, 2<<20)
	for _, v := range values {
		if err := b.Append(at, []byte("k"), []byte(v), nil); err != nil {
			t.Fatal(err)
		}
	}
	out, err := b.Finish(p)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// produce is a request for partition 0 of topic t; change may spoil it.
func produce(records []byte, change func(*kmsg.ProduceRequest)) *kmsg.ProduceRequest {
	r := kmsg.NewPtrProduceRequest()
	r.Acks, r.TimeoutMillis = -1, timeoutMS
	r.Topics = []kmsg.ProduceRequestTopic{{Topic: "t", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: records}}}}
	if change != nil {
		change(r)
	}
	return r
}

func (a asker) produce(v int16, req *kmsg.ProduceRequest) kmsg.ProduceResponseTopicPartition {
	a.t.Helper()
	return do[*kmsg.ProduceResponse](a, v, req).Topics[0].Partitions[0]
}

// fetch is a request for partition 0 of topic t.
func fetch(offset int64, change func(*kmsg.FetchRequest, *kmsg.FetchRequestTopicPartition)) *kmsg.FetchRequest {
	r := kmsg.NewPtrFetchRequest()
	r.MaxBytes, r.SessionEpoch, r.MinBytes = 1<<20, -1, 1
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes = offset, 1<<20
	if change != nil {
		change(r, &p)
	}
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.Partitions = "t", []kmsg.FetchRequestTopicPartition{p}
	r.Topics = []kmsg.FetchRequestTopic{t}
	return r
}

func (a asker) fetch(v int16, req *kmsg.FetchRequest) kmsg.FetchResponseTopicPartition {
	a.t.Helper()
	return do[*kmsg.FetchResponse](a, v, req).Topics[0].Partitions[0]
}

// The codes are those of Kafka 3.9.1 (golden/errors.md), except where it accepts what no consumer can read.
func TestWhatAProduceIsRefusedFor(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	a.mustCreate("t", 1)
	a.mustCreate("__consumer_offsets", 1)
	good := func() []byte { return batch(t, record.None, nil, "v") }
	spoil := func(at int, b byte) []byte { out := good(); out[at] ^= b; return out }
	inTopic := func(name string) func(*kmsg.ProduceRequest) {
		return func(r *kmsg.ProduceRequest) { r.Topics[0].Topic = name }
	}
	for _, c := range []struct {
		name string
		v    int16
		req  *kmsg.ProduceRequest
		want *kerr.Error
	}{
		{"acks that mean nothing", 7, produce(good(), func(r *kmsg.ProduceRequest) { r.Acks = 2 }), kerr.InvalidRequiredAcks},
		{"a topic nobody has", 7, produce(good(), inTopic("nope")), kerr.UnknownTopicOrPartition},
		{"a partition the topic has not", 7, produce(good(), func(r *kmsg.ProduceRequest) { r.Topics[0].Partitions[0].Partition = 9 }), kerr.UnknownTopicOrPartition},
		{"a topic of the brokers", 7, produce(good(), inTopic(topic.ConsumerOffsets)), kerr.InvalidTopicException},
		{"a wrong CRC", 7, produce(spoil(69, 1), nil), kerr.CorruptMessage},
		{"an unknown magic", 7, produce(spoil(16, 1), nil), kerr.CorruptMessage},
		{"no records at all", 7, produce(nil, nil), kerr.InvalidRecord},
		{"two batches", 7, produce(append(good(), good()...), nil), kerr.InvalidRecord},
		{"half a batch", 7, produce(good()[:30], nil), kerr.InvalidRecord},
		{"zstd before its time", 6, produce(batch(t, record.Zstd, nil, "v"), nil), kerr.UnsupportedCompressionType},
		{"a batch beyond max.message.bytes", 7, produce(batch(t, record.None, nil, string(make([]byte, 1048588))), nil), kerr.MessageTooLarge},
		{"a transaction without its id", 7, produce(batch(t, record.None, &record.Producer{ID: 1, Transactional: true}, "v"), nil),
			kerr.TransactionalIDAuthorizationFailed},
		{"the same partition twice", 7, produce(good(), func(r *kmsg.ProduceRequest) {
			r.Topics[0].Partitions = append(r.Topics[0].Partitions, kmsg.ProduceRequestTopicPartition{Records: good()})
		}), kerr.InvalidRecord},
	} {
		if got := a.produce(c.v, c.req); got.ErrorCode != c.want.Code || got.BaseOffset != -1 {
			t.Errorf("%s: code %d, offset %d; want %s", c.name, got.ErrorCode, got.BaseOffset, c.want.Name)
		}
	}
	if got := a.fetch(11, fetch(0, nil)); got.HighWatermark != 0 {
		t.Errorf("refused records were appended: high watermark %d", got.HighWatermark)
	}
}

func TestIdempotentProducersAppendOnceAndInOrder(t *testing.T) {
	c := brokertest.Start(t)
	a := ask(t, c, 0)
	a.mustCreate("t", 1)
	send := func(sequence int32, epoch int16) kmsg.ProduceResponseTopicPartition {
		return a.produce(9, produce(batch(t, record.None, &record.Producer{ID: 7, Epoch: epoch, BaseSequence: sequence}, "a", "b"), nil))
	}
	for _, s := range []struct {
		name     string
		sequence int32
		epoch    int16
		code     int16
		offset   int64
	}{
		{"the first batch of a producer nobody knows", 10, 1, 0, 0},
		{"the next one", 12, 1, 0, 2},
		{"the first once more gets the offset it had", 10, 1, 0, 0},
		{"a gap", 20, 1, kerr.OutOfOrderSequenceNumber.Code, -1},
		{"an older epoch", 0, 0, kerr.InvalidProducerEpoch.Code, -1},
		{"a new epoch that does not begin at 0", 3, 2, kerr.OutOfOrderSequenceNumber.Code, -1},
		{"a new epoch", 0, 2, 0, 4},
	} {
		if got := send(s.sequence, s.epoch); got.ErrorCode != s.code || got.BaseOffset != s.offset {
			t.Errorf("%s: code %d, offset %d; want %d, %d", s.name, got.ErrorCode, got.BaseOffset, s.code, s.offset)
		}
	}
	c.Node(0).Restart()
	a = ask(t, c, 0)
	if got := send(0, 2); got.ErrorCode != 0 || got.BaseOffset != 4 {
		t.Errorf("after a restart the last batch is not known any more: code %d, offset %d", got.ErrorCode, got.BaseOffset)
	}
	if got := send(2, 2); got.ErrorCode != 0 || got.BaseOffset != 6 {
		t.Errorf("after a restart the next batch: code %d, offset %d", got.ErrorCode, got.BaseOffset)
	}
}

func TestProducerIDsAreNeverGivenTwice(t *testing.T) {
	for _, level := range []string{"2.8", "3.9"} { // by znode, and by the controller
		t.Run(level, func(t *testing.T) {
			c := brokertest.Start(t, brokertest.Property("inter.broker.protocol.version", level))
			seen := map[int64]bool{}
			for range 3 {
				a := ask(t, c, 0)
				for range 5 {
					r := kmsg.NewPtrInitProducerIDRequest()
					r.TransactionTimeoutMillis = 1000
					got := do[*kmsg.InitProducerIDResponse](a, 4, r)
					if got.ErrorCode != 0 || got.ProducerEpoch != 0 || seen[got.ProducerID] {
						t.Fatalf("%+v, seen %v", got, seen)
					}
					seen[got.ProducerID] = true
				}
				c.Node(0).Restart()
			}
		})
	}
}

func TestFetchLimitsAndPlaces(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	a.mustCreate("t", 1)
	var stored []byte
	for i := range 3 {
		b := batch(t, record.None, nil, fmt.Sprint("v", i), "w")
		stored = append(stored, record.Batch(b)...)
		a.produce(9, produce(b, nil))
	}
	one := len(stored) / 3
	limits := func(total, partition int32) func(*kmsg.FetchRequest, *kmsg.FetchRequestTopicPartition) {
		return func(r *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) {
			r.MaxBytes, p.PartitionMaxBytes = total, partition
		}
	}
	for _, c := range []struct {
		name string
		v    int16
		req  *kmsg.FetchRequest
		code int16
		n    int // bytes of records
	}{
		{"everything", 11, fetch(0, nil), 0, 3 * one},
		{"from the middle of a batch, which comes whole", 11, fetch(3, nil), 0, 2 * one},
		{"the first batch comes whole whatever the limits", 11, fetch(0, limits(1, 1)), 0, one},
		{"batches are cut at the limit, not split from their start", 11, fetch(0, limits(1<<20, int32(one+10))), 0, one + 10},
		{"nothing new", 11, fetch(6, nil), 0, 0},
		{"beyond the end", 11, fetch(7, nil), kerr.OffsetOutOfRange.Code, 0},
		{"before the start", 11, fetch(-1, nil), kerr.OffsetOutOfRange.Code, 0},
		{"an epoch ahead of the leader's", 11, fetch(0, func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.CurrentLeaderEpoch = 9 }),
			kerr.UnknownLeaderEpoch.Code, 0},
		{"an isolation level nobody knows", 11, fetch(0, func(r *kmsg.FetchRequest, _ *kmsg.FetchRequestTopicPartition) { r.IsolationLevel = 5 }),
			kerr.UnknownServerError.Code, 0},
		{"an old reader with a limit below a batch sees that it is too small", 2, fetch(0, limits(1<<20, 40)), 0, 40},
	} {
		got := a.fetch(c.v, c.req)
		if got.ErrorCode != c.code || len(got.RecordBatches) != c.n {
			t.Errorf("%s: code %d, %d bytes; want %d, %d", c.name, got.ErrorCode, len(got.RecordBatches), c.code, c.n)
		}
	}
	got := a.fetch(12, fetch(6, func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.LastFetchedEpoch = 0 }))
	if got.DivergingEpoch.EndOffset != -1 || got.ErrorCode != 0 {
		t.Errorf("a reader that agrees: %+v", got)
	}
	got = a.fetch(12, fetch(8, func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.LastFetchedEpoch = 0 }))
	if got.DivergingEpoch.Epoch != 0 || got.DivergingEpoch.EndOffset != 6 {
		t.Errorf("a reader that went further in an epoch than its leader: %+v", got)
	}
}

// Whether a reader is still there shows only when it is answered; Kafka closes its connection after that time.
func TestAFetchWaitsNoLongerThanAConnectionMayBeIdle(t *testing.T) {
	a := ask(t, brokertest.Start(t, brokertest.Property("connections.max.idle.ms", "300")), 0)
	a.mustCreate("t", 1)
	begin := time.Now()
	got := a.fetch(12, fetch(0, func(r *kmsg.FetchRequest, _ *kmsg.FetchRequestTopicPartition) { r.MaxWaitMillis = 1<<31 - 1 }))
	if took := time.Since(begin); got.ErrorCode != 0 || took < 200*time.Millisecond || took > 20*time.Second {
		t.Errorf("code %d after %v", got.ErrorCode, took)
	}
}

func TestASessionTellsOnceWhatItHasToldWhenItWasOpened(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	a.mustCreate("t", 1)
	opened := do[*kmsg.FetchResponse](a, 12, fetch(0, func(r *kmsg.FetchRequest, _ *kmsg.FetchRequestTopicPartition) { r.SessionEpoch = 0 }))
	if len(opened.Topics) != 1 || opened.SessionID == 0 {
		t.Fatalf("%+v", opened)
	}
	r := kmsg.NewPtrFetchRequest()
	r.MaxBytes, r.SessionID, r.SessionEpoch = 1<<20, opened.SessionID, 1
	if next := do[*kmsg.FetchResponse](a, 12, r); next.ErrorCode != 0 || len(next.Topics) != 0 {
		t.Errorf("nothing has changed since, and told %+v", next)
	}
}

func TestTheOldestAndTheNewestReaderGetTheSameValues(t *testing.T) {
	for _, codec := range []record.Codec{record.None, record.Gzip, record.Snappy, record.LZ4} {
		t.Run(fmt.Sprint(codec), func(t *testing.T) {
			a := ask(t, brokertest.Start(t), 0)
			a.mustCreate("t", 1)
			a.produce(9, produce(batch(t, codec, nil, "first value", "second value"), nil))
			for v := int16(0); v <= 12; v++ {
				got := a.fetch(v, fetch(0, nil))
				if got.ErrorCode != 0 {
					t.Fatalf("version %d: code %d", v, got.ErrorCode)
				}
				if codec == record.None && !bytes.Contains(got.RecordBatches, []byte("second value")) {
					t.Errorf("version %d: %q", v, got.RecordBatches)
				}
				if magic := got.RecordBatches[16]; int16(magic) != min(2, v/2) {
					t.Errorf("version %d: magic %d", v, magic)
				}
			}
		})
	}
}

func TestListOffsets(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	a.mustCreate("t", 1)
	for range 3 {
		a.produce(9, produce(batch(t, record.None, nil, "a", "b"), nil))
	}
	type found struct {
		Code         int16
		Offset, Time int64
		Epoch        int32
	}
	list := func(v int16, ts int64) found {
		r := kmsg.NewPtrListOffsetsRequest()
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Timestamp, p.MaxNumOffsets = ts, 5
		r.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "t", Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
		r.ReplicaID = -1
		got := do[*kmsg.ListOffsetsResponse](a, v, r).Topics[0].Partitions[0]
		return found{got.ErrorCode, got.Offset, got.Timestamp, got.LeaderEpoch}
	}
	const at = 1700000000000
	for _, c := range []struct {
		name string
		v    int16
		ts   int64
		want found
	}{
		{"latest", 9, -1, found{0, 6, -1, 0}},
		{"earliest", 9, -2, found{0, 0, -1, 0}},
		{"largest timestamp, the first of several", 9, -3, found{0, 0, at, 0}},
		{"largest timestamp before version 7", 6, -3, found{35, -1, -1, -1}},
		{"earliest local", 8, -4, found{0, 0, -1, 0}},
		{"the tiered part there is none of", 9, -5, found{0, -1, -1, -1}},
		{"a name for nothing", 9, -6, found{35, -1, -1, -1}},
		{"a time before all records", 9, 0, found{0, 0, at, 0}},
		{"the time of the records", 9, at, found{0, 0, at, 0}},
		{"a time after all records", 9, at + 1, found{0, -1, -1, -1}},
	} {
		if diff := cmp.Diff(c.want, list(c.v, c.ts)); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
}

func TestAPartitionAskedForTwiceInListOffsets(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	a.mustCreate("t", 2)
	one, other := kmsg.NewListOffsetsRequestTopicPartition(), kmsg.NewListOffsetsRequestTopicPartition()
	other.Partition = 1
	one.Timestamp, other.Timestamp = -1, -1
	r := kmsg.NewPtrListOffsetsRequest()
	r.ReplicaID = -1
	r.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "t", Partitions: []kmsg.ListOffsetsRequestTopicPartition{one, other, one}}}
	var codes []int16
	for _, p := range do[*kmsg.ListOffsetsResponse](a, 9, r).Topics[0].Partitions {
		codes = append(codes, p.ErrorCode)
	}
	if want := []int16{kerr.InvalidRequest.Code, 0, kerr.InvalidRequest.Code}; !cmp.Equal(codes, want) {
		t.Errorf("codes %v, want %v", codes, want)
	}
}

func TestDeleteRecords(t *testing.T) {
	c := brokertest.Start(t)
	a := ask(t, c, 0)
	a.mustCreate("t", 1)
	if got := a.create(4, create("compacted", 1, 1, withConfig("cleanup.policy", "compact"))); got.ErrorCode != 0 {
		t.Fatal(result(got.ErrorCode, got.ErrorMessage))
	}
	a.produce(9, produce(batch(t, record.None, nil, "a", "b", "c"), nil))
	remove := func(name string, offset int64) (int16, int64) {
		r := kmsg.NewPtrDeleteRecordsRequest()
		r.TimeoutMillis = timeoutMS
		r.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: name, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Offset: offset}}}}
		got := do[*kmsg.DeleteRecordsResponse](a, 2, r).Topics[0].Partitions[0]
		return got.ErrorCode, got.LowWatermark
	}
	for _, s := range []struct {
		name, topic string
		offset      int64
		code        int16
		low         int64
	}{
		{"above the high watermark", "t", 4, 1, -1},
		{"on a compacted topic", "compacted", 0, 44, -1},
		{"on no topic", "nope", 0, 3, -1},
		{"some", "t", 1, 0, 1},
		{"less than before", "t", 0, 0, 1},
		{"all", "t", -1, 0, 3},
	} {
		if code, low := remove(s.topic, s.offset); code != s.code || low != s.low {
			t.Errorf("%s: code %d, low watermark %d; want %d, %d", s.name, code, low, s.code, s.low)
		}
	}
	c.Node(0).Restart()
	if got := ask(t, c, 0).fetch(11, fetch(3, nil)); got.ErrorCode != 0 || got.LogStartOffset != 3 || got.HighWatermark != 3 {
		t.Errorf("after a restart: %+v", got)
	}
}

func TestEndsOfLeaderEpochs(t *testing.T) {
	c := brokertest.Start(t)
	a := ask(t, c, 0)
	a.mustCreate("t", 1)
	a.produce(9, produce(batch(t, record.None, nil, "a", "b"), nil))
	end := func(epoch int32) (int16, int32, int64) {
		r := kmsg.NewPtrOffsetForLeaderEpochRequest()
		p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		p.LeaderEpoch = epoch
		r.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{p}}}
		got := do[*kmsg.OffsetForLeaderEpochResponse](a, 4, r).Topics[0].Partitions[0]
		return got.ErrorCode, got.LeaderEpoch, got.EndOffset
	}
	for epoch, want := range map[int32]string{0: "0 0 2", 5: "0 -1 -1", -1: "0 -1 -1"} {
		code, e, offset := end(epoch)
		if got := fmt.Sprint(code, e, offset); got != want {
			t.Errorf("epoch %d: %s, want %s", epoch, got, want)
		}
	}
}
