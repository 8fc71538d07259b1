package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/security"
)

// kafka-configs over --bootstrap-server: the quotas of users, clients and addresses (KIP-546, KIP-612).

// quotaEntities are the types that have quotas.
var quotaEntities = []string{"users", "clients", "ips"}

// quotaTypes are their names in the protocol.
var quotaTypes = map[string]string{"users": "user", "clients": "client-id", "ips": "ip"}

// quotaNouns say of a name in the protocol what it is, in the order in which an entity's parts are told.
var quotaNouns = []struct{ quotaType, noun string }{
	{"user", "user-principal"}, {"client-id", "client-id"}, {"ip", "ip"},
}

// The quotas of users and clients, and that of addresses (Kafka: QuotaConfigs).
var (
	clientQuotas  = []string{"producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"}
	addressQuotas = []string{"connection_creation_rate"}
)

// quotaService changes and prints the quotas of entities, and the SCRAM credentials of users.
type quotaService struct {
	admin    *adminClient
	entities []configEntity // one, or users and clients in the order of the command line
	out      io.Writer
}

// kind is the first entity's type, which is the one that sentences speak of.
func (q *quotaService) kind() string { return q.entities[0].kind }

// has reports whether an entity of the type is among the entities.
func (q *quotaService) has(kind string) bool {
	return slices.ContainsFunc(q.entities, func(e configEntity) bool { return e.kind == kind })
}

// quotaChange is what is to become of an entity, sorted by what has to do with it. Names are in the order in which they
// are told.
type quotaChange struct {
	quotas        map[string]string
	credentials   map[string]string
	deletedQuotas []string
	deletedScram  []string
	unknown       []string // added under no name that is known
	deletedOthers []string // deleted under no name that is known
}

func (c *quotaChange) touchesQuotas() bool { return len(c.quotas)+len(c.deletedQuotas) > 0 }
func (c *quotaChange) touchesScram() bool  { return len(c.credentials)+len(c.deletedScram) > 0 }

// sortChange tells quotas, credentials and the rest apart.
func sortChange(added map[string]string, deleted, quotas []string) quotaChange {
	c := quotaChange{quotas: make(map[string]string), credentials: make(map[string]string)}
	for _, name := range slices.Sorted(maps.Keys(added)) {
		switch _, scram := security.ScramMechanismByName(name); {
		case slices.Contains(quotas, name):
			c.quotas[name] = added[name]
		case scram:
			c.credentials[name] = added[name]
		default:
			c.unknown = append(c.unknown, name)
		}
	}
	for _, name := range deleted {
		switch _, scram := security.ScramMechanismByName(name); {
		case slices.Contains(quotas, name):
			c.deletedQuotas = append(c.deletedQuotas, name)
		case scram:
			c.deletedScram = append(c.deletedScram, name)
		default:
			c.deletedOthers = append(c.deletedOthers, name)
		}
	}
	return c
}

func (q *quotaService) runAlter(ctx context.Context, added map[string]string, deleted []string) error {
	if q.kind() == "ips" {
		change := sortChange(added, deleted, addressQuotas)
		if err := change.checkAddress(); err != nil {
			return err
		}
		return q.alterQuotas(ctx, change)
	}
	change := sortChange(added, deleted, clientQuotas)
	if q.has("clients") {
		if err := change.checkClient(); err != nil {
			return err
		}
	} else if err := change.checkUser(q.entities[0]); err != nil {
		return err
	}
	if change.touchesScram() {
		return q.alterCredentials(ctx, q.entities[0].name, change)
	}
	return q.alterQuotas(ctx, change)
}

// checkAddress refuses what an address cannot have.
func (c *quotaChange) checkAddress() error {
	others := slices.Concat(c.unknown, slices.Sorted(maps.Keys(c.credentials)), c.deletedOthers, c.deletedScram)
	if len(others) == 0 {
		return nil
	}
	return illegalArgument("Only connection quota configs can be added for 'ips' using --bootstrap-server. Unexpected "+
		"config names: %s", strings.Join(others, ","))
}

// checkClient refuses what a client cannot have, be it a user's or anybody's.
func (c *quotaChange) checkClient() error {
	if others := append(c.unknown, slices.Sorted(maps.Keys(c.credentials))...); len(others) > 0 {
		return illegalArgument("Only quota configs can be added for 'clients' using --bootstrap-server. Unexpected config "+
			"names: Set(%s)", strings.Join(others, ", "))
	}
	if others := append(c.deletedOthers, c.deletedScram...); len(others) > 0 {
		return illegalArgument("Only quota configs can be deleted for 'clients' using --bootstrap-server. Unexpected "+
			"config names: %s", scalaBuffer(others))
	}
	return nil
}

// checkUser refuses what a user cannot have, or not at once.
func (c *quotaChange) checkUser(user configEntity) error {
	switch {
	case len(c.unknown) > 0:
		return illegalArgument("Only quota and SCRAM credential configs can be added for 'users' using --bootstrap-server. "+
			"Unexpected config names: Set(%s)", strings.Join(c.unknown, ", "))
	case len(c.deletedOthers) > 0:
		return illegalArgument("Only quota and SCRAM credential configs can be deleted for 'users' using "+
			"--bootstrap-server. Unexpected config names: %s", scalaBuffer(c.deletedOthers))
	case c.touchesScram() && user.isDefault:
		return illegalArgument("The use of --entity-default or --user-defaults is not allowed with User SCRAM Credentials " +
			"using --bootstrap-server.")
	case c.touchesScram() && c.touchesQuotas():
		return illegalArgument("Cannot alter both quota and SCRAM credential configs simultaneously for 'users' using " +
			"--bootstrap-server.")
	}
	return nil
}

// scalaBuffer is a list as Kafka's tool prints it.
func scalaBuffer(words []string) string { return "ArrayBuffer(" + strings.Join(words, ", ") + ")" }

// alterQuotas sets and takes away quotas of the entities, which must have what is to be taken away.
func (q *quotaService) alterQuotas(ctx context.Context, change quotaChange) error {
	set, err := q.quotas(ctx)
	if err != nil {
		return err
	}
	there := make(map[string]float64)
	if len(set) > 0 {
		there = set[0].values
	}
	if unset := without(change.deletedQuotas, there); len(unset) > 0 {
		return invalidConfigs("Invalid config(s)", unset)
	}
	entry := kmsg.NewAlterClientQuotasRequestEntry()
	for _, e := range q.entities {
		part := kmsg.NewAlterClientQuotasRequestEntryEntity()
		part.Type = quotaTypes[e.kind]
		if !e.isDefault {
			part.Name = &e.name
		}
		entry.Entity = append(entry.Entity, part)
	}
	for _, key := range slices.Sorted(maps.Keys(change.quotas)) {
		value, ok := parseJavaDouble(change.quotas[key])
		if !ok {
			return illegalArgument("Cannot parse quota configuration value for %s: %s", key, change.quotas[key])
		}
		entry.Ops = append(entry.Ops, kmsg.AlterClientQuotasRequestEntryOp{Key: key, Value: value})
	}
	for _, key := range change.deletedQuotas {
		entry.Ops = append(entry.Ops, kmsg.AlterClientQuotasRequestEntryOp{Key: key, Remove: true})
	}
	req := kmsg.NewPtrAlterClientQuotasRequest()
	req.Entries = append(req.Entries, entry)
	resp, err := ask[*kmsg.AlterClientQuotasResponse](ctx, q.admin, req)
	if err != nil {
		return err
	}
	for _, e := range resp.Entries {
		if err := brokerError(e.ErrorCode, e.ErrorMessage); err != nil {
			return executionError(err)
		}
	}
	return nil
}

// quotaSet is the quotas of an entity.
type quotaSet struct {
	parts  map[string]*string // by type; nil is the default
	values map[string]float64
}

// quotas asks for what is set for exactly the entities, or for every one of their types.
func (q *quotaService) quotas(ctx context.Context) ([]quotaSet, error) {
	req := kmsg.NewPtrDescribeClientQuotasRequest()
	req.Strict = true
	for _, e := range q.entities {
		c := kmsg.NewDescribeClientQuotasRequestComponent()
		c.EntityType = quotaTypes[e.kind]
		switch {
		case e.isDefault:
			c.MatchType = kmsg.QuotasMatchTypeDefault
		case e.isAny():
			c.MatchType = kmsg.QuotasMatchTypeAny
		default:
			c.MatchType, c.Match = kmsg.QuotasMatchTypeExact, &e.name
		}
		req.Components = append(req.Components, c)
	}
	resp, err := ask[*kmsg.DescribeClientQuotasResponse](ctx, q.admin, req)
	if err != nil {
		return nil, err
	}
	if err := brokerError(resp.ErrorCode, resp.ErrorMessage); err != nil {
		return nil, executionError(err)
	}
	var sets []quotaSet
	for _, entry := range resp.Entries {
		set := quotaSet{make(map[string]*string), make(map[string]float64)}
		for _, part := range entry.Entity {
			set.parts[part.Type] = part.Name
		}
		for _, v := range entry.Values {
			set.values[v.Key] = v.Value
		}
		sets = append(sets, set)
	}
	sortQuotas(sets)
	return sets, nil
}

// sortQuotas orders by the names of the parts, the defaults last.
func sortQuotas(sets []quotaSet) { slices.SortFunc(sets, compareQuotas) }

func compareQuotas(a, b quotaSet) int {
	for _, n := range quotaNouns {
		x, y := a.parts[n.quotaType], b.parts[n.quotaType]
		switch {
		case x == nil && y == nil:
		case x == nil:
			return 1
		case y == nil:
			return -1
		default:
			if c := strings.Compare(*x, *y); c != 0 {
				return c
			}
		}
	}
	return 0
}

// String is the line that describes an entity's quotas.
func (s quotaSet) String() string {
	var parts, values []string
	for _, n := range quotaNouns {
		switch name, ok := s.parts[n.quotaType]; {
		case ok && name != nil:
			parts = append(parts, n.noun+" '"+*name+"'")
		case ok:
			parts = append(parts, "the default "+n.noun)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.values)) {
		values = append(values, key+"="+javaFloat(s.values[key], 64))
	}
	return "Quota configs for " + strings.Join(parts, ", ") + " are " + strings.Join(values, ", ")
}

// runDescribe prints the quotas, and behind those of users who were not named as default or together with clients
// their credentials.
func (q *quotaService) runDescribe(ctx context.Context) error {
	sets, err := q.quotas(ctx)
	if err != nil {
		return err
	}
	for _, s := range sets {
		fmt.Fprintln(q.out, s)
	}
	if q.kind() == "users" && len(q.entities) == 1 && !q.entities[0].isDefault {
		return q.describeCredentials(ctx, q.entities[0].name)
	}
	return nil
}

var javaDouble = regexp.MustCompile(`^[+-]?(Infinity|(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[dDfF]?)$`)

// parseJavaDouble reads a decimal as Double.parseDouble does: blanks around it go, a d or f may follow. What is too big
// is infinite.
func parseJavaDouble(text string) (float64, bool) {
	text = strings.TrimSpace(text)
	if !javaDouble.MatchString(text) {
		return 0, false
	}
	value, err := strconv.ParseFloat(strings.TrimRight(text, "dDfF"), 64)
	return value, err == nil || math.IsInf(value, 0)
}
