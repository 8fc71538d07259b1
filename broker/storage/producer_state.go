package storage

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/topic"
)

// remembered is how many batches of each producer are known by their sequence numbers. A client has at most
// five requests in flight, so a repeat is one of the last five.
const remembered = 5

// sentBatch is a batch of an idempotent producer that is in the log.
type sentBatch struct {
	lastOffset   int64
	timestamp    int64 // max timestamp, ms
	lastSequence int32
	offsetDelta  int32 // last offset - first offset
}

func (b *sentBatch) firstOffset() int64 { return b.lastOffset - int64(b.offsetDelta) }

// firstSequence counts back from the last one, over the wrap to 0.
func (b *sentBatch) firstSequence() int32 {
	return int32((int64(b.lastSequence) - int64(b.offsetDelta)) & 0x7fffffff)
}

// producerEntry is what the log knows of one producer id.
type producerEntry struct {
	epoch            int16
	count            uint8                 // of batches that are set
	coordinatorEpoch int32                 // of the last marker, -1 none
	txnFirstOffset   int64                 // of the open transaction, -1 none
	lastTimestamp    int64                 // ms
	batches          [remembered]sentBatch // oldest first
}

const noOffset int64 = -1

// last returns the newest batch, nil when there is none in this epoch.
func (e *producerEntry) last() *sentBatch {
	if e.count == 0 {
		return nil
	}
	return &e.batches[e.count-1]
}

func (e *producerEntry) lastSequence() int32 {
	if b := e.last(); b != nil {
		return b.lastSequence
	}
	return record.NoSequence
}

// find returns the remembered batch with exactly these sequence numbers.
func (e *producerEntry) find(epoch int16, first, last int32) *sentBatch {
	if epoch != e.epoch {
		return nil
	}
	for i := range e.batches[:e.count] {
		if b := &e.batches[i]; b.lastSequence == last && b.firstSequence() == first {
			return b
		}
	}
	return nil
}

// setEpoch goes over to another epoch, whose sequence numbers start afresh.
func (e *producerEntry) setEpoch(epoch int16) {
	if e.epoch != epoch {
		e.epoch, e.count = epoch, 0
	}
}

func (e *producerEntry) add(b sentBatch) {
	if e.count == remembered {
		copy(e.batches[:], e.batches[1:])
		e.count--
	}
	e.batches[e.count] = b
	e.count++
	e.lastTimestamp = b.timestamp
}

// openTxn is a transaction whose marker has not come.
type openTxn struct {
	producerID  int64
	firstOffset int64
}

// endedTxn is a transaction whose marker is in the log.
type endedTxn struct {
	producerID  int64
	firstOffset int64
	lastOffset  int64 // of the marker
	aborted     bool
}

// producerState keeps, for each idempotent producer that writes to a log, what is needed to answer repeats,
// refuse gaps, and know which transactions are open (KIP-98). It is a function of the batches in [log start,
// end): a snapshot file saves reading all of them again. Java: ProducerStateManager.
//
// The owner is Log.mu.
type producerState struct {
	disk      fileSystem
	dir       string
	partition topic.Partition

	producers    map[int64]*producerEntry // nil until the first producer comes
	open         []openTxn                // by first offset
	unreplicated []endedTxn               // by marker; the marker is not below the high watermark yet
	end          int64                    // the state knows every batch before this offset
	snapshots    []int64                  // offsets of the snapshot files, ascending
	unsynced     []int64                  // those of them no sync has covered
}

func newProducerState(disk fileSystem, dir string, tp topic.Partition, snapshots []int64) *producerState {
	return &producerState{disk: disk, dir: dir, partition: tp, snapshots: snapshots}
}

// isIdempotent tells whether the state has anything to do with a batch.
func isIdempotent(b record.Batch) bool { return b.Magic() >= 2 && b.ProducerID() >= 0 }

// check decides about a batch a leader is about to append at offset: it is a repeat (the batch it repeats is
// returned), it may be appended (nil, nil), or it is refused. The sequence rules bind clients only;
// coordinators send none.
func (p *producerState) check(b record.Batch, offset int64, o Origin, verified bool) (*sentBatch, error) {
	if !isIdempotent(b) {
		return nil, nil
	}
	e := p.producers[b.ProducerID()]
	if b.IsControl() {
		return nil, p.checkMarker(b, e, offset)
	}
	if o == Client {
		if e != nil {
			if repeat := e.find(b.ProducerEpoch(), b.BaseSequence(), b.LastSequence()); repeat != nil {
				return repeat, nil
			}
		}
		if b.IsTransactional() && !verified && (e == nil || e.txnFirstOffset == noOffset) {
			return nil, kerr.New(kerr.InvalidTxnState, "Record was not part of an ongoing transaction")
		}
	}
	if e == nil {
		return nil, nil // nothing is known: any sequence number is a beginning
	}
	if err := p.checkEpoch(b, e, offset); err != nil {
		return nil, err
	}
	if o == Client {
		if err := p.checkSequence(b, e, offset); err != nil {
			return nil, err
		}
	}
	if e.txnFirstOffset != noOffset && !b.IsTransactional() {
		return nil, kerr.New(kerr.InvalidTxnState, "Expected transactional write from producer %d at offset %d in "+
			"partition %s", b.ProducerID(), offset, p.partition)
	}
	return nil, nil
}

func (p *producerState) checkEpoch(b record.Batch, e *producerEntry, offset int64) error {
	if b.ProducerEpoch() >= e.epoch {
		return nil
	}
	return kerr.New(kerr.InvalidProducerEpoch,
		"Epoch of producer %d at offset %d in %s is %d, which is smaller than the last seen epoch %d",
		b.ProducerID(), offset, p.partition, b.ProducerEpoch(), e.epoch)
}

func (p *producerState) checkSequence(b record.Batch, e *producerEntry, offset int64) error {
	first := b.BaseSequence()
	if b.ProducerEpoch() != e.epoch {
		if first != 0 {
			return kerr.New(kerr.OutOfOrderSequenceNumber, "Invalid sequence number for new epoch of producer %d at offset "+
				"%d in partition %s: %d (request epoch), %d (seq. number), %d (current producer epoch)",
				b.ProducerID(), offset, p.partition, b.ProducerEpoch(), first, e.epoch)
		}
		return nil
	}
	last := e.lastSequence()
	if int64(first) == int64(last)+1 || first == 0 && last == 1<<31-1 {
		return nil
	}
	return kerr.New(kerr.OutOfOrderSequenceNumber, "Out of order sequence number for producer %d at offset %d in "+
		"partition %s: %d (incoming seq. number), %d (current end sequence number)",
		b.ProducerID(), offset, p.partition, first, last)
}

func (p *producerState) checkMarker(b record.Batch, e *producerEntry, offset int64) error {
	m, ok, err := record.ParseEndTxnMarker(b)
	if err != nil || !ok || e == nil {
		return err
	}
	if err := p.checkEpoch(b, e, offset); err != nil {
		return err
	}
	if m.CoordinatorEpoch < e.coordinatorEpoch {
		return kerr.New(kerr.TransactionCoordinatorFenced,
			"Invalid coordinator epoch for producer %d at offset %d in partition %s: %d (zombie), %d (current)",
			b.ProducerID(), offset, p.partition, m.CoordinatorEpoch, e.coordinatorEpoch)
	}
	return nil
}

// apply takes a batch of the log into the state, whoever wrote it: what is in the log is true. If it is a
// marker that ends a transaction, the transaction is returned; the caller then calls complete.
func (p *producerState) apply(b record.Batch) (ended endedTxn, ok bool) {
	p.end = b.NextOffset()
	if !isIdempotent(b) {
		return endedTxn{}, false
	}
	if b.IsControl() {
		return p.applyMarker(b)
	}
	e := p.entry(b.ProducerID(), b.ProducerEpoch())
	e.setEpoch(b.ProducerEpoch())
	e.add(sentBatch{
		lastOffset: b.LastOffset(), timestamp: b.MaxTimestamp(),
		lastSequence: b.LastSequence(), offsetDelta: b.LastOffsetDelta(),
	})
	if b.IsTransactional() && e.txnFirstOffset == noOffset {
		e.txnFirstOffset = b.BaseOffset()
		p.open = append(p.open, openTxn{b.ProducerID(), b.BaseOffset()})
	}
	return endedTxn{}, false
}

func (p *producerState) applyMarker(b record.Batch) (ended endedTxn, ok bool) {
	m, known, err := record.ParseEndTxnMarker(b)
	if err != nil || !known {
		return endedTxn{}, false
	}
	e := p.entry(m.ProducerID, m.ProducerEpoch)
	e.setEpoch(m.ProducerEpoch)
	e.coordinatorEpoch, e.lastTimestamp = m.CoordinatorEpoch, m.Timestamp
	if e.txnFirstOffset == noOffset {
		return endedTxn{}, false
	}
	ended = endedTxn{m.ProducerID, e.txnFirstOffset, b.LastOffset(), m.Type == record.Abort}
	e.txnFirstOffset = noOffset
	return ended, true
}

func (p *producerState) entry(id int64, epoch int16) *producerEntry {
	e := p.producers[id]
	if e == nil {
		e = &producerEntry{epoch: epoch, coordinatorEpoch: -1, txnFirstOffset: noOffset, lastTimestamp: record.NoTimestamp}
		if p.producers == nil {
			p.producers = make(map[int64]*producerEntry)
		}
		p.producers[id] = e
	}
	return e
}

// complete moves a transaction from the open to the ended ones. Until its marker is below the high watermark it
// holds the last stable offset back all the same. It returns the last stable offset as of the marker, for the
// index.
func (p *producerState) complete(t endedTxn) (lastStableOffset int64) {
	p.open = slices.DeleteFunc(p.open, func(o openTxn) bool { return o.producerID == t.producerID })
	p.unreplicated = append(p.unreplicated, t)
	if len(p.open) > 0 {
		return p.open[0].firstOffset
	}
	return t.lastOffset + 1
}

// firstUnstable is the first offset a read_committed consumer must not see yet, whatever the high watermark.
func (p *producerState) firstUnstable() (offset int64, ok bool) {
	if len(p.open) > 0 {
		offset, ok = p.open[0].firstOffset, true
	}
	for _, t := range p.unreplicated {
		if !ok || t.firstOffset < offset {
			offset, ok = t.firstOffset, true
		}
	}
	return offset, ok
}

// passHighWatermark lets go of the ended transactions whose marker is committed.
func (p *producerState) passHighWatermark(hw int64) {
	i := 0
	for i < len(p.unreplicated) && p.unreplicated[i].lastOffset < hw {
		i++
	}
	p.unreplicated = slices.Delete(p.unreplicated, 0, i)
}

// passLogStart lets go of ended transactions that were deleted with the beginning of the log.
func (p *producerState) passLogStart(start int64) {
	p.unreplicated = slices.DeleteFunc(p.unreplicated, func(t endedTxn) bool { return t.lastOffset < start })
	p.end = max(p.end, start)
}

// expire forgets the producers that were silent for expirationMS and have no transaction open.
func (p *producerState) expire(nowMS, expirationMS int64) {
	for id, e := range p.producers {
		if e.expired(nowMS, expirationMS) {
			delete(p.producers, id)
		}
	}
}

func (e *producerEntry) expired(nowMS, expirationMS int64) bool {
	return e.txnFirstOffset == noOffset && nowMS-e.lastTimestamp >= expirationMS
}

// hasOpenTxn tells whether a producer has a transaction open in this log.
func (p *producerState) hasOpenTxn(id int64, epoch int16) bool {
	e := p.producers[id]
	return e != nil && e.epoch == epoch && e.txnFirstOffset != noOffset
}

// clear forgets all producers; the state then knows the batches before end, of which there are none.
func (p *producerState) clear(end int64) {
	clear(p.producers)
	p.open, p.unreplicated, p.end = nil, nil, end
}

// load replaces the state by the newest usable snapshot in (start, end]. Snapshots outside can never be used
// again and are removed. Without any the state is empty as of start. What comes after p.end is to be applied by
// the caller.
func (p *producerState) load(start, end, nowMS, expirationMS int64) error {
	p.clear(start)
	if err := p.removeSnapshots(func(o int64) bool { return o <= start || o > end }); err != nil {
		return err
	}
	return p.readNewest(end, nowMS, expirationMS)
}

// readNewest takes over the newest snapshot that is not behind end. One that does not read is removed, and the next
// older one is tried.
func (p *producerState) readNewest(end, nowMS, expirationMS int64) error {
	for i := len(p.snapshots) - 1; i >= 0; i-- {
		offset := p.snapshots[i]
		if offset > end {
			continue
		}
		content, err := readFile(p.disk, p.snapshotPath(offset))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		producers, err := decodeSnapshot(content)
		if err == nil {
			p.adopt(producers, offset, nowMS, expirationMS)
			return nil
		}
		if err := p.removeSnapshots(func(o int64) bool { return o == offset }); err != nil {
			return err
		}
	}
	return nil
}

func (p *producerState) adopt(producers []snapshotEntry, end, nowMS, expirationMS int64) {
	p.end = end
	for _, s := range producers {
		e := s.producerEntry
		if e.expired(nowMS, expirationMS) {
			continue
		}
		*p.entry(s.producerID, e.epoch) = e
		if e.txnFirstOffset != noOffset {
			p.open = append(p.open, openTxn{s.producerID, e.txnFirstOffset})
		}
	}
	slices.SortFunc(p.open, func(a, b openTxn) int { return int(min(max(a.firstOffset-b.firstOffset, -1), 1)) })
}

// lastSnapshot is the newest snapshot's offset, -1 without one.
func (p *producerState) lastSnapshot() int64 {
	if len(p.snapshots) == 0 {
		return noOffset
	}
	return p.snapshots[len(p.snapshots)-1]
}

// takeSnapshot writes the state as of p.end, if anything was applied since the last one. It is not synced: a
// torn one does not read, and an older one or none takes its place.
func (p *producerState) takeSnapshot() error {
	if p.end <= p.lastSnapshot() {
		return nil
	}
	if err := writeNewFile(p.disk, p.snapshotPath(p.end), p.encodeSnapshot(), false); err != nil {
		return err
	}
	p.snapshots = append(p.snapshots, p.end)
	p.unsynced = append(p.unsynced, p.end)
	return nil
}

// takeUnsynced hands out the files of the snapshots to be synced.
func (p *producerState) takeUnsynced() (paths []string) {
	for _, offset := range p.unsynced {
		paths = append(paths, p.snapshotPath(offset))
	}
	p.unsynced = nil
	return paths
}

// removeSnapshots deletes the snapshot files an offset of which gone says so.
func (p *producerState) removeSnapshots(gone func(int64) bool) error {
	var failed error
	p.snapshots = slices.DeleteFunc(p.snapshots, func(offset int64) bool {
		if failed != nil || !gone(offset) {
			return false
		}
		failed = removeIfExists(p.disk, p.snapshotPath(offset))
		return failed == nil
	})
	p.unsynced = slices.DeleteFunc(p.unsynced, gone)
	return failed
}

// removeStraySnapshots keeps, of the snapshots found at start, those named like a segment's base and the newest of
// those behind the last segment's base.
func (p *producerState) removeStraySnapshots(bases []int64) error {
	last := bases[len(bases)-1]
	newest := p.lastSnapshot()
	return p.removeSnapshots(func(o int64) bool {
		if o > last {
			return o != newest
		}
		_, isBase := slices.BinarySearch(bases, o)
		return !isBase
	})
}

func (p *producerState) snapshotPath(offset int64) string {
	return segmentPath(p.dir, offset, snapshotSuffix)
}
