package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/consumer"
)

// The formatters that read the records of coordinators print them as the classes of Kafka 2.8 print themselves. A record
// that the formatter is not for, of a group in a formatter of offsets, is passed over.

// coordinatorFormatters are named after their classes, without what encloses them (Kafka: GroupMetadataManager and
// TransactionLog).
var coordinatorFormatters = map[string]formatter{
	"kafka.coordinator.group.GroupMetadataManager$OffsetsMessageFormatter":       coordinatorFormatter(committedOffsetText),
	"kafka.coordinator.group.GroupMetadataManager$GroupMetadataMessageFormatter": coordinatorFormatter(groupText),
	"kafka.coordinator.transaction.TransactionLog$TransactionLogMessageFormatter": coordinatorFormatter(
		transactionText),
}

// coordinatorFormatter gives what stands before and after the two colons of a line; key is "" for records it is not for.
type coordinatorFormatter func(r *consumer.Record) (key, value string, err error)

func (f coordinatorFormatter) write(w io.Writer, r *consumer.Record) error {
	if r.Key == nil {
		return nil
	}
	key, value, err := f(r)
	if err != nil || key == "" {
		return err
	}
	_, err = fmt.Fprintf(w, "%s::%s\n", key, value)
	return err
}

// unreadable is what a record that does not parse ends the consumer with.
func unreadable(what string, r *consumer.Record) error {
	return &javaError{class: "java.lang.IllegalStateException",
		message: fmt.Sprintf("The %s of %s at offset %d is not understood", what, r.Partition, r.Offset)}
}

func committedOffsetText(r *consumer.Record) (key, value string, err error) {
	if version := recordVersion(r.Key); version < 0 || version > offsetKeyVersion {
		return "", "", nil
	}
	var k kmsg.OffsetCommitKey
	if k.ReadFrom(r.Key) != nil {
		return "", "", unreadable("key", r)
	}
	key = fmt.Sprintf("[%s,%s,%d]", k.Group, k.Topic, k.Partition)
	if r.Value == nil {
		return key, "NULL", nil
	}
	v := kmsg.NewOffsetCommitValue()
	if readCoordinatorRecord(&v, r.Value, groupsValueVersion) != nil {
		return "", "", unreadable("value", r)
	}
	epoch, expires := "Optional.empty", "None"
	if v.Version >= 3 && v.LeaderEpoch >= 0 {
		epoch = fmt.Sprintf("Optional[%d]", v.LeaderEpoch)
	}
	if v.Version == 1 && v.ExpireTimestamp >= 0 {
		expires = fmt.Sprintf("Some(%d)", v.ExpireTimestamp)
	}
	return key, fmt.Sprintf("OffsetAndMetadata(offset=%d, leaderEpoch=%s, metadata=%s, commitTimestamp=%d, "+
		"expireTimestamp=%s)", v.Offset, epoch, v.Metadata, v.CommitTimestamp, expires), nil
}

func groupText(r *consumer.Record) (key, value string, err error) {
	if recordVersion(r.Key) != groupKeyVersion {
		return "", "", nil
	}
	var k kmsg.GroupMetadataKey
	if k.ReadFrom(r.Key) != nil {
		return "", "", unreadable("key", r)
	}
	if r.Value == nil {
		return k.Group, "NULL", nil
	}
	v := kmsg.NewGroupMetadataValue()
	if readCoordinatorRecord(&v, r.Value, groupsValueVersion) != nil {
		return "", "", unreadable("value", r)
	}
	state, protocolType, protocol := "Stable", "None", ""
	if len(v.Members) == 0 {
		state = "Empty"
	}
	if v.ProtocolType != "" {
		protocolType = "Some(" + v.ProtocolType + ")"
	}
	if v.Protocol != nil {
		protocol = *v.Protocol
	}
	members := make([]string, len(v.Members))
	for i, m := range v.Members {
		instance, rebalance := "None", m.RebalanceTimeoutMillis
		if v.Version >= 3 && m.InstanceID != nil {
			instance = "Some(" + *m.InstanceID + ")"
		}
		if v.Version == 0 {
			rebalance = m.SessionTimeoutMillis
		}
		members[i] = fmt.Sprintf("%s -> MemberMetadata(memberId=%[1]s, groupInstanceId=%s, clientId=%s, clientHost=%s, "+
			"sessionTimeoutMs=%d, rebalanceTimeoutMs=%d, supportedProtocols=List(%s), )", m.MemberID, instance,
			m.ClientID, m.ClientHost, m.SessionTimeoutMillis, rebalance, protocol)
	}
	return k.Group, fmt.Sprintf("GroupMetadata(groupId=%s, generation=%d, protocolType=%s, currentState=%s, "+
		"members=HashMap(%s))", k.Group, v.Generation, protocolType, state, strings.Join(members, ", ")), nil
}

func transactionText(r *consumer.Record) (key, value string, err error) {
	var k kmsg.TxnMetadataKey
	if readCoordinatorRecord(&k, r.Key, transactionVersion) != nil {
		return "", "", unreadable("key", r)
	}
	if r.Value == nil {
		return k.TransactionalID, "NULL", nil
	}
	var v kmsg.TxnMetadataValue
	if readCoordinatorRecord(&v, r.Value, transactionVersion) != nil {
		return "", "", unreadable("value", r)
	}
	var partitions []string
	for _, t := range v.Topics {
		for _, id := range t.Partitions {
			partitions = append(partitions, topic.Partition{Topic: t.Topic, ID: id}.String())
		}
	}
	slices.Sort(partitions)
	return k.TransactionalID, fmt.Sprintf("TransactionMetadata(transactionalId=%s, producerId=%d, producerEpoch=%d, "+
		"txnTimeoutMs=%d, state=%s, pendingState=None, topicPartitions=HashSet(%s), txnStartTimestamp=%d, "+
		"txnLastUpdateTimestamp=%d)", k.TransactionalID, v.ProducerID, v.ProducerEpoch, v.TimeoutMillis, v.State,
		strings.Join(partitions, ", "), v.StartTimestamp, v.LastUpdateTimestamp), nil
}
