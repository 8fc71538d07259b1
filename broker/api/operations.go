package api

import "math"

// The operations somebody may do on a resource, as a bit field with the bits of AclOperation (KIP-430). Without an
// authorizer everybody may do everything that the kind of resource knows.
const (
	notAsked          = math.MinInt32 // the client did not ask for the field
	readOperation     = 1 << 3
	writeOperation    = 1 << 4
	createOperation   = 1 << 5
	deleteOperation   = 1 << 6
	alterOperation    = 1 << 7
	describeOperation = 1 << 8
	clusterAction     = 1 << 9
	describeConfigs   = 1 << 10
	alterConfigs      = 1 << 11
	idempotentWrite   = 1 << 12

	topicOperations = readOperation | writeOperation | createOperation | deleteOperation | alterOperation |
		describeOperation | describeConfigs | alterConfigs
	clusterOperations = createOperation | alterOperation | describeOperation | clusterAction | describeConfigs |
		alterConfigs | idempotentWrite
)

// operationsIf gives the operations if they were asked for.
func operationsIf(asked bool, all int32) int32 {
	if asked {
		return all
	}
	return notAsked
}
