package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/zkmeta"
)

// kafka-configs --zookeeper, as Kafka 1.1 (ConfigCommand, AdminZkClient): reads and writes /config itself and leaves a
// notification for the brokers.

type zookeeperConfigs struct {
	*configOptions
	session *zkmeta.Session
	out     io.Writer
}

func (o *configOptions) runOnZooKeeper(ctx context.Context, entities []configEntity, io stdio) error {
	if kind := entities[0].kind; kind != "topics" {
		return illegalArgument("Entity type %s is not supported yet", kind)
	}
	added, err := o.added()
	if err != nil {
		return err
	}
	session, closeSession, err := openZooKeeper(ctx, o.str(o.zookeeper), io.Err)
	if err != nil {
		return err
	}
	defer closeSession()
	z := &zookeeperConfigs{o, session, io.Out}
	if o.has(o.describe) {
		return z.runDescribe(ctx, entities[0].name)
	}
	return z.runAlter(ctx, entities[0].name, added, o.deleted())
}

func (z *zookeeperConfigs) runAlter(ctx context.Context, name string, added map[string]string, deleted []string) error {
	configs, err := z.session.ReadConfig(ctx, zkmeta.TopicEntity(name))
	if err != nil {
		return err
	}
	var unset []string
	for _, key := range deleted {
		if _, ok := configs[key]; !ok {
			unset = append(unset, key)
		}
	}
	if len(unset) > 0 {
		return &javaError{class: invalidConfigException, message: "Invalid config(s): " + strings.Join(unset, ",")}
	}
	maps.Copy(configs, added)
	for _, key := range deleted {
		delete(configs, key)
	}
	if _, err := z.session.Exists(ctx, zkmeta.TopicPath(name)); errors.Is(err, zkmeta.ErrNoNode) {
		return adminOperation(`Topic "` + name + `" does not exist.`)
	} else if err != nil {
		return err
	}
	if err := checkTopicConfigs(configs); err != nil {
		return err
	}
	if err := z.session.WriteConfig(ctx, zkmeta.TopicEntity(name), configs); err != nil {
		if isKafkaError(err, kerr.NotController) {
			return adminOperation("There is no controller to guard the change")
		}
		return err
	}
	fmt.Fprintf(z.out, "Completed Updating config for entity: topic '%s'.\n", name)
	return nil
}

// runDescribe prints the configuration of a topic, or that of every topic that has a znode of it.
func (z *zookeeperConfigs) runDescribe(ctx context.Context, name string) error {
	entities := []zkmeta.Entity{zkmeta.TopicEntity(name)}
	if name == "" {
		var err error
		if entities, err = z.session.Entities(ctx, zkmeta.TopicConfigs); err != nil {
			return err
		}
	}
	configs, err := z.session.ReadConfigs(ctx, entities)
	for _, e := range entities {
		fmt.Fprintf(z.out, "Configs for topic '%s' are %s\n", e.Name(), joinConfigs(configs[e]))
	}
	return err
}
