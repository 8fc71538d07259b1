package main

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestConfigWordsKeepListsTogether(t *testing.T) {
	o, err := parseConfigOptions(strings.Fields("--alter --add-config a=1,b=[x,y],c=[],d=p=q --delete-config e,f"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := o.added()
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "x,y", "c": "", "d": "p=q"}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if diff := cmp.Diff([]string{"e", "f"}, o.deleted()); diff != "" {
		t.Error(diff)
	}
}

func TestConfigEntitiesArePairedInOrder(t *testing.T) {
	for args, want := range map[string][]configEntity{
		"--entity-type topics --entity-name t":                                       {{kind: "topics", name: "t"}},
		"--entity-type users --entity-name u --entity-type clients --entity-name c":  {{kind: "users", name: "u"}, {kind: "clients", name: "c"}},
		"--entity-type clients --entity-name c --entity-type users --entity-name u":  {{kind: "clients", name: "c"}, {kind: "users", name: "u"}},
		"--entity-type users --entity-default --entity-type clients --entity-name c": {{kind: "users", isDefault: true}, {kind: "clients", name: "c"}},
		"--entity-type users --entity-type clients --entity-name u":                  {{kind: "users", name: "u"}, {kind: "clients"}},
		"--entity-type brokers":      {{kind: "brokers"}},
		"--entity-type ips --ip x":   {{kind: "ips"}, {kind: "ips", name: "x"}},
		"--topic t":                  {{kind: "topics", name: "t"}},
		"--broker-defaults":          {{kind: "brokers", isDefault: true}},
		"--user u --client c":        {{kind: "clients", name: "c"}, {kind: "users", name: "u"}},
		"--user-defaults --client c": {{kind: "clients", name: "c"}, {kind: "users", isDefault: true}},
		"--broker-logger 1":          {{kind: "broker-loggers", name: "1"}},
		"--ip-defaults":              {{kind: "ips", isDefault: true}},
		"--entity-name only-a-name":  nil,
	} {
		o, err := parseConfigOptions(strings.Fields(args))
		if err != nil {
			t.Errorf("%s: %v", args, err)
			continue
		}
		got, tooMany := o.entities()
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(configEntity{})); diff != "" {
			t.Errorf("%s: %s", args, diff)
		}
		if tooMany != (want == nil) {
			t.Errorf("%s: names without a type: %t", args, tooMany)
		}
	}
}

func TestRulesOfTheConfigFlags(t *testing.T) {
	const bootstrap = "--bootstrap-server h:1 "
	const zookeeper = "--zookeeper h:1 "
	for args, want := range map[string]string{
		bootstrap + "--describe --entity-type users --entity-type clients --entity-name u":                           "",
		bootstrap + "--alter --user u --client c --add-config a=1":                                                   "",
		bootstrap + "--alter --entity-type users --entity-type clients --entity-name u --add-config a=1":             "An entity name must be specified for every entity type",
		bootstrap + "--alter --entity-type users --entity-name u --entity-name v --add-config a=1":                   "An entity name must be specified for every entity type",
		bootstrap + "--describe --entity-type users --entity-name u --entity-default":                                "More entity names specified than entity types",
		bootstrap + "--alter --entity-type clients --add-config a=1":                                                 "an entity-name or default entity must be specified with --alter of users, clients, brokers or ips",
		bootstrap + "--describe --user u --entity-type clients":                                                      "--entity-{type,name,default} should not be used in conjunction with specific entity flags",
		bootstrap + "--describe --user u --entity-type users":                                                        "Duplicate entity type(s) specified: users",
		bootstrap + "--describe --ip 10.0.0.1 --user u":                                                              "Only 'users' and 'clients' entity types may be specified together",
		bootstrap + "--describe --ip 127.0.0.1":                                                                      "",
		bootstrap + "--describe --ip ::1":                                                                            "",
		bootstrap + "--describe --broker-logger x":                                                                   "The entity name for broker-loggers must be a valid integer broker id, but it is: x",
		bootstrap + "--describe --entity-type broker-loggers":                                                        "an entity name must be specified with --describe of broker-loggers",
		zookeeper + "--describe --entity-type ips":                                                                   "Invalid entity-type ips, --entity-type must be one of List(topics, clients, users, brokers)",
		zookeeper + "--alter --entity-type users --entity-type clients --entity-name u --add-config a=1":             "--entity-name or --entity-default must be specified with each --entity-type for --alter",
		zookeeper + "--alter --entity-type users --entity-default --entity-name u --add-config producer_byte_rate=1": "--entity-name or --entity-default must be specified with each --entity-type for --alter",
		zookeeper + "--alter --entity-type users --entity-default --add-config producer_byte_rate=1":                 "",
	} {
		o, err := parseConfigOptions(strings.Fields(args))
		if err == nil {
			_, err = o.check(t.Context())
		}
		if got := messageOf(err); got != want {
			t.Errorf("%s:\n got  %s\n want %s", args, got, want)
		}
	}
}

func messageOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestWhatUsersClientsAndAddressesMayBeGiven(t *testing.T) {
	type entities = []configEntity
	user, client, address := configEntity{kind: "users", name: "u"}, configEntity{kind: "clients", name: "c"},
		configEntity{kind: "ips", name: "10.0.0.1"}
	everyUser := configEntity{kind: "users", isDefault: true}
	const scram = "SCRAM-SHA-256"
	for _, c := range []struct {
		name     string
		entities entities
		added    string
		deleted  string
		want     string
	}{
		{"a key nobody knows, of a user", entities{user}, "foo", "", "Only quota and SCRAM credential configs can be added for 'users' using --bootstrap-server. Unexpected config names: Set(foo)"},
		{"a key nobody knows, taken from a user", entities{user}, "", "foo", "Only quota and SCRAM credential configs can be deleted for 'users' using --bootstrap-server. Unexpected config names: ArrayBuffer(foo)"},
		{"a credential of a client", entities{client}, scram, "", "Only quota configs can be added for 'clients' using --bootstrap-server. Unexpected config names: Set(SCRAM-SHA-256)"},
		{"a credential of a user's client", entities{user, client}, scram, "", "Only quota configs can be added for 'clients' using --bootstrap-server. Unexpected config names: Set(SCRAM-SHA-256)"},
		{"a credential taken from a client", entities{client}, "", scram, "Only quota configs can be deleted for 'clients' using --bootstrap-server. Unexpected config names: ArrayBuffer(SCRAM-SHA-256)"},
		{"a credential of everybody", entities{everyUser}, scram, "", "The use of --entity-default or --user-defaults is not allowed with User SCRAM Credentials using --bootstrap-server."},
		{"a credential and a quota at once", entities{user}, scram, "producer_byte_rate", "Cannot alter both quota and SCRAM credential configs simultaneously for 'users' using --bootstrap-server."},
		{"a client's quota of an address", entities{address}, "producer_byte_rate", "", "Only connection quota configs can be added for 'ips' using --bootstrap-server. Unexpected config names: producer_byte_rate"},
		{"an address's quota of a user", entities{user}, "connection_creation_rate", "", "Only quota and SCRAM credential configs can be added for 'users' using --bootstrap-server. Unexpected config names: Set(connection_creation_rate)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			added, deleted := make(map[string]string), strings.Fields(c.deleted)
			for _, key := range strings.Fields(c.added) {
				added[key] = "1"
			}
			q := &quotaService{entities: c.entities} // without brokers: must be refused before anybody is asked
			if got := messageOf(q.runAlter(t.Context(), added, deleted)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestQuotasAreToldInOrder(t *testing.T) {
	name := func(s string) *string { return &s }
	sets := []quotaSet{
		{map[string]*string{"user": nil, "client-id": nil}, map[string]float64{"request_percentage": 12.5}},
		{map[string]*string{"user": nil, "client-id": name("c")}, map[string]float64{"producer_byte_rate": 10485760}},
		{map[string]*string{"user": name("u"), "client-id": nil}, map[string]float64{"producer_byte_rate": 1, "consumer_byte_rate": 2}},
		{map[string]*string{"user": name("u"), "client-id": name("c")}, map[string]float64{"consumer_byte_rate": 0}},
	}
	want := []string{
		"Quota configs for user-principal 'u', client-id 'c' are consumer_byte_rate=0.0",
		"Quota configs for user-principal 'u', the default client-id are consumer_byte_rate=2.0, producer_byte_rate=1.0",
		"Quota configs for the default user-principal, client-id 'c' are producer_byte_rate=1.048576E7",
		"Quota configs for the default user-principal, the default client-id are request_percentage=12.5",
	}
	sortQuotas(sets)
	for i, s := range sets {
		if s.String() != want[i] {
			t.Errorf("line %d: %s", i, s)
		}
	}
}

func TestDoublesAreReadAsJava(t *testing.T) {
	for text, want := range map[string]float64{
		"5": 5, " 1e3 ": 1000, "-.5": -.5, "2.": 2, "1d": 1, "1.5F": 1.5, "Infinity": math.Inf(1), "1e999": math.Inf(1),
	} {
		if got, ok := parseJavaDouble(text); !ok || got != want {
			t.Errorf("%q: %v %t", text, got, ok)
		}
	}
	for _, text := range []string{"", "x", "1_0", "inf", "infinity", "1dd", ".", "e5", "1 2", "+-1"} {
		if got, ok := parseJavaDouble(text); ok {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}
