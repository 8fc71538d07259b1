package controller

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/brokertest/zklog"
	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// TestZooKeeperWritesAreKafkas leads one cluster through the life that was captured from Apache Kafka, and compares
// every write into ZooKeeper: who made it, what was checked with it, operation, path, kind, version, every field of
// the data, and the order. Only the order inside one batch of partitions is free, which Kafka's hash maps give.
//
// testdata/zkops are copies of the captures.
func TestZooKeeperWritesAreKafkas(t *testing.T) {
	for _, test := range []struct {
		release    string
		level      ibp.Level
		port       int32 // of broker 0
		after0     int32 // who became controller when broker 0 died
		after2Left int32 // who was controller when broker 2 had left
	}{
		{"2.8.2", ibp.V2_8_IV1, 20435, 2, 1},
		{"3.9.1", ibp.V3_9_IV0, 20405, 1, 1},
	} {
		t.Run(test.release, func(t *testing.T) {
			s := &stage{t: t, level: test.level, deleteTopics: true, registered: make(map[int32]*zkmeta.Client), log: zap.NewNop()}
			s.openEmpty()
			l := &life{stage: s, t: t, captures: filepath.Join("testdata", "zkops", test.release), port: test.port,
				names: make(map[int64]string), ours: zklog.Identities{}, kafkas: zklog.Identities{}}
			l.play(test.after0, test.after2Left)
			l.everyPhaseWasSeen()
		})
	}
}

// life is the captured cluster: brokers 0 to 2, one topic.
type life struct {
	*stage
	t            *testing.T
	captures     string           // folder of the release
	port         int32            // of broker 0
	names        map[int64]string // of the brokers, by session
	ours, kafkas zklog.Identities
	seen         []string // phases that were compared
}

func (l *life) play(after0, after2Left int32) {
	ctx := context.Background()
	tool := l.tool.Session()

	l.enter(0)
	first := l.registered[0].Session()
	l.must(first.EnsurePaths(ctx))
	_, err := first.ClusterID(ctx)
	l.must(err)
	l.join(0)
	l.stand(0)
	l.await(firstHints...)
	l.takeProducerIDs(0)
	l.same("01")

	for id := range int32(2) {
		l.enter(id + 1)
		l.join(id + 1)
		l.await("BrokerChange")
		l.takeProducerIDs(id + 1)
		l.same(fmt.Sprintf("%02d", id+2))
	}

	a := zkmeta.TopicAssignment{ID: topic.NewID(), Partitions: map[int32][]int32{0: {0, 1, 2}, 1: {1, 2, 0}, 2: {2, 0, 1}}}
	l.must(l.asked("04").CreateTopic(ctx, "t", nil, a))
	l.await("TopicChange")
	l.same("04")

	l.must(l.asked("05").WriteConfig(ctx, zkmeta.TopicEntity("t"), map[string]string{"retention.ms": "1000000"}))
	l.same("05")

	a, err = tool.ReadTopic(ctx, "t")
	l.must(err)
	a.Partitions[3] = []int32{1, 0, 2}
	l.must(l.asked("06").AddPartitions(ctx, "t", a))
	l.await("PartitionModifications")
	l.same("06")

	l.leave(1)
	l.await("BrokerChange")
	l.same("07")

	l.comeBack("08", 1)
	l.same("08")

	l.elect(1, 3)
	l.same("09")

	l.retire()
	l.leave(0)
	l.stand(after0)
	l.await(firstHints...)
	l.same("10")

	l.comeBack("11", 0)
	l.same("11")

	l.reassign(2, 0)
	l.same("12")

	l.initProducers()
	l.same("13")

	answer := make(chan int16, 1)
	go func() {
		answer <- l.c.ControlledShutdown(ctx, &kmsg.ControlledShutdownRequest{Version: 3, BrokerID: 2, BrokerEpoch: -1}).ErrorCode
	}()
	l.await("ControlledShutdown")
	if code := <-answer; code != 0 {
		l.t.Fatalf("controlled shutdown: %s", name(code))
	}
	l.shutDown(2, after2Left)
	l.same("14")

	l.comeBack("15", 2)
	l.same("15")

	l.must(l.asked("16").MarkTopicDeleted(ctx, "t"))
	l.await("TopicDeletion")
	for len(l.out.waiting) > 0 {
		l.answerAll()
	}
	l.same("16")

	l.shutDown(0, 1)
	l.shutDown(1, 2)
	l.retire()
	l.leave(2)
	l.same("17")
}

// enter opens the session of a broker that starts.
func (l *life) enter(id int32) {
	client := l.connect()
	l.registered[id] = client
	l.names[client.Session().ID()] = fmt.Sprintf("broker-%d", id)
}

// join registers a broker in the session it has.
func (l *life) join(id int32) {
	b := zkmeta.BrokerInfo{ID: id, JMXPort: -1, Endpoints: []zkmeta.Endpoint{
		{Listener: "PLAINTEXT", SecurityProtocol: "PLAINTEXT", Host: "127.0.0.1", Port: l.port + id}}}
	_, err := l.registered[id].Session().RegisterBroker(context.Background(), b)
	l.must(err)
}

// takeProducerIDs is what a broker does at its start, below the level at which the controller deals the ids out.
func (l *life) takeProducerIDs(id int32) {
	if !l.level.ControllerAllocatesProducerIDs() {
		_, err := l.registered[id].Session().NextProducerIDBlock(context.Background(), id)
		l.must(err)
	}
}

// initProducers has the captured producers, one on broker 2 and one on broker 1, get their first ids. Below the level
// of takeProducerIDs each broker has some left.
func (l *life) initProducers() {
	for _, id := range []int32{2, 1} {
		if !l.level.ControllerAllocatesProducerIDs() {
			return
		}
		req := &kmsg.AllocateProducerIDsRequest{BrokerID: id, BrokerEpoch: l.epochOf(id)}
		answer := make(chan int16, 1)
		go func() { answer <- l.c.AllocateProducerIDs(context.Background(), req).ErrorCode }()
		l.await("AllocateProducerIds")
		if code := <-answer; code != 0 {
			l.t.Fatalf("allocate producer ids: %s", name(code))
		}
	}
}

// asked is the session of the broker that wrote first in a phase: the one the captured request went to.
func (l *life) asked(phase string) *zkmeta.Session {
	by := l.capture(phase)[0].By
	for id, client := range l.registered {
		if by == fmt.Sprintf("broker-%d", id) {
			return client.Session()
		}
	}
	l.t.Fatalf("phase %s begins with %s", phase, by)
	return nil
}

// shutDown ends a broker; if it was the controller, the next one is elected.
func (l *life) shutDown(id, next int32) {
	if l.c.opt.BrokerID != id {
		l.leave(id)
		l.await("BrokerChange")
		return
	}
	l.retire()
	l.leave(id)
	l.stand(next)
	l.await(firstHints...)
}

func (l *life) leave(id int32) {
	l.registered[id].Close()
	delete(l.registered, id)
}

// comeBack registers a broker again, and has the leaders take it into their ISRs in the order of the capture.
func (l *life) comeBack(phase string, id int32) {
	l.enter(id)
	l.join(id)
	l.await("BrokerChange")
	l.takeProducerIDs(id)
	for _, w := range l.capture(phase) {
		if !zklog.IsState(w) {
			continue
		}
		p := int32(zklog.PartitionOf(w))
		st := l.c.term.cluster.find(topic.Partition{Topic: "t", ID: p}).leadership
		req := &kmsg.AlterPartitionRequest{Version: 0, BrokerID: st.Leader, BrokerEpoch: l.epochOf(st.Leader),
			Topics: []kmsg.AlterPartitionRequestTopic{{Topic: "t", Partitions: []kmsg.AlterPartitionRequestTopicPartition{
				{Partition: p, LeaderEpoch: st.LeaderEpoch, PartitionEpoch: st.ZkVersion, NewISR: append(slices.Clone(st.ISR), id)}}}}}
		answer := make(chan *kmsg.AlterPartitionResponse, 1)
		go func() { answer <- l.c.AlterPartition(context.Background(), req) }()
		l.await("AlterPartitionReceived")
		if resp := <-answer; resp.ErrorCode != 0 || resp.Topics[0].Partitions[0].ErrorCode != 0 {
			l.t.Fatalf("alter partition %d: %+v", p, resp)
		}
	}
}

// answerAll has every broker answer what it was sent, without an error.
func (l *life) answerAll() {
	for _, id := range slices.Sorted(maps.Keys(l.out.brokers)) {
		for _, p := range l.out.take(id) {
			resp := p.req.ResponseKind()
			resp.SetVersion(p.req.GetVersion())
			p.answered(resp)
		}
	}
	for {
		e, ok := l.c.mailbox.take()
		if !ok {
			return
		}
		l.c.handle(e)
	}
}

// elect asks for preferred leaders of partitions of t, as the captured tool did: by ElectLeaders.
func (l *life) elect(ids ...int32) {
	var asked []topic.Partition
	for _, id := range ids {
		asked = append(asked, topic.Partition{Topic: "t", ID: id})
	}
	answer := make(chan map[topic.Partition]Elected, 1)
	go func() {
		results, _ := l.c.ElectLeaders(context.Background(), asked, false)
		answer <- results
	}()
	l.await("ReplicaLeaderElection")
	for tp, e := range <-answer {
		if e.Err != nil {
			l.t.Fatalf("election of %s: %v", tp, e.Err)
		}
	}
}

// reassign asks for the captured move of t-0 to brokers 2 and 0, which have all of it.
func (l *life) reassign(replicas ...int32) {
	req := &kmsg.AlterPartitionAssignmentsRequest{Topics: []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: "t",
		Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Partition: 0, Replicas: replicas}}}}}
	answer := make(chan *kmsg.AlterPartitionAssignmentsResponse, 1)
	go func() { answer <- l.c.AlterPartitionReassignments(context.Background(), req) }()
	l.await("ApiPartitionReassignment")
	if resp := <-answer; resp.ErrorCode != 0 || resp.Topics[0].Partitions[0].ErrorCode != 0 {
		l.t.Fatalf("reassignment: %+v", resp)
	}
}

// capture reads the captured writes of a phase.
func (l *life) capture(phase string) []zklog.Write {
	l.t.Helper()
	files, err := filepath.Glob(filepath.Join(l.captures, phase+"-*.tsv"))
	if err != nil || len(files) != 1 {
		l.t.Fatalf("phase %s: %v, %v", phase, files, err)
	}
	writes, err := zklog.ReadCapture(files[0], l.kafkas)
	l.must(err)
	return writes
}

// same compares what was written since the last call with a phase of the capture.
func (l *life) same(phase string) {
	l.t.Helper()
	l.seen = append(l.seen, phase)
	got, want := zklog.Writes(l.transactions(), l.names, l.ours), l.capture(phase)
	if diff := cmp.Diff(zklog.InOurOrder(want, got), got); diff != "" {
		l.t.Errorf("phase %s (-Kafka +ours):\n%s", phase, diff)
	}
}

// everyPhaseWasSeen fails the test for a capture that nobody looked at.
func (l *life) everyPhaseWasSeen() {
	files, err := filepath.Glob(filepath.Join(l.captures, "*.tsv"))
	l.must(err)
	for _, file := range files {
		if phase := filepath.Base(file)[:2]; !slices.Contains(l.seen, phase) {
			l.t.Errorf("phase %s was not compared", phase)
		}
	}
}
