package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// kafka-configs over --bootstrap-server: topics, brokers and broker loggers.

// runOnBrokers does what the command line asks for of entities, which are one, or a user and a client in either order.
func (o *configOptions) runOnBrokers(ctx context.Context, entities []configEntity, io stdio) error {
	added, err := o.added()
	if err != nil {
		return err
	}
	admin, err := newAdmin(o.str(o.bootstrap), o.str(o.commandConfig), io.Err)
	if err != nil {
		return err
	}
	defer admin.close()
	var service interface {
		runDescribe(context.Context) error
		runAlter(ctx context.Context, added map[string]string, deleted []string) error
	}
	head := entities[0]
	if resource, ok := resourceTypes[head.kind]; ok {
		service = &configService{configOptions: o, admin: admin, entity: head, resource: resource, out: io.Out}
	} else {
		service = &quotaService{admin: admin, entities: entities, out: io.Out}
	}
	if o.has(o.describe) {
		return service.runDescribe(ctx)
	}
	if err := service.runAlter(ctx, added, o.deleted()); err != nil {
		return err
	}
	if head.name == "" {
		fmt.Fprintf(io.Out, "Completed updating default config for %s in the cluster.\n", head.kind)
	} else {
		fmt.Fprintf(io.Out, "Completed updating config for %s %s.\n", head.singular(), head.name)
	}
	return nil
}

var resourceTypes = map[string]kmsg.ConfigResourceType{
	"topics":         kmsg.ConfigResourceTypeTopic,
	"brokers":        kmsg.ConfigResourceTypeBroker,
	"broker-loggers": kmsg.ConfigResourceTypeBrokerLogger,
}

// configService changes and prints configurations through the brokers.
type configService struct {
	*configOptions
	admin    *adminClient
	entity   configEntity
	resource kmsg.ConfigResourceType
	out      io.Writer
}

// runAlter changes the entity, which must have what is to be deleted; loggers must exist.
func (c *configService) runAlter(ctx context.Context, added map[string]string, deleted []string) error {
	set, err := c.entries(ctx, c.entity.name, false)
	if err != nil {
		return err
	}
	known := make(map[string]bool)
	for _, e := range set {
		known[e.Name] = true
	}
	if c.entity.kind == "broker-loggers" {
		named := append(slices.Clone(deleted), slices.Sorted(maps.Keys(added))...)
		if unknown := without(named, known); len(unknown) > 0 {
			return invalidConfigs("Invalid broker logger(s)", unknown)
		}
	} else if unset := without(deleted, known); len(unset) > 0 {
		return invalidConfigs("Invalid config(s)", unset)
	}
	if c.entity.kind == "brokers" {
		return c.replace(ctx, set, added, deleted)
	}
	return c.change(ctx, added, deleted)
}

// change sets and takes away single entries.
func (c *configService) change(ctx context.Context, added map[string]string, deleted []string) error {
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = c.resource, c.entity.name
	for _, name := range slices.Sorted(maps.Keys(added)) {
		value := added[name]
		resource.Configs = append(resource.Configs,
			kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: name, Op: kmsg.IncrementalAlterConfigOpSet, Value: &value})
	}
	for _, name := range deleted {
		resource.Configs = append(resource.Configs,
			kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: name, Op: kmsg.IncrementalAlterConfigOpDelete})
	}
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Resources = append(req.Resources, resource)
	resp, err := ask[*kmsg.IncrementalAlterConfigsResponse](ctx, c.admin, req)
	if err != nil {
		return err
	}
	for _, r := range resp.Resources {
		if err := brokerError(r.ErrorCode, r.ErrorMessage); err != nil {
			return executionError(err)
		}
	}
	return nil
}

// replace sends the whole of a broker's dynamic configuration, as the tool does for brokers. What the broker hides must
// be given again, else it would be lost.
func (c *configService) replace(ctx context.Context, set []configEntry, added map[string]string, deleted []string) error {
	whole := make(map[string]*string)
	for _, e := range set {
		whole[e.Name] = e.Value
	}
	for name, value := range added {
		whole[name] = &value
	}
	for _, name := range deleted {
		delete(whole, name)
	}
	resource := kmsg.NewAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = c.resource, c.entity.name
	var hidden []string
	for _, name := range slices.Sorted(maps.Keys(whole)) {
		if whole[name] == nil {
			hidden = append(hidden, name)
		}
		resource.Configs = append(resource.Configs, kmsg.AlterConfigsRequestResourceConfig{Name: name, Value: whole[name]})
	}
	if len(hidden) > 0 {
		return &javaError{class: invalidConfigException, message: "All sensitive broker config entries must be specified for " +
			"--alter, missing entries: Set(" + strings.Join(hidden, ", ") + ")"}
	}
	req := kmsg.NewPtrAlterConfigsRequest()
	req.Resources = append(req.Resources, resource)
	resp, err := ask[*kmsg.AlterConfigsResponse](ctx, c.admin, req)
	if err != nil {
		return err
	}
	for _, r := range resp.Resources {
		if err := brokerError(r.ErrorCode, r.ErrorMessage); err != nil {
			return executionError(err)
		}
	}
	return nil
}

func (c *configService) runDescribe(ctx context.Context) error {
	names := []string{c.entity.name}
	if c.entity.isAny() {
		var err error
		if names, err = c.everyName(ctx); err != nil {
			return err
		}
	}
	which := "Dynamic"
	if c.has(c.every) {
		which = "All"
	}
	for _, name := range names {
		if name == "" {
			fmt.Fprintf(c.out, "Default configs for %s in the cluster are:\n", c.entity.kind)
		} else {
			fmt.Fprintf(c.out, "%s configs for %s %s are:\n", which, c.entity.singular(), name)
		}
		entries, err := c.entries(ctx, name, c.has(c.every))
		if err != nil {
			return err
		}
		for _, e := range entries {
			fmt.Fprintf(c.out, "  %s=%s sensitive=%t synonyms={%s}\n", e.Name, valueOf(e.Value), e.IsSensitive, synonyms(e))
		}
	}
	return nil
}

func synonyms(e configEntry) string {
	var words []string
	for _, s := range e.ConfigSynonyms {
		words = append(words, fmt.Sprintf("%s:%s=%s", s.Source, s.Name, valueOf(s.Value)))
	}
	return strings.Join(words, ", ")
}

// everyName lists all topics, or all brokers and their default.
func (c *configService) everyName(ctx context.Context) ([]string, error) {
	resp, err := ask[*kmsg.MetadataResponse](ctx, c.admin, kmsg.NewPtrMetadataRequest())
	if err != nil {
		return nil, err
	}
	var names []string
	if c.entity.kind == "topics" {
		for _, t := range resp.Topics {
			names = append(names, *t.Topic)
		}
		slices.Sort(names)
		return names, nil
	}
	slices.SortFunc(resp.Brokers, func(a, b kmsg.MetadataResponseBroker) int { return cmp.Compare(a.NodeID, b.NodeID) })
	for _, b := range resp.Brokers {
		names = append(names, strconv.Itoa(int(b.NodeID)))
	}
	return append(names, ""), nil
}

type configEntry = kmsg.DescribeConfigsResponseResourceConfig

// entries gives the configuration of an entity sorted by name: what was set for it alone, or every value. Of loggers it
// is always every one.
func (c *configService) entries(ctx context.Context, name string, every bool) ([]configEntry, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms = true
	req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: c.resource, ResourceName: name}}
	resp, err := ask[*kmsg.DescribeConfigsResponse](ctx, c.admin, req)
	if err != nil {
		return nil, err
	}
	own := map[kmsg.ConfigResourceType]kmsg.ConfigSource{
		kmsg.ConfigResourceTypeTopic:  kmsg.ConfigSourceDynamicTopicConfig,
		kmsg.ConfigResourceTypeBroker: kmsg.ConfigSourceDynamicBrokerConfig,
	}[c.resource]
	if name == "" {
		own = kmsg.ConfigSourceDynamicDefaultBrokerConfig
	}
	var entries []configEntry
	for _, r := range resp.Resources {
		if err := brokerError(r.ErrorCode, r.ErrorMessage); err != nil {
			return nil, executionError(err)
		}
		for _, e := range r.Configs {
			if every || e.Source == own || c.entity.kind == "broker-loggers" {
				entries = append(entries, e)
			}
		}
	}
	slices.SortFunc(entries, func(a, b configEntry) int { return strings.Compare(a.Name, b.Name) })
	return entries, nil
}
