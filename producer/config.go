package producer

import (
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"go.uber.org/zap"
)

// Config is a producer's configuration. Make it with NewConfig.
type Config struct {
	Servers        []string      // bootstrap.servers
	ClientID       string        // client.id
	MaxRequestSize int           // max.request.size: bytes a record may take when serialized
	MaxBlock       time.Duration // max.block.ms: how long Send may wait for metadata or memory
	BufferMemory   int64         // buffer.memory: bytes of records not yet acknowledged
	Logger         *zap.Logger   // what Java's client would log; nil for silence
	Interceptors   []Interceptor

	sarama *sarama.Config
	dialer *Dialer
}

// mostRetries bounds retries, for each of which sarama keeps a place: as many as Java's delivery.timeout.ms of two
// minutes allows at its backoff of 100 ms.
const mostRetries = 1200

// properties are those of Kafka 3.9's producer that this one honours. A key that is not here is refused by name: what
// sarama cannot do must not look as if it were done.
func (c *Config) properties() map[string]Property {
	s := c.sarama
	return map[string]Property{
		"bootstrap.servers": {"", func(v string) string { c.Servers = List(v); return "" }},
		"client.id":         {"", Text(&c.ClientID)},
		"acks": {"all", func(v string) string {
			switch v {
			case "all", "-1":
				s.Producer.RequiredAcks = sarama.WaitForAll
			case "0":
				s.Producer.RequiredAcks = sarama.NoResponse
			case "1":
				s.Producer.RequiredAcks = sarama.WaitForLocal
			default:
				return "String must be one of: all, -1, 0, 1"
			}
			return ""
		}},
		"compression.type": {"none", func(v string) string {
			if err := s.Producer.Compression.UnmarshalText([]byte(v)); err != nil {
				return "String must be one of: none, gzip, snappy, lz4, zstd"
			}
			return ""
		}},
		"batch.size":                            {"16384", Number(0, &s.Producer.Flush.Bytes)},
		"linger.ms":                             {"0", Millis(&s.Producer.Flush.Frequency)},
		"buffer.memory":                         {"33554432", Number(0, &c.BufferMemory)},
		"max.request.size":                      {"1048576", Number(0, &c.MaxRequestSize)},
		"max.block.ms":                          {"60000", Millis(&c.MaxBlock)},
		"request.timeout.ms":                    {"30000", Millis(&s.Producer.Timeout)},
		"retries":                               {"2147483647", Number(0, &s.Producer.Retry.Max)},
		"retry.backoff.ms":                      {"100", Millis(&s.Producer.Retry.Backoff)},
		"metadata.max.age.ms":                   {"300000", Millis(&s.Metadata.RefreshFrequency)},
		"max.in.flight.requests.per.connection": {"5", Number(1, &s.Net.MaxOpenRequests)},
		"send.buffer.bytes":                     {"131072", Number(-1, &c.dialer.SendBuffer)},
		"receive.buffer.bytes":                  {"32768", Number(-1, &c.dialer.ReceiveBuffer)},
		"enable.idempotence": {"true", func(v string) string {
			on, err := strconv.ParseBool(v)
			if err != nil {
				return "Expected value to be either true or false"
			}
			s.Producer.Idempotent = on
			return ""
		}},
		"transactional.id":       {"", Text(&s.Producer.Transaction.ID)},
		"transaction.timeout.ms": {"60000", Millis(&s.Producer.Transaction.Timeout)},
		"partitioner.class": {"", func(v string) string {
			var otherwise sarama.PartitionerConstructor
			switch v[strings.LastIndexByte(v, '.')+1:] {
			case "", "DefaultPartitioner":
				otherwise = func(string) sarama.Partitioner { return &keyPartitioner{c.sticky()} }
			case "UniformStickyPartitioner":
				otherwise = func(string) sarama.Partitioner { return c.sticky() }
			case "RoundRobinPartitioner":
				otherwise = sarama.NewRoundRobinPartitioner
			default:
				return "Class " + v + " could not be found."
			}
			s.Producer.Partitioner = func(topic string) sarama.Partitioner { return &namedPartitioner{otherwise(topic)} }
			return ""
		}},
		"security.protocol": {"PLAINTEXT", Only("PLAINTEXT")},
		"key.serializer":    {"", serializer},
		"value.serializer":  {"", serializer},
	}
}

// NewConfig reads Java's producer properties. The defaults are those of Kafka 3.9.
func NewConfig(props map[string]string) (*Config, error) {
	c := &Config{sarama: sarama.NewConfig(), dialer: &Dialer{}}
	s := c.sarama
	s.Version = sarama.MaxVersion // the ApiVersions answer of each broker lowers it
	s.Metadata.Full = false
	s.Metadata.AllowAutoTopicCreation = true
	s.Producer.Return.Successes = true
	s.Net.Proxy.Enable, s.Net.Proxy.Dialer = true, c.dialer
	if err := ReadProperties(c.properties(), props); err != nil {
		return nil, err
	}
	if len(c.Servers) == 0 {
		return nil, &ConfigError{"bootstrap.servers", "[]", "No resolvable bootstrap urls given in bootstrap.servers"}
	}
	s.ClientID = c.ClientID
	if s.ClientID == "" {
		s.ClientID = "producer-1"
	}
	if s.Producer.Flush.Frequency == 0 {
		s.Producer.Flush.Bytes = 0 // sarama sends at once when neither is set, Java when linger.ms is 0
	}
	s.Producer.Retry.Max = min(s.Producer.Retry.Max, mostRetries)
	s.Producer.MaxMessageBytes = max(c.MaxRequestSize, 1)
	s.Net.ReadTimeout = s.Producer.Timeout + 5*time.Second // let the broker be the first to give up
	return c, c.settleIdempotence(props)
}

// settleIdempotence applies Java's rule: idempotence is on by default, gives way to settings it cannot live with, and
// refuses them when it was asked for by name.
func (c *Config) settleIdempotence(props map[string]string) error {
	s := c.sarama
	conflict := ""
	switch {
	case !s.Producer.Idempotent && s.Producer.Transaction.ID == "":
		return nil
	case s.Producer.RequiredAcks != sarama.WaitForAll:
		conflict = "Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee " +
			"idempotence."
	case s.Producer.Retry.Max == 0:
		conflict = "Must set retries to non-zero when using the idempotent producer."
	case s.Net.MaxOpenRequests > 5:
		conflict = "Must set max.in.flight.requests.per.connection to at most 5 to use the idempotent producer."
	}
	_, asked := props["enable.idempotence"]
	switch {
	case conflict != "" && (asked || s.Producer.Transaction.ID != ""):
		return &ConfigError{"enable.idempotence", "true", conflict}
	case conflict != "":
		s.Producer.Idempotent = false
	default:
		s.Producer.Idempotent = true
		s.Net.MaxOpenRequests = 1 // sarama keeps the order of sequence numbers only so
	}
	return nil
}

func (c *Config) sticky() *stickyPartitioner {
	flush := c.sarama.Producer.Flush
	return newStickyPartitioner(max(flush.Bytes, 1), flush.Frequency)
}

// serializer accepts the classes that leave bytes as they are, because records carry bytes here.
func serializer(class string) string {
	switch class {
	case "", "org.apache.kafka.common.serialization.ByteArraySerializer",
		"org.apache.kafka.common.serialization.StringSerializer":
		return ""
	}
	return "Class " + class + " could not be found."
}
