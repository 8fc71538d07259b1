package storage

import (
	"os"
	"testing"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/topic"
)

// TestLogsForJava writes logs with everything in them into the folder that ZURAU_LOGS_FOR_JAVA names, and stops cleanly;
// package interop has Kafka's dump tools look at them. Without the name it only writes them.
func TestLogsForJava(t *testing.T) {
	dir := os.Getenv("ZURAU_LOGS_FOR_JAVA")
	if dir == "" {
		dir = t.TempDir()
	}
	writeForJava(t, dir)
}

func writeForJava(t *testing.T, dir string) {
	c := plain(func(c *config.Topic) { c.SegmentBytes, c.IndexIntervalBytes = 8000, 300 })
	m := openManager(t, c, dir)
	l := createLog(t, m)
	for i := range 200 {
		leaderAppend(t, l, batchOf(1+i%7, 1700000000000+int64(i*10)))
	}
	l.SetHighWatermark(l.View().LogEndOffset)
	if err := l.DeleteRecordsTo(50); err != nil {
		t.Fatal(err)
	}
	txn, err := m.Create(topic.Partition{Topic: "txn", ID: 3}, topic.NewID())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		id := int64(4000 + i%3)
		p := &record.Producer{ID: id, Epoch: 1, BaseSequence: int32(i / 3 * 5), Transactional: true}
		leaderAppend(t, txn, producerBatch(5, 1700000000000, p))
		if i >= 15 && i%3 == 1 {
			leaderMarker(t, txn, id, 1, record.ControlType(i%2))
		}
	}
	truncated, err := m.Create(topic.Partition{Topic: "truncated", ID: 0}, topic.NewID())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		leaderAppend(t, truncated, batchOf(3, 1700000000000+int64(i)))
	}
	if err := truncated.TruncateTo(123); err != nil {
		t.Fatal(err)
	}
	leaderAppend(t, truncated, batchOf(3, 1700000001000))
	if _, err := m.Create(topic.Partition{Topic: "empty", ID: 0}, topic.NewID()); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}
