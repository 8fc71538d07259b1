package api

import (
	"context"
	"maps"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/security"
	"github.com/zurau/zurau/broker/wire"
)

// alterClientQuotas (key 49, versions 0-1) sets and removes quotas, entity by entity in the order of the request: what
// one entry is refused for does not stop the next. Any broker does it.
func (h *Handler) alterClientQuotas(ctx context.Context, _ *wire.Request, req *kmsg.AlterClientQuotasRequest) wire.Reply {
	resp := req.ResponseKind().(*kmsg.AlterClientQuotasResponse)
	answers := make(map[quotaEntity]int) // an entity named again is answered once, for the last time
	for i := range req.Entries {
		entry := &req.Entries[i]
		entity, err := newQuotaEntity(entry.Entity)
		at, again := answers[entity]
		if !again || err != nil {
			at = len(resp.Entries)
			resp.Entries = append(resp.Entries, kmsg.AlterClientQuotasResponseEntry{Entity: entity.answered(entry.Entity, err)})
		}
		if err == nil {
			answers[entity] = at
			err = h.alterQuotas(ctx, entity, entry.Ops, req.ValidateOnly)
		}
		a := &resp.Entries[at]
		a.ErrorCode, a.ErrorMessage = h.outcome("altering client quotas", err)
	}
	return wire.Respond(resp)
}

// answered is the entity as its answer names it: in the words of the request where those made no entity.
func (e quotaEntity) answered(
	asked []kmsg.AlterClientQuotasRequestEntryEntity, err error) (parts []kmsg.AlterClientQuotasResponseEntryEntity) {
	if err != nil {
		for _, p := range asked {
			parts = append(parts, kmsg.AlterClientQuotasResponseEntryEntity{Type: p.Type, Name: p.Name})
		}
		return parts
	}
	for kind, name := range e {
		if name.given {
			parts = append(parts, kmsg.AlterClientQuotasResponseEntryEntity{Type: quotaKind(kind).String(), Name: name.wire()})
		}
	}
	return parts
}

// newQuotaEntity reads whom an entry is about. Of a kind that is given twice the last counts.
func newQuotaEntity(parts []kmsg.AlterClientQuotasRequestEntryEntity) (quotaEntity, error) {
	var e quotaEntity
	for _, p := range parts {
		kind, ok := quotaKindByName(p.Type)
		switch {
		case !ok:
			return e, kerr.New(kerr.InvalidRequest, "Unhandled client quota entity type: %s", p.Type)
		case p.Name != nil && *p.Name == "":
			return e, kerr.New(kerr.InvalidRequest, "Empty %s not supported", kind)
		}
		e[kind] = namedQuota(p.Name)
	}
	switch {
	case e == quotaEntity{}:
		return e, kerr.New(kerr.InvalidRequest, "Invalid empty client quota entity")
	case e[quotaIP].given && (e[quotaUser].given || e[quotaClient].given):
		return e, kerr.New(kerr.InvalidRequest, "Invalid quota entity combination, IP entity should not be used with "+
			"user/client ID entity.")
	}
	return e, nil
}

// alterQuotas alters the quotas of one entity.
func (h *Handler) alterQuotas(
	ctx context.Context, entity quotaEntity, ops []kmsg.AlterClientQuotasRequestEntryOp, validateOnly bool) error {
	if ip := entity[quotaIP]; ip.given && !ip.byDefault && !resolves(ctx, ip.znode()) {
		return kerr.New(kerr.InvalidRequest, "%s is not a valid IP or resolvable host.", ip.znode())
	}
	s, err := h.session(ctx)
	if err != nil {
		return err
	}
	current, err := s.ReadConfig(ctx, entity.znode())
	if err != nil {
		return err
	}
	next, err := alteredQuotas(entity, current, ops)
	if err != nil || validateOnly {
		return err
	}
	if err := s.WriteConfig(ctx, entity.znode(), next); err != nil {
		return err
	}
	for _, op := range ops {
		if text, ok := next[op.Key]; ok && !op.Remove {
			h.Logger.Warn("A quota was stored that this broker does not enforce yet; Kafka brokers of the cluster do",
				zap.String("entity", string(entity.znode())), zap.String("key", op.Key), zap.String("value", text))
		}
	}
	return nil
}

// alteredQuotas is what an entity's znode holds after the changes. All else in it stays, a user's SCRAM credentials
// above all: Kafka lets this request take them away unasked, and what alters quotas must not lock somebody out.
func alteredQuotas(
	entity quotaEntity, current map[string]string, ops []kmsg.AlterClientQuotasRequestEntryOp) (map[string]string, error) {
	next := maps.Clone(current)
	for _, op := range ops {
		if _, ok := security.ScramMechanismByName(op.Key); ok {
			return nil, kerr.New(kerr.InvalidRequest, "Invalid configuration key %s", op.Key)
		}
		if op.Remove {
			delete(next, op.Key)
			continue
		}
		text, err := quotaText(entity.keys(), op.Key, op.Value)
		if err != nil {
			return nil, err
		}
		next[op.Key] = text
	}
	return next, nil
}

// lookupTimeout bounds how long a name may take to resolve. Requests wait for it, one entry after the other.
const lookupTimeout = 5 * time.Second

// resolves tells whether a name is an address or a host that has one. As it is asked for the name of a znode, an IPv6
// address never does, in Kafka either: its colons are encoded.
func resolves(ctx context.Context, name string) bool {
	if net.ParseIP(name) != nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, name)
	return err == nil && len(addresses) > 0
}
