package main

import (
	"fmt"

	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/topic"
)

// fetchedReplica is what a replica gave of a partition.
type fetchedReplica struct {
	broker        int32
	highWatermark int64 // -1 when it gave nothing
	batches       []byte
}

// compareReplicaData goes through the batches of all replicas side by side, from offset next up to the lowest high
// watermark, and gives the offset from which to go on, and what differs. Batches at different offsets cannot be compared
// any further.
func compareReplicaData(p topic.Partition, next int64, replicas []fetchedReplica) (
	verified int64, complaints []string, comparable bool) {
	rest := make([][]byte, len(replicas))
	for i, r := range replicas {
		rest[i] = r.batches
	}
	for len(replicas) > 0 {
		var first record.Batch
		for i, r := range replicas {
			batch, behind, err := record.Next(rest[i])
			if err != nil {
				return next, append(complaints, fmt.Sprintf("partition %s: replica %d's batch at offset %d: %v",
					p, r.broker, next, err)), true
			}
			if batch == nil || batch.LastOffset() >= r.highWatermark {
				return next, complaints, true
			}
			rest[i] = behind
			switch {
			case i == 0:
				first = batch
			case first.LastOffset() != batch.LastOffset():
				return next, append(complaints, fmt.Sprintf("partition %s: replica %d's offset %d doesn't match replica %d's "+
					"offset %d", p, replicas[0].broker, first.LastOffset(), r.broker, batch.LastOffset())), false
			case first.CRC() != batch.CRC():
				complaints = append(complaints, fmt.Sprintf("partition %s has unmatched checksum at offset %d; replica %d's "+
					"checksum %d; replica %d's checksum %d", p, batch.LastOffset(), replicas[0].broker, first.CRC(), r.broker,
					batch.CRC()))
			}
		}
		next = first.NextOffset()
	}
	return next, complaints, true
}

func highestWatermark(replicas []fetchedReplica) int64 {
	highest := int64(-1)
	for _, r := range replicas {
		highest = max(highest, r.highWatermark)
	}
	return highest
}
