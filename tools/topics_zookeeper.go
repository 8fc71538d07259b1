package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// kafka-topics --zookeeper, as Kafka 1.1 (TopicCommand, AdminZkClient): the tool itself reads and writes the znodes, and
// the controller finds out by its watches. Describing needs no living broker.

type zookeeperTopics struct {
	*topicOptions
	session *zkmeta.Session
	out     io.Writer
}

func (o *topicOptions) runOnZooKeeper(ctx context.Context, io stdio) error {
	session, closeSession, err := openZooKeeper(ctx, o.str(o.zookeeper), io.Err)
	if err != nil {
		return err
	}
	defer closeSession()
	return o.act(ctx, &zookeeperTopics{topicOptions: o, session: session, out: io.Out})
}

// names lists the topics the flags choose, sorted.
func (z *zookeeperTopics) names(ctx context.Context) ([]string, error) {
	keep, err := topicFilter(z.str(z.topic), z.has(z.topic))
	if err == nil {
		err = z.err
	}
	if err != nil {
		return nil, err
	}
	all, err := z.session.Topics(ctx)
	return slices.DeleteFunc(all, func(name string) bool { return !keep(name) }), err
}

// existingNames is names, an error when none is there and --if-exists was not given.
func (z *zookeeperTopics) existingNames(ctx context.Context) ([]string, error) {
	names, err := z.names(ctx)
	if err == nil && len(names) == 0 && !z.has(z.ifExists) {
		err = illegalArgument("Topic %s does not exist on ZK path %s", z.str(z.topic), z.str(z.zookeeper))
	}
	return names, err
}

func (z *zookeeperTopics) runCreate(ctx context.Context) error {
	n, err := z.newTopic()
	if err != nil {
		return err
	}
	if hasCollisionChars(n.name) {
		fmt.Fprintln(z.out, collisionWarning)
	}
	assignment := make(map[int32][]int32)
	for i, replicas := range n.assignment {
		assignment[int32(i)] = replicas
	}
	if n.assignment == nil {
		if assignment, err = z.assign(ctx, 0, n.partitions, n.factor, nil); err != nil {
			return err
		}
	}
	err = z.create(ctx, n, assignment)
	if z.has(z.ifNotExists) && isKafkaError(err, kerr.TopicAlreadyExists) {
		return nil
	}
	if err == nil {
		fmt.Fprintf(z.out, "Created topic \"%s\".\n", n.name)
	}
	return err
}

// create checks the name as 1.1 does and writes the topic.
func (z *zookeeperTopics) create(ctx context.Context, n newTopic, assignment map[int32][]int32) error {
	if err := checkTopicName11(n.name); err != nil {
		return err
	}
	all, err := z.session.Topics(ctx)
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return !topic.Collides(name, n.name) })
	if !slices.Contains(all, n.name) && len(others) > 0 {
		return kerr.New(kerr.InvalidTopicException, "Topic '%s' collides with existing topics: %s", n.name,
			strings.Join(others, ", "))
	}
	return z.session.CreateTopic(ctx, n.name, n.configs, zkmeta.TopicAssignment{Partitions: assignment})
}

// checkTopicName11 is the rule of every version in the words of 1.1 (Kafka: Topic.validate).
func checkTopicName11(name string) error {
	switch {
	case topic.ValidateName(name) == nil:
		return nil
	case name == "":
		return kerr.New(kerr.InvalidTopicException, "Topic name is illegal, it can't be empty")
	case name == "." || name == "..":
		return kerr.New(kerr.InvalidTopicException, `Topic name cannot be "." or ".."`)
	case len(name) > topic.MaxNameLength:
		return kerr.New(kerr.InvalidTopicException,
			"Topic name is illegal, it can't be longer than %d characters, topic name: %s", topic.MaxNameLength, name)
	}
	return kerr.New(kerr.InvalidTopicException,
		"Topic name \"%s\" is illegal, it contains a character other than ASCII alphanumerics, '.', '_' and '-'", name)
}

// assign spreads new partitions, first being the number of those there are, over the live brokers. existing are the
// replicas of partition 0, from whose leader a growing topic goes on.
func (z *zookeeperTopics) assign(
	ctx context.Context, first, partitions, factor int, existing []int32,
) (map[int32][]int32, error) {
	registered, err := z.session.Brokers(ctx)
	if err != nil && !errors.Is(err, zkmeta.ErrNoNode) {
		return nil, err
	}
	var brokers []topic.BrokerRack
	for _, id := range slices.Sorted(maps.Keys(registered)) {
		rack := registered[id].Rack
		if z.has(z.disableRackAware) {
			rack = ""
		}
		brokers = append(brokers, topic.BrokerRack{ID: id, Rack: rack})
	}
	if err := checkRacks(brokers); err != nil {
		return nil, err
	}
	if len(existing) == 0 {
		return spreadAnywhere(brokers, partitions, factor)
	}
	start := max(0, slices.IndexFunc(brokers, func(b topic.BrokerRack) bool { return b.ID >= existing[0] }))
	return topic.AssignReplicas(brokers, int32(first), int32(partitions), factor, start, start)
}

func (z *zookeeperTopics) runAlter(ctx context.Context) error {
	names, err := z.existingNames(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if z.has(z.config) || z.has(z.deleteConfig) {
			if err := z.alterConfig(ctx, name); err != nil {
				return err
			}
		}
		if z.has(z.partitions) {
			if err := z.addPartitions(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (z *zookeeperTopics) alterConfig(ctx context.Context, name string) error {
	fmt.Fprintln(z.out, "WARNING: Altering topic configuration from this script has been deprecated and may be removed "+
		"in future releases.")
	fmt.Fprintln(z.out, "         Going forward, please use kafka-configs.sh for this functionality")
	configs, err := z.session.ReadConfig(ctx, zkmeta.TopicEntity(name))
	if err != nil {
		return err
	}
	added, err := parseTopicConfigs(z.all(z.config))
	if err != nil {
		return err
	}
	maps.Copy(configs, added)
	for _, key := range z.all(z.deleteConfig) {
		delete(configs, strings.TrimSpace(key))
	}
	if err := checkTopicConfigs(configs); err != nil {
		return err
	}
	if err := z.session.WriteConfig(ctx, zkmeta.TopicEntity(name), configs); err != nil {
		return err
	}
	fmt.Fprintf(z.out, "Updated config for topic \"%s\".\n", name)
	return nil
}

func (z *zookeeperTopics) addPartitions(ctx context.Context, name string) error {
	if name == topic.ConsumerOffsets {
		return illegalArgument("The number of partitions for the offsets topic cannot be changed.")
	}
	fmt.Fprintln(z.out, "WARNING: If partitions are increased for a topic that has a key, the partition logic or ordering "+
		"of the messages will be affected")
	n, err := z.newTopic()
	if err != nil {
		return err
	}
	now, err := z.session.ReadTopic(ctx, name)
	if err != nil {
		return err
	}
	have := len(now.Partitions)
	if n.partitions <= have {
		return kerr.New(kerr.InvalidPartitions, "The number of partitions for a topic can only be increased. Topic %s "+
			"currently has %d partitions, %d would not be an increase.", name, have, n.partitions)
	}
	first, ok := now.Partitions[0]
	if !ok {
		return adminOperation("Unexpected existing replica assignment for topic '" + name + "', partition id 0 is missing.")
	}
	more := make(map[int32][]int32)
	for i := have; i < len(n.assignment); i++ {
		more[int32(i)] = n.assignment[i]
	}
	if n.assignment == nil {
		if more, err = z.assign(ctx, have, n.partitions-have, len(first), first); err != nil {
			return err
		}
	}
	maps.Copy(now.Partitions, more)
	if err := z.session.AddPartitions(ctx, name, now); err != nil {
		return err
	}
	fmt.Fprintln(z.out, "Adding partitions succeeded!")
	return nil
}

func (z *zookeeperTopics) runList(ctx context.Context) error {
	names, err := z.names(ctx)
	if err != nil {
		return err
	}
	marked, err := z.session.DeleteQueue(ctx)
	for _, name := range names {
		if slices.Contains(marked, name) {
			name += " - marked for deletion"
		}
		fmt.Fprintln(z.out, name)
	}
	return err
}

func (z *zookeeperTopics) runDelete(ctx context.Context) error {
	names, err := z.existingNames(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if topic.IsInternal(name) {
			return adminOperation("Topic " + name + " is a kafka internal topic and is not allowed to be marked for deletion.")
		}
		switch err := z.session.MarkTopicDeleted(ctx, name); {
		case errors.Is(err, zkmeta.ErrNodeExists):
			fmt.Fprintf(z.out, "Topic %s is already marked for deletion.\n", name)
		case err != nil:
			return adminOperation("Error while deleting topic " + name)
		default:
			fmt.Fprintf(z.out, "Topic %s is marked for deletion.\n", name)
			fmt.Fprintln(z.out, "Note: This will have no impact if delete.topic.enable is not set to true.")
		}
	}
	return nil
}

func (z *zookeeperTopics) runDescribe(ctx context.Context) error {
	names, err := z.names(ctx)
	if err != nil {
		return err
	}
	topics, err := z.session.ReadTopics(ctx, names)
	if err != nil {
		return err
	}
	marked, err := z.session.DeleteQueue(ctx)
	if err != nil {
		return err
	}
	live, err := z.session.Brokers(ctx)
	if err != nil && !errors.Is(err, zkmeta.ErrNoNode) {
		return err
	}
	for _, name := range names {
		a, ok := topics[name]
		if !ok {
			fmt.Fprintf(z.out, "Topic %s doesn't exist!\n", name)
			continue
		}
		if err := z.describeTopic(ctx, name, a, slices.Contains(marked, name), live); err != nil {
			return err
		}
	}
	return nil
}

func (z *zookeeperTopics) describeTopic(ctx context.Context, name string, a zkmeta.TopicAssignment, marked bool,
	live map[int32]zkmeta.BrokerInfo) error {
	filtered := z.has(z.underReplicated) || z.has(z.unavailable)
	if !filtered {
		configs, err := z.session.ReadConfig(ctx, zkmeta.TopicEntity(name))
		if err != nil {
			return err
		}
		if len(configs) > 0 || !z.has(z.withOverrides) {
			z.printTopic(name, a, configs, marked)
		}
	}
	if z.has(z.withOverrides) {
		return nil
	}
	var partitions []topic.Partition
	for _, id := range slices.Sorted(maps.Keys(a.Partitions)) {
		partitions = append(partitions, topic.Partition{Topic: name, ID: id})
	}
	states, err := z.session.ReadStates(ctx, partitions)
	if err != nil {
		return err
	}
	for _, p := range partitions {
		state, known := states[p]
		replicas := a.Partitions[p.ID]
		_, alive := live[state.Leader]
		if filtered && !(z.has(z.underReplicated) && len(state.ISR) < len(replicas)) &&
			!(z.has(z.unavailable) && (!known || !alive)) {
			continue
		}
		leader := "none" // no state yet; a leader that is lost shows as -1
		if known {
			leader = strconv.Itoa(int(state.Leader))
		}
		mark := ""
		if marked && filtered {
			mark = "\tMarkedForDeletion: true"
		}
		fmt.Fprintf(z.out, "\tTopic: %s\tPartition: %d\tLeader: %s\tReplicas: %s\tIsr: %s%s\n",
			name, p.ID, leader, joinIDs(replicas), joinIDs(state.ISR), mark)
	}
	return nil
}

func (z *zookeeperTopics) printTopic(name string, a zkmeta.TopicAssignment, configs map[string]string, marked bool) {
	mark := ""
	if marked {
		mark = "\tMarkedForDeletion:true"
	}
	factor := 0
	for _, id := range slices.Sorted(maps.Keys(a.Partitions)) {
		factor = len(a.Partitions[id])
		break
	}
	fmt.Fprintf(z.out, "Topic:%s\tPartitionCount:%d\tReplicationFactor:%d\tConfigs:%s%s\n",
		name, len(a.Partitions), factor, joinConfigs(configs), mark)
}

// joinConfigs is k=v,k2=v2, sorted.
func joinConfigs(configs map[string]string) string {
	var words []string
	for _, key := range slices.Sorted(maps.Keys(configs)) {
		words = append(words, key+"="+configs[key])
	}
	return strings.Join(words, ",")
}
