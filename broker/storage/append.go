package storage

import (
	"errors"
	"fmt"
	"time"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/record"
)

// AppendOptions say on whose behalf a leader appends.
type AppendOptions struct {
	LeaderEpoch    int32  // of the leadership the caller believes in
	Origin         Origin // Client or Coordinator
	ProduceVersion int16  // version of the Produce request, from Client
	// TransactionVerified says that the transaction coordinator has confirmed the producer's transaction for
	// this partition (KIP-890). Without it a client's transactional batch is taken only while its transaction
	// is open here.
	TransactionVerified bool
}

// AppendInfo tells where records went.
type AppendInfo struct {
	FirstOffset    int64
	LastOffset     int64
	LogAppendTime  int64 // ms; -1 unless the topic stamps its records
	LogStartOffset int64
	LeaderEpoch    int32
	SizeBytes      int
	Duplicate      bool // the batch was in the log already; the offsets are those of then
}

// AppendAsLeader checks records, gives them the next offsets and writes them. The slice is written to: offsets,
// epoch, and where need be timestamps. With flush.messages reached it returns when the records are durable.
//
// Errors carry Kafka's codes (see Validate; also OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH,
// INVALID_TXN_STATE, TRANSACTION_COORDINATOR_FENCED; NOT_LEADER_OR_FOLLOWER for an epoch the log is past;
// KAFKA_STORAGE_ERROR), and may be *RecordErrors.
func (l *Log) AppendAsLeader(records []byte, opt AppendOptions) (AppendInfo, error) {
	if err := l.usable(); err != nil {
		return AppendInfo{}, err
	}
	conf := l.Config()
	v, err := Validate(records, ValidateOptions{
		Config: conf, Partition: l.partition, Origin: opt.Origin, ProduceVersion: opt.ProduceVersion,
		NowMS: time.Now().UnixMilli(),
	})
	if err != nil {
		return AppendInfo{}, err
	}
	l.mu.Lock()
	info, err := l.appendLeaderLocked(&v, opt, conf)
	flush := err == nil && l.flushDueLocked(conf)
	l.mu.Unlock()
	if flush {
		err = l.Flush()
	}
	return info, err
}

func (l *Log) appendLeaderLocked(v *Validated, opt AppendOptions, conf *config.Topic) (AppendInfo, error) {
	if err := l.usable(); err != nil {
		return AppendInfo{}, err
	}
	first := l.mu.view.LogEndOffset
	info := AppendInfo{
		FirstOffset: first, LastOffset: first - 1, LogAppendTime: v.LogAppendTime,
		LogStartOffset: l.mu.view.LogStartOffset, LeaderEpoch: opt.LeaderEpoch,
	}
	if latest := l.mu.epochs.latest(); opt.LeaderEpoch < latest {
		return info, kerr.New(kerr.NotLeaderOrFollower, "epoch %d of the append to %s is older than the log's, %d",
			opt.LeaderEpoch, l.partition, latest)
	}
	if v.Count == 0 {
		return info, nil
	}
	b := v.Batch
	repeat, err := l.mu.producers.check(b, first, opt.Origin, opt.TransactionVerified)
	if err != nil {
		return info, err
	}
	if repeat != nil {
		info.FirstOffset, info.LastOffset = repeat.firstOffset(), repeat.lastOffset
		info.LogAppendTime, info.Duplicate = repeat.timestamp, true
		return info, nil
	}
	v.AssignOffsets(first, opt.LeaderEpoch, time.Now().UnixMilli())
	info.LastOffset, info.LogAppendTime, info.SizeBytes = b.LastOffset(), v.LogAppendTime, len(b)
	a := appended{first, b.LastOffset(), b.MaxTimestamp(), b.LastOffset()}
	return info, l.writeLocked(b, a, conf)
}

// AppendAsFollower writes what the leader sent as it is: whole batches with offsets and epochs. An incomplete
// last batch is left out, and so is what lies further from the first than one segment reaches: LastOffset of the
// answer is where to fetch on. FirstOffset of the answer is that of the first batch.
//
// The first batch must begin at the log end or behind it (a compacted log has gaps), except that an empty log
// whose start the leader moved into the middle of a batch takes that batch, beginning before its own start.
func (l *Log) AppendAsFollower(records []byte) (AppendInfo, error) {
	if err := l.usable(); err != nil {
		return AppendInfo{}, err
	}
	whole, a, err := inspect(records)
	if err != nil {
		return AppendInfo{}, fmt.Errorf("append to %s: %w", l.partition, err)
	}
	conf := l.Config()
	l.mu.Lock()
	info, err := l.appendFollowerLocked(whole, a, conf)
	flush := err == nil && l.flushDueLocked(conf)
	l.mu.Unlock()
	if flush {
		err = l.Flush()
	}
	return info, err
}

func (l *Log) appendFollowerLocked(whole []byte, a appended, conf *config.Topic) (AppendInfo, error) {
	if err := l.usable(); err != nil {
		return AppendInfo{}, err
	}
	v := l.mu.view
	info := AppendInfo{
		FirstOffset: a.firstOffset, LastOffset: a.lastOffset, LogAppendTime: record.NoTimestamp,
		LogStartOffset: v.LogStartOffset, LeaderEpoch: l.mu.epochs.latest(), SizeBytes: len(whole),
	}
	if len(whole) == 0 {
		info.FirstOffset, info.LastOffset = v.LogEndOffset, v.LogEndOffset-1
		return info, nil
	}
	if a.firstOffset < v.LogEndOffset {
		if v.LogEndOffset != v.LogStartOffset || a.lastOffset < v.LogEndOffset {
			return info, kerr.New(kerr.OffsetOutOfRange, "Unexpected offset in append to %s. First offset %d is less than "+
				"the next offset %d.", l.partition, a.firstOffset, v.LogEndOffset)
		}
		if err := l.restartLocked(a.firstOffset, v.LogStartOffset); err != nil {
			return info, err
		}
	}
	return info, l.writeLocked(whole, a, conf)
}

// inspect walks batches from a leader: checksums, rising offsets. It returns the whole batches.
func inspect(records []byte) (whole []byte, a appended, err error) {
	a = appended{firstOffset: -1, lastOffset: -1, maxTimestamp: record.NoTimestamp}
	rest := records
	for {
		b, tail, err := record.Next(rest)
		if err != nil {
			return nil, a, err
		}
		if b == nil {
			return records[:len(records)-len(rest)], a, nil
		}
		if err := checkOffsets(b); err != nil {
			return nil, a, err
		}
		if b.BaseOffset() <= a.lastOffset {
			return nil, a, kerr.New(kerr.CorruptMessage, "Offsets of batches go from %d back to %d",
				a.lastOffset, b.BaseOffset())
		}
		if err := b.CheckCRC(); err != nil {
			return nil, a, err
		}
		if a.firstOffset < 0 {
			a.firstOffset = b.BaseOffset()
		} else if b.LastOffset()-a.firstOffset > maxRelative {
			return records[:len(records)-len(rest)], a, nil // one segment cannot hold both
		}
		a.lastOffset = b.LastOffset()
		if ts := b.MaxTimestamp(); ts > a.maxTimestamp {
			a.maxTimestamp, a.maxTimestampOffset = ts, b.LastOffset()
		}
		rest = tail
	}
}

// writeLocked puts whole batches, numbered and checked, behind the others and makes them visible to followers.
func (l *Log) writeLocked(b []byte, a appended, conf *config.Topic) error {
	if a.firstOffset < l.mu.view.LogEndOffset || a.lastOffset < a.firstOffset {
		return l.breakLaw("append of offsets %d to %d at log end %d", a.firstOffset, a.lastOffset, l.mu.view.LogEndOffset)
	}
	if err := l.saveTopicIDLocked(); err != nil {
		return err
	}
	if err := l.makeWritableLocked(); err != nil {
		return l.passingError("open the active segment of", err)
	}
	if l.shouldRollLocked(a, len(b), conf) {
		if err := l.rollLocked(max(l.mu.view.LogEndOffset, a.firstOffset), conf); err != nil {
			return l.passingError("roll a new segment of", err)
		}
	}
	if err := l.noteEpochsLocked(b); err != nil {
		return err
	}
	if err := l.activeLocked().append(b, a, int64(conf.IndexIntervalBytes)); err != nil {
		return l.passingError("append records to", err)
	}
	l.mu.view.LogEndOffset = a.lastOffset + 1
	if err := l.noteProducersLocked(b); err != nil {
		return l.diskError("append to the transaction index of", err)
	}
	l.publishLocked()
	return l.usable()
}

// noteEpochsLocked takes the batches' leader epochs into the cache before the batches are written: an epoch too
// many is cut off at the next start, a missing one would send followers to the wrong place.
func (l *Log) noteEpochsLocked(b []byte) error {
	changed := false
	for len(b) > 0 {
		batch, rest, err := record.Next(b)
		if err != nil || batch == nil {
			break
		}
		if batch.Magic() >= 2 {
			changed = l.mu.epochs.assign(batch.LeaderEpoch(), batch.BaseOffset()) || changed
		} else {
			changed = l.mu.epochs.clear() || changed
		}
		b = rest
	}
	if !changed && !l.mu.epochsChanged {
		return nil
	}
	return l.saveEpochsLocked()
}

// noteProducersLocked takes the batches into the producer state, and the transactions they end into the index.
func (l *Log) noteProducersLocked(b []byte) error {
	for len(b) > 0 {
		batch, rest, err := record.Next(b)
		if err != nil || batch == nil {
			break
		}
		if err := applyBatch(l.mu.producers, l.activeLocked(), batch); err != nil {
			return err
		}
		if batch.IsControl() {
			l.mu.dirChanged = true // a transaction index may have come to be
		}
		b = rest
	}
	return nil
}

// applyBatch takes one batch into the producer state; a transaction that it aborts goes into the segment's index.
func applyBatch(p *producerState, s *segment, b record.Batch) error {
	txn, ok := p.apply(b)
	if !ok {
		return nil
	}
	stable := p.complete(txn)
	if !txn.aborted {
		return nil
	}
	return s.txns.append(AbortedTxn{txn.producerID, txn.firstOffset, txn.lastOffset, stable})
}

// makeWritableLocked gets the active segment ready for its first append since the start.
func (l *Log) makeWritableLocked() error {
	if l.mu.writable {
		return nil
	}
	s := l.activeLocked()
	if err := s.makeWritable(); err != nil {
		if !isIndexDamage(err) {
			return err
		}
		l.warn("Found a corrupted index file corresponding to log file %s, rebuilding index files...", s.path(logSuffix))
		found, err := s.recover(l.Config(), nil, nil)
		var tooFar *overflow
		if errors.As(err, &tooFar) {
			return l.breakLaw("%v; the next start splits it", err)
		}
		if err != nil {
			return err
		}
		if found.cut > 0 {
			return l.breakLaw("segment %d is damaged from offset %d on", s.base, found.end)
		}
	}
	l.mu.writable = true
	return nil
}
