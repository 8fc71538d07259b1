package replica

import (
	"cmp"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/topic"
)

// session is the follower's side of an incremental fetch session (KIP-227): what the leader has been told, so that a
// request names only what changed and 1,000 idle partitions cost nothing. It belongs to its fetcher.
type session struct {
	id      int32
	epoch   int32 // of the next request; 0 opens a session
	byID    bool  // partitions are named by topic id (Fetch 13+)
	told    map[topic.Partition]position
	changed map[topic.Partition]*following // to be told
	gone    map[topic.Partition]topic.ID   // to be forgotten by the leader, with the id they were told by
	names   map[[16]byte]string            // of the ids told
}

// position is what a leader is told of a partition.
type position struct {
	id          topic.ID
	offset      int64 // the next to fetch
	logStart    int64
	leaderEpoch int32
	lastEpoch   int32 // of the last record, -1 for none
}

func (g *following) position() position {
	v := g.p.log.View()
	return position{g.p.log.TopicID(), v.LogEndOffset, v.LogStartOffset, g.r.leaderEpoch, g.p.log.LatestEpoch()}
}

// open begins a session with these partitions. One without a topic id, and all are named.
func (s *session) open(parts map[topic.Partition]*following, byID bool) {
	*s = session{
		byID: byID, told: make(map[topic.Partition]position, len(parts)), changed: maps.Clone(parts),
		gone: make(map[topic.Partition]topic.ID), names: make(map[[16]byte]string),
	}
}

// isOpen tells whether there is a session, or the request that opens one.
func (s *session) isOpen() bool { return s.told != nil }

// offset is what was last asked for.
func (s *session) offset(tp topic.Partition) int64 { return s.told[tp].offset }

// reset makes the next request open another session.
func (s *session) reset() { *s = session{} }

// set has the leader told where a partition stands now.
func (s *session) set(g *following) {
	if s.isOpen() {
		s.changed[g.p.tp] = g
	}
}

// drop has the leader forget a partition.
func (s *session) drop(tp topic.Partition) {
	if at, told := s.told[tp]; told {
		s.gone[tp] = at.id
	}
	delete(s.told, tp)
	delete(s.changed, tp)
}

// request names what changed since the last one.
func (s *session) request(m *Manager) *kmsg.FetchRequest {
	o := &m.Fetchers
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.ReplicaID = o.Level.FetchVersion(), m.BrokerID
	if !s.byID {
		req.Version = min(req.Version, lastByName)
	}
	if req.Version >= 15 {
		req.ReplicaID = -1
		req.ReplicaState.ID, req.ReplicaState.Epoch = m.BrokerID, o.BrokerEpoch()
	}
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = int32(o.WaitMax.Milliseconds()), o.MinBytes, o.MaxBytes
	req.SessionID, req.SessionEpoch = s.id, s.epoch
	for _, tp := range inOrder(s.changed) {
		at := s.changed[tp].position()
		if before, told := s.told[tp]; told && before == at {
			continue
		} else if told && before.id != at.id && s.byID {
			s.gone[tp] = before.id
		} else {
			delete(s.gone, tp)
		}
		s.told[tp], s.names[at.id] = at, tp.Topic
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.CurrentLeaderEpoch, p.FetchOffset = tp.ID, at.leaderEpoch, at.offset
		p.LastFetchedEpoch, p.LogStartOffset, p.PartitionMaxBytes = at.lastEpoch, at.logStart, o.PartitionMaxBytes
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != tp.Topic {
			req.Topics = append(req.Topics, kmsg.FetchRequestTopic{Topic: tp.Topic, TopicID: at.id})
		}
		last := &req.Topics[len(req.Topics)-1]
		last.Partitions = append(last.Partitions, p)
	}
	for _, tp := range inOrder(s.gone) {
		if n := len(req.ForgottenTopics); n == 0 || req.ForgottenTopics[n-1].Topic != tp.Topic {
			req.ForgottenTopics = append(req.ForgottenTopics, kmsg.FetchRequestForgottenTopic{Topic: tp.Topic, TopicID: s.gone[tp]})
		}
		last := &req.ForgottenTopics[len(req.ForgottenTopics)-1]
		last.Partitions = append(last.Partitions, tp.ID)
	}
	clear(s.changed)
	clear(s.gone)
	return req
}

// lastByName is the last version of Fetch that names topics.
const lastByName = 12

func inOrder[V any](all map[topic.Partition]V) []topic.Partition {
	return slices.SortedFunc(maps.Keys(all), func(a, b topic.Partition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.ID, b.ID))
	})
}

// answered takes the session's part of an answer. With an error nothing in the answer counts, and the next request
// opens another session. A leader without room keeps none and says 0: each request is then a whole one.
func (s *session) answered(resp *kmsg.FetchResponse) error {
	if err := asError(resp.ErrorCode); err != nil {
		s.reset()
		return err
	}
	s.id = resp.SessionID
	if s.epoch++; s.epoch < 0 {
		s.epoch = 1
	}
	return nil
}
