// Package storage is the disk door: a partition's log in Kafka's own file format, and the directories that hold
// them.
//
// Manager owns the directories (log.dirs), Log one partition, segment a run of it:
//
//	log dir/                              Manager, logDir
//	  .lock                               fcntl record lock, held for life
//	  meta.properties                     broker and cluster identity (Meta)
//	  .kafka_cleanshutdown                between a clean stop and the next start
//	  .zurau_boot                         the run of the machine that last wrote here
//	  .zurau_lost_tail                    logs that may have lost their tail, with their log ends
//	  recovery-point-offset-checkpoint    first offset not known to be durable, of each log
//	  log-start-offset-checkpoint         where it is above the first segment's base
//	  replication-offset-checkpoint       high watermarks
//	  orders-0/                           Log
//	    00000000000000000000.log          segment: batches one behind the other
//	    00000000000000000000.index        offsetIndex: relative offset int32, position int32
//	    00000000000000000000.timeindex    timeIndex: timestamp int64, relative offset int32
//	    00000000000000000000.txnindex     txnIndex: version int16, producer id, first, last, last stable offset int64
//	    00000000000000000042.snapshot     producerState as of offset 42
//	    leader-epoch-checkpoint           epochCache
//	    partition.metadata                topic id
//	  orders-1.<32 hex digits>-delete/    a log that waits to be deleted
//
// A checkpoint is text: a line "0" (version), a line with the number of entries, and an entry a line, "topic
// partition offset" or "epoch offset". It is replaced as a whole: temporary file, sync, rename, sync of the
// directory.
//
// Producer snapshot: version int16 = 1, CRC-32C of all that follows, count int32, and count times
//
//	producerId int64, epoch int16, lastSequence int32, lastOffset int64, offsetDelta int32,
//	timestamp int64, coordinatorEpoch int32, currentTxnFirstOffset int64
//
// All integers are big-endian. What Java writes we read and the other way round; after a clean stop either may
// go on.
//
// Durability goes in one order (I14): data is synced, then the recovery point is written that says so; the clean
// marker is the last thing of a stop and the first thing a start removes.
//
// Locks: Manager.mu (the map only), Log.flushing, Log.mu, then the small ones inside segments and indexes.
// Readers of a log take none: see published and segment.acquire.
package storage
