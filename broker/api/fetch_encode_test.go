package api

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/replica"
	"github.com/zurau/zurau/broker/storage"
	"github.com/zurau/zurau/broker/topic"
)

// laidOut is the response of a version as a client reads it, without records.
func laidOut(t *testing.T, version int16, answers ...fetchAnswer) *kmsg.FetchResponse {
	t.Helper()
	e := fetchEncoder{version: version, flex: version >= 12}
	e.lay(7, answers)
	resp := kmsg.NewPtrFetchResponse()
	resp.SetVersion(version)
	if err := resp.ReadFrom(e.b); err != nil {
		t.Fatalf("version %d: %v", version, err)
	}
	if rest := resp.AppendTo(nil); len(rest) != len(e.b) {
		t.Errorf("version %d: %d bytes, of which kmsg knows %d", version, len(e.b), len(rest))
	}
	return resp
}

func answerOf(name string, id topic.ID, partition int32, got replica.Fetched) fetchAnswer {
	p := &fetchPartition{topic: name, id: id, partition: partition}
	return fetchAnswer{fetchPartition: p, Fetched: &got, code: kerr.CodeOf(got.Err)}
}

func TestEveryVersionOfAFetchResponseIsLaidOutAsKmsgReadsIt(t *testing.T) {
	rack := "r"
	a, b := topic.NewID(), topic.NewID()
	for version := int16(0); version <= 17; version++ {
		ids := [2]topic.ID{}
		if version >= 13 {
			ids = [2]topic.ID{a, b}
		}
		seen := storage.View{LogStartOffset: 1, LastStableOffset: 2, HighWatermark: 3, LogEndOffset: 4}
		unknown := storage.View{LogStartOffset: -1, LastStableOffset: -1, HighWatermark: -1, LogEndOffset: -1}
		elsewhere := answerOf("u", ids[1], 0, replica.Fetched{Err: kerr.NotLeaderOrFollower, View: unknown})
		if version >= 16 {
			elsewhere.leader, elsewhere.leaderEpoch, elsewhere.leaderNode = 5, 6, &node{Host: "h", Port: 9, Rack: &rack}
		}
		resp := laidOut(t, version,
			answerOf("t", ids[0], 0, replica.Fetched{View: seen}),
			answerOf("t", ids[0], 3, replica.Fetched{View: seen, Diverging: true, DivergingEpoch: 8, DivergingEnd: 9}),
			elsewhere, elsewhere)
		if len(resp.Topics) != 2 || len(resp.Topics[0].Partitions) != 2 || len(resp.Topics[1].Partitions) != 2 {
			t.Fatalf("version %d: %+v", version, resp.Topics)
		}
		if version < 13 && (resp.Topics[0].Topic != "t" || resp.Topics[1].Topic != "u") ||
			version >= 13 && (resp.Topics[0].TopicID != a || resp.Topics[1].TopicID != b) {
			t.Errorf("version %d names %+v", version, resp.Topics)
		}
		first, second := resp.Topics[0].Partitions[0], resp.Topics[0].Partitions[1]
		want := "3 -1 -1 -1"
		switch {
		case version >= 11:
			want = "3 2 1 -1"
		case version >= 5:
			want = "3 2 1 -1"
		case version >= 4:
			want = "3 2 -1 -1"
		}
		if got := fmt.Sprint(first.HighWatermark, first.LastStableOffset, first.LogStartOffset, first.PreferredReadReplica); got != want {
			t.Errorf("version %d: %s, want %s", version, got, want)
		}
		if diverging := second.DivergingEpoch; version >= 12 && (diverging.Epoch != 8 || diverging.EndOffset != 9) {
			t.Errorf("version %d: diverging %+v", version, diverging)
		}
		last := resp.Topics[1].Partitions[1]
		if last.ErrorCode != kerr.NotLeaderOrFollower.Code {
			t.Errorf("version %d: code %d", version, last.ErrorCode)
		}
		if version >= 16 && (last.CurrentLeader.LeaderID != 5 || last.CurrentLeader.LeaderEpoch != 6 ||
			len(resp.Brokers) != 1 || resp.Brokers[0].NodeID != 5 || resp.Brokers[0].Host != "h" || *resp.Brokers[0].Rack != "r") {
			t.Errorf("version %d: %+v, %+v", version, last.CurrentLeader, resp.Brokers)
		}
	}
}

func TestListOffsetsOfEachVersion(t *testing.T) {
	h := data(t, 1)
	produceBody(t, h, produceTo(t, 1, 100))
	tp := topic.Partition{Topic: "t"}
	ask := func(version int16, timestamp int64, epoch int32) int16 {
		q := kmsg.NewListOffsetsRequestTopicPartition()
		q.Timestamp, q.CurrentLeaderEpoch, q.MaxNumOffsets = timestamp, epoch, 1
		return h.offsetFor(tp, &q, version, replica.Reader{ReplicaID: replica.Consumer}).ErrorCode
	}
	for _, c := range []struct {
		name             string
		timestamp        int64
		epoch            int32
		before, from     int16 // codes below version since, and from it on
		since            int16
		beforeSinceUntil int16 // lowest version asked
	}{
		{"the largest timestamp", replica.MaxTimestamp, -1, kerr.UnsupportedVersion.Code, 0, 7, 1},
		{"the earliest local offset", replica.EarliestLocal, -1, kerr.UnsupportedVersion.Code, 0, 8, 1},
		{"the end of the tiered part", replica.LatestTiered, -1, kerr.UnsupportedVersion.Code, 0, 9, 1},
		{"an epoch ahead of ours", replica.Latest, 9, 0, kerr.UnknownLeaderEpoch.Code, 4, 1},
	} {
		for version := c.beforeSinceUntil; version <= 9; version++ {
			want := c.before
			if version >= c.since {
				want = c.from
			}
			if got := ask(version, c.timestamp, c.epoch); got != want {
				t.Errorf("%s in version %d: code %d, want %d", c.name, version, got, want)
			}
		}
	}
	// A new epoch whose start is not replicated yet: latest could go back (KIP-207).
	for epoch := range int32(2) {
		req := kmsg.NewPtrLeaderAndISRRequest()
		req.Version = 4
		s := kmsg.NewLeaderAndISRRequestTopicPartition()
		s.Leader, s.LeaderEpoch, s.ISR, s.Replicas = 1, epoch+1, []int32{1, 2}, []int32{1, 2}
		req.TopicStates = []kmsg.LeaderAndISRRequestTopicState{{Topic: "t",
			PartitionStates: []kmsg.LeaderAndISRRequestTopicPartition{s}}}
		h.Replicas.LeaderAndIsr(req)
		produceBody(t, h, produceTo(t, 1, 100))
	}
	for version := int16(1); version <= 9; version++ {
		want := kerr.LeaderNotAvailable.Code
		if version >= 5 {
			want = kerr.OffsetNotAvailable.Code
		}
		if got := ask(version, replica.Latest, -1); got != want {
			t.Errorf("latest of an epoch not replicated, version %d: code %d, want %d", version, got, want)
		}
	}
}
