package config

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zurau/zurau/broker/ibp"
)

// broker loads a configuration that must be good.
func broker(t *testing.T, text string) *Broker {
	t.Helper()
	values := parsed(t, text)
	if _, set := values["zookeeper.connect"]; !set {
		values["zookeeper.connect"] = "localhost:2181"
	}
	b, _, err := New(values)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFieldsHaveTheTypesOfTheirKeys(t *testing.T) {
	kinds := map[Type][]reflect.Kind{
		Boolean: {reflect.Bool}, String: {reflect.String}, Short: {reflect.Int16}, Int: {reflect.Int32, reflect.Int64},
		Long: {reflect.Int64}, Double: {reflect.Float64}, List: {reflect.Slice}, Class: {reflect.String},
	}
	check := func(s reflect.Type, find func(string) *Key) {
		for i := range s.NumField() {
			f := s.Field(i)
			name := f.Tag.Get("config")
			if name == "" {
				continue
			}
			k := find(name)
			if k == nil {
				t.Errorf("%s.%s names %s, which is no key", s.Name(), f.Name, name)
				continue
			}
			fits := false
			for _, kind := range kinds[k.Type] {
				fits = fits || f.Type.Kind() == kind
			}
			if isDuration := f.Type == reflect.TypeFor[time.Duration](); !fits || isDuration != (strings.HasSuffix(name, ".ms") && s.Name() == "Broker") {
				t.Errorf("%s.%s is a %s, %s a %s", s.Name(), f.Name, f.Type, name, k.Type)
			}
		}
	}
	check(reflect.TypeFor[Broker](), BrokerKey)
	check(reflect.TypeFor[Topic](), func(name string) *Key { return allTopicKeys()[name] })
}

func TestListenersAreResolved(t *testing.T) {
	plain := func(host string, port int32) Listener { return Listener{"PLAINTEXT", host, port, "PLAINTEXT"} }
	for name, c := range map[string]struct {
		text             string
		bound, announced []Listener
		inter, control   string
	}{
		"by default":                         {"", []Listener{plain("", 9092)}, []Listener{plain("", 9092)}, "PLAINTEXT", ""},
		"advertised as they listen":          {"listeners=PLAINTEXT://h:1", []Listener{plain("h", 1)}, []Listener{plain("h", 1)}, "PLAINTEXT", ""},
		"by the keys of 1.1":                 {"host.name=h\nport=7", []Listener{plain("h", 7)}, []Listener{plain("h", 7)}, "PLAINTEXT", ""},
		"advertised by the keys of 1.1":      {"port=7\nadvertised.host.name=pub", []Listener{plain("", 7)}, []Listener{plain("pub", 7)}, "PLAINTEXT", ""},
		"the new keys beat those of 1.1":     {"listeners=PLAINTEXT://h:1\nport=7", []Listener{plain("h", 1)}, []Listener{plain("h", 1)}, "PLAINTEXT", ""},
		"an IPv6 address stands in brackets": {"listeners=PLAINTEXT://[::1]:1", []Listener{plain("::1", 1)}, []Listener{plain("::1", 1)}, "PLAINTEXT", ""},
		"own names, one not advertised": {
			"listener.security.protocol.map=in:PLAINTEXT,OUT:SSL,CTL:PLAINTEXT\nlisteners= in://a:1 , out://b:0, ctl://c:3\n" +
				"advertised.listeners=IN://x:10,CTL://y:30\ninter.broker.listener.name=in\ncontrol.plane.listener.name=ctl",
			[]Listener{{"IN", "a", 1, "PLAINTEXT"}, {"OUT", "b", 0, "SSL"}, {"CTL", "c", 3, "PLAINTEXT"}},
			[]Listener{{"IN", "x", 10, "PLAINTEXT"}, {"CTL", "y", 30, "PLAINTEXT"}}, "IN", "CTL",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := broker(t, c.text)
			if diff := cmp.Diff(c.bound, b.Listeners); diff != "" {
				t.Errorf("listeners (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.announced, b.AdvertisedListeners); diff != "" {
				t.Errorf("advertised (-want +got):\n%s", diff)
			}
			if b.InterBrokerListener != c.inter || b.ControlPlaneListener != c.control {
				t.Errorf("roles %q %q, want %q %q", b.InterBrokerListener, b.ControlPlaneListener, c.inter, c.control)
			}
		})
	}
	if got := (Listener{"A", "::1", 9, "SSL"}).String(); got != "A://[::1]:9" {
		t.Errorf("registered as %s", got)
	}
}

func TestFieldsComeFromTheirKeys(t *testing.T) {
	b := broker(t, "node.id=7\nlog.dir=/a\nzookeeper.session.timeout.ms=5000\noffsets.retention.minutes=2\n"+
		"connections.max.idle.ms=-1\nlog.flush.scheduler.interval.ms=9223372036854775807\n"+
		"max.connections.per.ip.overrides=127.0.0.1:5, [::1]:6\ninter.broker.protocol.version=2.8")
	got := []any{b.BrokerID, b.LogDirs, b.ZooKeeperConnectionTimeout, b.OffsetsRetention, b.ConnectionsMaxIdle < 0,
		b.LogFlushSchedulerInterval, b.MaxConnectionsPerIPOverrides, b.InterBrokerProtocol, b.RequestTimeout}
	want := []any{int32(7), []string{"/a"}, 5 * time.Second, 2 * time.Minute, true,
		time.Duration(math.MaxInt64), map[string]int32{"127.0.0.1": 5, "[::1]": 6}, ibp.V2_8_IV1, 30 * time.Second}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if dirs := broker(t, "log.dirs= /a, /b ,\nlog.dir=/c").LogDirs; !reflect.DeepEqual(dirs, []string{"/a", "/b"}) {
		t.Errorf("log.dirs gives %q", dirs)
	}
}

func TestTopicDefaultsComeFromTheFirstBrokerKeyThatIsSet(t *testing.T) {
	const hour = 3600_000
	for text, want := range map[string]struct{ retention, roll, jitter, flush int64 }{
		"":                      {168 * hour, 168 * hour, 0, math.MaxInt64},
		"log.retention.hours=1": {hour, 168 * hour, 0, math.MaxInt64},
		"log.retention.hours=1\nlog.retention.minutes=2":                               {120_000, 168 * hour, 0, math.MaxInt64},
		"log.retention.hours=1\nlog.retention.minutes=2\nlog.retention.ms=3":           {3, 168 * hour, 0, math.MaxInt64},
		"log.retention.hours=-1":                                                       {-1, 168 * hour, 0, math.MaxInt64},
		"log.retention.ms=-7":                                                          {-1, 168 * hour, 0, math.MaxInt64},
		"log.roll.hours=2\nlog.roll.jitter.hours=1\nlog.flush.scheduler.interval.ms=9": {168 * hour, 2 * hour, hour, 9},
		"log.roll.ms=5\nlog.roll.jitter.ms=4\nlog.flush.interval.ms=3":                 {168 * hour, 5, 4, 3},
	} {
		topic, err := broker(t, text).Topic(nil)
		if err != nil {
			t.Fatal(err)
		}
		got := struct{ retention, roll, jitter, flush int64 }{topic.RetentionMS, topic.SegmentMS, topic.SegmentJitterMS, topic.FlushMS}
		if got != want {
			t.Errorf("%q gives %+v, want %+v", text, got, want)
		}
	}
}

func TestTopicOverridesWin(t *testing.T) {
	b := broker(t, "log.retention.ms=5\nlog.cleanup.policy=delete\nlog.message.timestamp.difference.max.ms=100")
	topic, err := b.Topic(map[string]string{"retention.ms": "6", "cleanup.policy": "compact,delete", "message.timestamp.type": "LogAppendTime",
		"message.timestamp.after.max.ms": "7"})
	if err != nil {
		t.Fatal(err)
	}
	if topic.RetentionMS != 6 || !topic.CleanupDelete || !topic.CleanupCompact || !topic.LogAppendTime() {
		t.Errorf("got %+v", topic)
	}
	if topic.MessageTimestampBeforeMaxMS != 100 || topic.MessageTimestampAfterMaxMS != 7 {
		t.Errorf("timestamps may be off by -%d +%d ms, want the old key where the new one is not set",
			topic.MessageTimestampBeforeMaxMS, topic.MessageTimestampAfterMaxMS)
	}
}

func TestWarningsNameWhatDoesNothing(t *testing.T) {
	_, warnings, err := New(map[string]string{"zookeeper.connect": "h:1", "foo": "1", "super.users": "User:a", "port": "9092",
		"listener.name.plaintext.max.connections": "5", "listener.name.x.nothing": "1", "metadata.log.dir": "/x",
		"listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": "x"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"The configuration 'foo' was supplied but isn't a known config.",
		"The configuration 'listener.name.x.nothing' was supplied but isn't a known config.",
		"The configuration 'metadata.log.dir' has no effect on a broker in ZooKeeper mode.",
		"The configuration 'port' is gone from Kafka 3.x; it is honoured here.",
	}
	if diff := cmp.Diff(want, warnings); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAPasswordIsShownNowhere(t *testing.T) {
	b := broker(t, "ssl.keystore.password=s3cret\nlog.cleanup.policy=compact,delete")
	text := b.String()
	for _, want := range []string{"\tssl.keystore.password = [hidden]\n", "\tlog.cleanup.policy = [compact, delete]\n", "\tbroker.rack = null\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(text, "s3cret") {
		t.Error("the password is in the list of values")
	}
}

func TestTheShippedFileLoadsWithoutAWarning(t *testing.T) {
	path := filepath.Join("..", "..", "conf", "server.properties")
	b, warnings, err := Load(path, []string{"broker.id=3"})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v %v", warnings, err)
	}
	if b.BrokerID != 3 || b.ZooKeeperConnect != "localhost:2181" {
		t.Errorf("loaded %d at %s", b.BrokerID, b.ZooKeeperConnect)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^#?([a-z.]+)=`).FindAllStringSubmatch(string(data), -1) {
		if BrokerKey(m[1]) == nil {
			t.Errorf("%s shows %s, which is no key", path, m[1])
		}
	}
}

func TestAFileThatIsNotThereIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none")
	if _, _, err := Load(path, nil); !os.IsNotExist(err) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestDoublesPrintAsInJava(t *testing.T) {
	for f, want := range map[float64]string{0: "0.0", 0.5: "0.5", 1: "1.0", 1e7: "1.0E7", 12345678: "1.2345678E7", 9999999: "9999999.0",
		0.001: "0.001", 0.0001: "1.0E-4", math.MaxFloat64: "1.7976931348623157E308", -2.5: "-2.5"} {
		if got := JavaDouble(f); got != want {
			t.Errorf("%v prints as %s, want %s", f, got, want)
		}
	}
}
