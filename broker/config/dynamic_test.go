package config

import (
	"strings"
	"sync"
	"testing"
)

func TestDynamicLayersTakeEffectAndGoAgain(t *testing.T) {
	d := NewDynamic(broker(t, "log.retention.hours=1\nmessage.max.bytes=1000"))
	check := func(state string, retention int64, size int32) {
		t.Helper()
		if got := d.Topic("t"); got.RetentionMS != retention || got.MaxMessageBytes != size || d.Broker().MessageMaxBytes != size {
			t.Errorf("%s: retention %d, size %d; want %d and %d", state, got.RetentionMS, got.MaxMessageBytes, retention, size)
		}
	}
	check("static", 3600_000, 1000)
	must(t, d.SetBrokerDefault(map[string]string{"log.retention.ms": "50", "message.max.bytes": "2000"}))
	check("with a cluster default, which hides the hours", 50, 2000)
	must(t, d.SetBroker(map[string]string{"message.max.bytes": "3000"}))
	check("with a value of this broker", 50, 3000)
	_, err := d.SetTopic("t", map[string]string{"retention.ms": "7"})
	must(t, err)
	must(t, d.SetBrokerDefault(map[string]string{"message.max.bytes": "4000"}))
	check("a topic's override stays when its broker changes", 7, 3000)
	_, err = d.SetTopic("t", nil)
	must(t, err)
	must(t, d.SetBroker(nil))
	must(t, d.SetBrokerDefault(nil))
	check("static again", 3600_000, 1000)
}

func TestWhatIsStoredAndWrongIsLeftOutAndNamed(t *testing.T) {
	d := NewDynamic(broker(t, ""))
	err := d.SetBroker(map[string]string{"message.max.bytes": "2000", "log.retention.bytes": "x", "broker.id": "9"})
	if err == nil || !strings.Contains(err.Error(), "broker.id") || !strings.Contains(err.Error(), "log.retention.bytes") {
		t.Errorf("got %v, want both keys named", err)
	}
	if got := d.Broker().MessageMaxBytes; got != 2000 {
		t.Errorf("the good key gives %d", got)
	}
	topic, err := d.SetTopic("t", map[string]string{"retention.ms": "5", "segment.bytes": "x", "of.the.future": "1"})
	if err == nil || topic.RetentionMS != 5 || d.Topic("t") != topic {
		t.Errorf("the good override gives %d, error %v", topic.RetentionMS, err)
	}
	topic, err = d.SetTopic("t", map[string]string{"min.compaction.lag.ms": "9", "max.compaction.lag.ms": "5"})
	if err == nil || topic.MinCompactionLagMS != 0 {
		t.Errorf("overrides that do not go together give %d, error %v", topic.MinCompactionLagMS, err)
	}
}

func TestValuesThatDoNotGoTogetherLeaveTheLayerAsItWas(t *testing.T) {
	d := NewDynamic(broker(t, ""))
	must(t, d.SetBroker(map[string]string{"message.max.bytes": "2000"}))
	if err := d.SetBroker(map[string]string{"log.cleaner.dedupe.buffer.size": "100", "message.max.bytes": "5000"}); err == nil {
		t.Error("a buffer too small for its threads was taken")
	}
	if got := d.Broker().MessageMaxBytes; got != 2000 {
		t.Errorf("message.max.bytes is %d, want the old 2000", got)
	}
}

func TestReadersSeeWholeStatesWhileAWriterWrites(t *testing.T) {
	d := NewDynamic(broker(t, ""))
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if topic := d.Topic("t"); topic.SegmentBytes != 1<<30 && int64(topic.SegmentBytes) != topic.RetentionBytes {
					t.Errorf("half a state: %d and %d", topic.SegmentBytes, topic.RetentionBytes)
					return
				}
			}
		})
	}
	for _, size := range []string{"100", "200", "300", "400"} {
		_, err := d.SetTopic("t", map[string]string{"segment.bytes": size, "retention.bytes": size})
		must(t, err)
	}
	close(done)
	readers.Wait()
}
