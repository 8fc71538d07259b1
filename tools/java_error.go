package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/zurau/zurau/broker/kerr"
)

// Errors under the names the Java tools print them by: scripts and people look for the exception class and its message.
// What ours leave out is the stack.

// javaError is an error with the class a Java tool would show.
type javaError struct {
	class   string
	message string
	cause   error
}

func (e *javaError) Error() string { return e.message }
func (e *javaError) Unwrap() error { return e.cause }

func illegalArgument(format string, args ...any) error {
	return &javaError{class: "java.lang.IllegalArgumentException", message: fmt.Sprintf(format, args...)}
}

// executionError wraps err as a Java future's get does.
func executionError(err error) error {
	return &javaError{class: "java.util.concurrent.ExecutionException", message: throwable(err), cause: err}
}

const kafkaErrors = "org.apache.kafka.common.errors."

// errorClasses are the exception classes that do not follow from the name of the error in Kafka's table.
var errorClasses = map[int16]string{
	-1: kafkaErrors + "UnknownServerException",
	2:  kafkaErrors + "CorruptRecordException",
	7:  kafkaErrors + "TimeoutException",
	10: kafkaErrors + "RecordTooLargeException",
	11: kafkaErrors + "ControllerMovedException",
	13: kafkaErrors + "NetworkException",
	17: kafkaErrors + "InvalidTopicException",
	18: kafkaErrors + "RecordBatchTooLargeException",
	29: kafkaErrors + "TopicAuthorizationException",
	30: kafkaErrors + "GroupAuthorizationException",
	31: kafkaErrors + "ClusterAuthorizationException",
	36: kafkaErrors + "TopicExistsException",
	40: kafkaErrors + "InvalidConfigurationException",
	45: kafkaErrors + "OutOfOrderSequenceException",
	46: kafkaErrors + "DuplicateSequenceException",
	53: kafkaErrors + "TransactionalIdAuthorizationException",
	56: kafkaErrors + "KafkaStorageException",
	58: kafkaErrors + "SaslAuthenticationException",
	87: "org.apache.kafka.common.InvalidRecordException",
}

// errorClass is the Java class of a Kafka error.
func errorClass(e *kerr.Error) string {
	if class, ok := errorClasses[e.Code]; ok {
		return class
	}
	var b strings.Builder
	for word := range strings.SplitSeq(e.Name, "_") {
		b.WriteString(word[:1] + strings.ToLower(word[1:]))
	}
	return kafkaErrors + b.String() + "Exception"
}

// brokerError is the error of a code in a response, with the broker's message or the table's; nil for code 0.
func brokerError(code int16, message *string) error {
	e := kerr.ForCode(code)
	if e == nil {
		return nil
	}
	text := e.Text
	if message != nil {
		text = *message
	}
	return &javaError{class: errorClass(e), message: text, cause: e}
}

// isKafkaError reports whether err comes from this row of Kafka's error table.
func isKafkaError(err error, want *kerr.Error) bool { return errors.Is(err, want) }

// throwable is err as Java's Throwable.toString gives it: class, colon, message.
func throwable(err error) string {
	var j *javaError
	if !errors.As(err, &j) {
		return "java.lang.RuntimeException: " + err.Error()
	}
	return j.class + ": " + j.message
}

// stackTrace is what printStackTrace writes, without the stack: err and its causes, a line each.
func stackTrace(err error) string {
	text := throwable(err) + "\n"
	for {
		var j *javaError
		if !errors.As(err, &j) || j.cause == nil {
			return text
		}
		if _, ok := j.cause.(*kerr.Error); ok { // the table row behind a broker's error, not a cause
			return text
		}
		err = j.cause
		text += "Caused by: " + throwable(err) + "\n"
	}
}

// logLine writes a line in the pattern of the tools' log4j.properties.
func logLine(w io.Writer, level, logger, message string) {
	fmt.Fprintf(w, "[%s] %s %s (%s)\n", log4jTime(time.Now()), level, message, logger)
}

// uncaught ends a tool as a Java main that throws: status 1.
func uncaught(stderr io.Writer, err error) int {
	io.WriteString(stderr, `Exception in thread "main" `+stackTrace(err))
	return 1
}

// usage ends a tool with the message and option table of a usageError, any other error as uncaught; 0 for nil.
func exitStatus(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	var u *usageError
	if errors.As(err, &u) {
		fmt.Fprintln(stderr, u.message)
		u.parser.printUsage(stderr)
		return 1
	}
	return uncaught(stderr, err)
}
