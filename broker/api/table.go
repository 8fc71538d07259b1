package api

import "github.com/twmb/franz-go/pkg/kmsg"

// api is one line of the table of APIs: what ApiVersions advertises is what is served, because both are this.
type api struct {
	key, min, max int16
	early         bool // served before the broker is ready: what the controller needs, and ApiVersions
	serve         serveFunc
}

const apiVersionsKey = 18

// apis is every request this broker answers, in the order of its keys.
var apis = []api{
	{0, 0, 11, false, (*Handler).produce},
	{1, 0, 17, false, decoded((*Handler).fetch)},
	{2, 0, 9, false, decoded((*Handler).listOffsets)},
	{3, 0, 12, false, decoded((*Handler).metadata)},
	{4, 0, 7, true, decoded((*Handler).leaderAndIsr)},
	{5, 0, 4, true, decoded((*Handler).stopReplica)},
	{6, 0, 8, true, decoded((*Handler).updateMetadata)},
	{7, 0, 3, true, decoded((*Handler).controlledShutdown)},
	{10, 0, 6, false, decoded((*Handler).findCoordinator)},
	{18, 0, 4, true, (*Handler).apiVersions},
	{19, 0, 7, false, decoded((*Handler).createTopics)},
	{20, 0, 6, false, decoded((*Handler).deleteTopics)},
	{21, 0, 2, false, decoded((*Handler).deleteRecords)},
	{22, 0, 5, false, decoded((*Handler).initProducerID)},
	{23, 0, 4, false, decoded((*Handler).offsetForLeaderEpoch)},
	{27, 0, 1, false, decoded((*Handler).writeTxnMarkers)},
	{32, 0, 4, false, decoded((*Handler).describeConfigs)},
	{33, 0, 2, false, decoded((*Handler).alterConfigs)},
	{35, 0, 4, false, decoded((*Handler).describeLogDirs)},
	{37, 0, 3, false, decoded((*Handler).createPartitions)},
	{43, 0, 2, false, decoded((*Handler).electLeaders)},
	{44, 0, 1, false, decoded((*Handler).incrementalAlterConfigs)},
	{45, 0, 0, false, decoded((*Handler).alterPartitionReassignments)},
	{46, 0, 0, false, decoded((*Handler).listPartitionReassignments)},
	{48, 0, 1, false, decoded((*Handler).describeClientQuotas)},
	{49, 0, 1, false, decoded((*Handler).alterClientQuotas)},
	{50, 0, 0, false, decoded((*Handler).describeUserScramCredentials)},
	{51, 0, 0, false, decoded((*Handler).alterUserScramCredentials)},
	{56, 0, 3, true, decoded((*Handler).alterPartition)},
	{60, 0, 1, false, decoded((*Handler).describeCluster)},
	{67, 0, 0, true, decoded((*Handler).allocateProducerIDs)},
}

// byKey is apis by key, nil where there is none; advertised is apis as ApiVersions tells them. Both are made in init
// because the handler of ApiVersions is itself in the table.
var (
	byKey      [128]*api
	advertised []kmsg.ApiVersionsResponseApiKey
)

func init() {
	for i := range apis {
		a := &apis[i]
		byKey[a.key] = a
		advertised = append(advertised, kmsg.ApiVersionsResponseApiKey{ApiKey: a.key, MinVersion: a.min, MaxVersion: a.max})
	}
}

// lookup finds an API by its key, nil when there is none.
func lookup(key int16) *api {
	if key < 0 || int(key) >= len(byKey) {
		return nil
	}
	return byKey[key]
}
