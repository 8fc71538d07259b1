package ibp

// The versions a broker of each level sends to its peers without asking them (inter.broker.protocol.version is the
// agreement). A receiver must know every version of its own release and below.

// LeaderAndIsrVersion is the version of LeaderAndIsr a controller sends.
func (l Level) LeaderAndIsrVersion() int16 {
	switch {
	case l >= V3_4_IV0:
		return 7
	case l >= V3_2_IV0:
		return 6
	}
	return 5
}

// UpdateMetadataVersion is the version of UpdateMetadata a controller sends.
func (l Level) UpdateMetadataVersion() int16 {
	if l >= V3_4_IV0 {
		return 8
	}
	return 7
}

// StopReplicaVersion is the version of StopReplica a controller sends.
func (l Level) StopReplicaVersion() int16 {
	if l >= V3_4_IV0 {
		return 4
	}
	return 3
}

// ControlledShutdownVersion is the version of ControlledShutdown a stopping broker sends.
func (l Level) ControlledShutdownVersion() int16 { return 3 }

// FetchVersion is the version of Fetch a follower sends.
func (l Level) FetchVersion() int16 {
	switch {
	case l >= V3_9_IV0:
		return 17
	case l >= V3_7_IV4:
		return 16
	case l >= V3_5_IV1:
		return 15
	case l >= V3_5_IV0:
		return 14
	case l >= V3_1_IV0:
		return 13
	}
	return 12
}

// ListOffsetsVersion is the version of ListOffsets a follower sends.
func (l Level) ListOffsetsVersion() int16 {
	switch {
	case l >= V3_9_IV0:
		return 9
	case l >= V3_5_IV0:
		return 8
	case l >= V3_0_IV1:
		return 7
	}
	return 6
}

// OffsetForLeaderEpochVersion is the version of OffsetForLeaderEpoch a follower sends.
func (l Level) OffsetForLeaderEpochVersion() int16 { return 4 }

// WriteTxnMarkersVersion is the version of WriteTxnMarkers a transaction coordinator sends.
func (l Level) WriteTxnMarkersVersion() int16 { return 1 }

// ControllerAllocatesProducerIDs tells whether blocks of producer ids come from the controller by AllocateProducerIds
// (KIP-730) or are taken from /latest_producer_id_block by each broker.
func (l Level) ControllerAllocatesProducerIDs() bool { return l >= V3_0_IV0 }

// LeaderRecoveryState tells whether the partition state znode and AlterPartition know a recovering leader (KIP-704).
func (l Level) LeaderRecoveryState() bool { return l >= V3_2_IV0 }

// ControllerZnodeVersion is the version written into /controller; 2 has kraftControllerEpoch.
func (l Level) ControllerZnodeVersion() int {
	if l >= V3_4_IV0 {
		return 2
	}
	return 1
}

// FeatureZnodeVersion is the version written into /feature; 2 has no min_version_level.
func (l Level) FeatureZnodeVersion() int {
	if l >= V3_3_IV0 {
		return 2
	}
	return 1
}

// HighWatermarkNeedsMinISR tells whether the high watermark waits while the ISR is below min.insync.replicas
// (KAFKA-15583, 3.7).
func (l Level) HighWatermarkNeedsMinISR() bool { return l >= V3_7_IV0 }
