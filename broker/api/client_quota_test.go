package api

import (
	"math"
	"testing"

	"github.com/zurau/zurau/broker/kerr"
)

// The texts are what a Kafka 3.9.1 left in ZooKeeper.
func TestAQuotaIsKeptInTheTextOfItsType(t *testing.T) {
	const refused = ""
	user := quotaEntity{quotaUser: namedQuota(nil)}
	ip := quotaEntity{quotaIP: namedQuota(nil)}
	for name, c := range map[string]struct {
		entity quotaEntity
		key    string
		value  float64
		want   string
	}{
		"a whole number":                         {user, "producer_byte_rate", 1024, "1024"},
		"almost a whole number":                  {user, "producer_byte_rate", 0.9999999, "1"},
		"a bit more than a whole number":         {user, "producer_byte_rate", 5.0000001, "5"},
		"a fraction of a byte":                   {user, "consumer_byte_rate", 1.5, refused},
		"nothing at all is a quota too":          {user, "consumer_byte_rate", 0, "0"},
		"less than nothing":                      {user, "consumer_byte_rate", -5, refused},
		"the largest LONG":                       {user, "producer_byte_rate", math.MaxInt64, "9223372036854775807"},
		"more than the largest LONG":             {user, "producer_byte_rate", 1e19, refused},
		"the largest INT":                        {ip, "connection_creation_rate", math.MaxInt32, "2147483647"},
		"more than the largest INT":              {ip, "connection_creation_rate", math.MaxInt32 + 1, refused},
		"a percentage":                           {user, "request_percentage", 50, "50.0"},
		"a large double":                         {user, "request_percentage", 1.5e9, "1.5E9"},
		"a small double":                         {user, "controller_mutation_rate", 0.0001, "1.0E-4"},
		"what is no number, of bytes":            {user, "producer_byte_rate", math.NaN(), refused},
		"what is no number, of percents":         {user, "request_percentage", math.NaN(), refused},
		"no limit at all":                        {user, "request_percentage", math.Inf(1), refused},
		"an address's quota of a user":           {user, "connection_creation_rate", 1, refused},
		"a user's quota of an address":           {ip, "producer_byte_rate", 1, refused},
		"a key nobody knows":                     {user, "foo", 1, refused},
		"a user's credential, which is no quota": {user, "SCRAM-SHA-256", 1, refused},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := quotaText(c.entity.keys(), c.key, c.value)
			if got != c.want || (err != nil) != (c.want == refused) {
				t.Errorf("%q, %v, want %q", got, err, c.want)
			}
			if err != nil && kerr.CodeOf(err) != kerr.InvalidRequest.Code {
				t.Errorf("refused with %v", err)
			}
		})
	}
}

func TestAFilterPassesWhatItNames(t *testing.T) {
	name := func(s string) quotaName { return namedQuota(&s) }
	one := func(s string) quotaMatch { return quotaMatch{given: true, name: name(s)} }
	byDefault, anyone := quotaMatch{given: true, name: namedQuota(nil)}, quotaMatch{given: true, any: true}
	alice, everybody := quotaEntity{quotaUser: name("alice")}, quotaEntity{quotaUser: namedQuota(nil)}
	app, aliceApp := quotaEntity{quotaClient: name("app")}, quotaEntity{quotaUser: name("alice"), quotaClient: name("app")}
	address := quotaEntity{quotaIP: name("10.0.0.1")}
	for sentence, c := range map[string]struct {
		filter quotaFilter
		entity quotaEntity
		want   bool
	}{
		"a user by name":                              {quotaFilter{[3]quotaMatch{quotaUser: one("alice")}, true}, alice, true},
		"another user":                                {quotaFilter{[3]quotaMatch{quotaUser: one("bob")}, true}, alice, false},
		"the default is not a name":                   {quotaFilter{[3]quotaMatch{quotaUser: one("<default>")}, true}, everybody, false},
		"the default":                                 {quotaFilter{[3]quotaMatch{quotaUser: byDefault}, true}, everybody, true},
		"a name is not the default":                   {quotaFilter{[3]quotaMatch{quotaUser: byDefault}, true}, alice, false},
		"any user":                                    {quotaFilter{[3]quotaMatch{quotaUser: anyone}, true}, alice, true},
		"the default is any user":                     {quotaFilter{[3]quotaMatch{quotaUser: anyone}, true}, everybody, true},
		"a user's client, if others may be named":     {quotaFilter{[3]quotaMatch{quotaUser: one("alice")}, false}, aliceApp, true},
		"a user's client is more than the user":       {quotaFilter{[3]quotaMatch{quotaUser: one("alice")}, true}, aliceApp, false},
		"a client is no user":                         {quotaFilter{[3]quotaMatch{quotaUser: anyone}, false}, app, false},
		"an address is no user":                       {quotaFilter{[3]quotaMatch{quotaUser: anyone}, false}, address, false},
		"an address is something if nothing is asked": {quotaFilter{}, address, true},
		"nothing is asked and nothing else allowed":   {quotaFilter{strict: true}, alice, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := c.filter.matches(c.entity); got != c.want {
				t.Error(got)
			}
		})
	}
}
