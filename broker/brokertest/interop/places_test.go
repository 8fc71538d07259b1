//go:build interop

package interop

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zurau/zurau/broker/brokertest"
	"github.com/zurau/zurau/zkmeta/zkserver"
)

// A broker of Apache Kafka takes over our log directory and our registration, and we take them back: each reads what
// the other wrote, codec by codec, and goes on writing where the other left off.
func TestBrokersTakeOverEachOthersDirectory(t *testing.T) {
	for version, level := range map[string]string{kafkaOld: "2.8", kafkaNew: "3.9"} {
		t.Run(version, func(t *testing.T) {
			connect := startOurZooKeeper(t, zkserver.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0",
				TickTime: 500 * time.Millisecond}).Addr().String()
			dir := t.TempDir()
			ours := func() (bootstrap string, stop func()) {
				c := brokertest.Start(t, brokertest.ZooKeeper(connect), brokertest.Property("log.dirs", dir),
					brokertest.Property("inter.broker.protocol.version", level), brokertest.Property("log.segment.bytes", "200000"))
				return c.Bootstrap()[0], c.Node(0).Stop
			}
			theirs := func() (bootstrap string, stop func()) {
				b := startKafka(t, version, 0, connect, "log.dirs="+dir, "log.segment.bytes=200000")
				return b.addr, b.stop
			}
			topics, want := map[string]string{}, map[string][]rec{}
			for life, start := range []func() (string, func()){ours, theirs, ours, theirs} {
				bootstrap, stop := start()
				for _, codec := range codecs {
					if life == 0 {
						topics[codec] = createTopic(t, bootstrap, "places-"+codec, nil)
					}
					if life > 0 {
						if diff := cmp.Diff(want[codec], franzReader().read(t, bootstrap, topics[codec], len(want[codec]))); diff != "" {
							t.Errorf("life %d, %s: written (-) and read (+) differ:\n%s", life, codec, diff)
						}
					}
					records := sample("franz-go", codec)
					for i, offset := range franzWriter().write(t, bootstrap, topics[codec], codec, records) {
						records[i].Offset = offset
					}
					want[codec] = append(want[codec], records...)
				}
				stop()
			}
		})
	}
}
