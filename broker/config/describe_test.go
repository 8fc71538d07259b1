package config

import (
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rows prints entries as the recordings in testdata have them.
func rows(entries []Entry) []string {
	shown := func(v *string) string {
		switch {
		case v == nil:
			return "null"
		case *v == "":
			return "(empty)"
		}
		return *v
	}
	var all []string
	for _, e := range entries {
		var synonyms []string
		for _, s := range e.Synonyms {
			synonyms = append(synonyms, fmt.Sprintf("%s:%s=%s", s.Source, s.Name, shown(s.Value)))
		}
		all = append(all, fmt.Sprintf("%s\t%s\t%s\t%s\t%v\t%v\t%s", e.Name, e.Type, shown(e.Value), e.Source, e.ReadOnly,
			e.Sensitive, strings.Join(synonyms, "; ")))
	}
	return all
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimRight(string(data), "\n"), "\n")
}

func newDynamic(t *testing.T, values map[string]string) *Dynamic {
	t.Helper()
	b, _, err := New(values)
	if err != nil {
		t.Fatal(err)
	}
	return NewDynamic(b)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The broker and topic of golden/defaults, as its README tells how they were made.
func TestABrokerAndATopicDescribeThemselvesAsKafkasDo(t *testing.T) {
	d := newDynamic(t, map[string]string{
		"broker.id": "0", "listeners": "PLAINTEXT://127.0.0.1:20610", "log.dirs": "DATA",
		"zookeeper.connect": "127.0.0.1:20600/d3.9.1", "zookeeper.session.timeout.ms": "6000",
		"group.initial.rebalance.delay.ms": "0", "offsets.topic.num.partitions": "5", "offsets.topic.replication.factor": "1",
		"transaction.state.log.min.isr": "1", "transaction.state.log.num.partitions": "5",
		"transaction.state.log.replication.factor": "1",
	})
	must(t, d.SetBroker(map[string]string{"log.cleaner.threads": "2"}))
	_, err := d.SetTopic("t", map[string]string{"retention.ms": "1000000"})
	must(t, err)
	for path, got := range map[string][]Entry{
		"testdata/3.9.1-describe-broker.tsv": d.DescribeBroker(), "testdata/3.9.1-describe-topic.tsv": d.DescribeTopic("t"),
	} {
		if diff := cmp.Diff(lines(t, path)[1:], rows(got)); diff != "" {
			t.Errorf("%s (-Kafka +ours):\n%s", path, diff)
		}
	}
}

// describe-live.tsv is a 3.9.1 broker with a value of some kind in every layer. The keys of 1.1 are left out:
// 3.9 has forgotten their types, we have not.
func TestEveryLayerShowsInTheDescription(t *testing.T) {
	d := newDynamic(t, parsed(t, `
broker.id=0
zookeeper.connect=127.0.0.1:21200/c
log.dirs=/tmp/config/b0/data
listeners=PLAINTEXT://127.0.0.1:21201
zookeeper.session.timeout.ms=6000
offsets.topic.replication.factor=1
offsets.topic.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=5
group.initial.rebalance.delay.ms=0
listener.name.plaintext.max.connections=7
foo.bar=1
log.retention.hours=5
log.roll.hours=2
log.roll.ms=9000000
log.cleanup.policy=delete ,  compact
num.partitions=+3
auto.create.topics.enable=TRUE
log.cleaner.min.cleanable.ratio=.25
log.cleaner.io.max.bytes.per.second=10000000000
super.users=User:a
password.encoder.secret=x
ssl.keystore.password=y
listener.name.plaintext.ssl.keystore.password=z
unstable.api.versions.enable=false
max.connections.per.ip.overrides=
log.cleaner.threads=3
`))
	must(t, d.SetBroker(map[string]string{
		"listener.name.plaintext.ssl.keystore.location": "/x", "log.retention.ms": "77777",
		"leader.replication.throttled.rate": "500", "foo.dyn": "1", "log.cleaner.threads": "2",
	}))
	must(t, d.SetBrokerDefault(map[string]string{
		"log.retention.ms": "88888", "follower.replication.throttled.rate": "600", "leader.replication.throttled.rate": "100",
		"log.cleaner.threads": "4", "listener.name.plaintext.max.connections": "9", "foo.def": "1", "max.connections": "100",
	}))
	_, err := d.SetTopic("t", map[string]string{"segment.ms": "5", "cleanup.policy": "compact"})
	must(t, err)
	want := map[string][]string{}
	name := ""
	for _, line := range lines(t, "testdata/describe-live.tsv") {
		if resource, header := strings.CutPrefix(line, "describe "); header {
			name = resource
		} else if line != "" {
			want[name] = append(want[name], line)
		}
	}
	got := map[string][]string{
		"broker:0": rows(d.DescribeBroker()), "broker:": rows(d.DescribeBrokerDefault()), "topic:t": rows(d.DescribeTopic("t")),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-Kafka +ours):\n%s", diff)
	}
}

func TestTheTablesAreThoseOfKafka(t *testing.T) {
	for path, keys := range map[string]map[string]*Key{"testdata/3.9.1-broker.tsv": ownBrokerKeys(), "testdata/3.9.1-topic.tsv": allTopicKeys()} {
		seen := map[string]bool{}
		for _, line := range lines(t, path)[1:] {
			f := strings.Split(line, "\t")
			name, defaultText := f[0], map[string]string{"null": null, "(empty)": ""}
			want := f[2]
			if text, special := defaultText[want]; special {
				want = text
			}
			k := keys[name]
			if k == nil {
				t.Errorf("%s: %s is missing", path, name)
				continue
			}
			seen[name] = true
			if k.Type.String() != f[1] || k.Default != want {
				t.Errorf("%s: %s is %v with default %q, Kafka has %s %q", path, name, k.Type, k.Default, f[1], want)
			}
			if bounds := ""; k.Valid != nil && k.Valid.text != "" {
				if bounds = k.Valid.text; bounds != f[3] {
					t.Errorf("%s: %s is bound to %s, Kafka says %s", path, name, bounds, f[3])
				}
			}
			if mode := map[string]Mode{"read-only": ReadOnly, "per-broker": PerBroker, "cluster-wide": ClusterWide}[f[4]]; path ==
				"testdata/3.9.1-broker.tsv" && k.Mode&mode == 0 {
				t.Errorf("%s: %s has mode %b, Kafka says %s", path, name, k.Mode, f[4])
			}
		}
		for name := range maps.Keys(keys) {
			if !seen[name] {
				t.Errorf("%s is no key of Kafka 3.9", name)
			}
		}
	}
}

func ownBrokerKeys() map[string]*Key {
	m := maps.Clone(brokerKeysByName)
	maps.DeleteFunc(m, func(_ string, k *Key) bool { return k.Mode&(Legacy|DynamicOnly) != 0 })
	return m
}

func allTopicKeys() map[string]*Key {
	m := map[string]*Key{}
	for name, k := range topicKeysByName {
		m[name] = &k.Key
	}
	return m
}
