package kerr

// The table is Kafka's org.apache.kafka.common.protocol.Errors as of 3.9: code, name, whether Java's client retries
// it, and the text a broker sends when it has nothing more specific to say. Every other list of errors derives from it.
var (
	UnknownServerError                 = &Error{-1, "UNKNOWN_SERVER_ERROR", false, "The server experienced an unexpected error when processing the request."}
	OffsetOutOfRange                   = &Error{1, "OFFSET_OUT_OF_RANGE", false, "The requested offset is not within the range of offsets maintained by the server."}
	CorruptMessage                     = &Error{2, "CORRUPT_MESSAGE", true, "This message has failed its CRC checksum, exceeds the valid size, has a null key for a compacted topic, or is otherwise corrupt."}
	UnknownTopicOrPartition            = &Error{3, "UNKNOWN_TOPIC_OR_PARTITION", true, "This server does not host this topic-partition."}
	InvalidFetchSize                   = &Error{4, "INVALID_FETCH_SIZE", false, "The requested fetch size is invalid."}
	LeaderNotAvailable                 = &Error{5, "LEADER_NOT_AVAILABLE", true, "There is no leader for this topic-partition as we are in the middle of a leadership election."}
	NotLeaderOrFollower                = &Error{6, "NOT_LEADER_OR_FOLLOWER", true, "For requests intended only for the leader, this error indicates that the broker is not the current leader. For requests intended for any replica, this error indicates that the broker is not a replica of the topic partition."}
	RequestTimedOut                    = &Error{7, "REQUEST_TIMED_OUT", true, "The request timed out."}
	BrokerNotAvailable                 = &Error{8, "BROKER_NOT_AVAILABLE", true, "The broker is not available."}
	ReplicaNotAvailable                = &Error{9, "REPLICA_NOT_AVAILABLE", true, "The replica is not available for the requested topic-partition. Produce/Fetch requests and other requests intended only for the leader or follower return NOT_LEADER_OR_FOLLOWER if the broker is not a replica of the topic-partition."}
	MessageTooLarge                    = &Error{10, "MESSAGE_TOO_LARGE", false, "The request included a message larger than the max message size the server will accept."}
	StaleControllerEpoch               = &Error{11, "STALE_CONTROLLER_EPOCH", false, "The controller moved to another broker."}
	OffsetMetadataTooLarge             = &Error{12, "OFFSET_METADATA_TOO_LARGE", false, "The metadata field of the offset request was too large."}
	NetworkException                   = &Error{13, "NETWORK_EXCEPTION", true, "The server disconnected before a response was received."}
	CoordinatorLoadInProgress          = &Error{14, "COORDINATOR_LOAD_IN_PROGRESS", true, "The coordinator is loading and hence can't process requests."}
	CoordinatorNotAvailable            = &Error{15, "COORDINATOR_NOT_AVAILABLE", true, "The coordinator is not available."}
	NotCoordinator                     = &Error{16, "NOT_COORDINATOR", true, "This is not the correct coordinator."}
	InvalidTopicException              = &Error{17, "INVALID_TOPIC_EXCEPTION", false, "The request attempted to perform an operation on an invalid topic."}
	RecordListTooLarge                 = &Error{18, "RECORD_LIST_TOO_LARGE", false, "The request included message batch larger than the configured segment size on the server."}
	NotEnoughReplicas                  = &Error{19, "NOT_ENOUGH_REPLICAS", true, "Messages are rejected since there are fewer in-sync replicas than required."}
	NotEnoughReplicasAfterAppend       = &Error{20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", true, "Messages are written to the log, but to fewer in-sync replicas than required."}
	InvalidRequiredAcks                = &Error{21, "INVALID_REQUIRED_ACKS", false, "Produce request specified an invalid value for required acks."}
	IllegalGeneration                  = &Error{22, "ILLEGAL_GENERATION", false, "Specified group generation id is not valid."}
	InconsistentGroupProtocol          = &Error{23, "INCONSISTENT_GROUP_PROTOCOL", false, "The group member's supported protocols are incompatible with those of existing members or first group member tried to join with empty protocol type or empty protocol list."}
	InvalidGroupID                     = &Error{24, "INVALID_GROUP_ID", false, "The configured groupId is invalid."}
	UnknownMemberID                    = &Error{25, "UNKNOWN_MEMBER_ID", false, "The coordinator is not aware of this member."}
	InvalidSessionTimeout              = &Error{26, "INVALID_SESSION_TIMEOUT", false, "The session timeout is not within the range allowed by the broker (as configured by group.min.session.timeout.ms and group.max.session.timeout.ms)."}
	RebalanceInProgress                = &Error{27, "REBALANCE_IN_PROGRESS", false, "The group is rebalancing, so a rejoin is needed."}
	InvalidCommitOffsetSize            = &Error{28, "INVALID_COMMIT_OFFSET_SIZE", false, "The committing offset data size is not valid."}
	TopicAuthorizationFailed           = &Error{29, "TOPIC_AUTHORIZATION_FAILED", false, "Topic authorization failed."}
	GroupAuthorizationFailed           = &Error{30, "GROUP_AUTHORIZATION_FAILED", false, "Group authorization failed."}
	ClusterAuthorizationFailed         = &Error{31, "CLUSTER_AUTHORIZATION_FAILED", false, "Cluster authorization failed."}
	InvalidTimestamp                   = &Error{32, "INVALID_TIMESTAMP", false, "The timestamp of the message is out of acceptable range."}
	UnsupportedSASLMechanism           = &Error{33, "UNSUPPORTED_SASL_MECHANISM", false, "The broker does not support the requested SASL mechanism."}
	IllegalSASLState                   = &Error{34, "ILLEGAL_SASL_STATE", false, "Request is not valid given the current SASL state."}
	UnsupportedVersion                 = &Error{35, "UNSUPPORTED_VERSION", false, "The version of API is not supported."}
	TopicAlreadyExists                 = &Error{36, "TOPIC_ALREADY_EXISTS", false, "Topic with this name already exists."}
	InvalidPartitions                  = &Error{37, "INVALID_PARTITIONS", false, "Number of partitions is below 1."}
	InvalidReplicationFactor           = &Error{38, "INVALID_REPLICATION_FACTOR", false, "Replication factor is below 1 or larger than the number of available brokers."}
	InvalidReplicaAssignment           = &Error{39, "INVALID_REPLICA_ASSIGNMENT", false, "Replica assignment is invalid."}
	InvalidConfig                      = &Error{40, "INVALID_CONFIG", false, "Configuration is invalid."}
	NotController                      = &Error{41, "NOT_CONTROLLER", true, "This is not the correct controller for this cluster."}
	InvalidRequest                     = &Error{42, "INVALID_REQUEST", false, "This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details."}
	UnsupportedForMessageFormat        = &Error{43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", false, "The message format version on the broker does not support the request."}
	PolicyViolation                    = &Error{44, "POLICY_VIOLATION", false, "Request parameters do not satisfy the configured policy."}
	OutOfOrderSequenceNumber           = &Error{45, "OUT_OF_ORDER_SEQUENCE_NUMBER", false, "The broker received an out of order sequence number."}
	DuplicateSequenceNumber            = &Error{46, "DUPLICATE_SEQUENCE_NUMBER", false, "The broker received a duplicate sequence number."}
	InvalidProducerEpoch               = &Error{47, "INVALID_PRODUCER_EPOCH", false, "Producer attempted to produce with an old epoch."}
	InvalidTxnState                    = &Error{48, "INVALID_TXN_STATE", false, "The producer attempted a transactional operation in an invalid state."}
	InvalidProducerIDMapping           = &Error{49, "INVALID_PRODUCER_ID_MAPPING", false, "The producer attempted to use a producer id which is not currently assigned to its transactional id."}
	InvalidTransactionTimeout          = &Error{50, "INVALID_TRANSACTION_TIMEOUT", false, "The transaction timeout is larger than the maximum value allowed by the broker (as configured by transaction.max.timeout.ms)."}
	ConcurrentTransactions             = &Error{51, "CONCURRENT_TRANSACTIONS", false, "The producer attempted to update a transaction while another concurrent operation on the same transaction was ongoing."}
	TransactionCoordinatorFenced       = &Error{52, "TRANSACTION_COORDINATOR_FENCED", false, "Indicates that the transaction coordinator sending a WriteTxnMarker is no longer the current coordinator for a given producer."}
	TransactionalIDAuthorizationFailed = &Error{53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", false, "Transactional Id authorization failed."}
	SecurityDisabled                   = &Error{54, "SECURITY_DISABLED", false, "Security features are disabled."}
	OperationNotAttempted              = &Error{55, "OPERATION_NOT_ATTEMPTED", false, "The broker did not attempt to execute this operation. This may happen for batched RPCs where some operations in the batch failed, causing the broker to respond without trying the rest."}
	KafkaStorageError                  = &Error{56, "KAFKA_STORAGE_ERROR", true, "Disk error when trying to access log file on the disk."}
	LogDirNotFound                     = &Error{57, "LOG_DIR_NOT_FOUND", false, "The user-specified log directory is not found in the broker config."}
	SaslAuthenticationFailed           = &Error{58, "SASL_AUTHENTICATION_FAILED", false, "SASL Authentication failed."}
	UnknownProducerID                  = &Error{59, "UNKNOWN_PRODUCER_ID", false, "This exception is raised by the broker if it could not locate the producer metadata associated with the producerId in question. This could happen if, for instance, the producer's records were deleted because their retention time had elapsed. Once the last records of the producerId are removed, the producer's metadata is removed from the broker, and future appends by the producer will return this exception."}
	ReassignmentInProgress             = &Error{60, "REASSIGNMENT_IN_PROGRESS", false, "A partition reassignment is in progress."}
	DelegationTokenAuthDisabled        = &Error{61, "DELEGATION_TOKEN_AUTH_DISABLED", false, "Delegation Token feature is not enabled."}
	DelegationTokenNotFound            = &Error{62, "DELEGATION_TOKEN_NOT_FOUND", false, "Delegation Token is not found on server."}
	DelegationTokenOwnerMismatch       = &Error{63, "DELEGATION_TOKEN_OWNER_MISMATCH", false, "Specified Principal is not valid Owner/Renewer."}
	DelegationTokenRequestNotAllowed   = &Error{64, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", false, "Delegation Token requests are not allowed on PLAINTEXT/1-way SSL channels and on delegation token authenticated channels."}
	DelegationTokenAuthorizationFailed = &Error{65, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", false, "Delegation Token authorization failed."}
	DelegationTokenExpired             = &Error{66, "DELEGATION_TOKEN_EXPIRED", false, "Delegation Token is expired."}
	InvalidPrincipalType               = &Error{67, "INVALID_PRINCIPAL_TYPE", false, "Supplied principalType is not supported."}
	NonEmptyGroup                      = &Error{68, "NON_EMPTY_GROUP", false, "The group is not empty."}
	GroupIDNotFound                    = &Error{69, "GROUP_ID_NOT_FOUND", false, "The group id does not exist."}
	FetchSessionIDNotFound             = &Error{70, "FETCH_SESSION_ID_NOT_FOUND", true, "The fetch session ID was not found."}
	InvalidFetchSessionEpoch           = &Error{71, "INVALID_FETCH_SESSION_EPOCH", true, "The fetch session epoch is invalid."}
	ListenerNotFound                   = &Error{72, "LISTENER_NOT_FOUND", true, "There is no listener on the leader broker that matches the listener on which metadata request was processed."}
	TopicDeletionDisabled              = &Error{73, "TOPIC_DELETION_DISABLED", false, "Topic deletion is disabled."}
	FencedLeaderEpoch                  = &Error{74, "FENCED_LEADER_EPOCH", true, "The leader epoch in the request is older than the epoch on the broker."}
	UnknownLeaderEpoch                 = &Error{75, "UNKNOWN_LEADER_EPOCH", true, "The leader epoch in the request is newer than the epoch on the broker."}
	UnsupportedCompressionType         = &Error{76, "UNSUPPORTED_COMPRESSION_TYPE", false, "The requesting client does not support the compression type of given partition."}
	StaleBrokerEpoch                   = &Error{77, "STALE_BROKER_EPOCH", false, "Broker epoch has changed."}
	OffsetNotAvailable                 = &Error{78, "OFFSET_NOT_AVAILABLE", true, "The leader high watermark has not caught up from a recent leader election so the offsets cannot be guaranteed to be monotonically increasing."}
	MemberIDRequired                   = &Error{79, "MEMBER_ID_REQUIRED", false, "The group member needs to have a valid member id before actually entering a consumer group."}
	PreferredLeaderNotAvailable        = &Error{80, "PREFERRED_LEADER_NOT_AVAILABLE", true, "The preferred leader was not available."}
	GroupMaxSizeReached                = &Error{81, "GROUP_MAX_SIZE_REACHED", false, "The consumer group has reached its max size."}
	FencedInstanceID                   = &Error{82, "FENCED_INSTANCE_ID", false, "The broker rejected this static consumer since another consumer with the same group.instance.id has registered with a different member.id."}
	EligibleLeadersNotAvailable        = &Error{83, "ELIGIBLE_LEADERS_NOT_AVAILABLE", true, "Eligible topic partition leaders are not available."}
	ElectionNotNeeded                  = &Error{84, "ELECTION_NOT_NEEDED", true, "Leader election not needed for topic partition."}
	NoReassignmentInProgress           = &Error{85, "NO_REASSIGNMENT_IN_PROGRESS", false, "No partition reassignment is in progress."}
	GroupSubscribedToTopic             = &Error{86, "GROUP_SUBSCRIBED_TO_TOPIC", false, "Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it."}
	InvalidRecord                      = &Error{87, "INVALID_RECORD", false, "This record has failed the validation on broker and hence will be rejected."}
	UnstableOffsetCommit               = &Error{88, "UNSTABLE_OFFSET_COMMIT", true, "There are unstable offsets that need to be cleared."}
	ThrottlingQuotaExceeded            = &Error{89, "THROTTLING_QUOTA_EXCEEDED", true, "The throttling quota has been exceeded."}
	ProducerFenced                     = &Error{90, "PRODUCER_FENCED", false, "There is a newer producer with the same transactionalId which fences the current one."}
	ResourceNotFound                   = &Error{91, "RESOURCE_NOT_FOUND", false, "A request illegally referred to a resource that does not exist."}
	DuplicateResource                  = &Error{92, "DUPLICATE_RESOURCE", false, "A request illegally referred to the same resource twice."}
	UnacceptableCredential             = &Error{93, "UNACCEPTABLE_CREDENTIAL", false, "Requested credential would not meet criteria for acceptability."}
	InconsistentVoterSet               = &Error{94, "INCONSISTENT_VOTER_SET", false, "Indicates that the either the sender or recipient of a voter-only request is not one of the expected voters."}
	InvalidUpdateVersion               = &Error{95, "INVALID_UPDATE_VERSION", false, "The given update version was invalid."}
	FeatureUpdateFailed                = &Error{96, "FEATURE_UPDATE_FAILED", false, "Unable to update finalized features due to an unexpected server error."}
	PrincipalDeserializationFailure    = &Error{97, "PRINCIPAL_DESERIALIZATION_FAILURE", false, "Request principal deserialization failed during forwarding. This indicates an internal error on the broker cluster security setup."}
	SnapshotNotFound                   = &Error{98, "SNAPSHOT_NOT_FOUND", false, "Requested snapshot was not found."}
	PositionOutOfRange                 = &Error{99, "POSITION_OUT_OF_RANGE", false, "Requested position is not greater than or equal to zero, and less than the size of the snapshot."}
	UnknownTopicID                     = &Error{100, "UNKNOWN_TOPIC_ID", true, "This server does not host this topic ID."}
	DuplicateBrokerRegistration        = &Error{101, "DUPLICATE_BROKER_REGISTRATION", false, "This broker ID is already in use."}
	BrokerIDNotRegistered              = &Error{102, "BROKER_ID_NOT_REGISTERED", false, "The given broker ID was not registered."}
	InconsistentTopicID                = &Error{103, "INCONSISTENT_TOPIC_ID", true, "The log's topic ID did not match the topic ID in the request."}
	InconsistentClusterID              = &Error{104, "INCONSISTENT_CLUSTER_ID", false, "The clusterId in the request does not match that found on the server."}
	TransactionalIDNotFound            = &Error{105, "TRANSACTIONAL_ID_NOT_FOUND", false, "The transactionalId could not be found."}
	FetchSessionTopicIDError           = &Error{106, "FETCH_SESSION_TOPIC_ID_ERROR", true, "The fetch session encountered inconsistent topic ID usage."}
	IneligibleReplica                  = &Error{107, "INELIGIBLE_REPLICA", false, "The new ISR contains at least one ineligible replica."}
	NewLeaderElected                   = &Error{108, "NEW_LEADER_ELECTED", false, "The AlterPartition request successfully updated the partition state but the leader has changed."}
	OffsetMovedToTieredStorage         = &Error{109, "OFFSET_MOVED_TO_TIERED_STORAGE", false, "The requested offset is moved to tiered storage."}
	FencedMemberEpoch                  = &Error{110, "FENCED_MEMBER_EPOCH", false, "The member epoch is fenced by the group coordinator. The member must abandon all its partitions and rejoin."}
	UnreleasedInstanceID               = &Error{111, "UNRELEASED_INSTANCE_ID", false, "The instance ID is still used by another member in the consumer group. That member must leave first."}
	UnsupportedAssignor                = &Error{112, "UNSUPPORTED_ASSIGNOR", false, "The assignor or its version range is not supported by the consumer group."}
	StaleMemberEpoch                   = &Error{113, "STALE_MEMBER_EPOCH", false, "The member epoch is stale. The member must retry after receiving its updated member epoch via the ConsumerGroupHeartbeat API."}
	MismatchedEndpointType             = &Error{114, "MISMATCHED_ENDPOINT_TYPE", false, "The request was sent to an endpoint of the wrong type."}
	UnsupportedEndpointType            = &Error{115, "UNSUPPORTED_ENDPOINT_TYPE", false, "This endpoint type is not supported yet."}
	UnknownControllerID                = &Error{116, "UNKNOWN_CONTROLLER_ID", false, "This controller ID is not known."}
	UnknownSubscriptionID              = &Error{117, "UNKNOWN_SUBSCRIPTION_ID", false, "Client sent a push telemetry request with an invalid or outdated subscription ID."}
	TelemetryTooLarge                  = &Error{118, "TELEMETRY_TOO_LARGE", false, "Client sent a push telemetry request larger than the maximum size the broker will accept."}
	InvalidRegistration                = &Error{119, "INVALID_REGISTRATION", false, "The controller has considered the broker registration to be invalid."}
	TransactionAbortable               = &Error{120, "TRANSACTION_ABORTABLE", false, "The server encountered an error with the transaction. The client can abort the transaction to continue using this transactional ID."}
)

var table = []*Error{
	UnknownServerError,
	OffsetOutOfRange,
	CorruptMessage,
	UnknownTopicOrPartition,
	InvalidFetchSize,
	LeaderNotAvailable,
	NotLeaderOrFollower,
	RequestTimedOut,
	BrokerNotAvailable,
	ReplicaNotAvailable,
	MessageTooLarge,
	StaleControllerEpoch,
	OffsetMetadataTooLarge,
	NetworkException,
	CoordinatorLoadInProgress,
	CoordinatorNotAvailable,
	NotCoordinator,
	InvalidTopicException,
	RecordListTooLarge,
	NotEnoughReplicas,
	NotEnoughReplicasAfterAppend,
	InvalidRequiredAcks,
	IllegalGeneration,
	InconsistentGroupProtocol,
	InvalidGroupID,
	UnknownMemberID,
	InvalidSessionTimeout,
	RebalanceInProgress,
	InvalidCommitOffsetSize,
	TopicAuthorizationFailed,
	GroupAuthorizationFailed,
	ClusterAuthorizationFailed,
	InvalidTimestamp,
	UnsupportedSASLMechanism,
	IllegalSASLState,
	UnsupportedVersion,
	TopicAlreadyExists,
	InvalidPartitions,
	InvalidReplicationFactor,
	InvalidReplicaAssignment,
	InvalidConfig,
	NotController,
	InvalidRequest,
	UnsupportedForMessageFormat,
	PolicyViolation,
	OutOfOrderSequenceNumber,
	DuplicateSequenceNumber,
	InvalidProducerEpoch,
	InvalidTxnState,
	InvalidProducerIDMapping,
	InvalidTransactionTimeout,
	ConcurrentTransactions,
	TransactionCoordinatorFenced,
	TransactionalIDAuthorizationFailed,
	SecurityDisabled,
	OperationNotAttempted,
	KafkaStorageError,
	LogDirNotFound,
	SaslAuthenticationFailed,
	UnknownProducerID,
	ReassignmentInProgress,
	DelegationTokenAuthDisabled,
	DelegationTokenNotFound,
	DelegationTokenOwnerMismatch,
	DelegationTokenRequestNotAllowed,
	DelegationTokenAuthorizationFailed,
	DelegationTokenExpired,
	InvalidPrincipalType,
	NonEmptyGroup,
	GroupIDNotFound,
	FetchSessionIDNotFound,
	InvalidFetchSessionEpoch,
	ListenerNotFound,
	TopicDeletionDisabled,
	FencedLeaderEpoch,
	UnknownLeaderEpoch,
	UnsupportedCompressionType,
	StaleBrokerEpoch,
	OffsetNotAvailable,
	MemberIDRequired,
	PreferredLeaderNotAvailable,
	GroupMaxSizeReached,
	FencedInstanceID,
	EligibleLeadersNotAvailable,
	ElectionNotNeeded,
	NoReassignmentInProgress,
	GroupSubscribedToTopic,
	InvalidRecord,
	UnstableOffsetCommit,
	ThrottlingQuotaExceeded,
	ProducerFenced,
	ResourceNotFound,
	DuplicateResource,
	UnacceptableCredential,
	InconsistentVoterSet,
	InvalidUpdateVersion,
	FeatureUpdateFailed,
	PrincipalDeserializationFailure,
	SnapshotNotFound,
	PositionOutOfRange,
	UnknownTopicID,
	DuplicateBrokerRegistration,
	BrokerIDNotRegistered,
	InconsistentTopicID,
	InconsistentClusterID,
	TransactionalIDNotFound,
	FetchSessionTopicIDError,
	IneligibleReplica,
	NewLeaderElected,
	OffsetMovedToTieredStorage,
	FencedMemberEpoch,
	UnreleasedInstanceID,
	UnsupportedAssignor,
	StaleMemberEpoch,
	MismatchedEndpointType,
	UnsupportedEndpointType,
	UnknownControllerID,
	UnknownSubscriptionID,
	TelemetryTooLarge,
	InvalidRegistration,
	TransactionAbortable,
}
