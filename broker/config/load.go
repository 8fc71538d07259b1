package config

import (
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/zurau/zurau/broker/ibp"
)

// Load reads server.properties, lays the --override words over it and checks the whole. The warnings name what is
// accepted without effect.
func Load(path string, overrides []string) (b *Broker, warnings []string, err error) {
	values, err := ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	if err := Override(values, overrides); err != nil {
		return nil, nil, err
	}
	return New(values)
}

// New checks a configuration given as text. Its errors of type *Error carry the text Kafka stops with.
func New(values map[string]string) (b *Broker, warnings []string, err error) {
	b = &Broker{values: maps.Clone(values)}
	parsed := make(map[string]any, len(brokerKeys))
	for i := range brokerKeys {
		k := &brokerKeys[i]
		text, set := values[k.Name]
		if !set {
			text = k.Default
		}
		if parsed[k.Name], err = k.parse(text); err != nil {
			return nil, nil, err
		}
	}
	fill(b, func(name string) any { return parsed[name] })
	if err := b.derive(parsed); err != nil {
		return nil, nil, err
	}
	if err := b.check(); err != nil {
		return nil, nil, err
	}
	if _, err := b.Topic(nil); err != nil {
		return nil, nil, err
	}
	return b, b.warnings(), nil
}

// derive works out the fields that no single key gives.
func (b *Broker) derive(parsed map[string]any) error {
	if err := b.deriveListeners(); err != nil {
		return err
	}
	b.ZooKeeperConnectionTimeout = b.ZooKeeperSessionTimeout
	if ms, set := parsed["zookeeper.connection.timeout.ms"].(int64); set {
		b.ZooKeeperConnectionTimeout = milliseconds(ms)
	}
	b.LeaderImbalanceCheckInterval = milliseconds(parsed["leader.imbalance.check.interval.seconds"].(int64) * 1000)
	b.OffsetsRetention = time.Duration(parsed["offsets.retention.minutes"].(int64)) * time.Minute
	dirs, set := b.Value("log.dirs")
	if !set {
		dirs, _ = b.Value("log.dir")
	}
	for _, dir := range strings.Split(dirs, ",") {
		if dir = strings.TrimSpace(dir); dir != "" {
			b.LogDirs = append(b.LogDirs, dir)
		}
	}
	return nil
}

// deriveListeners resolves listeners, their advertised twins and protocols (configuration.md 2).
func (b *Broker) deriveListeners() error {
	b.ListenerSecurityProtocols = map[string]string{}
	text, _ := b.Value("listener.security.protocol.map")
	for _, pair := range listSeparator.Split(strings.TrimSpace(text), -1) {
		i := strings.LastIndex(pair, ":")
		if i < 0 {
			return refuse("listener.security.protocol.map: %s", pair)
		}
		b.ListenerSecurityProtocols[strings.ToUpper(pair[:i])] = strings.ToUpper(pair[i+1:])
	}
	var err error
	text, _ = b.Value("listeners")
	if b.Listeners, err = b.endPoints("listeners", text); err != nil {
		return err
	}
	b.AdvertisedListeners = slices.Clone(b.Listeners)
	if text, set := b.Value("advertised.listeners"); set {
		if b.AdvertisedListeners, err = b.endPoints("advertised.listeners", text); err != nil {
			return err
		}
	}
	if name, set := b.Value("inter.broker.listener.name"); set {
		b.InterBrokerListener = strings.ToUpper(name)
	} else {
		b.InterBrokerListener, _ = b.Value("security.inter.broker.protocol")
	}
	if name, set := b.Value("control.plane.listener.name"); set {
		b.ControlPlaneListener = strings.ToUpper(name)
	}
	return nil
}

func (b *Broker) endPoints(key, text string) ([]Listener, error) {
	var all []Listener
	for _, word := range listSeparator.Split(strings.TrimSpace(text), -1) {
		l, ok := parseListener(word)
		if !ok {
			return nil, refuse("Unable to parse %s to a broker endpoint", word)
		}
		l.Protocol = b.ListenerSecurityProtocols[l.Name]
		all = append(all, l)
	}
	return all, nil
}

// check holds what several keys must agree on (configuration.md 3.3).
func (b *Broker) check() error {
	if _, err := ibp.Parse(b.InterBrokerProtocolVersion); err != nil {
		return err
	}
	if b.ZooKeeperConnect == "" {
		return refuse("Missing required configuration \"zookeeper.connect\" which has no default value.")
	}
	return nil
}

func (b *Broker) warnings() []string {
	var all []string
	for name := range b.values {
		if BrokerKey(name) == nil {
			all = append(all, "unknown configuration "+name)
		}
	}
	sort.Strings(all)
	return all
}
