package api_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/brokertest"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/topic"
)

// markers is a request that ends one producer's transaction; topics are pairs of a name and a partition.
func markers(producer int64, epoch int16, commit bool, coordinator int32, topics ...any) *kmsg.WriteTxnMarkersRequest {
	r := kmsg.NewPtrWriteTxnMarkersRequest()
	m := kmsg.WriteTxnMarkersRequestMarker{ProducerID: producer, ProducerEpoch: epoch, Committed: commit, CoordinatorEpoch: coordinator}
	for i := 0; i < len(topics); i += 2 {
		m.Topics = append(m.Topics, kmsg.WriteTxnMarkersRequestMarkerTopic{
			Topic: topics[i].(string), Partitions: []int32{int32(topics[i+1].(int))}})
	}
	r.Markers = append(r.Markers, m)
	return r
}

// told writes an answer as "producer topic-partition code", an element for each partition.
func told(resp *kmsg.WriteTxnMarkersResponse) (all []string) {
	for _, m := range resp.Markers {
		for _, topic := range m.Topics {
			for _, p := range topic.Partitions {
				all = append(all, fmt.Sprintf("%d %s-%d %s", m.ProducerID, topic.Topic, p.Partition, result(p.ErrorCode, nil)))
			}
		}
	}
	return all
}

// inTransaction appends one record to t-0 as part of producer's transaction.
func (a asker) inTransaction(producer int64, epoch int16, sequence int32) {
	a.t.Helper()
	got := a.produce(9, produce(batch(a.t, record.None, &record.Producer{ID: producer, Epoch: epoch, BaseSequence: sequence,
		Transactional: true}, "v"), func(r *kmsg.ProduceRequest) { r.TransactionID = kmsg.StringPtr("x") }))
	if got.ErrorCode != 0 {
		a.t.Fatalf("producer %d: %s", producer, result(got.ErrorCode, nil))
	}
}

func committed(r *kmsg.FetchRequest, _ *kmsg.FetchRequestTopicPartition) { r.IsolationLevel = 1 }

func TestMarkersEndTransactionsAndEveryPartitionIsAnswered(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	a.mustCreate("t", 1)
	a.mustCreate("u", 2)
	a.mustCreate(topic.TransactionState, 1)
	a.mustCreate(topic.ConsumerOffsets, 1)
	write := func(v int16, r *kmsg.WriteTxnMarkersRequest) []string {
		t.Helper()
		return told(do[*kmsg.WriteTxnMarkersResponse](a, v, r))
	}
	a.inTransaction(7, 3, 0) // offset 0
	a.inTransaction(8, 0, 0) // 1
	a.inTransaction(9, 0, 0) // 2
	twice := markers(8, 0, false, 2, "t", 0)
	twice.Markers = append(twice.Markers, markers(8, 0, false, 2, "t", 0, "u", 0).Markers...)
	for _, c := range []struct {
		name string
		v    int16
		req  *kmsg.WriteTxnMarkersRequest
		want []string
		lso  int64 // of t-0 afterwards
	}{
		{"nothing asked", 1, kmsg.NewPtrWriteTxnMarkersRequest(), nil, 0},
		{"what the cluster has not", 0, markers(7, 3, true, 5, "nope", 0, "u", 2, "t", -1),
			[]string{"7 nope-0 UNKNOWN_TOPIC_OR_PARTITION", "7 u-2 UNKNOWN_TOPIC_OR_PARTITION", "7 t--1 UNKNOWN_TOPIC_OR_PARTITION"}, 0},
		{"an epoch that is over", 1, markers(7, 2, true, 5, "t", 0), []string{"7 t-0 INVALID_PRODUCER_EPOCH"}, 0},
		{"a commit, and a topic of the brokers", 1, markers(7, 3, true, 5, "t", 0, topic.ConsumerOffsets, 0),
			[]string{"7 t-0 ok", "7 __consumer_offsets-0 ok"}, 1},
		{"a coordinator that is over", 1, markers(7, 3, true, 4, "t", 0), []string{"7 t-0 TRANSACTION_COORDINATOR_FENCED"}, 1},
		{"an abort, named twice", 1, twice, []string{"8 t-0 ok", "8 u-0 ok"}, 2},
		{"a higher epoch fences who is still there", 0, markers(9, 1, false, 0, "t", 0), []string{"9 t-0 ok"}, 7},
	} {
		if got := write(c.v, c.req); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if got := a.fetch(11, fetch(0, committed)); got.LastStableOffset != c.lso {
			t.Errorf("%s: last stable offset %d, want %d", c.name, got.LastStableOffset, c.lso)
		}
	}
	var aborted []string
	for _, x := range a.fetch(11, fetch(0, committed)).AbortedTransactions {
		aborted = append(aborted, fmt.Sprintf("%d from %d", x.ProducerID, x.FirstOffset))
	}
	if want := []string{"8 from 1", "9 from 2"}; !slices.Equal(aborted, want) {
		t.Errorf("aborted %q, want %q", aborted, want)
	}
	if got := a.fetch(11, fetch(0, nil)).AbortedTransactions; got != nil {
		t.Errorf("a reader of everything is told of aborted transactions: %v", got)
	}
	late := a.produce(9, produce(batch(t, record.None, &record.Producer{ID: 9, BaseSequence: 1, Transactional: true}, "v"),
		func(r *kmsg.ProduceRequest) { r.TransactionID = kmsg.StringPtr("x") }))
	if late.ErrorCode != kerr.InvalidProducerEpoch.Code {
		t.Errorf("the fenced producer writes on: %s", result(late.ErrorCode, nil))
	}
}

// What binds clients must not keep a transaction open for ever: Java's coordinator gives up at MESSAGE_TOO_LARGE.
func TestAMarkerIsNotBoundByWhatTheTopicLetsClientsWrite(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	strict := withConfig("max.message.bytes", "70", "message.timestamp.type", "LogAppendTime", "cleanup.policy", "compact",
		"message.timestamp.before.max.ms", "0", "message.timestamp.after.max.ms", "0", "compression.type", "zstd")
	if got := a.create(4, create("t", 1, 1, strict)); got.ErrorCode != 0 {
		t.Fatal(result(got.ErrorCode, got.ErrorMessage))
	}
	got := told(do[*kmsg.WriteTxnMarkersResponse](a, 1, markers(7, 0, true, 0, "t", 0)))
	if want := []string{"7 t-0 ok"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestAMarkerIsAnsweredWhenTheInSyncReplicasHaveIt(t *testing.T) {
	c := brokertest.Start(t, brokertest.Brokers(2), brokertest.Links(), brokertest.Property("request.timeout.ms", "1500"),
		brokertest.Property("replica.lag.time.max.ms", "60000"))
	a, b := ask(t, c, 0), ask(t, c, 1)
	for _, to := range []asker{a, b} { // one of them is the controller
		to.create(4, create("t", -1, -1, func(r *kmsg.CreateTopicsRequestTopic) {
			withReplicas([]int32{0, 1})(r)
			withConfig("min.insync.replicas", "2")(r)
		}))
	}
	write := func(to asker) []string {
		t.Helper()
		return told(do[*kmsg.WriteTxnMarkersResponse](to, 1, markers(7, 0, true, 0, "t", 0)))
	}
	becomes := func(when string, to asker, want string) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			got := write(to)
			if slices.Equal(got, []string{"7 t-0 " + want}) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %q", when, got)
			}
		}
	}
	becomes("both are there", a, "ok")
	becomes("the follower is asked", b, "NOT_LEADER_OR_FOLLOWER")
	c.Node(0).Cut(brokertest.Peers)
	if got := write(a); !slices.Equal(got, []string{"7 t-0 REQUEST_TIMED_OUT"}) {
		t.Errorf("the follower does not get it: %q", got)
	}
	c.Node(0).Heal()
	c.Node(1).Stop() // leaves the ISR at once: a controlled shutdown
	becomes("the follower has gone", a, "NOT_ENOUGH_REPLICAS")
}
