package storage

import (
	"fmt"
	"strings"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/record"
)

// RecordError is what is wrong with one record of a refused batch; Index counts the batch's records from 0.
type RecordError struct {
	Index   int32
	Message string
}

// RecordErrors refuses a batch because of single records (KIP-467). Produce v8 and later sends them to the client
// as record_errors, and Error() as error_message.
type RecordErrors struct {
	Err     error // wraps kerr.InvalidRecord or kerr.InvalidTimestamp and has the message
	Records []RecordError
}

// Error is the error_message of the answer.
func (e *RecordErrors) Error() string { return e.Err.Error() }

// Unwrap leads to the Kafka error.
func (e *RecordErrors) Unwrap() error { return e.Err }

// shownRecordErrors is how many record errors the message for the whole batch repeats.
const shownRecordErrors = 3

// summary prints the first records errors as Java prints its list of them (ProduceResponse.RecordError).
func summary(records []RecordError) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, r := range records[:min(len(records), shownRecordErrors)] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "RecordError(batchIndex=%d, message='%s')", r.Index, r.Message)
	}
	b.WriteByte(']')
	return b.String()
}

var errBadTimestamp = kerr.New(kerr.InvalidTimestamp,
	"One or more records have been rejected due to invalid timestamp")

// listedRecordErrors is how many records a refusal names; the message counts all of them.
const listedRecordErrors = 1000

// blame walks the records once more and lists those that break a rule.
func (o ValidateOptions) blame(b record.Batch) error {
	var listed []RecordError
	total, badTime := 0, false
	w := boundsAt(o.NowMS, o.Config)
	noKey := "Compacted topic cannot accept message without key in topic partition " + o.Partition.String()
	it := b.Records(limitsOf(o.Config))
	defer it.Close()
	for i := int32(0); it.Next(); i++ {
		r := it.Record()
		message := ""
		switch {
		case o.Config.CleanupCompact && r.Key == nil:
			message = noKey
		case !o.Config.LogAppendTime() && !w.has(r.Stamp):
			badTime = true
			message = fmt.Sprintf("Timestamp %d of message with offset %d is out of range. The timestamp should be "+
				"within [%d, %d]", r.Stamp, i, w.from, o.NowMS+o.Config.MessageTimestampAfterMaxMS)
		default:
			continue
		}
		if total++; total <= listedRecordErrors {
			listed = append(listed, RecordError{i, message})
		}
	}
	if it.Err() != nil {
		return it.Err()
	}
	if badTime {
		return &RecordErrors{errBadTimestamp, listed}
	}
	return &RecordErrors{invalid("One or more records have been rejected due to %d record errors in total, and only "+
		"showing the first three errors at most: %s", total, summary(listed)), listed}
}

// stampedByClient refuses a batch of count records that claims the stamp only the broker gives.
func stampedByClient(count int32) error {
	const message = "Invalid timestamp type in message. Producer should not set timestamp type to LogAppendTime."
	listed := make([]RecordError, min(count, listedRecordErrors))
	for i := range listed {
		listed[i] = RecordError{int32(i), message}
	}
	return &RecordErrors{errBadTimestamp, listed}
}
