package broker

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/broker/wire"
	"github.com/zurau/zurau/zkmeta"
)

// The last versions of Fetch, ListOffsets, LeaderAndIsr, StopReplica and UpdateMetadata that two releases take.
var (
	of28 = map[int16]int16{1: 12, 2: 6, 4: 5, 5: 3, 6: 7}
	of38 = map[int16]int16{1: 17, 2: 8, 4: 7, 5: 4, 6: 8}
	of39 = map[int16]int16{1: 17, 2: 9, 4: 7, 5: 4, 6: 8}
)

func TestTheLevelIsWhatAllPeersTake(t *testing.T) {
	late, old, silent := peerRelease{1, of39, nil}, peerRelease{2, of28, nil}, peerRelease{3, nil, errors.New("no route")}
	for name, c := range map[string]struct {
		feature int
		peers   []peerRelease
		want    ibp.Level
		because string
	}{
		"the first broker of a cluster":          {0, nil, ibp.V3_9_IV0, "no other broker"},
		"alone in a cluster of 3.9":              {2, nil, ibp.V3_9_IV0, "no other broker"},
		"alone in a cluster of 2.8":              {1, nil, ibp.V2_8_IV1, "/feature"},
		"among brokers of 3.9":                   {2, []peerRelease{late, late}, ibp.V3_9_IV0, "all 2"},
		"brokers of 3.9 that speak 2.8":          {1, []peerRelease{late, late}, ibp.V2_8_IV1, "/feature"},
		"one of 2.8 among brokers of 3.9":        {2, []peerRelease{late, old}, ibp.V2_8_IV1, "broker 2 is older"},
		"one of 3.8 among brokers of 3.9":        {2, []peerRelease{late, {4, of38, nil}}, ibp.V2_8_IV1, "broker 4 is older"},
		"one that says nothing":                  {2, []peerRelease{late, silent}, ibp.V2_8_IV1, "broker 3 is registered and does not answer: no route"},
		"one that takes nothing brokers send":    {2, []peerRelease{{5, map[int16]int16{0: 11}, nil}}, ibp.V2_8_IV1, "broker 5 is older"},
		"a first controller has not written yet": {0, []peerRelease{late}, ibp.V3_9_IV0, "all 1"},
	} {
		t.Run(name, func(t *testing.T) {
			level, reason := chooseLevel(c.feature, c.peers)
			if level != c.want || !strings.Contains(reason, c.because) {
				t.Errorf("%s because %s", level, reason)
			}
		})
	}
}

// settling is a broker that has learned its identity in a cluster, and what it says.
func settling(t *testing.T, r *registry, properties map[string]string) (*Broker, *zkmeta.Session, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.InfoLevel)
	values := map[string]string{"zookeeper.connect": r.connect, "log.dirs": t.TempDir(), "broker.id": "0"}
	for k, v := range properties {
		values[k] = v
	}
	cfg, _, err := config.New(values)
	if err != nil {
		t.Fatal(err)
	}
	b := New(cfg, zap.New(core))
	client, session := r.session()
	b.zk, b.registrar = client, &registrar{id: 0, cfg: cfg, logger: zap.NewNop()}
	return b, session, logs
}

// advertise is a broker of some release, as far as ApiVersions tells.
func advertise(latest map[int16]int16) wire.Handler {
	return func(_ context.Context, r *wire.Request) wire.Reply {
		resp := kmsg.NewPtrApiVersionsResponse()
		resp.Version = 3
		for key, version := range latest {
			resp.ApiKeys = append(resp.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: key, MaxVersion: version})
		}
		return wire.Respond(resp)
	}
}

// registerPeer puts a broker into the cluster, in a session that ends with close.
func (r *registry) registerPeer(id int32, at *net.TCPAddr) (leave func()) {
	r.t.Helper()
	client, session := r.session()
	_, err := session.RegisterBroker(r.t.Context(), zkmeta.BrokerInfo{ID: id, JMXPort: -1, Endpoints: []zkmeta.Endpoint{
		{Listener: "PLAINTEXT", SecurityProtocol: "PLAINTEXT", Host: "127.0.0.1", Port: int32(at.Port)}}})
	if err != nil {
		r.t.Fatal(err)
	}
	return client.Close
}

func TestABrokerAsksItsPeersAndSaysWhatItTakes(t *testing.T) {
	r := newRegistry(t)
	r.registerPeer(1, fakeController(t, advertise(of39)))
	r.registerPeer(2, fakeController(t, advertise(of28)))
	b, session, logs := settling(t, r, nil)
	if err := b.settleLevel(t.Context(), session); err != nil {
		t.Fatal(err)
	}
	if b.level != ibp.V2_8_IV1 || logs.FilterMessage("inter.broker.protocol.version is 2.8-IV1: broker 2 is older than Kafka 3.9").Len() != 1 {
		t.Errorf("level %s; said %v", b.level, logs.All())
	}
}

func TestAConfiguredLevelAsksNobody(t *testing.T) {
	r := newRegistry(t)
	r.registerPeer(2, fakeController(t, func(context.Context, *wire.Request) wire.Reply {
		t.Error("the peer was asked")
		return wire.Close("asked")
	}))
	b, session, _ := settling(t, r, map[string]string{levelKey: "3.5"})
	if err := b.settleLevel(t.Context(), session); err != nil || b.level != ibp.V3_5_IV2 {
		t.Errorf("level %s, %v", b.level, err)
	}
}

func TestADeadPeerIsOutwaited(t *testing.T) {
	r := newRegistry(t)
	r.registerPeer(1, fakeController(t, advertise(of39)))
	nobody, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	at := nobody.Addr().(*net.TCPAddr)
	_ = nobody.Close()
	leave := r.registerPeer(2, at) // registered, and nobody listens: its process was killed
	b, session, logs := settling(t, r, nil)
	settled := make(chan error, 1)
	go func() { settled <- b.settleLevel(t.Context(), session) }()
	for logs.FilterLevelExact(zapcore.WarnLevel).Len() == 0 {
		select {
		case err := <-settled:
			t.Fatalf("settled at %s without the dead peer: %v", b.level, err)
		case <-time.After(time.Millisecond):
		}
	}
	leave() // its session ends
	if err := <-settled; err != nil || b.level != ibp.V3_9_IV0 {
		t.Errorf("level %s, %v", b.level, err)
	}
}
