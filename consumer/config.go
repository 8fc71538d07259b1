package consumer

import (
	"strings"

	"github.com/IBM/sarama"
	"github.com/zurau/zurau/producer"
	"go.uber.org/zap"
)

// Config is a consumer's configuration. Make it with NewConfig.
type Config struct {
	Servers        []string // bootstrap.servers
	ClientID       string   // client.id
	Reset          Reset    // auto.offset.reset: where to go on when the offset is not in the log
	MaxPollRecords int      // max.poll.records: the most Poll returns at once
	PartitionBytes int32    // max.partition.fetch.bytes
	Logger         *zap.Logger
	LogName        string // what log lines call this consumer by; clientId=... unless set

	sarama *sarama.Config
	dialer *producer.Dialer
}

// Reset says where a consumer goes on when it has no valid offset.
type Reset string

// The values of auto.offset.reset.
const (
	ResetEarliest Reset = "earliest"
	ResetLatest   Reset = "latest"
	ResetNone     Reset = "none" // Poll returns the error
)

// properties are those of Kafka 3.9's consumer that this one honours; a key that is not here is refused by name.
func (c *Config) properties() map[string]producer.Property {
	s := c.sarama
	return map[string]producer.Property{
		"bootstrap.servers": {Set: func(v string) string { c.Servers = producer.List(v); return "" }},
		"client.id":         {Set: producer.Text(&c.ClientID)},
		"auto.offset.reset": {Default: "latest", Set: func(v string) string {
			switch c.Reset = Reset(v); c.Reset {
			case ResetEarliest, ResetLatest, ResetNone:
				return ""
			}
			return "String must be one of: latest, earliest, none"
		}},
		"isolation.level": {Default: "read_uncommitted", Set: func(v string) string {
			switch v {
			case "read_committed":
				s.Consumer.IsolationLevel = sarama.ReadCommitted
			case "read_uncommitted":
				s.Consumer.IsolationLevel = sarama.ReadUncommitted
			default:
				return "String must be one of: read_committed, read_uncommitted"
			}
			return ""
		}},
		"fetch.min.bytes":           {Default: "1", Set: producer.Number(0, &s.Consumer.Fetch.Min)},
		"fetch.max.bytes":           {Default: "52428800", Set: producer.Number(0, &s.Consumer.Fetch.MaxBytes)},
		"fetch.max.wait.ms":         {Default: "500", Set: producer.Millis(&s.Consumer.MaxWaitTime)},
		"max.partition.fetch.bytes": {Default: "1048576", Set: producer.Number(0, &c.PartitionBytes)},
		"max.poll.records":          {Default: "500", Set: producer.Number(1, &c.MaxPollRecords)},
		"request.timeout.ms":        {Default: "30000", Set: producer.Millis(&s.Net.ReadTimeout)},
		"retry.backoff.ms":          {Default: "100", Set: producer.Millis(&s.Consumer.Retry.Backoff)},
		"metadata.max.age.ms":       {Default: "300000", Set: producer.Millis(&s.Metadata.RefreshFrequency)},
		"send.buffer.bytes":         {Default: "131072", Set: producer.Number(-1, &c.dialer.SendBuffer)},
		"receive.buffer.bytes":      {Default: "65536", Set: producer.Number(-1, &c.dialer.ReceiveBuffer)},
		"client.rack":               {Set: producer.Text(&s.RackID)},
		"check.crcs":                {Default: "true", Set: producer.Only("true")},
		"security.protocol":         {Default: "PLAINTEXT", Set: producer.Only("PLAINTEXT")},
		"key.deserializer":          {Set: deserializer},
		"value.deserializer":        {Set: deserializer},
	}
}

// NewConfig reads Java's consumer properties. The defaults are those of Kafka 3.9.
func NewConfig(props map[string]string) (*Config, error) {
	c := &Config{sarama: sarama.NewConfig(), dialer: &producer.Dialer{}}
	s := c.sarama
	s.Version = sarama.MaxVersion // the ApiVersions answer of each broker lowers it
	s.Metadata.Full = false
	s.Metadata.AllowAutoTopicCreation = true
	s.Net.Proxy.Enable, s.Net.Proxy.Dialer = true, c.dialer
	if err := producer.ReadProperties(c.properties(), props); err != nil {
		return nil, err
	}
	if len(c.Servers) == 0 {
		return nil, &producer.ConfigError{Name: "bootstrap.servers", Value: "[]",
			Reason: "No resolvable bootstrap urls given in bootstrap.servers"}
	}
	s.ClientID = c.ClientID
	if s.ClientID == "" {
		s.ClientID = "consumer-1"
	}
	c.LogName = "clientId=" + s.ClientID
	return c, nil
}

// deserializer accepts the classes that leave bytes as they are, because records carry bytes here.
func deserializer(class string) string {
	switch strings.TrimPrefix(class, "org.apache.kafka.common.serialization.") {
	case "", "ByteArrayDeserializer", "StringDeserializer":
		return ""
	}
	return "Class " + class + " could not be found."
}
