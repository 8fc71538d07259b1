package main

import (
	"fmt"
	"strings"

	"github.com/zurau/zurau/zkmeta"
)

// Where an entity lies below /config, and what kafka-configs calls it (Kafka 1.1: ConfigCommand.ConfigEntity).

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
