package api

import (
	"errors"
	"testing"

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
