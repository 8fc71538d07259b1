package brokertest

import (
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"
)

func ack(partition int32, offset int64, value string) Ack {
	return Ack{Partition: partition, Offset: offset, Value: value}
}

// read is what a reader saw of partition 0.
func read(values ...string) reading {
	r := reading{reader: "reader", partitions: map[int32][]stored{}}
	for i, v := range values {
		r.partitions[0] = append(r.partitions[0], stored{int64(i), v})
	}
	return r
}

func lawsOf(list []finding) string {
	var all []string
	for _, f := range list {
		all = append(all, f.law)
	}
	return strings.Join(all, ", ")
}

func TestTheCheckerFindsEveryBrokenLaw(t *testing.T) {
	gap := read("1-0", "1-1")
	gap.partitions[0][1].offset = 2
	for _, c := range []struct {
		name     string
		acked    []Ack
		unknown  []string
		readings []reading
		laws     string
	}{
		{"nothing is wrong", []Ack{ack(0, 0, "1-0"), ack(0, 1, "2-0")}, nil, []reading{read("1-0", "2-0"), read("1-0", "2-0")}, ""},
		{"an unknown outcome that is there", []Ack{ack(0, 0, "1-0")}, []string{"1-1"}, []reading{read("1-0", "1-1")}, ""},
		{"an unknown outcome that is not there", []Ack{ack(0, 0, "1-0")}, []string{"1-1"}, []reading{read("1-0")}, ""},
		{"another record stands where one was acknowledged", []Ack{ack(0, 0, "1-0"), ack(0, 1, "1-2")}, []string{"1-1"},
			[]reading{read("1-0", "1-1")}, "lost"},
		{"the log ends before an acknowledged record", []Ack{ack(0, 0, "1-0"), ack(0, 1, "1-1")}, nil, []reading{read("1-0")}, "unseen"},
		{"an acknowledged record stands elsewhere", []Ack{ack(0, 1, "1-0"), ack(0, 0, "2-0")}, nil, []reading{read("1-0", "2-0")},
			"wrong place, wrong place"},
		{"a record stands twice", []Ack{ack(0, 0, "1-0")}, []string{"2-0"}, []reading{read("1-0", "2-0", "2-0")}, "duplicate, reorder"},
		{"a producer's records changed places", []Ack{ack(0, 0, "1-1"), ack(0, 1, "1-0")}, nil, []reading{read("1-1", "1-0")}, "reorder"},
		{"nobody sent it", nil, nil, []reading{read("1-0")}, "phantom"},
		{"an offset is left out", nil, []string{"1-0", "1-1"}, []reading{gap}, "skip"},
		{"two readers disagree", nil, []string{"1-0", "1-1"}, []reading{read("1-0"), read("1-1")}, "inconsistent offset"},
	} {
		t.Run(c.name, func(t *testing.T) {
			unknown := map[string]bool{}
			for _, v := range c.unknown {
				unknown[v] = true
			}
			found := judge(c.acked, unknown, c.readings)
			if got := lawsOf(found); got != c.laws {
				t.Errorf("broken laws %q, want %q: %v", got, c.laws, found)
			}
		})
	}
}

// rawBatch makes a batch of one record without a key.
func rawBatch(base int64, epoch int32, value string) []byte {
	record := append([]byte{0, 0, 0, 1}, binary.AppendVarint(nil, int64(len(value)))...) // null key: varint -1
	record = append(append(record, value...), 0)
	records := append(binary.AppendVarint(nil, int64(len(record))), record...)
	b := make([]byte, batchHead, batchHead+len(records))
	b = append(b, records...)
	binary.BigEndian.PutUint64(b, uint64(base))
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	binary.BigEndian.PutUint32(b[12:], uint32(epoch))
	b[16] = 2
	binary.BigEndian.PutUint32(b[57:], 1)
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// logOfBatches cuts batches as readReplica does.
func logOfBatches(t *testing.T, raw ...[]byte) (all []logBatch) {
	t.Helper()
	for _, r := range raw {
		b, rest, err := cutBatch(r)
		if err != nil || len(rest) > 0 {
			t.Fatalf("%v, %d bytes are left", err, len(rest))
		}
		all = append(all, b)
	}
	return all
}

func TestTheCheckerComparesReplicas(t *testing.T) {
	first, second := rawBatch(0, 0, "1-0"), rawBatch(1, 1, "1-1")
	flipped := append([]byte(nil), second...)
	flipped[len(flipped)-2] ^= 1
	for _, c := range []struct {
		name string
		logs map[int][][]byte
		hw   int64
		laws string
	}{
		{"equal logs", map[int][][]byte{0: {first, second}, 1: {first, second}}, 2, ""},
		{"a difference above the high watermark", map[int][][]byte{0: {first, second}, 1: {first, rawBatch(1, 1, "2-0")}}, 1, ""},
		{"a difference below it", map[int][][]byte{0: {first, second}, 1: {first, rawBatch(1, 1, "2-0")}}, 2, "divergence"},
		{"another epoch", map[int][][]byte{0: {first, second}, 1: {first, rawBatch(1, 2, "1-1")}}, 2, "divergence"},
		{"a replica that ends too early", map[int][][]byte{0: {first, second}, 1: {first}}, 2, "divergence"},
		{"a gap", map[int][][]byte{0: {first, rawBatch(2, 1, "1-1")}}, 1, "skip"},
		{"an epoch that falls", map[int][][]byte{0: {rawBatch(0, 3, "1-0"), second}}, 2, "epoch falls"},
		{"a flipped bit", map[int][][]byte{0: {first, second}, 1: {first, flipped}}, 2, "corrupt, divergence"},
	} {
		t.Run(c.name, func(t *testing.T) {
			logs := map[int][]logBatch{}
			for id, raw := range c.logs {
				logs[id] = logOfBatches(t, raw...)
			}
			found := judgeReplicas(0, c.hw, logs)
			if got := lawsOf(found); got != c.laws {
				t.Errorf("broken laws %q, want %q: %v", got, c.laws, found)
			}
		})
	}
}

func TestTheCheckerReadsRecords(t *testing.T) {
	values, err := logOfBatches(t, rawBatch(7, 0, "1-5"))[0].values()
	if err != nil || len(values) != 1 || values[0] != (stored{7, "1-5"}) {
		t.Errorf("%v, %v", values, err)
	}
}

func TestTheProxyKnowsItsCallers(t *testing.T) {
	for id, want := range map[string]end{
		"2": 2, "broker-1-fetcher-0": 1, "broker-12-txn-marker-sender": 12, "AddPartitionsManager-client-3": 3,
		"sarama": clientEnd, "": clientEnd, "broker-x-fetcher-0": clientEnd, "2nd": clientEnd,
	} {
		frame := append([]byte{0, 0, 0, 40, 0, 1, 0, 12, 0, 0, 0, 9, 0, byte(len(id))}, id...)
		if got := callerOf(frame); got != want {
			t.Errorf("%q is taken for %d, want %d", id, got, want)
		}
	}
	if got := callerOf([]byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff}); got != clientEnd {
		t.Errorf("no client id is taken for %d", got)
	}
}
