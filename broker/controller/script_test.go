package controller

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
	"github.com/zurau/zurau/zkmeta/zkserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestScripts runs testdata/*.txt: commands to a cluster of registrations in a real zkserver and one real
// controller, whose loop is stepped by the script and whose requests go to a list. Each command prints, in
// order, what the controller wrote into ZooKeeper (zk:) and what it sent (to N:).
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		s := &stage{t: t, level: ibp.Latest, deleteTopics: true, registered: make(map[int32]*zkmeta.Client), log: zaptest.NewLogger(t)}
		s.open()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return s.run(t, d) })
	})
}

// deadline is how long a test waits for what must happen.
const deadline = 20 * time.Second

// stage is one script's cluster.
type stage struct {
	t            testing.TB
	level        ibp.Level
	deleteTopics bool
	unclean      bool
	log          *zap.Logger
	server       *zkserver.Server
	dir          string
	tool         *zkmeta.Client           // what changes znodes by hand
	registered   map[int32]*zkmeta.Client // a session for each broker
	c            *Controller
	out          *list
	shown        int // transactions already printed
}

// open starts ZooKeeper with the paths that every broker makes at its start.
func (s *stage) open() {
	s.openEmpty()
	s.must(s.tool.Session().EnsurePaths(context.Background()))
	s.writes()
}

func (s *stage) openEmpty() {
	s.dir = s.t.TempDir()
	server, err := zkserver.NewServer(zkserver.Options{Dir: s.dir, Addr: "127.0.0.1:0", TickTime: 500 * time.Millisecond})
	s.must(err)
	s.must(server.Start())
	s.server = server
	s.tool = s.connect()
	s.t.Cleanup(func() {
		s.retire()
		for _, client := range s.registered {
			client.Close()
		}
		s.tool.Close()
		s.must(s.server.Close())
	})
}

func (s *stage) connect() *zkmeta.Client {
	client, err := zkmeta.Connect(context.Background(), zkmeta.Options{
		ConnectString: s.server.Addr().String(), SessionTimeout: 10 * time.Second, Level: s.level,
	})
	s.must(err)
	return client
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// register makes a broker's session and registration.
func (s *stage) register(id int32, rack, listener string) {
	client := s.connect()
	s.registered[id] = client
	b := zkmeta.BrokerInfo{ID: id, JMXPort: -1, Rack: rack,
		Endpoints: []zkmeta.Endpoint{{Listener: listener, SecurityProtocol: "PLAINTEXT", Host: "h" + strconv.Itoa(int(id)), Port: 9092}}}
	_, err := client.Session().RegisterBroker(context.Background(), b)
	s.must(err)
}

// retire throws the controller away, as if its process ended.
func (s *stage) retire() {
	if s.c != nil {
		s.c.mailbox.close()
		s.c.leaveSession()
		s.c = nil
	}
}

// stand makes the controller of broker id and lets it run for election.
func (s *stage) stand(id int32) {
	s.retire()
	s.out = &list{brokers: make(map[int32]bool)}
	s.c = New(Options{
		BrokerID: id, ZK: s.registered[id], Level: s.level, Listener: "PLAINTEXT", DeleteTopicEnable: s.deleteTopics,
		UncleanLeaderElectionEnable: func() bool { return s.unclean }, Log: s.log,
	})
	s.c.newOutbox = func() outbox { return s.out }
	s.c.Registered(s.registered[id].Session())
}

// await runs the loop until an event of each name has been handled.
func (s *stage) await(names ...string) {
	s.t.Helper()
	names = slices.Clone(names)
	timeout := time.After(deadline)
	for len(names) > 0 {
		e, ok := s.c.mailbox.take()
		if !ok {
			select {
			case <-s.c.mailbox.ready:
			case <-timeout:
				s.t.Fatalf("no event %v came", names)
			}
			continue
		}
		s.c.handle(e)
		names = slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(e.name, name) })
	}
}

// Every watch gives one hint when it is armed.
var firstHints = []string{"ControllerChange", "BrokerChange", "TopicChange", "TopicDeletion", "LogDirEventNotification",
	"IsrChangeNotification", "ZkPartitionReassignment", "PreferredReplicaElection"}

func (s *stage) run(t *testing.T, d *datadriven.TestData) string {
	s.t = t
	ctx := context.Background()
	zk := s.tool.Session()
	switch d.Cmd {
	case "level":
		level, err := ibp.Parse(d.CmdArgs[0].Key)
		s.must(err)
		s.level = level
		return ""
	case "delete-topic-enable":
		s.deleteTopics = d.CmdArgs[0].Key == "true"
		return ""
	case "unclean-election": // unclean-election true|false: the brokers' own default, of which they hear
		s.unclean = d.CmdArgs[0].Key == "true"
		s.c.BrokerConfigChanged()
		s.await("UncleanLeaderElectionEnable")
	case "topic-config-changed": // topic-config-changed T: the notification has come
		s.c.TopicConfigChanged(d.CmdArgs[0].Key)
		s.await("TopicUncleanLeaderElectionEnable")
	case "broker": // broker ID [rack=R] [listener=L]
		rack, listener := "", "PLAINTEXT"
		d.MaybeScanArgs(t, "rack", &rack)
		d.MaybeScanArgs(t, "listener", &listener)
		s.register(s.id(d), rack, listener)
		s.awaitIfActive("BrokerChange")
	case "controller": // controller ID
		s.stand(s.id(d))
		s.await(firstHints...)
	case "close": // close ID: the broker's session ends, and the controller with it if it is that broker
		if s.c != nil && s.c.opt.BrokerID == s.id(d) {
			s.retire()
		}
		s.registered[s.id(d)].Close()
		delete(s.registered, s.id(d))
		s.awaitIfActive("BrokerChange")
	case "bounce": // bounce ID: the session ends and a new one registers before the controller looks
		s.registered[s.id(d)].Close()
		s.register(s.id(d), "", "PLAINTEXT")
		s.awaitIfActive("BrokerChange")
	case "create-topic": // create-topic NAME 0=1,2 1=2,1
		s.must(zk.CreateTopic(ctx, d.CmdArgs[0].Key, nil, assignment(d.CmdArgs[1:])))
		s.awaitIfActive("TopicChange")
	case "add-partitions":
		a, err := zk.ReadTopic(ctx, d.CmdArgs[0].Key)
		s.must(err)
		maps.Copy(a.Partitions, assignment(d.CmdArgs[1:]).Partitions)
		s.must(zk.AddPartitions(ctx, d.CmdArgs[0].Key, a))
		s.awaitIfActive("PartitionModifications")
	case "delete-topic":
		s.must(zk.MarkTopicDeleted(ctx, d.CmdArgs[0].Key))
		s.awaitIfActive("TopicDeletion")
	case "create-znode": // create-znode PATH EVENT, data below
		_, err := zk.Create(ctx, d.CmdArgs[0].Key, []byte(d.Input), zkmeta.Persistent)
		s.must(err)
		s.awaitNamed(d, 1)
	case "set-znode": // set-znode PATH EVENT, data below
		_, err := zk.Set(ctx, d.CmdArgs[0].Key, []byte(d.Input), zkmeta.AnyVersion)
		s.must(err)
		s.awaitNamed(d, 1)
	case "delete-znode": // delete-znode PATH EVENT
		s.must(zk.Delete(ctx, d.CmdArgs[0].Key, zkmeta.AnyVersion))
		s.awaitNamed(d, 1)
	case "await":
		s.awaitNamed(d, 0)
	case "forbid": // forbid PATH: nobody may read it any more
		_, err := zk.SetACL(ctx, d.CmdArgs[0].Key, []zkmeta.ACL{{Perms: 31, Scheme: "digest", ID: "somebody:else"}}, zkmeta.AnyVersion)
		s.must(err)
	case "answer": // answer ID [error=N partition=T-P]: the broker answers everything it was sent
		return s.answer(d)
	case "alter-partition":
		return s.alterPartition(d)
	case "reassign": // reassign T-P=1,2 U-P=cancel ...: one request
		return s.reassign(d)
	case "list-reassignments":
		return s.listReassignments(d)
	case "elect": // elect preferred|unclean T-P U-P ...
		return s.elect(d)
	case "rebalance": // what the timer of auto.leader.rebalance.enable posts
		s.c.handle(event{name: "AutoPreferredReplicaLeaderElection", run: s.c.term.rebalanceLeaders})
	case "controlled-shutdown": // controlled-shutdown ID [epoch=N]
		epoch := s.epochOf(s.id(d))
		d.MaybeScanArgs(t, "epoch", &epoch)
		return calling(s, "ControlledShutdown", func() string {
			resp := s.c.ControlledShutdown(ctx, &kmsg.ControlledShutdownRequest{Version: 3, BrokerID: s.id(d), BrokerEpoch: epoch})
			return fmt.Sprintf("answer: error=%d remaining=%v\n", resp.ErrorCode, resp.PartitionsRemaining)
		})
	case "allocate-producer-ids": // allocate-producer-ids ID
		return calling(s, "AllocateProducerIds", func() string {
			resp := s.c.AllocateProducerIDs(ctx, &kmsg.AllocateProducerIDsRequest{BrokerID: s.id(d), BrokerEpoch: s.epochOf(s.id(d))})
			return fmt.Sprintf("answer: error=%d start=%d len=%d\n", resp.ErrorCode, resp.ProducerIDStart, resp.ProducerIDLen)
		})
	case "expire":
		s.c.Expire()
		s.await("Expire")
	case "state":
		return s.state()
	default:
		t.Fatalf("unknown command %q", d.Cmd)
	}
	return s.happened()
}

func (s *stage) id(d *datadriven.TestData) int32 {
	id, err := strconv.Atoi(d.CmdArgs[0].Key)
	s.must(err)
	return int32(id)
}

func (s *stage) awaitIfActive(name string) {
	if s.c != nil && s.c.term != nil {
		s.await(name)
	}
}

func (s *stage) awaitNamed(d *datadriven.TestData, from int) {
	for _, arg := range d.CmdArgs[from:] {
		s.await(arg.Key)
	}
}

// calling runs a blocking call of the API beside the loop.
func calling(s *stage, event string, call func() string) string {
	answer := make(chan string, 1)
	go func() { answer <- call() }()
	s.await(event)
	return s.happened() + <-answer
}

func (s *stage) epochOf(id int32) int64 {
	b, err := s.tool.Session().Broker(context.Background(), id)
	s.must(err)
	return b.Epoch
}

// alterPartition: alter-partition T-P from=ID leader-epoch=N partition-epoch=N isr=1,2 [v=3]
// [member-epoch=stale] [recovery=N]
func (s *stage) alterPartition(d *datadriven.TestData) string {
	tp, err := topic.ParseDir(d.CmdArgs[0].Key)
	s.must(err)
	var from, leaderEpoch, partitionEpoch, version, recovery = 0, 0, 0, 3, 0
	isr, member, sender := "", "", ""
	d.ScanArgs(s.t, "from", &from)
	d.ScanArgs(s.t, "leader-epoch", &leaderEpoch)
	d.ScanArgs(s.t, "partition-epoch", &partitionEpoch)
	d.MaybeScanArgs(s.t, "isr", &isr)
	d.MaybeScanArgs(s.t, "v", &version)
	d.MaybeScanArgs(s.t, "recovery", &recovery)
	d.MaybeScanArgs(s.t, "member-epoch", &member)
	d.MaybeScanArgs(s.t, "sender-epoch", &sender)
	p := kmsg.AlterPartitionRequestTopicPartition{Partition: tp.ID, LeaderEpoch: int32(leaderEpoch),
		PartitionEpoch: int32(partitionEpoch), LeaderRecoveryState: int8(recovery)}
	for _, id := range ids(isr) {
		epoch := int64(-1)
		if member != "" {
			epoch = s.epochOf(id)
		}
		if member == "stale" {
			epoch--
		}
		p.NewISR = append(p.NewISR, id)
		p.NewEpochISR = append(p.NewEpochISR, kmsg.AlterPartitionRequestTopicPartitionNewEpochISR{BrokerID: id, BrokerEpoch: epoch})
	}
	req := &kmsg.AlterPartitionRequest{Version: int16(version), BrokerID: int32(from), BrokerEpoch: s.epochOf(int32(from)),
		Topics: []kmsg.AlterPartitionRequestTopic{{Partitions: []kmsg.AlterPartitionRequestTopicPartition{p}}}}
	if sender == "stale" {
		req.BrokerEpoch--
	}
	switch t := s.c.term; { // on the wire each version has one of the two
	case version < 2:
		req.Topics[0].Topic = tp.Topic
	case t != nil:
		req.Topics[0].TopicID = t.topicID(tp.Topic)
	}
	return calling(s, "AlterPartitionReceived", func() string {
		resp := s.c.AlterPartition(context.Background(), req)
		text := fmt.Sprintf("answer: error=%s\n", name(resp.ErrorCode))
		for _, rt := range resp.Topics {
			for _, rp := range rt.Partitions {
				text += fmt.Sprintf("  %d error=%s leader=%d leader_epoch=%d isr=%v partition_epoch=%d\n",
					rp.Partition, name(rp.ErrorCode), rp.LeaderID, rp.LeaderEpoch, rp.ISR, rp.PartitionEpoch)
			}
		}
		return text
	})
}

func name(code int16) string {
	if e := kerr.ForCode(code); e != nil {
		return e.Name
	}
	return "NONE"
}

func ids(text string) []int32 {
	var all []int32
	for _, part := range strings.Split(text, ",") {
		if id, err := strconv.Atoi(part); err == nil {
			all = append(all, int32(id))
		}
	}
	return all
}

// assignment reads 0=1,2 1=2,1.
func assignment(args []datadriven.CmdArg) zkmeta.TopicAssignment {
	a := zkmeta.TopicAssignment{ID: topic.NewID(), Partitions: make(map[int32][]int32)}
	for _, arg := range args {
		if arg.Key == "no-id" {
			a.ID = topic.ID{}
			continue
		}
		id, _ := strconv.Atoi(arg.Key)
		a.Partitions[int32(id)] = ids(strings.Join(arg.Vals, ","))
	}
	return a
}

// answer has a broker answer all it was sent, with one error perhaps.
func (s *stage) answer(d *datadriven.TestData) string {
	code, bad := 0, ""
	d.MaybeScanArgs(s.t, "error", &code)
	d.MaybeScanArgs(s.t, "partition", &bad)
	for _, p := range s.out.take(s.id(d)) {
		resp := p.req.ResponseKind()
		resp.SetVersion(p.req.GetVersion())
		switch req := p.req.(type) {
		case *kmsg.LeaderAndISRRequest:
			r := resp.(*kmsg.LeaderAndISRResponse)
			for _, rt := range req.TopicStates {
				at := kmsg.LeaderAndISRResponseTopic{TopicID: rt.TopicID}
				for _, rp := range rt.PartitionStates {
					ap := kmsg.LeaderAndISRResponseTopicPartition{Partition: rp.Partition}
					if fmt.Sprintf("%s-%d", rt.Topic, rp.Partition) == bad {
						ap.ErrorCode = int16(code)
					}
					at.Partitions = append(at.Partitions, ap)
				}
				r.Topics = append(r.Topics, at)
			}
		case *kmsg.StopReplicaRequest:
			r := resp.(*kmsg.StopReplicaResponse)
			for _, rt := range req.Topics {
				for _, rp := range rt.PartitionStates {
					ap := kmsg.StopReplicaResponsePartition{Topic: rt.Topic, Partition: rp.Partition}
					if fmt.Sprintf("%s-%d", rt.Topic, rp.Partition) == bad {
						ap.ErrorCode = int16(code)
					}
					r.Partitions = append(r.Partitions, ap)
				}
			}
		}
		p.answered(resp)
	}
	for {
		e, ok := s.c.mailbox.take()
		if !ok {
			return s.happened()
		}
		s.c.handle(e)
	}
}

// happened prints what the last command brought about.
func (s *stage) happened() string {
	var b strings.Builder
	for _, w := range s.writes() {
		fmt.Fprintf(&b, "zk: %s\n", w)
	}
	if s.out != nil {
		b.WriteString(s.out.print())
	}
	if b.Len() == 0 {
		return "nothing\n"
	}
	return b.String()
}

// state prints what the controller knows.
func (s *stage) state() string {
	t := s.c.term
	if t == nil {
		return fmt.Sprintf("not the controller, active %d\n", s.c.ActiveID())
	}
	var b strings.Builder
	fmt.Fprintf(&b, "controller %d epoch %d brokers %v\n", t.opt.BrokerID, t.epoch.Epoch, t.cluster.brokerIDs())
	for _, p := range t.cluster.selectPartitions(everyPartition) {
		fmt.Fprintf(&b, "%s %s replicas=%v", p, p.state, p.replicas)
		if p.reassigned() {
			fmt.Fprintf(&b, " adding=%v removing=%v", p.adding, p.removing)
		}
		if st := p.leadership; st != nil {
			fmt.Fprintf(&b, " leader=%d/%d isr=%v partition_epoch=%d", st.Leader, st.LeaderEpoch, st.ISR, st.ZkVersion)
		}
		for _, id := range p.replicas {
			fmt.Fprintf(&b, " %d:%s", id, strings.TrimSuffix(p.replicaStates[id].String(), "Replica"))
		}
		b.WriteByte('\n')
	}
	if len(t.cluster.toBeDeleted) > 0 {
		fmt.Fprintf(&b, "to be deleted %v, waiting %v\n", slices.Sorted(maps.Keys(t.cluster.toBeDeleted)), slices.Sorted(maps.Keys(t.cluster.ineligible)))
	}
	return b.String()
}
