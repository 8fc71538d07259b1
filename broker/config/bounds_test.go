package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/zurau/zurau/broker/kerr"
)

func TestBoundsIncludeTheirEnds(t *testing.T) {
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{"log.roll.ms=1", true},
		{"log.roll.ms=0", false},
		{"log.roll.jitter.ms=0", true},
		{"log.retention.ms=-1", true},
		{"log.retention.ms=0", false},
		{"log.cleaner.min.cleanable.ratio=1", true},
		{"log.cleaner.min.cleanable.ratio=1.01", false},
		{"compression.gzip.level=-1", true},
		{"compression.gzip.level=0", false},
		{"socket.request.max.bytes=5000\nqueued.max.request.bytes=5000", true},
		{"socket.request.max.bytes=5000\nqueued.max.request.bytes=4999", false},
		{"queued.max.request.bytes=0", true},
		{"max.connections.per.ip=0\nmax.connections.per.ip.overrides=127.0.0.1:5", true},
		{"max.connections.per.ip=0", false},
		{"max.connections.per.ip.overrides=::1:5,127.0.0.1:7", true},
		{"max.connections.per.ip.overrides=5", false},
		{"max.connection.creation.rate=0", true},
		{"max.connection.creation.rate=-1", false},
		{"listener.name.plaintext.max.connections=5", true},
		{"listener.name.plaintext.max.connections=many", false},
		{"listener.name.plaintext.max.connection.creation.rate=-1", false},
	} {
		_, _, err := New(parsed(t, "zookeeper.connect=localhost:2181\n"+c.text))
		if (err == nil) != c.ok {
			t.Errorf("%q: %v, want it taken: %v", c.text, err, c.ok)
		}
	}
}

func TestAnOverrideOfAnIPv6AddressIsCutAtItsLastColon(t *testing.T) {
	got := broker(t, "max.connections.per.ip.overrides=::1:5, 127.0.0.1:7").MaxConnectionsPerIPOverrides
	if len(got) != 2 || got["::1"] != 5 || got["127.0.0.1"] != 7 {
		t.Errorf("%v", got)
	}
}

func TestThreadsAreDoubledOrHalvedAtMost(t *testing.T) {
	d := NewDynamic(broker(t, "num.io.threads=8\nlog.cleaner.threads=8"))
	for _, name := range []string{"num.io.threads", "log.cleaner.threads"} {
		for n, ok := range map[int]bool{3: false, 4: true, 16: true, 17: false} {
			value := fmt.Sprint(n)
			_, err := d.AlterBroker(false, nil, []Alteration{{Op: Set, Name: name, Value: &value}})
			if ok != (err == nil) || !ok && !errors.Is(err, kerr.InvalidRequest) {
				t.Errorf("%s from 8 to %d: %v", name, n, err)
			}
		}
	}
}

func TestAListWithoutAValueBeginsAtItsDefault(t *testing.T) {
	d := NewDynamic(broker(t, ""))
	compact := "compact"
	next, err := d.AlterTopic("t", nil, []Alteration{{Op: Append, Name: "cleanup.policy", Value: &compact}})
	if err != nil || next["cleanup.policy"] != "delete,compact" {
		t.Errorf("%v, %v", next, err)
	}
}

func TestASecretIsNotStoredWhereItCannotBeEncoded(t *testing.T) {
	d := NewDynamic(broker(t, ""))
	value := "hunter2"
	_, err := d.AlterBroker(true, nil,
		[]Alteration{{Op: Set, Name: "listener.name.plaintext.ssl.keystore.password", Value: &value}})
	if err == nil || !strings.Contains(err.Error(), "Password encoder secret not configured") || strings.Contains(err.Error(), value) {
		t.Errorf("%v", err)
	}
}

func TestTopicsWithOverridesFollowTheBrokerInAllElse(t *testing.T) {
	d := NewDynamic(broker(t, "message.max.bytes=1000"))
	_, err := d.SetTopic("t", map[string]string{"retention.ms": "7"})
	must(t, err)
	must(t, d.SetBrokerDefault(map[string]string{"message.max.bytes": "2000"}))
	if got := d.Topic("t"); got.MaxMessageBytes != 2000 || got.RetentionMS != 7 {
		t.Errorf("size %d, retention %d", got.MaxMessageBytes, got.RetentionMS)
	}
}

func TestTimestampsAndLagsOfATopic(t *testing.T) {
	b := broker(t, "")
	got, err := b.Topic(map[string]string{"message.timestamp.difference.max.ms": "1000",
		"min.compaction.lag.ms": "5", "max.compaction.lag.ms": "5"})
	if err != nil || got.MessageTimestampBeforeMaxMS != 1000 || got.MessageTimestampAfterMaxMS != 1000 {
		t.Errorf("the old key for both: %+v, %v", got, err)
	}
	got, err = b.Topic(map[string]string{"message.timestamp.difference.max.ms": "1000",
		"message.timestamp.before.max.ms": "5", "message.timestamp.after.max.ms": "6"})
	if err != nil || got.MessageTimestampBeforeMaxMS != 5 || got.MessageTimestampAfterMaxMS != 6 {
		t.Errorf("each key for itself: %+v, %v", got, err)
	}
}
