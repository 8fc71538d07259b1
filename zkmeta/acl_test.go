package zkmeta

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/zurau/zurau/broker/topic"
)

func TestACLsAreMergedByManyWriters(t *testing.T) {
	zk := startServer(t)
	ctx := t.Context()
	r := ACLResource{Type: "Topic", Name: "t"}
	var wg sync.WaitGroup
	for i := range 4 {
		s := session(t, connect(t, zk.String()))
		must(t, s.EnsureACLPaths(ctx))
		wg.Go(func() {
			if _, err := s.UpdateAccessRules(ctx, r, func(rules []AccessRule) []AccessRule {
				return append(rules, AccessRule{fmt.Sprint("User:", i), "Allow", "Read", "*"})
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := session(t, connect(t, zk.String()))
	all, err := s.AllAccessRules(ctx)
	must(t, err)
	if len(all) != 1 || len(all[r].Rules) != 4 {
		t.Errorf("%v", all)
	}
	changed, last, err := s.ACLChanges(ctx, ACLChangePaths()[0], -1)
	if err != nil || len(changed) != 4 || changed[0] != r || last != 3 {
		t.Errorf("%v up to %d, %v", changed, last, err)
	}
	if rules, err := s.UpdateAccessRules(ctx, r, func([]AccessRule) []AccessRule { return nil }); err != nil || rules != nil {
		t.Errorf("%v, %v", rules, err)
	}
	if _, err := s.Exists(ctx, r.path()); !errors.Is(err, ErrNoNode) {
		t.Errorf("without a rule: %v", err)
	}
}

func TestCredentialsComeBeforeEverythingElseOnEveryConnection(t *testing.T) {
	zk := startServer(t)
	p := startProxy(t, zk.addr)
	secure := func(o *Options) {
		o.Auth, o.SecureACLs = []Auth{{"digest", []byte("broker:secret")}}, true
	}
	s := session(t, connect(t, zk.at(p.addr()), secure))
	ctx := t.Context()
	must(t, s.EnsurePaths(ctx))
	must(t, s.CommitOffset(ctx, "g", topic.Partition{Topic: "t"}, 1))
	stranger := session(t, connect(t, zk.String()))
	if _, err := stranger.Set(ctx, TopicsPath, []byte("x"), AnyVersion); !errors.Is(err, ErrNoAuth) {
		t.Errorf("a stranger's write: %v", err)
	}
	if _, _, err := stranger.Get(ctx, TopicsPath); err != nil {
		t.Errorf("a stranger's read: %v", err)
	}
	must(t, s.createNew(ctx, "/config/users/alice", []byte("secret")))
	if _, _, err := stranger.Get(ctx, "/config/users/alice"); !errors.Is(err, ErrNoAuth) {
		t.Errorf("a stranger's read of secrets: %v", err)
	}
	if _, err := stranger.Create(ctx, "/consumers/h", nil, Persistent); err != nil {
		t.Errorf("an old consumer: %v", err)
	}
	for range 3 {
		p.cut()
		if _, err := s.Set(ctx, TopicsPath, []byte("x"), AnyVersion); err != nil && !isUnknown(err) {
			t.Errorf("after a cut: %v", err)
		}
	}
}
