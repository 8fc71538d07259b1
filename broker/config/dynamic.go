package config

import (
	"maps"
	"sync"
	"sync/atomic"
)

// Dynamic is the configuration as it stands now: the static file, the layers kept in ZooKeeper over it, and the
// topics. Readers take an immutable value by one atomic load; writers (the handler of /config/changes, alone) make
// a new one.
type Dynamic struct {
	snapshot atomic.Pointer[snapshot]
	mu       struct{ sync.Mutex } // orders writers
}

type snapshot struct {
	broker       *Broker
	defaultTopic *Topic
	topics       map[string]*Topic // those with overrides only
}

// NewDynamic starts from the static configuration.
func NewDynamic(static *Broker) *Dynamic {
	d := &Dynamic{}
	t, err := static.Topic(nil)
	if err != nil {
		panic("BUG: New let pass what Topic refuses: " + err.Error())
	}
	d.snapshot.Store(&snapshot{broker: static, defaultTopic: t})
	return d
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

// SetTopic takes a topic's overrides as ZooKeeper has them; nil or empty: it has none (any more).
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
	t, err := s.broker.Topic(overrides)
	if err != nil {
		return nil, err
	}
	if s.topics == nil {
		s.topics = map[string]*Topic{}
	}
	s.topics[name] = t
	d.snapshot.Store(&s)
	return t, nil
}
