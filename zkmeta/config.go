package zkmeta

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

const configChangePrefix = "config_change_"

// The kinds of things that have a configuration of their own in ZooKeeper.
const (
	TopicConfigs  = "topics"
	BrokerConfigs = "brokers"
	ClientConfigs = "clients"
	UserConfigs   = "users"
	IPConfigs     = "ips"
)

var entityTypes = []string{TopicConfigs, BrokerConfigs, ClientConfigs, UserConfigs, IPConfigs}

// DefaultEntity is the name of the defaults for all brokers, clients, users or addresses.
const DefaultEntity = "<default>"

// An Entity is a thing with a configuration, spelled as its path below /config: "topics/t", "brokers/<default>",
// "users/al%20ice/clients/app". Names of users and clients are sanitized.
type Entity string

// TopicEntity is the configuration of a topic.
func TopicEntity(name string) Entity { return Entity(TopicConfigs + "/" + name) }

// BrokerEntity is the dynamic configuration of one broker.
func BrokerEntity(id int32) Entity { return Entity(BrokerConfigs + "/" + strconv.Itoa(int(id))) }

// DefaultBrokerEntity is the dynamic configuration of all brokers.
const DefaultBrokerEntity = Entity(BrokerConfigs + "/" + DefaultEntity)

// ClientEntity holds the quotas of a client id. In this and the functions below DefaultEntity stands for all that have
// none of their own; any other name is sanitized.
func ClientEntity(clientID string) Entity { return Entity(ClientConfigs + "/" + entityName(clientID)) }

// UserEntity holds the quotas and the SCRAM credentials of a user.
func UserEntity(user string) Entity { return Entity(UserConfigs + "/" + entityName(user)) }

// UserClientEntity holds the quotas of a client id in a user's hands.
func UserClientEntity(user, clientID string) Entity {
	return UserEntity(user) + Entity("/"+ClientConfigs+"/"+entityName(clientID))
}

// IPEntity holds the quotas of an address.
func IPEntity(ip string) Entity { return Entity(IPConfigs + "/" + entityName(ip)) }

func entityName(name string) string {
	if name == DefaultEntity {
		return name
	}
	return Sanitize(name)
}

// Type is the entity's kind: its first word.
func (e Entity) Type() string { kind, _, _ := strings.Cut(string(e), "/"); return kind }

// Name is what follows the type: "t", or "alice/clients/app" of a user.
func (e Entity) Name() string { _, name, _ := strings.Cut(string(e), "/"); return name }

func (e Entity) path() string { return ConfigPath + "/" + string(e) }

// emptyIsGone tells whether the znode goes when its last key does, as those of quotas do (Kafka 3.9).
func (e Entity) emptyIsGone() bool { return e.Type() != TopicConfigs && e.Type() != BrokerConfigs }

// Sanitize encodes the name of a user or client for a path (Kafka: Sanitizer). Somebody who calls himself "<default>"
// is not DefaultEntity: his name is encoded like any other.
func Sanitize(name string) string {
	// url.QueryEscape leaves '~' alone, which Java escapes, and escapes '*', which Kafka writes as %2A anyhow.
	return strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(name), "+", "%20"), "~", "%7E")
}

// Desanitize reads a sanitized name back.
func Desanitize(name string) (string, error) { return url.PathUnescape(name) }

func encodeConfig(configs map[string]string) []byte {
	o := appendIntField([]byte("{"), "version", 1)
	o = appendStrings(appendKey(o, "config"), configs)
	return append(o, '}')
}

func decodeConfig(data []byte) (map[string]string, error) {
	o, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	if version, err := get[int32](o, "version"); err != nil || version != 1 {
		return nil, fmt.Errorf("version %s is not 1", o["version"])
	}
	return get[map[string]string](o, "config")
}

// ReadConfig reads an entity's configuration; an entity without one has an empty one.
func (s *Session) ReadConfig(ctx context.Context, e Entity) (map[string]string, error) {
	data, _, err := s.Get(ctx, e.path())
	if errors.Is(err, ErrNoNode) || err == nil && len(data) == 0 { // a parent, as /config/users/U of /config/users/U/clients
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, err
	}
	configs, err := decodeConfig(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.full(e.path()), err)
	}
	return configs, nil
}

// ReadConfigs reads the configurations of many entities. One that cannot be read is reported and left out; one that has
// none is left out.
func (s *Session) ReadConfigs(ctx context.Context, entities []Entity) (map[Entity]map[string]string, error) {
	paths := make([]string, len(entities))
	for i, e := range entities {
		paths[i] = e.path()
	}
	configs := make(map[Entity]map[string]string, len(entities))
	err := s.readAll(ctx, paths, func(i int, data []byte, _ *Stat) error {
		if len(data) == 0 {
			return nil
		}
		c, err := decodeConfig(data)
		if err == nil {
			configs[entities[i]] = c
		}
		return err
	})
	return configs, err
}

// Entities lists the entities of a type in order, without those of users with clients, see UserClients.
func (s *Session) Entities(ctx context.Context, kind string) ([]Entity, error) {
	names, err := s.childrenOf(ctx, ConfigPath+"/"+kind)
	slices.Sort(names)
	entities := make([]Entity, len(names))
	for i, name := range names {
		entities[i] = Entity(kind + "/" + name)
	}
	return entities, err
}

// UserClients lists the entities "users/U/clients/C" of a user's entity.
func (s *Session) UserClients(ctx context.Context, user Entity) ([]Entity, error) {
	names, err := s.childrenOf(ctx, user.path()+"/"+ClientConfigs)
	slices.Sort(names)
	entities := make([]Entity, len(names))
	for i, name := range names {
		entities[i] = Entity(string(user) + "/" + ClientConfigs + "/" + name)
	}
	return entities, err
}

// WriteConfig replaces an entity's configuration and tells all brokers by a notification. The last writer wins: whoever
// merges must read first. While there is no controller it is refused at levels of 3.7 and above, as in Kafka.
func (s *Session) WriteConfig(ctx context.Context, e Entity, configs map[string]string) error {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	if len(configs) == 0 && e.emptyIsGone() {
		if err := s.removeConfig(ctx, e); errors.Is(err, ErrNotEmpty) { // a user with clients
			if err := s.setOrCreateConfig(ctx, e, configs); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
	} else if err := s.setOrCreateConfig(ctx, e, configs); err != nil {
		return err
	}
	return s.NotifyConfigChange(ctx, e)
}

// removeConfig deletes an entity's znode; with the last client of a user goes the folder of his clients, and he himself
// if nothing else is known of him, as in Kafka 3.9. ZooKeeper refuses to delete what has a child again by then; the
// version keeps what somebody has written there meanwhile.
func (s *Session) removeConfig(ctx context.Context, e Entity) error {
	if err := s.remove(ctx, e.path()); err != nil {
		return err
	}
	user, _, ofUser := strings.Cut(string(e), "/"+ClientConfigs+"/")
	if !ofUser {
		return nil
	}
	path := Entity(user).path()
	err := s.remove(ctx, path+"/"+ClientConfigs)
	if err == nil {
		var data []byte
		var stat *Stat
		if data, stat, err = s.Get(ctx, path); err == nil && isEmptyConfig(data) {
			err = s.settle(ctx, func() error { return s.Delete(ctx, path, stat.Version) }, nil)
		}
	}
	if errors.Is(err, ErrNotEmpty) || errors.Is(err, ErrNoNode) || errors.Is(err, ErrBadVersion) {
		return nil
	}
	return err
}

func isEmptyConfig(data []byte) bool {
	if len(data) == 0 {
		return true
	}
	configs, err := decodeConfig(data)
	return err == nil && len(configs) == 0
}

func (s *Session) setOrCreateConfig(ctx context.Context, e Entity, configs map[string]string) error {
	data := encodeConfig(configs)
	for {
		err := s.setConfig(ctx, e.path(), data)
		if !errors.Is(err, ErrNoNode) {
			return err
		}
		if err = s.createNew(ctx, e.path(), data); !errors.Is(err, ErrNodeExists) {
			return err
		}
	}
}

func (s *Session) setConfig(ctx context.Context, path string, data []byte) error {
	if !guardsConfigs(s.client.currentLevel()) {
		return s.setLast(ctx, path, data)
	}
	return s.settle(ctx, func() error {
		active, err := s.ReadController(ctx)
		if errors.Is(err, ErrNoNode) {
			return fmt.Errorf("write %s without a controller: %w", path, ErrControllerMoved)
		}
		if err != nil {
			return err
		}
		if active.KRaftEpoch > 0 {
			return fmt.Errorf("write %s: %w", path, &LostError{active.BrokerID, true})
		}
		_, err = s.multi(ctx, checkOp(ControllerPath, active.ZkVersion), setOp(path, data, AnyVersion))
		return checkedError(err)
	}, nil)
}

// NotifyConfigChange tells all brokers that an entity's configuration is another now.
func (s *Session) NotifyConfigChange(ctx context.Context, e Entity) error {
	if err := s.ensurePath(ctx, ConfigChangesPath); err != nil {
		return err
	}
	_, err := s.createSequential(ctx, ConfigChangesPath+"/"+configChangePrefix, encodeConfigChange(e))
	return err
}

func encodeConfigChange(e Entity) []byte {
	o := appendIntField([]byte("{"), "version", 2)
	return append(appendStringField(o, "entity_path", string(e)), '}')
}

// A ConfigChange is one notification that was read.
type ConfigChange struct {
	Name    string // of the znode
	Entity  Entity
	Created time.Time
}

// decodeConfigChange reads version 2 and the version 1 of Kafka 0.9, which knows topics and clients only.
func decodeConfigChange(data []byte) (Entity, error) {
	o, err := parseObject(data)
	if err != nil {
		return "", err
	}
	version, err := get[int32](o, "version")
	if err != nil {
		return "", err
	}
	switch version {
	case 1:
		kind, err := get[string](o, "entity_type")
		if err != nil {
			return "", err
		}
		name, err := get[string](o, "entity_name")
		if err == nil && (kind != TopicConfigs && kind != ClientConfigs || name == "") {
			err = fmt.Errorf("%q of type %q", name, kind)
		}
		return Entity(kind + "/" + name), err
	case 2:
		path, err := get[string](o, "entity_path")
		if err != nil {
			return "", err
		}
		if e := Entity(path); slices.Contains(entityTypes, e.Type()) && e.Name() != "" {
			return e, nil
		}
		return "", fmt.Errorf("%q is not the path of an entity", path)
	}
	return "", fmt.Errorf("version %d is neither 1 nor 2", version)
}

// sequenceOf is the number at the end of a sequential znode's name.
func sequenceOf(name string) (int64, bool) {
	i := strings.LastIndexByte(name, '_')
	n, err := strconv.ParseInt(name[i+1:], 10, 64)
	return n, i >= 0 && err == nil
}

// ConfigChanges reads the notifications with a number above after (-1 for all), in their order, and gives the highest
// number there is. What a notification says is only that the entity must be read again; one that cannot be read is
// reported and left out.
func (s *Session) ConfigChanges(ctx context.Context, after int64) ([]ConfigChange, int64, error) {
	names, paths, last, err := s.notifications(ctx, ConfigChangesPath, configChangePrefix, after)
	if err != nil {
		return nil, after, err
	}
	var changes []ConfigChange
	err = s.readAll(ctx, paths, func(i int, data []byte, stat *Stat) error {
		e, err := decodeConfigChange(data)
		if err == nil {
			changes = append(changes, ConfigChange{names[i], e, time.UnixMilli(stat.Ctime)})
		}
		return err
	})
	if err != nil {
		return nil, after, err
	}
	return changes, last, nil
}

// notifications lists the children of path with the prefix and a number above after, by number.
func (s *Session) notifications(ctx context.Context, path, prefix string, after int64) (names, paths []string, last int64, err error) {
	children, err := s.childrenOf(ctx, path)
	if err != nil {
		return nil, nil, after, err
	}
	last = after
	for _, name := range children {
		n, ok := sequenceOf(name)
		if !ok || !strings.HasPrefix(name, prefix) {
			continue
		}
		last = max(last, n)
		if n > after {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		x, _ := sequenceOf(a)
		y, _ := sequenceOf(b)
		return int(x - y)
	})
	for _, name := range names {
		paths = append(paths, path+"/"+name)
	}
	return names, paths, last, nil
}

// changesLiveFor is how long a notification must stay for brokers that are slow to see it (Kafka: 15 minutes).
const changesLiveFor = 15 * time.Minute

// PurgeConfigChanges deletes notifications that are old enough for every broker to have seen them. Any broker may, and
// several at a time.
func (s *Session) PurgeConfigChanges(ctx context.Context) error {
	return s.purge(ctx, ConfigChangesPath, configChangePrefix)
}

func (s *Session) purge(ctx context.Context, path, prefix string) error {
	_, paths, _, err := s.notifications(ctx, path, prefix, -1)
	if err != nil {
		return err
	}
	var old []string
	err = s.readAll(ctx, paths, func(i int, _ []byte, stat *Stat) error {
		if time.Since(time.UnixMilli(stat.Ctime)) >= changesLiveFor {
			old = append(old, paths[i])
		}
		return nil
	})
	for _, path := range old {
		if err := s.remove(ctx, path); err != nil {
			return err
		}
		s.client.log.Debug("old notification deleted", zap.String("path", path))
	}
	return err
}
