package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/wire"
)

// incrementalAlterConfigs (key 44, versions 0-1) changes single keys of the dynamic configuration of topics, of
// this broker, or of all brokers (KIP-339): 0 sets, 1 deletes, 2 appends to a list, 3 takes away from one. It sets the
// levels of this broker's loggers as well, which AlterConfigs does not.
func (h *Handler) incrementalAlterConfigs(
	ctx context.Context, _ *wire.Request, req *kmsg.IncrementalAlterConfigsRequest) wire.Reply {
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	resources := make([]configResource, len(req.Resources))
	for i, r := range req.Resources {
		resources[i] = configResource{r.ResourceType, r.ResourceName}
	}
	twice := repeated(resources, itself)
	for i := range req.Resources {
		changes := make([]config.Alteration, 0, len(req.Resources[i].Configs))
		for _, c := range req.Resources[i].Configs {
			changes = append(changes, config.Alteration{Op: config.Op(c.Op), Name: c.Name, Value: c.Value})
		}
		a := kmsg.IncrementalAlterConfigsResponseResource{ResourceType: resources[i].kind, ResourceName: resources[i].name}
		var err error
		if r := resources[i]; r.kind == kmsg.ConfigResourceTypeBrokerLogger && !twice[r] {
			err = h.alterLogLevels(r.name, changes, req.ValidateOnly)
		} else {
			err = h.alterConfig(ctx, r, alterOptions{changes, false, twice[r], req.ValidateOnly})
		}
		a.ErrorCode, a.ErrorMessage = h.outcome("altering the configuration of "+resources[i].String(), err)
		resp.Resources = append(resp.Resources, a)
	}
	return wire.Respond(resp)
}
