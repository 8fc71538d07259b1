// Package controller decides who leads: it is the one broker of the cluster that watches ZooKeeper, elects
// leaders, creates and deletes partitions, and tells every broker (itself included) what became of it (Kafka:
// KafkaController).
//
// One goroutine, Controller.run, owns everything; the package has no locks beside the mailbox. Watches of
// ZooKeeper, answers of brokers and calls of package api only post events. The loss of the ZooKeeper session
// jumps the queue.
//
// What the controller knows while it is in office is a term (term.go). A term ends for good at the first
// write that ZooKeeper refuses because of the controller epoch, or whose outcome stays unknown: it then
// writes and sends nothing more, is thrown away whole, and the broker stands for election again. So no
// half-true state outlives a failure, and nothing asked in one session is done in the next.
//
// Reading order: controller.go (the loop), failover.go (how a term begins), state.go (what it knows),
// election.go (pure: who should lead), partition_state.go and replica_state.go (the two state machines),
// batch.go and sender.go (what goes to the brokers). The rest is one file an occasion: brokers.go, topic.go,
// deletion.go, alter_partition.go, preferred.go, rebalance.go ..., and three for the longest one: reassign_placement.go
// (pure: where replicas are and go), reassign.go (its phases), reassign_request.go (who asks for it).
//
// A partition is New (assignment known, no state znode), Online (it had a leader when we last looked),
// Offline (its leader is gone) or NonExistent. The legal moves are
//
//	NonExistent -> New -> Online <-> Offline -> NonExistent, and New -> Offline
//
// and for a replica, with D for the steps of a topic's deletion,
//
//	NonExistent -> New -> Online <-> Offline -> DStarted -> DSuccessful -> NonExistent
//	                                 Offline, DStarted -> DIneligible -> Offline, Online
//
// Requests leave in batches, one for each step of an event: first every LeaderAndIsr, then every
// UpdateMetadata, then every StopReplica, so a broker knows its new leader before its clients do.
package controller
