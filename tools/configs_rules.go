package main

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
)

// The rules between the flags of kafka-configs, in the order in which Kafka's tools report them (Kafka: ConfigCommand,
// checkArgs).

// The entity types each dialect knows, in the order its message lists them.
var (
	entityTypes28 = []string{"topics", "clients", "users", "brokers", "ips", "broker-loggers"}
	entityTypes11 = []string{"topics", "clients", "users", "brokers"}
)

// check gives the entities of a command line that follows the rules of its dialect. ctx is for the name service, which
// is asked about an address that is none.
func (o *configOptions) check(ctx context.Context) ([]configEntity, error) {
	if o.has(o.alter) == o.has(o.describe) {
		return nil, &usageError{o.parser, "Command must include exactly one action: --describe, --alter"}
	}
	if err := o.exclude(o.dialect, o.describe, o.addConfig, o.deleteConfig); err != nil {
		return nil, err
	}
	entities, tooManyNames := o.entities()
	if o.err != nil {
		return nil, o.err
	}
	var err error
	if o.dialect == dialect11 {
		err = o.check11(entities)
	} else {
		err = o.check28(ctx, entities)
	}
	if err == nil {
		err = o.checkNames(entities, tooManyNames)
	}
	return entities, err
}

// checkNames wants a name or default for each type that is changed, and no name without a type.
func (o *configOptions) checkNames(entities []configEntity, tooManyNames bool) error {
	quotas := slices.ContainsFunc(entities, func(e configEntity) bool { return slices.Contains(quotaEntities, e.kind) })
	unnamed := slices.ContainsFunc(entities, configEntity.isAny)
	switch {
	case o.dialect == dialect28 && o.has(o.alter) && (unnamed || tooManyNames):
		return illegalArgument("An entity name must be specified for every entity type")
	case o.dialect == dialect28 && quotas && tooManyNames:
		return illegalArgument("More entity names specified than entity types")
	case o.dialect == dialect11 && quotas && o.has(o.alter) && (unnamed || tooManyNames):
		return illegalArgument("--entity-name or --entity-default must be specified with each --entity-type for --alter")
	}
	return nil
}

func (o *configOptions) check28(ctx context.Context, entities []configEntity) error {
	for i, e := range entities {
		for _, before := range entities[:i] {
			if before.kind == e.kind {
				return illegalArgument("Duplicate entity type(s) specified: %s", e.kind)
			}
		}
		if !slices.Contains(entityTypes28, e.kind) {
			return illegalArgument("Invalid entity type %s, the entity type must be one of %s with the --bootstrap-server "+
				"argument", e.kind, strings.Join(entityTypes28, ","))
		}
	}
	if len(entities) == 0 {
		return illegalArgument("At least one entity type must be specified")
	}
	if err := checkPair(entities); err != nil {
		return err
	}
	if o.has(o.entityType) || o.has(o.entityName) || o.has(o.entityDefault) {
		for _, s := range o.shortcuts {
			if o.has(s.flag) {
				return illegalArgument("--entity-{type,name,default} should not be used in conjunction with specific " +
					"entity flags")
			}
		}
	}
	if !o.has(o.bootstrap) {
		return illegalArgument("One of the required --bootstrap-server or --zookeeper arguments must be specified")
	}
	kind, name := entities[0].kind, entities[0].name
	byNumber := kind == "brokers" || kind == "broker-loggers"
	if _, err := strconv.ParseInt(name, 10, 32); err != nil && name != "" && byNumber {
		return illegalArgument("The entity name for %s must be a valid integer broker id, but it is: %s", kind, name)
	}
	if kind == "ips" && name != "" && !isAddress(ctx, name) {
		return illegalArgument("The entity name for %s must be a valid IP or resolvable host, but it is: %s", kind, name)
	}
	if o.has(o.describe) && kind == "broker-loggers" && name == "" {
		return illegalArgument("an entity name must be specified with --describe of %s", kind)
	}
	if !o.has(o.alter) {
		return nil
	}
	switch kind {
	case "topics", "broker-loggers":
		if name == "" {
			return illegalArgument("an entity name must be specified with --alter of %s", kind)
		}
	default:
		if !slices.ContainsFunc(entities, func(e configEntity) bool { return !e.isAny() }) {
			return illegalArgument("an entity-name or default entity must be specified with --alter of users, " +
				"clients, brokers or ips")
		}
	}
	if o.has(o.addConfig) && o.has(o.addConfigFile) {
		return illegalArgument("Only one of --add-config or --add-config-file must be specified")
	}
	if !o.has(o.addConfig) && !o.has(o.addConfigFile) && !o.has(o.deleteConfig) {
		return illegalArgument("At least one of --add-config, --add-config-file, or --delete-config must be specified " +
			"with --alter")
	}
	return nil
}

// isAddress reports whether name is an IP address or the name of a host that has one.
func isAddress(ctx context.Context, name string) bool {
	_, err := net.DefaultResolver.LookupHost(ctx, name)
	return err == nil
}

func (o *configOptions) check11(entities []configEntity) error {
	if o.has(o.bootstrap) {
		return illegalArgument("Only one of --bootstrap-server or --zookeeper must be specified")
	}
	if len(entities) == 0 {
		return illegalArgument("At least one --entity-type must be specified")
	}
	if err := checkPair(entities); err != nil {
		return err
	}
	var kinds []string
	for _, e := range entities {
		kinds = append(kinds, e.kind)
		if !slices.Contains(entityTypes11, e.kind) {
			return illegalArgument("Invalid entity-type %s, --entity-type must be one of List(%s)", e.kind,
				strings.Join(entityTypes11, ", "))
		}
	}
	if !o.has(o.alter) {
		return nil
	}
	named := entities[0].name != ""
	switch {
	case entities[0].kind == "topics" && !named:
		return illegalArgument("--entity-name must be specified with --alter of Buffer(%s)", strings.Join(kinds, ", "))
	case !named && !entities[0].isDefault:
		return illegalArgument("--entity-name or --entity-default must be specified with --alter of users, clients " +
			"or brokers")
	case !o.has(o.addConfig) && !o.has(o.deleteConfig):
		return illegalArgument("At least one of --add-config or --delete-config must be specified with --alter")
	}
	return nil
}

// checkPair lets only users and clients stand together.
func checkPair(entities []configEntity) error {
	if len(entities) < 2 {
		return nil
	}
	kinds := make(map[string]bool)
	for _, e := range entities {
		kinds[e.kind] = true
	}
	if len(kinds) != 2 || !kinds["users"] || !kinds["clients"] {
		return illegalArgument("Only 'users' and 'clients' entity types may be specified together")
	}
	return nil
}
