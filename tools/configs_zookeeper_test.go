package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zurau/zurau/broker/security"
	"github.com/zurau/zurau/zkmeta"
	"github.com/zurau/zurau/zkmeta/zkserver"
)

// inMemoryZooKeeper starts a ZooKeeper in memory and gives its address and a session to look with.
func inMemoryZooKeeper(t *testing.T) (connect string, s *zkmeta.Session) {
	t.Helper()
	server, err := zkserver.NewServer(zkserver.Options{Addr: "127.0.0.1:0"})
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	connect = server.Addr().String()
	s, closeSession, err := openZooKeeper(t.Context(), connect, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeSession)
	return connect, s
}

// zookeeperRun gives a way to run kafka-configs on a ZooKeeper in memory, and a session to look with.
func zookeeperRun(t *testing.T) (run func(line string) (status int, stdout, stderr string), s *zkmeta.Session) {
	t.Helper()
	connect, s := inMemoryZooKeeper(t)
	run = func(line string) (int, string, string) {
		var stdout, stderr bytes.Buffer
		status := runConfigs(context.WithoutCancel(t.Context()), strings.Fields("--zookeeper "+connect+" "+line),
			stdio{Out: &stdout, Err: &stderr})
		return status, stdout.String(), stderr.String()
	}
	return run, s
}

func TestAPasswordIsNeverWrittenToZooKeeper(t *testing.T) {
	run, s := zookeeperRun(t)
	const password = "n0body-may-read=this"
	status, _, stderr := run("--alter --entity-type users --entity-name al,ice --add-config " +
		"SCRAM-SHA-256=[iterations=5000,password=" + password + "],SCRAM-SHA-512=[password=" + password + "]")
	if status != 0 {
		t.Fatal(stderr)
	}
	data, _, err := s.Get(t.Context(), "/config/users/al%2Cice")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte(password)) {
		t.Errorf("the password lies in the znode: %s", data)
	}
	configs, err := s.ReadConfig(t.Context(), zkmeta.UserEntity("al,ice"))
	if err != nil {
		t.Fatal(err)
	}
	salts := make(map[string]bool)
	for mechanism, iterations := range map[security.ScramMechanism]int{security.ScramSHA256: 5000, security.ScramSHA512: 4096} {
		got, err := security.ParseScramCredential(configs[mechanism.String()])
		if err != nil || got.Iterations != iterations {
			t.Fatalf("%s: %v %v", mechanism, got, err)
		}
		salts[string(got.Salt)] = true
		setting := scramSetting{mechanism, iterations, password}
		salted, err := setting.saltedWith(got.Salt)
		if err != nil {
			t.Fatal(err)
		}
		want := security.SaltedScramCredential(mechanism, salted, got.Salt, iterations)
		if !bytes.Equal(want.StoredKey, got.StoredKey) || !bytes.Equal(want.ServerKey, got.ServerKey) {
			t.Errorf("%s: the credential is not the password's", mechanism)
		}
	}
	if len(salts) != 2 {
		t.Error("two credentials have one salt")
	}
}

// A step of kafka-configs --zookeeper and the znodes it leaves.
func TestZnodesOfUsersClientsAndBrokers(t *testing.T) {
	run, s := zookeeperRun(t)
	for _, step := range []struct{ line, stdout, stderr string }{
		{"--alter --entity-type users --entity-name u --entity-type clients --entity-name c/1 --add-config producer_byte_rate=7",
			"Completed Updating config for entity: user-principal 'u', client-id 'c/1'.\n", ""},
		{"--alter --entity-type clients --entity-default --entity-type users --entity-name u --add-config request_percentage=1.5",
			"Completed Updating config for entity: user-principal 'u', default client-id.\n", ""},
		{"--alter --entity-type brokers --entity-name 1 --add-config leader.replication.throttled.rate=9",
			"Completed Updating config for entity: brokers '1'.\n", ""},
		{"--alter --entity-type clients --entity-default --add-config consumer_byte_rate=3,producer_byte_rate=4",
			"Completed Updating config for entity: default client-id.\n", ""},
		{"--alter --entity-type clients --entity-default --delete-config producer_byte_rate",
			"Completed Updating config for entity: default client-id.\n", ""},
		{"--alter --entity-type clients --entity-default --delete-config producer_byte_rate",
			"", "Invalid config(s): producer_byte_rate\n"},
		{"--alter --entity-type brokers --entity-name 1 --add-config log.cleaner.threads=9", "",
			"requirement failed: --bootstrap-server option must be specified to update broker configs {log.cleaner.threads=9}\n"},
		{"--alter --entity-type brokers --entity-name one --add-config leader.replication.throttled.rate=9", "",
			"Error parsing broker one. The broker's Entity Name must be a single integer value\n"},
		{"--alter --entity-type users --entity-default --add-config SCRAM-SHA-256=[password=secret]", "",
			"requirement failed: Unknown Dynamic Configuration: Set(SCRAM-SHA-256).\n"},
		{"--alter --entity-type clients --entity-name c --add-config SCRAM-SHA-256=[password=secret]", "",
			"requirement failed: Unknown Dynamic Configuration: Set(SCRAM-SHA-256).\n"},
		{"--describe --entity-type users --entity-name u --entity-type clients",
			"Configs for user-principal 'u', default client-id are request_percentage=1.5\n" +
				"Configs for user-principal 'u', client-id 'c/1' are producer_byte_rate=7\n", ""},
		{"--describe --entity-type users", "", ""},
		{"--describe --entity-type clients", "Configs for default client-id are consumer_byte_rate=3\n", ""},
		{"--describe --entity-type brokers", "Configs for brokers '1' are leader.replication.throttled.rate=9\n", ""},
	} {
		status, stdout, stderr := run(step.line)
		if stdout != step.stdout || stderr != step.stderr || (status == 0) != (stderr == "") {
			t.Errorf("%s:\n status %d\n%s%s", step.line, status, stdout, stderr)
		}
	}
	for path, want := range map[string]string{
		"/config/users/u/clients/c%2F1":     `{"version":1,"config":{"producer_byte_rate":"7"}}`,
		"/config/users/u/clients/<default>": `{"version":1,"config":{"request_percentage":"1.5"}}`,
		"/config/clients/<default>":         `{"version":1,"config":{"consumer_byte_rate":"3"}}`,
		"/config/brokers/1":                 `{"version":1,"config":{"leader.replication.throttled.rate":"9"}}`,
	} {
		if data, _, err := s.Get(t.Context(), path); err != nil || string(data) != want {
			t.Errorf("%s: %s %v", path, data, err)
		}
	}
	changes, _, err := s.ConfigChanges(t.Context(), -1)
	if err != nil {
		t.Fatal(err)
	}
	var told []zkmeta.Entity
	for _, c := range changes {
		told = append(told, c.Entity)
	}
	want := []zkmeta.Entity{"users/u/clients/c%2F1", "users/u/clients/<default>", "brokers/1", "clients/<default>",
		"clients/<default>"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("what the brokers were told: %s", diff)
	}
}

func TestScramSettings(t *testing.T) {
	for _, c := range []struct {
		name    string
		dialect dialect
		text    string
		want    scramSetting
		refused string
	}{
		{"only a password", dialect28, "password=x", scramSetting{iterations: 4096, password: "x"}, ""},
		{"both", dialect28, "iterations=5000,password=x", scramSetting{iterations: 5000, password: "x"}, ""},
		{"a password that looks like iterations", dialect28, "password=iterations=1,x", scramSetting{iterations: 4096, password: "iterations=1,x"}, ""},
		{"-1 is the default in 2.8", dialect28, "iterations=-1,password=x", scramSetting{iterations: 4096, password: "x"}, ""},
		{"-1 is nothing in 1.1", dialect11, "iterations=-1,password=x", scramSetting{}, "Invalid credential property SCRAM_SHA_256=iterations=-1,password=x"},
		{"no number", dialect28, "iterations=,password=x", scramSetting{}, `For input string: ""`},
		{"too few in 2.8", dialect28, "iterations=4095,password=x", scramSetting{}, "Iterations 4095 is less than the minimum 4096 required for SCRAM-SHA-256"},
		{"too few in 1.1", dialect11, "iterations=4095,password=x", scramSetting{}, "Iterations 4095 is less than the minimum 4096 required for SCRAM_SHA_256"},
		{"no password", dialect28, "iterations=5000", scramSetting{}, "Invalid credential property SCRAM_SHA_256=iterations=5000"},
		{"the other way round", dialect28, "password=x,iterations=5000", scramSetting{iterations: 4096, password: "x,iterations=5000"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseScramSetting(c.dialect, security.ScramSHA256, c.text)
			if messageOf(err) != c.refused {
				t.Fatal(err)
			}
			if err == nil {
				c.want.mechanism = security.ScramSHA256
			}
			if got != c.want {
				t.Errorf("%d iterations, password %q", got.iterations, got.password)
			}
		})
	}
}
