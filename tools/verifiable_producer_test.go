package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/producer"
)

func TestEventsHaveTheirMembersInKafkasOrder(t *testing.T) {
	var out strings.Builder
	v := &verifiableProducer{topic: "t", keys: 2, prefix: "7.", throughput: -1, start: time.Now()}
	v.events.out = &out
	v.events.print("startup_complete", nil)
	v.events.print(v.outcome(producer.NewRecord("t", nil, []byte("0")), producer.Position{Partition: 3, Offset: 9}, nil))
	v.events.print(v.outcome(v.record(3, v.start), producer.Position{}, kerr.New(kerr.NotEnoughReplicas, "too \"few\"")))
	v.sent.Store(10)
	v.acked.Store(5)
	v.events.print("tool_data", v.summary(v.start.Add(2*time.Second)))
	const want = `{"timestamp":T,"name":"startup_complete"}
{"timestamp":T,"name":"producer_send_success","key":null,"value":"0","offset":9,"topic":"t","partition":3}
{"timestamp":T,"name":"producer_send_error","key":"1","value":"7.3","topic":"t","exception":"class org.apache.kafka.common.errors.NotEnoughReplicasException","message":"too \"few\""}
{"timestamp":T,"name":"tool_data","sent":10,"acked":5,"target_throughput":-1,"avg_throughput":2.5}
`
	got := regexp.MustCompile(`"timestamp":\d{13}`).ReplaceAllString(out.String(), `"timestamp":T`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheTimeOfRecordsGoesOnFromTheFirst(t *testing.T) {
	v := &verifiableProducer{topic: "t", firstTime: 1000, start: time.Now()}
	if got := v.record(0, v.start.Add(1500*time.Millisecond)).Timestamp.UnixMilli(); got != 2500 {
		t.Error(got)
	}
	v.firstTime = -1
	if got := v.record(0, v.start).Timestamp; !got.IsZero() {
		t.Error("not the clock's:", got)
	}
}
