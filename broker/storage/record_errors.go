package storage

import (
	"fmt"
	"strings"
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
