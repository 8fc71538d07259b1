// Package metadata holds the picture of the cluster that this broker was last told: which brokers live and
// where they listen, which topics exist, and who leads their partitions. The controller tells it by
// UpdateMetadata; nobody else writes here.
//
// A Snapshot never changes. The Cache swaps in a new one for each UpdateMetadata and copies only what that request
// touches: topics lie in 64 shards, so a change in a cluster of 10,000 topics copies some 160 map entries.
// A request reads the pointer once and has one consistent picture from then on, without any lock.
package metadata
