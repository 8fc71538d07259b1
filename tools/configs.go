package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// kafka-configs (Kafka: ConfigCommand). This file reads the command line of both dialects. Over --bootstrap-server
// configs_brokers.go asks for topics, brokers and loggers, configs_quotas.go for the quotas of users, clients and
// addresses, configs_scram.go for the passwords of users; configs_zookeeper.go works on the znodes.

type configOptions struct {
	*optionSet
	dialect dialect
	args    []string

	common                                 commonOptions
	zookeeper, bootstrap, commandConfig    *option
	alter, describe, every                 *option
	entityType, entityName, entityDefault  *option
	addConfig, addConfigFile, deleteConfig *option
	shortcuts                              []entityShortcut
}

// entityShortcut is a flag that names type and entity at once, such as --topic.
type entityShortcut struct {
	flag       *option
	entityType string
	isDefault  bool
}

// configEntity is what a configuration belongs to. No name and isDefault: the default of all of the type. No name and
// not isDefault: any.
type configEntity struct {
	kind      string // topics, clients, users, brokers, ips, broker-loggers
	name      string
	isDefault bool
}

// isAny reports whether no entity was chosen.
func (e configEntity) isAny() bool { return e.name == "" && !e.isDefault }

// singular is the entity type in a sentence about one of them.
func (e configEntity) singular() string { return strings.TrimSuffix(e.kind, "s") }

func parseConfigOptions(args []string) (*configOptions, error) {
	p := &optionParser{}
	o := &configOptions{dialect: dialectOf(args), args: args}
	o.zookeeper = p.accepts("zookeeper", "ZooKeeper servers to work on, with chroot, in the way of Kafka 1.1.").
		takes("hosts")
	o.bootstrap = p.accepts("bootstrap-server", "Brokers to ask, host:port list.").takes("servers")
	o.commandConfig = p.accepts("command-config", "File of client properties.").takes("file")
	o.alter = p.accepts("alter", "Change the configuration of an entity.")
	o.describe = p.accepts("describe", "Print the configuration of entities.")
	o.entityType = p.accepts("entity-type", "topics, clients, users or brokers (2.8 also ips, broker-loggers).").takes("type")
	o.entityName = p.accepts("entity-name", "The entity.").takes("name")
	o.entityDefault = p.accepts("entity-default", "The default of all entities of the type.")
	o.addConfig = p.accepts("add-config", "What to set: k1=v1,k2=[v1,v2].").takes("name=value,...")
	o.deleteConfig = p.accepts("delete-config", "What to take away: k1,k2.").takes("names")
	p.accepts("force", "Do not ask.")
	o.common.help = p.accepts("help", "Show how the tool is used.")
	none := &option{}
	o.every, o.addConfigFile, o.common.version = none, none, none
	if o.dialect == dialect28 {
		o.common.version = p.accepts("version", "Show the Kafka version whose tools this one speaks like.")
		o.every = p.accepts("all", "Describe the values that are not set as well.")
		o.addConfigFile = p.accepts("add-config-file", "File of properties to set.").takes("file")
		for _, s := range []struct{ flag, kind, text string }{
			{"topic", "topics", "Stands for --entity-type topics --entity-name."},
			{"client", "clients", "Stands for --entity-type clients --entity-name."},
			{"user", "users", "Stands for --entity-type users --entity-name."},
			{"broker", "brokers", "Stands for --entity-type brokers --entity-name."},
			{"broker-logger", "broker-loggers", "Stands for --entity-type broker-loggers --entity-name."},
			{"ip", "ips", "Stands for --entity-type ips --entity-name."},
		} {
			o.shortcuts = append(o.shortcuts, entityShortcut{p.accepts(s.flag, s.text).takes(s.flag), s.kind, false})
		}
		for _, s := range []struct{ flag, kind string }{
			{"client-defaults", "clients"}, {"user-defaults", "users"}, {"broker-defaults", "brokers"}, {"ip-defaults", "ips"},
		} {
			flag := p.accepts(s.flag, "Stands for --entity-type "+s.kind+" --entity-default.")
			o.shortcuts = append(o.shortcuts, entityShortcut{flag, s.kind, true})
		}
	}
	set, err := p.parse(args)
	o.optionSet = set
	return o, err
}

// entities pairs the types with the names, in the order in which the flags came, and reports whether there are names
// without a type. An empty name is the default, as it is on the wire.
func (o *configOptions) entities() (entities []configEntity, tooManyNames bool) {
	for _, kind := range o.values[o.entityType] {
		entities = append(entities, configEntity{kind: kind})
	}
	next, names := 0, o.values[o.entityName]
	for _, flag := range o.order {
		if flag != o.entityName && flag != o.entityDefault {
			continue
		}
		if next == len(entities) {
			tooManyNames = true
			break
		}
		if flag == o.entityName {
			entities[next].name, names = names[0], names[1:]
		}
		entities[next].isDefault = entities[next].name == ""
		next++
	}
	for _, s := range o.shortcuts {
		if !o.has(s.flag) {
			continue
		}
		e := configEntity{kind: s.entityType}
		if !s.isDefault {
			e.name = o.str(s.flag)
		}
		e.isDefault = e.name == ""
		entities = append(entities, e)
	}
	return entities, tooManyNames
}

func runConfigs(ctx context.Context, args []string, io stdio) int {
	o, err := parseConfigOptions(args)
	if err != nil {
		fmt.Fprintln(io.Err, err)
		return 1
	}
	const purpose = "Prints and changes the configuration of topics, brokers, users, clients and addresses."
	if done, err := o.checkCommon(o.common, args, purpose, io.Out); done {
		return exitStatus(io.Err, err)
	}
	entities, err := o.check(ctx)
	if err == nil {
		if o.dialect == dialect11 {
			err = o.runOnZooKeeper(ctx, entities, io)
		} else {
			err = o.runOnBrokers(ctx, entities, io)
		}
	}
	return o.report(err, io)
}

// report ends the tool: wrong arguments are said in one line, everything else with the arguments and the error.
func (o *configOptions) report(err error, io stdio) int {
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		return exitStatus(io.Err, err)
	}
	switch j := asJava(err); {
	case j.class == "java.lang.IllegalArgumentException" || j.class == invalidConfigException:
		fmt.Fprintln(io.Err, j.message)
	default:
		fmt.Fprintf(io.Err, "Error while executing config command with args '%s'\n", strings.Join(o.args, " "))
		fmt.Fprint(io.Err, stackTrace(err))
	}
	return 1
}

// invalidConfigException is the tool's own complaint about a key, in difference to a broker's.
const invalidConfigException = "kafka.common.InvalidConfigException"

func invalidConfigs(what string, names []string) error {
	return &javaError{class: invalidConfigException, message: what + ": " + strings.Join(names, ",")}
}

// without gives the names that are not among known.
func without[V any](names []string, known map[string]V) []string {
	var unknown []string
	for _, name := range names {
		if _, ok := known[name]; !ok {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// added reads --add-config and --add-config-file. Brackets keep the commas of a list together.
func (o *configOptions) added() (map[string]string, error) {
	configs := make(map[string]string)
	if o.has(o.addConfigFile) {
		props, err := loadProperties(o.str(o.addConfigFile))
		if err != nil {
			return nil, err
		}
		configs = props.Map()
	}
	for _, word := range splitOutsideBrackets(o.str(o.addConfig)) {
		name, value, ok := strings.Cut(word, "=")
		if !ok {
			return nil, illegalArgument(`requirement failed: Invalid entity config: all configs to be added must be ` +
				`in the format "key=val".`)
		}
		value = strings.TrimSpace(value)
		if strings.HasPrefix(value, "[") && strings.HasSuffix(value, "]") {
			value = value[1 : len(value)-1]
		}
		configs[strings.TrimSpace(name)] = value
	}
	return configs, o.err
}

// deleted reads --delete-config.
func (o *configOptions) deleted() []string {
	var names []string
	for _, list := range o.values[o.deleteConfig] {
		for name := range strings.SplitSeq(list, ",") {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return names
}

// splitOutsideBrackets splits at the commas that stand outside of [ and ].
func splitOutsideBrackets(text string) []string {
	if text == "" {
		return nil
	}
	var words []string
	depth, begin := 0, 0
	for i, c := range text {
		switch {
		case c == '[':
			depth++
		case c == ']':
			depth--
		case c == ',' && depth == 0:
			words = append(words, text[begin:i])
			begin = i + 1
		}
	}
	return append(words, text[begin:])
}
