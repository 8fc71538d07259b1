package storage

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plain is the configuration most tests use; change it by edits.
func plain(edits ...func(*config.Topic)) *config.Topic {
	c := &config.Topic{
		CleanupDelete: true, CompressionType: "producer", FileDeleteDelayMS: 60000,
		FlushMessages: 1<<63 - 1, FlushMS: 1<<63 - 1, IndexIntervalBytes: 4096, MaxCompactionLagMS: 1<<63 - 1,
		MaxMessageBytes: 1048588, MessageTimestampType: "CreateTime", MessageTimestampBeforeMaxMS: 1<<63 - 1,
		MessageTimestampAfterMaxMS: 1<<63 - 1, MinInsyncReplicas: 1, RetentionBytes: -1, RetentionMS: -1,
		SegmentBytes: 1 << 30, SegmentIndexBytes: 10 << 20, SegmentMS: 7 * 86400000,
	}
	for _, edit := range edits {
		edit(c)
	}
	return c
}

var tp0 = topic.Partition{Topic: "t", ID: 0}

// openManager opens directories with every topic configured by c.
func openManager(t testing.TB, c *config.Topic, dirs ...string) *Manager {
	t.Helper()
	m, err := Open(managerOptions(t, c, dirs...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func managerOptions(t testing.TB, c *config.Topic, dirs ...string) Options {
	return Options{
		Dirs: dirs, Topic: func(string) *config.Topic { return c }, Logger: testLogger(t),
		BrokerID: 7, ClusterID: "clusterclusterclusterA", RecoveryThreads: 2,
		ProducerExpiration: 1 << 62, // the records of the tests are years old
	}
}

func testLogger(t testing.TB) *zap.Logger {
	if testing.Verbose() {
		return zaptest.NewLogger(t)
	}
	return zap.NewNop()
}

// createLog makes the log of tp0.
func createLog(t testing.TB, m *Manager) *Log {
	t.Helper()
	l, err := m.Create(tp0, topic.NewID())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// batchOf builds a client's batch of n records of 10 bytes, the first with the given timestamp.
func batchOf(n int, timestamp int64) []byte {
	return producerBatch(n, timestamp, nil)
}

// producerBatch builds the same on behalf of an idempotent producer.
func producerBatch(n int, timestamp int64, p *record.Producer) []byte {
	b := record.NewBuilder(record.Compression{}, 1<<30)
	for i := range n {
		b.Append(timestamp+int64(i), []byte("key"), []byte("0123456789"), nil)
	}
	batch, err := b.Finish(p)
	if err != nil {
		panic(err)
	}
	return batch
}

// leaderAppend appends as a leader of epoch 0 on behalf of a client.
func leaderAppend(t testing.TB, l *Log, records []byte) AppendInfo {
	t.Helper()
	info, err := l.AppendAsLeader(records, AppendOptions{ProduceVersion: 9, TransactionVerified: true})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// leaderMarker ends a transaction, as a coordinator of epoch 0 has it done.
func leaderMarker(t testing.TB, l *Log, producerID int64, epoch int16, kind record.ControlType) AppendInfo {
	t.Helper()
	marker := record.EndTxnMarker{ProducerID: producerID, ProducerEpoch: epoch, Type: kind, Timestamp: 1700000005000}.Append(nil)
	info, err := l.AppendAsLeader(marker, AppendOptions{Origin: Coordinator})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// readAll reads the log's bytes from offset to the end, across segments.
func readAll(t testing.TB, l *Log, offset int64) []byte {
	t.Helper()
	var all []byte
	for {
		r, err := l.Read(offset, 1<<20, l.View().LogEndOffset, true)
		if err != nil {
			t.Fatal(err)
		}
		if r.Region.N == 0 {
			return all
		}
		b := regionBytes(t, r)
		rest := b
		for {
			batch, tail, err := record.Next(rest)
			if err != nil {
				t.Fatal(err)
			}
			if batch == nil {
				break
			}
			all = append(all, batch...)
			offset, rest = batch.NextOffset(), tail
		}
	}
}

func regionBytes(t testing.TB, r Read) []byte {
	t.Helper()
	defer r.Region.Release.Release()
	b := make([]byte, r.Region.N)
	if _, err := r.Region.File.ReadAt(b, r.Region.Offset); err != nil {
		t.Fatal(err)
	}
	return b
}

// copyDir copies a directory tree of plain files.
func copyDir(t testing.TB, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	filepath.WalkDir(to, func(path string, e os.DirEntry, err error) error { return os.Chmod(path, 0o755) })
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var testTime = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
