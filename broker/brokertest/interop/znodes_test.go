//go:build interop

package interop

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/brokertest"
	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/zkmeta"
	"github.com/zurau/zurau/zkmeta/zkserver"
)

// TestZnodesAreKafkas leads a broker through the steps after which the znodes of an Apache Kafka broker were captured
// (testdata/znodes), and compares all of them: path, kind, versions, access list and every field of the data. The
// captures of 3.9.1 hold what later issues bring (quotas, SCRAM, broker configs) between steps 03 and 08; from there
// on these subtrees are left out.
func TestZnodesAreKafkas(t *testing.T) {
	servers := map[string]func(*testing.T) string{
		"zkserver": func(t *testing.T) string {
			o := zkserver.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0", TickTime: 500 * time.Millisecond}
			return startOurZooKeeper(t, o).Addr().String()
		},
		"real ensemble": func(t *testing.T) string { return startEnsemble(t, 3) },
	}
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			connect := start(t)
			t.Run("as 3.9.1", func(t *testing.T) { znodesOf39(t, connect+"/znodes-39") })
			t.Run("as 2.8.2", func(t *testing.T) { znodesOf28(t, connect+"/znodes-28") })
		})
	}
}

func znodesOf39(t *testing.T, connect string) {
	dir := t.TempDir()
	c := brokertest.Start(t, brokertest.ZooKeeper(connect), brokertest.Property("log.dirs", dir))
	z := zkSession(t, connect)
	z.same(t, "3.9.1/01")
	admin := adminOf(t, c.Bootstrap()[0])
	create(t, admin, "t", 3, nil)
	z.same(t, "3.9.1/02")
	alterTopicT(t, admin)
	z.same(t, "3.9.1/03")

	// What Kafka does by itself for the first consumer; it comes with groups.
	create(t, admin, "__consumer_offsets", 5, map[string]string{"compression.type": "producer", "cleanup.policy": "compact", "segment.bytes": "104857600"})
	initProducerID(t, c.Bootstrap()[0])
	z.same(t, "3.9.1/08", laterIssues...)
	deleteTopic(t, admin, "t")
	deleteTopic(t, admin, "t") // the captured cluster was asked twice, the second time in vain
	z.same(t, "3.9.1/10", laterIssues...)
	c.Node(0).Stop()
	z.same(t, "3.9.1/12", laterIssues...)

	c = brokertest.Start(t, brokertest.ZooKeeper(connect), brokertest.Property("log.dirs", dir), brokertest.Property("delete.topic.enable", "false"))
	admin = adminOf(t, c.Bootstrap()[0])
	create(t, admin, "keep", 1, nil)
	if answers, err := admin.DeleteTopics(t.Context(), "keep"); err == nil && answers.Error() == nil {
		t.Error("a topic was deleted with delete.topic.enable=false")
	}
	z.same(t, "3.9.1/13", laterIssues...)
}

func znodesOf28(t *testing.T, connect string) {
	c := brokertest.Start(t, brokertest.ZooKeeper(connect), brokertest.Property("inter.broker.protocol.version", "2.8"))
	z := zkSession(t, connect)
	z.same(t, "2.8.2/01")
	do := func(name string, args ...string) {
		t.Helper()
		if out, err := ourTool(t, "", name, append([]string{"--zookeeper", connect}, args...)...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	admin := adminOf(t, c.Bootstrap()[0])
	create(t, admin, "t", 3, nil)
	do("kafka-topics", "--create", "--topic", "tz", "--partitions", "3", "--replication-factor", "1", "--config", "retention.ms=1000000")
	z.same(t, "2.8.2/02")
	alterTopicT(t, admin)
	do("kafka-topics", "--alter", "--topic", "tz", "--partitions", "4")
	do("kafka-configs", "--alter", "--entity-type", "topics", "--entity-name", "tz", "--add-config", "segment.ms=777777")
	z.same(t, "2.8.2/03")
}

func adminOf(t *testing.T, bootstrap string) *kadm.Client {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return kadm.NewClient(c)
}

func create(t *testing.T, admin *kadm.Client, topic string, partitions int32, configs map[string]string) {
	t.Helper()
	settings := map[string]*string{}
	for k, v := range configs {
		settings[k] = kadm.StringPtr(v)
	}
	if _, err := admin.CreateTopic(t.Context(), partitions, 1, settings, topic); err != nil {
		t.Fatal(err)
	}
}

// alterTopicT does what the captured cluster did to topic t: two partitions more, and two settings at once.
func alterTopicT(t *testing.T, admin *kadm.Client) {
	t.Helper()
	if answers, err := admin.UpdatePartitions(t.Context(), 5, "t"); err != nil || answers.Error() != nil {
		t.Fatal(err, answers.Error())
	}
	answers, err := admin.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "max.message.bytes", Value: kadm.StringPtr("500000")},
		{Name: "retention.ms", Value: kadm.StringPtr("123456000")}}, "t")
	if err != nil || answers[0].Err != nil {
		t.Fatal(err, answers)
	}
}

func setConfig(t *testing.T, admin *kadm.Client, topic, key, value string) {
	t.Helper()
	answers, err := admin.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: key, Value: &value}}, topic)
	if err != nil || answers[0].Err != nil {
		t.Fatal(err, answers)
	}
}

func deleteTopic(t *testing.T, admin *kadm.Client, topic string) {
	t.Helper()
	if _, err := admin.DeleteTopics(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
}

func initProducerID(t *testing.T, bootstrap string) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	req := kmsg.NewPtrInitProducerIDRequest()
	await(t, 10*time.Second, "a producer id", func() bool {
		answer, err := req.RequestWith(t.Context(), c)
		return err == nil && answer.ErrorCode == 0
	})
}

// laterIssues are subtrees that the captured cluster had filled and ours has no requests for yet.
var laterIssues = []string{"/config/changes", "/config/users", "/config/clients", "/config/ips", "/config/brokers"}

type znodes struct{ *zkmeta.Session }

func zkSession(t *testing.T, connect string) znodes {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), javaStart)
	defer cancel()
	c, err := zkmeta.Connect(ctx, zkmeta.Options{ConnectString: connect, SessionTimeout: 6 * time.Second, Level: ibp.Latest})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	s, err := c.AwaitSession(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return znodes{s}
}

// same waits until all znodes outside the excluded subtrees are those of a captured step; the controller works on
// after the answer to a request.
func (z znodes) same(t *testing.T, step string, except ...string) {
	t.Helper()
	files, err := filepath.Glob("testdata/znodes/" + step + "-*.txt")
	if err != nil || len(files) != 1 {
		t.Fatalf("step %s: %v, %v", step, files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	left := func(lines []string) []string {
		return slices.DeleteFunc(lines, func(line string) bool {
			return slices.ContainsFunc(except, func(dir string) bool { return line[:min(len(line), len(dir))] == dir })
		})
	}
	want := left(maskedZnodes(string(text)))
	var diff string
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		diff = cmp.Diff(want, left(maskedZnodes(z.dump(t))))
		if diff == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("step %s, Kafka (-) and we (+):\n%s", step, diff)
			return
		}
	}
}

// dump prints all znodes in the form of the captures, sorted by path.
func (z znodes) dump(t *testing.T) string {
	t.Helper()
	if err := z.Sync(t.Context(), "/"); err != nil {
		t.Fatal(err)
	}
	var lines []string
	var walk func(at string)
	walk = func(at string) {
		data, stat, err := z.Get(t.Context(), at)
		if err != nil {
			return // deleted since it was listed
		}
		acl, _, err := z.GetACL(t.Context(), at)
		if err != nil {
			return
		}
		who := make([]string, len(acl))
		for i, a := range acl {
			who[i] = a.Scheme + ":" + a.ID + ":" + permissions(int32(a.Perms))
		}
		ephemeral := "no"
		if stat.EphemeralOwner != 0 {
			ephemeral = "yes"
		}
		text := "text " + string(data)
		if data == nil {
			text = "null"
		} else if !utf8.Valid(data) {
			text = fmt.Sprintf("hex %x", data)
		}
		lines = append(lines, fmt.Sprintf("%s\tephemeral=%s\tdataVersion=%d\tcversion=%d\tacl=%s\t%s", at, ephemeral,
			stat.Version, stat.Cversion, strings.Join(who, ","), text))
		children, _, err := z.Children(t.Context(), at)
		if err != nil {
			return
		}
		for _, child := range children {
			walk(path.Join(at, child))
		}
	}
	walk("/")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func permissions(bits int32) string {
	out := ""
	for _, p := range []struct {
		letter string
		bit    int32
	}{{"c", 4}, {"d", 8}, {"r", 1}, {"w", 2}, {"a", 16}} {
		if bits&p.bit != 0 {
			out += p.letter
		}
	}
	return out
}

// znodeMasks hide what differs between two runs of the same broker.
var znodeMasks = []struct{ from, to string }{
	{`"topic_id":"[^"]{22}"`, `"topic_id":"ID"`},
	{`"id":"[^"]{22}"`, `"id":"ID"`},
	{`"timestamp":"[0-9]+"`, `"timestamp":"MS"`},
	{`127\.0\.0\.1:[0-9]+`, "127.0.0.1:PORT"},
	{`"port":[0-9]+`, `"port":PORT`},
}

func maskedZnodes(text string) []string {
	for _, mask := range znodeMasks {
		text = regexp.MustCompile(mask.from).ReplaceAllString(text, mask.to)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	slices.Sort(lines)
	return lines
}
