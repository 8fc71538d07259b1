package controller

import (
	"context"
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/broker/wire"
	"github.com/zurau/zurau/zkmeta"
)

// framed is a captured cluster of three brokers: our controller in it is stepped by the test and sends over TCP, the
// brokers are listeners that agree to everything.
type framed struct {
	*stage
	brokers map[int32]*receiver
	reader  *receiver // decodes recorded frames, by the way all frames come in
	waiting atomic.Int64
	ids     map[topic.ID]string // of topics in recorded frames
	ours    map[topic.ID]string // of our topics, deleted ones too
}

func newFramed(t *testing.T, level ibp.Level) *framed {
	f := &framed{
		stage:   &stage{t: t, level: level, deleteTopics: true, registered: make(map[int32]*zkmeta.Client), log: zap.NewNop()},
		brokers: make(map[int32]*receiver),
		reader:  newReceiver(t),
		ids:     make(map[topic.ID]string),
		ours:    make(map[topic.ID]string),
	}
	f.open()
	for id := range int32(3) {
		f.brokers[id+1] = newReceiverAt(t, "INTERNAL")
		f.join(id + 1)
	}
	return f
}

// join registers a broker in a new session, with the two listeners of the captured ones.
func (f *framed) join(id int32) {
	f.t.Helper()
	client := f.connect()
	f.registered[id] = client
	port := int32(f.brokers[id].server.Addr("INTERNAL").Port)
	_, err := client.Session().RegisterBroker(context.Background(), zkmeta.BrokerInfo{ID: id, JMXPort: -1, Endpoints: []zkmeta.Endpoint{
		{Listener: "CLIENT", SecurityProtocol: "PLAINTEXT", Host: "127.0.0.1", Port: port},
		{Listener: "INTERNAL", SecurityProtocol: "PLAINTEXT", Host: "127.0.0.1", Port: port},
	}})
	f.must(err)
	if f.c != nil {
		f.after("BrokerChange")
	}
}

// leave ends a broker's session.
func (f *framed) leave(id int32) {
	f.t.Helper()
	f.registered[id].Close()
	delete(f.registered, id)
	f.after("BrokerChange")
}

// elect makes a broker controller, in place of the present one, with the next controller epoch.
func (f *framed) elect(id int32) {
	f.t.Helper()
	f.retire()
	if ok, err := f.tool.Session().Exists(context.Background(), zkmeta.ControllerPath); err == nil && ok != nil {
		f.must(f.tool.Session().Delete(context.Background(), zkmeta.ControllerPath, zkmeta.AnyVersion))
	}
	f.c = New(Options{
		BrokerID: id, ZK: f.registered[id], Level: f.level, Listener: "INTERNAL", DeleteTopicEnable: true,
		Client:                      wire.ClientOptions{Timeout: deadline},
		UncleanLeaderElectionEnable: func() bool { return false }, Log: f.log,
	})
	real := f.c.newOutbox
	f.c.newOutbox = func() outbox { return &counted{real(), f} }
	f.c.Registered(f.registered[id].Session())
	f.after(firstHints...)
}

// counted counts what no broker has answered yet.
type counted struct {
	outbox
	f *framed
}

func (c *counted) send(id int32, req kmsg.Request, answered func(kmsg.Response)) {
	c.f.waiting.Add(1)
	c.outbox.send(id, req, func(resp kmsg.Response) {
		answered(resp)
		c.f.waiting.Add(-1)
	})
}

// after runs the loop until the named events were handled and every broker has answered all it was sent.
func (f *framed) after(events ...string) {
	f.t.Helper()
	f.await(events...)
	timeout := time.After(deadline)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		quiet := f.waiting.Load() == 0 // asked before the mailbox: answers are posted first
		if e, ok := f.c.mailbox.take(); ok {
			f.c.handle(e)
			continue
		}
		if quiet {
			return
		}
		select {
		case <-tick.C:
		case <-timeout:
			f.t.Fatalf("%d requests are not answered", f.waiting.Load())
		}
	}
}

func (f *framed) create(name string, assigned map[int32][]int32) {
	f.t.Helper()
	id := topic.NewID()
	f.ours[id] = name
	f.must(f.tool.Session().CreateTopic(context.Background(), name, nil, zkmeta.TopicAssignment{ID: id, Partitions: assigned}))
	f.after("TopicChange")
}

// forget throws away what the brokers heard so far: no frame was kept of it.
func (f *framed) forget() {
	for _, r := range f.brokers {
		for len(r.got) > 0 {
			<-r.got
		}
	}
}

// heard compares what a broker heard since the last call, in order, with recorded frames. A wanted "UpdateMetadata"
// is one of which no frame was kept.
func (f *framed) heard(broker int32, wanted ...string) {
	f.t.Helper()
	var got []string
	i := 0
	for r := f.brokers[broker]; len(r.got) > 0; i++ {
		h := <-r.got
		f.checkEpoch(broker, h.Request)
		if i >= len(wanted) || wanted[i] == kmsg.NameForKey(h.Key()) {
			got = append(got, kmsg.NameForKey(h.Key()))
			continue
		}
		got = append(got, wanted[i])
		f.same(wanted[i], h)
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		f.t.Errorf("broker %d heard (-Kafka +ours):\n%s", broker, diff)
	}
}

// everyField compares tags nobody knows too; only whether an empty list is nil is not on the wire.
var everyField = []cmp.Option{cmp.AllowUnexported(kmsg.Tags{}), cmpopts.EquateEmpty()}

// same compares a request of ours with a recorded one.
func (f *framed) same(number string, ours heard) {
	f.t.Helper()
	theirs := f.request(number)
	if diff := cmp.Diff(f.picture(theirs, f.ids), f.picture(ours, f.ours), everyField...); diff != "" {
		f.t.Errorf("frame %s (-Kafka +ours):\n%s", number, diff)
	}
}

// checkEpoch compares the broker epoch of a request with the broker's registration.
func (f *framed) checkEpoch(broker int32, req kmsg.Request) {
	f.t.Helper()
	if f.registered[broker] == nil {
		return
	}
	var epoch int64
	switch r := req.(type) {
	case *kmsg.LeaderAndISRRequest:
		epoch = r.BrokerEpoch
	case *kmsg.UpdateMetadataRequest:
		epoch = r.BrokerEpoch
	case *kmsg.StopReplicaRequest:
		epoch = r.BrokerEpoch
	}
	if want := f.epochOf(broker); epoch != want {
		f.t.Errorf("%s carries the broker epoch %d, want %d", kmsg.NameForKey(req.Key()), epoch, want)
	}
}

// frame reads a recorded frame.
func frame(t testing.TB, number, kind string) (b []byte, file string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "wire", "testdata", "frames", number+"-*-"+kind+".hex"))
	if err != nil || len(files) != 1 {
		t.Fatalf("frame %s: %v, %v", number, files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if b, err = hex.DecodeString(strings.Join(strings.Fields(string(text)), "")); err != nil {
		t.Fatal(err)
	}
	return b, files[0]
}

// request decodes a recorded request: it is sent to a listener of ours.
func (f *framed) request(number string) heard {
	f.t.Helper()
	b, _ := frame(f.t, number, "request")
	conn, err := net.Dial("tcp", f.reader.server.Addr("PLAINTEXT").String())
	f.must(err)
	defer conn.Close()
	_, err = conn.Write(b)
	f.must(err)
	select {
	case h := <-f.reader.got:
		for _, rt := range topicsOf(h.Request) {
			f.ids[rt.id] = rt.name
		}
		return h
	case <-time.After(deadline):
		f.t.Fatalf("frame %s is no request", number)
		return heard{}
	}
}

// answered compares an answer of ours with a recorded one. What identifies topics was replaced in both before.
func (f *framed) answered(number string, ours kmsg.Response) {
	f.t.Helper()
	b, _ := frame(f.t, number, "response")
	theirs := kmsg.ResponseForKey(ours.Key())
	theirs.SetVersion(ours.GetVersion())
	f.must(theirs.ReadFrom(b[4+4+1:])) // size, correlation id, no tags
	if diff := cmp.Diff(f.answer(theirs, f.ids), f.answer(ours, f.ours), everyField...); diff != "" {
		f.t.Errorf("frame %s (-Kafka +ours):\n%s", number, diff)
	}
}

// named is a topic in a request that has both its name and its id.
type named struct {
	name string
	id   topic.ID
}

func topicsOf(req kmsg.Request) (all []named) {
	switch r := req.(type) {
	case *kmsg.LeaderAndISRRequest:
		for _, t := range r.TopicStates {
			all = append(all, named{t.Topic, t.TopicID})
		}
	case *kmsg.UpdateMetadataRequest:
		for _, t := range r.TopicStates {
			all = append(all, named{t.Topic, t.TopicID})
		}
	}
	return all
}

// picture is all a request says, with what no two runs share masked: ports and epochs of brokers; ids of topics become
// their names. Lists that are sets have one order.
func (f *framed) picture(h heard, names map[topic.ID]string) map[string]any {
	for _, t := range topicsOf(h.Request) {
		if names[t.id] != t.name {
			f.t.Errorf("topic %s has the id of topic %q", t.name, names[t.id])
		}
	}
	said := map[string]any{"client": h.client, "version": h.GetVersion(), "key": kmsg.NameForKey(h.Key())}
	switch r := h.Request.(type) {
	case *kmsg.LeaderAndISRRequest:
		r.BrokerEpoch = 0
		for i := range r.TopicStates {
			r.TopicStates[i].TopicID = topic.ID{}
			slices.SortFunc(r.TopicStates[i].PartitionStates, func(a, b leadershipSaid) int { return int(a.Partition - b.Partition) })
		}
		for i := range r.LiveLeaders {
			r.LiveLeaders[i].Port = 0
		}
		slices.SortFunc(r.TopicStates, func(a, b kmsg.LeaderAndISRRequestTopicState) int { return strings.Compare(a.Topic, b.Topic) })
		slices.SortFunc(r.LiveLeaders, func(a, b kmsg.LeaderAndISRRequestLiveLeader) int { return int(a.BrokerID - b.BrokerID) })
		said["body"] = *r
	case *kmsg.UpdateMetadataRequest:
		r.BrokerEpoch = 0
		for i := range r.TopicStates {
			r.TopicStates[i].TopicID = topic.ID{}
			slices.SortFunc(r.TopicStates[i].PartitionStates, func(a, b metadataSaid) int { return int(a.Partition - b.Partition) })
		}
		for i := range r.LiveBrokers {
			for j := range r.LiveBrokers[i].Endpoints {
				r.LiveBrokers[i].Endpoints[j].Port = 0
			}
		}
		slices.SortFunc(r.TopicStates, func(a, b kmsg.UpdateMetadataRequestTopicState) int { return strings.Compare(a.Topic, b.Topic) })
		slices.SortFunc(r.LiveBrokers, func(a, b kmsg.UpdateMetadataRequestLiveBroker) int { return int(a.ID - b.ID) })
		said["body"] = *r
	case *kmsg.StopReplicaRequest:
		r.BrokerEpoch = 0
		for i := range r.Topics {
			slices.SortFunc(r.Topics[i].PartitionStates, func(a, b stopSaid) int { return int(a.Partition - b.Partition) })
		}
		said["body"] = *r
	default:
		f.t.Errorf("no picture of %s", said["key"])
	}
	return said
}

// answer is all an answer says, ids of topics by their names.
func (f *framed) answer(resp kmsg.Response, names map[topic.ID]string) any {
	r, ok := resp.(*kmsg.AlterPartitionResponse)
	if !ok {
		return resp
	}
	for i := range r.Topics {
		if id := r.Topics[i].TopidID; !topic.ID(id).IsZero() {
			r.Topics[i].Topic, r.Topics[i].TopidID = names[id], topic.ID{}
		}
	}
	return r
}
