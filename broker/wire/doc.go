// Package wire is the network door of the broker: it turns bytes on a socket into requests and replies back
// into bytes, and it knows nothing of what they mean.
//
// A connection is one goroutine (conn.go). It reads a frame (frame.go), the request header (header.go), calls
// the Handler on its own stack and writes the Reply it gets. A stack trace of a slow request therefore shows
// the whole story, from the socket down to the disk.
//
//	frame     = size int32, size bytes
//	request   = key int16, version int16, correlation id int32, [client id], [tags], body
//	response  = size int32, correlation id int32, [tags], body
//
// Kafka answers the requests of one connection in order and has at most one of them in work. We keep the order
// and allow one thing more: a produce that waits for its replicas parks its reply in an ordered queue of the
// connection (queue.go) and the next produce is read meanwhile. Any other request waits until that queue is empty.
//
// Bodies are decoded by kmsg, which trusts the counts it reads; guard.go walks each body first and refuses the
// ones whose counts promise more than their bytes can hold.
package wire
