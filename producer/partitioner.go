package producer

import (
	"math/rand/v2"
	"time"

	"github.com/IBM/sarama"
)

// Murmur2 is the 32-bit MurmurHash2 with the seed Java's client partitions keys by (Kafka: Utils.murmur2).
func Murmur2(data []byte) uint32 {
	const m, r = 0x5bd1e995, 24
	h := 0x9747b28c ^ uint32(len(data))
	for len(data) >= 4 {
		k := uint32(data[0]) | uint32(data[1])<<8 | uint32(data[2])<<16 | uint32(data[3])<<24
		k *= m
		k ^= k >> r
		h = h*m ^ k*m
		data = data[4:]
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(data[0])) * m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}

// PartitionForKey is the partition Java's client gives a key among partitions, so that programs of both agree.
func PartitionForKey(key []byte, partitions int32) int32 {
	return int32(Murmur2(key)&0x7fffffff) % partitions
}

// stickyPartitioner keeps to one partition until about a batch has gone there, because full batches are what makes
// sending cheap (KIP-480, and KIP-794 for the measure: bytes given, not batches drained, which sarama does not show).
// One per topic, used by one goroutine.
type stickyPartitioner struct {
	batchSize int
	linger    time.Duration
	current   int32
	given     int // bytes since current was chosen
	since     time.Time
}

func newStickyPartitioner(batchSize int, linger time.Duration) *stickyPartitioner {
	return &stickyPartitioner{batchSize: batchSize, linger: linger, current: -1}
}

// Partition implements sarama.Partitioner.
func (p *stickyPartitioner) Partition(m *sarama.ProducerMessage, partitions int32) (int32, error) {
	now := sentAt(m)
	if p.current < 0 || p.current >= partitions || p.given >= p.batchSize || now.Sub(p.since) > p.linger {
		p.current = pickOther(p.current, partitions)
		p.given, p.since = 0, now
	}
	p.given += m.ByteSize(2)
	return p.current, nil
}

// pickOther draws a partition, another than the current one when there is a choice.
func pickOther(current, partitions int32) int32 {
	if current < 0 || current >= partitions || partitions == 1 {
		return rand.Int32N(partitions)
	}
	next := rand.Int32N(partitions - 1)
	if next >= current {
		next++
	}
	return next
}

// RequiresConsistency implements sarama.Partitioner: a partition without a leader is no choice.
func (p *stickyPartitioner) RequiresConsistency() bool { return false }

// keyPartitioner sends a record to the partition of its key, else to the sticky one (Kafka: DefaultPartitioner).
type keyPartitioner struct{ sticky *stickyPartitioner }

// Partition implements sarama.Partitioner.
func (p *keyPartitioner) Partition(m *sarama.ProducerMessage, partitions int32) (int32, error) {
	if m.Key == nil {
		return p.sticky.Partition(m, partitions)
	}
	key, err := m.Key.Encode()
	if err != nil {
		return 0, err
	}
	return PartitionForKey(key, partitions), nil
}

// RequiresConsistency implements sarama.Partitioner.
func (p *keyPartitioner) RequiresConsistency() bool { return true }

// MessageRequiresConsistency implements sarama.DynamicConsistencyPartitioner: a record without a key may go anywhere.
func (p *keyPartitioner) MessageRequiresConsistency(m *sarama.ProducerMessage) bool {
	return m.Key != nil
}

// namedPartitioner sends a record to the partition it names, and asks another partitioner about the rest.
type namedPartitioner struct{ otherwise sarama.Partitioner }

// Partition implements sarama.Partitioner.
func (p *namedPartitioner) Partition(m *sarama.ProducerMessage, partitions int32) (int32, error) {
	if named := partitionNamed(m); named != AnyPartition {
		return named, nil
	}
	return p.otherwise.Partition(m, partitions)
}

// sentAt is when a record was handed to Send; asking the clock once for each record is enough.
func sentAt(m *sarama.ProducerMessage) time.Time {
	if s, ok := m.Metadata.(*sending); ok {
		return s.sent
	}
	return time.Now()
}

func partitionNamed(m *sarama.ProducerMessage) int32 {
	if s, ok := m.Metadata.(*sending); ok {
		return s.record.Partition
	}
	return AnyPartition
}

// RequiresConsistency implements sarama.Partitioner.
func (p *namedPartitioner) RequiresConsistency() bool { return true }

// MessageRequiresConsistency implements sarama.DynamicConsistencyPartitioner.
func (p *namedPartitioner) MessageRequiresConsistency(m *sarama.ProducerMessage) bool {
	if partitionNamed(m) != AnyPartition {
		return true
	}
	if dynamic, ok := p.otherwise.(sarama.DynamicConsistencyPartitioner); ok {
		return dynamic.MessageRequiresConsistency(m)
	}
	return p.otherwise.RequiresConsistency()
}
