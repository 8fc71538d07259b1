package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/brokertest"
	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/zkmeta"
)

// znodes reads the cluster's ZooKeeper beside its broker.
func znodes(t *testing.T, c *brokertest.Cluster) *zkmeta.Session {
	t.Helper()
	client, err := zkmeta.Connect(t.Context(), zkmeta.Options{ConnectString: c.ZooKeeperConnect(),
		SessionTimeout: 10 * time.Second, ConnectionTimeout: 10 * time.Second, Level: ibp.Latest})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	s, err := client.AwaitSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// mustHold fails unless the entity has these values, "key=value" with spaces between; a value may end in "*".
func mustHold(t *testing.T, s *zkmeta.Session, e zkmeta.Entity, want string) {
	t.Helper()
	values, err := s.ReadConfig(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for k, v := range values {
		if strings.HasPrefix(v, "salt=") {
			v = v[:strings.IndexByte(v, ',')]
		}
		got = append(got, k+"="+v)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", e, diff)
	}
}

// of spells an entity: "user=alice client-id=" with nothing behind the equals sign for the default.
func of(spelled string) (parts []kmsg.AlterClientQuotasRequestEntryEntity) {
	for word := range strings.FieldsSeq(spelled) {
		kind, name, _ := strings.Cut(word, "=")
		p := kmsg.AlterClientQuotasRequestEntryEntity{Type: kind}
		if name != "" {
			p.Name = &name
		}
		parts = append(parts, p)
	}
	return parts
}

func setQuota(key string, value float64) kmsg.AlterClientQuotasRequestEntryOp {
	return kmsg.AlterClientQuotasRequestEntryOp{Key: key, Value: value}
}

func dropQuota(key string) kmsg.AlterClientQuotasRequestEntryOp {
	return kmsg.AlterClientQuotasRequestEntryOp{Key: key, Remove: true}
}

func (a asker) quota(validateOnly bool, entity string, ops ...kmsg.AlterClientQuotasRequestEntryOp) string {
	a.t.Helper()
	r := kmsg.NewPtrAlterClientQuotasRequest()
	r.ValidateOnly = validateOnly
	r.Entries = []kmsg.AlterClientQuotasRequestEntry{{Entity: of(entity), Ops: ops}}
	got := do[*kmsg.AlterClientQuotasResponse](a, 1, r).Entries[0]
	return result(got.ErrorCode, got.ErrorMessage)
}

// The words and codes are those of Kafka 3.9.1.
func TestAQuotaIsRefusedInKafkasWords(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	rate := setQuota("producer_byte_rate", 1)
	empty := kmsg.NewPtrAlterClientQuotasRequest()
	empty.Entries = []kmsg.AlterClientQuotasRequestEntry{{Entity: []kmsg.AlterClientQuotasRequestEntryEntity{{Type: "user", Name: new(string)}}}}
	if got := do[*kmsg.AlterClientQuotasResponse](a, 0, empty).Entries[0]; result(got.ErrorCode, got.ErrorMessage) != "INVALID_REQUEST: Empty user not supported" {
		t.Errorf("a user without a name: %s", result(got.ErrorCode, got.ErrorMessage))
	}
	for name, c := range map[string]struct {
		entity string
		op     kmsg.AlterClientQuotasRequestEntryOp
		want   string
	}{
		"nobody":                {"", rate, "Invalid empty client quota entity"},
		"a kind nobody knows":   {"group=g", rate, "Unhandled client quota entity type: group"},
		"an address and a user": {"user=a ip=1.2.3.4", rate, "Invalid quota entity combination, IP entity should not be used with user/client ID entity."},
		"no address":            {"ip=256.256.256.256", setQuota("connection_creation_rate", 1), "256.256.256.256 is not a valid IP or resolvable host."},
		"an IPv6 address":       {"ip=::1", setQuota("connection_creation_rate", 1), "%3A%3A1 is not a valid IP or resolvable host."},
		"a key nobody knows":    {"user=a", setQuota("foo", 1), "Invalid configuration key foo"},
		"a fraction of a byte":  {"user=a", setQuota("producer_byte_rate", 1.5), "Configuration producer_byte_rate must be a LONG value"},
		"too many connections":  {"ip=1.2.3.4", setQuota("connection_creation_rate", 1<<31), "Configuration connection_creation_rate must be a INT value"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := a.quota(false, c.entity, c.op); got != "INVALID_REQUEST: "+c.want {
				t.Error(got)
			}
		})
	}
}

func TestQuotasLieWhereKafkaKeepsThem(t *testing.T) {
	c := brokertest.Start(t)
	a, zk := ask(t, c, 0), znodes(t, c)
	must := func(entity string, ops ...kmsg.AlterClientQuotasRequestEntryOp) {
		t.Helper()
		if got := a.quota(false, entity, ops...); got != "ok" {
			t.Fatalf("%s: %s", entity, got)
		}
	}
	must("user=a*b", setQuota("producer_byte_rate", 1024), setQuota("request_percentage", 50))
	mustHold(t, zk, "users/a%2Ab", "producer_byte_rate=1024 request_percentage=50.0")
	must("user=<default>", setQuota("producer_byte_rate", 3))
	mustHold(t, zk, "users/%3Cdefault%3E", "producer_byte_rate=3")
	must("user= client-id=", setQuota("consumer_byte_rate", 88))
	mustHold(t, zk, "users/<default>/clients/<default>", "consumer_byte_rate=88")
	must("client-id=app/1", setQuota("controller_mutation_rate", 0.5))
	mustHold(t, zk, "clients/app%2F1", "controller_mutation_rate=0.5")
	must("ip=10.1.2.3", setQuota("connection_creation_rate", 5))
	mustHold(t, zk, "ips/10.1.2.3", "connection_creation_rate=5")

	must("user=a*b", dropQuota("request_percentage"), dropQuota("foo"), setQuota("consumer_byte_rate", 7))
	mustHold(t, zk, "users/a%2Ab", "consumer_byte_rate=7 producer_byte_rate=1024")
	if got := a.quota(true, "user=a*b", setQuota("consumer_byte_rate", 8)); got != "ok" {
		t.Errorf("only to be checked: %s", got)
	}
	mustHold(t, zk, "users/a%2Ab", "consumer_byte_rate=7 producer_byte_rate=1024")

	changes, _, err := zk.ConfigChanges(t.Context(), -1)
	if err != nil || len(changes) != 6 || changes[0].Entity != "users/a%2Ab" || changes[2].Entity != "users/<default>/clients/<default>" {
		t.Errorf("brokers were told of %v, %v", changes, err)
	}
	must("user=gone client-id=x", setQuota("consumer_byte_rate", 7))
	must("user=gone client-id=x", dropQuota("consumer_byte_rate"))
	users, err := zk.Entities(t.Context(), zkmeta.UserConfigs)
	if err != nil || slices.Contains(users, "users/gone") {
		t.Errorf("users %v, %v", users, err)
	}
}

// quotas spells the answer to a filter, spelled as entities are, where "user=*" is any user.
func (a asker) quotas(strict bool, filter string) string {
	a.t.Helper()
	r := kmsg.NewPtrDescribeClientQuotasRequest()
	r.Strict = strict
	for word := range strings.FieldsSeq(filter) {
		kind, name, _ := strings.Cut(word, "=")
		c := kmsg.DescribeClientQuotasRequestComponent{EntityType: kind, MatchType: kmsg.QuotasMatchTypeExact, Match: &name}
		switch name {
		case "*":
			c.MatchType, c.Match = kmsg.QuotasMatchTypeAny, nil
		case "":
			c.MatchType, c.Match = kmsg.QuotasMatchTypeDefault, nil
		}
		r.Components = append(r.Components, c)
	}
	got := do[*kmsg.DescribeClientQuotasResponse](a, 1, r)
	if got.ErrorCode != 0 {
		return result(got.ErrorCode, got.ErrorMessage)
	}
	var entries []string
	for _, e := range got.Entries {
		var words []string
		for _, p := range e.Entity {
			word := p.Type + "="
			if p.Name != nil {
				word += *p.Name
			}
			words = append(words, word)
		}
		for _, v := range e.Values {
			words = append(words, fmt.Sprint(v.Value))
		}
		entries = append(entries, strings.Join(words, " "))
	}
	return strings.Join(entries, "; ")
}

func TestQuotasAreDescribedByAFilter(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	for i, entity := range []string{"user=alice", "user=", "client-id=app", "client-id=", "user=alice client-id=app",
		"user= client-id=", "ip=10.0.0.1", "ip="} {
		key := "producer_byte_rate"
		if strings.HasPrefix(entity, "ip") {
			key = "connection_creation_rate"
		}
		if got := a.quota(false, entity, setQuota(key, float64(i+1))); got != "ok" {
			t.Fatalf("%s: %s", entity, got)
		}
	}
	for _, c := range []struct {
		filter, strict, loose string
	}{
		{"", "", "user= 2; user=alice 1; client-id= 4; client-id=app 3; user= client-id= 6; user=alice client-id=app 5; ip=10.0.0.1 7; ip= 8"},
		{"user=alice", "user=alice 1", "user=alice 1; user=alice client-id=app 5"},
		{"user=", "user= 2", "user= 2; user= client-id= 6"},
		{"user=*", "user= 2; user=alice 1", "user= 2; user=alice 1; user= client-id= 6; user=alice client-id=app 5"},
		{"client-id=app", "client-id=app 3", "client-id=app 3; user=alice client-id=app 5"},
		{"user=* client-id=app", "user=alice client-id=app 5", "user=alice client-id=app 5"},
		{"user=nobody", "", ""},
		{"ip=10.0.0.1", "ip=10.0.0.1 7", "ip=10.0.0.1 7"},
		{"ip=*", "ip=10.0.0.1 7; ip= 8", "ip=10.0.0.1 7; ip= 8"},
	} {
		for strict, want := range map[bool]string{true: c.strict, false: c.loose} {
			if got := a.quotas(strict, c.filter); got != want {
				t.Errorf("%q, strict %v\ngot  %s\nwant %s", c.filter, strict, got, want)
			}
		}
	}
	for filter, want := range map[string]string{
		"user=a user=b": "INVALID_REQUEST: Duplicate user filter component entity type",
		"group=g":       "UNSUPPORTED_VERSION: Custom entity type 'group' not supported",
		"=x":            "INVALID_REQUEST: Unexpected empty filter component entity type",
		"user=* ip=*": "INVALID_REQUEST: Invalid entity filter component combination, IP filter component should not be used " +
			"with user or clientId filter component.",
	} {
		if got := a.quotas(false, filter); got != want {
			t.Errorf("%q: %s", filter, got)
		}
	}
}

// upsert gives a user a credential of a mechanism, 1 or 2.
func upsert(user string, mechanism int8, iterations int32) kmsg.AlterUserSCRAMCredentialsRequestUpsertion {
	return kmsg.AlterUserSCRAMCredentialsRequestUpsertion{Name: user, Mechanism: mechanism, Iterations: iterations,
		Salt: []byte("salt"), SaltedPassword: []byte(strings.Repeat("p", 32))}
}

func deletion(user string, mechanism int8) kmsg.AlterUserSCRAMCredentialsRequestDeletion {
	return kmsg.AlterUserSCRAMCredentialsRequestDeletion{Name: user, Mechanism: mechanism}
}

// scram alters credentials; each word is a deletion or an upsertion. It gives "user: result" for each user.
func (a asker) scram(words ...any) []string {
	a.t.Helper()
	r := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	for _, w := range words {
		switch w := w.(type) {
		case kmsg.AlterUserSCRAMCredentialsRequestUpsertion:
			r.Upsertions = append(r.Upsertions, w)
		case kmsg.AlterUserSCRAMCredentialsRequestDeletion:
			r.Deletions = append(r.Deletions, w)
		}
	}
	var users []string
	for _, got := range do[*kmsg.AlterUserSCRAMCredentialsResponse](a, 0, r).Results {
		users = append(users, got.User+": "+strings.TrimSuffix(result(got.ErrorCode, got.ErrorMessage), ": "))
	}
	return users
}

// The words and codes are those of Kafka 3.9.1.
func TestAScramCredentialIsRefusedInKafkasWords(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	noPassword := upsert("b", 1, 4096)
	noPassword.SaltedPassword = nil
	for name, c := range map[string]struct {
		words []any
		want  string
	}{
		"too few iterations":               {[]any{upsert("b", 1, 4095)}, "b: UNACCEPTABLE_CREDENTIAL: Too few iterations"},
		"too many iterations":              {[]any{upsert("b", 2, 16385)}, "b: UNACCEPTABLE_CREDENTIAL: Too many iterations"},
		"no such mechanism":                {[]any{upsert("b", 3, 4096)}, "b: UNSUPPORTED_SASL_MECHANISM: Unknown SCRAM mechanism"},
		"no such mechanism to delete":      {[]any{deletion("b", 0)}, "b: UNSUPPORTED_SASL_MECHANISM: Unknown SCRAM mechanism"},
		"a user without a name":            {[]any{upsert("", 1, 4096)}, ": UNACCEPTABLE_CREDENTIAL: Username must not be empty"},
		"a deletion of a nameless user":    {[]any{deletion("", 1)}, ": UNACCEPTABLE_CREDENTIAL: Username must not be empty"},
		"a credential deleted and set":     {[]any{deletion("b", 1), upsert("b", 1, 4096)}, "b: DUPLICATE_RESOURCE: A user credential cannot be altered twice in the same request"},
		"a credential set twice":           {[]any{upsert("b", 1, 4096), upsert("b", 1, 4097)}, "b: DUPLICATE_RESOURCE: A user credential cannot be altered twice in the same request"},
		"a credential that is not there":   {[]any{deletion("b", 1)}, "b: RESOURCE_NOT_FOUND: Attempt to delete a user credential that does not exist"},
		"the last of two faults":           {[]any{upsert("b", 1, 1), upsert("b", 2, 99999)}, "b: UNACCEPTABLE_CREDENTIAL: Too many iterations"},
		"an upsertion's fault comes after": {[]any{deletion("b", 7), upsert("b", 1, 1)}, "b: UNACCEPTABLE_CREDENTIAL: Too few iterations"},
		"a fault is told before a repetition": {[]any{upsert("b", 1, 1), upsert("b", 1, 1)},
			"b: UNACCEPTABLE_CREDENTIAL: Too few iterations"},
		"no password": {[]any{noPassword}, "b: UNACCEPTABLE_CREDENTIAL: Salt and salted password must not be empty"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := a.scram(c.words...); len(got) != 1 || got[0] != c.want {
				t.Error(got)
			}
		})
	}
}

func TestScramCredentialsLiveBesideQuotas(t *testing.T) {
	c := brokertest.Start(t)
	a, zk := ask(t, c, 0), znodes(t, c)
	if got := a.quota(false, "user=alice", setQuota("producer_byte_rate", 5)); got != "ok" {
		t.Fatal(got)
	}
	got := a.scram(deletion("nobody", 1), upsert("alice", 1, 4096), upsert("alice", 2, 16384), upsert("carl", 2, 5000))
	want := []string{"nobody: RESOURCE_NOT_FOUND: Attempt to delete a user credential that does not exist", "alice: ok", "carl: ok"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	mustHold(t, zk, "users/alice", "SCRAM-SHA-256=salt=c2FsdA== SCRAM-SHA-512=salt=c2FsdA== producer_byte_rate=5")
	if got := a.scram(deletion("alice", 2)); got[0] != "alice: ok" {
		t.Error(got)
	}
	if got := a.quota(false, "user=alice", dropQuota("SCRAM-SHA-256")); got != "INVALID_REQUEST: Invalid configuration key SCRAM-SHA-256" {
		t.Errorf("a credential taken away as a quota: %s", got)
	}
	if got := a.quota(false, "user=alice", dropQuota("producer_byte_rate")); got != "ok" {
		t.Error(got)
	}
	mustHold(t, zk, "users/alice", "SCRAM-SHA-256=salt=c2FsdA==")
	if got := a.quota(false, "user=dora", setQuota("producer_byte_rate", 5)); got != "ok" {
		t.Error(got)
	}

	for name, c := range map[string]struct {
		asked []string
		want  []string
	}{
		"all who have one": {nil, []string{"alice: ok [1 4096]", "carl: ok [2 5000]"}},
		"some by name": {[]string{"carl", "dora", ""}, []string{"carl: ok [2 5000]",
			"dora: RESOURCE_NOT_FOUND: Attempt to describe a user credential that does not exist: dora",
			": RESOURCE_NOT_FOUND: Username must not be empty"}},
		"one twice": {[]string{"carl", "carl"}, []string{
			"carl: DUPLICATE_RESOURCE: Cannot describe SCRAM credentials for the same user twice in a single request: carl"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
			for _, user := range c.asked {
				r.Users = append(r.Users, kmsg.DescribeUserSCRAMCredentialsRequestUser{Name: user})
			}
			var got []string
			for _, u := range do[*kmsg.DescribeUserSCRAMCredentialsResponse](a, 0, r).Results {
				text := u.User + ": " + strings.TrimSuffix(result(u.ErrorCode, u.ErrorMessage), ": ")
				for _, i := range u.CredentialInfos {
					text += fmt.Sprintf(" [%d %d]", i.Mechanism, i.Iterations)
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOnlyTheControllerAltersCredentials(t *testing.T) {
	c := brokertest.Start(t, brokertest.Brokers(2))
	answers := map[string]int{}
	for node := range 2 {
		answers[ask(t, c, node).scram(upsert("alice", 1, 4096))[0]]++
	}
	want := map[string]int{"alice: ok": 1, "alice: " + kerr.NotController.Name: 1}
	if diff := cmp.Diff(want, answers); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
