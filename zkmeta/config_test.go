package zkmeta

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zurau/zurau/broker/ibp"
)

func TestConfigurationsAndTheirNotifications(t *testing.T) {
	for _, level := range []ibp.Level{ibp.Min, ibp.Latest} {
		t.Run(level.String(), func(t *testing.T) {
			s := session(t, connect(t, startServer(t).String(), func(o *Options) { o.Level = level }))
			ctx := t.Context()
			must(t, s.EnsurePaths(ctx))
			_, err := s.Elect(ctx, 1, 1)
			must(t, err)
			alice := Entity(UserConfigs + "/" + Sanitize("al ice*+~ä"))
			if alice != "users/al%20ice%2A%2B%7E%C3%A4" {
				t.Errorf("sanitized: %s", alice)
			}
			if name, err := Desanitize(alice.Name()); err != nil || name != "al ice*+~ä" {
				t.Errorf("desanitized: %q, %v", name, err)
			}
			app := Entity(string(alice) + "/clients/" + DefaultEntity)
			entities := []Entity{TopicEntity("t"), BrokerEntity(1), DefaultBrokerEntity, alice, app}
			for _, e := range entities {
				must(t, s.WriteConfig(ctx, e, map[string]string{"k": "v", "of": string(e)}))
			}
			for _, e := range entities {
				if c, err := s.ReadConfig(ctx, e); err != nil || c["of"] != string(e) || len(c) != 2 {
					t.Errorf("%s: %v, %v", e, c, err)
				}
			}
			changes, last, err := s.ConfigChanges(ctx, -1)
			must(t, err)
			var seen []Entity
			for _, change := range changes {
				seen = append(seen, change.Entity)
			}
			if diff := cmp.Diff(entities, seen); diff != "" || last != 4 {
				t.Errorf("up to %d:\n%s", last, diff)
			}
			if changes, _, err := s.ConfigChanges(ctx, 3); err != nil || len(changes) != 1 {
				t.Errorf("after the fourth: %v, %v", changes, err)
			}
			must(t, s.PurgeConfigChanges(ctx)) // none is old enough
			if changes, _, err := s.ConfigChanges(ctx, -1); err != nil || len(changes) != 5 {
				t.Errorf("after a purge: %v, %v", changes, err)
			}
			for _, e := range []Entity{alice, app, BrokerEntity(1)} {
				must(t, s.WriteConfig(ctx, e, nil))
			}
			if users, err := s.Entities(ctx, UserConfigs); err != nil || len(users) != 0 { // nothing is left of her
				t.Errorf("users %v, %v", users, err)
			}
			if clients, err := s.UserClients(ctx, alice); err != nil || len(clients) != 0 {
				t.Errorf("clients of a user %v, %v", clients, err)
			}
			if brokers, err := s.Entities(ctx, BrokerConfigs); err != nil || len(brokers) != 2 {
				t.Errorf("brokers %v, %v", brokers, err)
			}
			must(t, s.remove(ctx, ControllerPath))
			err = s.WriteConfig(ctx, TopicEntity("t"), nil)
			if guarded := errors.Is(err, ErrControllerMoved); guarded != (level >= ibp.V3_7_IV0) {
				t.Errorf("without a controller: %v", err)
			}
		})
	}
}

func TestAUsersLastClientTakesNothingAlongThatIsNotEmpty(t *testing.T) {
	s := session(t, connect(t, startServer(t).String(), func(o *Options) { o.Level = ibp.Min }))
	ctx := t.Context()
	must(t, s.EnsurePaths(ctx))
	bob, carl := UserEntity("bob"), UserEntity("carl")
	for _, e := range []Entity{bob, UserClientEntity("bob", "x"), UserClientEntity("carl", "x"), UserClientEntity("carl", DefaultEntity)} {
		must(t, s.WriteConfig(ctx, e, map[string]string{"k": "v"}))
	}
	must(t, s.WriteConfig(ctx, UserClientEntity("bob", "x"), nil))
	must(t, s.WriteConfig(ctx, UserClientEntity("carl", "x"), nil))
	if c, err := s.ReadConfig(ctx, bob); err != nil || c["k"] != "v" {
		t.Errorf("a user with values of his own: %v, %v", c, err)
	}
	if _, _, err := s.Get(ctx, bob.path()+"/clients"); !errors.Is(err, ErrNoNode) {
		t.Errorf("his empty folder of clients: %v", err)
	}
	clients, err := s.UserClients(ctx, carl)
	if want := []Entity{"users/carl/clients/<default>"}; err != nil || !cmp.Equal(clients, want) {
		t.Errorf("clients of a user who had two: %v, %v", clients, err)
	}
	must(t, s.WriteConfig(ctx, bob, nil))
	must(t, s.WriteConfig(ctx, carl, nil)) // he keeps his client
	users, err := s.Entities(ctx, UserConfigs)
	if want := []Entity{carl}; err != nil || !cmp.Equal(users, want) {
		t.Errorf("users %v, %v", users, err)
	}
}

func TestTheDefaultIsNotSomebodyOfItsName(t *testing.T) {
	for want, got := range map[Entity]Entity{
		"users/<default>":                  UserEntity(DefaultEntity),
		"users/%3Cdefault%3E":              Entity(UserConfigs + "/" + Sanitize("<default>")),
		"users/al%20ice/clients/<default>": UserClientEntity("al ice", DefaultEntity),
		"users/<default>/clients/app%2F1":  UserClientEntity(DefaultEntity, "app/1"),
		"clients/a%2Bb":                    ClientEntity("a+b"),
		"ips/10.1.2.3":                     IPEntity("10.1.2.3"),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
