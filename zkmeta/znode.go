package zkmeta

import (
	"strconv"

	"github.com/zurau/zurau/broker/topic"
)

// The paths of all znodes, relative to the chroot.
const (
	ControllerPath        = "/controller"
	ControllerEpochPath   = "/controller_epoch"
	BrokerIDsPath         = "/brokers/ids"
	BrokerSeqIDPath       = "/brokers/seqid"
	TopicsPath            = "/brokers/topics"
	ClusterIDPath         = "/cluster/id"
	DeleteTopicsPath      = "/admin/delete_topics"
	ReassignPath          = "/admin/reassign_partitions"
	PreferredElectionPath = "/admin/preferred_replica_election"
	ConfigPath            = "/config"
	ConfigChangesPath     = "/config/changes"
	IsrChangePath         = "/isr_change_notification"
	LogDirEventPath       = "/log_dir_event_notification"
	ProducerIDBlockPath   = "/latest_producer_id_block"
	FeaturePath           = "/feature"
	MigrationPath         = "/migration"
	ConsumersPath         = "/consumers"
)

// BrokerIDPath is the registration of one broker.
func BrokerIDPath(id int32) string { return BrokerIDsPath + "/" + strconv.Itoa(int(id)) }

// TopicPath is the replica assignment of a topic.
func TopicPath(name string) string { return TopicsPath + "/" + name }

// PartitionsPath is the parent of a topic's partitions.
func PartitionsPath(name string) string { return TopicPath(name) + "/partitions" }

// PartitionPath is the parent of a partition's state.
func PartitionPath(p topic.Partition) string {
	return PartitionsPath(p.Topic) + "/" + strconv.Itoa(int(p.ID))
}

// StatePath is the state of a partition: leader, ISR and epochs.
func StatePath(p topic.Partition) string { return PartitionPath(p) + "/state" }

// DeleteTopicPath is the mark of a topic that is to be deleted.
func DeleteTopicPath(name string) string { return DeleteTopicsPath + "/" + name }

// brokerPaths are made by every broker at its start, in this order (Kafka: ZkData.PersistentZkPaths).
var brokerPaths = []string{ConsumersPath, BrokerIDsPath, TopicsPath, ConfigChangesPath, DeleteTopicsPath, BrokerSeqIDPath,
	IsrChangePath, ProducerIDBlockPath, LogDirEventPath, "/config/topics", "/config/clients", "/config/users",
	"/config/brokers", "/config/ips"}
