package quota

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/zurau/zurau/broker/topic"
)

func TestTheReplicasOfThisBrokerAreThrottledThatTheTopicNames(t *testing.T) {
	for _, c := range []struct {
		name  string
		words []string
		want  [3]bool // of partitions 0 to 2
	}{
		{"none", nil, [3]bool{}},
		{"all", []string{"*"}, [3]bool{true, true, true}},
		{"some, of several brokers", []string{"0:7", "1:8", " 2:7"}, [3]bool{true, false, true}},
		{"those of others only", []string{"0:1", "1:70"}, [3]bool{}},
		{"what no tool writes", []string{"", "1", "1:", ":7", "x:7", "99999999999:7", "1:7:7"}, [3]bool{}},
	} {
		q := NewReplication(7, 11, time.Second)
		q.SetTopic("t", []string{"*"}) // replaced
		q.SetTopic("t", c.words)
		for p, want := range c.want {
			if got := q.Throttles(topic.Partition{Topic: "t", ID: int32(p)}); got != want {
				t.Errorf("%s: partition %d throttled: %v", c.name, p, got)
			}
			if q.Throttles(topic.Partition{Topic: "u", ID: int32(p)}) {
				t.Errorf("%s: another topic is throttled", c.name)
			}
		}
	}
}

func TestARateIsExceededUntilTheWindowHasRoomAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewReplication(7, 11, time.Second)
		q.Record(5000)
		if q.Exceeded() {
			t.Error("without a limit")
		}
		q.SetRate(1000)
		for seconds := range 12 {
			if want := seconds < 5; q.Exceeded() != want {
				t.Errorf("5000 bytes at 1000 a second, %d s later: exceeded is %v, rate %v", seconds, !want, q.Rate())
			}
			time.Sleep(time.Second)
		}
		if q.SetRate(0); q.Exceeded() {
			t.Error("nothing went through, and that is too much")
		}
		if q.Record(1); !q.Exceeded() {
			t.Error("a rate of 0 lets bytes through")
		}
		if q.SetRate(Unlimited); q.Exceeded() {
			t.Error("the limit was taken away")
		}
	})
}

func TestNoThrottleIsOneThatNeverThrottles(t *testing.T) {
	var q *Replication
	if q.Throttles(topic.Partition{Topic: "t"}) || q.Exceeded() {
		t.Error("nothing throttles")
	}
}
