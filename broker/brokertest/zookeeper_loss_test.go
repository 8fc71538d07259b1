package brokertest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/zurau/zurau/zkmeta"
)

const shortSession = 2 * time.Second

// behindLink is a broker that reaches its ZooKeeper over a link; the test's own session goes straight.
type behindLink struct {
	*Cluster
	link    *link
	session *zkmeta.Session
	logged  *observer.ObservedLogs
}

func startBehindLink(t *testing.T) behindLink {
	t.Helper()
	core, logged := observer.New(zap.InfoLevel)
	c := Start(t, Logger(zap.New(core)), Property("zookeeper.session.timeout.ms", "2000"),
		Property("controlled.shutdown.retry.backoff.ms", "200"))
	c.needLinks()
	return behindLink{Cluster: c, link: c.Node(0).zk, session: c.session(), logged: logged}
}

// said counts the log lines that contain a text.
func (b behindLink) said(text string) int {
	return b.logged.Filter(func(e observer.LoggedEntry) bool { return strings.Contains(e.Message, text) }).Len()
}

// brokerEpoch is the czxid of the broker's registration.
func (b behindLink) brokerEpoch() (int64, error) {
	_, stat, err := b.session.Get(context.Background(), zkmeta.BrokerIDsPath+"/0")
	if err != nil {
		return -1, err
	}
	return stat.Czxid, nil
}

// awaitSessionEnd waits until ZooKeeper has given the broker up.
func (b behindLink) awaitSessionEnd(t *testing.T) {
	t.Helper()
	eventually(t, "ZooKeeper ends the session", func() error {
		if _, err := b.brokerEpoch(); err == nil {
			return fmt.Errorf("the broker is still registered")
		}
		return nil
	})
}

// reigns waits until the broker is registered under another epoch than old, and is controller in that session.
func (b behindLink) reigns(t *testing.T, old int64) (epoch int64) {
	t.Helper()
	eventually(t, "the broker is registered anew and is controller", func() error {
		_, registration, err := b.session.Get(t.Context(), zkmeta.BrokerIDsPath+"/0")
		if err != nil {
			return err
		}
		_, office, err := b.session.Get(t.Context(), "/controller")
		if err != nil {
			return err
		}
		epoch = registration.Czxid
		if epoch == old || office.EphemeralOwner != registration.EphemeralOwner {
			return fmt.Errorf("broker epoch %d, was %d; controller in session %x, broker in %x", epoch, old,
				office.EphemeralOwner, registration.EphemeralOwner)
		}
		return nil
	})
	return epoch
}

// A ZooKeeper that is away for longer than a session is waited for: clients go on with the leaders there are, and when
// it is back the broker registers once and is controller again (failures.md B5).
func TestTheBrokerGoesOnWithoutZooKeeper(t *testing.T) {
	for _, c := range []struct {
		name       string
		away, back func(b behindLink)
	}{
		{"frozen, with its connections open", func(b behindLink) { b.FreezeZooKeeper() }, func(b behindLink) { b.ThawZooKeeper() }},
		{"gone, and its connections cut", func(b behindLink) { b.FreezeZooKeeper(); b.link.sever() }, func(b behindLink) { b.ThawZooKeeper() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := startBehindLink(t)
			addr := b.Node(0).Addr()
			normal := startPulse(t, addr)
			before, err := b.brokerEpoch()
			if err != nil {
				t.Fatal(err)
			}
			dirs := tree(t, b.Node(0))
			c.away(b)
			b.awaitSessionEnd(t)
			normal.await(20)
			after := time.Now().Add(shortSession) // well into the time without
			normal.await(20)
			eventually(t, "half a session more has passed", func() error {
				if left := time.Until(after); left > 0 {
					return fmt.Errorf("%v are left", left)
				}
				return nil
			})
			normal.await(20)
			if got := metadataOf(t, addr, "pulse", false); len(got.Partitions) != 1 || got.Partitions[0].Leader != 0 {
				t.Errorf("metadata without ZooKeeper: %+v", got)
			}
			began := time.Now()
			one := kmsg.NewCreateTopicsRequestTopic()
			one.Topic, one.NumPartitions, one.ReplicationFactor = "never", 1, 1
			create := kmsg.NewPtrCreateTopicsRequest()
			create.Version, create.TimeoutMillis, create.Topics = 5, 1000, append(create.Topics, one)
			got := ask[*kmsg.CreateTopicsResponse](t, addr, create).Topics[0]
			if took := time.Since(began); got.ErrorCode == 0 || took > 10*time.Second {
				t.Errorf("CreateTopics without ZooKeeper: error %d after %v", got.ErrorCode, took)
			}
			t.Logf("CreateTopics without ZooKeeper: error %d after %v", got.ErrorCode, time.Since(began).Round(time.Millisecond))
			c.back(b)
			began = time.Now()
			epoch := b.reigns(t, before)
			t.Logf("registered and controller %v after the return", time.Since(began).Round(time.Millisecond))
			createTopic(t, addr, "later", nil)
			normal.await(20)
			if got := without(tree(t, b.Node(0)), "later-0"); fmt.Sprint(got) != fmt.Sprint(dirs) {
				t.Errorf("directories %q, before %q", got, dirs)
			}
			if now, err := b.brokerEpoch(); err != nil || now != epoch {
				t.Errorf("the broker epoch went from %d to %d, %v", epoch, now, err)
			}
			if n := b.said("Registered broker 0 at path"); n != 2 {
				t.Errorf("registered %d times, want at the start and at the return", n)
			}
		})
	}
}

func TestAShortSilenceOfZooKeeperChangesNothing(t *testing.T) {
	b := startBehindLink(t)
	normal := startPulse(t, b.Node(0).Addr())
	before, err := b.brokerEpoch()
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		b.link.sever() // the session is taken to another connection
		normal.await(5)
	}
	createTopic(t, b.Node(0).Addr(), "later", nil)
	if now, err := b.brokerEpoch(); err != nil || now != before {
		t.Errorf("the broker epoch went from %d to %d, %v", before, now, err)
	}
	if n := b.said("Registered broker 0 at path"); n != 1 {
		t.Errorf("registered %d times", n)
	}
}

// A stop does not wait for a ZooKeeper that does not answer, and is a clean one all the same.
func TestAStopWithoutZooKeeperIsBoundedAndClean(t *testing.T) {
	for _, c := range []struct {
		name string
		away func(t *testing.T, b behindLink)
	}{
		{"a moment after it froze", func(t *testing.T, b behindLink) { b.FreezeZooKeeper() }},
		{"when the session is long over", func(t *testing.T, b behindLink) {
			b.FreezeZooKeeper()
			b.awaitSessionEnd(t)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := startBehindLink(t)
			n := b.Node(0)
			createTopic(t, n.Addr(), "t", nil)
			if got, err := produce(n.Addr(), "t", 8, newBatch(3, records(3)).bytes()); err != nil || got.ErrorCode != 0 {
				t.Fatalf("%+v, %v", got, err)
			}
			c.away(t, b)
			began := time.Now()
			n.Stop()
			took := time.Since(began)
			t.Logf("the stop took %v", took.Round(time.Millisecond))
			if took > 10*time.Second {
				t.Errorf("the stop took %v", took)
			}
			if _, err := os.Stat(filepath.Join(n.Dir(), ".kafka_cleanshutdown")); err != nil {
				t.Error(err)
			}
			b.ThawZooKeeper()
			n.Start()
			if end, err := endOf(n.Addr(), "t", 0); err != nil || end != 3 {
				t.Errorf("the log ends at %d, %v", end, err)
			}
		})
	}
}

// Sessions that end one after the other leave nothing behind: five times over, or ZURAU_KILLS times.
func TestExpiredSessionsLeaveNothingBehind(t *testing.T) {
	b := startBehindLink(t)
	n := b.Node(0)
	normal := startPulse(t, n.Addr())
	epoch, err := b.brokerEpoch()
	if err != nil {
		t.Fatal(err)
	}
	goroutines := runtime.NumGoroutine()
	rounds := max(5, kills(t))
	for round := range rounds {
		b.ExpireSession(0)
		epoch = b.reigns(t, epoch)
		createTopic(t, n.Addr(), fmt.Sprint("round", round), nil)
		normal.await(5)
	}
	if got := b.said("Registered broker 0 at path"); got != rounds+1 {
		t.Errorf("registered %d times in %d sessions", got, rounds+1)
	}
	eventually(t, "the goroutines are as many as before", func() error {
		if now := runtime.NumGoroutine(); now > goroutines+2 { // a timer or a connection more is no leak
			return fmt.Errorf("%d, were %d", now, goroutines)
		}
		return nil
	})
}
