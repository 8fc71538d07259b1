//go:build interop

package interop

import (
	"bytes"
	"os"
	"testing"
)

// TestARollingReplacementFailsNoSend replaces three brokers of Kafka 2.8 by three of ours, one by one and under load,
// and back again. Everybody keeps broker id, port, log directory and server.properties, which names no
// inter.broker.protocol.version: ours find out what the others speak.
func TestARollingReplacementFailsNoSend(t *testing.T) {
	c := startMixed(t, startEnsemble(t, 1)+"/rolling", []string{kafkaOld, kafkaOld, kafkaOld})
	c.startLoads()
	c.awaitInSync()
	before := c.topicIDs()
	const settled = "inter.broker.protocol.version is 2.8-IV1: " // and the reason
	for _, release := range []string{ours, kafkaOld} {
		for _, m := range c.members {
			c.electPreferred()
			from := m.String()
			m.terminate()
			c.awaitMoved(m)
			c.awaitProgress()
			m.release = release
			m.start()
			c.awaitInSync()
			c.awaitProgress()
			if said, err := os.ReadFile(m.log); release == ours && (err != nil || !bytes.Contains(said, []byte(settled))) {
				t.Errorf("%v does not say %q (%v)", m, settled, err)
			}
			t.Logf("%s is %v now; controller: %v", from, m, c.controller())
		}
	}
	for name, id := range c.topicIDs() {
		if before[name] != id {
			t.Errorf("the id of topic %s was %s and is %s", name, before[name], id)
		}
	}
	c.judge(false)
}
