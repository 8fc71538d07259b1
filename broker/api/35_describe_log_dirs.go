package api

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/storage"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/broker/wire"
)

// describeLogDirs (key 35, versions 0-4) tells which partitions lie in which log directory of this broker, and how
// large they are (KIP-113). Null topics stand for all.
//
//	v3  an error for the whole answer
//	v4  size of the volume and what is free on it (KIP-827)
func (h *Handler) describeLogDirs(_ context.Context, _ *wire.Request, req *kmsg.DescribeLogDirsRequest) wire.Reply {
	resp := req.ResponseKind().(*kmsg.DescribeLogDirsResponse)
	wanted := make(map[topic.Partition]bool)
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			wanted[topic.Partition{Topic: t.Topic, ID: p}] = true
		}
	}
	unwanted := func(l *storage.Log) bool { return req.Topics != nil && !wanted[l.Partition()] }
	for _, d := range h.Storage.LogDirs() {
		d.Logs = slices.DeleteFunc(d.Logs, unwanted)
		resp.Dirs = append(resp.Dirs, describedDir(d))
	}
	return wire.Respond(resp)
}

// describedDir is one directory with its partitions, by topic.
func describedDir(d storage.DirInfo) kmsg.DescribeLogDirsResponseDir {
	out := kmsg.NewDescribeLogDirsResponseDir()
	out.Dir, out.TotalBytes, out.UsableBytes = d.Path, d.Total, d.Usable
	if d.Err != nil {
		out.ErrorCode = kerr.KafkaStorageError.Code
		return out
	}
	slices.SortFunc(d.Logs, func(a, b *storage.Log) int { return a.Partition().Compare(b.Partition()) })
	for _, l := range d.Logs {
		tp := l.Partition()
		if n := len(out.Topics); n == 0 || out.Topics[n-1].Topic != tp.Topic {
			out.Topics = append(out.Topics, kmsg.DescribeLogDirsResponseDirTopic{Topic: tp.Topic})
		}
		t := &out.Topics[len(out.Topics)-1]
		// The lag is that of a replica moving between directories; a replica in its place has none.
		t.Partitions = append(t.Partitions,
			kmsg.DescribeLogDirsResponseDirTopicPartition{Partition: tp.ID, Size: l.SizeBytes()})
	}
	return out
}
