package storage

import (
	"runtime"
	"sync/atomic"
)

// View is where a log begins, ends, and how far each kind of reader may see, all at one moment:
// LogStartOffset <= LastStableOffset <= HighWatermark <= LogEndOffset.
type View struct {
	LogStartOffset   int64
	LastStableOffset int64 // read_committed consumers see what is before it
	HighWatermark    int64 // other consumers see what is before it
	LogEndOffset     int64 // the next offset to be written; followers see what is before it
}

// ordered is the law that every View keeps.
func (v *View) ordered() bool {
	return v.LogStartOffset <= v.LastStableOffset && v.LastStableOffset <= v.HighWatermark && v.HighWatermark <= v.LogEndOffset
}

// picture is a View together with the files it speaks of.
type picture struct {
	View
	segments []*segment // ascending by base, never empty, never changed; the last one is the active one
	size     int64      // bytes of the active segment as of LogEndOffset
}

// published is the picture for readers. It is replaced at each append, so it is not a value behind a pointer,
// which would be an allocation per append, but a row of words under a counter that is odd while a writer is at
// work. Readers try again until they have seen the same even counter on both sides. The writer holds Log.mu.
type published struct {
	turn                atomic.Uint64
	start, lso, hw, end atomic.Int64
	size                atomic.Int64
	latestEpoch         atomic.Int32 // leader epoch of the last record, -1 for none
	segments            atomic.Pointer[[]*segment]
}

func (p *published) load() picture {
	for {
		before := p.turn.Load()
		if before&1 == 0 {
			got := picture{
				View: View{p.start.Load(), p.lso.Load(), p.hw.Load(), p.end.Load()},
				size: p.size.Load(),
			}
			segments := p.segments.Load()
			if p.turn.Load() == before {
				got.segments = *segments
				return got
			}
		}
		runtime.Gosched()
	}
}

func (p *published) view() View {
	for {
		before := p.turn.Load()
		if before&1 == 0 {
			v := View{p.start.Load(), p.lso.Load(), p.hw.Load(), p.end.Load()}
			if p.turn.Load() == before {
				return v
			}
		}
		runtime.Gosched()
	}
}

// lastEpoch is the newest leader epoch and where it ends so far.
func (p *published) lastEpoch() (epoch int32, end int64) {
	for {
		before := p.turn.Load()
		if before&1 == 0 {
			epoch, end = p.latestEpoch.Load(), p.end.Load()
			if p.turn.Load() == before {
				return epoch, end
			}
		}
		runtime.Gosched()
	}
}

// store publishes a picture; segments is kept as it is when nil.
func (p *published) store(v View, size int64, latestEpoch int32, segments *[]*segment) {
	p.turn.Add(1)
	p.start.Store(v.LogStartOffset)
	p.lso.Store(v.LastStableOffset)
	p.hw.Store(v.HighWatermark)
	p.end.Store(v.LogEndOffset)
	p.size.Store(size)
	p.latestEpoch.Store(latestEpoch)
	if segments != nil {
		p.segments.Store(segments)
	}
	p.turn.Add(1)
}
