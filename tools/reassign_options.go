package main

import (
	"fmt"
	"slices"
)

// The command line of kafka-reassign-partitions in both dialects.

// reassignOptions are its flags.
type reassignOptions struct {
	*optionSet
	dialect dialect

	common                                      commonOptions
	zookeeper, bootstrap, commandConfig         *option
	generate, execute, verify, cancel, list     *option
	planFile, topicsFile, brokerList            *option
	throttle, logDirThrottle, timeout           *option
	disableRackAware, additional, keepThrottles *option
}

func parseReassignOptions(args []string) (*reassignOptions, error) {
	p := &optionParser{}
	o := &reassignOptions{dialect: dialectOf(args)}
	o.zookeeper = p.accepts("zookeeper", "ZooKeeper servers to work on, with chroot, in the way of Kafka 1.1.").
		takes("hosts")
	o.bootstrap = p.accepts("bootstrap-server", "Brokers to ask, host:port list; with --zookeeper only about log "+
		"directories.").takes("servers")
	o.generate = p.accepts("generate", "Propose an assignment; nothing is changed.")
	o.execute = p.accepts("execute", "Begin to move the replicas as --reassignment-json-file says.")
	o.verify = p.accepts("verify", "Print how far the moves of --reassignment-json-file are; when all are done, throttles "+
		"are removed.")
	o.planFile = p.accepts("reassignment-json-file", "The assignment: {\"version\":1,\"partitions\":[{\"topic\":\"t\","+
		"\"partition\":0,\"replicas\":[1,2],\"log_dirs\":[\"any\",\"/data/1\"]}]}; log_dirs may be left out.").takes("file")
	o.topicsFile = p.accepts("topics-to-move-json-file", "What --generate is for: {\"version\":1,\"topics\":[{\"topic\":"+
		"\"t\"}]}.").takes("file")
	o.brokerList = p.accepts("broker-list", "Comma list of the broker ids --generate may use.").takes("0,1,2")
	o.disableRackAware = p.accepts("disable-rack-aware", "Place replicas without a look at the racks.")
	o.throttle = p.accepts("throttle", "Bytes a second that may be copied between brokers for the moves; -1 for no limit.").
		takes("B/s").of("Long").or("-1")
	o.logDirThrottle = p.accepts("replica-alter-log-dirs-throttle", "Bytes a second that may be copied between the log "+
		"directories of a broker; -1 for no limit.").takes("B/s").of("Long").or("-1")
	o.timeout = p.accepts("timeout", "How long moves between log directories may take to begin, in ms.").
		takes("ms").of("Long").or("10000")
	none := &option{} // never given
	o.cancel, o.list, o.additional, o.keepThrottles, o.commandConfig = none, none, none, none, none
	o.common = commonOptions{none, none}
	if o.dialect == dialect28 {
		o.common = p.acceptCommon()
		o.cancel = p.accepts("cancel", "End the moves of --reassignment-json-file; the replicas are those of before again.")
		o.list = p.accepts("list", "Print the moves that are on their way.")
		o.additional = p.accepts("additional", "Execute although others are on their way; also changes their throttle.")
		o.keepThrottles = p.accepts("preserve-throttles", "Leave the throttles as they are.")
		o.commandConfig = p.accepts("command-config", "File of client properties.").takes("file")
	}
	set, err := p.parse(args)
	o.optionSet = set
	return o, err
}

// check applies the rules between the flags in the order in which Kafka reports them.
func (o *reassignOptions) check() error {
	actions := []*option{o.generate, o.execute, o.verify, o.cancel, o.list}
	given := slices.DeleteFunc(slices.Clone(actions), func(a *option) bool { return !o.has(a) })
	if o.dialect == dialect11 {
		return o.check11(given)
	}
	if len(given) != 1 {
		return &usageError{o.parser, "Command must include exactly one action: --generate, --execute, --verify, --cancel, --list"}
	}
	if !o.has(o.bootstrap) {
		return &usageError{o.parser, "Please specify --bootstrap-server"}
	}
	required := map[*option][]*option{
		o.generate: {o.topicsFile, o.brokerList},
		o.execute:  {o.planFile},
		o.verify:   {o.planFile},
		o.cancel:   {o.planFile},
	}[given[0]]
	if err := o.require(required...); err != nil {
		return err
	}
	permitted := map[*option][]*option{
		o.generate: {o.disableRackAware},
		o.execute:  {o.additional, o.throttle, o.logDirThrottle, o.timeout},
		o.verify:   {o.keepThrottles},
		o.cancel:   {o.keepThrottles, o.timeout},
	}[given[0]]
	allowed := slices.Concat(given, required, permitted, []*option{o.bootstrap, o.commandConfig})
	for _, used := range o.order {
		if !slices.Contains(allowed, used) {
			return &usageError{o.parser, fmt.Sprintf(`Option "[%s]" can't be used with action "[%s]"`, used.name, given[0].name)}
		}
	}
	return nil
}

func (o *reassignOptions) check11(given []*option) error {
	if len(given) != 1 {
		return &usageError{o.parser, "Command must include exactly one action: --generate, --execute or --verify"}
	}
	switch given[0] {
	case o.verify:
		if !o.has(o.planFile) {
			return &usageError{o.parser, "If --verify option is used, command must include --reassignment-json-file that was " +
				"used during the --execute option"}
		}
		return o.exclude(o.dialect, o.verify, o.throttle, o.logDirThrottle, o.topicsFile, o.disableRackAware, o.brokerList)
	case o.generate:
		if !o.has(o.topicsFile) || !o.has(o.brokerList) {
			return &usageError{o.parser, "If --generate option is used, command must include both --topics-to-move-json-file " +
				"and --broker-list options"}
		}
		return o.exclude(o.dialect, o.generate, o.throttle, o.logDirThrottle, o.planFile)
	default:
		if !o.has(o.planFile) {
			return &usageError{o.parser, "If --execute option is used, command must include --reassignment-json-file that was " +
				"output during the --generate option"}
		}
		return o.exclude(o.dialect, o.execute, o.topicsFile, o.disableRackAware, o.brokerList)
	}
}
