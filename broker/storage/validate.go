package storage

import (
	"math"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/topic"
)

// Origin is who gives records to a log; clients are trusted least (Java: AppendOrigin).
type Origin int8

// The origins.
const (
	Client      Origin = iota // a Produce request
	Coordinator               // our own group and transaction coordinators
	Replication               // a leader's log, bytes as they are
)

// ValidateOptions are the facts Validate goes by. They hold for one append.
type ValidateOptions struct {
	Config         *config.Topic
	Partition      topic.Partition // for messages
	Origin         Origin          // Client or Coordinator; what is replicated is not validated again
	ProduceVersion int16           // version of the Produce request, from Client
	NowMS          int64
}

// Validated is what Validate found good: one batch of magic 2, still without offsets.
type Validated struct {
	Batch         record.Batch // aliases the input when InPlace; nil when there was nothing to append
	InPlace       bool         // false: rebuilt in memory of its own
	Count         int32        // records; 0: nothing to append
	MaxTimestamp  int64        // ms, -1 none; with LogAppendTime known after AssignOffsets
	LogAppendTime int64        // ms, set by AssignOffsets; -1 on topics of CreateTime

	stamp bool // the topic wants LogAppendTime
}

// Bounds on what a batch may unpack to, so that a small request cannot cost much. Batches beyond are refused with
// MESSAGE_TOO_LARGE, which lets a producer split them. Java has no such bound.
const (
	unpackFactor = 128
	unpackFloor  = 64 << 20
	recordFactor = 16 // a single record that has to be held in memory (conversions)
	recordFloor  = 8 << 20
)

func limitsOf(c *config.Topic) record.Limits {
	n := int64(c.MaxMessageBytes)
	return record.Limits{
		Bytes:       max(unpackFloor, unpackFactor*n),
		RecordBytes: int(max(recordFloor, recordFactor*n)),
	}
}

// Validate applies the rules for new records (Java: UnifiedLog.analyzeAndValidateRecords, LogValidator) and brings
// them into the form in which they are stored: one batch of magic 2 in the topic's compression. It runs before the
// log's lock is taken and looks at nothing but its arguments; it may correct the batch's maximum timestamp in place.
//
// Errors wrap kerr.CorruptMessage (frame, CRC), InvalidRecord (contents), MessageTooLarge, RecordListTooLarge,
// InvalidTimestamp, UnsupportedCompressionType; those that blame single records are *RecordErrors.
func Validate(records []byte, o ValidateOptions) (Validated, error) {
	if records == nil {
		return Validated{}, invalid("the records of %s are null", o.Partition)
	}
	first, rest, err := record.Next(records)
	if err != nil {
		return Validated{}, err
	}
	if first == nil {
		return nothing(o)
	}
	if first.Magic() < 2 {
		return validateLegacy(records, o)
	}
	second, _, err := record.Next(rest)
	if err != nil {
		return Validated{}, err
	}
	if second != nil {
		return Validated{}, invalid("%s got more than one record batch", o.Partition)
	}
	return validateBatch(first, o)
}

// nothing answers a set without a whole batch: old producers may send an empty one, newer must not.
func nothing(o ValidateOptions) (Validated, error) {
	if o.Origin == Client && o.ProduceVersion < 3 {
		return Validated{MaxTimestamp: record.NoTimestamp, LogAppendTime: record.NoTimestamp}, nil
	}
	return Validated{}, invalid("%s got no whole record batch", o.Partition)
}

// validateBatch takes one batch of magic 2.
func validateBatch(b record.Batch, o ValidateOptions) (Validated, error) {
	if err := checkHeader(b, o); err != nil {
		return Validated{}, err
	}
	if err := b.CheckCRC(); err != nil {
		return Validated{}, err
	}
	survey, err := b.Survey(limitsOf(o.Config).Bytes)
	if err != nil {
		return Validated{}, err
	}
	if !survey.Dense && b.Codec() == record.None {
		return Validated{}, invalid("offset deltas of a batch for %s do not count up from 0", o.Partition)
	}
	if err := checkRecords(b, survey, o); err != nil {
		return Validated{}, err
	}
	v := Validated{Batch: b, InPlace: true, Count: survey.Count, MaxTimestamp: survey.MaxTimestamp,
		LogAppendTime: record.NoTimestamp, stamp: o.Config.LogAppendTime()}
	target := compressionOf(o.Config, b.Codec())
	switch {
	case b.IsControl():
	case !survey.Dense:
		v.InPlace = false
		v.Batch, err = record.Rebuild(b, target, limitsOf(o.Config), int(o.Config.MaxMessageBytes))
	case target.Codec != b.Codec():
		v.InPlace = false
		v.Batch, err = record.Transcode(b, target, limitsOf(o.Config), int(o.Config.MaxMessageBytes))
	}
	if err != nil {
		return Validated{}, err
	}
	return v.finish(o)
}

// validateLegacy takes a message set of magic 0 or 1, all of whose messages become one batch (KIP-98 conversion).
func validateLegacy(set []byte, o ValidateOptions) (Validated, error) {
	if o.Origin == Client && o.ProduceVersion >= 3 {
		return Validated{}, invalid(
			"Produce requests with version %d are only allowed to contain record batches with magic version 2",
			o.ProduceVersion)
	}
	c := o.Config
	target := compressionOf(c, record.CodecOfSet(set))
	b, survey, err := record.UpConvert(set, target, limitsOf(c), int(c.MaxMessageBytes))
	if err != nil {
		return Validated{}, err
	}
	if err := checkRecords(b, survey, o); err != nil {
		return Validated{}, err
	}
	v := Validated{Batch: b, Count: survey.Count, MaxTimestamp: survey.MaxTimestamp,
		LogAppendTime: record.NoTimestamp, stamp: c.LogAppendTime()}
	return v.finish(o)
}

// finish writes what the walk found into the header and checks the final size.
func (v Validated) finish(o ValidateOptions) (Validated, error) {
	if n := len(v.Batch); n > int(o.Config.SegmentBytes) {
		return Validated{}, kerr.New(kerr.RecordListTooLarge, "Message batch size is %d bytes in append to partition %s, "+
			"which exceeds the maximum configured segment size of %d.", n, o.Partition, o.Config.SegmentBytes)
	}
	if !v.stamp {
		v.Batch.SetMaxTimestamp(record.CreateTime, v.MaxTimestamp)
	}
	return v, nil
}

// AssignOffsets numbers the records from base on and stamps the leader's epoch and, where the topic wants it, the
// time. It runs under the log's lock: header bytes only, and a checksum where the time is stamped.
func (v *Validated) AssignOffsets(base int64, leaderEpoch int32, nowMS int64) {
	if v.Count == 0 {
		return
	}
	v.Batch.SetBaseOffset(base)
	v.Batch.SetLeaderEpoch(leaderEpoch)
	if v.stamp {
		v.Batch.SetMaxTimestamp(record.LogAppendTime, nowMS)
		v.MaxTimestamp, v.LogAppendTime = nowMS, nowMS
	}
}

// invalid refuses what a client made wrong: sending it again cannot help.
func invalid(format string, args ...any) error { return kerr.New(kerr.InvalidRecord, format, args...) }

// checkHeader judges a batch by its header alone.
func checkHeader(b record.Batch, o ValidateOptions) error {
	if o.Origin == Client && b.BaseOffset() != 0 {
		return invalid("The baseOffset of the record batch in the append to %s should be 0, but it is %d", o.Partition,
			b.BaseOffset())
	}
	if !b.IsControl() { // a marker ends its transaction, however little the topic lets clients write
		if err := checkSize(len(b), o); err != nil {
			return err
		}
	}
	codec := b.Codec()
	if !codec.Known() {
		return invalid("a batch for %s has the unknown compression codec %d", o.Partition, codec)
	}
	if o.Origin != Client {
		return nil
	}
	if codec == record.Zstd && o.ProduceVersion < 7 {
		return kerr.New(kerr.UnsupportedCompressionType,
			"Produce requests with version %d are not allowed to use ZStandard compression", o.ProduceVersion)
	}
	count, delta := b.Count(), b.LastOffsetDelta()
	switch {
	case count <= 0 || delta == math.MaxInt32 || count != delta+1:
		return invalid("a batch for %s counts %d records, its last offset delta is %d", o.Partition, count, delta)
	case b.IsControl():
		return invalid("Clients are not allowed to write control records")
	case b.HasProducer() && b.BaseSequence() < 0:
		return invalid("Invalid sequence number %d in record batch with producerId %d", b.BaseSequence(), b.ProducerID())
	}
	return nil
}

func checkSize(n int, o ValidateOptions) error {
	if n > int(o.Config.MaxMessageBytes) {
		return kerr.New(kerr.MessageTooLarge,
			"The record batch size in the append to %s is %d bytes which exceeds the maximum configured value of %d.",
			o.Partition, n, o.Config.MaxMessageBytes)
	}
	return nil
}

// compressionOf is how a topic stores what arrived in codec source.
func compressionOf(c *config.Topic, source record.Codec) record.Compression {
	codec, fixed := record.ParseCodec(c.CompressionType)
	if !fixed {
		codec = source // "producer"
	}
	level := record.DefaultLevel
	switch codec {
	case record.Gzip:
		level = int(c.CompressionGzipLevel)
	case record.LZ4:
		level = int(c.CompressionLZ4Level)
	case record.Zstd:
		level = int(c.CompressionZstdLevel)
	}
	return record.Compression{Codec: codec, Level: level}
}

// bounds are the timestamps a topic of CreateTime takes, both inclusive, ms.
type bounds struct{ from, to int64 }

func boundsAt(nowMS int64, c *config.Topic) bounds {
	to := nowMS + c.MessageTimestampAfterMaxMS
	if to < nowMS {
		to = math.MaxInt64
	}
	return bounds{from: nowMS - c.MessageTimestampBeforeMaxMS, to: to}
}

// has says whether a record may have timestamp ms; none at all (-1) always may.
func (w bounds) has(ms int64) bool { return ms == record.NoTimestamp || ms >= w.from && ms <= w.to }

// checkRecords judges the records by the survey, and looks at them again only to name the guilty ones.
func checkRecords(b record.Batch, s record.Survey, o ValidateOptions) error {
	if b.IsControl() {
		return nil // clients write none, and a broker's clock may be off
	}
	keyless := o.Config.CleanupCompact && s.NullKeys > 0
	stamped := b.TimestampType() == record.LogAppendTime
	if o.Config.LogAppendTime() {
		if stamped {
			return stampedByClient(s.Count)
		}
		if !keyless {
			return nil
		}
	} else {
		if stamped && b.MaxTimestamp() == record.NoTimestamp {
			return stampedByClient(s.Count)
		}
		w := boundsAt(o.NowMS, o.Config)
		late := s.MaxTimestamp > w.to || s.MinTimestamp < w.from
		if !late && !keyless {
			return nil
		}
	}
	return o.blame(b)
}
