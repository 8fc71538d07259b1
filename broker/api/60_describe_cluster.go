package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/wire"
)

// Kinds of endpoints a client may ask for (KIP-919).
const (
	brokerEndpoints     = 1
	controllerEndpoints = 2
)

// describeCluster (key 60, versions 0-1) tells who is in the cluster, as seen from the client's listener (KIP-700).
//
//	v1  the client says whether it wants brokers or controllers; here there are only brokers (KIP-919)
func (h *Handler) describeCluster(_ context.Context, r *wire.Request, req *kmsg.DescribeClusterRequest) wire.Reply {
	resp := req.ResponseKind().(*kmsg.DescribeClusterResponse)
	resp.ClusterAuthorizedOperations = notAsked
	if req.Version >= 1 && req.EndpointType != brokerEndpoints {
		resp.ErrorCode, resp.ErrorMessage = h.outcome("describing the cluster", refusedEndpointType(req.EndpointType))
		return wire.Respond(resp)
	}
	snapshot := h.Metadata.Load()
	resp.EndpointType = brokerEndpoints
	resp.ClusterID, resp.ControllerID = h.ClusterID, snapshot.ControllerID()
	resp.ClusterAuthorizedOperations = operationsIf(req.IncludeClusterAuthorizedOperations, clusterOperations)
	for _, b := range snapshot.Brokers() {
		if e, ok := b.Endpoints[r.Conn.Listener()]; ok {
			resp.Brokers = append(resp.Brokers,
				kmsg.DescribeClusterResponseBroker{NodeID: b.ID, Host: e.Host, Port: e.Port, Rack: b.Rack})
		}
	}
	return wire.Respond(resp)
}

func refusedEndpointType(asked int8) error {
	if asked == controllerEndpoints {
		return kerr.New(kerr.MismatchedEndpointType,
			"The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER")
	}
	return kerr.New(kerr.UnsupportedEndpointType, "Unsupported endpoint type %d", asked)
}
