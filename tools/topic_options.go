package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/kerr"
)

// The command line of kafka-topics in both dialects.

// topicOptions are the flags of kafka-topics.
type topicOptions struct {
	*optionSet
	dialect dialect

	common                                                                 commonOptions
	bootstrap, commandConfig, zookeeper                                    *option
	list, create, alter, describe, delete                                  *option
	topic, partitions, replicationFactor, assignment, config, deleteConfig *option
	underReplicated, unavailable, underMinISR, atMinISR, withOverrides     *option
	ifExists, ifNotExists, disableRackAware, excludeInternal, topicID      *option
}

func parseTopicOptions(args []string) (*topicOptions, error) {
	p := &optionParser{}
	o := &topicOptions{dialect: dialectOf(args)}
	o.zookeeper = p.accepts("zookeeper", "ZooKeeper servers to work on, with chroot, in the way of Kafka 1.1.").
		takes("hosts")
	o.list = p.accepts("list", "Print the names of the topics.")
	o.create = p.accepts("create", "Make a topic.")
	o.alter = p.accepts("alter", "Change the number of partitions (with --zookeeper also the configuration).")
	o.describe = p.accepts("describe", "Print what the topics consist of.")
	o.delete = p.accepts("delete", "Delete topics.")
	o.topic = p.accepts("topic", "The topic; a regular expression, except for --create.").takes("topic")
	o.partitions = p.accepts("partitions", "How many partitions the topic shall have.").takes("# of partitions").of("Integer")
	o.replicationFactor = p.accepts("replication-factor", "How many brokers shall hold each partition.").
		takes("replication factor").of("Integer")
	o.assignment = p.accepts("replica-assignment", "Brokers by hand: a comma between partitions, a colon between replicas.").
		takes("0:1,1:0")
	o.config = p.accepts("config", "A configuration entry of the topic; may be repeated.").takes("name=value")
	o.deleteConfig = p.accepts("delete-config", "An entry to go back to its default.").takes("name")
	o.underReplicated = p.accepts("under-replicated-partitions", "Describe only partitions that miss replicas.")
	o.unavailable = p.accepts("unavailable-partitions", "Describe only partitions without a living leader.")
	o.withOverrides = p.accepts("topics-with-overrides", "Describe only topics with a configuration of their own.")
	o.ifExists = p.accepts("if-exists", "Do nothing when the topic is not there.")
	o.ifNotExists = p.accepts("if-not-exists", "Do nothing when the topic is there already.")
	o.disableRackAware = p.accepts("disable-rack-aware", "Place replicas without a look at the racks.")
	p.accepts("force", "Do not ask.")
	o.common.help = p.accepts("help", "Show how the tool is used.")
	if o.dialect == dialect28 {
		o.common.version = p.accepts("version", "Show the Kafka version whose tools this one speaks like.")
		o.bootstrap = p.accepts("bootstrap-server", "Brokers to ask, host:port list.").takes("servers")
		o.commandConfig = p.accepts("command-config", "File of client properties.").takes("file")
		o.underMinISR = p.accepts("under-min-isr-partitions", "Describe only partitions with too few replicas in sync.")
		o.atMinISR = p.accepts("at-min-isr-partitions", "Describe only partitions with just enough replicas in sync.")
		o.excludeInternal = p.accepts("exclude-internal", "Leave out the topics Kafka keeps for itself.")
		o.topicID = p.accepts("topic-id", "Describe the topic of this id.").takes("id")
		p.accepts("partition-size-limit-per-response", "Accepted for 3.9's sake; all partitions come in one answer.").
			takes("partitions").of("Integer")
	} else {
		none := &option{} // never given
		o.common.version, o.bootstrap, o.commandConfig, o.underMinISR, o.atMinISR, o.excludeInternal, o.topicID =
			none, none, none, none, none, none, none
	}
	set, err := p.parse(args)
	o.optionSet = set
	return o, err
}

// check applies the rules between the flags in the order in which Kafka reports them.
func (o *topicOptions) check() error {
	actions := []*option{o.list, o.create, o.alter, o.describe, o.delete}
	given := slices.DeleteFunc(slices.Clone(actions), func(a *option) bool { return !o.has(a) })
	if len(given) != 1 {
		return &usageError{o.parser, "Command must include exactly one action: --list, --describe, --create, --alter " +
			"or --delete"}
	}
	if o.has(o.bootstrap) == o.has(o.zookeeper) {
		return illegalArgument("Only one of --bootstrap-server or --zookeeper must be specified")
	}
	if err := o.checkMissing(); err != nil {
		return err
	}
	reports := []*option{o.underReplicated, o.unavailable, o.underMinISR, o.atMinISR, o.withOverrides}
	for _, rule := range []struct {
		used    *option
		actions []*option // for which it may be used
		against []*option // with which it may not
	}{
		{o.config, []*option{o.alter, o.create}, nil},
		{o.deleteConfig, []*option{o.alter}, []*option{o.bootstrap}},
		{o.partitions, []*option{o.alter, o.create}, nil},
		{o.replicationFactor, []*option{o.create}, nil},
		{o.assignment, []*option{o.create, o.alter}, nil},
		{o.underReplicated, []*option{o.describe}, reports},
		{o.unavailable, []*option{o.describe}, reports},
		{o.underMinISR, []*option{o.describe}, reports},
		{o.atMinISR, []*option{o.describe}, reports},
		{o.withOverrides, []*option{o.describe}, reports},
		{o.ifExists, o.ifExistsActions(), nil},
		{o.ifNotExists, []*option{o.create}, nil},
		{o.excludeInternal, []*option{o.list, o.describe}, nil},
	} {
		var others []*option
		for _, a := range actions {
			if !slices.Contains(rule.actions, a) {
				others = append(others, a)
			}
		}
		for _, a := range rule.against {
			if a != rule.used {
				others = append(others, a)
			}
		}
		if err := o.exclude(o.dialect, rule.used, others...); err != nil {
			return err
		}
	}
	if o.has(o.create) {
		return o.exclude(o.dialect, o.assignment, o.partitions, o.replicationFactor)
	}
	return nil
}

func (o *topicOptions) ifExistsActions() []*option {
	if o.dialect == dialect11 {
		return []*option{o.alter, o.delete}
	}
	return []*option{o.alter, o.delete, o.describe}
}

func (o *topicOptions) checkMissing() error {
	if !o.has(o.list) && (!o.has(o.describe) || o.has(o.ifExists) && o.dialect == dialect28) {
		if err := o.require(o.topic); err != nil {
			return err
		}
	}
	if o.has(o.create) && !o.has(o.assignment) && o.has(o.zookeeper) {
		return o.require(o.partitions, o.replicationFactor)
	}
	if o.has(o.bootstrap) && o.has(o.alter) {
		if o.has(o.config) {
			return &usageError{o.parser, `Option combination "[bootstrap-server],[config]" can't be used with option ` +
				`"[alter]" (the kafka-configs CLI supports altering topic configs with a --bootstrap-server option)`}
		}
		return o.require(o.partitions)
	}
	return nil
}

// newTopic is the topic a command line describes.
type newTopic struct {
	name       string
	partitions int // -1: not said
	factor     int // -1: not said
	assignment [][]int32
	configs    map[string]string
}

// newTopic reads the flags of --create and --alter.
func (o *topicOptions) newTopic() (newTopic, error) {
	t := newTopic{name: o.str(o.topic), partitions: -1, factor: -1}
	if o.has(o.partitions) {
		t.partitions = o.int(o.partitions)
	}
	if o.has(o.replicationFactor) {
		t.factor = o.int(o.replicationFactor)
	}
	if o.err != nil {
		return t, o.err
	}
	var err error
	if o.has(o.assignment) {
		if t.assignment, err = parseAssignment(o.str(o.assignment)); err != nil {
			return t, err
		}
	}
	t.configs, err = parseTopicConfigs(o.all(o.config))
	return t, err
}

// parseAssignment reads "0:1,1:0": the replicas of each partition, all the same number and none twice.
func parseAssignment(text string) ([][]int32, error) {
	var partitions [][]int32
	for i, list := range strings.Split(text, ",") {
		var replicas []int32
		var twice []string
		for id := range strings.SplitSeq(list, ":") {
			n, err := strconv.ParseInt(strings.TrimSpace(id), 10, 32)
			if err != nil {
				return nil, &javaError{class: "java.lang.NumberFormatException", message: `For input string: "` + id + `"`}
			}
			if slices.Contains(replicas, int32(n)) {
				twice = append(twice, id)
			}
			replicas = append(replicas, int32(n))
		}
		if len(twice) > 0 {
			return nil, &javaError{
				class:   "kafka.common.AdminCommandFailedException",
				message: "Partition replica lists may not contain duplicate entries: " + strings.Join(twice, ","),
			}
		}
		partitions = append(partitions, replicas)
		if len(replicas) != len(partitions[0]) {
			return nil, &javaError{
				class:   "kafka.admin.AdminOperationException",
				message: fmt.Sprintf("Partition %d has different replication factor: %v", i, replicas),
			}
		}
	}
	return partitions, nil
}

// parseTopicConfigs reads the words of --config and checks keys and values before any broker is asked.
func parseTopicConfigs(words []string) (map[string]string, error) {
	configs := make(map[string]string)
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		if !ok {
			return nil, illegalArgument(`requirement failed: Invalid topic config: all configs to be added must be ` +
				`in the format "key=val".`)
		}
		configs[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	return configs, checkTopicConfigs(configs)
}

// checkTopicConfigs gives Kafka's error for the first key or value of a topic configuration that is wrong.
func checkTopicConfigs(configs map[string]string) error {
	defaults, _, err := config.New(map[string]string{"zookeeper.connect": "none"})
	if err != nil {
		return err
	}
	_, err = defaults.Topic(configs)
	if err == nil {
		return nil
	}
	class := configException
	if strings.HasPrefix(kerr.MessageOf(err), "Unknown topic config") {
		class = kafkaErrors + "InvalidConfigurationException"
	}
	return &javaError{class: class, message: kerr.MessageOf(err)}
}

// topicFilter reads a topic expression as Kafka's TopicFilter: blanks and quotes around it go, a comma means or, the
// whole name must match. Not given, everything matches.
func topicFilter(expression string, given bool) (func(name string) bool, error) {
	if !given {
		return func(string) bool { return true }, nil
	}
	text := strings.NewReplacer(",", "|", " ", "").Replace(expression)
	text = strings.Trim(text, `"'`)
	re, err := regexp.Compile("^(?:" + text + ")$")
	if err != nil {
		return nil, &javaError{class: "java.lang.RuntimeException", message: text + " is an invalid regex."}
	}
	return re.MatchString, nil
}
