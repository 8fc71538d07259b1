package main

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/record"
	"github.com/zurau/zurau/broker/topic"
)

// recordDecoder turns key and value of a record into text; nil is printed as nothing.
type recordDecoder func(r *record.Record) (key, value *string)

// fieldDecoder turns the bytes of a key or a value into text.
type fieldDecoder func([]byte) string

// fieldDecoderOf knows the decoders that Kafka brings along.
func fieldDecoderOf(class string) (fieldDecoder, error) {
	switch class {
	case stringDecoder:
		return javaString, nil
	case "kafka.serializer.DefaultDecoder": // Java prints an array's identity, which tells nobody anything
		return func(b []byte) string { return hex.EncodeToString(b) }, nil
	case "kafka.serializer.IntegerDecoder":
		return numberDecoder(4, func(b []byte) int64 { return int64(int32(binary.BigEndian.Uint32(b))) }), nil
	case "kafka.serializer.LongDecoder":
		return numberDecoder(8, func(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) }), nil
	}
	return nil, &javaError{class: "java.lang.ClassNotFoundException", message: class}
}

func numberDecoder(size int, read func([]byte) int64) fieldDecoder {
	return func(b []byte) string {
		if len(b) != size {
			return fmt.Sprintf("<%d bytes>", len(b))
		}
		return strconv.FormatInt(read(b), 10)
	}
}

// javaString reads UTF-8 as Java does: what is none becomes U+FFFD.
func javaString(b []byte) string { return string([]rune(string(b))) }

func decodeFields(key, value fieldDecoder) recordDecoder {
	return func(r *record.Record) (k, v *string) {
		if r.Key != nil {
			k = kmsg.StringPtr(key(r.Key))
		}
		if r.Value != nil {
			v = kmsg.StringPtr(value(r.Value))
		}
		return k, v
	}
}

// undecodable is printed for a record that is not what its topic promises; Java's tool would end there.
func undecodable(what string, b []byte) *string {
	return kmsg.StringPtr(fmt.Sprintf("<%s of %d bytes, not understood>", what, len(b)))
}

const deleted = "<DELETE>"

// The newest versions of the coordinators' records in ZooKeeper mode. Later ones have tagged fields, of which kmsg would
// count four thousand million in a record that is rubbish.
const (
	offsetKeyVersion   = 1 // and 0
	groupKeyVersion    = 2
	groupsValueVersion = 3 // of commits and groups
	transactionVersion = 0 // of key and value
)

// readCoordinatorRecord reads the key or value b into v; a version above newest is an error.
func readCoordinatorRecord(v interface{ ReadFrom([]byte) error }, b []byte, newest int) error {
	if version := recordVersion(b); version < 0 || version > newest {
		return kerr.New(kerr.InvalidRecord, "version %d is not one of ZooKeeper mode", version)
	}
	return v.ReadFrom(b)
}

// recordVersion is what a coordinator's key or value begins with, -1 for one too short to have it.
func recordVersion(b []byte) int {
	if len(b) < 2 {
		return -1
	}
	return int(binary.BigEndian.Uint16(b))
}

// decodeOffsetRecord reads a record of __consumer_offsets (log-format.md 18.1).
func decodeOffsetRecord(r *record.Record) (key, value *string) {
	switch version := recordVersion(r.Key); {
	case version < 0:
		return undecodable("key", r.Key), nil
	case version <= offsetKeyVersion:
		var k kmsg.OffsetCommitKey
		if k.ReadFrom(r.Key) != nil {
			return undecodable("key", r.Key), nil
		}
		partition := topic.Partition{Topic: k.Topic, ID: k.Partition}
		key = kmsg.StringPtr(fmt.Sprintf("offset_commit::group=%s,partition=%s", k.Group, partition))
		return key, offsetCommitText(r.Value)
	case version == groupKeyVersion:
		var k kmsg.GroupMetadataKey
		if k.ReadFrom(r.Key) != nil {
			return undecodable("key", r.Key), nil
		}
		return kmsg.StringPtr("group_metadata::group=" + k.Group), groupMetadataText(r.Value)
	default:
		return undecodable("key", r.Key), nil
	}
}

func offsetCommitText(b []byte) *string {
	if b == nil {
		return kmsg.StringPtr(deleted)
	}
	var v kmsg.OffsetCommitValue
	if readCoordinatorRecord(&v, b, groupsValueVersion) != nil {
		return undecodable("value", b)
	}
	text := fmt.Sprintf("offset=%d", v.Offset)
	if v.Metadata != "" {
		text += ",metadata=" + v.Metadata
	}
	return &text
}

func groupMetadataText(b []byte) *string {
	if b == nil {
		return kmsg.StringPtr(deleted)
	}
	var v kmsg.GroupMetadataValue
	if readCoordinatorRecord(&v, b, groupsValueVersion) != nil {
		return undecodable("value", b)
	}
	var members []string
	for _, m := range v.Members {
		members = append(members, m.MemberID+"="+assignmentText(v.ProtocolType, m.Assignment))
	}
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	err := e.Encode(struct {
		ProtocolType string  `json:"protocolType"`
		Protocol     *string `json:"protocol"`
		GenerationID int32   `json:"generationId"`
		Assignment   string  `json:"assignment"`
	}{v.ProtocolType, v.Protocol, v.Generation, "{" + strings.Join(members, ",") + "}"})
	if err != nil {
		return undecodable("value", b)
	}
	return kmsg.StringPtr(strings.TrimSpace(text.String()))
}

// assignmentText prints what a member was given: partitions for consumers, else hexadecimal.
func assignmentText(protocolType string, b []byte) string {
	var a kmsg.ConsumerMemberAssignment
	if protocolType != "consumer" || a.ReadFrom(b) != nil {
		return strings.ToUpper(hex.EncodeToString(b))
	}
	var partitions []string
	for _, t := range a.Topics {
		for _, p := range t.Partitions {
			partitions = append(partitions, topic.Partition{Topic: t.Topic, ID: p}.String())
		}
	}
	text := "[" + strings.Join(partitions, ", ") + "]"
	if len(a.UserData) > 0 {
		text += ":" + strings.ToUpper(hex.EncodeToString(a.UserData))
	}
	return text
}

// decodeTransactionRecord reads a record of __transaction_state (log-format.md 18.2).
func decodeTransactionRecord(r *record.Record) (key, value *string) {
	var k kmsg.TxnMetadataKey
	if readCoordinatorRecord(&k, r.Key, transactionVersion) != nil {
		return undecodable("key", r.Key), nil
	}
	key = kmsg.StringPtr("transaction_metadata::transactionalId=" + k.TransactionalID)
	if r.Value == nil {
		return key, kmsg.StringPtr(deleted)
	}
	var v kmsg.TxnMetadataValue
	if readCoordinatorRecord(&v, r.Value, transactionVersion) != nil {
		return key, undecodable("value", r.Value)
	}
	var partitions []string
	for _, t := range v.Topics {
		for _, p := range t.Partitions {
			partitions = append(partitions, topic.Partition{Topic: t.Topic, ID: p}.String())
		}
	}
	sort.Strings(partitions)
	text := fmt.Sprintf("producerId:%d,producerEpoch:%d,state=%s,partitions=[%s],txnLastUpdateTimestamp=%d,txnTimeoutMs=%d",
		v.ProducerID, v.ProducerEpoch, v.State, strings.Join(partitions, ","), v.LastUpdateTimestamp, v.TimeoutMillis)
	return key, &text
}
