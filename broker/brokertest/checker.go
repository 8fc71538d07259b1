package brokertest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The checker computes from a history which laws were broken (reference page failures.md, sections 0, 1 and 5). It
// shares no code with the broker: what brokers answered is read by sarama, what they have on disk by replica_log.go.

// An Ack is a record that a broker has taken: it must stand at its offset from then on, and nowhere else.
type Ack struct {
	Partition int32
	Offset    int64
	Value     string // "producer-sequence", unique
	At        time.Time
}

// History is what the producers of one topic know. A value is acknowledged, of unknown outcome, or still under way.
type History struct {
	mu struct {
		sync.Mutex
		acked   []Ack
		unknown map[string]bool
	}
}

func newHistory() *History {
	h := &History{}
	h.mu.unknown = map[string]bool{}
	return h
}

func (h *History) acknowledge(a Ack) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.acked = append(h.mu.acked, a)
}

// doubt notes a value whose send failed: after the retries of a client nobody knows whether it was written.
func (h *History) doubt(value string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.unknown[value] = true
}

// Acked are the acknowledgements so far, in the order they came.
func (h *History) Acked() []Ack {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.mu.acked)
}

// Unknown is how many sends have failed.
func (h *History) Unknown() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.mu.unknown)
}

// LongestGap is the longest time without an acknowledgement of a partition, by partition, among those since a moment.
func (h *History) LongestGap(since time.Time) map[int32]time.Duration {
	last, longest := map[int32]time.Time{}, map[int32]time.Duration{}
	for _, a := range h.Acked() {
		if a.At.Before(since) {
			continue
		}
		before, seen := last[a.Partition]
		if !seen {
			before = since
		}
		longest[a.Partition] = max(longest[a.Partition], a.At.Sub(before))
		last[a.Partition] = a.At
	}
	return longest
}

// A reading is what one reader saw of a topic: a consumer, or the log files of one replica.
type reading struct {
	reader     string
	partitions map[int32][]stored
}

// stored is a record as a reader saw it.
type stored struct {
	offset int64
	value  string
}

// A finding is a broken law, with what proves it.
type finding struct{ law, proof string }

func (f finding) String() string { return f.law + ": " + f.proof }

// mostOfALaw is how many findings of one law are told.
const mostOfALaw = 5

// findings collects broken laws.
type findings struct {
	all   []finding
	count map[string]int
}

func (f *findings) add(law, format string, args ...any) {
	if f.count == nil {
		f.count = map[string]int{}
	}
	if f.count[law]++; f.count[law] <= mostOfALaw {
		f.all = append(f.all, finding{law, fmt.Sprintf(format, args...)})
	}
}

// judge holds acknowledgements against readings of everything there is. unknown are values that may have been written,
// once; sent tells whether a value was ever sent.
func judge(acked []Ack, unknown map[string]bool, readings []reading) []finding {
	f := &findings{}
	known := make(map[string]bool, len(acked))
	for _, a := range acked {
		known[a.Value] = true
	}
	for _, r := range readings {
		where := map[string]string{}
		for _, p := range slices.Sorted(maps.Keys(r.partitions)) {
			judgePartition(f, r, p, where)
		}
		for value, place := range where {
			if !known[value] && !unknown[value] {
				f.add("phantom", "%s saw %q at %s, which nobody has sent", r.reader, value, place)
			}
		}
		judgeAcks(f, acked, r, where)
	}
	judgeAgreement(f, readings)
	return f.all
}

// judgePartition checks one partition by itself: offsets dense, no value twice, each producer's sequence rising. It
// notes in where which value stands at which place.
func judgePartition(f *findings, r reading, partition int32, where map[string]string) {
	last := map[string]stored{} // by producer
	for i, s := range r.partitions[partition] {
		place := fmt.Sprintf("%d@%d", partition, s.offset)
		if s.offset != int64(i) {
			f.add("skip", "%s read %s where offset %d should be", r.reader, place, i)
			return
		}
		if first, twice := where[s.value]; twice {
			f.add("duplicate", "%s saw %q at %s and at %s", r.reader, s.value, first, place)
		}
		where[s.value] = place
		producer, sequence := producerOf(s.value)
		if before, seen := last[producer]; seen {
			if _, b := producerOf(before.value); sequence <= b {
				f.add("reorder", "%s saw %q at %d before %q at %s", r.reader, before.value, before.offset, s.value, place)
			}
		}
		last[producer] = s
	}
}

// producerOf parts a value into the producer and its sequence.
func producerOf(value string) (producer string, sequence int64) {
	producer, number, _ := strings.Cut(value, "-")
	sequence, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return value, -1
	}
	return producer, sequence
}

// judgeAcks looks up every acknowledged record in a reading.
func judgeAcks(f *findings, acked []Ack, r reading, where map[string]string) {
	for _, a := range acked {
		log, want := r.partitions[a.Partition], fmt.Sprintf("%d@%d", a.Partition, a.Offset)
		got, there := where[a.Value]
		switch {
		case there && got == want:
		case there:
			f.add("wrong place", "%q was acknowledged at %s, and %s saw it at %s", a.Value, want, r.reader, got)
		case a.Offset < int64(len(log)):
			f.add("lost", "%q was acknowledged at %s, where %s saw %q", a.Value, want, r.reader, log[a.Offset].value)
		default:
			f.add("unseen", "%q was acknowledged at %s, and %s saw nothing from %d on", a.Value, want, r.reader, len(log))
		}
	}
}

// judgeAgreement wants one value at an offset, whoever reads it.
func judgeAgreement(f *findings, readings []reading) {
	for _, r := range readings[min(1, len(readings)):] {
		for p, log := range r.partitions {
			first := readings[0].partitions[p]
			for i := range min(len(log), len(first)) {
				if log[i] != first[i] {
					f.add("inconsistent offset", "partition %d: %s saw %v, %s saw %v", p, readings[0].reader, first[i], r.reader, log[i])
				}
			}
		}
	}
}

// judgeReplicas compares the logs of a partition's replicas, by broker: below the high watermark they are equal byte
// for byte, offsets are dense, leader epochs do not fall, every batch bears its CRC.
func judgeReplicas(partition int32, hw int64, logs map[int][]logBatch) []finding {
	f := &findings{}
	ids := slices.Sorted(maps.Keys(logs))
	for _, id := range ids {
		next, epoch := int64(0), int32(-1)
		for _, b := range logs[id] {
			switch {
			case b.base != next:
				f.add("skip", "partition %d on broker %d: a batch at %d where %d should be", partition, id, b.base, next)
			case b.epoch < epoch:
				f.add("epoch falls", "partition %d on broker %d: epoch %d after %d at %d", partition, id, b.epoch, epoch, b.base)
			case !b.intact:
				f.add("corrupt", "partition %d on broker %d: the CRC of the batch at %d is wrong", partition, id, b.base)
			}
			next, epoch = b.last+1, b.epoch
		}
		if next < hw {
			f.add("divergence", "partition %d on broker %d ends at %d, below the high watermark %d", partition, id, next, hw)
		}
	}
	for _, id := range ids[min(1, len(ids)):] {
		for i, b := range logs[id] {
			if b.base >= hw || i >= len(logs[ids[0]]) {
				break
			}
			if first := logs[ids[0]][i]; !bytes.Equal(first.raw, b.raw) {
				f.add("divergence", "partition %d: brokers %d and %d differ at offset %d (epochs %d, %d) below the high watermark %d",
					partition, ids[0], id, b.base, first.epoch, b.epoch, hw)
				break
			}
		}
	}
	return f.all
}
