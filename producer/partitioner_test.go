package producer

import (
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// The hashes are those of org.apache.kafka.common.utils.UtilsTest.
func TestMurmur2IsThatOfJavasClient(t *testing.T) {
	for text, want := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		if got := int32(Murmur2([]byte(text))); got != want {
			t.Errorf("%q: %d, not %d", text, got, want)
		}
	}
}

// Ten keys as Java's console producer spread them over two partitions (golden/cli, topic q1: 6 and 4).
func TestKeysGoWhereJavaSendsThem(t *testing.T) {
	counts := map[int32]int{}
	for _, key := range []string{"k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8", "k9"} {
		counts[PartitionForKey([]byte(key), 2)]++
	}
	if counts[0] != 6 || counts[1] != 4 {
		t.Errorf("partitions got %v", counts)
	}
}

func TestRecordsWithoutKeyStayTogetherUntilABatchIsFull(t *testing.T) {
	p := newStickyPartitioner(1000, time.Hour)
	m := &sarama.ProducerMessage{Value: sarama.ByteEncoder(make([]byte, 100))}
	var went []int32
	for range 30 {
		at, err := p.Partition(m, 4)
		if err != nil {
			t.Fatal(err)
		}
		went = append(went, at)
	}
	changes := 0
	for i := 1; i < len(went); i++ {
		if went[i] != went[i-1] {
			changes++
		}
	}
	if changes < 2 || changes > 4 {
		t.Errorf("30 records of 100 bytes in batches of 1000 changed partition %d times: %v", changes, went)
	}
}

func TestStickyPartitionerLeavesAPartitionThatIsGone(t *testing.T) {
	p := newStickyPartitioner(1000, time.Hour)
	p.current = 7
	if at, _ := p.Partition(&sarama.ProducerMessage{}, 2); at < 0 || at > 1 {
		t.Errorf("partition %d of 2", at)
	}
	if at, _ := p.Partition(&sarama.ProducerMessage{}, 1); at != 0 {
		t.Errorf("partition %d of 1", at)
	}
}

func TestNamedPartitionWins(t *testing.T) {
	c, err := NewConfig(map[string]string{"bootstrap.servers": "x:1", "partitioner.class": "a.RoundRobinPartitioner"})
	if err != nil {
		t.Fatal(err)
	}
	p := c.sarama.Producer.Partitioner("t").(sarama.DynamicConsistencyPartitioner)
	named := &sarama.ProducerMessage{Metadata: &sending{record: Record{Partition: 3}}}
	free := &sarama.ProducerMessage{Metadata: &sending{record: Record{Partition: AnyPartition}}}
	for range 3 {
		if at, _ := p.Partition(named, 5); at != 3 || !p.MessageRequiresConsistency(named) {
			t.Errorf("named 3, went to %d", at)
		}
	}
	if at, _ := p.Partition(free, 5); at != 0 || p.MessageRequiresConsistency(free) {
		t.Errorf("the first free record went to %d", at)
	}
}
