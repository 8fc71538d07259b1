// Package replica holds the partitions this broker hosts: whether it leads or follows each of them, how far each copy
// is, and who waits for what.
//
// A partition's standing is one immutable value, its role (partition.go), behind an atomic pointer. LeaderAndIsr swaps
// it (leader_and_isr.go), requests only load it. What moves between two roles is the log (package storage) and, on a
// leader, the progress of each follower (progress.go); hw.go decides from them where the high watermark stands, isr.go
// who is in sync.
//
// Two kinds of loops end with the Manager: one asks the controller for changes of ISRs (isr_keeper.go); and for each
// leader followed there are num.replica.fetchers that fetch (fetcher.go, follower_session.go) and do to the log what
// follower.go allows.
//
// Lock order: Manager.turn -> Partition.mu -> (package storage) Log.mu. A request takes neither of the first two.
// Nobody waits with a lock held: a fetch waits in wait.go, a produce with acks=all leaves an entry in the partition's
// row of delayed produces (delayed_produce.go) and goes.
package replica
