package api

import (
	"container/list"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/replica"
	"github.com/zurau/zurau/broker/topic"
)

// An incremental fetch session (KIP-227) remembers what a reader wants, so that a reader of 1,000 idle partitions
// sends and gets a few bytes a round. This file knows what a session is and which sessions are kept; 01_fetch.go reads.

// fetched partition of a request or of a session.
type fetchPartition struct {
	topic     string // "" while the topic id is unknown here
	id        topic.ID
	partition int32
	replica.Position

	// What the reader was last told; an incremental answer leaves out a partition where nothing changed.
	toldHighWatermark, toldLogStart int64
	element                         *list.Element // place in the session's order, nil outside sessions
}

// fetchKey finds a partition in a session: by id when the session uses topic ids, else by name.
type fetchKey struct {
	topic     string
	id        topic.ID
	partition int32
}

func (p *fetchPartition) key(byID bool) fetchKey {
	if byID {
		return fetchKey{id: p.id, partition: p.partition}
	}
	return fetchKey{topic: p.topic, partition: p.partition}
}

// fetchSession is what one reader wants. Its reader sends one request at a time; mu is for readers that do not.
type fetchSession struct {
	id         int32
	privileged bool // of a follower: never evicted for a consumer's
	byID       bool // made with topic ids (Fetch 13+)
	created    time.Time

	mu struct {
		sync.Mutex
		epoch int32 // the next request's
		all   map[fetchKey]*fetchPartition
		order *list.List // of *fetchPartition: who got bytes goes to the end

		follower followerEpoch // of a follower's session below Fetch 15
		located  whereabouts   // by which the partitions of the last request were found
	}

	// Owned by fetchSessions.mu.
	lastUsed time.Time
	size     int
}

// nextEpoch follows epoch; after the largest int32 comes 1, because 0 opens a session.
func nextEpoch(epoch int32) int32 {
	if epoch == 1<<31-1 {
		return 1
	}
	return epoch + 1
}

// Epochs of a Fetch request that are not a session's.
const (
	initialEpoch = 0  // open a session, with all its partitions
	finalEpoch   = -1 // no session, and close the one that is named
)

// fetchSessions is the cache of sessions, bounded by max.incremental.fetch.session.cache.slots.
type fetchSessions struct {
	slots int
	mu    struct {
		sync.Mutex
		byID       map[int32]*fetchSession
		partitions int // of all sessions
	}
}

// partitionsPerSlot bounds what all sessions remember together: so many partitions for each slot of the cache. A
// frame may name millions, and sessions outlive their connections.
const partitionsPerSlot = 1000

// evictAfter is how long a session must have been idle before any newcomer may take its slot.
const evictAfter = 120 * time.Second

func newFetchSessions(slots int) *fetchSessions {
	s := &fetchSessions{slots: slots}
	s.mu.byID = make(map[int32]*fetchSession)
	return s
}

// close forgets a session.
func (s *fetchSessions) close(id int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if session := s.mu.byID[id]; session != nil {
		s.removeLocked(session)
	}
}

func (s *fetchSessions) removeLocked(session *fetchSession) {
	delete(s.mu.byID, session.id)
	s.mu.partitions -= session.size
}

// resize notes how many partitions a session has now. One that outgrows what all may remember together is forgotten:
// its reader is told so by its next request and opens another, if there is room.
func (s *fetchSessions) resize(session *fetchSession, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.byID[session.id] != session {
		return // forgotten meanwhile
	}
	s.mu.partitions += size - session.size
	session.size = size
	if size == 0 || s.mu.partitions > s.slots*partitionsPerSlot {
		s.removeLocked(session)
	}
}

// find returns the session an incremental request belongs to, or FETCH_SESSION_ID_NOT_FOUND.
func (s *fetchSessions) find(id int32, now time.Time) (*fetchSession, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session := s.mu.byID[id]
	if session == nil {
		return nil, kerr.FetchSessionIDNotFound
	}
	session.lastUsed = now
	return session, nil
}

// open keeps a new session for the partitions of a full request and returns it, or nil when there is no room.
func (s *fetchSessions) open(parts []*fetchPartition, byID, privileged bool, now time.Time) *fetchSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(parts) == 0 || s.slots <= 0 || !s.roomLocked(len(parts), privileged, now) {
		return nil
	}
	session := &fetchSession{privileged: privileged, byID: byID, created: now, lastUsed: now, size: len(parts)}
	for session.id == 0 || s.mu.byID[session.id] != nil {
		session.id = rand.Int32()
	}
	session.mu.epoch = nextEpoch(initialEpoch)
	session.mu.all = make(map[fetchKey]*fetchPartition, len(parts))
	session.mu.order = list.New()
	session.mu.follower.epoch = replica.EpochPending
	for _, p := range parts {
		session.addLocked(p)
	}
	s.mu.byID[session.id] = session
	s.mu.partitions += session.size
	return session
}

// roomLocked makes room for a newcomer, at the cost of the session that has the least right to its slot.
func (s *fetchSessions) roomLocked(size int, privileged bool, now time.Time) bool {
	if s.mu.partitions+size > s.slots*partitionsPerSlot {
		return false
	}
	if len(s.mu.byID) < s.slots {
		return true
	}
	var victim *fetchSession
	for _, c := range s.mu.byID {
		if mayEvict(c, size, privileged, now) && (victim == nil || lessRight(c, victim)) {
			victim = c
		}
	}
	if victim == nil {
		return false
	}
	s.removeLocked(victim)
	return true
}

// mayEvict tells whether a newcomer may take c's slot: c is idle for long; or c is a consumer's and the newcomer
// a follower's; or they are of one kind and the newcomer is larger, once c has had its time.
func mayEvict(c *fetchSession, size int, privileged bool, now time.Time) bool {
	switch {
	case now.Sub(c.lastUsed) > evictAfter:
		return true
	case c.privileged != privileged:
		return privileged
	}
	return size > c.size && now.Sub(c.created) > evictAfter
}

func lessRight(a, b *fetchSession) bool {
	if a.privileged != b.privileged {
		return b.privileged
	}
	if a.size != b.size {
		return a.size < b.size
	}
	return a.lastUsed.Before(b.lastUsed)
}

// addLocked takes one more partition in. Named twice in one request it stands once, as named last.
func (session *fetchSession) addLocked(p *fetchPartition) {
	p.topic = strings.Clone(p.topic) // it points into the request
	key := p.key(session.byID)
	if known := session.mu.all[key]; known != nil {
		session.mu.order.Remove(known.element)
	}
	p.element = session.mu.order.PushBack(p)
	session.mu.all[key] = p
}

// stepLocked checks an incremental request's epoch and applies its changes. It returns the partitions to read, in order,
// appended to parts.
// INVALID_FETCH_SESSION_EPOCH when a request was lost or came twice, FETCH_SESSION_TOPIC_ID_ERROR when the reader
// changed between names and ids. The caller holds session.mu.
func (session *fetchSession) stepLocked(req *kmsg.FetchRequest, changed, parts []*fetchPartition) ([]*fetchPartition, error) {
	if req.SessionEpoch != session.mu.epoch {
		return nil, kerr.InvalidFetchSessionEpoch
	}
	if session.byID != (req.Version >= 13) {
		return nil, kerr.FetchSessionTopicIDError
	}
	session.mu.epoch = nextEpoch(session.mu.epoch)
	for _, p := range changed {
		key := p.key(session.byID)
		if known := session.mu.all[key]; known != nil {
			known.Position = p.Position
			continue
		}
		session.addLocked(p)
	}
	for i := range req.ForgottenTopics {
		t := &req.ForgottenTopics[i]
		for _, n := range t.Partitions {
			key := fetchKey{topic: t.Topic, id: t.TopicID, partition: n}
			if known := session.mu.all[key]; known != nil {
				session.mu.order.Remove(known.element)
				delete(session.mu.all, key)
			}
		}
	}
	for e := session.mu.order.Front(); e != nil; e = e.Next() {
		parts = append(parts, e.Value.(*fetchPartition))
	}
	return parts, nil
}

// tellLocked decides whether an incremental answer mentions p, and notes what its reader now knows. Who got bytes goes to
// the end of the order, so that small limits do not starve the others. The caller holds session.mu.
func (session *fetchSession) tellLocked(p *fetchPartition, f *replica.Fetched) bool {
	mention := f.Region.N > 0 || f.Err != nil || f.Diverging || f.Elsewhere
	if f.Region.N > 0 {
		session.mu.order.MoveToBack(p.element) // unless it was forgotten meanwhile
	}
	if p.toldHighWatermark != f.View.HighWatermark || p.toldLogStart != f.View.LogStartOffset {
		p.toldHighWatermark, p.toldLogStart = f.View.HighWatermark, f.View.LogStartOffset
		mention = true
	}
	if f.Err != nil {
		p.toldHighWatermark = -1 // after an error the reader is told everything once more
	}
	return mention
}
