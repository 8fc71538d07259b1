package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

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
