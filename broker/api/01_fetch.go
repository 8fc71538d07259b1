package api

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/metadata"
	"github.com/zurau/zurau/broker/replica"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/broker/wire"
)

// fetch (key 1, versions 0-17) reads record batches, as a consumer or as a follower.
//
//	v0-1   answers message sets of magic 0, v2-3 of magic 1, v4+ batches of magic 2
//	v3     a limit for the whole answer; the first batch comes whole whatever the limits say (KIP-74)
//	v4     isolation level, last stable offset and aborted transactions
//	v7     incremental sessions (KIP-227)
//	v9     the reader's leader epoch is checked (KIP-320)
//	v11    a follower may answer a consumer (KIP-392)
//	v12    the epoch of the reader's last record shows where logs diverge (KIP-595)
//	v13    topic ids in place of names (KIP-516)
//	v15    the follower's id in a tag, with its broker epoch (KIP-903)
//	v16    the current leader's address beside NOT_LEADER_OR_FOLLOWER (KIP-951)
func (h *Handler) fetch(ctx context.Context, r *wire.Request, req *kmsg.FetchRequest) wire.Reply {
	if req.Version >= 15 {
		req.ReplicaID = req.ReplicaState.ID
	}
	h.peers.heard(req.ReplicaID, req)
	f := fetching{h: h, req: req, listener: r.Conn.Listener(), now: time.Now(), full: true, room: fetchRooms.Get().(*fetchRoom)}
	defer f.room.giveBack()
	if err := f.resolve(); err != nil {
		return encodeFetchError(req.Version, kerr.CodeOf(err))
	}
	f.ownNames()
	r.ReleaseBody() // a fetch may wait for minutes
	f.learnFollowerEpoch(ctx)
	f.read(ctx)
	return f.reply()
}

// fetching is one fetch request on its way.
type fetching struct {
	h        *Handler
	req      *kmsg.FetchRequest
	listener string
	now      time.Time
	session  *fetchSession // the request's, or the one it opens; nil for none
	full     bool          // the answer mentions every partition
	id       int32         // session id to answer
	heard    uint64        // replica.Reader.Heard
	room     *fetchRoom
	parts    []*fetchPartition // this and the next two are room's
	want     []replica.Position
	got      []replica.Fetched

	brokerEpoch int64 // of a follower, as far as it is known
	answerSoon  bool  // without a wait: the follower's next request brings it into the ISR
}

// resolve turns request and session into the list of partitions to read.
func (f *fetching) resolve() error {
	req, sessions := f.req, f.h.sessions
	if f.room == nil {
		f.room = new(fetchRoom)
	}
	listed := listedPartitions(req)
	if req.Version < 7 {
		f.locate(listed)
		return nil
	}
	switch req.SessionEpoch {
	case finalEpoch, initialEpoch:
		if req.SessionID != 0 {
			sessions.close(req.SessionID)
		}
		f.locate(listed)
		if req.SessionEpoch == initialEpoch {
			if f.session = sessions.open(listed, req.Version >= 13, req.ReplicaID >= 0, f.now); f.session != nil {
				f.id = f.session.id
			}
		}
		return nil
	}
	session, err := sessions.find(req.SessionID, f.now)
	if err != nil {
		return err
	}
	session.mu.Lock()
	defer session.mu.Unlock()
	parts, err := session.stepLocked(req, listed, f.room.parts[:0])
	if err != nil {
		return err
	}
	f.session, f.id, f.full = session, session.id, false
	f.locate(parts)
	sessions.resize(session, len(parts))
	if len(parts) == 0 {
		f.id = 0
	}
	return nil
}

// ownNames replaces the rack, and the topics that still point into the request's body; those of a session do not.
func (f *fetching) ownNames() {
	f.req.Rack = strings.Clone(f.req.Rack)
	if f.req.Version >= 13 {
		return // ids in the request; names are the metadata's
	}
	for _, p := range f.parts {
		switch {
		case p.element != nil:
		case p.Partition != nil:
			p.topic = p.Partition.Topic()
		default:
			p.topic = strings.Clone(p.topic)
		}
	}
}

func listedPartitions(req *kmsg.FetchRequest) []*fetchPartition {
	n := 0
	for i := range req.Topics {
		n += len(req.Topics[i].Partitions)
	}
	all := make([]fetchPartition, n)
	listed := make([]*fetchPartition, 0, n)
	for i := range req.Topics {
		t := &req.Topics[i]
		for j := range t.Partitions {
			q := &t.Partitions[j]
			p := &all[len(listed)]
			*p = fetchPartition{topic: t.Topic, id: t.TopicID, partition: q.Partition, toldHighWatermark: -1, toldLogStart: -1}
			p.Position = replica.Position{Offset: q.FetchOffset, MaxBytes: int(q.PartitionMaxBytes),
				LeaderEpoch: -1, LastFetchedEpoch: -1, LogStartOffset: -1}
			if req.Version >= 5 {
				p.LogStartOffset = q.LogStartOffset
			}
			if req.Version >= 9 {
				p.LeaderEpoch = q.CurrentLeaderEpoch
			}
			if req.Version >= 12 {
				p.LastFetchedEpoch = q.LastFetchedEpoch
			}
			listed = append(listed, p)
		}
	}
	return listed
}

// locate finds the partitions among those hosted here; in a session only what is new in it, or was not there before,
// unless something has changed here. The caller holds the lock of f.session, if there is one.
func (f *fetching) locate(parts []*fetchPartition) {
	f.room.fit(parts)
	f.parts, f.want, f.got = parts, f.room.want, f.room.got
	f.heard = f.h.Replicas.Heard()
	at := f.h.whereabouts()
	known := f.session != nil && f.session.mu.located == at && f.knownIsolation() && f.req.Version >= 10
	for i, p := range f.parts {
		if !known || p.Partition == nil {
			p.Partition, p.Missing = f.find(at.snapshot, p)
			p.Expected = f.req.ReplicaID >= 0 && brandNew(p)
		}
		f.want[i] = p.Position // a copy: the session may take its next request while this one waits
		if hosted := p.Partition; hosted != nil && f.req.Version < firstUnconverted {
			f.want[i].MaxBytes = min(p.MaxBytes, max(convertedBytes, int(hosted.Log().Config().MaxMessageBytes)))
		}
	}
	if f.session != nil {
		f.session.mu.located = at
	}
}

// brandNew tells whether a follower begins with a partition of which this broker has not heard yet.
func brandNew(p *fetchPartition) bool {
	return p.Offset == 0 && p.LeaderEpoch == 0 &&
		(errors.Is(p.Missing, kerr.UnknownTopicOrPartition) || errors.Is(p.Missing, kerr.UnknownTopicID) ||
			errors.Is(p.Missing, kerr.NotLeaderOrFollower))
}

// firstUnconverted is the first version that reads batches as they are stored. Below it they are converted in memory,
// about convertedBytes of them for one answer whatever the reader asks for.
const (
	firstUnconverted = 4
	convertedBytes   = 4 << 20
)

// limitConversion gives back what is beyond convertedBytes: its reader finds it by the next request. It begins
// anywhere, so that no partition is always the one left out.
func (f *fetching) limitConversion() {
	left, start := convertedBytes, rand.IntN(max(len(f.got), 1))
	for i := range f.got {
		r := &f.got[(start+i)%len(f.got)].Region
		if r.N > 0 && left <= 0 {
			r.Release.Release()
			*r = wire.Region{}
		}
		left -= r.N
	}
}

func (f *fetching) find(snapshot *metadata.Snapshot, p *fetchPartition) (*replica.Partition, error) {
	if f.req.Version >= 13 {
		t := snapshot.TopicByID(p.id)
		if t == nil {
			return nil, kerr.UnknownTopicID
		}
		p.topic = t.Name
	}
	tp := topic.Partition{Topic: p.topic, ID: p.partition}
	hosted := f.h.Replicas.Partition(tp)
	if hosted == nil {
		return nil, f.h.missing(tp)
	}
	if f.req.Version >= 13 && hosted.Log().TopicID() != p.id {
		return nil, kerr.InconsistentTopicID
	}
	switch {
	case p.MaxBytes < 0 || !f.knownIsolation():
		return nil, kerr.UnknownServerError
	case f.req.Version < 10 && hosted.Log().Config().CompressionType == "zstd":
		return nil, kerr.UnsupportedCompressionType
	case f.req.Version < firstUnconverted && !hosted.Log().Config().MessageDownconversionEnable:
		return nil, kerr.UnsupportedVersion
	}
	return hosted, nil
}

// refused tells whether a partition was found and could not be read in this version, or at this isolation level:
// such an answer has null for records.
func (f *fetching) refused(code int16) bool {
	return code == kerr.UnsupportedCompressionType.Code || code == kerr.UnsupportedVersion.Code ||
		code == kerr.UnknownServerError.Code && !f.knownIsolation()
}

func (f *fetching) knownIsolation() bool {
	return f.req.IsolationLevel == 0 || f.req.IsolationLevel == 1
}

func (f *fetching) read(ctx context.Context) {
	req := f.req
	limit := int(f.h.Config.Broker().FetchMaxBytes)
	if req.Version >= 3 {
		limit = min(limit, int(max(req.MaxBytes, 0)))
	} else {
		limit = 1<<31 - 1
	}
	f.h.Replicas.Fetch(ctx, replica.Reader{
		ReplicaID:   req.ReplicaID,
		BrokerEpoch: f.brokerEpoch,
		AnyReplica:  req.Version >= 11,
		Committed:   req.Version >= 4 && req.IsolationLevel == 1,
		MaxWait:     f.maxWait(),
		MinBytes:    min(int(req.MinBytes), limit),
		MaxBytes:    limit,
		FirstBatch:  req.Version >= 3,
		Heard:       f.heard,
		Rack:        req.Rack,
		RackOf:      f.rackOf(),
	}, f.want, f.got)
	if req.Version < firstUnconverted {
		f.limitConversion()
	}
}

// rackOf tells a replica.Reader where brokers are; nil when everybody reads from leaders (replica.selector.class).
func (f *fetching) rackOf() func(broker int32) (string, bool) {
	if f.req.Version < 11 || f.req.Rack == "" || f.req.ReplicaID >= 0 || !f.h.Config.Broker().ReadFromFollowers {
		return nil
	}
	snapshot := f.h.Metadata.Load()
	return func(broker int32) (string, bool) {
		if _, ok := snapshot.Endpoint(broker, f.listener); !ok || snapshot.Broker(broker).Rack == nil {
			return "", false
		}
		return *snapshot.Broker(broker).Rack, true
	}
}

// maxWait is how long the reader wants to wait, but not longer than a connection may be idle: whether the reader is
// still there shows only when it is answered.
func (f *fetching) maxWait() time.Duration {
	if f.answerSoon {
		return 0
	}
	wait := time.Duration(f.req.MaxWaitMillis) * time.Millisecond
	if idle := f.h.Config.Broker().ConnectionsMaxIdle; idle > 0 {
		wait = min(wait, idle)
	}
	return wait
}

// reply lays the answer out around the regions of the log files, which go to the socket as they lie.
func (f *fetching) reply() wire.Reply {
	if f.session != nil {
		f.session.mu.Lock()
		defer f.session.mu.Unlock()
	}
	answers := f.room.answers
	for i, p := range f.parts {
		got := &f.got[i]
		if f.session != nil && !f.session.tellLocked(p, got) && !f.full {
			continue
		}
		answers = append(answers, f.answer(p, got))
	}
	f.room.answers = answers
	return encodeFetch(f.req.Version, f.id, answers)
}

// answer brings what was read into the form the version can take.
func (f *fetching) answer(p *fetchPartition, got *replica.Fetched) fetchAnswer {
	a := fetchAnswer{fetchPartition: p, Fetched: got, code: kerr.CodeOf(got.Err)}
	a.nullRecords = p.Partition == nil && f.refused(a.code)
	switch {
	case got.Err == nil && f.req.Version < firstUnconverted:
		a.downConvert(f.req.Version)
	case a.code == kerr.KafkaStorageError.Code && f.req.Version <= 5:
		a.code = kerr.NotLeaderOrFollower.Code
	case a.code == kerr.UnknownServerError.Code && p.Partition != nil:
		f.h.Logger.Error("Error processing fetch", zap.Int64("offset", p.Offset),
			zap.Stringer("partition", topic.Partition{Topic: p.topic, ID: p.partition}), zap.Error(got.Err))
	}
	if f.req.Version >= 16 && errors.Is(got.Err, kerr.NotLeaderOrFollower) {
		a.leader, a.leaderEpoch, a.leaderNode = f.h.currentLeader(f.listener, topic.Partition{Topic: p.topic, ID: p.partition})
	}
	return a
}
