package zkmeta

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/zurau/zurau/broker/ibp"
)

// Kinds of resources, as the ACL trees spell them, and the names Kafka's enumeration has for them in notifications.
var aclResourceTypes = map[string]string{"Topic": "TOPIC", "Group": "GROUP", "Cluster": "CLUSTER",
	"TransactionalId": "TRANSACTIONAL_ID", "DelegationToken": "DELEGATION_TOKEN", "User": "USER"}

// An ACLResource is something that Kafka ACLs are about.
type ACLResource struct {
	Type     string // Topic, Group, Cluster, TransactionalId, DelegationToken or User
	Name     string // "*" for all of the type
	Prefixed bool   // all names that begin with Name
}

func (r ACLResource) path() string { return aclRoot(r.Prefixed) + "/" + r.Type + "/" + r.Name }

func aclRoot(prefixed bool) string {
	if prefixed {
		return "/kafka-acl-extended/prefixed"
	}
	return "/kafka-acl"
}

// Notifications about literal resources are text, those about prefixed ones JSON.
const (
	aclChangesPath         = "/kafka-acl-changes"
	extendedACLChangesPath = "/kafka-acl-extended-changes"
	aclChangePrefix        = "acl_changes_"
)

// AccessRule is one Kafka ACL.
type AccessRule struct {
	Principal  string // "User:alice", "User:*"
	Permission string // Allow or Deny
	Operation  string // Read, Write, ... All
	Host       string // "*" for all
}

// AccessRules are the ACLs of one resource.
type AccessRules struct {
	Rules     []AccessRule
	ZkVersion int32
}

// encodeAccessRules writes what brokers of the level do; only the order of the keys has changed with 3.0.
func encodeAccessRules(rules []AccessRule, level ibp.Level) []byte {
	o := []byte("{")
	if level < ibp.V3_0_IV0 {
		o = appendIntField(o, "version", 1)
	}
	o = append(appendKey(o, "acls"), '[')
	for i, r := range rules {
		if i > 0 {
			o = append(o, ',')
		}
		o = appendStringField(append(o, '{'), "principal", r.Principal)
		o = appendStringField(o, "permissionType", r.Permission)
		if level < ibp.V3_0_IV0 {
			o = appendStringField(appendStringField(o, "operation", r.Operation), "host", r.Host)
		} else {
			o = appendStringField(appendStringField(o, "host", r.Host), "operation", r.Operation)
		}
		o = append(o, '}')
	}
	o = append(o, ']')
	if level >= ibp.V3_0_IV0 {
		o = appendIntField(o, "version", 1)
	}
	return append(o, '}')
}

func decodeAccessRules(data []byte) ([]AccessRule, error) {
	if len(data) == 0 {
		return nil, nil
	}
	o, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	if version, err := get[int32](o, "version"); err != nil || version != 1 {
		return nil, fmt.Errorf("version %s is not 1", o["version"])
	}
	list, err := o.subs("acls")
	if err != nil {
		return nil, err
	}
	rules := make([]AccessRule, len(list))
	for i, e := range list {
		var errs [4]error
		rules[i].Principal, errs[0] = get[string](e, "principal")
		rules[i].Permission, errs[1] = get[string](e, "permissionType")
		rules[i].Operation, errs[2] = get[string](e, "operation")
		rules[i].Host, errs[3] = get[string](e, "host")
		if err := errors.Join(errs[:]...); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

// EnsureACLPaths makes the parents of all ACLs, as an authorizer does at its start.
func (s *Session) EnsureACLPaths(ctx context.Context) error {
	for _, path := range []string{aclRoot(false), aclChangesPath, aclRoot(true), extendedACLChangesPath} {
		if err := s.ensurePath(ctx, path); err != nil {
			return err
		}
	}
	for _, prefixed := range []bool{false, true} {
		for _, kind := range sortedKeys(aclResourceTypes) {
			if err := s.ensurePath(ctx, aclRoot(prefixed)+"/"+kind); err != nil {
				return err
			}
		}
	}
	return nil
}

// AllAccessRules reads every ACL there is. A znode that cannot be read is reported and left out.
func (s *Session) AllAccessRules(ctx context.Context) (map[ACLResource]AccessRules, error) {
	var resources []ACLResource
	var paths []string
	for _, prefixed := range []bool{false, true} {
		for _, kind := range sortedKeys(aclResourceTypes) {
			names, err := s.childrenOf(ctx, aclRoot(prefixed)+"/"+kind)
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				r := ACLResource{kind, name, prefixed}
				resources, paths = append(resources, r), append(paths, r.path())
			}
		}
	}
	all := make(map[ACLResource]AccessRules, len(resources))
	err := s.readAll(ctx, paths, func(i int, data []byte, stat *Stat) error {
		rules, err := decodeAccessRules(data)
		if err == nil {
			all[resources[i]] = AccessRules{rules, stat.Version}
		}
		return err
	})
	return all, err
}

// ReadAccessRules reads the ACLs of a resource; none when it has none.
func (s *Session) ReadAccessRules(ctx context.Context, r ACLResource) (AccessRules, error) {
	data, stat, err := s.Get(ctx, r.path())
	if errors.Is(err, ErrNoNode) {
		return AccessRules{ZkVersion: -1}, nil
	}
	if err != nil {
		return AccessRules{}, err
	}
	rules, err := decodeAccessRules(data)
	if err != nil {
		return AccessRules{}, fmt.Errorf("%s: %w", s.full(r.path()), err)
	}
	return AccessRules{rules, stat.Version}, nil
}

// UpdateAccessRules replaces the ACLs of a resource by what change makes of them, and tells all brokers. It is tried
// again, up to ten times, when somebody else changed them in between.
func (s *Session) UpdateAccessRules(ctx context.Context, r ACLResource, change func([]AccessRule) []AccessRule) ([]AccessRule, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	level := s.client.currentLevel()
	for attempt := 0; ; attempt++ {
		old, err := s.ReadAccessRules(ctx, r)
		if err != nil {
			return nil, err
		}
		rules := change(slices.Clone(old.Rules))
		switch {
		case len(rules) == 0 && old.ZkVersion < 0:
			return nil, nil
		case len(rules) == 0:
			if err = s.Delete(ctx, r.path(), old.ZkVersion); errors.Is(err, ErrNoNode) {
				err = nil
			}
		case old.ZkVersion < 0:
			err = s.createNew(ctx, r.path(), encodeAccessRules(rules, level))
		default:
			_, err = s.setVersion(ctx, r.path(), encodeAccessRules(rules, level), old.ZkVersion)
		}
		again := errors.Is(err, ErrBadVersion) || errors.Is(err, ErrNodeExists) || errors.Is(err, ErrNoNode)
		switch {
		case err == nil:
			return rules, s.notifyACLChange(ctx, r)
		case !again || attempt == 10:
			return nil, err
		}
		select {
		case <-time.After(100*time.Millisecond + rand.N(50*time.Millisecond)):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func (s *Session) notifyACLChange(ctx context.Context, r ACLResource) error {
	path := aclChangesPath
	if r.Prefixed {
		path = extendedACLChangesPath
	}
	if err := s.ensurePath(ctx, path); err != nil {
		return err
	}
	_, err := s.createSequential(ctx, path+"/"+aclChangePrefix, encodeACLChange(r))
	return err
}

func encodeACLChange(r ACLResource) []byte {
	kind := aclResourceTypes[r.Type]
	if !r.Prefixed {
		return []byte(kind + ":" + r.Name)
	}
	o := appendStringField(appendIntField([]byte("{"), "version", 1), "resourceType", kind)
	return append(appendStringField(appendStringField(o, "name", r.Name), "patternType", "PREFIXED"), '}')
}

// decodeACLChange reads "TOPIC:name", in any spelling of the type since Kafka 0.9, and the JSON of prefixed resources.
func decodeACLChange(data []byte, prefixed bool) (ACLResource, error) {
	r := ACLResource{Prefixed: prefixed}
	var kind string
	if prefixed {
		o, err := parseObject(data)
		if err != nil {
			return r, err
		}
		if kind, err = get[string](o, "resourceType"); err != nil {
			return r, err
		}
		if r.Name, err = get[string](o, "name"); err != nil {
			return r, err
		}
		if pattern, err := get[string](o, "patternType"); err != nil || pattern != "PREFIXED" && pattern != "LITERAL" {
			return r, fmt.Errorf("patternType %s", o["patternType"])
		} else {
			r.Prefixed = pattern == "PREFIXED"
		}
	} else {
		var found bool
		if kind, r.Name, found = strings.Cut(string(data), ":"); !found {
			return r, fmt.Errorf("%q is not type:name", data)
		}
	}
	for spelled, upper := range aclResourceTypes {
		if strings.EqualFold(kind, spelled) || strings.EqualFold(kind, upper) {
			r.Type = spelled
			return r, nil
		}
	}
	return r, fmt.Errorf("%q is not a kind of resource", kind)
}

// ACLChangePaths are the parents whose children tell of changed ACLs, for WatchChildren.
func ACLChangePaths() []string { return []string{aclChangesPath, extendedACLChangesPath} }

// ACLChanges reads which resources have changed: notifications below one of ACLChangePaths with a number above after
// (-1 for all), in their order, and the highest number there is.
func (s *Session) ACLChanges(ctx context.Context, parent string, after int64) ([]ACLResource, int64, error) {
	_, paths, last, err := s.notifications(ctx, parent, aclChangePrefix, after)
	if err != nil {
		return nil, after, err
	}
	var resources []ACLResource
	err = s.readAll(ctx, paths, func(_ int, data []byte, _ *Stat) error {
		r, err := decodeACLChange(data, parent == extendedACLChangesPath)
		if err == nil {
			resources = append(resources, r)
		}
		return err
	})
	if err != nil {
		return nil, after, err
	}
	return resources, last, nil
}

// PurgeACLChanges deletes old notifications below one of ACLChangePaths.
func (s *Session) PurgeACLChanges(ctx context.Context, parent string) error {
	return s.purge(ctx, parent, aclChangePrefix)
}
