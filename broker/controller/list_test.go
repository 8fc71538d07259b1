package controller

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/zkmeta"
)

// list is an outbox that keeps the requests for a script to print and to answer.
type list struct {
	brokers map[int32]bool
	sent    []addressed // not printed yet
	waiting []addressed // not answered yet
}

type addressed struct {
	to int32
	parcel
}

func (l *list) add(id int32, _ zkmeta.Endpoint) { l.brokers[id] = true }
func (l *list) move(int32, zkmeta.Endpoint)     {}
func (l *list) close()                          { l.brokers, l.waiting = make(map[int32]bool), nil }

// told: nobody is waited for in a script.
func (l *list) told(int32) <-chan struct{} {
	told := make(chan struct{})
	close(told)
	return told
}

func (l *list) remove(id int32) {
	delete(l.brokers, id)
	l.take(id)
}

func (l *list) send(id int32, req kmsg.Request, answered func(kmsg.Response)) {
	if !l.brokers[id] {
		panic(fmt.Sprintf("%T to broker %d, which has no queue", req, id))
	}
	a := addressed{id, parcel{req, answered}}
	l.sent, l.waiting = append(l.sent, a), append(l.waiting, a)
}

// take removes and returns what a broker has not answered.
func (l *list) take(id int32) []addressed {
	var theirs []addressed
	l.waiting = slices.DeleteFunc(l.waiting, func(a addressed) bool {
		if a.to == id {
			theirs = append(theirs, a)
		}
		return a.to == id
	})
	return theirs
}

// print gives one block for each run of requests that are equal but for their receiver.
func (l *list) print() string {
	var b strings.Builder
	for i := 0; i < len(l.sent); {
		text := printRequest(l.sent[i].req)
		to := []int32{l.sent[i].to}
		for i++; i < len(l.sent) && printRequest(l.sent[i].req) == text; i++ {
			to = append(to, l.sent[i].to)
		}
		fmt.Fprintf(&b, "to %s: %s\n", strings.Trim(fmt.Sprint(to), "[]"), text)
	}
	l.sent = nil
	return b.String()
}

func printRequest(req kmsg.Request) string {
	var b strings.Builder
	switch r := req.(type) {
	case *kmsg.LeaderAndISRRequest:
		fmt.Fprintf(&b, "LeaderAndIsr v%d controller=%d/%d", r.Version, r.ControllerID, r.ControllerEpoch)
		for _, l := range r.LiveLeaders {
			fmt.Fprintf(&b, " %d@%s:%d", l.BrokerID, l.Host, l.Port)
		}
		for _, t := range r.TopicStates {
			for _, p := range t.PartitionStates {
				fmt.Fprintf(&b, "\n  %s-%d leader=%d/%d isr=%v partition_epoch=%d replicas=%v controller_epoch=%d", t.Topic, p.Partition,
					p.Leader, p.LeaderEpoch, p.ISR, p.ZKVersion, p.Replicas, p.ControllerEpoch)
				if len(p.AddingReplicas)+len(p.RemovingReplicas) > 0 {
					fmt.Fprintf(&b, " adding=%v removing=%v", p.AddingReplicas, p.RemovingReplicas)
				}
				if p.LeaderRecoveryState != 0 {
					b.WriteString(" recovering")
				}
				if p.IsNew {
					b.WriteString(" new")
				}
			}
		}
	case *kmsg.UpdateMetadataRequest:
		fmt.Fprintf(&b, "UpdateMetadata v%d controller=%d/%d brokers", r.Version, r.ControllerID, r.ControllerEpoch)
		for _, l := range r.LiveBrokers {
			fmt.Fprintf(&b, " %d", l.ID)
		}
		for _, t := range r.TopicStates {
			for _, p := range t.PartitionStates {
				fmt.Fprintf(&b, "\n  %s-%d leader=%d/%d isr=%v zk_version=%d replicas=%v offline=%v", t.Topic, p.Partition,
					p.Leader, p.LeaderEpoch, p.ISR, p.ZKVersion, p.Replicas, p.OfflineReplicas)
			}
		}
	case *kmsg.StopReplicaRequest:
		fmt.Fprintf(&b, "StopReplica v%d controller=%d/%d", r.Version, r.ControllerID, r.ControllerEpoch)
		for _, t := range r.Topics {
			for _, p := range t.PartitionStates {
				fmt.Fprintf(&b, "\n  %s-%d leader_epoch=%d delete=%v", t.Topic, p.Partition, p.LeaderEpoch, p.Delete)
			}
		}
	}
	return b.String()
}
