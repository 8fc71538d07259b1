package api

import (
	"cmp"
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
	for _, d := range h.Storage.LogDirs() {
		resp.Dirs = append(resp.Dirs, describedDir(d, func(tp topic.Partition) bool { return req.Topics == nil || wanted[tp] }))
	}
	return wire.Respond(resp)
}

// describedDir is one directory with the partitions that are wanted, by topic.
func describedDir(d storage.DirInfo, wanted func(topic.Partition) bool) kmsg.DescribeLogDirsResponseDir {
	out := kmsg.NewDescribeLogDirsResponseDir()
	out.Dir, out.TotalBytes, out.UsableBytes = d.Path, d.Total, d.Usable
	if d.Err != nil {
		out.ErrorCode = kerr.KafkaStorageError.Code
		return out
	}
	logs := slices.DeleteFunc(slices.Clone(d.Logs), func(l *storage.Log) bool { return !wanted(l.Partition()) })
	slices.SortFunc(logs, func(a, b *storage.Log) int {
		return cmp.Or(cmp.Compare(a.Partition().Topic, b.Partition().Topic), cmp.Compare(a.Partition().ID, b.Partition().ID))
	})
	for _, l := range logs {
		tp := l.Partition()
		if n := len(out.Topics); n == 0 || out.Topics[n-1].Topic != tp.Topic {
			out.Topics = append(out.Topics, kmsg.DescribeLogDirsResponseDirTopic{Topic: tp.Topic})
		}
		t := &out.Topics[len(out.Topics)-1]
		// The lag is that of a replica moving between directories; a replica in its place has none.
		t.Partitions = append(t.Partitions, kmsg.DescribeLogDirsResponseDirTopicPartition{Partition: tp.ID, Size: l.SizeBytes()})
	}
	return out
}
