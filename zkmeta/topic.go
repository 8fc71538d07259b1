package zkmeta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
)

// A TopicAssignment is what /brokers/topics/T says: which brokers hold which partition.
type TopicAssignment struct {
	ID         topic.ID          // zero = none: written by Kafka before 2.8 or by a tool
	Partitions map[int32][]int32 // partition -> replicas, the preferred leader first
	Adding     map[int32][]int32 // of the partitions under reassignment only
	Removing   map[int32][]int32

	// Extra are keys of the znode that Kafka does not know. They survive a rewrite.
	Extra map[string]json.RawMessage

	ZkVersion int32 // of the znode, when it was read
}

// Clone is a copy that shares nothing with the original.
func (a TopicAssignment) Clone() TopicAssignment {
	copyLists := func(m map[int32][]int32) map[int32][]int32 {
		out := make(map[int32][]int32, len(m))
		for p, list := range m {
			out[p] = slices.Clone(list)
		}
		return out
	}
	a.Partitions, a.Adding, a.Removing = copyLists(a.Partitions), copyLists(a.Adding), copyLists(a.Removing)
	a.Extra = maps.Clone(a.Extra)
	return a
}

var topicKeys = []string{"version", "topic_id", "partitions", "adding_replicas", "removing_replicas"}

// encodeTopic writes version 3, the form of all supported levels.
func encodeTopic(a TopicAssignment) []byte {
	o := appendReplicas(appendKey([]byte("{"), "partitions"), a.Partitions)
	if !a.ID.IsZero() {
		o = appendStringField(o, "topic_id", a.ID.String())
	}
	o = appendReplicas(appendKey(o, "adding_replicas"), a.Adding)
	o = appendReplicas(appendKey(o, "removing_replicas"), a.Removing)
	o = appendIntField(o, "version", 3)
	for _, key := range sortedKeys(a.Extra) {
		o = append(appendKey(o, key), a.Extra[key]...)
	}
	return append(o, '}')
}

// decodeTopic reads versions 1 to 3, which it tells apart by their keys, as Kafka does.
func decodeTopic(data []byte, stat *Stat) (TopicAssignment, error) {
	o, err := parseObject(data)
	if err != nil {
		return TopicAssignment{}, err
	}
	a := TopicAssignment{ZkVersion: stat.Version}
	if a.Partitions, err = o.replicas("partitions"); err != nil {
		return TopicAssignment{}, err
	}
	for key, field := range map[string]*map[int32][]int32{"adding_replicas": &a.Adding, "removing_replicas": &a.Removing} {
		*field = map[int32][]int32{}
		if o.has(key) {
			if *field, err = o.replicas(key); err != nil {
				return TopicAssignment{}, err
			}
		}
	}
	if o.has("topic_id") {
		text, err := get[string](o, "topic_id")
		if err == nil {
			a.ID, err = topic.ParseID(text)
		}
		if err != nil {
			return TopicAssignment{}, err
		}
	}
	for key, raw := range o {
		if !slices.Contains(topicKeys, key) {
			if a.Extra == nil {
				a.Extra = map[string]json.RawMessage{}
			}
			a.Extra[key] = raw
		}
	}
	return a, nil
}

// replicas reads an object of partition -> list of broker ids.
func (o object) replicas(key string) (map[int32][]int32, error) {
	lists, err := o.sub(key)
	if err != nil {
		return nil, err
	}
	m := make(map[int32][]int32, len(lists))
	for number, raw := range lists {
		p, err := partitionNumber(number)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", key, err)
		}
		if m[p], err = ids(raw); err != nil {
			return nil, fmt.Errorf("%q: partition %d: %w", key, p, err)
		}
	}
	return m, nil
}

// Topics gives the names of all topics, in order.
func (s *Session) Topics(ctx context.Context) ([]string, error) {
	names, err := s.childrenOf(ctx, TopicsPath)
	slices.Sort(names)
	return names, err
}

// ReadTopics reads the assignments of topics. One that does not exist is left out; one that cannot be read too, and
// is reported.
func (s *Session) ReadTopics(ctx context.Context, names []string) (map[string]TopicAssignment, error) {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = TopicPath(name)
	}
	topics := make(map[string]TopicAssignment, len(names))
	err := s.readAll(ctx, paths, func(i int, data []byte, stat *Stat) error {
		a, err := decodeTopic(data, stat)
		if err == nil {
			topics[names[i]] = a
		}
		return err
	})
	return topics, err
}

// ReadTopic reads one assignment; ErrNoNode when the topic does not exist.
func (s *Session) ReadTopic(ctx context.Context, name string) (TopicAssignment, error) {
	data, stat, err := s.Get(ctx, TopicPath(name))
	if err != nil {
		return TopicAssignment{}, err
	}
	a, err := decodeTopic(data, stat)
	if err != nil {
		return TopicAssignment{}, fmt.Errorf("%s: %w", s.full(TopicPath(name)), err)
	}
	return a, nil
}

// CreateTopic makes a topic: its configuration first, so that it is there when anybody sees the topic, then its
// assignment, which is what makes it exist. Any broker or tool may; the controller finds it by its watch. The error
// carries TOPIC_ALREADY_EXISTS when the topic exists or is still being deleted.
func (s *Session) CreateTopic(ctx context.Context, name string, configs map[string]string, a TopicAssignment) error {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	if _, err := s.Exists(ctx, TopicPath(name)); err == nil {
		return kerr.New(kerr.TopicAlreadyExists, "Topic '%s' already exists.", name)
	} else if !errors.Is(err, ErrNoNode) {
		return err
	}
	if _, err := s.Exists(ctx, DeleteTopicPath(name)); err == nil {
		return kerr.New(kerr.TopicAlreadyExists, "Topic '%s' is marked for deletion.", name)
	} else if !errors.Is(err, ErrNoNode) {
		return err
	}
	data := encodeTopic(a)
	if err := s.fits(name, a, data); err != nil {
		return err
	}
	if err := s.setOrCreateConfig(ctx, TopicEntity(name), configs); err != nil {
		return err
	}
	err := s.createNew(ctx, TopicPath(name), data)
	if errors.Is(err, ErrNodeExists) {
		return kerr.New(kerr.TopicAlreadyExists, "Topic '%s' already exists.", name)
	}
	return err
}

// AddPartitions rewrites the assignment of a topic with more partitions. Any broker or tool may: there is no check of
// the controller's epoch, only that the znode still is the one a was read from.
func (s *Session) AddPartitions(ctx context.Context, name string, a TopicAssignment) error {
	data := encodeTopic(a)
	if err := s.fits(name, a, data); err != nil {
		return err
	}
	_, err := s.setVersion(ctx, TopicPath(name), data, a.ZkVersion)
	return err
}

// fits refuses an assignment that no request can carry: Kafka's brokers lose their connection over it.
func (s *Session) fits(name string, a TopicAssignment, data []byte) error {
	if size := len(s.full(TopicPath(name))) + len(data); size > maxRequest {
		return kerr.New(kerr.InvalidPartitions, "The assignment of %d partitions takes %d bytes, and ZooKeeper %d in one request.",
			len(a.Partitions), size, maxRequest)
	}
	return nil
}

// SetTopic rewrites an assignment as controller, if the znode still is the one a was read from, and gives its new
// version. Kafka's controller writes whatever the version, and so takes back partitions that a tool adds meanwhile.
func (s *Session) SetTopic(ctx context.Context, epoch Epoch, name string, a TopicAssignment) (int32, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	path, data := TopicPath(name), encodeTopic(a)
	_, err := s.checked(ctx, epoch, setOp(path, data, a.ZkVersion), func() (bool, error) {
		return s.wasSet(ctx, path, data, a.ZkVersion)
	})
	return a.ZkVersion + 1, err
}

// MarkTopicDeleted asks the controller to delete a topic. ErrNodeExists: somebody has asked before.
func (s *Session) MarkTopicDeleted(ctx context.Context, name string) error {
	return s.createNew(ctx, DeleteTopicPath(name), nil)
}

// DeleteQueue gives the topics that are marked for deletion, in order.
func (s *Session) DeleteQueue(ctx context.Context) ([]string, error) {
	names, err := s.childrenOf(ctx, DeleteTopicsPath)
	slices.Sort(names)
	return names, err
}

// UnmarkTopics takes topics off the queue without deleting them, as delete.topic.enable=false calls for.
func (s *Session) UnmarkTopics(ctx context.Context, epoch Epoch, names []string) error {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = DeleteTopicPath(name)
	}
	return s.removeAllChecked(ctx, epoch, paths)
}

// RemoveTopic ends the deletion of a topic of which no replica is left: its tree, its configuration, and last its mark,
// so that whoever takes over in between does the rest. Every step may have been done before.
func (s *Session) RemoveTopic(ctx context.Context, epoch Epoch, name string) error {
	numbers, err := s.childrenOf(ctx, PartitionsPath(name))
	if err != nil {
		return err
	}
	slices.SortFunc(numbers, func(a, b string) int {
		x, errX := strconv.Atoi(a)
		y, errY := strconv.Atoi(b)
		if errX != nil || errY != nil {
			return 0
		}
		return x - y
	})
	var paths []string
	for _, number := range numbers {
		partition := PartitionsPath(name) + "/" + number
		paths = append(paths, partition+"/state", partition)
	}
	paths = append(paths, PartitionsPath(name), TopicPath(name))
	err = s.removeAllChecked(ctx, epoch, paths)
	if errors.Is(err, ErrNotEmpty) { // somebody keeps znodes of his own in there
		if paths, err = s.tree(ctx, TopicPath(name), nil); err == nil {
			err = s.removeAllChecked(ctx, epoch, paths)
		}
	}
	if err != nil {
		return err
	}
	return s.removeAllChecked(ctx, epoch, []string{TopicEntity(name).path(), DeleteTopicPath(name)})
}

// tree appends all paths of a tree, children before their parents.
func (s *Session) tree(ctx context.Context, path string, paths []string) ([]string, error) {
	names, err := s.childrenOf(ctx, path)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	for _, name := range names {
		if paths, err = s.tree(ctx, path+"/"+name, paths); err != nil {
			return nil, err
		}
	}
	return append(paths, path), nil
}

// guardsConfigs tells whether configuration is written under a check of /controller, as Kafka does from 3.7 on.
func guardsConfigs(level ibp.Level) bool { return level >= ibp.V3_7_IV0 }
