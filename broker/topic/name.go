package topic

import (
	"strings"

	"github.com/zurau/zurau/broker/kerr"
)

// MaxNameLength leaves room, in a directory name of 255 bytes, for the partition number.
const MaxNameLength = 249

// Internal topics: clients may read them and may not write to them.
const (
	ConsumerOffsets  = "__consumer_offsets"
	TransactionState = "__transaction_state"
)

// ValidateName checks a topic's name by the rules, and with the words, of Kafka's org.apache.kafka.common.internals.Topic.
// The error carries INVALID_TOPIC_EXCEPTION.
func ValidateName(name string) error {
	switch {
	case name == "":
		return kerr.New(kerr.InvalidTopicException, "Topic name is invalid: the empty string is not allowed")
	case name == "." || name == "..":
		return kerr.New(kerr.InvalidTopicException, "Topic name is invalid: '%s' is not allowed", name)
	case len(name) > MaxNameLength:
		return kerr.New(kerr.InvalidTopicException,
			"Topic name is invalid: the length of '%s' is longer than the max allowed length %d", name, MaxNameLength)
	case strings.ContainsFunc(name, illegal):
		return kerr.New(kerr.InvalidTopicException,
			"Topic name is invalid: '%s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'", name)
	}
	return nil
}

func illegal(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-')
}

// CollisionKey is equal for names whose metrics would have one name: '.' and '_' are the same there.
func CollisionKey(name string) string { return strings.ReplaceAll(name, ".", "_") }

// Collides tells whether two different names have the same metric name.
func Collides(a, b string) bool { return a != b && CollisionKey(a) == CollisionKey(b) }

// IsInternal tells whether a topic belongs to the brokers themselves.
func IsInternal(name string) bool { return name == ConsumerOffsets || name == TransactionState }
