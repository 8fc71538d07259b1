// Package config knows every configuration key of Apache Kafka 3.9 and those of 1.1 that are still met, each
// once: name, type, default, bounds and who may change it while the broker runs (broker_keys.go,
// foreign_keys.go, topic_keys.go). All else derives from these tables: reading server.properties, the typed
// Broker and Topic, DescribeConfigs, the checks of AlterConfigs.
package config

import "strings"

// Type is the type of a key. The numbers are those of DescribeConfigs (KIP-569).
type Type int8

// The types of org.apache.kafka.common.config.ConfigDef.
const (
	Unknown Type = iota
	Boolean
	String
	Int
	Short
	Long
	Double
	List
	Class
	Password
)

var typeNames = [...]string{"UNKNOWN", "BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS",
	"PASSWORD"}

func (t Type) String() string { return typeNames[t] }

// Mode says who may change a key while the broker runs.
type Mode uint8

// Exactly one of the first three holds for a key.
const (
	ReadOnly    Mode = 1 << iota // only by a restart
	PerBroker                    // dynamic, one broker at a time
	ClusterWide                  // dynamic, for one broker or as the default of all
	Internal                     // left out of DescribeConfigs unless it is set
	Legacy                       // a key of 1.1 that 3.9 no longer has
	Foreign                      // without effect in ZooKeeper mode
	DynamicOnly                  // no key of server.properties
)

// Key is one row of the tables.
type Key struct {
	Name    string
	Type    Type
	Default string // the null constant when the key has none
	Valid   *validator
	Mode    Mode
}

// null stands for "no value", which is not the empty string.
const null = "\x00"

// HasDefault is false for keys whose default is null.
func (k *Key) HasDefault() bool { return k.Default != null }

// Sensitive values never leave the broker.
func (k *Key) Sensitive() bool { return k.Type == Password }

// BrokerKey finds a key of server.properties by its name, nil if there is no such key.
func BrokerKey(name string) *Key { return brokerKeysByName[name] }

// BrokerKeys lists all keys of server.properties.
func BrokerKeys() []Key { return brokerKeys }

var brokerKeys = append(ownKeys[:len(ownKeys):len(ownKeys)], foreignKeys...)

var brokerKeysByName = func() map[string]*Key {
	m := make(map[string]*Key, len(brokerKeys))
	for i := range brokerKeys {
		m[brokerKeys[i].Name] = &brokerKeys[i]
	}
	return m
}()

const maxLong = "9223372036854775807"

// listenerPrefix begins a key that holds for one listener only: listener.name.<name>.<key>, or, for a SASL
// mechanism, listener.name.<name>.<mechanism>.<key>.
const listenerPrefix = "listener.name."

// findBrokerKey is BrokerKey for keys with or without a listener's prefix.
func findBrokerKey(name string) *Key {
	if k := brokerKeysByName[name]; k != nil {
		return k
	}
	rest, prefixed := strings.CutPrefix(name, listenerPrefix)
	for prefixed && rest != "" {
		_, rest, _ = strings.Cut(rest, ".")
		if k := brokerKeysByName[rest]; k != nil {
			return k
		}
	}
	return nil
}
