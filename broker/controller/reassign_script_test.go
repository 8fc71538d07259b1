package controller

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/datadriven"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
)

// The commands of the scripts that ask for reassignments and elections as a client does.

// reassign: each argument is T-P=1,2 or T-P=cancel or T-P=nothing, which is an empty list.
func (s *stage) reassign(d *datadriven.TestData) string {
	req := &kmsg.AlterPartitionAssignmentsRequest{}
	for _, arg := range d.CmdArgs {
		tp, err := topic.ParseDir(arg.Key)
		s.must(err)
		p := kmsg.AlterPartitionAssignmentsRequestTopicPartition{Partition: tp.ID, Replicas: ids(strings.Join(arg.Vals, ","))}
		if arg.Vals[0] == "nothing" {
			p.Replicas = []int32{}
		}
		req.Topics = append(req.Topics, kmsg.AlterPartitionAssignmentsRequestTopic{Topic: tp.Topic,
			Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{p}})
	}
	return calling(s, "ApiPartitionReassignment", func() string {
		resp := s.c.AlterPartitionReassignments(context.Background(), req)
		text := fmt.Sprintf("answer: error=%s\n", name(resp.ErrorCode))
		for _, rt := range resp.Topics {
			for _, rp := range rt.Partitions {
				text += answerLine(rt.Topic, rp.Partition, rp.ErrorCode, rp.ErrorMessage)
			}
		}
		return text
	})
}

func (s *stage) listReassignments(d *datadriven.TestData) string {
	req := &kmsg.ListPartitionReassignmentsRequest{}
	for _, arg := range d.CmdArgs {
		tp, err := topic.ParseDir(arg.Key)
		s.must(err)
		req.Topics = append(req.Topics,
			kmsg.ListPartitionReassignmentsRequestTopic{Topic: tp.Topic, Partitions: []int32{tp.ID}})
	}
	answer := calling(s, "ListPartitionReassignments", func() string {
		resp := s.c.ListPartitionReassignments(context.Background(), req)
		text := fmt.Sprintf("answer: error=%s\n", name(resp.ErrorCode))
		for _, rt := range resp.Topics {
			for _, rp := range rt.Partitions {
				text += fmt.Sprintf("  %s-%d replicas=%v adding=%v removing=%v\n",
					rt.Topic, rp.Partition, rp.Replicas, rp.AddingReplicas, rp.RemovingReplicas)
			}
		}
		return text
	})
	return strings.TrimPrefix(answer, "nothing\n")
}

func (s *stage) elect(d *datadriven.TestData) string {
	var asked []topic.Partition
	for _, arg := range d.CmdArgs[1:] {
		tp, err := topic.ParseDir(arg.Key)
		s.must(err)
		asked = append(asked, tp)
	}
	answer := calling(s, "ReplicaLeaderElection", func() string {
		results, controls := s.c.ElectLeaders(context.Background(), asked, d.CmdArgs[0].Key == "unclean")
		if !controls {
			return "answer: not the controller\n"
		}
		slices.SortFunc(asked, topic.Partition.Compare)
		text := "answer:\n"
		for _, tp := range asked {
			if err := results[tp].Err; err != nil {
				words := kerr.MessageOf(err)
				text += answerLine(tp.Topic, tp.ID, kerr.CodeOf(err), &words)
				continue
			}
			text += fmt.Sprintf("  %s leader=%d\n", tp, results[tp].Leader)
		}
		return text
	})
	return strings.TrimPrefix(answer, "nothing\n")
}

func answerLine(topic string, id int32, code int16, words *string) string {
	line := fmt.Sprintf("  %s-%d error=%s", topic, id, name(code))
	if words != nil {
		line += fmt.Sprintf(" %q", *words)
	}
	return line + "\n"
}
