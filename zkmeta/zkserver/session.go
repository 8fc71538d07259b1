package zkserver

import (
	"encoding/binary"
	"time"
)

// session is a client's life here, which may outlast many connections and restarts of the server.
type session struct {
	id      int64
	timeout time.Duration
	bucket  int64 // the tick at which it expires unless touched before
	conn    *conn // nil while no connection is attached
}

// sessions finds sessions by id and by the tick at which they expire. It belongs to the loop's goroutine.
//
// Its clock counts the ticks the loop has seen, not the time that passed: a server that was stopped or starved does
// not expire everybody when it wakes up, since nobody could have been heard in the meantime.
type sessions struct {
	tick    time.Duration
	now     int64 // ticks seen
	byID    map[int64]*session
	buckets map[int64]map[*session]struct{}
	nextID  int64
}

func newSessions(tick time.Duration, wall time.Time) *sessions {
	return &sessions{
		tick: tick, byID: map[int64]*session{}, buckets: map[int64]map[*session]struct{}{}, nextID: firstSessionID(wall),
	}
}

// firstSessionID starts the ids of a run: server number 1 in the highest byte, then 40 bits of milliseconds, then a
// count, as in SessionTrackerImpl. Two runs share no id as long as the clock moves on between them.
func firstSessionID(wall time.Time) int64 {
	return int64(uint64(wall.UnixMilli())<<24>>8) | 1<<56
}

// newID gives an id nobody had in this run.
func (s *sessions) newID() int64 {
	id := s.nextID
	s.nextID++
	return id
}

// add makes a session known, as new or as read from the disk, with its whole timeout before it.
func (s *sessions) add(id int64, timeout time.Duration) *session {
	x := &session{id: id, timeout: timeout}
	s.byID[id] = x
	s.nextID = max(s.nextID, id+1)
	s.touch(x)
	return x
}

// touch gives a session its timeout again, rounded up to the end of a tick.
func (s *sessions) touch(x *session) {
	bucket := s.now + int64((x.timeout+s.tick-1)/s.tick) + 1
	if bucket == x.bucket {
		return
	}
	s.unlist(x)
	x.bucket = bucket
	if s.buckets[bucket] == nil {
		s.buckets[bucket] = map[*session]struct{}{}
	}
	s.buckets[bucket][x] = struct{}{}
}

func (s *sessions) unlist(x *session) {
	if delete(s.buckets[x.bucket], x); len(s.buckets[x.bucket]) == 0 {
		delete(s.buckets, x.bucket)
	}
}

func (s *sessions) remove(x *session) {
	s.unlist(x)
	delete(s.byID, x.id)
}

// timeouts lists the sessions for a snapshot.
func (s *sessions) timeouts() map[int64]time.Duration {
	timeouts := make(map[int64]time.Duration, len(s.byID))
	for id, x := range s.byID {
		timeouts[id] = x.timeout
	}
	return timeouts
}

// advance counts a tick and gives the sessions that expire with it; the caller removes them.
func (s *sessions) advance() []*session {
	s.now++
	var expired []*session
	for x := range s.buckets[s.now] {
		expired = append(expired, x)
	}
	return expired
}

// sessionPassword is what a client shows to come back to its session. Like ZooKeeper's it follows from the id:
// java.util.Random, seeded with the id mixed with a fixed number, gives its first 16 bytes. It keeps clients from
// taking a wrong session by mistake; it does not keep anybody out.
func sessionPassword(id int64) []byte {
	const multiplier, mask = 0x5DEECE66D, 1<<48 - 1
	seed := (uint64(id) ^ 0xB3415C00 ^ multiplier) & mask
	password := make([]byte, 0, 16)
	for len(password) < 16 {
		seed = (seed*multiplier + 0xB) & mask
		password = binary.LittleEndian.AppendUint32(password, uint32(seed>>16))
	}
	return password
}
