package api

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/wire"
	"github.com/zurau/zurau/zkmeta"
)

// describeClientQuotas (key 48, versions 0-1) lists the quotas of the entities that a filter lets pass. Any broker
// answers, from ZooKeeper.
func (h *Handler) describeClientQuotas(ctx context.Context, _ *wire.Request, req *kmsg.DescribeClientQuotasRequest) wire.Reply {
	resp := req.ResponseKind().(*kmsg.DescribeClientQuotasResponse)
	entries, err := h.quotas(ctx, req)
	resp.ErrorCode, resp.ErrorMessage = h.wordyOutcome("describing client quotas", err)
	if err == nil {
		resp.Entries = append([]kmsg.DescribeClientQuotasResponseEntry{}, entries...) // empty, not null
	}
	return wire.Respond(resp)
}

func (h *Handler) quotas(ctx context.Context, req *kmsg.DescribeClientQuotasRequest) ([]kmsg.DescribeClientQuotasResponseEntry, error) {
	filter, err := newQuotaFilter(req)
	if err != nil {
		return nil, err
	}
	s, err := h.session(ctx)
	if err != nil {
		return nil, err
	}
	candidates, err := h.quotaEntities(ctx, s, filter)
	if err != nil {
		return nil, err
	}
	znodes := make([]zkmeta.Entity, len(candidates))
	for i, e := range candidates {
		znodes[i] = e.znode()
	}
	values, err := s.ReadConfigs(ctx, znodes)
	if err != nil {
		return nil, err
	}
	var entries []kmsg.DescribeClientQuotasResponseEntry
	for i, e := range candidates {
		if entry := h.describedQuotas(e, values[znodes[i]]); len(entry.Values) > 0 {
			entries = append(entries, entry)
		}
	}
	return entries, nil
}

// describedQuotas are the quotas among the values of an entity's znode.
func (h *Handler) describedQuotas(e quotaEntity, values map[string]string) (entry kmsg.DescribeClientQuotasResponseEntry) {
	for kind, name := range e {
		if name.given {
			entry.Entity = append(entry.Entity, kmsg.DescribeClientQuotasResponseEntryEntity{
				Type: quotaKind(kind).String(), Name: name.wire()})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(e.keys())) {
		text, ok := values[key]
		if !ok {
			continue
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			h.Logger.Warn("A quota in ZooKeeper is not a number",
				zap.String("entity", string(e.znode())), zap.String("key", key), zap.String("value", text))
			continue
		}
		entry.Values = append(entry.Values, kmsg.DescribeClientQuotasResponseEntryValue{Key: key, Value: value})
	}
	return entry
}

// quotaMatch is what a filter says of one part of an entity.
type quotaMatch struct {
	given bool
	any   bool // any name, or the default
	name  quotaName
}

// quotaFilter says which entities are asked for: each part that it names must be there and match, and if it is strict
// there must be no other part.
type quotaFilter struct {
	parts  [quotaKinds]quotaMatch
	strict bool
}

// newQuotaFilter reads a filter, INVALID_REQUEST if it contradicts itself and UNSUPPORTED_VERSION if it names a kind of
// entity that only plugins of Kafka know.
func newQuotaFilter(req *kmsg.DescribeClientQuotasRequest) (quotaFilter, error) {
	f := quotaFilter{strict: req.Strict}
	for i := range req.Components {
		c := &req.Components[i]
		kind, ok := quotaKindByName(c.EntityType)
		switch {
		case c.EntityType == "":
			return f, kerr.New(kerr.InvalidRequest, "Unexpected empty filter component entity type")
		case !ok:
			return f, kerr.New(kerr.UnsupportedVersion, "Custom entity type '%s' not supported", c.EntityType)
		case f.parts[kind].given:
			word := strings.TrimSuffix(kind.String(), "-id")
			return f, kerr.New(kerr.InvalidRequest, "Duplicate %s filter component entity type", word)
		}
		m := quotaMatch{given: true}
		switch {
		case c.MatchType == kmsg.QuotasMatchTypeAny:
			m.any = true
		case c.MatchType == kmsg.QuotasMatchTypeDefault:
			m.name = namedQuota(nil)
		case c.MatchType == kmsg.QuotasMatchTypeExact && c.Match != nil:
			m.name = namedQuota(c.Match)
		case c.MatchType == kmsg.QuotasMatchTypeExact:
			return f, kerr.New(kerr.InvalidRequest, "A filter for one %s names none", kind)
		default:
			return f, kerr.New(kerr.InvalidRequest, "Unexpected match type: %d", c.MatchType)
		}
		f.parts[kind] = m
	}
	if f.parts[quotaIP].given && (f.parts[quotaUser].given || f.parts[quotaClient].given) {
		return f, kerr.New(kerr.InvalidRequest, "Invalid entity filter component combination, IP filter component should "+
			"not be used with user or clientId filter component.")
	}
	return f, nil
}

func (f *quotaFilter) matches(e quotaEntity) bool {
	for kind, m := range f.parts {
		switch name := e[kind]; {
		case !m.given && name.given && f.strict,
			m.given && !name.given,
			m.given && !m.any && m.name != name:
			return false
		}
	}
	return true
}

// quotaEntities are the entities in ZooKeeper that pass the filter: users, clients, clients of users, addresses, each
// in the order of their names.
func (h *Handler) quotaEntities(ctx context.Context, s *zkmeta.Session, f quotaFilter) ([]quotaEntity, error) {
	var matching []quotaEntity
	add := func(e quotaEntity) {
		if f.matches(e) {
			matching = append(matching, e)
		}
	}
	users, err := h.quotaNames(ctx, s, f, quotaUser)
	if err != nil {
		return nil, err
	}
	for _, user := range users {
		add(quotaEntity{quotaUser: user})
	}
	clients, err := h.quotaNames(ctx, s, f, quotaClient)
	if err != nil {
		return nil, err
	}
	for _, client := range clients {
		add(quotaEntity{quotaClient: client})
	}
	for _, user := range users {
		if f.strict && !f.parts[quotaClient].given {
			break
		}
		znodes, err := s.UserClients(ctx, quotaEntity{quotaUser: user}.znode())
		if err != nil {
			return nil, err
		}
		for _, client := range h.namesOf(znodes) {
			add(quotaEntity{quotaUser: user, quotaClient: client})
		}
	}
	addresses, err := h.quotaNames(ctx, s, f, quotaIP)
	for _, ip := range addresses {
		add(quotaEntity{quotaIP: ip})
	}
	return matching, err
}

// quotaNames are the names of a kind that have a znode, or the one name that the filter wants.
func (h *Handler) quotaNames(ctx context.Context, s *zkmeta.Session, f quotaFilter, kind quotaKind) ([]quotaName, error) {
	if m := f.parts[kind]; m.given && !m.any {
		return []quotaName{m.name}, nil
	}
	folder := [...]string{quotaUser: zkmeta.UserConfigs, quotaClient: zkmeta.ClientConfigs, quotaIP: zkmeta.IPConfigs}[kind]
	znodes, err := s.Entities(ctx, folder)
	return h.namesOf(znodes), err
}

// namesOf reads the last words of znodes; what is not a sanitized name is told in the log and left out.
func (h *Handler) namesOf(znodes []zkmeta.Entity) []quotaName {
	names := make([]quotaName, 0, len(znodes))
	for _, e := range znodes {
		name, err := quotaNameOf(string(e[strings.LastIndexByte(string(e), '/')+1:]))
		if err != nil {
			h.Logger.Warn("A znode is not named as a quota's is", zap.String("entity", string(e)), zap.Error(err))
			continue
		}
		names = append(names, name)
	}
	return names
}
