package main

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/topic"
)

// replicaData makes a batch of one record for each value, from an offset on.
func replicaData(t *testing.T, from int64, values ...string) (log []byte) {
	t.Helper()
	for i, value := range values {
		builder := record.NewBuilder(record.Compression{}, 1<<10)
		if err := builder.Append(1, nil, []byte(value), nil); err != nil {
			t.Fatal(err)
		}
		batch, err := builder.Finish(nil)
		if err != nil {
			t.Fatal(err)
		}
		batch.SetBaseOffset(from + int64(i))
		log = append(log, batch...)
	}
	return log
}

func TestReplicasAreComparedUpToTheLowestHighWatermark(t *testing.T) {
	same := replicaData(t, 5, "a", "b", "c")
	for _, c := range []struct {
		name       string
		replicas   []fetchedReplica
		verified   int64
		complaints []string
		comparable bool
	}{
		{"equal replicas", []fetchedReplica{{1, 8, same}, {2, 8, same}}, 8, nil, true},
		{"one knows of less", []fetchedReplica{{1, 8, same}, {2, 6, same}}, 6, nil, true},
		{"one has less", []fetchedReplica{{1, 8, same}, {2, 8, replicaData(t, 5, "a")}}, 6, nil, true},
		{"a batch is cut off", []fetchedReplica{{1, 8, same}, {2, 8, same[:len(same)-1]}}, 7, nil, true},
		{"one gave nothing", []fetchedReplica{{1, 8, same}, {2, -1, nil}}, 5, nil, true},
		{"nobody holds it", nil, 5, nil, true},
		{"other offsets", []fetchedReplica{{1, 8, same}, {2, 8, replicaData(t, 6, "b", "c")}}, 5,
			[]string{"partition t-0: replica 1's offset 5 doesn't match replica 2's offset 6"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			verified, complaints, comparable := compareReplicaData(topic.Partition{Topic: "t"}, 5, c.replicas)
			if verified != c.verified || comparable != c.comparable || !slices.Equal(complaints, c.complaints) {
				t.Errorf("%d %q %v", verified, complaints, comparable)
			}
		})
	}
}

func TestAnotherChecksumIsToldAndTheRestIsComparedStill(t *testing.T) {
	verified, complaints, comparable := compareReplicaData(topic.Partition{Topic: "t"}, 0, []fetchedReplica{
		{1, 3, replicaData(t, 0, "a", "b", "c")}, {2, 3, replicaData(t, 0, "a", "B", "c")}})
	if verified != 3 || !comparable || len(complaints) != 1 {
		t.Fatalf("%d %q %v", verified, complaints, comparable)
	}
	const begin = "partition t-0 has unmatched checksum at offset 1; replica 1's checksum "
	if diff := cmp.Diff(begin, complaints[0][:len(begin)]); diff != "" {
		t.Error(diff)
	}
}

func TestTheWorstLagIsReported(t *testing.T) {
	worst := lag{behind: -1}
	for i, behind := range []int64{0, 4, 4, 1} {
		worst = worst.or(lag{topic.Partition{Topic: "t", ID: int32(i)}, 10, behind})
	}
	if worst.partition.ID != 1 || worst.behind != 4 {
		t.Error(worst)
	}
}
