package storage

import (
	"slices"
	"time"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/record"
)

// Everything beside the batches can be had from the batches. This file does so, for what is missing or damaged.

// repairLocked builds the indexes again that are missing or visibly damaged.
func (l *Log) repairLocked(files partitionFiles, conf *config.Topic) error {
	if len(files.bases) == 0 {
		return nil
	}
	for _, s := range l.mu.segments {
		what := ""
		switch {
		case !files.indexed[s.base]:
			what = "Could not find offset index file corresponding to log file"
		case files.damaged[s.base]:
			what = "Found a corrupted index file corresponding to log file"
		case files.txns[s.base]:
			if err := s.txns.check(); isIndexDamage(err) {
				what = "Found a corrupted index file corresponding to log file"
			} else if err != nil {
				return err
			}
		}
		if what == "" {
			continue
		}
		l.warn("%s %s, recovering segment and rebuilding index files...", what, s.path(logSuffix))
		p, err := l.producersAtLocked(s.base)
		if err != nil {
			return err
		}
		found, err := s.recover(conf, p, nil)
		if err != nil {
			return err
		}
		if found.cut > 0 {
			l.sayCut(s, found)
		}
	}
	return nil
}

// producersAtLocked builds the producer state as of offset apart from the log's own, to find the transactions that
// the markers behind it end.
func (l *Log) producersAtLocked(offset int64) (*producerState, error) {
	p := newProducerState(l.home.disk, l.dir, l.partition, slices.Clone(l.mu.producers.snapshots))
	p.clear(l.mu.segments[0].base)
	if err := p.readNewest(offset, time.Now().UnixMilli(), l.home.producerExpirationMS); err != nil {
		return nil, err
	}
	return p, l.replayLocked(p, p.end, offset)
}

// proveTxns makes sure that a transaction index which lists nothing has not lost its file: a clean stop says that all
// is there, and nobody looks again. The first read_committed reader of such a segment looks for the marker of an
// aborted transaction in it, once, where the log has had transactions at all.
func (l *Log) proveTxns(s *segment) error {
	if doubt, err := s.txns.doubtful(); err != nil || !doubt {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if doubt, err := s.txns.doubtful(); err != nil || !doubt || !l.transactionalLocked() {
		return err
	}
	aborts, err := s.hasAbort()
	if err != nil {
		return err
	}
	if !aborts {
		s.txns.prove()
		return nil
	}
	l.warn("Transactions were aborted in segment %d and its index %s lists none; it is built again", s.base, s.txns.path())
	p, err := l.producersAtLocked(s.base)
	if err != nil {
		return err
	}
	l.mu.dirChanged, s.unsynced = true, true
	return s.rebuildTxns(p)
}

// transactionalLocked tells whether transactions have been seen in this log. Producers that were silent for a day
// are forgotten, indexes are not.
func (l *Log) transactionalLocked() bool {
	for _, e := range l.mu.producers.producers {
		if e.coordinatorEpoch >= 0 || e.txnFirstOffset != noOffset {
			return true
		}
	}
	return slices.ContainsFunc(l.mu.segments, func(s *segment) bool { return s.txns.listsSome() })
}

// hasAbort looks for the marker of an aborted transaction by the headers of the batches.
func (s *segment) hasAbort() (bool, error) {
	f, err := s.handle()
	if err != nil {
		return false, err
	}
	size := s.size.Load()
	scan := scanHeaders(f, 0, size)
	defer scan.done()
	for {
		h, at, err := scan.next()
		if err != nil && !isLogDamage(err) {
			return false, err
		}
		if err != nil || h == nil {
			return false, nil
		}
		if !h.IsControl() {
			continue
		}
		r := batchReader{f: f, position: at, end: size}
		b, _, err := r.next()
		if err != nil && !isLogDamage(err) {
			return false, err
		}
		if m, ok, err := record.ParseEndTxnMarker(b); b != nil && err == nil && ok && m.Type == record.Abort {
			return true, nil
		}
	}
}

// rebuildTxns fills the transaction index from the batches; p is the producer state before them.
func (s *segment) rebuildTxns(p *producerState) error {
	f, err := s.handle()
	if err != nil {
		return err
	}
	if err := s.txns.reset(); err != nil {
		return err
	}
	r := batchReader{f: f, end: s.size.Load()}
	for {
		b, _, err := r.next()
		if err != nil && !isLogDamage(err) {
			return err
		}
		if err != nil || b == nil {
			return nil
		}
		if err := applyBatch(p, s, b); err != nil {
			return err
		}
	}
}

// rebuildEpochsLocked finds the leader epochs in the batches, for a log that has none written down. A log whose last batch
// has no epoch is from before epochs and is not looked through.
func (l *Log) rebuildEpochsLocked() error {
	for i := len(l.mu.segments) - 1; i >= 0; i-- {
		last, err := l.mu.segments[i].end()
		if err != nil && !isLogDamage(err) {
			return err
		}
		if last.epoch >= 0 {
			break
		}
		if last.position > 0 {
			return nil
		}
	}
	l.mu.epochs.clear()
	for _, s := range l.mu.segments {
		f, err := s.handle()
		if err != nil {
			return err
		}
		scan := scanHeaders(f, 0, s.size.Load())
		for {
			h, _, err := scan.next()
			if err != nil || h == nil {
				break
			}
			if h.LeaderEpoch() > l.mu.epochs.latest() {
				l.mu.epochsChanged = l.mu.epochs.assign(h.LeaderEpoch(), h.BaseOffset()) || l.mu.epochsChanged
			}
		}
		scan.done()
	}
	return nil
}

// loadProducersLocked brings the producer state to the log end: the newest snapshot, then the batches behind it. Java
// takes a clean directory without any snapshot for one from before producer states; we read it through, once.
func (l *Log) loadProducersLocked(clean bool) error {
	p, v := l.mu.producers, l.mu.view
	if !clean && p.end == v.LogEndOffset {
		p.passLogStart(v.LogStartOffset) // recovery has built the state on its way
		p.passHighWatermark(v.HighWatermark)
		return nil
	}
	return l.rebuildProducersLocked()
}

// rebuildProducersLocked reads the state from the newest snapshot and the batches behind it.
func (l *Log) rebuildProducersLocked() error {
	p, v := l.mu.producers, l.mu.view
	if err := p.load(v.LogStartOffset, v.LogEndOffset, time.Now().UnixMilli(), l.home.producerExpirationMS); err != nil {
		return err
	}
	if err := l.replayLocked(p, p.end, v.LogEndOffset); err != nil {
		return err
	}
	p.end = v.LogEndOffset
	p.passHighWatermark(v.HighWatermark)
	return nil
}

// replayLocked applies the batches in [from, to) to a producer state. The transaction indexes know them
// already. A batch that is damaged ends a segment: it is for readers to find out, the state of the producers
// cannot be better than the log.
func (l *Log) replayLocked(p *producerState, from, to int64) error {
	if from >= to {
		return nil
	}
	for i, s := range l.mu.segments {
		if i+1 < len(l.mu.segments) && l.mu.segments[i+1].base <= from || s.base >= to {
			continue
		}
		size := s.size.Load()
		start, err := s.positionOf(from, size)
		if err != nil {
			return err
		}
		f, err := s.handle()
		if err != nil {
			return err
		}
		r := batchReader{f: f, position: start, end: size}
		for {
			b, _, err := r.next()
			if err != nil && !isLogDamage(err) {
				return err
			}
			if err != nil || b == nil || b.BaseOffset() >= to {
				break
			}
			if b.LastOffset() < from {
				continue
			}
			if txn, ok := p.apply(b); ok {
				p.complete(txn)
			}
		}
	}
	return nil
}
