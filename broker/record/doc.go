// Package record is Kafka's records as bytes: it views, builds, checks, compresses and converts them.
//
// It knows no log, no lock and no network. Bytes stay where they are: a Batch is a view, an Iterator over an
// uncompressed batch allocates nothing, and a compressed batch is decoded through one pooled window.
//
// A record batch, magic 2 (Java: DefaultRecordBatch, KIP-98), all integers big-endian:
//
//	 0 baseOffset int64        | outside the CRC: a leader
//	 8 batchLength int32       | assigns offsets and its
//	12 leaderEpoch int32       | epoch without a second
//	16 magic int8 = 2          | look at the records
//	17 crc uint32              CRC-32C of everything behind it
//	21 attributes int16        0-2 codec, 3 LogAppendTime, 4 transactional, 5 control, 6 delete horizon
//	23 lastOffsetDelta int32
//	27 baseTimestamp int64     or the delete horizon
//	35 maxTimestamp int64
//	43 producerID int64        -1 none
//	51 producerEpoch int16     -1 none
//	53 baseSequence int32      -1 none
//	57 count int32
//	61 records                 one compressed stream when the codec is not none
//
// A record (every number below is a zigzag varint but the attributes byte):
//
//	length, attributes int8, timestampDelta, offsetDelta, keyLength (-1 null), key,
//	valueLength (-1 null), value, headerCount, {keyLength, key, valueLength (-1 null), value}...
//
// A message, magic 0 and 1 (Java: LegacyRecord). A message set is messages one after the other:
//
//	 0 offset int64            of the last inner message when compressed
//	 8 size int32
//	12 crc uint32              CRC-32 (IEEE) of everything behind it
//	16 magic int8              0 or 1
//	17 attributes int8         0-2 codec, 3 LogAppendTime (magic 1)
//	18 timestamp int64         magic 1 only
//	.. keyLength int32 (-1 null), key, valueLength int32 (-1 null), value
//
// The value of a compressed message is a compressed message set: inner offsets absolute in magic 0, relative to the
// first in magic 1.
//
// Errors: broken framing (sizes, magic, CRC) is kerr.CorruptMessage; whole frames with wrong contents are
// kerr.InvalidRecord; a stream that unpacks beyond its bound is kerr.MessageTooLarge.
package record
