// Package zkmeta is the only door to ZooKeeper: every znode typed, every watch re-armed, every controller write fenced.
//
// # Lives
//
// A [Client] owns one [Session] at a time. A Session is one zk.Conn and one life: when the server expires the session,
// its context ends, the connection is closed and a new Session is made from scratch. Every call is made on a Session
// value, so nothing that was asked in one life is done in the next: the dialer of an ended life refuses to connect.
//
//	Connect -> Session 1 --expired--> (nil) -> Session 2 ... -> Close
//	             |  lease: proven by answers that passed the ensemble's leader
//	             |  calls: sent in the order they were made, up to MaxInFlight unanswered
//	             |  watches: hints, re-armed before they are given
//
// A lost connection is not a lost session: calls wait for the next server, watches are given once more. What tells a
// broker that it may have been declared dead is the lease, see [Session.LeaseValid].
//
// # Outcomes
//
// Every call has a deadline and one of three outcomes: done (nil), refused (ErrNoNode, ErrNodeExists, ErrBadVersion,
// ErrControllerMoved ...: certainly not applied) and unknown (ErrUnknown: it may have been applied, or may still be).
// The typed calls settle an unknown outcome themselves, by reading again what they wanted to write, for as long as the
// session and the caller's context live; what is still ErrUnknown then must be read again by the caller.
//
// # What go-zookeeper leaves to its user
//
//   - A silent server holds its handshake up for many session timeouts: dialer.go clamps it.
//   - Names are resolved once, reconnecting pauses a second each time: dialer.go, hosts.
//   - After an expiry it makes a new session by itself, and sends what was queued into it: the dialer refuses.
//   - It drops session events when nobody reads them: only the callback is used, which never blocks (onEvent).
//   - It does not know its own session to be dead: lease.go.
//   - It hides the password and the granted timeout: dialer.go reads both off the wire.
//   - Calls have no context and no deadline: call.go. Their order is kept by the turnstile there.
//   - Errors mix refusals with unknown outcomes, those of a multi mislead: errors.go, raw.go.
//   - Requests that are too large cut the connection of everybody: call.go refuses them, raw.go counts.
//   - Watches may be lost on reconnection: watch.go tells again, and compares on a timer.
//   - Close does not tell whether the session was closed: session.go, farewell.
//   - It crashes on frames shorter than a header: dialer.go refuses those. Of answers that are malformed inside it may
//     still crash: ZooKeeper is trusted.
//   - It has no chroot, no TLS, no SASL: the first two are here.
//
// # Znodes
//
// Paths are relative to the chroot of zookeeper.connect. JSON is written byte for byte as Apache Kafka 2.8 to 3.9
// writes it at the configured inter.broker.protocol.version (Kafka prints maps in the order of their hash tables; the
// encoders here keep that order). Everything back to Kafka 0.8 is read.
//
//	/brokers/ids/N           {"features":{},"listener_security_protocol_map":{..},"endpoints":[..],"rack":"..",
//	                          "jmx_port":-1,"port":9092,"host":"h","version":5,"timestamp":"ms"}
//	/brokers/topics/T        {"partitions":{"0":[1,2]},"topic_id":"..","adding_replicas":{},"removing_replicas":{},"version":3}
//	.../partitions/P/state   {"controller_epoch":1,"leader":1,"version":1,"leader_epoch":0,"isr":[1,2]}
//	/controller              {"version":2,"brokerid":1,"timestamp":"ms","kraftControllerEpoch":-1}
//	/controller_epoch        7
//	/cluster/id              {"version":"1","id":".."}
//	/config/TYPE/NAME        {"version":1,"config":{"key":"value"}}
//	/config/changes/config_change_N          {"version":2,"entity_path":"topics/T"}
//	/latest_producer_id_block                {"version":1,"broker":2,"block_start":"0","block_end":"999"}
//	/feature                 {"features":{},"version":2,"status":1}
//	/isr_change_notification/isr_change_N    {"version":1,"partitions":[{"topic":"T","partition":0}]}
//	/log_dir_event_notification/log_dir_event_N   {"version":1,"broker":2,"event":1}
//	/admin/reassign_partitions               {"version":1,"partitions":[{"topic":"T","partition":0,"replicas":[1,2]}]}
//	/admin/preferred_replica_election        {"version":1,"partitions":[{"topic":"T","partition":0}]}
//	/admin/delete_topics/T   null
//
// A znode that does not parse is logged with its path and left out; it stops nobody.
package zkmeta
