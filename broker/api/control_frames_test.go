package api

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/broker/metadata"
	"github.com/zurau/zurau/broker/metrics"
	"github.com/zurau/zurau/broker/replica"
	"github.com/zurau/zurau/broker/storage"
	"github.com/zurau/zurau/broker/wire"
)

// What Kafka's controllers sent to their brokers is sent to ours, byte by byte, and the answers are compared with those
// of Kafka's brokers. A frame without an answer in the table was not kept one, or makes the one behind it possible.
// testdata/frames.md of package controller tells what is compared of frames elsewhere.
func TestOrdersOfKafkasControllersAreAnsweredAsByItsBrokers(t *testing.T) {
	for name, c := range map[string]struct {
		broker   int32
		requests [][2]string // request and answer
	}{
		"broker 1 of a new topic, of a leader's death and of its own shutdown": {1, [][2]string{
			{"003", "004"}, {"005", "006"}, {"007", "008"}, {"009", "006"}, {"010", "011"}, {"015", ""}, {"016", "017"}}},
		"broker 2 of a new controller, of a deletion and of a failover": {2, [][2]string{
			{"001", "002"}, {"012", "002"}, {"018", "002"}, {"019", "020"}, {"021", "022"}, {"023", ""}, {"023", "024"}}},
		"broker 1 of a controller of 2.8.2, and then of one that slept": {1, [][2]string{{"025", "026"}, {"101", "102"}}},
		"broker 1 of 3.9's new topic and deletion":                      {1, [][2]string{{"064", "065"}, {"066", "063"}, {"072", "073"}}},
		"broker 2 of 3.9's new controller":                              {2, [][2]string{{"062", "063"}}},
		"broker 3 of 3.9's controlled shutdown":                         {3, [][2]string{{"070", "071"}}},
		"broker 1 below topic ids":                                      {1, [][2]string{{"103", "104"}, {"105", ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			conn := ordered(t, c.broker)
			for _, r := range c.requests {
				request := recorded(t, r[0], "request")
				got := exchange(t, conn, request)
				if r[1] == "" {
					continue
				}
				key, version := int16(binary.BigEndian.Uint16(request[4:])), int16(binary.BigEndian.Uint16(request[6:]))
				want := answer(t, key, version, recorded(t, r[1], "response"))
				if diff := gocmp.Diff(want, answer(t, key, version, got), gocmp.AllowUnexported(kmsg.Tags{}), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("frame %s is not answered as by %s (-Kafka +ours):\n%s", r[0], r[1], diff)
				}
			}
		})
	}
}

// ordered is a connection to a broker that has nothing yet.
func ordered(t *testing.T, broker int32) net.Conn {
	cfg, _, err := config.New(map[string]string{"zookeeper.connect": "unused", "log.dirs": t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	dynamic := config.NewDynamic(cfg)
	store, err := storage.Open(storage.Options{Dirs: cfg.LogDirs, Topic: dynamic.Topic, BrokerID: broker})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	m := replica.NewManager(replica.Options{BrokerID: broker, Storage: store, RefreshTopics: func([]string) {}, Logger: zap.NewNop(),
		Alive: func(int32) bool { return true }, LeaderAddr: func(int32) (string, bool) { return "", false }})
	t.Cleanup(m.Stop)
	h := New(Options{BrokerID: broker, Level: ibp.V2_8_IV1, Config: dynamic, Metadata: metadata.New(), Replicas: m, Storage: store,
		BrokerEpoch: func() int64 { return 1 }, Logger: zap.NewNop()})
	o := wire.DefaultServerOptions()
	o.Listeners = []wire.Listener{{Name: "INTERNAL", SecurityProtocol: "PLAINTEXT", Host: "127.0.0.1"}}
	server := wire.NewServer(o, h.Handle, zap.NewNop(), metrics.New())
	if err := server.Listen(); err != nil {
		t.Fatal(err)
	}
	server.Serve()
	t.Cleanup(func() { server.Stop(context.Background()) })
	conn, err := net.Dial("tcp", server.Addr("INTERNAL").String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// recorded reads a recorded frame.
func recorded(t *testing.T, number, kind string) []byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "wire", "testdata", "frames", number+"-*-"+kind+".hex"))
	if err != nil || len(files) != 1 {
		t.Fatalf("frame %s: %v, %v", number, files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// exchange sends a frame and reads the one that answers it.
func exchange(t *testing.T, conn net.Conn, request []byte) []byte {
	t.Helper()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Write(request); err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, 4)
	if _, err := io.ReadFull(conn, frame); err != nil {
		t.Fatal(err)
	}
	frame = append(frame, make([]byte, binary.BigEndian.Uint32(frame))...)
	if _, err := io.ReadFull(conn, frame[4:]); err != nil {
		t.Fatal(err)
	}
	if id := frame[4:8]; string(id) != string(request[8:12]) {
		t.Fatalf("correlation id %x of %x", id, request[8:12])
	}
	return frame
}

// answer decodes an answer; partitions get one order, which in Kafka's is that of a hash map.
func answer(t *testing.T, key, version int16, frame []byte) kmsg.Response {
	t.Helper()
	resp := kmsg.ResponseForKey(key)
	resp.SetVersion(version)
	if err := resp.ReadFrom(frame[4+4+1:]); err != nil { // size, correlation id, no tags
		t.Fatal(err)
	}
	switch r := resp.(type) {
	case *kmsg.LeaderAndISRResponse:
		byNumber := func(a, b kmsg.LeaderAndISRResponseTopicPartition) int { return int(a.Partition - b.Partition) }
		for i := range r.Topics {
			slices.SortFunc(r.Topics[i].Partitions, byNumber)
		}
		slices.SortFunc(r.Partitions, byNumber)
	case *kmsg.StopReplicaResponse:
		slices.SortFunc(r.Partitions, func(a, b kmsg.StopReplicaResponsePartition) int {
			return cmp.Or(strings.Compare(a.Topic, b.Topic), int(a.Partition-b.Partition))
		})
	}
	return resp
}
