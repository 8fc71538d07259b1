package api

import (
	"context"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/wire"
	"github.com/zurau/zurau/zkmeta"
)

// alterConfigs (key 33, versions 0-2) replaces the whole dynamic configuration of topics, of this broker, or of all
// brokers: a key that is not named goes back to its default. IncrementalAlterConfigs is what clients should use.
func (h *Handler) alterConfigs(ctx context.Context, _ *wire.Request, req *kmsg.AlterConfigsRequest) wire.Reply {
	resp := req.ResponseKind().(*kmsg.AlterConfigsResponse)
	resources := make([]configResource, len(req.Resources))
	for i, r := range req.Resources {
		resources[i] = configResource{r.ResourceType, r.ResourceName}
	}
	twice := repeated(resources, itself)
	for i := range req.Resources {
		changes := make([]config.Alteration, 0, len(req.Resources[i].Configs))
		for _, c := range req.Resources[i].Configs {
			changes = append(changes, config.Alteration{Op: config.Set, Name: c.Name, Value: c.Value})
		}
		a := kmsg.AlterConfigsResponseResource{ResourceType: resources[i].kind, ResourceName: resources[i].name}
		err := h.alterConfig(ctx, resources[i], alterOptions{changes, true, twice[resources[i]], req.ValidateOnly})
		a.ErrorCode, a.ErrorMessage = h.outcome("altering the configuration of "+resources[i].String(), err)
		resp.Resources = append(resp.Resources, a)
	}
	return wire.Respond(resp)
}

// configResource is something with a configuration.
type configResource struct {
	kind kmsg.ConfigResourceType
	name string
}

var errRepeatedResource = kerr.New(kerr.InvalidRequest, "Each resource must appear at most once.")

func itself(r *configResource) configResource { return *r }

// String is the resource as Kafka's messages print it.
func (r configResource) String() string {
	return "ConfigResource(type=" + r.kind.String() + ", name='" + r.name + "')"
}

// alterOptions say how to alter a resource.
type alterOptions struct {
	changes      []config.Alteration
	replace      bool // what it has now goes
	repeated     bool // the request names the resource more than once
	validateOnly bool
}

// alterConfig alters one resource of a request.
func (h *Handler) alterConfig(ctx context.Context, r configResource, o alterOptions) error {
	if o.repeated {
		return errRepeatedResource
	}
	entity, err := h.alterable(r)
	if err != nil {
		return err
	}
	s, err := h.session(ctx)
	if err != nil {
		return err
	}
	var current map[string]string
	if !o.replace {
		if current, err = s.ReadConfig(ctx, entity); err != nil {
			return err
		}
	}
	next, err := h.altered(r, current, o.changes)
	if err != nil || o.validateOnly {
		return err
	}
	if err := s.WriteConfig(ctx, entity, next); err != nil {
		return err
	}
	// The notification comes back to this broker too; who asks it before that should see what it wrote.
	switch entity {
	case zkmeta.DefaultBrokerEntity:
		return h.Config.SetBrokerDefault(next)
	case zkmeta.BrokerEntity(h.BrokerID):
		return h.Config.SetBroker(next)
	}
	return nil
}

// alterable finds where a resource's configuration is kept.
func (h *Handler) alterable(r configResource) (zkmeta.Entity, error) {
	switch r.kind {
	case kmsg.ConfigResourceTypeTopic:
		if r.name == "" {
			return "", kerr.New(kerr.InvalidRequest, "Default topic resources are not allowed.")
		}
		if h.Metadata.Load().Topic(r.name) == nil {
			return "", kerr.New(kerr.UnknownTopicOrPartition, "The topic '%s' does not exist.", r.name)
		}
		return zkmeta.TopicEntity(r.name), nil
	case kmsg.ConfigResourceTypeBroker:
		if r.name == "" {
			return zkmeta.DefaultBrokerEntity, nil
		}
		id, err := strconv.ParseInt(r.name, 10, 32)
		switch {
		case err != nil:
			return "", kerr.New(kerr.InvalidRequest, "Node id must be an integer, but it is: %s", r.name)
		case int32(id) != h.BrokerID:
			return "", kerr.New(kerr.InvalidRequest, "Unexpected broker id, expected %d, but received %s",
				h.BrokerID, r.name)
		}
		return zkmeta.BrokerEntity(h.BrokerID), nil
	}
	return "", kerr.New(kerr.InvalidRequest, "Unknown resource type %d", int8(r.kind))
}

// altered is the resource's configuration after the changes, checked.
func (h *Handler) altered(
	r configResource, current map[string]string, changes []config.Alteration) (map[string]string, error) {
	if r.kind == kmsg.ConfigResourceTypeTopic {
		return h.Config.AlterTopic(r.name, current, changes)
	}
	return h.Config.AlterBroker(r.name != "", current, changes)
}
