package controller

import (
	"context"
	"fmt"
	"testing"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// BenchmarkFailover is the time from the death of a controller that led a third of 2,000 partitions,
// replicated over three brokers, to the last request of the new one. Between processes, both makers on the same busy
// two cores (kbench failover, 200 topics of 10 partitions, a session of 6 s), it was seen that
//
//	                                                       ours      Kafka 3.9.1
//	/controller deleted, new leader of the cluster known   0.08 s     0.11 s
//	  longest gap of acknowledgements                      0.15 s     2.1 s
//	controller killed, the new one known                   0.4 s      6.9 s
//	  every partition led again                            1.8 s      16 s
func BenchmarkFailover(b *testing.B) {
	const topics, partitions = 200, 10
	s := &stage{t: b, level: ibp.Latest, deleteTopics: true, registered: make(map[int32]*zkmeta.Client)}
	s.open()
	for id := range int32(3) {
		s.register(id+1, "", "PLAINTEXT")
	}
	s.log = zap.NewNop()
	s.stand(1)
	s.await(firstHints...)
	for i := range int32(topics) {
		a := zkmeta.TopicAssignment{ID: topic.NewID(), Partitions: make(map[int32][]int32)}
		for p := range int32(partitions) {
			first := (i + p) % 3
			a.Partitions[p] = []int32{first + 1, (first+1)%3 + 1, (first+2)%3 + 1}
		}
		if err := s.tool.Session().CreateTopic(context.Background(), fmt.Sprintf("t%d", i), nil, a); err != nil {
			b.Fatal(err)
		}
	}
	for s.c.numbers.partitions.Load() < topics*partitions {
		s.await("TopicChange")
	}
	dead, next := int32(1), int32(2)
	for b.Loop() {
		b.StopTimer()
		s.retire()
		s.registered[dead].Close()
		b.StartTimer()
		s.stand(next)
		s.await("RegisterBrokerAndReelect")
		b.StopTimer()
		s.await("BrokerChange")
		s.register(dead, "", "PLAINTEXT")
		s.await("BrokerChange")
		dead, next = next, dead
		b.StartTimer()
	}
	b.ReportMetric(topics*partitions, "partitions")
}
