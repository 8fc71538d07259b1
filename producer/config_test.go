package producer

import (
	"errors"
	"testing"

	"github.com/IBM/sarama"
)

func TestNewConfigRefusesInJavasWords(t *testing.T) {
	for name, c := range map[string]struct{ key, value, want string }{
		"acks of no kind":             {"acks", "seven", "Invalid value seven for configuration acks: String must be one of: all, -1, 0, 1"},
		"a number that is none":       {"batch.size", "x", "Invalid value x for configuration batch.size: Not a number of type INT"},
		"a number too large":          {"retries", "2147483648", "Invalid value 2147483648 for configuration retries: Not a number of type INT"},
		"a time below zero":           {"linger.ms", "-1", "Invalid value -1 for configuration linger.ms: Value must be at least 0"},
		"a class nobody has":          {"partitioner.class", "a.b.C", "Invalid value a.b.C for configuration partitioner.class: Class a.b.C could not be found."},
		"what sarama cannot do":       {"delivery.timeout.ms", "1", "Invalid value 1 for configuration delivery.timeout.ms: this client does not honour it"},
		"what is not built yet":       {"security.protocol", "SSL", "Invalid value SSL for configuration security.protocol: this client does not honour it yet"},
		"a key that does not exist":   {"foo", "1", "Invalid value 1 for configuration foo: this client does not honour it"},
		"a serializer of other types": {"key.serializer", "x.LongSerializer", "Invalid value x.LongSerializer for configuration key.serializer: Class x.LongSerializer could not be found."},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewConfig(map[string]string{"bootstrap.servers": "h:1", c.key: c.value})
			var wrong *ConfigError
			if !errors.As(err, &wrong) || err.Error() != c.want {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestIdempotenceGivesWayUnlessAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		props map[string]string
		on    bool
		fails bool
	}{
		"by default":                    {nil, true, false},
		"acks=1 switches it off":        {map[string]string{"acks": "1"}, false, false},
		"no retries switch it off":      {map[string]string{"retries": "0"}, false, false},
		"asked for with acks=1":         {map[string]string{"acks": "1", "enable.idempotence": "true"}, false, true},
		"transactions with six flights": {map[string]string{"transactional.id": "x", "max.in.flight.requests.per.connection": "6"}, false, true},
		"transactions switch it on":     {map[string]string{"transactional.id": "x", "enable.idempotence": "false"}, true, false},
		"switched off":                  {map[string]string{"enable.idempotence": "false"}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			props := map[string]string{"bootstrap.servers": "h:1"}
			for k, v := range c.props {
				props[k] = v
			}
			got, err := NewConfig(props)
			if (err != nil) != c.fails {
				t.Fatal(err)
			}
			if err == nil && got.sarama.Producer.Idempotent != c.on {
				t.Errorf("idempotent is %t", got.sarama.Producer.Idempotent)
			}
			if err == nil && got.sarama.Validate() != nil {
				t.Errorf("sarama refuses it: %v", got.sarama.Validate())
			}
		})
	}
}

func TestPropertiesReachSarama(t *testing.T) {
	c, err := NewConfig(map[string]string{
		"bootstrap.servers": "a:1, b:2,", "acks": "0", "compression.type": "zstd", "linger.ms": "7", "batch.size": "99",
		"client.id": "me", "buffer.memory": "5", "max.request.size": "6",
	})
	if err != nil {
		t.Fatal(err)
	}
	s := c.sarama
	if len(c.Servers) != 2 || s.ClientID != "me" || c.BufferMemory != 5 || s.Producer.MaxMessageBytes != 6 ||
		s.Producer.RequiredAcks != sarama.NoResponse || s.Producer.Compression != sarama.CompressionZSTD ||
		s.Producer.Flush.Frequency.Milliseconds() != 7 || s.Producer.Flush.Bytes != 99 {
		t.Errorf("%+v", s.Producer)
	}
	if _, err := NewConfig(nil); err == nil {
		t.Error("no servers were accepted")
	}
}

func TestSerializedSizeIsJavasUpperBound(t *testing.T) {
	// golden/cli 2.8.2/093: 200 bytes without key are "286 bytes when serialized".
	if got := serializedSize(&Record{Value: make([]byte, 200)}); got != 286 {
		t.Errorf("%d", got)
	}
	if got := serializedSize(&Record{Key: []byte{}, Headers: []Header{{"k", []byte("v")}}}); got != 61+21+1+1+1+2+2 {
		t.Errorf("%d", got)
	}
}
