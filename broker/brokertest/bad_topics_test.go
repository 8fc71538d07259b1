package brokertest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/zkmeta"
)

// badNames are no names of topics, and what Kafka says of each.
func badNames() map[string]string {
	illegal := "Topic name is invalid: '%s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
	long := strings.Repeat("n", 250)
	all := map[string]string{
		"":   "Topic name is invalid: the empty string is not allowed",
		".":  "Topic name is invalid: '.' is not allowed",
		"..": "Topic name is invalid: '..' is not allowed",
		long: "Topic name is invalid: the length of '" + long + "' is longer than the max allowed length 249",
	}
	for _, name := range []string{"a/b", "../up", "/etc/cron.d/x", "a b", "a\x00b", "tab\t", "line\n", "ümlaut", "a:b", "a\\b"} {
		all[name] = fmt.Sprintf(illegal, name)
	}
	return all
}

// tree lists what lies in and beside a broker's log directory, without what comes and goes.
func tree(t *testing.T, n *Node) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(filepath.Dir(n.Dir()), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && d.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// zookeeper is a session beside the broker's.
func (c *Cluster) session() *zkmeta.Session {
	c.t.Helper()
	client, err := zkmeta.Connect(context.Background(), zkmeta.Options{ConnectString: c.ZooKeeperConnect(), Level: ibp.Latest})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(client.Close)
	return client.Session()
}

func metadataOf(t *testing.T, addr, name string, create bool) kmsg.MetadataResponseTopic {
	t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	req.Version, req.AllowAutoTopicCreation = 8, create
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
	return ask[*kmsg.MetadataResponse](t, addr, req).Topics[0]
}

func TestABadTopicNameMakesNothing(t *testing.T) {
	c := Start(t)
	addr := c.Node(0).Addr()
	createTopic(t, addr, "good", nil)
	before := tree(t, c.Node(0))
	s := c.session()
	for name, text := range badNames() {
		one := kmsg.NewCreateTopicsRequestTopic()
		one.Topic, one.NumPartitions, one.ReplicationFactor = name, 1, 1
		create := kmsg.NewPtrCreateTopicsRequest()
		create.Version, create.TimeoutMillis, create.Topics = 5, 10000, append(create.Topics, one)
		got := ask[*kmsg.CreateTopicsResponse](t, addr, create).Topics[0]
		if got.ErrorCode != kerr.InvalidTopicException.Code || got.ErrorMessage == nil || *got.ErrorMessage != text {
			t.Errorf("CreateTopics of %q: %d, %v; want 17, %s", name, got.ErrorCode, got.ErrorMessage, text)
		}
		if got := metadataOf(t, addr, name, true); got.ErrorCode != kerr.InvalidTopicException.Code || len(got.Partitions) > 0 {
			t.Errorf("Metadata of %q: %+v", name, got)
		}
		if got, err := produce(addr, name, 8, newBatch(1, records(1)).bytes()); err != nil || got.ErrorCode != kerr.UnknownTopicOrPartition.Code {
			t.Errorf("Produce to %q: %d, %v", name, got.ErrorCode, err)
		}
	}
	topics, _, err := s.Children(t.Context(), zkmeta.TopicsPath)
	if err != nil || !slices.Equal(topics, []string{"good"}) {
		t.Errorf("topics in ZooKeeper: %q, %v", topics, err)
	}
	if after := tree(t, c.Node(0)); !slices.Equal(before, after) {
		t.Errorf("directories before\n%q\nand after\n%q", before, after)
	}
}

func TestATopicOfTheLongestNameLivesAndDies(t *testing.T) {
	c := Start(t)
	addr, name := c.Node(0).Addr(), strings.Repeat("n", 249)
	createTopic(t, addr, name, nil)
	if got, err := produce(addr, name, 8, newBatch(1, records(1)).bytes()); err != nil || got.ErrorCode != 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version, req.TimeoutMillis, req.TopicNames = 3, 10000, []string{name}
	if got := ask[*kmsg.DeleteTopicsResponse](t, addr, req).Topics[0]; got.ErrorCode != 0 {
		t.Fatalf("%+v", got)
	}
	eventually(t, "the directory is renamed", func() error {
		for _, dir := range tree(t, c.Node(0)) {
			if filepath.Base(dir) == name+"-0" {
				return errors.New(dir)
			}
		}
		return nil
	})
}

// Tools that write into ZooKeeper themselves ask nobody whether a name is right.
func TestABadTopicNameInZooKeeperIsReportedAndLeftAlone(t *testing.T) {
	core, logged := observer.New(zap.WarnLevel)
	c := Start(t, Logger(zap.New(core)))
	n := c.Node(0)
	createTopic(t, n.Addr(), "good", nil)
	before := tree(t, n)
	s := c.session()
	assignment := []byte(`{"version":1,"partitions":{"0":[0]}}`)
	bad := []string{"a b", "ümlaut", strings.Repeat("n", 250), "..%2Fx", "a\\b"}
	for _, name := range bad {
		if _, err := s.Create(t.Context(), zkmeta.TopicPath(name), assignment, zkmeta.Persistent); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string) {
		t.Helper()
		createTopic(t, n.Addr(), when, nil) // the controller is at work, and has seen what came before
		for _, name := range bad {
			if got := metadataOf(t, n.Addr(), name, false); got.ErrorCode != kerr.InvalidTopicException.Code {
				t.Errorf("%s: Metadata of %q: %+v", when, name, got)
			}
			data, _, err := s.Get(t.Context(), zkmeta.TopicPath(name))
			children, _, err2 := s.Children(t.Context(), zkmeta.TopicPath(name))
			if err != nil || err2 != nil || string(data) != string(assignment) || len(children) > 0 {
				t.Errorf("%s: the znode of %q is %s with %q below, %v %v", when, name, data, children, err, err2)
			}
			if logged.Filter(func(e observer.LoggedEntry) bool { return says(e, name) }).Len() == 0 {
				t.Errorf("%s: nobody was told of %q", when, name)
			}
		}
		if got := without(tree(t, n), when+"-0"); !slices.Equal(got, before) {
			t.Errorf("%s: directories %q, want %q", when, got, before)
		}
		before = tree(t, n)
	}
	check("now")
	n.Restart()
	check("restarted")
	if _, err := s.Create(t.Context(), zkmeta.TopicPath("right"), assignment, zkmeta.Persistent); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a topic with a right name, made the same way, is served", func() error {
		_, err := endOf(n.Addr(), "right", 0)
		return err
	})
}

func without(paths []string, base string) []string {
	return slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return filepath.Base(p) == base })
}

// says tells whether a log line names a topic.
func says(e observer.LoggedEntry, name string) bool {
	text := e.Message
	for _, f := range e.ContextMap() {
		text += fmt.Sprint(" ", f)
	}
	return strings.Contains(text, name)
}
