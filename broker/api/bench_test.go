package api

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/metadata"
	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/replica"
	"github.com/zurau/zurau/broker/storage"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/broker/wire"
)

// data is a Handler with what produce, fetch and metadata need, leading partitions 0 to n-1 of topic "t".
func data(t testing.TB, n int32) *Handler {
	t.Helper()
	cfg, _, err := config.New(map[string]string{"zookeeper.connect": "unused", "log.dirs": t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	dynamic := config.NewDynamic(cfg)
	store, err := storage.Open(storage.Options{Dirs: cfg.LogDirs, Topic: dynamic.Topic, BrokerID: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	m := replica.NewManager(replica.Options{BrokerID: 1, Storage: store, RefreshTopics: func([]string) {}, Logger: zap.NewNop(),
		Alive: func(int32) bool { return true }, LeaderAddr: func(int32) (string, bool) { return "", false }})
	t.Cleanup(m.Stop)
	req := kmsg.NewPtrLeaderAndISRRequest()
	req.Version = 7
	states := kmsg.LeaderAndISRRequestTopicState{Topic: "t", TopicID: topic.NewID()}
	picture := kmsg.NewPtrUpdateMetadataRequest()
	picture.Version = 8
	told := kmsg.UpdateMetadataRequestTopicState{Topic: "t", TopicID: states.TopicID}
	for id := range n {
		states.PartitionStates = append(states.PartitionStates, kmsg.LeaderAndISRRequestTopicPartition{
			Partition: id, Leader: 1, ISR: []int32{1}, Replicas: []int32{1}, IsNew: true})
		told.PartitionStates = append(told.PartitionStates, kmsg.UpdateMetadataRequestTopicPartition{
			Partition: id, Leader: 1, ISR: []int32{1}, Replicas: []int32{1}})
	}
	req.TopicStates = []kmsg.LeaderAndISRRequestTopicState{states}
	m.LeaderAndIsr(req)
	picture.TopicStates = []kmsg.UpdateMetadataRequestTopicState{told}
	picture.LiveBrokers = []kmsg.UpdateMetadataRequestLiveBroker{{ID: 1, Endpoints: []kmsg.UpdateMetadataRequestLiveBrokerEndpoint{
		{Host: "localhost", Port: 9092, ListenerName: "PLAINTEXT"}}}}
	cache := metadata.New()
	cache.Update(picture)
	return New(Options{BrokerID: 1, Config: dynamic, Metadata: cache, Replicas: m, Storage: store, Logger: zap.NewNop()})
}

// records is a batch of about size bytes, of records of 1 KiB or less.
func records(t testing.TB, size int) []byte {
	t.Helper()
	b := record.NewBuilder(record.Compression{}, 2<<20)
	for left := size; left > 0; left -= 1000 {
		if err := b.Append(1700000000000, nil, make([]byte, min(left, 1000)), nil); err != nil {
			t.Fatal(err)
		}
	}
	out, err := b.Finish(nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// produceTo is the body of a produce with acks=1 to partitions 0 to n-1, size bytes each.
func produceTo(t testing.TB, n int32, size int) []byte {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 9, 1, 1000
	out := kmsg.ProduceRequestTopic{Topic: "t"}
	batch := records(t, size)
	for id := range n {
		out.Partitions = append(out.Partitions, kmsg.ProduceRequestTopicPartition{Partition: id, Records: batch})
	}
	req.Topics = []kmsg.ProduceRequestTopic{out}
	return req.AppendTo(nil)
}

// produceBody is what produce does with a body, without its connection.
func produceBody(t testing.TB, h *Handler, body []byte) {
	r := wire.Request{Key: 0, Version: 9, Body: body}
	var req kmsg.ProduceRequest
	if err := r.Decode(&req); err != nil {
		t.Fatal(err)
	}
	w := producing{h: h, resp: kmsg.ProduceResponse{Version: req.Version}, listener: "PLAINTEXT"}
	if err := h.refuseWhole(&req); err != nil {
		t.Fatal(err)
	}
	if w.append(&req); w.failed {
		t.Fatalf("%+v", w.resp)
	}
	_ = wire.Respond(&w.resp)
}

// planFetch is what fetch does, without its connection: the regions go back unsent.
func planFetch(t testing.TB, h *Handler, req *kmsg.FetchRequest) {
	f := fetching{h: h, req: req, listener: "PLAINTEXT", now: time.Now(), full: true, room: fetchRooms.Get().(*fetchRoom)}
	defer f.room.giveBack()
	if err := f.resolve(); err != nil {
		t.Fatal(err)
	}
	f.read(context.Background())
	_ = f.reply()
	for i := range f.got {
		if f.got[i].Region.N == 0 {
			t.Fatalf("partition %d: %+v", i, f.got[i])
		}
		f.got[i].Region.Release.Release()
	}
}

func fetchOf(n int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxBytes, req.MinBytes, req.SessionEpoch, req.ReplicaID = 12, 50<<20, 1, -1, -1
	req.Topics = []kmsg.FetchRequestTopic{{Topic: "t"}}
	for id := range n {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.PartitionMaxBytes = id, 1<<20
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, p)
	}
	return req
}

func BenchmarkProduceRequest(b *testing.B) {
	for _, c := range []struct {
		partitions int32
		size       int
	}{{1, 64 << 10}, {16, 16 << 10}, {100, 1 << 10}} {
		b.Run(fmt.Sprintf("%dx%dK", c.partitions, c.size>>10), func(b *testing.B) {
			h := data(b, c.partitions)
			body := produceTo(b, c.partitions, c.size)
			buf := make([]byte, len(body))
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				copy(buf, body) // offsets are written into the request
				produceBody(b, h, buf)
			}
		})
	}
}

func BenchmarkFetchPlan(b *testing.B) {
	for _, n := range []int32{1, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h := data(b, n)
			body := produceTo(b, n, 100)
			produceBody(b, h, body)
			req := fetchOf(n)
			b.ReportAllocs()
			for b.Loop() {
				planFetch(b, h, req)
			}
		})
	}
}

func BenchmarkMetadata(b *testing.B) {
	for _, n := range []int32{100, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h := data(b, 1)
			picture := kmsg.NewPtrUpdateMetadataRequest()
			picture.Version = 8
			picture.LiveBrokers = []kmsg.UpdateMetadataRequestLiveBroker{{ID: 1, Endpoints: []kmsg.UpdateMetadataRequestLiveBrokerEndpoint{
				{Host: "localhost", Port: 9092, ListenerName: "PLAINTEXT"}}}}
			for i := range n / 100 {
				t := kmsg.UpdateMetadataRequestTopicState{Topic: fmt.Sprint("topic-", i), TopicID: topic.NewID()}
				for id := range int32(100) {
					t.PartitionStates = append(t.PartitionStates, kmsg.UpdateMetadataRequestTopicPartition{
						Partition: id, Leader: 1, ISR: []int32{1}, Replicas: []int32{1}})
				}
				picture.TopicStates = append(picture.TopicStates, t)
			}
			h.Metadata.Update(picture)
			var out []byte
			b.ReportAllocs()
			for b.Loop() {
				q := describing{h: h, req: &kmsg.MetadataRequest{Version: 12}, listener: "PLAINTEXT", snapshot: h.Metadata.Load()}
				out = q.all().AppendTo(out[:0])
			}
		})
	}
}
