package api

import (
	"context"
	"regexp"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/wire"
)

// apiVersions (key 18, versions 0-4) tells which versions of which requests are served: the table, as it is.
//
//	v3  the client names its software (KIP-511)
//	v4  features of minimum version 0 may be told (KIP-584); a broker in ZooKeeper mode has no features
//
// A version above ours is answered in the layout of version 0, with our range of this one key, so that the client
// can ask again.
func (h *Handler) apiVersions(_ context.Context, r *wire.Request) wire.Reply {
	a := lookup(apiVersionsKey)
	if r.Version < a.min || r.Version > a.max {
		resp := kmsg.NewPtrApiVersionsResponse()
		resp.ErrorCode = kerr.UnsupportedVersion.Code
		resp.ApiKeys = []kmsg.ApiVersionsResponseApiKey{{ApiKey: a.key, MinVersion: a.min, MaxVersion: a.max}}
		return wire.Respond(resp)
	}
	var req kmsg.ApiVersionsRequest
	if err := r.Decode(&req); err != nil {
		return wire.Close("malformed ApiVersions request: " + err.Error())
	}
	resp := req.ResponseKind().(*kmsg.ApiVersionsResponse)
	resp.Default()
	if req.Version >= 3 {
		if !softwareName.MatchString(req.ClientSoftwareName) || !softwareName.MatchString(req.ClientSoftwareVersion) {
			resp.ErrorCode = kerr.InvalidRequest.Code
			return wire.Respond(resp)
		}
		r.Conn.SetClientSoftware(wire.ClientSoftware{Name: req.ClientSoftwareName, Version: req.ClientSoftwareVersion})
	}
	// The znode /feature is made once and never changed in ZooKeeper mode; its version is the epoch.
	resp.FinalizedFeaturesEpoch = 0
	resp.ApiKeys = advertised
	return wire.Respond(resp)
}

var softwareName = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$`)
