package replica

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/topic"
)

// followingAll is a fetcher that follows broker 2 with n partitions in an open session.
func followingAll(t testing.TB, n int32) *fetcher {
	t.Helper()
	m := newManager(t, nil)
	m.Fetchers = FetcherOptions{Level: ibp.Latest, BrokerEpoch: func() int64 { return 5 }, MinBytes: 1, MaxBytes: 10 << 20,
		PartitionMaxBytes: 1 << 20}
	req := kmsg.NewPtrLeaderAndISRRequest()
	req.Version, req.ControllerEpoch = 7, 1
	s := kmsg.LeaderAndISRRequestTopicState{Topic: "t", TopicID: topic.NewID()}
	for id := range n {
		p := kmsg.NewLeaderAndISRRequestTopicPartition()
		p.Partition, p.Leader, p.LeaderEpoch, p.ISR, p.Replicas, p.IsNew = id, 2, 1, []int32{2, self}, []int32{2, self}, true
		s.PartitionStates = append(s.PartitionStates, p)
	}
	req.TopicStates = []kmsg.LeaderAndISRRequestTopicState{s}
	m.LeaderAndIsr(req)
	f := newFetcher(m, fetcherKey{leader: 2})
	for _, p := range m.All() {
		f.inbox.assignments = append(f.inbox.assignments, assignment{p, p.role.Load()})
	}
	f.takeInbox()
	f.openSession()
	f.session.request(m)
	return f
}

// What a follower does for one fetch beside the fetch itself, when records came for one partition of n.
func BenchmarkFollowerRound(b *testing.B) {
	for _, n := range []int32{1, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := followingAll(b, n)
			records := batch(b, "a value")
			answer := kmsg.NewFetchResponseTopicPartition()
			record.Batch(records).SetLeaderEpoch(1)
			g := f.parts[t0]
			b.ReportAllocs()
			for b.Loop() {
				record.Batch(records).SetBaseOffset(f.session.offset(t0))
				answer.RecordBatches = records
				f.takeInbox()
				f.letGo()
				f.take(b.Context(), g, &answer)
				if req := f.session.request(f.m); len(req.Topics) != 1 {
					b.Fatalf("%d topics", len(req.Topics))
				}
			}
		})
	}
}
