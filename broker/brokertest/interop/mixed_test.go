//go:build interop

package interop

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

// mixes are the clusters of Apache Kafka's brokers and ours that have to work, and the level each runs at.
var mixes = []struct {
	name     string
	releases []string
	level    string
}{
	{"1 ours and 2 of 3.9 at 2.8", []string{ours, kafkaNew, kafkaNew}, "2.8"},
	{"1 ours and 2 of 3.9 at 3.9", []string{ours, kafkaNew, kafkaNew}, "3.9"},
	{"2 ours and 1 of 2.8 at 2.8", []string{ours, ours, kafkaOld}, "2.8"},
}

// TestMixedClustersLoseNothing kills and stops every broker of mixed clusters in turn, under the load of three kinds of
// clients, with the controller on a broker of either maker.
func TestMixedClustersLoseNothing(t *testing.T) {
	zookeeper := startEnsemble(t, 1)
	for i, mix := range mixes {
		t.Run(mix.name, func(t *testing.T) {
			c := startMixed(t, fmt.Sprintf("%s/mix-%d", zookeeper, i), mix.releases, "inter.broker.protocol.version="+mix.level)
			c.startLoads()
			c.awaitInSync()
			for _, round := range faultRounds() {
				now := c.moveController(round.controller)
				t.Logf("controller: %v; every broker is to %s", now, round.name)
				for _, m := range c.members {
					c.electPreferred()
					c.fail(m, round.fault)
				}
			}
			c.judge(false)
		})
	}
}

// faultRound is one fault that every broker has in turn.
type faultRound struct {
	name       string
	controller func(*member) bool // who has the role when the round begins
	fault      func(*member)
}

func isOurs(m *member) bool   { return m.release == ours }
func isKafkas(m *member) bool { return m.release != ours }

// faultRounds are two in a short run: the role on either maker's broker, and either end of a broker. ZURAU_TORTURE asks
// for all four, several times.
func faultRounds() []faultRound {
	short := []faultRound{{"crash", isKafkas, (*member).kill}, {"stop", isOurs, (*member).terminate}}
	if os.Getenv("ZURAU_TORTURE") == "" {
		return short
	}
	all := append(short, faultRound{"stop", isKafkas, (*member).terminate}, faultRound{"crash", isOurs, (*member).kill})
	return slices.Repeat(all, 3)
}

// fail lets one broker end, sees the others go on without it, and takes it back.
func (c *mixedCluster) fail(m *member, fault func(*member)) {
	c.t.Helper()
	began := time.Now()
	fault(m)
	ended := time.Since(began)
	c.awaitMoved(m)
	moved := time.Since(began)
	c.awaitProgress()
	m.start()
	up := time.Since(began)
	c.awaitInSync()
	c.t.Logf("%v: ended after %.1f s, its leads moved after %.1f s, up again after %.1f s, in sync after %.1f s", m,
		ended.Seconds(), moved.Seconds(), up.Seconds(), time.Since(began).Seconds())
	c.awaitProgress()
}
