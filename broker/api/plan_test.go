package api

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

func TestATopicDoesNotGrowWhileItsReplicasMove(t *testing.T) {
	brokers := []topic.BrokerRack{{ID: 1}, {ID: 2}}
	moving := map[int32][]int32{0: {2}}
	for _, c := range []struct {
		name     string
		existing zkmeta.TopicAssignment
		want     error
	}{
		{"at rest", zkmeta.TopicAssignment{}, nil},
		{"replicas are added", zkmeta.TopicAssignment{Adding: moving}, kerr.ReassignmentInProgress},
		{"replicas are removed", zkmeta.TopicAssignment{Removing: moving}, kerr.ReassignmentInProgress},
	} {
		c.existing.Partitions = map[int32][]int32{0: {1}}
		_, err := planGrowth("t", c.existing, &kmsg.CreatePartitionsRequestTopic{Topic: "t", Count: 2}, brokers)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// As in Kafka the leaders go on around from the first replica of partition 0.
func TestNewPartitionsGoOnFromTheFirstOne(t *testing.T) {
	brokers := []topic.BrokerRack{{ID: 1}, {ID: 2}, {ID: 3}}
	for first, want := range map[int32]int32{1: 2, 2: 3, 3: 1} {
		existing := zkmeta.TopicAssignment{Partitions: map[int32][]int32{0: {first}}}
		got, err := planGrowth("t", existing, &kmsg.CreatePartitionsRequestTopic{Topic: "t", Count: 2}, brokers)
		if err != nil || len(got) != 1 || len(got[1]) != 1 || got[1][0] != want {
			t.Errorf("behind %d: %v, %v; want %d", first, got, err, want)
		}
	}
}

// What a broker of 3.9.1 made of partitions on 1,2 and 2,3 that became eight.
func TestNewPartitionsSpreadTheirFollowersAsKafka(t *testing.T) {
	brokers := []topic.BrokerRack{{ID: 0}, {ID: 1}, {ID: 2}, {ID: 3}}
	existing := zkmeta.TopicAssignment{Partitions: map[int32][]int32{0: {1, 2}, 1: {2, 3}}}
	got, err := planGrowth("t", existing, &kmsg.CreatePartitionsRequestTopic{Topic: "t", Count: 8}, brokers)
	want := map[int32][]int32{2: {3, 1}, 3: {0, 2}, 4: {1, 0}, 5: {2, 1}, 6: {3, 2}, 7: {0, 3}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestALogDirectoryThatHasFailedIsNamedAndNotRead(t *testing.T) {
	h := data(t, 1)
	dir := h.Storage.LogDirs()[0]
	if got := describedDir(dir); got.ErrorCode != 0 || len(got.Topics) != 1 {
		t.Errorf("in order: %+v", got)
	}
	dir.Err = errors.New("no space left")
	if got := describedDir(dir); got.ErrorCode != kerr.KafkaStorageError.Code || len(got.Topics) != 0 || got.Dir != dir.Path {
		t.Errorf("failed: %+v", got)
	}
}
