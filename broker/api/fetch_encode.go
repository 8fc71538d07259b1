package api

import (
	"encoding/binary"
	"slices"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/replica"
	"github.com/zurau/zurau/broker/wire"
)

// The Fetch response is laid out by hand, because kmsg would copy the records: here they stay regions of the log
// files, and the bytes around them are one buffer with cuts.

// fetchAnswer is one partition's part of the response.
type fetchAnswer struct {
	*fetchPartition
	*replica.Fetched
	code        int16
	records     []byte // in place of the region: converted records
	nullRecords bool
	leader      int32 // with NOT_LEADER_OR_FOLLOWER since version 16; -1 unknown
	leaderEpoch int32
	leaderNode  *node
}

// downConvert replaces the region by message sets as old consumers read them.
func (a *fetchAnswer) downConvert(version int16) {
	if a.Region.N == 0 {
		return
	}
	stored := make([]byte, a.Region.N)
	_, err := a.Region.File.ReadAt(stored, a.Region.Offset)
	a.Region.Release.Release()
	a.Region = wire.Region{}
	if err == nil {
		a.records, err = record.DownConvert(stored, int8(version/2), a.Offset)
	}
	if err != nil {
		a.refuse(kerr.CodeOf(err))
		return
	}
}

// refuse turns a good answer into an error found after reading.
func (a *fetchAnswer) refuse(code int16) {
	a.code, a.nullRecords, a.records = code, true, nil
	a.View.HighWatermark, a.View.LastStableOffset, a.View.LogStartOffset = -1, -1, -1
}

// refusedByAPI tells whether the error comes from before the read; Java's answers differ in what they leave null.
func (a *fetchAnswer) refusedByAPI() bool {
	return a.nullRecords || a.fetchPartition.Partition == nil && a.MaxBytes >= 0
}

// cutBuffer is a buffer with regions between its bytes.
type cutBuffer struct {
	b    []byte
	cuts []cut // in order
}

// cut is where a region goes: before b[at].
type cut struct {
	at     int
	region wire.Region
}

func (c *cutBuffer) i16(v int16) { c.b = binary.BigEndian.AppendUint16(c.b, uint16(v)) }
func (c *cutBuffer) i32(v int32) { c.b = binary.BigEndian.AppendUint32(c.b, uint32(v)) }
func (c *cutBuffer) i64(v int64) { c.b = binary.BigEndian.AppendUint64(c.b, uint64(v)) }

func (c *cutBuffer) region(r wire.Region) { c.cuts = append(c.cuts, cut{len(c.b), r}) }

func (c *cutBuffer) reply() wire.Reply {
	parts := make([]wire.Part, 0, 2*len(c.cuts)+1)
	from := 0
	for i := range c.cuts {
		cut := &c.cuts[i]
		parts = append(parts, wire.Part{Bytes: c.b[from:cut.at]}, wire.Part{Region: &cut.region})
		from = cut.at
	}
	return wire.RespondParts(nil, append(parts, wire.Part{Bytes: c.b[from:]})...)
}

// fetchEncoder writes one response of one version.
type fetchEncoder struct {
	cutBuffer
	version int16
	flex    bool // compact lengths and tags, version 12 and above
}

// count writes an array's length.
func (e *fetchEncoder) count(n int) {
	if e.flex {
		e.b = binary.AppendUvarint(e.b, uint64(n+1))
	} else {
		e.i32(int32(n))
	}
}

func (e *fetchEncoder) str(s string) {
	if e.flex {
		e.b = binary.AppendUvarint(e.b, uint64(len(s)+1))
	} else {
		e.i16(int16(len(s)))
	}
	e.b = append(e.b, s...)
}

func (e *fetchEncoder) noTags() {
	if e.flex {
		e.b = append(e.b, 0)
	}
}

func (e *fetchEncoder) head(code int16, session int32) {
	if e.version >= 1 {
		e.i32(0) // throttle time
	}
	if e.version >= 7 {
		e.i16(code)
		e.i32(session)
	}
}

// encodeFetchError answers a session that cannot be used; versions below 7 have none.
func encodeFetchError(version, code int16) wire.Reply {
	e := fetchEncoder{version: version, flex: version >= 12}
	e.head(code, 0)
	e.count(0)
	e.noTags()
	return e.reply()
}

// encodeFetch lays out the whole response. Partitions of one topic that stand together share its entry.
func encodeFetch(version int16, session int32, answers []fetchAnswer) wire.Reply {
	e := fetchEncoder{version: version, flex: version >= 12}
	e.b, e.cuts = make([]byte, 0, 64+96*len(answers)), make([]cut, 0, regions(answers))
	e.lay(session, answers)
	return e.reply()
}

func regions(answers []fetchAnswer) (n int) {
	for i := range answers {
		if answers[i].Region.N > 0 {
			n++
		}
	}
	return n
}

func (e *fetchEncoder) lay(session int32, answers []fetchAnswer) {
	version := e.version
	e.head(0, session)
	topics := groupByTopic(answers)
	e.count(len(topics))
	for _, group := range topics {
		if version >= 13 {
			id := group[0].id
			e.b = append(e.b, id[:]...)
		} else {
			e.str(group[0].topic)
		}
		e.count(len(group))
		for i := range group {
			e.partition(&group[i])
		}
		e.noTags()
	}
	e.nodeTags(answers)
}

func groupByTopic(answers []fetchAnswer) [][]fetchAnswer {
	var groups [][]fetchAnswer
	for from, i := 0, 1; i <= len(answers); i++ {
		if i == len(answers) || answers[i].topic != answers[from].topic || answers[i].id != answers[from].id {
			groups = append(groups, answers[from:i])
			from = i
		}
	}
	return groups
}

func (e *fetchEncoder) partition(a *fetchAnswer) {
	e.i32(a.partition)
	e.i16(a.code)
	e.i64(a.View.HighWatermark)
	if e.version >= 4 {
		e.i64(a.View.LastStableOffset)
	}
	if e.version >= 5 {
		e.i64(a.View.LogStartOffset)
	}
	if e.version >= 4 {
		e.aborted(a)
	}
	if e.version >= 11 {
		if a.Elsewhere {
			e.i32(a.Follower) // the preferred read replica
		} else {
			e.i32(-1)
		}
	}
	e.recordBytes(a)
	e.partitionTags(a)
}

func (e *fetchEncoder) aborted(a *fetchAnswer) {
	if a.Aborted == nil && !a.refusedByAPI() {
		e.null()
		return
	}
	e.count(len(a.Aborted))
	for _, t := range a.Aborted {
		e.i64(t.ProducerID)
		e.i64(t.FirstOffset)
		e.noTags()
	}
}

func (e *fetchEncoder) null() {
	if e.flex {
		e.b = append(e.b, 0)
	} else {
		e.i32(-1)
	}
}

func (e *fetchEncoder) recordBytes(a *fetchAnswer) {
	switch {
	case a.nullRecords:
		e.null()
	case a.records != nil:
		e.count(len(a.records))
		e.b = append(e.b, a.records...)
	default:
		e.count(a.Region.N)
		if a.Region.N > 0 {
			e.region(a.Region)
		}
	}
}

// partitionTags writes tag 0, the diverging epoch, or tag 1, the current leader, which comes with an error only.
func (e *fetchEncoder) partitionTags(a *fetchAnswer) {
	if !e.flex {
		return
	}
	switch {
	case a.Diverging:
		e.b = append(e.b, 1, 0, 13)
		e.i32(a.DivergingEpoch)
		e.i64(a.DivergingEnd)
		e.b = append(e.b, 0)
	case a.leaderNode != nil:
		e.b = append(e.b, 1, 1, 9)
		e.i32(a.leader)
		e.i32(a.leaderEpoch)
		e.b = append(e.b, 0)
	default:
		e.b = append(e.b, 0)
	}
}

// nodeTags writes tag 0 of the response, the addresses of the leaders named in it.
func (e *fetchEncoder) nodeTags(answers []fetchAnswer) {
	if !e.flex {
		return
	}
	var named []*fetchAnswer
	for i := range answers {
		a := &answers[i]
		if a.leaderNode != nil && !slices.ContainsFunc(named, func(b *fetchAnswer) bool { return b.leader == a.leader }) {
			named = append(named, a)
		}
	}
	if len(named) == 0 {
		e.b = append(e.b, 0)
		return
	}
	tag := fetchEncoder{version: e.version, flex: true}
	tag.count(len(named))
	for _, a := range named {
		tag.i32(a.leader)
		tag.str(a.leaderNode.Host)
		tag.i32(a.leaderNode.Port)
		if a.leaderNode.Rack == nil {
			tag.null()
		} else {
			tag.str(*a.leaderNode.Rack)
		}
		tag.noTags()
	}
	e.b = append(e.b, 1, 0)
	e.b = binary.AppendUvarint(e.b, uint64(len(tag.b)))
	e.b = append(e.b, tag.b...)
}
