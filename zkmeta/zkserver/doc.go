// Package zkserver is a ZooKeeper server on one node, for development and tests: what bin/zookeeper-server-start runs,
// and what the tests of this house keep their clusters in. It speaks the client protocol of ZooKeeper 3.8 and writes
// ZooKeeper's own files, so that a Java server can take over its data directory, and it that of a Java server.
//
// # How a request travels
//
//	client ──► reader ──┐                                    ┌──► writer ──► client
//	client ──► reader ──┼─► loop ──► batch ──► committer ────┼──► writer ──► client
//	client ──► reader ──┘   owns the tree,     log, fsync    └──► writer ──► client
//	                        sessions, watches
//
// A connection (conn.go) has a goroutine that reads and decodes and one that writes. In between all work is done by
// one goroutine, the loop (loop.go): it decides a write against the tree (prepare.go), applies it (tree.go), adds it
// to the log entries of the current batch, and adds events and reply to the frames of the batch. The committer
// (commit.go) syncs a batch once and then releases its frames. Everything leaves through the committer in the order in
// which the loop made it, from which follow the promises:
//
//   - Replies of a connection come in the order of its requests.
//   - Who is told of a write, by a reply, a watch or a read, can rely on it: it is on the disk.
//   - A client gets the event of its watch before any reply that shows the new state.
//   - While the disk works the loop goes on; what it does then shares the next sync.
//
// # Files
//
// They lie in Dir/version-2; zxids in names are hexadecimal. Numbers are big-endian, strings and buffers have a length
// of four bytes before them (jute.go).
//
//	log.ZXID        transactions from ZXID on                               (txnlog.go)
//	  magic "ZKLG" │ version 2 │ database id, 8 bytes
//	  then for each transaction
//	  Adler-32 of body, 8 bytes │ length of body, 4 bytes │ body │ 'B'
//	  body = session 8 │ xid 4 │ zxid 8 │ time in ms 8 │ type 4 │ record of that type (txn.go)
//
//	snapshot.ZXID   everything behind transaction ZXID                      (snapshot.go)
//	  magic "ZKSN" │ version 2 │ database id, 8 bytes
//	  count │ { session 8 │ timeout in ms 4 } ...
//	  count │ { number 8 │ ACL } ...
//	  { path │ data │ number of the ACL 8, -1 the open one │ stat 68 } ..., parents first, the root as ""
//	  "/" │ Adler-32 of all that, 8 bytes │ "/"
//
// A start reads the newest whole snapshot and the log behind it. What a crash left of the last entries is cut off;
// nobody was told of them. Behind every snapshot a new log file begins.
//
// # Where it differs from a Java server, on purpose
//
//   - An unknown request is refused with UNIMPLEMENTED, and the connection lives. A request whose body cannot be read
//     is refused with MARSHALLINGERROR, and the connection ends.
//   - A check outside of a multi is answered.
//   - A wrong password does not cut off the connection that holds the session.
//   - Time in which the server itself stood still does not count against sessions (session.go).
//   - A refused write takes no zxid and no place in the log.
//   - Containers and TTL nodes need no switch. All harmless four letter words are allowed unless the file forbids them,
//     and old snapshots go unless it says autopurge.purgeInterval=0.
//   - There is no ensemble, no reconfig, no TLS, no SASL, no admin page. Quotas are counted and not enforced.
package zkserver
