package zkmeta

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-zookeeper/zk"
	"pgregory.net/rapid"

	"github.com/zurau/zurau/broker/ibp"
)

// Forms that no captured znode has. The order of keys is that of Scala's hash tables, computed by hand.
func TestFormsThatWereNotCaptured(t *testing.T) {
	state := PartitionState{Leader: 1, LeaderEpoch: 2, ControllerEpoch: 3, ISR: []int32{1}, LeaderRecoveryState: 1}
	broker := plaintext(1, 9092)
	broker.Rack = "r"
	broker.Features = map[string]FeatureRange{"f": {1, 3}}
	secret := BrokerInfo{JMXPort: 9999, Timestamp: 1, Endpoints: []Endpoint{{"IN", "SASL_SSL", "::1", 1}}}
	for name, c := range map[string]struct{ got, want string }{
		"recovering leader": {string(encodeState(state, true)),
			`{"controller_epoch":3,"leader":1,"version":1,"leader_recovery_state":1,"leader_epoch":2,"isr":[1]}`},
		"recovering leader at a level that knows none": {string(encodeState(state, false)),
			`{"controller_epoch":3,"leader":1,"version":1,"leader_epoch":2,"isr":[1]}`},
		"no ISR": {string(encodeState(PartitionState{Leader: NoLeader}, true)),
			`{"controller_epoch":0,"leader":-1,"version":1,"leader_epoch":0,"isr":[]}`},
		"broker with rack and features": {string(encodeBroker(broker)),
			`{"features":{"f":{"min_version":1,"max_version":3}},"listener_security_protocol_map":{"PLAINTEXT":"PLAINTEXT"},` +
				`"endpoints":["PLAINTEXT://127.0.0.1:9092"],"rack":"r","jmx_port":-1,"port":9092,"host":"127.0.0.1","version":5,"timestamp":"1"}`},
		"broker without a plain-text endpoint": {string(encodeBroker(secret)),
			`{"features":{},"listener_security_protocol_map":{"IN":"SASL_SSL"},"endpoints":["IN://[::1]:1"],` +
				`"jmx_port":9999,"port":-1,"host":null,"version":5,"timestamp":"1"}`},
		"log dir event": {string(encodeLogDirEvent(2)), `{"version":1,"broker":2,"event":1}`},
		"ISR change":    {string(encodePartitions(nil)), `{"version":1,"partitions":[]}`},
		"token before 3.3": {string(encodeToken(DelegationToken{ID: "i", Owner: "User:a*"}, tokenVersion(ibp.V3_0_IV0))),
			`{"issueTimestamp":0,"renewers":[],"tokenId":"i","owner":"User%3Aa%2A","expiryTimestamp":0,"maxTimestamp":0,"version":1}`},
	} {
		if c.got != c.want {
			t.Errorf("%s:\n is %s\nnot %s", name, c.got, c.want)
		}
	}
}

func TestMigrationsAreRead(t *testing.T) {
	const form = `{"version":0,"kraft_controller_id":3000,"kraft_controller_epoch":-1,"kraft_metadata_offset":-1,"kraft_metadata_epoch":-1}`
	m, err := decodeMigration([]byte(form))
	if err != nil || m.Started() || m.ControllerID != 3000 {
		t.Errorf("%+v, %v", m, err)
	}
	m, err = decodeMigration([]byte(strings.Replace(form, `epoch":-1`, `epoch":4`, 1)))
	if err != nil || !m.Started() {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := decodeMigration([]byte(`{"version":0}`)); err == nil {
		t.Error("without anything in it")
	}
}

func TestEndpoints(t *testing.T) {
	protocols := map[string]string{"IN": "SSL", "BAD": "x"}
	for text, want := range map[string]Endpoint{
		"IN://h:9092":        {"IN", "SSL", "h", 9092},
		"in://h.x-y_z:1":     {"IN", "SSL", "h.x-y_z", 1},
		"IN://[fe80::1%0]:1": {"IN", "SSL", "fe80::1%0", 1},
		"IN://:1":            {"IN", "SSL", "", 1},
	} {
		if got, err := parseEndpoint(text, protocols); err != nil || got != want {
			t.Errorf("%q is read as %+v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "h:1", "IN://h", "IN://h:x", "IN://h:99999999999", "OUT://h:1", "BAD://h:1", "IN://a b:1"} {
		if got, err := parseEndpoint(bad, protocols); err == nil {
			t.Errorf("%q is read as %+v", bad, got)
		}
	}
	if got, err := parseEndpoint("SASL_SSL://h:1", nil); err != nil || got.SecurityProtocol != "SASL_SSL" {
		t.Errorf("without a map: %+v, %v", got, err)
	}
}

func TestWrongTypesAreRefusedAsInJava(t *testing.T) {
	stat := &Stat{}
	for name, decode := range map[string]func() error{
		"port as text": func() error {
			_, err := decodeBroker(1, []byte(`{"version":1,"jmx_port":-1,"host":"h","port":"1"}`), stat)
			return err
		},
		"no jmx_port": func() error { _, err := decodeBroker(1, []byte(`{"version":1,"host":"h","port":1}`), stat); return err },
		"version 0": func() error {
			_, err := decodeBroker(1, []byte(`{"version":0,"jmx_port":-1,"host":"h","port":1}`), stat)
			return err
		},
		"leader as text": func() error {
			_, err := decodeState([]byte(`{"leader":"1","leader_epoch":0,"controller_epoch":0,"isr":[1]}`), stat)
			return err
		},
		"another case": func() error {
			_, err := decodeState([]byte(`{"Leader":1,"leader_epoch":0,"controller_epoch":0,"isr":[1]}`), stat)
			return err
		},
		"ISR with doubles": func() error {
			_, err := decodeState([]byte(`{"leader":1,"leader_epoch":0,"controller_epoch":0,"isr":[1,1]}`), stat)
			return err
		},
		"no ISR": func() error {
			_, err := decodeState([]byte(`{"leader":1,"leader_epoch":0,"controller_epoch":0}`), stat)
			return err
		},
		"leader minus two": func() error {
			_, err := decodeState([]byte(`{"leader":-2,"leader_epoch":0,"controller_epoch":0,"isr":[]}`), stat)
			return err
		},
		"partition 01":        func() error { _, err := decodeTopic([]byte(`{"partitions":{"01":[1]}}`), stat); return err },
		"partition minus one": func() error { _, err := decodeTopic([]byte(`{"partitions":{"-1":[1]}}`), stat); return err },
		"no partitions":       func() error { _, err := decodeTopic([]byte(`{"version":1}`), stat); return err },
		"replicas null":       func() error { _, err := decodeTopic([]byte(`{"partitions":{"0":null}}`), stat); return err },
		"a short topic id":    func() error { _, err := decodeTopic([]byte(`{"partitions":{},"topic_id":"x"}`), stat); return err },
		"block as numbers": func() error {
			_, err := decodeProducerIDBlock([]byte(`{"broker":1,"block_start":0,"block_end":999}`))
			return err
		},
		"block backwards": func() error {
			_, err := decodeProducerIDBlock([]byte(`{"broker":1,"block_start":"9","block_end":"0"}`))
			return err
		},
		"config with a number": func() error { _, err := decodeConfig([]byte(`{"version":1,"config":{"a":1}}`)); return err },
		"config version 2":     func() error { _, err := decodeConfig([]byte(`{"version":2,"config":{}}`)); return err },
		"change of a foo":      func() error { _, err := decodeConfigChange([]byte(`{"version":2,"entity_path":"foo/a"}`)); return err },
		"old change of users": func() error {
			_, err := decodeConfigChange([]byte(`{"version":1,"entity_type":"users","entity_name":"a"}`))
			return err
		},
		"feature status 2": func() error {
			_, err := decodeFeatures([]byte(`{"version":1,"status":2,"features":{}}`), stat)
			return err
		},
		"feature version 3": func() error {
			_, err := decodeFeatures([]byte(`{"version":3,"status":1,"features":{}}`), stat)
			return err
		},
		"deep nesting": func() error { _, err := decodeTopic([]byte(strings.Repeat(`{"a":`, 10_000)), stat); return err },
	} {
		if err := decode(); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if e, err := decodeConfigChange([]byte(`{"version":1,"entity_type":"topics","entity_name":"t"}`)); err != nil || e != "topics/t" {
		t.Errorf("a change of 0.9: %q, %v", e, err)
	}
}

func TestAccessListsOfZnodes(t *testing.T) {
	all, read := zk.AuthACL(zk.PermAll)[0], zk.WorldACL(zk.PermRead)[0]
	for path, want := range map[string][]ACL{
		"/brokers/ids/1":                       {all, read},
		"/config/topics/t":                     {all, read},
		"/config/users/alice":                  {all},
		"/config/users":                        {all},
		"/config/brokers/<default>":            {all},
		"/delegation_token/tokens/x":           {all},
		"/delegation_token/token_changes":      {all, read},
		"/consumers":                           zk.WorldACL(zk.PermAll),
		"/consumers/g/offsets/t/0":             {all, read},
		"/kafka-acl-extended/prefixed/Topic/t": {all, read},
	} {
		got := NodeACL(true, path)
		if len(got) != len(want) || got[0] != want[0] || got[len(got)-1] != want[len(want)-1] {
			t.Errorf("%s: %v", path, got)
		}
		if open := NodeACL(false, path); len(open) != 1 || open[0] != zk.WorldACL(zk.PermAll)[0] {
			t.Errorf("%s, not secured: %v", path, open)
		}
	}
}

func TestEveryStringSurvivesItsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.String().Draw(t, "s")
		var got string
		if err := json.Unmarshal(appendString(nil, want), &got); err != nil || got != want {
			t.Fatalf("%q became %q, %v", want, got, err)
		}
	})
	if got := string(appendString(nil, "a\"\\/<>&\u00e4\x01\x1f\n")); got != `"a\"\\/<>&ä\u0001\u001F\n"` {
		t.Errorf("Jackson would not write %s", got)
	}
}

func TestEveryNameSurvivesSanitizing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.String().Draw(t, "name")
		clean := Sanitize(want)
		if got, err := Desanitize(clean); err != nil || got != want || strings.ContainsAny(clean, "/ *+<>") {
			t.Fatalf("%q became %q and %q, %v", want, clean, got, err)
		}
	})
}
