package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/topic"
)

// Some cases read what the coordinators of transactions and of groups wrote. The tools are here and the coordinators are
// not, so the replay makes those records again from what the captures tell of them. A dump tells a batch's CRC: where all
// else is told too, or is a clock that can be tried, the CRC must come out, and the bytes are those that Kafka wrote.

// dumpedBatch is a batch as a dump shows it.
type dumpedBatch struct {
	base, created, producerID int64
	count, size               int
	sequence                  int32
	epoch                     int16
	leaderEpoch               int32
	transactional, control    bool
	crc                       uint32
	records                   []string // the lines of its records
}

var dumpField = regexp.MustCompile(`(\w+): (\S+)`)

// dumpedBatches reads a dump.
func dumpedBatches(t *testing.T, dump string) (batches []dumpedBatch) {
	t.Helper()
	for line := range strings.Lines(dump) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "| ") {
			last := &batches[len(batches)-1]
			last.records = append(last.records, line)
		}
		if !strings.HasPrefix(line, "baseOffset: ") {
			continue
		}
		fields := make(map[string]string)
		for _, m := range dumpField.FindAllStringSubmatch(line, -1) {
			fields[m[1]] = m[2]
		}
		number := func(name string) int64 {
			n, err := strconv.ParseInt(fields[name], 10, 64)
			if err != nil {
				t.Fatalf("%s of %q: %v", name, line, err)
			}
			return n
		}
		batches = append(batches, dumpedBatch{
			base: number("baseOffset"), created: number("CreateTime"), producerID: number("producerId"),
			count: int(number("count")), size: int(number("size")), sequence: int32(number("baseSequence")),
			epoch: int16(number("producerEpoch")), crc: uint32(number("crc")),
			leaderEpoch:   int32(number("partitionLeaderEpoch")),
			transactional: fields["isTransactional"] == "true", control: fields["isControl"] == "true",
		})
	}
	return batches
}

// coordinatorRecord is a record without what the log adds.
type coordinatorRecord struct{ key, value []byte }

// build makes the batch of records, all of the batch's time.
func (b *dumpedBatch) build(t *testing.T, records []coordinatorRecord) record.Batch {
	t.Helper()
	builder := record.NewBuilder(record.Compression{}, 1<<20)
	for _, r := range records {
		if err := builder.Append(b.created, r.key, r.value, nil); err != nil {
			t.Fatal(err)
		}
	}
	batch, err := builder.Finish(&record.Producer{
		ID: b.producerID, Epoch: b.epoch, BaseSequence: b.sequence, Transactional: b.transactional})
	if err != nil {
		t.Fatal(err)
	}
	batch.SetBaseOffset(b.base)
	batch.SetLeaderEpoch(b.leaderEpoch)
	return batch
}

// longestPause is how many ms may lie between what a coordinator's clock said and the append.
const longestPause = 5000

// untold is what a dump does not show of a group's records.
type untold struct {
	clock   int64 // what the coordinator's clock showed, in ms
	epoch   int32 // of the leader from which a consumer that commits had read last; -1 when it had not
	session int32 // session timeout of a member, in ms
}

// The session timeouts of a consumer of 2.8 and of kafka-verifiable-consumer, in ms.
const (
	consumerSession   = 10000
	verifiableSession = 30000
)

// prove makes the batch of a group's records. What the dump does not tell is tried until the CRC is right.
func (b *dumpedBatch) prove(t *testing.T) record.Batch {
	t.Helper()
	if b.count > 8 {
		t.Fatalf("too many records to try all epochs of: %d", b.count)
	}
	records := make([]coordinatorRecord, b.count)
	for pause := range int64(longestPause) {
		for try := range 2 << b.count { // a bit for each record whose epoch is -1, and one for the session
			session := int32(consumerSession)
			if try>>b.count == 1 {
				session = verifiableSession
			}
			for i, line := range b.records {
				records[i] = groupRecord(t, line, untold{b.created - pause, -int32(try >> i & 1), session})
			}
			if batch := b.build(t, records); batch.CRC() == b.crc {
				return batch
			}
		}
	}
	t.Fatalf("the batch at offset %d cannot be made as it was: %d bytes in place of %d, or another CRC\n%s", b.base,
		b.build(t, records).SizeBytes(), b.size, strings.Join(b.records, "\n"))
	return nil
}

// perfLog makes the log of kafka-producer-perf-test. The times within a batch of many records are not told; all else is.
func perfLog(t *testing.T, dump string) (log []byte) {
	t.Helper()
	proven := 0
	for _, b := range dumpedBatches(t, dump) {
		if b.control {
			marker := record.Batch(record.EndTxnMarker{ProducerID: b.producerID, ProducerEpoch: b.epoch,
				Type: record.Commit, Timestamp: b.created}.Append(nil))
			marker.SetBaseOffset(b.base)
			marker.SetLeaderEpoch(b.leaderEpoch)
			log = append(log, b.sealed(t, marker)...)
			continue
		}
		const overhead = 13 // at most, of a record beside its value
		size := max(0, b.size-record.HeaderBytes-overhead*b.count)
		batch := b.build(t, perfRecords(b.count, size))
		for ; batch.SizeBytes() < b.size; size++ {
			batch = b.build(t, perfRecords(b.count, size))
		}
		if b.count == 1 {
			batch = b.sealed(t, batch)
			proven++
		}
		log = append(log, batch...)
	}
	if proven < 1000 {
		t.Fatalf("only %d batches are proven", proven)
	}
	return log
}

// sealed wants the CRC that Kafka wrote.
func (b *dumpedBatch) sealed(t *testing.T, batch record.Batch) record.Batch {
	t.Helper()
	if batch.CRC() != b.crc {
		t.Fatalf("the batch at offset %d has CRC %d in place of %d", b.base, batch.CRC(), b.crc)
	}
	return batch
}

// perfRecords shares size bytes among count records.
func perfRecords(count, size int) []coordinatorRecord {
	records := make([]coordinatorRecord, count)
	for i := range records {
		n := size / count
		if i == count-1 {
			n = size - n*(count-1)
		}
		records[i].value = perfPayload(n)
	}
	return records
}

// perfPayload is the value the tool of 2.8 sends again and again: capital letters of java.util.Random with seed 0.
func perfPayload(n int) []byte {
	const letters, mask = 26, 1<<48 - 1
	payload := make([]byte, n)
	for i, seed := 0, int64(0x5DEECE66D); i < n; i++ {
		seed = (seed*0x5DEECE66D + 0xB) & mask
		payload[i] = byte('A' + (seed>>17)%letters)
	}
	return payload
}

var dumpedTransaction = regexp.MustCompile(` key: transaction_metadata::transactionalId=(\S+) payload: ` +
	`producerId:(\d+),producerEpoch:(\d+),state=(\w+),partitions=\[(.*)\],` +
	`txnLastUpdateTimestamp=(\d+),txnTimeoutMs=(\d+)$`)

// transactionLog makes a log of __transaction_state.
func transactionLog(t *testing.T, dump string) (log []byte) {
	t.Helper()
	began := int64(-1)
	for _, b := range dumpedBatches(t, dump) {
		m := dumpedTransaction.FindStringSubmatch(b.records[0])
		if m == nil {
			t.Fatal(b.records)
		}
		n := numbers(t, m[2], m[3], m[6], m[7])
		if m[4] == "Ongoing" {
			began = n[2]
		}
		r := transactionRecord(t, m[1], m[4], m[5], n[0], n[1], n[3], began, n[2])
		log = append(log, b.sealed(t, b.build(t, []coordinatorRecord{r}))...)
	}
	return log
}

func numbers(t *testing.T, texts ...string) []int64 {
	t.Helper()
	n := make([]int64, len(texts))
	for i, text := range texts {
		var err error
		if n[i], err = strconv.ParseInt(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// transactionRecord is the record of a state of a transaction; partitions is a list with commas.
func transactionRecord(t testing.TB, id, state, partitions string,
	pid, epoch, timeout, began, updated int64) coordinatorRecord {
	t.Helper()
	k := kmsg.TxnMetadataKey{TransactionalID: id}
	v := kmsg.TxnMetadataValue{ProducerID: pid, ProducerEpoch: int16(epoch), TimeoutMillis: int32(timeout),
		StartTimestamp: began, LastUpdateTimestamp: updated}
	var err error
	if v.State, err = kmsg.ParseTransactionState(state); err != nil {
		t.Fatal(err)
	}
	if state != "Empty" {
		v.Topics = []kmsg.TxnMetadataValueTopic{}
	}
	for _, p := range partitionsOf(t, partitions) {
		v.Topics = append(v.Topics, kmsg.TxnMetadataValueTopic{Topic: p.Topic, Partitions: []int32{p.ID}})
	}
	return coordinatorRecord{k.AppendTo(nil), v.AppendTo(nil)}
}

func partitionsOf(t testing.TB, list string) (partitions []topic.Partition) {
	t.Helper()
	for name := range strings.FieldsFuncSeq(list, func(r rune) bool { return strings.ContainsRune(", ", r) }) {
		p, err := topic.ParseDir(name)
		if err != nil {
			t.Fatal(err)
		}
		partitions = append(partitions, p)
	}
	return partitions
}

var (
	dumpedCommit = regexp.MustCompile(` key: offset_commit::group=(\S+),partition=(\S+) ` +
		`payload: (?:offset=(\d+)|<DELETE>)$`)
	dumpedGroup  = regexp.MustCompile(` key: group_metadata::group=(\S+) payload: (?:(\{.*\})|<DELETE>)$`)
	dumpedMember = regexp.MustCompile(`^\{(?:(.*)=\[(.*)\])?\}$`)
)

// offsetsLog makes a log of __consumer_offsets, of groups with one member at most.
func offsetsLog(t *testing.T, dump string) (log []byte) {
	t.Helper()
	for _, b := range dumpedBatches(t, dump) {
		log = append(log, b.prove(t)...)
	}
	return log
}

// groupRecord makes the record of a line of a dump.
func groupRecord(t *testing.T, line string, u untold) coordinatorRecord {
	t.Helper()
	if m := dumpedCommit.FindStringSubmatch(line); m != nil {
		p := partitionsOf(t, m[2])[0]
		if m[3] == "" {
			return coordinatorRecord{key: commitRecord(m[1], p, 0, u).key}
		}
		return commitRecord(m[1], p, numbers(t, m[3])[0], u)
	}
	m := dumpedGroup.FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("not of a group: %s", line)
	}
	r := coordinatorRecord{key: groupKey(m[1])}
	if m[2] == "" {
		return r
	}
	var told struct {
		ProtocolType string  `json:"protocolType"`
		Protocol     *string `json:"protocol"`
		Generation   int32   `json:"generationId"`
		Assignment   string  `json:"assignment"`
	}
	if err := json.Unmarshal([]byte(m[2]), &told); err != nil {
		t.Fatal(err)
	}
	member := dumpedMember.FindStringSubmatch(told.Assignment)
	r.value = groupValue(told.Generation, told.Protocol, member[1], partitionsOf(t, member[2]), u)
	return r
}

func commitRecord(group string, p topic.Partition, offset int64, u untold) coordinatorRecord {
	k := kmsg.OffsetCommitKey{Version: offsetKeyVersion, Group: group, Topic: p.Topic, Partition: p.ID}
	v := kmsg.OffsetCommitValue{Version: 3, Offset: offset, LeaderEpoch: u.epoch, CommitTimestamp: u.clock}
	return coordinatorRecord{k.AppendTo(nil), v.AppendTo(nil)}
}

func groupKey(group string) []byte {
	k := kmsg.GroupMetadataKey{Version: groupKeyVersion, Group: group}
	return k.AppendTo(nil)
}

// uuidTail is what a coordinator puts behind a client's id to make a member's.
const uuidTail = "-00000000-0000-0000-0000-000000000000"

// groupValue is the value of a group with one member, a Java consumer of 2.8 with its defaults, or none.
func groupValue(generation int32, protocol *string, member string, assigned []topic.Partition,
	u untold) []byte {
	v := kmsg.GroupMetadataValue{Version: 3, ProtocolType: "consumer", Generation: generation, Protocol: protocol,
		CurrentStateTimestamp: u.clock}
	if member != "" {
		subscription := kmsg.ConsumerMemberMetadata{Version: 1}
		assignment := kmsg.ConsumerMemberAssignment{Version: 1}
		for _, p := range assigned {
			if n := len(assignment.Topics); n > 0 && assignment.Topics[n-1].Topic == p.Topic {
				assignment.Topics[n-1].Partitions = append(assignment.Topics[n-1].Partitions, p.ID)
				continue
			}
			subscription.Topics = append(subscription.Topics, p.Topic)
			assignment.Topics = append(assignment.Topics,
				kmsg.ConsumerMemberAssignmentTopic{Topic: p.Topic, Partitions: []int32{p.ID}})
		}
		v.Leader = &member
		v.Members = []kmsg.GroupMetadataValueMember{{MemberID: member, ClientID: member[:len(member)-len(uuidTail)],
			ClientHost: "/127.0.0.1", RebalanceTimeoutMillis: 300000, SessionTimeoutMillis: u.session,
			Subscription: subscription.AppendTo(nil), Assignment: assignment.AppendTo(nil)}}
	}
	return v.AppendTo(nil)
}

// madeLogs are the logs that a step "lay" of steps.txt can make from its case's own capture, by topic.
var madeLogs = map[string]func(t *testing.T, dump string) []byte{
	"perf":                 perfLog,
	topic.TransactionState: transactionLog,
	topic.ConsumerOffsets:  offsetsLog,
}

// lay makes the log of a partition again from the dump of c, in a directory that stands for the brokers' of c.
func (r *replayer) lay(t *testing.T, c *goldenCase, partition string) {
	t.Helper()
	c.laid = filepath.Join(r.scratch, "laid", c.name)
	dir := filepath.Join(c.laid, partition)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	log := madeLogs[partitionsOf(t, partition)[0].Topic](t, c.stdout)
	if err := os.WriteFile(filepath.Join(dir, "00000000000000000000.log"), log, 0o600); err != nil {
		t.Fatal(err)
	}
}

var (
	printedTransaction = regexp.MustCompile(`(?m)^(\S+)::TransactionMetadata\(.* producerId=(\d+), producerEpoch=(\d+), ` +
		`txnTimeoutMs=(\d+), state=(\w+), .*HashSet\((.*)\), txnStartTimestamp=(-?\d+), txnLastUpdateTimestamp=(\d+)\)$`)
	printedCommit = regexp.MustCompile(`(?m)^\[(\S+),(\S+),(\d+)\]::OffsetAndMetadata\(offset=(\d+), ` +
		`leaderEpoch=Optional(?:\[(\d+)\]|\.empty), metadata=, commitTimestamp=(\d+), expireTimestamp=None\)$`)
	printedGroup = regexp.MustCompile(`(?m)^(\S+)::GroupMetadata\(.* generation=(\d+), .* currentState=(\w+), ` +
		`members=HashMap\((?:(\S+) -> .*)?\)\)$`)
)

// printedRecords makes the records that a formatter printed. What it does not print of a group is not told.
func printedRecords(t *testing.T, text string) (records []coordinatorRecord) {
	t.Helper()
	for _, m := range printedTransaction.FindAllStringSubmatch(text, -1) {
		n := numbers(t, m[2], m[3], m[4], m[7], m[8])
		records = append(records, transactionRecord(t, m[1], m[5], m[6], n[0], n[1], n[2], n[3], n[4]))
	}
	for _, m := range printedCommit.FindAllStringSubmatch(text, -1) {
		n := numbers(t, m[3], m[4], m[6], "-1")
		if m[5] != "" {
			n[3] = numbers(t, m[5])[0]
		}
		p := topic.Partition{Topic: m[2], ID: int32(n[0])}
		records = append(records, commitRecord(m[1], p, n[1], untold{clock: n[2], epoch: int32(n[3])}))
	}
	protocol := "range"
	for _, m := range printedGroup.FindAllStringSubmatch(text, -1) {
		chosen := &protocol
		if m[3] == "Empty" {
			chosen = nil
		}
		records = append(records, coordinatorRecord{groupKey(m[1]),
			groupValue(int32(numbers(t, m[2])[0]), chosen, m[4], nil,
				untold{session: consumerSession})})
	}
	return records
}

// serve puts the first count records that cases of c's version printed into a partition of our brokers, as if a
// coordinator had appended them.
func (r *replayer) serve(t *testing.T, c *goldenCase, partition, count string, cases []string) {
	t.Helper()
	var records []coordinatorRecord
	for _, name := range cases {
		files, err := filepath.Glob(filepath.Join("testdata", "cli", c.version, name+"-*.txt"))
		if err != nil || len(files) != 1 {
			t.Fatal(name, files, err)
		}
		records = append(records, printedRecords(t, readGoldenCase(t, c.version, files[0]).stdout)...)
	}
	n := numbers(t, count)[0]
	if n > int64(len(records)) {
		t.Fatalf("%d of the %d records that %v printed", n, len(records), cases)
	}
	records = records[:n]
	if r.target.brokers == nil {
		t.Log("not our brokers: nothing is laid into", partition)
		return
	}
	b := dumpedBatch{created: 1, producerID: record.NoProducerID, epoch: -1, sequence: -1}
	var log []byte
	for i, one := range records {
		b.base = int64(i)
		log = append(log, b.build(t, []coordinatorRecord{one})...)
	}
	id := r.hostOf(t, partition)
	node := r.target.brokers.Node(id)
	node.Stop()
	if err := os.WriteFile(filepath.Join(r.target.data[id], partition, firstSegment), log, 0o600); err != nil {
		t.Fatal(err)
	}
	node.Start()
}

// firstSegment is the file of a partition's first records.
const firstSegment = "00000000000000000000.log"

// hostOf waits until a broker has the log of a partition, which may be new, and gives the broker's id.
func (r *replayer) hostOf(t *testing.T, partition string) int {
	t.Helper()
	for deadline := time.Now().Add(stepTimeout); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		for id := range goldenBrokers {
			if _, err := os.Stat(filepath.Join(r.target.data[id], partition, firstSegment)); err == nil {
				return id
			}
		}
	}
	t.Fatalf("no broker has %s", partition)
	return 0
}
