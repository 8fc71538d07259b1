package brokertest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/record"
)

// What partitions of several replicas do beside copying records. Each test works on t-0, request by request.

// written is a batch of one record with so large a value, part of p's transaction or of none.
func written(t *testing.T, p *record.Producer, size int) []byte {
	t.Helper()
	b := record.NewBuilder(record.Compression{}, 16<<20)
	if err := b.Append(time.Now().UnixMilli(), nil, bytes.Repeat([]byte("v"), size), nil); err != nil {
		t.Fatal(err)
	}
	batch, err := b.Finish(p)
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

// write sends a batch with acks of all, and answers its code.
func write(t *testing.T, to *Node, batch []byte) int16 {
	t.Helper()
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis, req.TransactionID = 9, -1, 10000, kmsg.StringPtr("x")
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: "t", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: batch}}}}
	return ask[*kmsg.ProduceResponse](t, to.Addr(), req).Topics[0].Partitions[0].ErrorCode
}

func mustWrite(t *testing.T, to *Node, batch []byte) {
	t.Helper()
	if err := kerr.ForCode(write(t, to, batch)); err != nil {
		t.Fatal(err)
	}
}

// readFrom fetches from an offset on, at once, as a consumer in a rack.
func readFrom(t *testing.T, from *Node, offset int64, rack string, committed bool) kmsg.FetchResponseTopicPartition {
	t.Helper()
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxBytes, req.SessionEpoch, req.Rack = 11, 32<<20, -1, rack
	if committed {
		req.IsolationLevel = 1
	}
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes = offset, 32<<20
	req.Topics = []kmsg.FetchRequestTopic{{Topic: "t", Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	return ask[*kmsg.FetchResponse](t, from.Addr(), req).Topics[0].Partitions[0]
}

// deleteTo deletes the records below offset.
func deleteTo(t *testing.T, leader *Node, offset int64, timeout time.Duration) kmsg.DeleteRecordsResponseTopicPartition {
	t.Helper()
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.Version, req.TimeoutMillis = 1, int32(timeout.Milliseconds())
	req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: "t", Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Offset: offset}}}}
	return ask[*kmsg.DeleteRecordsResponse](t, leader.Addr(), req).Topics[0].Partitions[0]
}

// awaitLeader waits until a node knows itself to lead t-0.
func awaitLeader(t *testing.T, n *Node) {
	t.Helper()
	eventually(t, fmt.Sprintf("broker %d leads", n.id), func() error {
		return errorOrNil(kerr.ForCode(readFrom(t, n, 0, "", false).ErrorCode))
	})
}

// A19: what was deleted does not come back with another leader, and who was away follows when he is back.
func TestDeletedRecordsStayDeletedBehindAFailover(t *testing.T) {
	c := Start(t, Brokers(3), quickStops, Property("replica.lag.time.max.ms", "2000"))
	createAssigned(t, c, assignment{{0, 1, 2}}, nil)
	leader, next, away := c.Node(0), c.Node(1), c.Node(2)
	awaitInSync(t, leader.Addr(), 0, 1, 2)
	for range 5 {
		mustWrite(t, leader, written(t, nil, 1))
	}
	if got := deleteTo(t, leader, 2, 20*time.Second); got.ErrorCode != 0 || got.LowWatermark != 2 {
		t.Fatalf("with all there: %+v", got)
	}
	away.Stop()
	eventually(t, "a deletion does not wait for who is away", func() error {
		if got := deleteTo(t, leader, 4, time.Second); got.ErrorCode != 0 || got.LowWatermark != 4 {
			return fmt.Errorf("%+v", got)
		}
		return nil
	})
	away.Start()
	awaitInSync(t, next.Addr(), 0, 1, 2)
	leader.Stop()
	awaitInSync(t, next.Addr(), 1, 2)
	next.Stop()
	eventually(t, "who was away leads, with the log start of the others", func() error {
		if got := readFrom(t, away, 4, "", false); got.ErrorCode != 0 || got.LogStartOffset != 4 || got.HighWatermark != 5 {
			return fmt.Errorf("code %d, log start %d, high watermark %d", got.ErrorCode, got.LogStartOffset, got.HighWatermark)
		}
		return nil
	})
	if got := readFrom(t, away, 3, "", false); got.ErrorCode != kerr.OffsetOutOfRange.Code {
		t.Errorf("offset 3 is answered with %d", got.ErrorCode)
	}
}

// A transaction that is open when its leader goes is open at the next, and its marker ends it there.
func TestATransactionOutlivesItsLeader(t *testing.T) {
	c := Start(t, Brokers(2), quickStops)
	createAssigned(t, c, assignment{{0, 1}}, nil)
	c.CreateTopic("__transaction_state", 1, 1)
	first, second := c.Node(0), c.Node(1)
	awaitInSync(t, first.Addr(), 0, 1)
	mustWrite(t, first, written(t, nil, 1))                                          // offset 0
	mustWrite(t, first, written(t, &record.Producer{ID: 7, Transactional: true}, 1)) // 1
	mustWrite(t, first, written(t, &record.Producer{ID: 8, Transactional: true}, 1)) // 2
	mark := func(n *Node, producer int64, coordinator int32, commit bool) int16 {
		req := kmsg.NewPtrWriteTxnMarkersRequest()
		req.Version = 1
		req.Markers = []kmsg.WriteTxnMarkersRequestMarker{{ProducerID: producer, Committed: commit, CoordinatorEpoch: coordinator,
			Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: "t", Partitions: []int32{0}}}}}
		return ask[*kmsg.WriteTxnMarkersResponse](t, n.Addr(), req).Markers[0].Topics[0].Partitions[0].ErrorCode
	}
	if code := mark(first, 8, 5, false); code != 0 { // 3
		t.Fatalf("the abort is answered with %d", code)
	}
	first.Stop()
	awaitLeader(t, second)
	stable := func(want int64) {
		t.Helper()
		eventually(t, "the last stable offset", func() error {
			if got := readFrom(t, second, 0, "", true); got.LastStableOffset != want {
				return fmt.Errorf("it is %d, want %d", got.LastStableOffset, want)
			}
			return nil
		})
	}
	stable(1)
	if code := mark(second, 8, 4, true); code != kerr.TransactionCoordinatorFenced.Code {
		t.Errorf("a coordinator that was replaced before the failover is answered with %d", code)
	}
	if code := mark(second, 7, 0, true); code != 0 {
		t.Errorf("the commit is answered with %d", code)
	}
	stable(5)
	if got := readFrom(t, second, 0, "", true).AbortedTransactions; len(got) != 1 || got[0].ProducerID != 8 || got[0].FirstOffset != 2 {
		t.Errorf("aborted: %+v", got)
	}
}

// KIP-392, and A20: only who is in sync is named, and what he shows is what the leader shows.
func TestConsumersReadFromTheFollowerOfTheirRack(t *testing.T) {
	c := Start(t, Brokers(3), quickStops, Property("replica.lag.time.max.ms", "1500"), NodeProperty(0, "broker.rack", "a"),
		NodeProperty(1, "broker.rack", "b"), NodeProperty(2, "broker.rack", "c"),
		Property("replica.selector.class", "org.apache.kafka.common.replica.RackAwareReplicaSelector"))
	createAssigned(t, c, assignment{{0, 1, 2}}, nil)
	leader, near := c.Node(0), c.Node(1)
	awaitInSync(t, leader.Addr(), 0, 1, 2)
	mustWrite(t, leader, written(t, nil, 1))
	for rack, want := range map[string]int32{"": -1, "a": -1, "b": 1, "c": 2, "d": -1} {
		got := readFrom(t, leader, 0, rack, false)
		if got.ErrorCode != 0 || got.PreferredReadReplica != want || (len(got.RecordBatches) == 0) != (want >= 0) || got.HighWatermark != 1 {
			t.Errorf("rack %q: sent to %d with %d bytes, code %d", rack, got.PreferredReadReplica, len(got.RecordBatches), got.ErrorCode)
		}
	}
	quickest := time.Hour
	for range 20 {
		mustWrite(t, leader, written(t, nil, 1))
		end := readFrom(t, leader, 0, "", false).HighWatermark
		began := time.Now()
		eventually(t, "the follower shows what the leader shows", func() error {
			if got := readFrom(t, near, end-1, "b", false); got.ErrorCode != 0 || got.HighWatermark != end || len(got.RecordBatches) == 0 {
				return fmt.Errorf("code %d, high watermark %d of %d", got.ErrorCode, got.HighWatermark, end)
			}
			return nil
		})
		quickest = min(quickest, time.Since(began))
	}
	if quickest > 300*time.Millisecond { // each waited for the end of an idle fetch
		t.Errorf("a record was to be read at the follower %v later, at best", quickest)
	}
	if got := readFrom(t, near, 22, "b", false); got.ErrorCode != kerr.OffsetOutOfRange.Code {
		t.Errorf("behind the end a follower answers %d", got.ErrorCode)
	}
	near.Stop()
	eventually(t, "who is away is named no more", func() error {
		if got := readFrom(t, leader, 0, "b", false); got.PreferredReadReplica != -1 || len(got.RecordBatches) == 0 {
			return fmt.Errorf("sent to %d", got.PreferredReadReplica)
		}
		return nil
	})
	near.Start()
	eventually(t, "and is named again when he is in sync", func() error {
		if got := readFrom(t, leader, 0, "b", false); got.PreferredReadReplica != 1 {
			return fmt.Errorf("sent to %d", got.PreferredReadReplica)
		}
		return nil
	})
}

// configure sets one key of a topic ("t") or of a broker (its number).
func configure(t *testing.T, c *Cluster, kind kmsg.ConfigResourceType, name, key, value string) {
	t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Version = 1
	req.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kind, ResourceName: name,
		Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: key, Value: &value}}}}
	got := ask[*kmsg.IncrementalAlterConfigsResponse](t, c.Bootstrap()[0], req).Resources[0]
	if got.ErrorCode != 0 {
		t.Fatalf("%s=%s: %d", key, value, got.ErrorCode)
	}
}

// KIP-73, both ends: a replica that comes back catches up as fast as its throttle lets it, and at once without.
func TestAThrottledReplicaCatchesUpSlowly(t *testing.T) {
	for _, side := range []struct{ key, throttled string }{{"leader", "0:0"}, {"follower", "0:1"}} {
		t.Run(side.key, func(t *testing.T) {
			t.Parallel()
			c := Start(t, Brokers(2), quickStops, Property("replica.lag.time.max.ms", "1500"),
				Property("replica.fetch.max.bytes", "20000"), Property("replica.fetch.wait.max.ms", "50"))
			createAssigned(t, c, assignment{{0, 1}}, nil)
			leader, back := c.Node(0), c.Node(1)
			awaitInSync(t, leader.Addr(), 0, 1)
			back.Stop()
			awaitInSync(t, leader.Addr(), 0)
			for range 50 {
				mustWrite(t, leader, written(t, nil, 10000))
			}
			configure(t, c, kmsg.ConfigResourceTypeTopic, "t", side.key+".replication.throttled.replicas", side.throttled)
			configure(t, c, kmsg.ConfigResourceTypeBroker, "", side.key+".replication.throttled.rate", "100000")
			back.Start()
			began := time.Now()
			behind := func() int { return len(logOf(leader, 0)) - len(logOf(back, 0)) }
			eventually(t, "two fifths are there", func() error {
				if n := behind(); n > 300000 {
					return fmt.Errorf("%d bytes are missing", n)
				}
				return nil
			})
			// 200 kB take 2 s, less the answer of 20 kB that exceeds the rate.
			if took := time.Since(began); took < 1500*time.Millisecond {
				t.Errorf("200 kB came in %v at 100 kB a second", took)
			}
			if behind() < 100000 {
				t.Error("the rest came at once")
			}
			configure(t, c, kmsg.ConfigResourceTypeBroker, "", side.key+".replication.throttled.rate", "500000000")
			began = time.Now()
			awaitInSync(t, leader.Addr(), 0, 1)
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("without a throttle the rest took %v", took)
			}
		})
	}
}

// A17: a batch above replica.fetch.max.bytes is the first of its answer, and comes whole (KIP-74).
func TestABatchAboveTheFollowersLimitIsReplicated(t *testing.T) {
	c := Start(t, Brokers(2), quickStops, Property("replica.fetch.max.bytes", "1024"), Property("replica.fetch.response.max.bytes", "2048"))
	createAssigned(t, c, assignment{{0, 1}}, map[string]string{"max.message.bytes": "2000000", "min.insync.replicas": "2"})
	awaitInSync(t, c.Node(0).Addr(), 0, 1)
	for _, size := range []int{1, 1 << 20, 1, 1500000, 1} {
		mustWrite(t, c.Node(0), written(t, nil, size)) // acknowledged by both
	}
	checkLogs(t, c, assignment{{0, 1}})
}

// 19 before anything is written, and the record is nowhere.
func TestTooFewReplicasRefuseBeforeTheAppend(t *testing.T) {
	c := Start(t, Brokers(3), quickStops, Property("min.insync.replicas", "2"))
	createAssigned(t, c, assignment{{0, 1, 2}}, nil)
	awaitInSync(t, c.Node(0).Addr(), 0, 1, 2)
	c.Node(1).Stop()
	awaitInSync(t, c.Node(0).Addr(), 0, 2)
	mustWrite(t, c.Node(0), written(t, nil, 1))
	c.Node(2).Stop()
	awaitInSync(t, c.Node(0).Addr(), 0)
	size := len(logOf(c.Node(0), 0))
	if code := write(t, c.Node(0), written(t, nil, 1)); code != kerr.NotEnoughReplicas.Code {
		t.Errorf("one replica of two needed: %d", code)
	}
	if got := len(logOf(c.Node(0), 0)); got != size {
		t.Errorf("the log grew from %d to %d bytes", size, got)
	}
	c.Node(1).Start()
	eventually(t, "it goes on with two", func() error { return errorOrNil(kerr.ForCode(write(t, c.Node(0), written(t, nil, 1)))) })
}

// A16: what a leader's disk spoiled does not reach the follower's log, and keeps no other partition from its followers.
func TestAFlippedBitAtTheLeaderStopsOnlyItsPartition(t *testing.T) {
	c := Start(t, Brokers(2), quickStops, Property("replica.lag.time.max.ms", "60000"), Property("replica.fetch.backoff.ms", "100"))
	createAssigned(t, c, assignment{{0, 1}, {0, 1}}, nil)
	leader, follower := c.Node(0), c.Node(1)
	awaitInSync(t, leader.Addr(), 0, 1)
	mustWrite(t, leader, written(t, nil, 100))
	follower.Stop()
	awaitInSync(t, leader.Addr(), 0)
	mustWrite(t, leader, written(t, nil, 100))
	flip(t, filepath.Join(leader.Dir(), "t-0", "00000000000000000000.log"), 200)
	follower.Start()
	eventually(t, "the other partition is in sync", func() error {
		for _, p := range metadataOf(t, leader.Addr(), "t", false).Partitions {
			if inSync := slices.Contains(p.ISR, 1); p.Partition == 1 && !inSync {
				return errors.New("not yet")
			} else if p.Partition == 0 && inSync {
				t.Fatal("a follower without the spoiled batch is in sync")
			}
		}
		return nil
	})
	if got := logOf(follower, 0); len(got) == 0 || !bytes.HasPrefix(logOf(leader, 0), got) || len(got) >= 200 {
		t.Errorf("the follower has %d bytes", len(got))
	}
}

// flip turns one bit of a file over.
func flip(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err = f.ReadAt(b[:], at); err == nil {
		b[0] ^= 1
		_, err = f.WriteAt(b[:], at)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The high watermark is written down by every replica, and a clean restart of all begins there: nothing that was visible
// is hidden again.
func TestTheHighWatermarkOutlivesEverybody(t *testing.T) {
	c := Start(t, Brokers(2), quickStops)
	createAssigned(t, c, assignment{{0, 1}}, nil)
	awaitInSync(t, c.Node(0).Addr(), 0, 1)
	for range 3 {
		mustWrite(t, c.Node(0), written(t, nil, 1))
	}
	eventually(t, "the follower has heard of the high watermark", func() error {
		if got := readFrom(t, c.Node(1), 0, "", false); got.HighWatermark != 3 {
			return fmt.Errorf("it is %d", got.HighWatermark)
		}
		return nil
	})
	c.Node(1).Stop()
	c.Node(0).Stop()
	for _, n := range c.Nodes() {
		text, err := os.ReadFile(filepath.Join(n.Dir(), "replication-offset-checkpoint"))
		if err != nil || !strings.Contains(string(text), "t 0 3\n") {
			t.Errorf("broker %d wrote %q, %v", n.id, text, err)
		}
	}
	c.Node(0).Start()
	awaitLeader(t, c.Node(0))
	if got := readFrom(t, c.Node(0), 0, "", false); got.HighWatermark != 3 {
		t.Errorf("the high watermark is %d", got.HighWatermark)
	}
}
