package broker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/zkmeta"
	"github.com/zurau/zurau/zkmeta/zkserver"
)

// registry is a ZooKeeper for the tests of the registrar.
type registry struct {
	t       *testing.T
	connect string
}

func newRegistry(t *testing.T) *registry {
	server, err := zkserver.NewServer(zkserver.Options{Addr: "127.0.0.1:0", TickTime: 250 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return &registry{t, server.Addr().String()}
}

// session opens a session that outlives every test that does not close it: 5 s, with a client that pings.
func (r *registry) session() (*zkmeta.Client, *zkmeta.Session) {
	r.t.Helper()
	client, err := zkmeta.Connect(context.Background(), zkmeta.Options{
		ConnectString: r.connect, SessionTimeout: 5 * time.Second, Level: ibp.Latest, Logger: zap.NewNop()})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(client.Close)
	if err := client.Session().EnsurePaths(context.Background()); err != nil {
		r.t.Fatal(err)
	}
	return client, client.Session()
}

// process is what a broker's process does until it is registered, on one log directory.
func (r *registry) process(s *zkmeta.Session, dir string, port int32, properties ...string) (*registrar, error) {
	r.t.Helper()
	props := map[string]string{"zookeeper.connect": r.connect, "log.dirs": dir}
	for _, p := range properties {
		key, value, _ := strings.Cut(p, "=")
		props[key] = value
	}
	cfg, _, err := config.New(props)
	if err != nil {
		r.t.Fatal(err)
	}
	reg, err := openIdentity(context.Background(), s, cfg, zap.NewNop())
	if err != nil {
		return nil, err
	}
	if err := reg.saveIdentity(); err != nil {
		return nil, err
	}
	reg.endpoints = []zkmeta.Endpoint{{Listener: "PLAINTEXT", SecurityProtocol: "PLAINTEXT", Host: "localhost", Port: port}}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return reg, reg.register(ctx, s)
}

func TestABrokerWithoutIDDrawsOneAndKeepsIt(t *testing.T) {
	r := newRegistry(t)
	dir := t.TempDir()
	client, s := r.session()
	first, err := r.process(s, dir, 9092)
	if err != nil || first.id != 1001 {
		t.Fatalf("id %v, %v; want 1001", first, err)
	}
	client.Close()
	_, s = r.session()
	again, err := r.process(s, dir, 9092)
	if err != nil || again.id != 1001 || again.clusterID != first.clusterID {
		t.Fatalf("after a restart: %+v, %v", again, err)
	}
	_, s = r.session()
	other, err := r.process(s, t.TempDir(), 9093)
	if err != nil || other.id != 1002 {
		t.Fatalf("the next broker: %+v, %v", other, err)
	}
}

func TestForeignLogDirectoriesStopTheStart(t *testing.T) {
	r := newRegistry(t)
	_, s := r.session()
	for _, test := range []struct{ name, meta, want string }{
		{"of another cluster", "version=0\nbroker.id=1\ncluster.id=somebody-elses-cluster\n", "Invalid cluster.id in"},
		{"of another broker", "version=0\nbroker.id=2\n", "doesn't match"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "meta.properties"), []byte(test.meta), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := r.process(s, dir, 9092, "broker.id=1")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("%v, want %q", err, test.want)
			}
		})
	}
}

func TestMetaPropertiesKeepsKeysOfOthers(t *testing.T) {
	r := newRegistry(t)
	_, s := r.session()
	dir := t.TempDir()
	path := filepath.Join(dir, "meta.properties")
	if err := os.WriteFile(path, []byte("version=0\nbroker.id=1\ndirectory.id=abc\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	reg, err := r.process(s, dir, 9092, "broker.id=1")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"directory.id=abc\n", "broker.id=1\n", "cluster.id=" + reg.clusterID + "\n"} {
		if !strings.Contains(string(got), line) {
			t.Errorf("%q is missing in\n%s", line, got)
		}
	}
}

func TestAnAddressBelongsToOneBroker(t *testing.T) {
	r := newRegistry(t)
	_, s1 := r.session()
	if _, err := r.process(s1, t.TempDir(), 9092, "broker.id=1"); err != nil {
		t.Fatal(err)
	}
	_, s2 := r.session()
	_, err := r.process(s2, t.TempDir(), 9092, "broker.id=2")
	if err == nil || !strings.Contains(err.Error(), "localhost:9092 in advertised listeners are already registered by broker 1") {
		t.Fatalf("%v", err)
	}
}

func TestAClusterThatMovesToKRaftIsRefused(t *testing.T) {
	for _, test := range []struct{ path, data string }{
		{"/controller", `{"version":2,"brokerid":3000,"timestamp":"1","kraftControllerEpoch":5}`},
		{"/migration", `{"version":0,"kraft_controller_id":3000,"kraft_controller_epoch":5,"kraft_metadata_offset":1,"kraft_metadata_epoch":1}`},
	} {
		r := newRegistry(t)
		_, s := r.session()
		if _, err := s.Create(context.Background(), test.path, []byte(test.data), zkmeta.Persistent); err != nil {
			t.Fatal(err)
		}
		if _, err := r.process(s, t.TempDir(), 9092, "broker.id=1"); err == nil || !strings.Contains(err.Error(), "KRaft") {
			t.Errorf("%s: %v", test.path, err)
		}
	}
}

// A killed process leaves a session that lives on: here its client simply goes on pinging.
func TestARestartAfterKillTakesTheIDAndTheControllerBack(t *testing.T) {
	r := newRegistry(t)
	dir := t.TempDir()
	_, killed := r.session()
	before, err := r.process(killed, dir, 9092, "broker.id=1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := killed.Elect(context.Background(), 1, 1); err != nil {
		t.Fatal(err)
	}
	_, s := r.session()
	began := time.Now()
	after, err := r.process(s, dir, 9092, "broker.id=1")
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("the restart took %v", took)
	}
	if after.epoch.Load() <= before.epoch.Load() {
		t.Errorf("broker epoch %d after %d", after.epoch.Load(), before.epoch.Load())
	}
	if b, err := s.Broker(context.Background(), 1); err != nil || b.Owner != s.ID() {
		t.Errorf("the registration is %+v, %v", b, err)
	}
	if active, err := s.ReadController(context.Background()); !errors.Is(err, zkmeta.ErrNoNode) {
		t.Errorf("/controller still is %+v, %v", active, err)
	}
	info, err := os.Stat(filepath.Join(dir, savedSessionFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestAForeignOwnerOfTheIDIsWaitedForAndNamed(t *testing.T) {
	r := newRegistry(t)
	other, foreign := r.session()
	if _, err := r.process(foreign, t.TempDir(), 9092, "broker.id=1"); err != nil {
		t.Fatal(err)
	}
	_, s := r.session()
	_, err := r.process(s, t.TempDir(), 9093, "broker.id=1") // gives up after the second its context lasts
	var taken *zkmeta.BrokerExistsError
	if !errors.As(err, &taken) || taken.Owner != foreign.ID() {
		t.Fatalf("%v", err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		other.Close()
	}()
	if _, err := r.process(s, t.TempDir(), 9093, "broker.id=1"); err != nil {
		t.Fatal(err)
	}
	<-gone
}

func TestANewLifeGivesANewBrokerEpoch(t *testing.T) {
	r := newRegistry(t)
	dir := t.TempDir()
	client, first := r.session()
	reg, err := r.process(first, dir, 9092, "broker.id=1")
	if err != nil {
		t.Fatal(err)
	}
	before := reg.epoch.Load()
	if err := zkmeta.CloseSession(context.Background(), r.connect, first.ID(), first.Password()); err != nil {
		t.Fatal(err)
	}
	<-first.Context().Done()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	second, err := client.AwaitSession(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := reg.register(ctx, second); err != nil {
		t.Fatal(err)
	}
	if reg.epoch.Load() <= before {
		t.Errorf("broker epoch %d after %d", reg.epoch.Load(), before)
	}
}

func TestSavedSessionTextGoesBothWays(t *testing.T) {
	for _, id := range []int64{1, -1, 0x1000_0000_0000_0001} {
		s := savedSession{id, []byte("0123456789abcdef")}
		back, err := parseSavedSession(s.format())
		if err != nil || fmt.Sprint(back) != fmt.Sprint(s) {
			t.Errorf("%v -> %q -> %v, %v", s, s.format(), back, err)
		}
	}
}

func FuzzParseSavedSession(f *testing.F) {
	f.Add("")
	f.Add(savedSession{1, make([]byte, 16)}.format())
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSavedSession(text)
		if err != nil {
			return
		}
		if back, err := parseSavedSession(s.format()); err != nil || back.id != s.id {
			t.Fatalf("%q -> %v -> %v, %v", text, s, back, err)
		}
	})
}
