package controller

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// TestZooKeeperWritesAreKafkas leads one cluster through the life that was captured from Apache Kafka, and
// compares what is written into ZooKeeper, field by field and in order.
//
// testdata/zkops are copies of the captures. Not compared are failed requests (Kafka tries first and asks
// later), the producer id blocks that each 2.8 broker takes at its start, and the order in which Kafka's hash
// maps give partitions: what is compared is the sequence of writes to each znode, and the sequence of kinds
// of writes.
func TestZooKeeperWritesAreKafkas(t *testing.T) {
	for _, test := range []struct {
		release    string
		level      ibp.Level
		after0     int32 // who became controller when broker 0 died
		after2Left int32 // who was controller when broker 2 had left
	}{
		{"2.8.2", ibp.V2_8_IV1, 2, 1},
		{"3.9.1", ibp.V3_9_IV0, 1, 1},
	} {
		t.Run(test.release, func(t *testing.T) {
			s := &stage{t: t, level: test.level, deleteTopics: true, registered: make(map[int32]*zkmeta.Client), log: zap.NewNop()}
			s.openEmpty()
			life := &life{s, filepath.Join("testdata", "zkops", test.release)}
			life.play(test.after0, test.after2Left)
		})
	}
}

// life is the captured cluster: brokers 0 to 2, one topic.
type life struct {
	*stage
	captures string
}

func (l *life) play(after0, after2Left int32) {
	ctx := context.Background()
	tool := l.tool.Session()

	first := l.connect()
	l.registered[0] = first
	l.must(first.Session().EnsurePaths(ctx))
	_, err := first.Session().ClusterID(ctx)
	l.must(err)
	l.join(0)
	l.stand(0)
	l.await(firstHints...)
	l.same("01")

	for id := range int32(2) {
		l.registered[id+1] = l.connect()
		l.join(id + 1)
		l.await("BrokerChange")
		l.same(fmt.Sprintf("%02d", id+2))
	}

	a := zkmeta.TopicAssignment{ID: topic.NewID(), Partitions: map[int32][]int32{0: {0, 1, 2}, 1: {1, 2, 0}, 2: {2, 0, 1}}}
	l.must(tool.CreateTopic(ctx, "t", nil, a))
	l.await("TopicChange")
	l.same("04")

	a, err = tool.ReadTopic(ctx, "t")
	l.must(err)
	a.Partitions[3] = []int32{1, 0, 2}
	l.must(tool.AddPartitions(ctx, "t", a))
	l.await("PartitionModifications")
	l.same("06")

	l.leave(1)
	l.await("BrokerChange")
	l.same("07")

	l.comeBack(1, map[int32][]int32{0: {0, 2, 1}, 1: {2, 0, 1}, 2: {2, 0, 1}, 3: {0, 2, 1}})
	l.same("08")

	l.must(tool.RequestPreferredElection(ctx, []topic.Partition{{Topic: "t", ID: 1}, {Topic: "t", ID: 3}}))
	l.await("PreferredReplicaElection")
	l.same("09")

	l.retire()
	l.leave(0)
	l.stand(after0)
	l.await(firstHints...)
	l.same("10")

	l.comeBack(0, map[int32][]int32{0: {2, 1, 0}, 1: {2, 1, 0}, 2: {2, 1, 0}, 3: {2, 1, 0}})
	l.same("11")

	l.pretend("12") // a reassignment: its outcome, until there is reassign.go

	answer := make(chan int16, 1)
	go func() {
		answer <- l.c.ControlledShutdown(ctx, &kmsg.ControlledShutdownRequest{Version: 3, BrokerID: 2, BrokerEpoch: -1}).ErrorCode
	}()
	l.await("ControlledShutdown")
	if code := <-answer; code != 0 {
		l.t.Fatalf("controlled shutdown: %s", name(code))
	}
	if l.c.opt.BrokerID == 2 {
		l.retire()
		l.leave(2)
		l.stand(after2Left)
		l.await(firstHints...)
	} else {
		l.leave(2)
		l.await("BrokerChange")
	}
	l.same("14")

	l.comeBack(2, map[int32][]int32{0: {0, 2}, 1: {1, 0, 2}, 2: {1, 0, 2}, 3: {1, 0, 2}})
	l.same("15")

	l.must(tool.MarkTopicDeleted(ctx, "t"))
	l.await("TopicDeletion")
	for len(l.out.waiting) > 0 {
		l.answerAll()
	}
	l.same("16")
}

// join registers a broker in the session it has.
func (l *life) join(id int32) {
	b := zkmeta.BrokerInfo{ID: id, JMXPort: -1, Endpoints: []zkmeta.Endpoint{
		{Listener: "PLAINTEXT", SecurityProtocol: "PLAINTEXT", Host: "127.0.0.1", Port: 20405 + id}}}
	_, err := l.registered[id].Session().RegisterBroker(context.Background(), b)
	l.must(err)
}

func (l *life) leave(id int32) {
	l.registered[id].Close()
	delete(l.registered, id)
}

// comeBack registers a broker again, and has the leaders take it into their ISRs.
func (l *life) comeBack(id int32, isrs map[int32][]int32) {
	l.registered[id] = l.connect()
	l.join(id)
	l.await("BrokerChange")
	for _, p := range slices.Sorted(maps.Keys(isrs)) {
		st := l.c.term.cluster.find(topic.Partition{Topic: "t", ID: p}).leadership
		req := &kmsg.AlterPartitionRequest{Version: 0, BrokerID: st.Leader, BrokerEpoch: l.epochOf(st.Leader),
			Topics: []kmsg.AlterPartitionRequestTopic{{Topic: "t", Partitions: []kmsg.AlterPartitionRequestTopicPartition{
				{Partition: p, LeaderEpoch: st.LeaderEpoch, PartitionEpoch: st.ZkVersion, NewISR: isrs[p]}}}}}
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

// pretend writes what a phase wrote, and has the controller believe it wrote that itself.
func (l *life) pretend(phase string) {
	for _, row := range l.capture(phase) {
		path, data := row[1], row[2]
		if strings.HasSuffix(path, "/state") {
			_, err := l.tool.Session().Set(context.Background(), path, []byte(data), zkmeta.AnyVersion)
			l.must(err)
		}
	}
	found, err := l.tool.Session().ReadStates(context.Background(), []topic.Partition{{Topic: "t", ID: 0}})
	l.must(err)
	for tp, st := range found {
		p := l.c.term.cluster.find(tp)
		p.leadership, p.replicas = &st, []int32{2, 0}
	}
	a, err := l.tool.Session().ReadTopic(context.Background(), "t")
	l.must(err)
	a.Partitions[0] = []int32{2, 0}
	l.must(l.tool.Session().AddPartitions(context.Background(), "t", a))
	l.await("PartitionModifications")
	l.writes()
}

// capture reads the writes of a phase, [checked op, path, data] each, without failed ones.
func (l *life) capture(phase string) [][3]string {
	files, err := filepath.Glob(filepath.Join(l.captures, phase+"-*.tsv"))
	l.must(err)
	b, err := os.ReadFile(files[0])
	l.must(err)
	var rows [][3]string
	var group []string
	var ops [][3]string
	flush := func() {
		prefix := ""
		for _, op := range ops {
			switch {
			case op[0] == "error":
				ops = nil
				return
			case op[0] == "check" && op[1] == "/controller_epoch":
				prefix = "checked "
			}
		}
		for _, op := range ops {
			if op[0] != "check" && !(op[0] == "set" && op[1] == zkmeta.ProducerIDBlockPath) {
				op[0] = prefix + op[0]
				rows = append(rows, op)
			}
		}
		ops = nil
	}
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n")[1:] {
		f := strings.Split(line, "\t")
		if len(group) > 0 && f[0] != group[0] {
			flush()
		}
		group = f
		switch f[3] {
		case "createSession", "closeSession":
			continue
		case "create":
			if f[5] == "ephemeral" {
				f[3] = "create ephemeral"
			}
		case "setData":
			f[3] = "set"
		}
		ops = append(ops, [3]string{f[3], f[4], strings.TrimPrefix(f[6], "text ")})
	}
	flush()
	return rows
}

var places = regexp.MustCompile(`204[0-9][0-9]`)
var clusterID = regexp.MustCompile(`"id":"[^"]{22}"`)

// same compares what was written since the last call with a phase of the capture.
func (l *life) same(phase string) {
	l.t.Helper()
	var want, got []string
	for _, row := range l.capture(phase) {
		want = append(want, strings.TrimSuffix(strings.Join(row[:], " "), " -"))
	}
	for _, line := range l.writes() {
		prefix := ""
		if rest, ok := strings.CutPrefix(line, "checked "); ok {
			prefix, line = "checked ", rest
		}
		for _, op := range strings.Split(line, "; ") {
			if !strings.Contains(op, zkmeta.PreferredElectionPath) { // the capture asked by API
				got = append(got, prefix+op)
			}
		}
	}
	for _, lines := range [][]string{want, got} {
		for i := range lines {
			for _, m := range masks {
				lines[i] = m.re.ReplaceAllString(lines[i], m.to)
			}
			lines[i] = clusterID.ReplaceAllString(places.ReplaceAllString(lines[i], "PORT"), `"id":"ID"`)
		}
	}
	if diff := cmp.Diff(byZnode(want), byZnode(got)); diff != "" {
		l.t.Errorf("phase %s, each znode (-Kafka +ours):\n%s", phase, diff)
	}
	if diff := cmp.Diff(kinds(want), kinds(got)); diff != "" {
		l.t.Errorf("phase %s, order of kinds (-Kafka +ours):\n%s", phase, diff)
	}
}

func byZnode(lines []string) map[string][]string {
	m := make(map[string][]string)
	for _, line := range lines {
		path := line[strings.IndexByte(line, '/'):]
		path, _, _ = strings.Cut(path, " ")
		m[path] = append(m[path], line)
	}
	return m
}

var (
	numbered   = regexp.MustCompile(`/partitions/[0-9]+`)
	ofTheState = regexp.MustCompile(`(/state|/partitions/N)$`)
)

// kinds is the sequence of writes without data and partition numbers, and without repeats.
func kinds(lines []string) []string {
	var ks []string
	for _, line := range lines {
		i := strings.IndexByte(line, '/')
		path, _, _ := strings.Cut(line[i:], " ")
		k := line[:i] + numbered.ReplaceAllString(path, "/partitions/N")
		if strings.HasPrefix(k, "checked delete") {
			k = ofTheState.ReplaceAllString(k, "/N") // each partition's two znodes go together
		}
		if len(ks) == 0 || ks[len(ks)-1] != k {
			ks = append(ks, k)
		}
	}
	return ks
}
