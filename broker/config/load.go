package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Load reads server.properties, lays the --override words over it and checks the whole. The warnings say what
// is accepted without effect. An error of type *Error carries the text Kafka stops with.
func Load(path string, overrides []string) (b *Broker, warnings []string, err error) {
	values, err := ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	Override(values, overrides)
	return New(values)
}

// New is Load for a configuration at hand.
func New(values map[string]string) (b *Broker, warnings []string, err error) {
	b = &Broker{values: maps.Clone(values)}
	if b.values == nil {
		b.values = map[string]string{}
	}
	if err := b.shareID(); err != nil {
		return nil, nil, err
	}
	b.parsed = make(map[string]any, len(brokerKeys))
	for i := range brokerKeys {
		k := &brokerKeys[i]
		text, set := b.values[k.Name]
		if !set {
			text = k.Default
		}
		if b.parsed[k.Name], err = k.parse(text); err != nil {
			return nil, nil, err
		}
	}
	fill(b, b.parsed)
	for _, step := range []func(*Broker) error{(*Broker).derive, (*Broker).deriveListeners, (*Broker).check} {
		if err := step(b); err != nil {
			return nil, nil, err
		}
	}
	if _, err := b.Topic(nil); err != nil {
		return nil, nil, err
	}
	return b, b.warnings(), nil
}

// shareID lets node.id and broker.id stand for each other.
func (b *Broker) shareID() error {
	brokerID, hasBroker := b.values["broker.id"]
	nodeID, hasNode := b.values["node.id"]
	switch {
	case hasBroker && hasNode && strings.TrimSpace(brokerID) != strings.TrimSpace(nodeID):
		return refuse("You must set `node.id` to the same value as `broker.id`.")
	case hasBroker:
		b.values["node.id"] = brokerID
	case hasNode:
		b.values["broker.id"] = nodeID
	}
	return nil
}

// derive works out the fields that no single key gives.
func (b *Broker) derive() error {
	b.ZooKeeperConnectionTimeout = b.ZooKeeperSessionTimeout
	if ms, set := b.parsed["zookeeper.connection.timeout.ms"].(int64); set {
		b.ZooKeeperConnectionTimeout = milliseconds(ms)
	}
	b.LeaderImbalanceCheckInterval = milliseconds(b.parsed["leader.imbalance.check.interval.seconds"].(int64) * 1000)
	b.ReplicationQuotaSampleSize = time.Duration(b.parsed["replication.quota.window.size.seconds"].(int64)) * time.Second
	b.OffsetsRetention = time.Duration(b.parsed["offsets.retention.minutes"].(int64)) * time.Minute
	b.LogDirs = csv(b.stringOf("log.dirs", b.stringOf("log.dir", "")))
	b.MaxConnectionsPerIPOverrides = map[string]int32{}
	const perIP = "max.connections.per.ip.overrides"
	for _, word := range csv(b.stringOf(perIP, "")) {
		i := strings.LastIndex(word, ":")
		if i < 0 {
			return illegal("Error parsing configuration property '%s': begin 0, end -1, length %d", perIP, len(word))
		}
		n, reason := parseType(Int, word[i+1:])
		if reason != "" {
			return &Error{"java.lang.NumberFormatException", fmt.Sprintf("For input string: %q", word[i+1:])}
		}
		b.MaxConnectionsPerIPOverrides[word[:i]] = int32(n.(int64))
	}
	return nil
}

// stringOf is a parsed text key, or otherwise where it is null.
func (b *Broker) stringOf(name, otherwise string) string {
	if s, set := b.parsed[name].(string); set {
		return s
	}
	return otherwise
}

// warnings names the keys that are set and do nothing.
func (b *Broker) warnings() []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(b.values)) {
		switch k := findBrokerKey(name); {
		case k == nil && !pluginKey(name):
			all = append(all, fmt.Sprintf("The configuration '%s' was supplied but isn't a known config.", name))
		case k != nil && k.Mode&Foreign != 0 && b.values[name] != k.Default:
			all = append(all, fmt.Sprintf("The configuration '%s' has no effect on a broker in ZooKeeper mode.", name))
		case k != nil && k.Mode&Legacy != 0:
			all = append(all, fmt.Sprintf("The configuration '%s' is gone from Kafka 3.x; it is honoured here.", name))
		}
	}
	return all
}

// pluginKeys are the beginnings of keys that belong to authorizers.
var pluginKeys = []string{"super.users", "allow.everyone.if.no.acl.found", "authorizer."}

func pluginKey(name string) bool {
	return slices.ContainsFunc(pluginKeys, func(p string) bool { return strings.HasPrefix(name, p) })
}
