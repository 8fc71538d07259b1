package config

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Dynamic is the configuration as it stands now: server.properties, over it the cluster's defaults and this
// broker's own values from ZooKeeper, and the overrides of topics. Readers take an immutable value by one
// atomic load; a writer makes a new one.
type Dynamic struct {
	snapshot atomic.Pointer[snapshot]
	mu       struct{ sync.Mutex } // held by the writer from reading the old snapshot to storing the new
}

// snapshot is one state of the configuration. Nothing in it changes.
type snapshot struct {
	layers       layers
	broker       *Broker
	defaultTopic *Topic
	topics       map[string]*Topic // those with overrides
}

// layers are where a broker's values come from, the weakest first.
type layers struct {
	static         map[string]string // server.properties and --override
	clusterDefault map[string]string // /config/brokers/<default>
	perBroker      map[string]string // /config/brokers/<id>
}

// NewDynamic starts from the static configuration.
func NewDynamic(static *Broker) *Dynamic {
	d := &Dynamic{}
	d.snapshot.Store(&snapshot{
		layers:       layers{static: static.values},
		broker:       static,
		defaultTopic: mustTopic(static),
		topics:       map[string]*Topic{},
	})
	return d
}

func mustTopic(b *Broker) *Topic {
	t, err := b.Topic(nil)
	if err != nil {
		panic("BUG: New let pass what Topic refuses: " + err.Error())
	}
	return t
}

// Broker is the broker's configuration in force.
func (d *Dynamic) Broker() *Broker { return d.snapshot.Load().broker }

// Topic is the configuration in force for a topic, known or not.
func (d *Dynamic) Topic(name string) *Topic {
	s := d.snapshot.Load()
	if t := s.topics[name]; t != nil {
		return t
	}
	return s.defaultTopic
}

// Overridden names the topics that have overrides, in no order.
func (d *Dynamic) Overridden() []string { return slices.Collect(maps.Keys(d.snapshot.Load().topics)) }

// SetTopic takes a topic's overrides as ZooKeeper has them; nil or empty: it has none, any more. An override
// that is not understood is left out and named in the error; the topic returned is in force nevertheless.
func (d *Dynamic) SetTopic(name string, overrides map[string]string) (*Topic, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := *d.snapshot.Load()
	s.topics = maps.Clone(s.topics)
	if len(overrides) == 0 {
		delete(s.topics, name)
		d.snapshot.Store(&s)
		return s.defaultTopic, nil
	}
	t, err := s.broker.topicLeniently(overrides)
	s.topics[name] = t
	d.snapshot.Store(&s)
	return t, err
}

// SetBroker takes this broker's own values as ZooKeeper has them, SetBrokerDefault those of all brokers. What
// is not understood or not dynamic is left out and named in the error; the rest is in force.
func (d *Dynamic) SetBroker(values map[string]string) error {
	return d.setLayer(values, true)
}

// SetBrokerDefault is described at SetBroker.
func (d *Dynamic) SetBrokerDefault(values map[string]string) error {
	return d.setLayer(values, false)
}

func (d *Dynamic) setLayer(values map[string]string, perBroker bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := *d.snapshot.Load()
	usable := map[string]string{}
	var refused []error
	for _, name := range slices.Sorted(maps.Keys(values)) {
		one := map[string]string{name: values[name]}
		if err := checkDynamic(one, perBroker); err != nil {
			refused = append(refused, err)
			continue
		}
		maps.Copy(usable, one)
	}
	s.layers = s.layers.with(usable, perBroker)
	broker, _, err := New(s.layers.effective())
	if err != nil {
		return errors.Join(append(refused, err)...) // keys that do not go together: the layer stays as it was
	}
	s.broker, s.defaultTopic = broker, mustTopic(broker)
	topics := make(map[string]*Topic, len(s.topics))
	for name, t := range s.topics {
		topics[name], _ = broker.topicLeniently(t.overrides) // what is wrong was said by SetTopic
	}
	s.topics = topics
	d.snapshot.Store(&s)
	return errors.Join(refused...)
}

// with gives layers in which one of the two dynamic ones is replaced.
func (l layers) with(values map[string]string, perBroker bool) layers {
	if perBroker {
		l.perBroker = values
	} else {
		l.clusterDefault = values
	}
	return l
}

// effective lays the layers over each other. A dynamic value hides all its synonyms further down:
// log.retention.ms set for the cluster beats log.retention.hours in a file.
func (l layers) effective() map[string]string {
	all := maps.Clone(l.static)
	for _, layer := range []map[string]string{l.clusterDefault, l.perBroker} {
		for name := range layer {
			for _, synonym := range synonymGroup(name) {
				delete(all, synonym)
			}
		}
		maps.Copy(all, layer)
	}
	return all
}

// synonymGroup is the group of broker keys that say the same thing in other units, or the key alone.
func synonymGroup(name string) []string {
	for i := range topicKeys {
		var group []string
		for _, s := range topicKeys[i].Synonyms {
			group = append(group, s.Name)
		}
		if slices.Contains(group, name) {
			return group
		}
	}
	return []string{name}
}

// topicLeniently is Topic for what is stored already: a newer or careless program may have written it.
func (b *Broker) topicLeniently(overrides map[string]string) (*Topic, error) {
	t, err := b.Topic(overrides)
	if err == nil {
		return t, nil
	}
	good := map[string]string{}
	for name, value := range overrides {
		if _, err := b.Topic(map[string]string{name: value}); err == nil {
			good[name] = value
		}
	}
	if t, _ = b.Topic(good); t == nil {
		t = mustTopic(b) // each is good, but not together
	}
	return t, err
}

// perListener reports whether a key is meant for one listener.
func perListener(name string) bool { return strings.HasPrefix(name, listenerPrefix) }
