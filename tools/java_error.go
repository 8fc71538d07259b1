package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/producer"
)

// Errors under the names the Java tools print them by: scripts and people look for the exception class and its message.
// What ours leave out is the stack.

// javaError is an error with the class a Java tool would show.
type javaError struct {
	class   string
	message string
	bare    bool // has no message: printed as the class alone
	cause   error

	suppressed []error
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

// asJava gives err a Java class: its own, that of the Kafka error in it, or RuntimeException.
func asJava(err error) *javaError {
	var j *javaError
	var row *kerr.Error
	var badProperty *producer.ConfigError
	switch {
	case errors.As(err, &j):
		return j
	case errors.As(err, &badProperty):
		return &javaError{class: configException, message: badProperty.Error()}
	case errors.As(err, &row):
		return &javaError{class: errorClass(row), message: kerr.MessageOf(err)}
	}
	return &javaError{class: "java.lang.RuntimeException", message: err.Error()}
}

const configException = "org.apache.kafka.common.config.ConfigException"

// throwable is err as Java's Throwable.toString gives it: class, colon, message.
func throwable(err error) string {
	j := asJava(err)
	if j.message == "" && j.bare {
		return j.class
	}
	return j.class + ": " + j.message
}

// stackTrace is what printStackTrace writes, without the stack: err, what it suppressed and its causes, a line each.
func stackTrace(err error) string {
	text := throwable(err) + "\n"
	for _, s := range asJava(err).suppressed {
		text += "\tSuppressed: " + throwable(s) + "\n"
	}
	for j := asJava(err); j.cause != nil; {
		if _, ok := j.cause.(*kerr.Error); ok { // the table row behind a broker's error, not a cause
			break
		}
		j = asJava(j.cause)
		text += "Caused by: " + throwable(j) + "\n"
	}
	return text
}

// logLine writes a line in the pattern of the tools' log4j.properties.
func logLine(w io.Writer, level, logger, message string) {
	fmt.Fprintf(w, "[%s] %s %s (%s)\n", log4jTime(time.Now()), level, message, logger)
}

// signalStatus is the exit status of a tool that a signal ended: 128 and the signal's number.
func signalStatus(ctx context.Context) int {
	if cause := context.Cause(ctx); cause != nil && strings.HasPrefix(cause.Error(), syscall.SIGTERM.String()) {
		return 128 + int(syscall.SIGTERM)
	}
	return 128 + int(syscall.SIGINT)
}

// uncaught ends a tool as a Java main that throws: status 1.
func uncaught(stderr io.Writer, err error) int {
	io.WriteString(stderr, `Exception in thread "main" `+stackTrace(err))
	return 1
}

// exitStatus ends a tool with the message and option table of a usageError, any other error as uncaught; 0 for nil.
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
