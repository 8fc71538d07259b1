package config

import (
	"maps"
	"slices"
	"strings"
)

// Source says where a value comes from; the numbers are those of DescribeConfigs.
type Source int8

// The sources, the strongest first.
const (
	TopicSource          Source = 1
	BrokerSource         Source = 2
	ClusterDefaultSource Source = 3
	StaticSource         Source = 4
	DefaultSource        Source = 5
	LoggerSource         Source = 6 // a logger's level, which has no other
)

var sourceNames = [...]string{"UNKNOWN", "DYNAMIC_TOPIC_CONFIG", "DYNAMIC_BROKER_CONFIG",
	"DYNAMIC_DEFAULT_BROKER_CONFIG", "STATIC_BROKER_CONFIG", "DEFAULT_CONFIG",
	"DYNAMIC_BROKER_LOGGER_CONFIG"}

func (s Source) String() string { return sourceNames[s] }

// Entry is one key in an answer to DescribeConfigs.
type Entry struct {
	Name      string
	Value     *string // nil for null and for what is sensitive
	Type      Type
	Source    Source
	ReadOnly  bool
	Sensitive bool
	Synonyms  []EntrySynonym // where the value could have come from, the strongest first
}

// EntrySynonym is a value of a key, or of another that stands behind it, in one of the layers.
type EntrySynonym struct {
	Name   string
	Value  *string
	Source Source
}

// DescribeTopic describes every key of a topic, sorted by name.
func (d *Dynamic) DescribeTopic(name string) []Entry {
	s := d.snapshot.Load()
	t := s.topics[name]
	if t == nil {
		t = s.defaultTopic
	}
	entries := make([]Entry, 0, len(topicKeys))
	for i := range topicKeys {
		k := &topicKeys[i]
		e := Entry{Name: k.Name, Type: k.Type, Source: DefaultSource}
		if text, ok := k.text(t.parsed[k.Name]); ok {
			e.Value = &text
		}
		if len(k.Synonyms) > 0 {
			e.Synonyms = s.layers.synonyms(k.Synonyms[0].Name)
		}
		if text, set := t.overrides[k.Name]; set {
			e.Synonyms = slices.Insert(e.Synonyms, 0, EntrySynonym{k.Name, &text, TopicSource})
		}
		if len(e.Synonyms) > 0 {
			e.Source = e.Synonyms[0].Source
		}
		entries = append(entries, e)
	}
	return entries
}

// DescribeBroker describes every key of this broker, sorted by name: those that exist and those that were set.
func (d *Dynamic) DescribeBroker() []Entry {
	s := d.snapshot.Load()
	names := map[string]bool{}
	for i := range brokerKeys {
		if brokerKeys[i].Mode&(Internal|Legacy|DynamicOnly) == 0 {
			names[brokerKeys[i].Name] = true
		}
	}
	for name := range s.broker.values {
		names[name] = true
	}
	var entries []Entry
	for _, name := range slices.Sorted(maps.Keys(names)) {
		entries = append(entries, s.describe(name, s.layers.synonyms(name)))
	}
	return entries
}

// DescribeBrokerDefault describes what is set for all brokers of the cluster, sorted by name.
func (d *Dynamic) DescribeBrokerDefault() []Entry {
	s := d.snapshot.Load()
	only := *s
	only.broker = &Broker{values: s.layers.clusterDefault}
	only.layers = layers{clusterDefault: s.layers.clusterDefault}
	var entries []Entry
	for _, name := range slices.Sorted(maps.Keys(s.layers.clusterDefault)) {
		synonyms := only.layers.synonyms(name)
		synonyms = slices.DeleteFunc(synonyms, func(y EntrySynonym) bool { return y.Source == DefaultSource })
		entries = append(entries, only.describe(name, synonyms))
	}
	return entries
}

// describe makes the entry of a broker key. The value of a key nobody knows is hidden, as it may be a password.
func (s *snapshot) describe(name string, synonyms []EntrySynonym) Entry {
	e := Entry{Name: name, Type: Unknown, Source: DefaultSource, ReadOnly: true, Sensitive: true, Synonyms: synonyms}
	if len(synonyms) > 0 {
		e.Source = synonyms[0].Source
	}
	k := findBrokerKey(name)
	if k == nil {
		return e
	}
	e.Type, e.Sensitive = k.Type, k.Sensitive()
	e.ReadOnly = k.Mode&(ReadOnly|DynamicOnly) != 0 || perListener(name)
	if e.Sensitive {
		return e
	}
	text, set := s.broker.values[name]
	if v, parsed := s.broker.parsed[name]; parsed && !perListener(name) {
		text, set = k.text(v)
	}
	if set {
		e.Value = &text
	}
	return e
}

// synonyms lists the values of a broker key in all layers. A leading value that belongs to another key of the
// group is left out, as Kafka does.
func (l layers) synonyms(name string) []EntrySynonym {
	k := findBrokerKey(name)
	hidden := k == nil || k.Sensitive()
	group := synonymGroup(name)
	if k != nil && perListener(name) {
		group = []string{name, k.Name}
	}
	var all []EntrySynonym
	add := func(source Source, values func(name string) (string, bool)) {
		for _, n := range group {
			value, set := values(n)
			if !set || len(all) == 0 && n != name {
				continue
			}
			s := EntrySynonym{Name: n, Source: source}
			if !hidden {
				s.Value = &value
			}
			all = append(all, s)
		}
	}
	in := func(values map[string]string) func(string) (string, bool) {
		return func(name string) (string, bool) { v, set := values[name]; return strings.TrimSpace(v), set }
	}
	add(BrokerSource, in(l.perBroker))
	add(ClusterDefaultSource, in(l.clusterDefault))
	add(StaticSource, in(l.static))
	add(DefaultSource, func(name string) (string, bool) {
		if k := brokerKeysByName[name]; k != nil && k.HasDefault() && k.Mode&(Legacy|DynamicOnly) == 0 {
			v, _ := parseType(k.Type, k.Default)
			return k.text(v)
		}
		return "", false
	})
	return all
}
