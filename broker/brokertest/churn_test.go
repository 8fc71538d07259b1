package brokertest

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// expireSession ends a broker's ZooKeeper session from outside, as an expiry would, with what the broker saved of it.
func expireSession(t *testing.T, c *Cluster, n *Node) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(n.Dir(), ".zookeeper-session"))
	if err != nil {
		return // between two lives
	}
	idText, passwordText, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	id, err := strconv.ParseUint(idText, 16, 64)
	if err != nil {
		return
	}
	password, _ := hex.DecodeString(passwordText)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := zkmeta.CloseSession(ctx, c.ZooKeeperConnect(), int64(id), password); err != nil {
		t.Logf("closing the session of broker %d: %v", n.id, err)
	}
}

// atController sends a request to whoever is the controller, as metadata of some broker tells.
func atController[R kmsg.Response](c *Cluster, req kmsg.Request) (none R, err error) {
	m := kmsg.NewPtrMetadataRequest()
	m.Version, m.Topics = 8, []kmsg.MetadataRequestTopic{}
	up := c.Bootstrap()
	meta, err := tryAsk[*kmsg.MetadataResponse](up[rand.IntN(len(up))], m)
	if err != nil {
		return none, err
	}
	for _, b := range meta.Brokers {
		if b.NodeID == meta.ControllerID {
			return tryAsk[R](fmt.Sprintf("%s:%d", b.Host, b.Port), req)
		}
	}
	return none, errors.New("no controller is known")
}

// facts is what the churn was told about a topic. An answer that is an error, or none, leaves both open.
type facts struct {
	created, deletionAsked, deleted bool
	partitions                      int32 // at least
}

// churn creates, grows and deletes topics until ctx ends.
func churn(ctx context.Context, c *Cluster, prefix string) map[string]*facts {
	all := map[string]*facts{}
	for i := 0; ctx.Err() == nil; i++ {
		name := fmt.Sprintf("%s-%d", prefix, i)
		f := &facts{}
		all[name] = f
		one := kmsg.NewCreateTopicsRequestTopic()
		one.Topic, one.NumPartitions, one.ReplicationFactor = name, 3, 1
		create := kmsg.NewPtrCreateTopicsRequest()
		create.Version, create.TimeoutMillis, create.Topics = 5, 2000, append(create.Topics, one)
		if r, err := atController[*kmsg.CreateTopicsResponse](c, create); err == nil && r.Topics[0].ErrorCode == 0 {
			f.created, f.partitions = true, 3
		}
		grow := kmsg.NewPtrCreatePartitionsRequest()
		grow.Version, grow.TimeoutMillis = 3, 2000
		grow.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: name, Count: 5}}
		if r, err := atController[*kmsg.CreatePartitionsResponse](c, grow); err == nil && r.Topics[0].ErrorCode == 0 {
			f.created, f.partitions = true, 5
		}
		if i%3 != 0 {
			continue
		}
		f.deletionAsked = true
		remove := kmsg.NewPtrDeleteTopicsRequest()
		remove.Version, remove.TimeoutMillis, remove.TopicNames = 5, 2000, []string{name}
		if r, err := atController[*kmsg.DeleteTopicsResponse](c, remove); err == nil && r.Topics[0].ErrorCode == 0 {
			f.deleted = true
		}
	}
	return all
}

// checkTopics says what is wrong with the topics in ZooKeeper, seen against what was acknowledged.
func checkTopics(ctx context.Context, s *zkmeta.Session, all map[string]*facts) error {
	queue, err := s.DeleteQueue(ctx)
	if err != nil || len(queue) > 0 {
		return fmt.Errorf("topics wait for their deletion: %v %v", queue, err)
	}
	brokers, err := s.Brokers(ctx)
	if err != nil {
		return err
	}
	for name, f := range all {
		a, err := s.ReadTopic(ctx, name)
		if errors.Is(err, zkmeta.ErrNoNode) {
			if f.created && !f.deletionAsked {
				return fmt.Errorf("%s was acknowledged and is gone", name)
			}
			continue
		}
		if err != nil {
			return err
		}
		if f.deleted {
			return fmt.Errorf("%s was deleted and is there", name)
		}
		if int32(len(a.Partitions)) < f.partitions || a.ID.IsZero() {
			return fmt.Errorf("%s should have %d partitions and is %+v", name, f.partitions, a)
		}
		var tps []topic.Partition
		for id := range a.Partitions {
			tps = append(tps, topic.Partition{Topic: name, ID: id})
		}
		found, err := s.ReadStates(ctx, tps)
		if err != nil {
			return err
		}
		for _, tp := range tps {
			st := found[tp]
			if _, live := brokers[st.Leader]; !live || !slices.Contains(st.ISR, st.Leader) {
				return fmt.Errorf("%v is %+v", tp, st)
			}
		}
	}
	return nil
}

// Sessions end at random moments while topics are created, grown and deleted: whatever was acknowledged is true
// afterwards, and whatever was begun is finished (failures.md I16, B2, B3).
func TestTopicsSurviveLostSessions(t *testing.T) {
	c := Start(t, Brokers(3), Property("zookeeper.session.timeout.ms", "2000"))
	period := 6 * time.Second
	if text := os.Getenv("ZURAU_CHURN"); text != "" {
		period, _ = time.ParseDuration(text)
	}
	ctx, cancel := context.WithTimeout(context.Background(), period)
	defer cancel()
	results := make(chan map[string]*facts, 3)
	for _, prefix := range []string{"a", "b", "c"} {
		go func() { results <- churn(ctx, c, prefix) }()
	}
	lost := 0
	for ctx.Err() == nil {
		select {
		case <-time.After(time.Duration(100+rand.IntN(700)) * time.Millisecond):
			expireSession(t, c, c.Node(rand.IntN(3)))
			lost++
		case <-ctx.Done():
		}
	}
	s := c.session()
	created := 0
	for range 3 {
		all := <-results
		for _, f := range all {
			if f.created {
				created++
			}
		}
		eventually(t, "every topic is whole", func() error { return checkTopics(context.Background(), s, all) })
	}
	t.Logf("%d sessions lost, %d topics acknowledged", lost, created)
	if created == 0 {
		t.Error("nothing was created")
	}
}

// controllerOf is the broker that /controller names.
func controllerOf(t *testing.T, s *zkmeta.Session) (id int, epoch int32) {
	t.Helper()
	var active zkmeta.Controller
	eventually(t, "there is a controller", func() (err error) {
		active, err = s.ReadController(context.Background())
		return err
	})
	e, err := s.ReadControllerEpoch(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return int(active.BrokerID), e.Epoch
}

// The office moves on when its holder stops, and topics can be created at once; who comes back has a larger broker epoch.
func TestTheControllerMovesOnWhenItsBrokerStops(t *testing.T) {
	c := Start(t, Brokers(2))
	s := c.session()
	for round := range 4 {
		id, epoch := controllerOf(t, s)
		old, err := s.Broker(context.Background(), int32(id))
		if err != nil {
			t.Fatal(err)
		}
		c.Node(id).Stop()
		begun := time.Now()
		create := kmsg.NewPtrCreateTopicsRequest()
		create.Version, create.TimeoutMillis = 5, 2000
		one := kmsg.NewCreateTopicsRequestTopic()
		one.Topic, one.NumPartitions, one.ReplicationFactor = fmt.Sprintf("t%d", round), 1, 1
		create.Topics = append(create.Topics, one)
		eventually(t, "the other broker creates topics", func() error {
			r, err := atController[*kmsg.CreateTopicsResponse](c, create)
			if err == nil && r.Topics[0].ErrorCode != 0 {
				err = fmt.Errorf("error %d", r.Topics[0].ErrorCode)
			}
			return err
		})
		t.Logf("a topic %v after the controller stopped", time.Since(begun))
		if next, newer := controllerOf(t, s); next == id || newer != epoch+1 {
			t.Errorf("broker %d in epoch %d follows %d in %d", next, newer, id, epoch)
		}
		c.Node(id).Start()
		back, err := s.Broker(context.Background(), int32(id))
		if err != nil || back.Epoch <= old.Epoch {
			t.Errorf("broker epoch %d follows %d, %v", back.Epoch, old.Epoch, err)
		}
	}
}

// What a broker saves of its session serves to end it after a crash; a clean stop ends it and leaves nothing of it.
func TestACleanStopLeavesNoSessionBehind(t *testing.T) {
	c := Start(t)
	saved := filepath.Join(c.Node(0).Dir(), ".zookeeper-session")
	if info, err := os.Stat(saved); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("while the broker runs: %v, %v", info, err)
	}
	c.Node(0).Stop()
	if _, err := os.Stat(saved); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", saved, err)
	}
}
