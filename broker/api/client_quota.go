package api

import (
	"math"
	"strconv"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/zkmeta"
)

// Quotas limit whom a quotaEntity names (KIP-546). They are kept in ZooKeeper, where every broker of the cluster finds
// them. zurau keeps them for the brokers that enforce them and does not yet itself.

// quotaKind is one of the things a quotaEntity names.
type quotaKind int

const (
	quotaUser quotaKind = iota
	quotaClient
	quotaIP
	quotaKinds
)

// String is the kind as the protocol names it.
func (k quotaKind) String() string { return [...]string{"user", "client-id", "ip"}[k] }

func quotaKindByName(name string) (quotaKind, bool) {
	for k := range quotaKinds {
		if k.String() == name {
			return k, true
		}
	}
	return 0, false
}

// quotaName is one part of a quotaEntity. The zero value is a part the entity does not have.
type quotaName struct {
	given     bool
	byDefault bool // whoever has no quota by name
	name      string
}

func namedQuota(name *string) quotaName {
	if name == nil {
		return quotaName{given: true, byDefault: true}
	}
	return quotaName{given: true, name: *name}
}

// wire is the name as requests and answers carry it: null for the default.
func (n quotaName) wire() *string {
	if n.byDefault {
		return nil
	}
	return &n.name
}

// znode is the name as a path holds it. A user who calls himself "<default>" is not the default.
func (n quotaName) znode() string {
	if n.byDefault {
		return zkmeta.DefaultEntity
	}
	return zkmeta.Sanitize(n.name)
}

func quotaNameOf(znode string) (quotaName, error) {
	if znode == zkmeta.DefaultEntity {
		return quotaName{given: true, byDefault: true}, nil
	}
	name, err := zkmeta.Desanitize(znode)
	return quotaName{given: true, name: name}, err
}

// quotaEntity is whom a quota limits: a user, a client id, a client id in a user's hands, or an address. It is indexed
// by quotaKind.
type quotaEntity [quotaKinds]quotaName

// znode is where the entity's quotas are kept.
func (e quotaEntity) znode() zkmeta.Entity {
	user, client := e[quotaUser], e[quotaClient]
	switch {
	case e[quotaIP].given:
		return zkmeta.Entity(zkmeta.IPConfigs + "/" + e[quotaIP].znode())
	case user.given && client.given:
		return zkmeta.Entity(zkmeta.UserConfigs + "/" + user.znode() + "/" + zkmeta.ClientConfigs + "/" + client.znode())
	case user.given:
		return zkmeta.Entity(zkmeta.UserConfigs + "/" + user.znode())
	}
	return zkmeta.Entity(zkmeta.ClientConfigs + "/" + client.znode())
}

// keys are the quotas the entity may have.
func (e quotaEntity) keys() map[string]config.Type {
	if e[quotaIP].given {
		return addressQuotas
	}
	return clientQuotas
}

// The keys of quotas (Kafka: QuotaConfigs). SCRAM credentials lie in the same znode as a user's quotas and are none.
var (
	clientQuotas = map[string]config.Type{
		"producer_byte_rate":       config.Long,   // bytes a second
		"consumer_byte_rate":       config.Long,   // bytes a second
		"request_percentage":       config.Double, // of one thread's time
		"controller_mutation_rate": config.Double, // partitions made or deleted a second
	}
	addressQuotas = map[string]config.Type{"connection_creation_rate": config.Int} // connections a second
)

// quotaEpsilon is how far a value may be from the whole number that is kept of it.
const quotaEpsilon = 1e-6

// quotaText is a quota as the znode holds it. INVALID_REQUEST for an unknown key, for a value that is not of the key's
// type (Kafka's rounding makes that of every negative whole number), and for NaN and infinity, which Kafka keeps, or 0
// in their place.
func quotaText(keys map[string]config.Type, key string, value float64) (string, error) {
	kind, ok := keys[key]
	if !ok {
		return "", kerr.New(kerr.InvalidRequest, "Invalid configuration key %s", key)
	}
	wrong := kerr.New(kerr.InvalidRequest, "Configuration %s must be a %s value", key, kind)
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return "", wrong
	}
	if kind == config.Double {
		return config.JavaDouble(value), nil
	}
	whole := math.Trunc(value + quotaEpsilon)
	switch {
	case math.Abs(whole-value) > quotaEpsilon:
		return "", wrong
	case kind == config.Long && whole == 1<<63: // what the largest LONG becomes on its way through a double
		return strconv.FormatInt(math.MaxInt64, 10), nil
	case whole >= 1<<63 || kind == config.Int && whole > math.MaxInt32:
		return "", wrong
	}
	return strconv.FormatInt(int64(whole), 10), nil
}
