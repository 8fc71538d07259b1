package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zurau/zurau/broker/kerr"
)

// Op is what IncrementalAlterConfigs does to a key; the numbers are those on the wire (KIP-339).
type Op int8

// Append and Subtract are for lists.
const (
	Set Op = iota
	Delete
	Append
	Subtract
)

// Alteration is one change to one key. AlterConfigs is Set on everything, starting from nothing.
type Alteration struct {
	Op    Op
	Name  string
	Value *string // nil with Delete only
}

// AlterTopic gives the overrides a topic has after the changes, checked with Kafka's words and codes. current
// is not changed.
func (d *Dynamic) AlterTopic(topic string, current map[string]string, changes []Alteration) (map[string]string, error) {
	next, err := apply(current, changes, func(name string) *Key {
		if k := topicKeysByName[name]; k != nil {
			return &k.Key
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if _, err := d.Broker().Topic(next); err != nil {
		if e := (*Error)(nil); errors.As(err, &e) && e.Class == configException {
			return nil, invalidFor("TOPIC", topic, e.Text)
		}
		return nil, err
	}
	return next, nil
}

// AlterBroker gives the dynamic values of this broker (perBroker) or of all (the cluster's default) after the
// changes. What this broker could not run with is refused.
func (d *Dynamic) AlterBroker(
	perBroker bool, current map[string]string, changes []Alteration,
) (map[string]string, error) {
	next, err := apply(current, changes, findBrokerKey)
	if err != nil {
		return nil, err
	}
	if err := checkDynamic(next, perBroker); err != nil {
		return nil, invalidRequest(err)
	}
	s := d.snapshot.Load()
	for name := range next {
		if k := findBrokerKey(name); k != nil && k.Sensitive() {
			return nil, invalidFor("BROKER", s.layers.static["broker.id"], "Password encoder secret not configured")
		}
	}
	after, _, err := New(s.layers.with(next, perBroker).effective())
	if err != nil {
		return nil, invalidRequest(err)
	}
	return next, checkThreads(s.broker, after)
}

// invalidFor refuses a value in the way Kafka does where it names the resource.
func invalidFor(kind, name, reason string) error {
	const text = "Invalid config value for resource ConfigResource(type=%s, name='%s'): %s"
	return kerr.New(kerr.InvalidConfig, text, kind, name, reason)
}

func invalidRequest(err error) error { return kerr.New(kerr.InvalidRequest, "%s", err) }

// apply makes the changes to a copy of current. keyOf finds the key of a name, nil for one that is not known.
func apply(current map[string]string, changes []Alteration, keyOf func(string) *Key) (map[string]string, error) {
	if err := CheckShape(changes); err != nil {
		return nil, err
	}
	next := maps.Clone(current)
	if next == nil {
		next = map[string]string{}
	}
	for _, c := range changes {
		switch c.Op {
		case Set:
			next[c.Name] = *c.Value
		case Delete:
			delete(next, c.Name)
		case Append, Subtract:
			list, err := listForChange(next, c, keyOf(c.Name))
			if err != nil {
				return nil, err
			}
			next[c.Name] = strings.Join(list, ",")
		default:
			return nil, kerr.New(kerr.InvalidRequest, "Unknown operation type id: %d", c.Op)
		}
	}
	return next, nil
}

// CheckShape refuses keys named twice and values that are missing.
func CheckShape(changes []Alteration) error {
	seen := map[string]bool{}
	var nulls []string
	for _, c := range changes {
		if seen[c.Name] {
			return kerr.New(kerr.InvalidRequest, "Error due to duplicate config keys")
		}
		seen[c.Name] = true
		if c.Value == nil && c.Op != Delete {
			nulls = append(nulls, c.Name)
		}
	}
	if len(nulls) > 0 {
		return kerr.New(kerr.InvalidRequest, "Null value not supported for : %s", strings.Join(nulls, ","))
	}
	return nil
}

// listForChange adds words to a list, or takes them away, starting from the default where the key is not set.
func listForChange(values map[string]string, c Alteration, k *Key) ([]string, error) {
	if k == nil {
		return nil, &Error{invalidConfiguration, "Unknown topic config name: " + c.Name}
	}
	if k.Type != List {
		verb := map[Op]string{Append: "append", Subtract: "subtract"}[c.Op]
		return nil, kerr.New(kerr.InvalidConfig, "Config value %s is not allowed for config key: %s", verb, c.Name)
	}
	text, set := values[c.Name]
	if !set && k.HasDefault() {
		text = k.Default
	}
	old, change := csv(text), csv(*c.Value)
	if c.Op == Subtract {
		return slices.DeleteFunc(old, func(w string) bool { return slices.Contains(change, w) }), nil
	}
	for _, w := range change {
		if !slices.Contains(old, w) {
			old = append(old, w)
		}
	}
	return old, nil
}

// clusterWideListenerKeys may have a listener's prefix and still be a default for all brokers.
var clusterWideListenerKeys = []string{"max.connections", "max.connection.creation.rate", "num.network.threads"}

// needsListenerPrefix are the keys of key and trust stores, which are dynamic for one listener at a time only.
var needsListenerPrefix = []string{"ssl.keystore.type", "ssl.keystore.location", "ssl.keystore.password",
	"ssl.key.password", "ssl.keystore.key", "ssl.keystore.certificate.chain", "ssl.truststore.type", "ssl.truststore.location",
	"ssl.truststore.password", "ssl.truststore.certificates"}

// checkDynamic says whether values may stand in a dynamic layer, and parses each
// (DynamicBrokerConfig.validateConfigs).
func checkDynamic(values map[string]string, perBroker bool) error {
	names := slices.Sorted(maps.Keys(values))
	pick := func(wrong func(string, *Key) bool) string {
		var all []string
		for _, name := range names {
			if wrong(name, findBrokerKey(name)) {
				all = append(all, name)
			}
		}
		return strings.Join(all, ", ")
	}
	fixed := pick(func(name string, k *Key) bool { return k != nil && k.Mode&ReadOnly != 0 && !perListener(name) })
	bare := pick(func(name string, _ *Key) bool { return slices.Contains(needsListenerPrefix, name) })
	single := pick(func(name string, k *Key) bool {
		return k != nil && (k.Mode&PerBroker != 0 || perListener(name)) &&
			!slices.Contains(clusterWideListenerKeys, k.Name)
	})
	switch {
	case fixed != "":
		return refuse("Cannot update these configs dynamically: Set(%s)", fixed)
	case bare != "":
		return refuse("These security configs can be dynamically updated only per-listener using the listener prefix: "+
			"HashSet(%s)", bare)
	case single != "" && !perBroker:
		return refuse("Cannot update these configs at default cluster level, broker id must be specified: "+
			"Set(%s)", single)
	}
	for _, name := range names {
		if k := findBrokerKey(name); k != nil {
			if _, err := k.parse(values[name]); err != nil {
				return err
			}
		}
	}
	return nil
}

// threadKeys are pools that may be doubled or halved at a time.
var threadKeys = []string{"num.io.threads", "num.network.threads", "num.replica.fetchers",
	"num.recovery.threads.per.data.dir", "background.threads"}

func checkThreads(before, after *Broker) error {
	refused := func(format string, args ...any) error {
		return kerr.New(kerr.InvalidRequest, "Invalid value %s: %s for configuration Invalid dynamic configuration",
			configException, fmt.Sprintf(format, args...))
	}
	for _, name := range threadKeys {
		was, is := before.parsed[name].(int64), after.parsed[name].(int64)
		switch {
		case is > was*2:
			return refused("Dynamic thread count update validation failed for %s=%d, "+
				"value should not be greater than double the current value %d", name, is, was)
		case is < was/2:
			return refused("Dynamic thread count update validation failed for %s=%d, "+
				"value should be at least half the current value %d", name, is, was)
		}
	}
	was, is := before.LogCleanerThreads, after.LogCleanerThreads
	switch {
	case is < was/2:
		return refused("Log cleaner threads cannot be reduced to less than half the current value %d", was)
	case is > was*2:
		return refused("Log cleaner threads cannot be increased to more than double the current value %d", was)
	}
	return nil
}
