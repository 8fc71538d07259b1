package wire

import "bytes"

const keyStopReplica = 5

// kmsg 1.15 has one field of one request in the wrong place: in StopReplica v4 it reads and writes
// is_kraft_controller behind controller_epoch, where Kafka has it in front. Both stand behind the four bytes of
// the controller id.
//
//	Kafka  controller id int32, is kraft bool, controller epoch int32, ...
//	kmsg   controller id int32, controller epoch int32, is kraft bool, ...
//
// It is the only one: the layouts of kmsg 1.15 were held against the message definitions of Kafka 3.9, 303
// versions of requests and 241 of responses. testdata/frames has a StopReplica v4 of a real controller, which
// will show when a newer kmsg puts it right.

// misplaced tells whether a body is the one kmsg has in its own order.
func misplaced(key, version int16, body []byte) bool {
	return key == keyStopReplica && version == 4 && len(body) >= 9
}

// toKmsg returns a body in kmsg's order, leaving the given one as it is.
func toKmsg(key, version int16, body []byte) []byte {
	if !misplaced(key, version, body) {
		return body
	}
	b := bytes.Clone(body)
	copy(b[4:8], body[5:9])
	b[8] = body[4]
	return b
}

// toKafka puts a body that kmsg wrote into Kafka's order, in place.
func toKafka(key, version int16, body []byte) {
	if misplaced(key, version, body) {
		kraft := body[8]
		copy(body[5:9], body[4:8])
		body[4] = kraft
	}
}
