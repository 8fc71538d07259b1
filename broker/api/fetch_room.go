package api

import (
	"slices"
	"sync"

	"github.com/zurau/zurau/broker/metadata"
	"github.com/zurau/zurau/broker/replica"
)

// fetchRoom is the memory of a fetch while it is worked on. A follower of 1,000 partitions fetches many times a second,
// whether or not they have news: new memory for each would be 300 KB a fetch. The reply keeps nothing of it.
type fetchRoom struct {
	parts   []*fetchPartition
	want    []replica.Position
	got     []replica.Fetched
	answers []fetchAnswer
}

var fetchRooms = sync.Pool{New: func() any { return new(fetchRoom) }}

// maxKeptRoom bounds the rooms kept for later, in partitions: one request may name millions.
const maxKeptRoom = 10000

// fit makes want and got as long as parts; they are zero.
func (r *fetchRoom) fit(parts []*fetchPartition) {
	n := len(parts)
	r.parts = parts
	r.want = slices.Grow(r.want[:0], n)[:n]
	r.got = slices.Grow(r.got[:0], n)[:n]
}

// giveBack lets another fetch have the room, empty.
func (r *fetchRoom) giveBack() {
	if cap(r.want) > maxKeptRoom || cap(r.parts) > maxKeptRoom {
		return
	}
	clear(r.parts)
	clear(r.want)
	clear(r.got)
	clear(r.answers)
	r.parts, r.want, r.got, r.answers = r.parts[:0], r.want[:0], r.got[:0], r.answers[:0]
	fetchRooms.Put(r)
}

// whereabouts is what partitions were found by: while both are the same there is no need to look for them again. Who
// may read them is not part of it.
type whereabouts struct {
	snapshot *metadata.Snapshot
	hosted   uint64 // replica.Manager.Changes
}

// whereabouts are those of now. The counter comes first: what changes behind it is found by the next request.
func (h *Handler) whereabouts() whereabouts {
	hosted := h.Replicas.Changes()
	return whereabouts{h.Metadata.Load(), hosted}
}
