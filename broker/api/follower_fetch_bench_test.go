package api

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/storage"
	"github.com/zurau/zurau/broker/topic"
)

// followedBy2 is a Handler that leads partitions 0 to n-1 of topic "t" in epoch 1, with broker 2 as their in-sync
// follower.
func followedBy2(t testing.TB, n int32) *Handler {
	t.Helper()
	h := data(t, n)
	req := kmsg.NewPtrLeaderAndISRRequest()
	req.Version = 7
	states := kmsg.LeaderAndISRRequestTopicState{Topic: "t", TopicID: h.Metadata.Load().Topic("t").ID}
	for id := range n {
		states.PartitionStates = append(states.PartitionStates, kmsg.LeaderAndISRRequestTopicPartition{
			Partition: id, Leader: 1, LeaderEpoch: 1, ISR: []int32{1, 2}, Replicas: []int32{1, 2}})
	}
	req.TopicStates = []kmsg.LeaderAndISRRequestTopicState{states}
	for _, p := range h.Replicas.LeaderAndIsr(req).Topics[0].Partitions {
		if p.ErrorCode != 0 {
			t.Fatalf("partition %d: code %d", p.Partition, p.ErrorCode)
		}
	}
	return h
}

// followerSession is broker 2's side of a fetch session.
type followerSession struct {
	t       testing.TB
	h       *Handler
	id      [16]byte
	session int32
	epoch   int32
	ends    []int64 // of its logs
}

// openFollowerSession fetches all n partitions once.
func openFollowerSession(t testing.TB, h *Handler, n int32) *followerSession {
	s := &followerSession{t: t, h: h, id: h.Metadata.Load().Topic("t").ID, ends: make([]int64, n)}
	all := make([]int32, n)
	for id := range n {
		all[id] = id
	}
	ended, end := context.WithCancel(context.Background())
	end()
	s.fetch(ended, all...)
	return s
}

// fetch tells the leader where the log ends of the partitions that changed, and takes over what comes. It returns
// the number of bytes. Once ctx has ended it does not wait for any.
func (s *followerSession) fetch(ctx context.Context, changed ...int32) int {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.ReplicaState.ID, req.ReplicaState.Epoch, req.ReplicaID = 17, 2, 5, 2
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 500, 1, 10<<20
	req.SessionID, req.SessionEpoch = s.session, s.epoch
	if len(changed) > 0 {
		req.Topics = []kmsg.FetchRequestTopic{{TopicID: s.id}}
	}
	for _, id := range changed {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.CurrentLeaderEpoch, p.FetchOffset, p.LastFetchedEpoch = id, 1, s.ends[id], -1
		if s.ends[id] > 0 {
			p.LastFetchedEpoch = 1
		}
		p.LogStartOffset, p.PartitionMaxBytes = 0, 1<<20
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, p)
	}
	f := fetching{h: s.h, req: req, listener: "PLAINTEXT", now: time.Now(), full: true, room: fetchRooms.Get().(*fetchRoom)}
	defer f.room.giveBack()
	if err := f.resolve(); err != nil {
		s.t.Fatal(err)
	}
	f.read(ctx)
	_ = f.reply()
	if s.session, s.epoch = f.id, s.epoch+1; s.session == 0 {
		s.t.Fatal("the leader keeps no session")
	}
	return s.take(&f)
}

func (s *followerSession) take(f *fetching) (bytes int) {
	for i := range f.got {
		got := &f.got[i]
		if got.Err != nil {
			s.t.Fatalf("partition %d: %v", f.parts[i].partition, got.Err)
		}
		if got.Region.N > 0 {
			bytes += got.Region.N
			s.ends[f.parts[i].partition] = got.View.LogEndOffset
			got.Region.Release.Release()
		}
	}
	return bytes
}

func (s *followerSession) produce(id int32, batch []byte) {
	p := s.h.Replicas.Partition(topic.Partition{Topic: "t", ID: id})
	if _, err := p.AppendAsLeader(batch, -1, storage.AppendOptions{Origin: storage.Client, ProduceVersion: 9}); err != nil {
		s.t.Fatal(err)
	}
}

// A follower's fetch of which one partition has news: what it costs the leader, by how many more are in its session.
// "idle" is a fetch without news that goes to sleep; it is not kept waiting here.
func BenchmarkFollowerFetch(b *testing.B) {
	ended, end := context.WithCancel(context.Background())
	end()
	for _, n := range []int32{1, 100, 1000} {
		b.Run(fmt.Sprintf("one of %d", n), func(b *testing.B) {
			s := openFollowerSession(b, followedBy2(b, n), n)
			batch := records(b, 100)
			b.ReportAllocs()
			for b.Loop() {
				clear(batch[:8]) // the offset a producer sends
				s.produce(0, batch)
				if s.fetch(context.Background(), 0) == 0 {
					b.Fatal("nothing came")
				}
			}
		})
		b.Run(fmt.Sprintf("idle %d", n), func(b *testing.B) {
			s := openFollowerSession(b, followedBy2(b, n), n)
			b.ReportAllocs()
			for b.Loop() {
				s.fetch(ended)
			}
		})
	}
}
