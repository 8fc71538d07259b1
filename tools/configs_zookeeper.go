package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/security"
	"github.com/zurau/zurau/zkmeta"
)

// kafka-configs --zookeeper, as Kafka 1.1 (ConfigCommand, AdminZkClient): reads and writes /config itself and leaves a
// notification for the brokers. No broker checks what is written, so the tool does.

type zookeeperConfigs struct {
	*configOptions
	session *zkmeta.Session
	out     io.Writer
}

func (o *configOptions) runOnZooKeeper(ctx context.Context, entities []configEntity, io stdio) error {
	added, err := o.added()
	if err != nil {
		return err
	}
	path := newEntityPath(entities)
	if path[0].kind == "users" {
		if err := hashPasswords(added); err != nil {
			return err
		}
	}
	session, closeSession, err := openZooKeeper(ctx, o.str(o.zookeeper), io.Err)
	if err != nil {
		return err
	}
	defer closeSession()
	z := &zookeeperConfigs{o, session, io.Out}
	if o.has(o.describe) {
		return z.runDescribe(ctx, path)
	}
	return z.runAlter(ctx, path, added, o.deleted())
}

// hashPasswords puts credentials in the place of the passwords among added.
func hashPasswords(added map[string]string) error {
	for _, mechanism := range security.ScramMechanisms {
		text, ok := added[mechanism.String()]
		if !ok {
			continue
		}
		setting, err := parseScramSetting(dialect11, mechanism, text)
		if err != nil {
			return err
		}
		credential, err := security.NewScramCredential(mechanism, setting.password, setting.iterations)
		if err != nil {
			return err
		}
		added[mechanism.String()] = credential.Encode()
	}
	return nil
}

// entityPath is an entity as it lies below /config: one, or a user and a client of theirs.
type entityPath []configEntity

// newEntityPath puts the user before the client. One name given for both is then the user's, as in Kafka 1.1.
func newEntityPath(entities []configEntity) entityPath {
	if len(entities) < 2 || entities[0].kind == "users" {
		return entities
	}
	user, client := entities[1], entities[0]
	if user.isAny() {
		user.name, user.isDefault = client.name, client.isDefault
		client.name, client.isDefault = "", false
	}
	return entityPath{user, client}
}

// entity is what zkmeta calls the path, all of whose parts must be chosen.
func (p entityPath) entity() zkmeta.Entity {
	names := make([]string, len(p))
	for i, e := range p {
		names[i] = e.name
		if e.isDefault {
			names[i] = zkmeta.DefaultEntity
		}
	}
	switch {
	case len(p) == 2:
		return zkmeta.UserClientEntity(names[0], names[1])
	case p[0].kind == "users":
		return zkmeta.UserEntity(names[0])
	case p[0].kind == "clients":
		return zkmeta.ClientEntity(names[0])
	}
	return zkmeta.Entity(p[0].kind + "/" + names[0])
}

// entityNouns say what a name of a type is.
var entityNouns = map[string]string{
	"users": "user-principal", "clients": "client-id", "topics": "topic", "brokers": "brokers",
}

// String is the entity in a sentence.
func (p entityPath) String() string {
	words := make([]string, len(p))
	for i, e := range p {
		words[i] = entityNouns[e.kind] + " '" + e.name + "'"
		if e.isDefault {
			words[i] = "default " + entityNouns[e.kind]
		}
	}
	return strings.Join(words, ", ")
}

// parseEntityPath reads back what entity gave.
func parseEntityPath(e zkmeta.Entity) (entityPath, error) {
	words := strings.Split(string(e), "/")
	var path entityPath
	for i := 0; i+1 < len(words); i += 2 {
		name := words[i+1]
		part := configEntity{kind: words[i], isDefault: name == zkmeta.DefaultEntity}
		if !part.isDefault {
			part.name = name
			if part.kind == "users" || part.kind == "clients" {
				var err error
				if part.name, err = zkmeta.Desanitize(name); err != nil {
					return nil, fmt.Errorf("name of %s: %w", e, err)
				}
			}
		}
		path = append(path, part)
	}
	return path, nil
}

func (z *zookeeperConfigs) runAlter(ctx context.Context, path entityPath, added map[string]string, deleted []string) error {
	if path[0].kind == "brokers" {
		if err := checkThrottlesOnly(added); err != nil {
			return err
		}
	}
	entity := path.entity()
	configs, err := z.session.ReadConfig(ctx, entity)
	if err != nil {
		return err
	}
	if unset := without(deleted, configs); len(unset) > 0 {
		return invalidConfigs("Invalid config(s)", unset)
	}
	maps.Copy(configs, added)
	for _, key := range deleted {
		delete(configs, key)
	}
	if err := z.checkConfigs(ctx, path, configs); err != nil {
		return err
	}
	if err := z.session.WriteConfig(ctx, entity, configs); err != nil {
		if isKafkaError(err, kerr.NotController) {
			return adminOperation("There is no controller to guard the change")
		}
		return err
	}
	fmt.Fprintf(z.out, "Completed Updating config for entity: %s.\n", path)
	return nil
}

// checkConfigs refuses configurations that an entity cannot have.
func (z *zookeeperConfigs) checkConfigs(ctx context.Context, path entityPath, configs map[string]string) error {
	switch kind := path[0].kind; {
	case kind == "topics":
		return z.checkTopic(ctx, path[0].name, configs)
	case kind == "brokers":
		return checkBroker(path[0], configs)
	case kind == "users" && len(path) == 1 && !path[0].isDefault:
		return checkQuotaValues(configs, "SCRAM-SHA-256", "SCRAM-SHA-512")
	}
	return checkQuotaValues(configs)
}

func (z *zookeeperConfigs) checkTopic(ctx context.Context, name string, configs map[string]string) error {
	if _, err := z.session.Exists(ctx, zkmeta.TopicPath(name)); errors.Is(err, zkmeta.ErrNoNode) {
		return adminOperation(`Topic "` + name + `" does not exist.`)
	} else if err != nil {
		return err
	}
	return checkTopicConfigs(configs)
}

// throttles are the keys of a broker that may be written behind its back: no broker needs to check or encrypt them.
var throttles = []string{"leader.replication.throttled.rate", "follower.replication.throttled.rate",
	"replica.alter.log.dirs.io.max.bytes.per.second"}

func checkThrottlesOnly(added map[string]string) error {
	var words []string
	allowed := true
	for _, key := range slices.Sorted(maps.Keys(added)) {
		words = append(words, key+"="+added[key])
		allowed = allowed && slices.Contains(throttles, key)
	}
	if allowed {
		return nil
	}
	return illegalArgument("requirement failed: --bootstrap-server option must be specified to update broker configs {%s}",
		strings.Join(words, ", "))
}

func checkBroker(e configEntity, configs map[string]string) error {
	if _, err := strconv.ParseInt(e.name, 10, 32); err != nil && !e.isDefault {
		return illegalArgument("Error parsing broker %s. The broker's Entity Name must be a single integer value", e.name)
	}
	for _, key := range throttles {
		value, ok := configs[key]
		if !ok {
			continue
		}
		rate, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		if err != nil {
			return notANumber(key, value, "LONG")
		}
		if rate < 0 {
			return &javaError{class: configException,
				message: fmt.Sprintf("Invalid value %s for configuration %s: Value must be at least 0", value, key)}
		}
	}
	return nil
}

// checkQuotaValues wants the quotas of users and clients, all numbers of the right kind, and no key but them and others.
func checkQuotaValues(configs map[string]string, others ...string) error {
	var unknown []string
	for _, key := range slices.Sorted(maps.Keys(configs)) {
		if !slices.Contains(clientQuotas, key) && !slices.Contains(others, key) {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) > 0 {
		return illegalArgument("requirement failed: Unknown Dynamic Configuration: Set(%s).", strings.Join(unknown, ", "))
	}
	for _, key := range clientQuotas {
		value, ok := configs[key]
		if !ok {
			continue
		}
		if strings.HasSuffix(key, "_byte_rate") {
			if _, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64); err != nil {
				return notANumber(key, value, "LONG")
			}
		} else if _, ok := parseJavaDouble(value); !ok {
			return notANumber(key, value, "DOUBLE")
		}
	}
	return nil
}

func notANumber(key, value, kind string) error {
	return &javaError{class: configException,
		message: fmt.Sprintf("Invalid value %s for configuration %s: Not a number of type %s", value, key, kind)}
}

// runDescribe prints the configuration of the entity, or of every one that path leaves open and that has a znode. A user
// who has one for their clients only is left out of the list of all users.
func (z *zookeeperConfigs) runDescribe(ctx context.Context, path entityPath) error {
	entities, err := z.matching(ctx, path)
	if err != nil {
		return err
	}
	configs, err := z.session.ReadConfigs(ctx, entities)
	everyUser := len(path) == 1 && path[0].kind == "users" && path[0].isAny()
	for _, e := range entities {
		if everyUser && len(configs[e]) == 0 {
			continue
		}
		found, err := parseEntityPath(e)
		if err != nil {
			return err
		}
		fmt.Fprintf(z.out, "Configs for %s are %s\n", found, joinConfigs(configs[e]))
	}
	return err
}

// matching lists the entities that path stands for.
func (z *zookeeperConfigs) matching(ctx context.Context, path entityPath) ([]zkmeta.Entity, error) {
	open := slices.IndexFunc(path, configEntity.isAny)
	switch {
	case open < 0:
		return []zkmeta.Entity{path.entity()}, nil
	case open == 1:
		return z.session.UserClients(ctx, path[:1].entity())
	}
	roots, err := z.session.Entities(ctx, path[0].kind)
	if err != nil || len(path) == 1 {
		return roots, err
	}
	var entities []zkmeta.Entity
	for _, user := range roots {
		clients, err := z.session.UserClients(ctx, user)
		if err != nil {
			return nil, err
		}
		entities = append(entities, clients...)
	}
	return entities, nil
}
