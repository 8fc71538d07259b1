// Package zklog gives tests the writes into ZooKeeper in their order: ours from the transaction log of a server (ours or
// Java's), Apache Kafka's from captures of the same (golden/zkops), both in one form that can be compared field by field.
package zklog
