package api

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/broker/wire"
	"github.com/zurau/zurau/zkmeta"
)

// describeConfigs (key 32, versions 0-4) tells the configuration of topics, of this broker, of all brokers (a
// broker resource without a name), and of this broker's loggers.
//
//	v0  whether a value is the default
//	v1  where a value comes from, and on demand where else it could have come from (KIP-226)
//	v3  the type of each key (KIP-569); documentation is not kept and always null
func (h *Handler) describeConfigs(ctx context.Context, _ *wire.Request, req *kmsg.DescribeConfigsRequest) wire.Reply {
	h.refreshTopics(ctx, req)
	resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
	answered := make(map[configResource]bool, len(req.Resources))
	for i := range req.Resources {
		asked := &req.Resources[i]
		a := kmsg.DescribeConfigsResponseResource{ResourceType: asked.ResourceType, ResourceName: asked.ResourceName}
		var entries []config.Entry
		err := errRepeatedResource // ten bytes asked again and again would be kilobytes answered
		if r := (configResource{asked.ResourceType, asked.ResourceName}); !answered[r] {
			answered[r] = true
			entries, err = h.entries(asked)
		}
		a.ErrorCode, a.ErrorMessage = h.outcome("describing a configuration", err)
		if a.ErrorMessage == nil {
			a.ErrorMessage = new(string) // Kafka's message is empty, never null
		}
		for _, e := range entries {
			if len(asked.ConfigNames) == 0 || slices.Contains(asked.ConfigNames, e.Name) {
				a.Configs = append(a.Configs, describedConfig(e, req.IncludeSynonyms))
			}
		}
		resp.Resources = append(resp.Resources, a)
	}
	return wire.Respond(resp)
}

// entries are the keys of a resource.
func (h *Handler) entries(asked *kmsg.DescribeConfigsRequestResource) ([]config.Entry, error) {
	name := asked.ResourceName
	switch asked.ResourceType {
	case kmsg.ConfigResourceTypeTopic:
		if err := topic.ValidateName(name); err != nil {
			return nil, err
		}
		if h.Metadata.Load().Topic(name) == nil {
			return nil, kerr.UnknownTopicOrPartition
		}
		return h.Config.DescribeTopic(name), nil
	case kmsg.ConfigResourceTypeBroker:
		switch name {
		case "":
			return h.Config.DescribeBrokerDefault(), nil
		case strconv.Itoa(int(h.BrokerID)):
			return h.Config.DescribeBroker(), nil
		}
		return nil, kerr.New(kerr.InvalidRequest, "Unexpected broker id, expected %d or empty string, but received %s",
			h.BrokerID, name)
	case kmsg.ConfigResourceTypeBrokerLogger:
		return h.describeLogLevels(name)
	}
	return nil, kerr.New(kerr.InvalidRequest, "Unsupported resource type: %s", asked.ResourceType)
}

// refreshTopics reads the overrides of the topics asked for from ZooKeeper, so that the answer holds what was
// altered a moment ago, here or elsewhere. What is known stays when ZooKeeper does not answer.
func (h *Handler) refreshTopics(ctx context.Context, req *kmsg.DescribeConfigsRequest) {
	var topics []zkmeta.Entity
	listed := make(map[string]bool)
	snapshot := h.Metadata.Load()
	for i := range req.Resources {
		r := &req.Resources[i]
		if r.ResourceType == kmsg.ConfigResourceTypeTopic && !listed[r.ResourceName] && snapshot.Topic(r.ResourceName) != nil {
			listed[r.ResourceName] = true
			topics = append(topics, zkmeta.TopicEntity(r.ResourceName))
		}
	}
	if len(topics) == 0 {
		return
	}
	s := h.ZK.Session()
	if s == nil {
		return
	}
	values, err := s.ReadConfigs(ctx, topics)
	if err != nil {
		h.Logger.Warn("Topic configurations were not read, answering with those known", zap.Error(err))
		return
	}
	for _, e := range topics {
		if maps.Equal(values[e], h.Config.Topic(e.Name()).Overrides()) {
			continue
		}
		if _, err := h.Config.SetTopic(e.Name(), values[e]); err != nil {
			h.Logger.Warn("Part of a topic's configuration is not understood",
				zap.String("topic", e.Name()), zap.Error(err))
		}
	}
}

func describedConfig(e config.Entry, withSynonyms bool) kmsg.DescribeConfigsResponseResourceConfig {
	c := kmsg.DescribeConfigsResponseResourceConfig{
		Name:        e.Name,
		Value:       e.Value,
		ReadOnly:    e.ReadOnly,
		IsDefault:   e.Source == config.DefaultSource,
		Source:      kmsg.ConfigSource(e.Source),
		IsSensitive: e.Sensitive,
		ConfigType:  kmsg.ConfigType(e.Type),
	}
	if withSynonyms {
		for _, y := range e.Synonyms {
			c.ConfigSynonyms = append(c.ConfigSynonyms, kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{
				Name: y.Name, Value: y.Value, Source: kmsg.ConfigSource(y.Source)})
		}
	}
	return c
}
